use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;

fn at(seconds: i64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn scaler(spec: Value) -> HorizontalPodAutoscaler {
    let mut whole = json!({"minReplicas": 1, "maxReplicas": 10,
        "scaleTargetRef": {"kind": "Deployment", "name": "web"}});
    for (name, value) in spec.as_object().unwrap() {
        whole[name] = value.clone();
    }
    serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": whole})).unwrap()
}

fn on_cpu(percent: i32) -> Value {
    json!([{"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": percent}}}])
}

fn on_requests(each: &str) -> Value {
    json!([{"type": "Object", "object": {"metric": {"name": "requests_per_second"},
        "describedObject": {"kind": "Service", "name": "web"},
        "target": {"type": "AverageValue", "averageValue": each}}}])
}

/// Pods that have been ready for a day, and ask for 1 CPU each.
fn pods(count: i32) -> Vec<Arc<Pod>> {
    let pod = |index: i32| {
        let since = at(-86_400).to_string();
        let pod = json!({"metadata": {"name": index.to_string()},
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": "Running", "startTime": since, "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": since}]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    };
    (0..count).map(pod).collect()
}

fn usage(millis: i64, count: i32, now: Timestamp) -> Vec<PodMetrics> {
    let pod = |index: i32| {
        let cpu = format!("{millis}m");
        let pod = json!({"metadata": {"name": index.to_string(), "namespace": "n"},
            "timestamp": now.to_string(), "window": "15s",
            "containers": [{"name": "c", "usage": {"cpu": cpu}}]});
        serde_json::from_value(pod).unwrap()
    };
    (0..count).map(pod).collect()
}

/// A target that does what it is told at once, and a load that is shared.
struct World {
    scaler: HorizontalPodAutoscaler,
    memory: Memory,
    replicas: i32,
    now: i64,
}

impl World {
    fn new(spec: Value, replicas: i32) -> Self {
        Self { scaler: scaler(spec), memory: Memory::default(), replicas, now: 0 }
    }

    /// One look, with a load of so many thousandths in all.
    fn look(&mut self, load: i64) -> Plan {
        let now = at(self.now);
        let each = load / i64::from(self.replicas.max(1));
        let usage = usage(each, self.replicas, now);
        self.look_at(Ok(usage), Some(Ok(load)))
    }

    fn look_at(
        &mut self,
        usage: Result<Vec<PodMetrics>, String>,
        object: Option<Result<i64, String>>,
    ) -> Plan {
        let now = at(self.now);
        let view = View {
            scaler: &self.scaler,
            size: Size { wanted: self.replicas, observed: self.replicas },
            pods: &Ok(pods(self.replicas)),
            usage: &usage,
            objects: &[object],
            now,
        };
        let mut plan = plan(&view, &mut self.memory);
        if let Some(resize) = plan.resize.clone() {
            plan.resized(&resize, self.replicas, Ok(()), now);
            let behavior = self.scaler.spec.as_ref().unwrap().behavior.as_ref();
            self.memory.resized(behavior, self.replicas, resize.to, now);
            self.replicas = resize.to;
        }
        self.scaler.status = Some(plan.status.clone());
        plan
    }

    fn conditions(&self) -> BTreeMap<String, (String, String)> {
        let conditions = self.scaler.status.as_ref().unwrap().conditions.iter().flatten();
        let told = conditions.map(|it| (it.status.clone(), it.reason.clone().unwrap()));
        let names = self.scaler.status.as_ref().unwrap().conditions.iter().flatten();
        names.map(|it| it.type_.clone()).zip(told).collect()
    }

    #[track_caller]
    fn check_condition(&self, type_: &str, status: &str, reason: &str) {
        let expect = (status.to_owned(), reason.to_owned());
        assert_eq!(self.conditions().get(type_), Some(&expect));
    }
}

#[test]
fn a_load_is_followed_up_and_down() {
    let mut world = World::new(json!({"metrics": on_cpu(50)}), 1);
    let plan = world.look(900);
    assert_eq!(world.replicas, 2);
    let event =
        "New size: 2; reason: cpu resource utilization (percentage of request) above target";
    let told = (EventType::Normal, "SuccessfulRescale", event.to_owned());
    assert_eq!(plan.notes, [told]);
    assert_eq!((plan.status.current_replicas, plan.status.desired_replicas), (Some(1), 2));
    world.check_condition("AbleToScale", "True", "SucceededRescale");
    world.check_condition("ScalingActive", "True", "ValidMetricFound");
    world.check_condition("ScalingLimited", "False", "DesiredWithinRange");
    let current = serde_json::to_value(&plan.status.current_metrics).unwrap();
    let expect = json!({"averageUtilization": 90, "averageValue": "900m"});
    assert_eq!(current[0]["resource"]["current"], expect);

    // A second look at the same changes nothing, not even the status.
    world.now += 15;
    world.look(900);
    let before = world.scaler.status.clone();
    world.now += 15;
    assert_eq!(world.look(900).notes, []);
    assert_eq!(world.scaler.status, before);
    world.check_condition("AbleToScale", "True", "ReadyForNewScale");

    // For five minutes after the load has gone nothing is taken away.
    while world.replicas == 2 && world.now < 1000 {
        world.now += 15;
        let plan = world.look(0);
        if world.replicas == 1 {
            let event = "New size: 1; reason: All metrics below target".to_owned();
            assert_eq!(plan.notes, [(EventType::Normal, "SuccessfulRescale", event)]);
        } else {
            world.check_condition("AbleToScale", "True", "ScaleDownStabilized");
        }
    }
    assert_eq!(world.now, 330);
}

#[test]
fn bounds_come_before_metrics() {
    let mut world = World::new(json!({"metrics": on_cpu(50), "minReplicas": 3}), 1);
    let event = |plan: &Plan| plan.notes[0].2.clone();
    let reason = "New size: 3; reason: Current number of replicas below Spec.MinReplicas";
    assert_eq!(event(&world.look(900)), reason);
    world.replicas = 12;
    let reason = "New size: 10; reason: Current number of replicas above Spec.MaxReplicas";
    assert_eq!(event(&world.look(900)), reason);
    world.now += 15;
    world.look(90_000);
    world.check_condition("ScalingLimited", "True", "TooManyReplicas");
    world.replicas = 0;
    assert!(world.look(900).resize.is_none());
    world.check_condition("ScalingActive", "False", "ScalingDisabled");
}

#[test]
fn what_is_not_known_stops_it_and_is_told() {
    let mut world = World::new(json!({"metrics": on_cpu(50)}), 2);
    let plan = world.look_at(Ok(Vec::new()), None);
    let cause = "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics \
                 returned from resource metrics API";
    let sum = format!(
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric \
         value: {cause}"
    );
    let expect = [
        (EventType::Warning, "FailedGetResourceMetric", cause.to_owned()),
        (EventType::Warning, "FailedComputeMetricsReplicas", sum),
    ];
    assert_eq!(plan.notes, expect);
    assert_eq!((plan.resize, world.replicas), (None, 2));
    world.check_condition("ScalingActive", "False", "FailedGetResourceMetric");
    let conditions = world.scaler.status.clone().unwrap().conditions.unwrap();
    let text = format!("the HPA was unable to compute the replica count: {cause}");
    assert_eq!(conditions[1].message.as_deref(), Some(text.as_str()));

    let plan = without_scale(&world.scaler, "deployments.apps \"web\" not found", at(0));
    let told = plan.status.conditions.unwrap();
    assert_eq!((&*told[0].type_, &*told[0].status), ("AbleToScale", "False"));
    assert_eq!(plan.notes[0].1, "FailedGetScale");
}

#[test]
fn a_metric_that_fails_lets_others_scale_up_but_not_down() {
    let mut both = on_cpu(50);
    both.as_array_mut().unwrap().extend(on_requests("10").as_array().unwrap().clone());
    let mut world = World::new(json!({"metrics": both}), 2);
    let now = at(0);
    let look = |millis: i64, world: &mut World| {
        let used = usage(millis, world.replicas, now);
        world.look_at(Ok(used), Some(Err("no".to_owned()))).resize.map(|resize| resize.to)
    };
    assert_eq!(look(900, &mut world), Some(4));
    assert_eq!(look(10, &mut world), None);
    world.check_condition("ScalingActive", "False", "FailedGetObjectMetric");
}

#[test]
fn requests_scale_a_service_to_nothing_and_back() {
    let spec = json!({"minReplicas": 0, "metrics": on_requests("10"),
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}}});
    let mut world = World::new(spec, 1);
    let mut look = |requests: i64| {
        world.now += 15;
        world.look_at(Ok(Vec::new()), None.or(Some(Ok(requests * 1000))));
        world.replicas
    };
    assert_eq!(look(0), 0);
    assert_eq!(look(0), 0);
    // There is no rule for the way up, and so no limit to it.
    assert_eq!(look(25), 0);
}

/// A day of a shop: quiet nights, a morning that grows, a noon of three times that, in 15 s looks.
#[test]
fn a_day_is_followed_within_its_bounds() {
    let mut world = World::new(json!({"metrics": on_cpu(50), "maxReplicas": 20}), 1);
    let (mut most, mut resizes, mut starved) = (0, 0, 0);
    for look in 0..5_760_i64 {
        world.now = look * 15;
        let hour = look / 240;
        let load = match hour {
            0..7 => 100,
            7..11 => 100 + (look - 7 * 240) * 3,
            11..14 => 9_000,
            14..20 => 4_000,
            _ => 100,
        };
        starved += i64::from(load > i64::from(world.replicas) * 1_000);
        resizes += i64::from(world.look(load).resize.is_some());
        most = most.max(world.replicas);
        assert!((1..=20).contains(&world.replicas));
    }
    // 9 cores at half use are 18 Pods.
    assert_eq!((most, world.replicas), (18, 1));
    assert!(resizes < 30, "{resizes} resizes");
    assert!(starved <= 4, "{starved} looks with too few Pods");
}

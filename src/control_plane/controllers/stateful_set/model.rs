//! The plan against a world that fails at random: Pods keep their order and their identity at every step,
//! and in the end all is as it shall be.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::json;

use super::identity::{self, name, ordinal};
use super::plan::{Step, View, plan};
use crate::control_plane::controllers::pods::{is_over, phase, ready_since};

type Pods = BTreeMap<i32, Arc<Pod>>;
type Claims = BTreeMap<String, Arc<PersistentVolumeClaim>>;

/// A StatefulSet, what there is of it, and what its controller sees of that.
struct World {
    set: StatefulSet,
    image: u8,
    pods: Pods,
    claims: Claims,
    seen: (Pods, Claims),
    now: Timestamp,
    serial: u32,
}

#[derive(Debug, Clone)]
enum Event {
    /// The controller looks, and is stopped before the step of this number.
    Plan(usize),
    /// The caches catch up.
    See,
    Run(i32),
    Stumble(i32),
    End(i32),
    /// A user deletes a Pod …
    Delete(i32),
    /// … and the node is done with one that goes.
    Vanish(i32),
    /// The garbage collector comes by.
    Collect,
    Image(u8),
    Scale(i32),
    Start(i32),
    Partition(i32),
}

fn event() -> impl Strategy<Value = Event> {
    let any = 0i32..8;
    prop_oneof![
        10 => (0usize..6).prop_map(Event::Plan),
        6 => Just(Event::See),
        10 => any.clone().prop_map(Event::Run),
        2 => any.clone().prop_map(Event::Stumble),
        1 => any.clone().prop_map(Event::End),
        2 => any.clone().prop_map(Event::Delete),
        6 => any.prop_map(Event::Vanish),
        3 => Just(Event::Collect),
        1 => (0u8..4).prop_map(Event::Image),
        2 => (0i32..6).prop_map(Event::Scale),
        1 => (0i32..3).prop_map(Event::Start),
        1 => (0i32..4).prop_map(Event::Partition),
    ]
}

fn set(parallel: bool, min_ready: i32, deleted: bool, scaled: bool) -> StatefulSet {
    let word = |deletes: bool| if deletes { "Delete" } else { "Retain" };
    serde_json::from_value(json!({
        "metadata": {"name": "s", "namespace": "n", "uid": "s", "generation": 1},
        "spec": {"replicas": 3, "minReadySeconds": min_ready, "serviceName": "s",
            "ordinals": {"start": 0},
            "podManagementPolicy": if parallel { "Parallel" } else { "OrderedReady" },
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "persistentVolumeClaimRetentionPolicy":
                {"whenDeleted": word(deleted), "whenScaled": word(scaled)},
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "0"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
    }))
    .unwrap()
}

fn template(set: &StatefulSet, revision: &str) -> PodTemplateSpec {
    let mut template = set.spec.as_ref().unwrap().template.clone();
    let image = revision.trim_start_matches("s-").to_owned();
    template.spec.as_mut().unwrap().containers[0].image = Some(image);
    template
}

impl World {
    fn new(set: StatefulSet) -> Self {
        let (pods, claims) = (Pods::new(), Claims::new());
        let seen = (pods.clone(), claims.clone());
        Self { set, image: 0, pods, claims, seen, now: Timestamp::UNIX_EPOCH, serial: 0 }
    }

    fn happen(&mut self, event: &Event) {
        self.now += SignedDuration::from_secs(2);
        match event {
            Event::Plan(stop) => self.plan(*stop),
            Event::See => self.see(),
            Event::Run(at) => self.report(*at, "Running", "True"),
            Event::Stumble(at) => self.report(*at, "Running", "False"),
            Event::End(at) => self.report(*at, "Failed", "False"),
            Event::Delete(at) => self.delete(*at, None),
            Event::Vanish(at) => self.vanish(*at),
            Event::Collect => self.collect(),
            Event::Image(image) => self.image = *image,
            Event::Scale(replicas) => self.set.spec.as_mut().unwrap().replicas = Some(*replicas),
            Event::Start(start) => {
                let spec = self.set.spec.as_mut().unwrap();
                spec.ordinals.as_mut().unwrap().start = Some(*start);
            }
            Event::Partition(partition) => self.set_partition(*partition),
        }
    }

    fn set_partition(&mut self, partition: i32) {
        let strategy = self.set.spec.as_mut().unwrap().update_strategy.as_mut().unwrap();
        strategy.rolling_update.as_mut().unwrap().partition = Some(partition);
    }

    fn see(&mut self) {
        self.seen = (self.pods.clone(), self.claims.clone());
    }

    fn report(&mut self, at: i32, phase: &str, ready: &str) {
        let Some(pod) = self.pods.get_mut(&at) else { return };
        let condition = json!([{"type": "Ready", "status": ready, "lastTransitionTime": self.now}]);
        let status = json!({"phase": phase, "conditions": condition});
        if !is_over(pod) && (ready == "False" || ready_since(pod).is_none()) {
            Arc::make_mut(pod).status = Some(serde_json::from_value(status).unwrap());
        }
    }

    fn delete(&mut self, at: i32, uid: Option<&str>) {
        let Some(pod) = self.pods.get_mut(&at) else { return };
        if uid.is_none_or(|uid| pod.metadata.uid.as_deref() == Some(uid)) {
            Arc::make_mut(pod).metadata.deletion_timestamp = Some(Time(self.now));
        }
    }

    fn vanish(&mut self, at: i32) {
        let going = |pod: &Arc<Pod>| pod.metadata.deletion_timestamp.is_some();
        if self.pods.get(&at).is_some_and(going) {
            self.pods.remove(&at);
        }
    }

    /// What a Pod owned goes with it, as the garbage collector has it.
    fn collect(&mut self) {
        let is_there = |uid: &str| {
            uid == "s" || self.pods.values().any(|pod| pod.metadata.uid.as_deref() == Some(uid))
        };
        self.claims.retain(|_, claim| {
            let mut owners = claim.metadata.owner_references.iter().flatten();
            owners.all(|owner| is_there(&owner.uid))
        });
    }

    fn plan(&mut self, stop: usize) {
        let update = format!("s-{}", self.image);
        let noted = self.set.status.as_ref().and_then(|status| status.current_revision.clone());
        let current = noted.unwrap_or_else(|| update.clone());
        let (old, new) = (template(&self.set, &current), template(&self.set, &update));
        let pods: Vec<Arc<Pod>> = self.seen.0.values().cloned().collect();
        let claims = self.seen.1.clone();
        let plan = plan(&View {
            set: &self.set,
            spec: self.set.spec.as_ref().unwrap(),
            pods: &pods,
            current: (&current, &old),
            update: (&update, &new),
            collisions: None,
            claim: &|name| claims.get(name).cloned(),
            now: self.now,
        });
        self.check(&plan.steps, &current, &update);
        let mut wrote = false;
        for step in plan.steps.into_iter().take(stop) {
            if !self.carry_out(step) {
                break;
            }
            wrote = true;
        }
        if wrote {
            self.see();
        }
        self.set.status = Some(plan.status);
    }

    /// Whether the API server lets it happen.
    fn carry_out(&mut self, step: Step) -> bool {
        match step {
            Step::Create { pod, is_new, claims } => {
                for claim in claims {
                    let key = name(&claim.metadata).to_owned();
                    if self.claims.contains_key(&key) {
                        return false;
                    }
                    self.claims.insert(key, Arc::new(claim));
                }
                !is_new || self.create(*pod)
            }
            Step::Delete(pod) => {
                self.delete(ordinal(&pod), pod.metadata.uid.as_deref());
                true
            }
            Step::Own(claim, owners) => {
                let there = self.claims.get_mut(name(&claim.metadata));
                if let Some(there) = there {
                    Arc::make_mut(there).metadata.owner_references = Some(owners);
                }
                true
            }
            Step::Label(..) => panic!("all Pods are made with their labels"),
            Step::Blocked { .. } => true,
        }
    }

    fn create(&mut self, mut pod: Pod) -> bool {
        let at = ordinal(&pod);
        if self.pods.contains_key(&at) {
            return false;
        }
        self.serial += 1;
        pod.metadata.uid = Some(self.serial.to_string());
        pod.status = Some(serde_json::from_value(json!({"phase": "Pending"})).unwrap());
        // It may have gone since the caches showed it; then it is made anew while the Pod is pending.
        let claim = self.claims.get(&format!("data-s-{at}"));
        let owners = claim.and_then(|claim| claim.metadata.owner_references.as_ref());
        let of_pod = owners.into_iter().flatten().any(|owner| owner.kind == "Pod");
        assert!(!of_pod, "{at}: a claim that goes with an earlier Pod is taken up");
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref()).unwrap();
        let source = volumes[0].persistent_volume_claim.as_ref().unwrap();
        assert_eq!(source.claim_name, format!("data-s-{at}"));
        self.pods.insert(at, Arc::new(pod));
        true
    }

    fn is_healthy(&self, pod: &Pod) -> bool {
        let min_ready = self.set.spec.as_ref().unwrap().min_ready_seconds.unwrap();
        let long_enough = |since: Timestamp| {
            min_ready == 0 || since + SignedDuration::from_secs(i64::from(min_ready)) < self.now
        };
        phase(pod) == "Running"
            && ready_since(pod).is_some_and(long_enough)
            && pod.metadata.deletion_timestamp.is_none()
    }

    /// What holds of every plan, as far as its controller could know.
    fn check(&self, steps: &[Step], current: &str, update: &str) {
        let spec = self.set.spec.as_ref().unwrap();
        let in_order = spec.pod_management_policy.as_deref() == Some("OrderedReady");
        let wanted = identity::ordinals(spec);
        let partition = wanted.start + identity::partition(spec);
        let healthy = |at: i32| self.seen.0.get(&at).is_some_and(|pod| self.is_healthy(pod));
        let mut moves = 0;
        for step in steps {
            match step {
                Step::Create { pod, is_new: true, .. } => {
                    let at = ordinal(pod);
                    assert!(wanted.contains(&at), "{at} is not wanted");
                    let expect = if at < partition { current } else { update };
                    assert_eq!(identity::revision(pod), expect, "{at}");
                    moves += 1;
                    let all_before = (wanted.start..at).all(healthy);
                    assert!(!in_order || all_before, "{at} is made before its turn");
                }
                Step::Delete(pod) if is_over(pod) && wanted.contains(&ordinal(pod)) => moves += 1,
                Step::Delete(pod) if wanted.contains(&ordinal(pod)) => {
                    let at = ordinal(pod);
                    assert!(at >= partition && identity::revision(pod) != update, "{at}");
                    let rest = (at + 1..wanted.end).all(healthy);
                    assert!(rest, "{at} is updated before those after it are well");
                    let all_before = (wanted.start..at).all(healthy);
                    assert!(!in_order || all_before, "{at} is updated while others are not well");
                    moves += 1;
                }
                Step::Delete(pod) if in_order => {
                    let at = ordinal(pod);
                    let others = self.seen.0.keys().filter(|other| !wanted.contains(other));
                    assert_eq!(others.max(), Some(&at), "the last goes first");
                    assert!(wanted.clone().all(healthy), "{at} goes while others are not well");
                    moves += 1;
                }
                _ => {}
            }
        }
        assert!(!in_order || moves <= 1, "one after the other");
    }

    /// Nothing fails any more.
    fn settle(&mut self) {
        self.set_partition(0);
        for _ in 0..200 {
            self.now += SignedDuration::from_secs(10);
            self.collect();
            self.see();
            self.plan(usize::MAX);
            let all: Vec<i32> = self.pods.keys().copied().collect();
            for at in all {
                self.report(at, "Running", "True");
                self.vanish(at);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn order_and_identity_are_kept(
        parallel in any::<bool>(),
        min_ready in prop_oneof![Just(0), Just(3)],
        deleted in any::<bool>(),
        scaled in any::<bool>(),
        events in proptest::collection::vec(event(), 0..160),
    ) {
        let mut world = World::new(set(parallel, min_ready, deleted, scaled));
        for event in &events {
            world.happen(event);
        }
        world.settle();
        let spec = world.set.spec.clone().unwrap();
        let wanted: Vec<i32> = identity::ordinals(&spec).collect();
        prop_assert_eq!(&world.pods.keys().copied().collect::<Vec<_>>(), &wanted);
        let update = format!("s-{}", world.image);
        for pod in world.pods.values() {
            prop_assert_eq!(identity::revision(pod), update.as_str());
            prop_assert!(world.is_healthy(pod));
        }
        for at in &wanted {
            let claim = &world.claims[&format!("data-s-{at}")];
            let owners: Vec<&str> = claim.metadata.owner_references.iter().flatten()
                .map(|owner| owner.kind.as_str()).collect();
            let expect: &[&str] = if deleted { &["StatefulSet"] } else { &[] };
            prop_assert_eq!(owners, expect);
        }
        let mut owners = world.claims.values().flat_map(|claim| &claim.metadata.owner_references);
        prop_assert!(owners.all(|owners| owners.iter().all(|owner| owner.kind != "Pod")));
        let status = world.set.status.unwrap();
        prop_assert_eq!(status.current_revision, Some(update.clone()));
        prop_assert_eq!(status.update_revision, Some(update));
        let count = i32::try_from(wanted.len()).unwrap();
        prop_assert_eq!((status.replicas, status.available_replicas), (count, Some(count)));
    }
}

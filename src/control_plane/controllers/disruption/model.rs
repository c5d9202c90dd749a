//! Evictions and their controller against a world that fails at random: no more healthy Pods are evicted
//! than the budget allows, however late the controller sees what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::decide::{View, judge};
use crate::api::disruption::{grant, is_free, is_ready, needs_no_budget};

const SCALE: u32 = 5;

type Pods = BTreeMap<String, Arc<Pod>>;

struct World {
    pods: Pods,
    /// With the number of its last change, by which writes are accepted or refused.
    budget: (PodDisruptionBudget, u32),
    /// What the controller's caches show.
    seen: (Pods, (PodDisruptionBudget, u32)),
    /// Pods that the budget as it is stored counts as healthy, less those evicted since.
    vouched: BTreeSet<String>,
    /// When evictions were granted.
    granted: BTreeMap<String, Timestamp>,
    now: Timestamp,
    serial: u32,
}

#[derive(Debug, Clone)]
enum Event {
    SeePods,
    SeeBudget,
    Judge,
    Evict(usize),
    /// An eviction that is granted, and then the API server is killed.
    EvictHalf(usize),
    Ready(usize),
    Stumble(usize),
    /// The node is done with the Pods that go; their owner makes others.
    Turn,
    Wait(i64),
    Budget(Value),
}

fn spec() -> impl Strategy<Value = Value> {
    let policy = prop_oneof![Just(None), Just(Some("IfHealthyBudget")), Just(Some("AlwaysAllow"))];
    let amount = prop_oneof![
        (0u32..6).prop_map(|number| json!(number)),
        (0u32..11).prop_map(|tenth| json!(format!("{}0%", tenth))),
    ];
    (any::<bool>(), amount, policy).prop_map(|(min, amount, policy)| {
        let field = if min { "minAvailable" } else { "maxUnavailable" };
        json!({field: amount, "unhealthyPodEvictionPolicy": policy, "selector": {}})
    })
}

fn event() -> impl Strategy<Value = Event> {
    let pod = 0usize..6;
    prop_oneof![
        5 => Just(Event::SeePods),
        5 => Just(Event::SeeBudget),
        8 => Just(Event::Judge),
        8 => pod.clone().prop_map(Event::Evict),
        1 => pod.clone().prop_map(Event::EvictHalf),
        8 => pod.clone().prop_map(Event::Ready),
        2 => pod.prop_map(Event::Stumble),
        4 => Just(Event::Turn),
        1 => (1i64..200).prop_map(Event::Wait),
        1 => spec().prop_map(Event::Budget),
    ]
}

impl World {
    fn new(spec: Value) -> Self {
        let zero = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0,
            "expectedPods": 0});
        let budget: PodDisruptionBudget = serde_json::from_value(
            json!({"metadata": {"name": "b", "generation": 1}, "spec": spec, "status": zero}),
        )
        .unwrap();
        let seen = (Pods::new(), (budget.clone(), 0));
        let now = Timestamp::UNIX_EPOCH;
        let (pods, vouched, granted) = (Pods::new(), BTreeSet::new(), BTreeMap::new());
        let budget = (budget, 0);
        let mut world = Self { pods, budget, seen, vouched, granted, now, serial: 0 };
        world.turn();
        world
    }

    fn happen(&mut self, event: &Event) {
        self.now += SignedDuration::from_secs(1);
        match event {
            Event::SeePods => self.seen.0 = self.pods.clone(),
            Event::SeeBudget => self.seen.1 = self.budget.clone(),
            Event::Judge => self.judge(),
            Event::Evict(at) => self.evict(*at, true),
            Event::EvictHalf(at) => self.evict(*at, false),
            Event::Ready(at) => self.report(*at, "True"),
            Event::Stumble(at) => self.report(*at, "False"),
            Event::Turn => self.turn(),
            Event::Wait(seconds) => self.now += SignedDuration::from_secs(*seconds),
            Event::Budget(spec) => {
                self.budget.0.spec = Some(serde_json::from_value(spec.clone()).unwrap());
                *self.budget.0.metadata.generation.as_mut().unwrap() += 1;
                self.budget.1 += 1;
            }
        }
    }

    fn report(&mut self, at: usize, ready: &str) {
        if let Some(pod) = self.pods.values_mut().nth(at) {
            let status = json!({"phase": "Running",
                "conditions": [{"type": "Ready", "status": ready}]});
            Arc::make_mut(pod).status = Some(serde_json::from_value(status).unwrap());
        }
    }

    fn turn(&mut self) {
        self.pods.retain(|_, pod| pod.metadata.deletion_timestamp.is_none());
        while self.pods.len() < SCALE as usize {
            self.serial += 1;
            let name = format!("p{:04}", self.serial);
            let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r",
                "uid": "r", "controller": true});
            let pod = json!({"metadata": {"name": name, "ownerReferences": [owner]},
                "status": {"phase": "Pending"}});
            self.pods.insert(name, Arc::new(serde_json::from_value(pod).unwrap()));
        }
    }

    fn judge(&mut self) {
        let (budget, number) = &self.seen.1;
        let pods: Vec<Arc<Pod>> = self.seen.0.values().cloned().collect();
        let scale = Ok(Some(("r".to_owned(), i32::try_from(SCALE).unwrap())));
        let verdict = judge(&View {
            budget,
            spec: budget.spec.as_ref().unwrap(),
            pods: &pods,
            scale: &|_| scale.clone(),
            now: self.now,
        });
        if *number != self.budget.1 {
            return;
        }
        let status = verdict.unwrap().status;
        let is_over = |since: &Timestamp| *since + SignedDuration::from_secs(120) <= self.now;
        let is_counted = |pod: &&Arc<Pod>| {
            let name = pod.metadata.name.as_ref().unwrap();
            is_ready(pod)
                && pod.metadata.deletion_timestamp.is_none()
                && self.granted.get(name).is_none_or(is_over)
        };
        let counted = pods.iter().filter(is_counted);
        self.vouched = counted.filter_map(|pod| pod.metadata.name.clone()).collect();
        if self.budget.0.status.as_ref() != Some(&status) {
            self.budget.0.status = Some(status);
            self.budget.1 += 1;
            self.seen.1 = self.budget.clone();
        }
    }

    fn evict(&mut self, at: usize, whole: bool) {
        let Some((name, pod)) = self.pods.iter().nth(at) else { return };
        let (name, pod) = (name.clone(), pod.clone());
        if !needs_no_budget(&pod) && !is_free(&self.budget.0, &pod) {
            let mut budget = self.budget.0.clone();
            if grant(&mut budget, &name, self.now).is_err() {
                return;
            }
            self.budget = (budget, self.budget.1 + 1);
            self.vouched.remove(&name);
            self.granted.insert(name.clone(), self.now);
            let desired = self.budget.0.status.as_ref().unwrap().desired_healthy;
            let left = i32::try_from(self.vouched.len()).unwrap();
            assert!(left >= desired, "{name} leaves {left} of {desired}");
        }
        if whole {
            let pod = self.pods.get_mut(&name).unwrap();
            Arc::make_mut(pod).metadata.deletion_timestamp = Some(Time(self.now));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn budgets_are_never_exceeded(
        first in spec(),
        events in proptest::collection::vec(event(), 0..160),
    ) {
        let mut world = World::new(first);
        for event in &events {
            world.happen(event);
        }
        // Nothing fails any more.
        for _ in 0..3 {
            world.now += SignedDuration::from_secs(300);
            world.turn();
            (0..6).for_each(|at| world.report(at, "True"));
            world.happen(&Event::SeePods);
            world.happen(&Event::SeeBudget);
            world.judge();
        }
        let status = world.budget.0.status.unwrap();
        prop_assert_eq!(status.current_healthy, i32::try_from(SCALE).unwrap());
        prop_assert_eq!(
            status.disruptions_allowed,
            (status.current_healthy - status.desired_healthy).max(0)
        );
        prop_assert_eq!(status.disrupted_pods, None);
    }
}

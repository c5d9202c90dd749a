//! The plan against a world that fails at random: it gets where it shall, and never strays further than
//! allowed on the way.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::json;

use super::plan::{View, plan};
use super::sizes::{Leeway, available, is_scaling, size, wanted};

/// A Deployment, its ReplicaSets, and for each of them which of its Pods are ready.
struct World {
    deployment: Deployment,
    sets: Vec<Arc<ReplicaSet>>,
    pods: Vec<Vec<bool>>,
    now: Timestamp,
    serial: u32,
}

#[derive(Debug, Clone)]
enum Event {
    /// The Deployment controller looks, and is stopped before the write of this number.
    Plan(usize),
    /// The ReplicaSet controller makes and deletes Pods …
    Fill(usize),
    /// … and tells how it is.
    Tell(usize),
    Ready(usize, usize),
    Fail(usize, usize),
    Template(u8),
    Scale(i32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        7 => Just(Event::Plan(usize::MAX)),
        3 => (0usize..3).prop_map(Event::Plan),
        6 => (0usize..4).prop_map(Event::Fill),
        6 => (0usize..4).prop_map(Event::Tell),
        8 => (0usize..4, 0usize..12).prop_map(|(set, pod)| Event::Ready(set, pod)),
        2 => (0usize..4, 0usize..12).prop_map(|(set, pod)| Event::Fail(set, pod)),
        1 => (0u8..4).prop_map(Event::Template),
        1 => (0i32..12).prop_map(Event::Scale),
    ]
}

fn deployment(replicas: i32, surge: i32, unavailable: i32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "d", "namespace": "n", "uid": "d", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}},
            "strategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "progressDeadlineSeconds": 600, "revisionHistoryLimit": 2,
            "template": {"metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "0"}]}}},
    }))
    .unwrap()
}

impl World {
    fn new(deployment: Deployment) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        Self { deployment, sets: Vec::new(), pods: Vec::new(), now, serial: 0 }
    }

    fn happen(&mut self, event: &Event) {
        self.now += SignedDuration::from_secs(1);
        match event {
            Event::Plan(stop) => self.plan(*stop),
            Event::Fill(at) => self.fill(*at),
            Event::Tell(at) => self.tell(*at),
            Event::Ready(set, pod) => self.set_ready(*set, *pod, true),
            Event::Fail(set, pod) => self.set_ready(*set, *pod, false),
            Event::Template(image) => {
                let spec = self.deployment.spec.as_mut().unwrap();
                let containers = &mut spec.template.spec.as_mut().unwrap().containers;
                containers[0].image = Some(image.to_string());
                self.generation();
            }
            Event::Scale(replicas) => {
                self.deployment.spec.as_mut().unwrap().replicas = Some(*replicas);
                self.generation();
            }
        }
    }

    fn generation(&mut self) {
        *self.deployment.metadata.generation.as_mut().unwrap() += 1;
    }

    fn set_ready(&mut self, set: usize, pod: usize, ready: bool) {
        if let Some(slot) = self.pods.get_mut(set).and_then(|pods| pods.get_mut(pod)) {
            *slot = ready;
        }
    }

    fn fill(&mut self, at: usize) {
        let Some(set) = self.sets.get(at) else { return };
        let pods = &mut self.pods[at];
        // Those that are not ready go first.
        pods.sort_unstable_by(|a, b| b.cmp(a));
        pods.resize(usize::try_from(size(set)).unwrap(), false);
    }

    fn tell(&mut self, at: usize) {
        let Some(set) = self.sets.get_mut(at) else { return };
        let set = Arc::make_mut(set);
        let ready = i32::try_from(self.pods[at].iter().filter(|ready| **ready).count()).unwrap();
        let status = set.status.get_or_insert_default();
        status.replicas = i32::try_from(self.pods[at].len()).unwrap();
        status.ready_replicas = Some(ready).filter(|ready| *ready > 0);
        status.available_replicas = status.ready_replicas;
        status.observed_generation = set.metadata.generation;
    }

    fn plan(&mut self, stop: usize) {
        let before = self.sizes();
        // A step that scales in proportion looks at sizes only, as upstream's does: it may cost available
        // Pods of old sets while new ones are not available yet.
        let spec = self.deployment.spec.as_ref().unwrap();
        let scales = is_scaling(spec, self.sets.iter().map(|set| &**set));
        let kept_before = if scales { 0 } else { self.kept() };
        let plan = plan(&View {
            deployment: &self.deployment,
            sets: &self.sets,
            has_pods: &|_| false,
            now: self.now,
        });
        let mut left = stop;
        for (old, new) in plan.change {
            if left == 0 {
                // In the middle of scaling in proportion one set may have grown for another's shrinking.
                return self.check(if scales { i32::MAX } else { before }, kept_before);
            }
            left -= 1;
            let at = self.sets.iter().position(|set| Arc::ptr_eq(set, &old)).unwrap();
            let mut new = new;
            new.metadata.generation = new.metadata.generation.map(|generation| generation + 1);
            self.sets[at] = Arc::new(new);
        }
        if left == 0 {
            return self.check(before, kept_before);
        }
        for gone in plan.delete {
            let uid = gone.metadata.uid;
            let at = self.sets.iter().position(|set| set.metadata.uid == uid).unwrap();
            assert_eq!(self.pods[at].len(), 0, "a set is forgotten with its Pods");
            self.sets.remove(at);
            self.pods.remove(at);
        }
        if let Some(set) = plan.create {
            self.create(set);
        }
        self.deployment.status = Some(plan.status);
        self.check(before, kept_before);
    }

    fn create(&mut self, mut set: ReplicaSet) {
        self.serial += 1;
        set.metadata.uid = Some(self.serial.to_string());
        set.metadata.generation = Some(1);
        set.metadata.creation_timestamp = Some(Time(self.now));
        let is_same = |other: &Arc<ReplicaSet>| other.metadata.name == set.metadata.name;
        assert!(!self.sets.iter().any(is_same), "the same set is made twice");
        self.sets.push(Arc::new(set));
        self.pods.push(Vec::new());
    }

    fn sizes(&self) -> i32 {
        self.sets.iter().map(|set| size(set)).sum()
    }

    /// Available Pods that stay whatever the ReplicaSets delete to reach their sizes.
    fn kept(&self) -> i32 {
        self.sets.iter().map(|set| available(set).min(size(set))).sum()
    }

    fn check(&self, sizes_before: i32, kept_before: i32) {
        let spec = self.deployment.spec.as_ref().unwrap();
        let leeway = Leeway::of(spec);
        let most = (wanted(spec) + leeway.surge).max(sizes_before);
        assert!(self.sizes() <= most, "{} Pods of at most {most}", self.sizes());
        let least = (wanted(spec) - leeway.unavailable).min(kept_before);
        assert!(self.kept() >= least, "{} available of at least {least}", self.kept());
    }

    /// Nothing fails any more.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.now += SignedDuration::from_secs(1);
            self.plan(usize::MAX);
            for at in 0..self.sets.len() {
                self.fill(at);
                self.pods[at].fill(true);
                self.tell(at);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn rollouts_arrive_and_keep_within_their_bounds(
        replicas in 0i32..12,
        surge in 0i32..4,
        unavailable in 0i32..4,
        events in proptest::collection::vec(event(), 0..120),
    ) {
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
        let mut world = World::new(deployment(replicas, surge, unavailable));
        for event in &events {
            world.happen(event);
        }
        world.settle();
        let spec = world.deployment.spec.clone().unwrap();
        let image = |set: &ReplicaSet| {
            let template = set.spec.as_ref()?.template.as_ref()?;
            template.spec.as_ref()?.containers[0].image.clone()
        };
        let current = spec.template.spec.as_ref().unwrap().containers[0].image.clone();
        for set in &world.sets {
            let expect = if image(set) == current { wanted(&spec) } else { 0 };
            prop_assert_eq!(size(set), expect);
        }
        prop_assert!(world.sets.len() <= 3, "a history of 2 beside the current set");
        let status = world.deployment.status.unwrap();
        prop_assert_eq!(status.replicas.unwrap_or(0), wanted(&spec));
        prop_assert_eq!(status.available_replicas.unwrap_or(0), wanted(&spec));
        let reasons: Vec<_> = status.conditions.iter().flatten()
            .map(|condition| condition.reason.clone().unwrap_or_default()).collect();
        prop_assert!(reasons.contains(&"MinimumReplicasAvailable".to_owned()), "{:?}", reasons);
        prop_assert!(reasons.contains(&"NewReplicaSetAvailable".to_owned()), "{:?}", reasons);
    }
}

//! Does harm at random, the same harm for the same seed as long as it finds the same Pods.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::objects::{Seen, What};
use super::watcher::Record;
use super::world;
use crate::support::{Answer, Cluster, Home, run};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(count).unwrap()).unwrap()
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { Some(&all[self.below(all.len())]) }
    }
}

type Act = fn(&mut Disturber<'_>) -> Vec<Answer>;

/// What is done, how often among all, and by what.
const DISTURBANCES: &[(&str, usize, Act)] = &[
    ("delete a Pod", 5, |this| this.delete(&["web", "agent"], "--wait=false")),
    ("delete a StatefulSet's Pod", 2, |this| this.delete_member()),
    ("delete a Job's Pod", 1, |this| this.delete(&["work"], "--wait=false")),
    ("delete a Pod by force", 3, |this| this.delete(&["web", "agent"], "--force --grace-period=0")),
    ("kill a container", 3, |this| this.kill()),
    ("evict a Pod", 4, |this| this.evict()),
    ("delete a ReplicaSet", 1, |this| this.delete_set()),
    ("scale a Deployment", 2, |this| this.scale("deployment/web", 2, 5)),
    ("scale a StatefulSet", 1, |this| this.scale("statefulset/db", 1, 4)),
    ("set an image", 1, |this| {
        let tag = this.chance.below(3) + 24;
        vec![this.cluster().run(&format!("set image deployment/web c=nginx:1.{tag}"))]
    }),
    ("restart a Deployment", 1, |this| vec![this.cluster().run("rollout restart deployment/web")]),
    ("undo a rollout", 1, |this| vec![this.cluster().run("rollout undo deployment/web")]),
    ("restart a StatefulSet", 1, |this| vec![this.cluster().run("rollout restart statefulset/db")]),
    ("restart a DaemonSet", 1, |this| vec![this.cluster().run("rollout restart daemonset/agent")]),
    ("make a Job", 2, |this| this.make_job()),
];

/// Refusals that are in order, because somebody was faster or nothing is left.
const REFUSALS: &[&str] = &[
    "not found",
    "Cannot evict pod as it would violate the pod's disruption budget.",
    "disruption budget guarded is still being processed by the server",
    "couldn't update PodDisruptionBudget",
    "no rollout history found",
    "skipped rollback",
    "the object has been modified",
    "Precondition failed: UID in precondition",
    "already been triggered within the past second",
    "cannot exec into a container in a completed pod",
    "container not found",
];

pub(super) struct Disturber<'a> {
    pub(super) home: &'a Home,
    pub(super) cluster: Option<Cluster<'a>>,
    pub(super) record: Arc<Mutex<Record>>,
    pub(super) chance: Chance,
    /// Pods that were sent away by us, by uid, noted before it was asked for.
    pub(super) disturbed: HashSet<String>,
    /// Containers are killed once in a Pod's life: the second time they would wait for minutes.
    killed: HashSet<String>,
    jobs: usize,
    /// Refusals for no good reason.
    pub(super) faults: Vec<String>,
    /// Done and refused, by what was done.
    pub(super) counts: BTreeMap<&'static str, (usize, usize)>,
}

impl<'a> Disturber<'a> {
    pub(super) fn new(home: &'a Home, seed: u64, record: Arc<Mutex<Record>>) -> Self {
        Self {
            home,
            cluster: None,
            record,
            chance: Chance(seed),
            disturbed: HashSet::new(),
            killed: HashSet::new(),
            jobs: 0,
            faults: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn cluster(&self) -> &Cluster<'a> {
        self.cluster.as_ref().unwrap()
    }

    /// Once, if there is anybody to harm.
    pub(super) fn disturb(&mut self) {
        let all: usize = DISTURBANCES.iter().map(|(_, weight, _)| weight).sum();
        let mut at = self.chance.below(all);
        let chosen = DISTURBANCES.iter().find(|(_, weight, _)| {
            let is_it = at < *weight;
            at = at.saturating_sub(*weight);
            is_it
        });
        let (name, _, act) = chosen.unwrap();
        for answer in act(self) {
            self.note(name, &answer);
        }
    }

    fn note(&mut self, name: &'static str, answer: &Answer) {
        let is_in_order = REFUSALS.iter().any(|text| answer.all().contains(text));
        if answer.code != 0 && !is_in_order {
            self.faults.push(format!("{name}: exit code {}\n{}", answer.code, answer.all()));
        }
        let (done, refused) = self.counts.entry(name).or_default();
        *(if answer.code == 0 { done } else { refused }) += 1;
    }

    fn pods(&self, apps: &[&str]) -> Vec<Arc<Seen>> {
        let is_one = |seen: &Arc<Seen>| {
            seen.is_active() && seen.pod().is_some_and(|pod| apps.contains(&&*pod.app))
        };
        self.record.lock().now().into_iter().filter(is_one).collect()
    }

    fn delete(&mut self, apps: &[&str], how: &str) -> Vec<Answer> {
        let pods = self.pods(apps);
        let Some(pod) = self.chance.one_of(&pods) else { return Vec::new() };
        self.disturbed.insert(pod.uid.clone());
        vec![self.cluster().run(&format!("delete pod {} {how}", pod.name))]
    }

    /// Only this one: by the time it is asked for, another may have its name.
    fn delete_member(&mut self) -> Vec<Answer> {
        let pods = self.pods(&["db"]);
        let Some(pod) = self.chance.one_of(&pods) else { return Vec::new() };
        self.disturbed.insert(pod.uid.clone());
        let options = format!(
            r#"{{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{{"uid":"{}"}}}}"#,
            pod.uid
        );
        let file = self.home.file("options.json", options);
        let path = format!("/api/v1/namespaces/default/pods/{}", pod.name);
        vec![self.cluster().run(&format!("delete --raw {path} -f {file}"))]
    }

    fn kill(&mut self) -> Vec<Answer> {
        let mut pods = self.pods(&["web", "db", "agent"]);
        pods.retain(|pod| pod.is_healthy() && !self.killed.contains(&pod.uid));
        let Some(pod) = self.chance.one_of(&pods) else { return Vec::new() };
        self.killed.insert(pod.uid.clone());
        let mut answer = self.cluster().run(&format!("exec {} -- kill -9 1", pod.name));
        if answer.code == 137 {
            // It died with its container.
            answer.code = 0;
        }
        vec![answer]
    }

    /// One, or all at once: their budget grants one.
    fn evict(&mut self) -> Vec<Answer> {
        let mut pods = self.pods(&["guarded"]);
        if self.chance.below(2) == 0 {
            pods.truncate(1);
        }
        self.disturbed.extend(pods.iter().map(|pod| pod.uid.clone()));
        let evictions = pods.iter().map(|pod| {
            let eviction = format!(
                r#"{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{}"}}}}"#,
                pod.name
            );
            let file = self.home.file(&format!("{}.json", pod.name), eviction);
            let path = format!("/api/v1/namespaces/default/pods/{}/eviction", pod.name);
            self.cluster().command(&format!("create --raw {path} -f {file}"))
        });
        let evictions: Vec<_> = evictions.collect();
        thread::scope(|scope| {
            let asked = evictions.into_iter().map(|command| scope.spawn(|| run(command)));
            let asked: Vec<_> = asked.collect();
            asked.into_iter().map(|answer| answer.join().unwrap()).collect()
        })
    }

    fn delete_set(&mut self) -> Vec<Answer> {
        let all = self.record.lock().now();
        let is_set = |one: &&Arc<Seen>| {
            one.name.starts_with("web-") && matches!(one.what, What::ReplicaSet { .. })
        };
        let sets: Vec<_> = all.iter().filter(is_set).collect();
        let Some(set) = self.chance.one_of(&sets) else { return Vec::new() };
        vec![self.cluster().run(&format!("delete replicaset {} --wait=false", set.name))]
    }

    fn scale(&mut self, what: &str, least: usize, most: usize) -> Vec<Answer> {
        let size = least + self.chance.below(most - least + 1);
        vec![self.cluster().run(&format!("scale {what} --replicas={size}"))]
    }

    fn make_job(&mut self) -> Vec<Answer> {
        /// Bound: Jobs that are not done yet.
        const OPEN_MAX: usize = 2;
        let is_open = |one: &&Arc<Seen>| {
            matches!(&one.what, What::Job { ended: None, .. }) && one.owner.is_none()
        };
        if self.record.lock().now().iter().filter(is_open).count() >= OPEN_MAX {
            return Vec::new();
        }
        self.jobs += 1;
        let file = self.home.file("job.yaml", world::job(self.jobs));
        vec![self.cluster().run(&format!("create -f {file}"))]
    }
}

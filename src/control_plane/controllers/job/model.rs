//! The Job's decisions against a world that fails at random: Pods fail and are deleted, the controller dies
//! between any two writes and forgets, others write the Job meanwhile. It gets where it shall, never runs more
//! than it may, and counts each Pod once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::act::{Act, act};
use super::backoff::Record;
use super::conditions::{COMPLETE, FAILED, find_true};
use super::pod;
use super::progress::{Progress, View, is_finished};
use super::track;
use crate::control_plane::controllers::pods::{is_active, is_over};

/// A Job, its Pods, and what has truly become of them.
struct World {
    job: Job,
    pods: BTreeMap<String, Arc<Pod>>,
    record: Record,
    now: Timestamp,
    serial: u32,
    /// Writes until the controller dies.
    writes_left: u32,
    /// Uids of Pods that were let go after they had been noted.
    counted_succeeded: BTreeSet<String>,
    counted_failed: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum Event {
    /// The controller looks; it dies after so many writes.
    Reconcile(u32),
    Run(usize),
    Succeed(usize),
    Fail(usize),
    /// Somebody deletes a Pod …
    Delete(usize),
    /// … and its node has ended it.
    Finish(usize),
    Suspend(bool),
    Parallelism(i32),
    Pass(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Reconcile(u32::MAX)),
        4 => (0u32..12).prop_map(Event::Reconcile),
        4 => (0usize..8).prop_map(Event::Run),
        6 => (0usize..8).prop_map(Event::Succeed),
        2 => (0usize..8).prop_map(Event::Fail),
        1 => (0usize..8).prop_map(Event::Delete),
        2 => (0usize..8).prop_map(Event::Finish),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => (0i32..6).prop_map(Event::Parallelism),
        3 => (0u16..60).prop_map(Event::Pass),
    ]
}

/// The controller has died, or somebody else has written the Job.
struct Interrupted;

impl World {
    fn new(spec: Value) -> Self {
        let mut whole = json!({"metadata": {"name": "j", "namespace": "n", "uid": "j"},
            "spec": {"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "i"}]}}}});
        whole = crate::api::patch::merge::apply(whole, &json!({"spec": spec})).unwrap();
        Self {
            job: serde_json::from_value(whole).unwrap(),
            pods: BTreeMap::new(),
            record: Record::default(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            serial: 0,
            writes_left: u32::MAX,
            counted_succeeded: BTreeSet::new(),
            counted_failed: BTreeSet::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Reconcile(writes) => {
                self.writes_left = *writes;
                self.reconcile();
            }
            Event::Run(at) => self.change(*at, is_active, |pod, _| set_phase(pod, "Running")),
            Event::Succeed(at) => self.change(*at, is_active, |pod, now| end(pod, now, 0)),
            Event::Fail(at) => self.change(*at, is_active, |pod, now| end(pod, now, 1)),
            Event::Delete(at) => self.change(*at, is_active, |pod, now| delete(pod, now, 30)),
            Event::Finish(at) => self.change(*at, pod::is_terminating, |pod, now| {
                end(pod, now, 143);
                delete(pod, now, 0);
            }),
            Event::Suspend(suspend) => self.job.spec.as_mut().unwrap().suspend = Some(*suspend),
            Event::Parallelism(number) => {
                self.job.spec.as_mut().unwrap().parallelism = Some(*number);
            }
            Event::Pass(seconds) => self.now += SignedDuration::from_secs(i64::from(*seconds)),
        }
        self.collect();
    }

    fn change(
        &mut self,
        at: usize,
        is_one: impl Fn(&Pod) -> bool,
        change: impl Fn(&mut Pod, Timestamp),
    ) {
        let now = self.now;
        if let Some(pod) = self.pods.values_mut().filter(|pod| is_one(pod)).nth(at) {
            change(Arc::make_mut(pod), now);
        }
    }

    /// What is deleted and kept by nobody is gone.
    fn collect(&mut self) {
        let is_held = |pod: &Pod| {
            pod::is_tracked(pod) || pod.metadata.deletion_grace_period_seconds != Some(0)
        };
        self.pods.retain(|_, pod| is_held(pod));
    }

    fn write(&mut self) -> Result<(), Interrupted> {
        self.writes_left = self.writes_left.checked_sub(1).ok_or(Interrupted)?;
        Ok(())
    }

    fn list(&self) -> Vec<Arc<Pod>> {
        self.pods.values().cloned().collect()
    }

    fn reconcile(&mut self) {
        if self.attempt().is_err() {
            self.record = Record::default();
        }
        self.writes_left = u32::MAX;
        self.collect();
    }

    /// As the controller goes about it.
    fn attempt(&mut self) -> Result<(), Interrupted> {
        let job = self.job.clone();
        if is_finished(&job) {
            for pod in self.list() {
                self.let_go(&pod)?;
            }
            return Ok(());
        }
        let pods = self.list();
        let view = View::new(&job, &pods, self.now).unwrap();
        let progress = Progress::of(&view);
        let record = self.record.after(&progress.new_succeeded, &progress.new_failed);
        let (act, _) = act(&view, &progress, record);
        let allowed = progress.active.len();
        self.carry_out(act, allowed)?;
        let pods = self.list();
        let view = View::new(&job, &pods, self.now).unwrap();
        let progress = Progress::of(&view);
        let tracking = track::track(&view, &progress);
        self.set_status(tracking.status)?;
        self.record = self.record.after(&progress.new_succeeded, &progress.new_failed);
        for pod in &tracking.release {
            self.count(pod)?;
        }
        let (status, _) = track::settle(
            self.job.status.clone().unwrap(),
            &track::tracked(&self.list()),
            tracking.finish.as_ref(),
            self.now,
        );
        self.set_status(status)
    }

    fn carry_out(&mut self, act: Act, active_before: usize) -> Result<(), Interrupted> {
        match act {
            Act::Nothing => {}
            Act::Create(pods) => {
                let most = usize::try_from(self.job.spec.as_ref().unwrap().parallelism.unwrap());
                let most = most.unwrap().max(active_before);
                for pod in pods {
                    self.create(&pod)?;
                    let active = self.pods.values().filter(|pod| is_active(pod)).count();
                    assert!(active <= most, "{active} Pods of at most {most}");
                }
            }
            Act::Remove(pods) => {
                for pod in pods {
                    self.let_go(&pod)?;
                    self.delete(&pod)?;
                }
            }
            Act::End(pods) => {
                for pod in pods {
                    self.delete(&pod)?;
                }
            }
        }
        Ok(())
    }

    fn create(&mut self, pod: &Pod) -> Result<(), Interrupted> {
        self.write()?;
        self.serial += 1;
        let mut pod = pod.clone();
        let name = format!("{}{:05}", pod.metadata.generate_name.unwrap(), self.serial);
        pod.metadata.generate_name = None;
        pod.metadata.name = Some(name.clone());
        pod.metadata.uid = Some(self.serial.to_string());
        pod.metadata.creation_timestamp = Some(Time(self.now));
        set_phase(&mut pod, "Pending");
        let index = pod::index(&pod);
        let is_twin =
            |other: &Pod| index.is_some() && is_active(other) && pod::index(other) == index;
        assert!(!self.pods.values().any(|other| is_twin(other)), "two Pods of one index");
        self.pods.insert(name, Arc::new(pod));
        Ok(())
    }

    fn delete(&mut self, pod: &Pod) -> Result<(), Interrupted> {
        self.write()?;
        let now = self.now;
        if let Some(pod) = self.pods.get_mut(pod.metadata.name.as_ref().unwrap()) {
            delete(Arc::make_mut(pod), now, 30);
        }
        Ok(())
    }

    fn let_go(&mut self, pod: &Pod) -> Result<(), Interrupted> {
        if pod::is_tracked(pod) {
            self.write()?;
            let pod = self.pods.get_mut(pod.metadata.name.as_ref().unwrap()).unwrap();
            Arc::make_mut(pod).metadata.finalizers = None;
        }
        Ok(())
    }

    /// Lets a Pod go that has been noted.
    fn count(&mut self, pod: &Pod) -> Result<(), Interrupted> {
        self.let_go(pod)?;
        let uid = pod.metadata.uid.clone().unwrap();
        let noted = self.job.status.as_ref().unwrap().uncounted_terminated_pods.clone().unwrap();
        let is_in = |list: &Option<Vec<String>>| list.iter().flatten().any(|one| *one == uid);
        let lists = [
            (is_in(&noted.succeeded), &mut self.counted_succeeded),
            (is_in(&noted.failed), &mut self.counted_failed),
        ];
        for (noted, counted) in lists {
            assert!(!noted || counted.insert(uid.clone()), "{uid} is counted twice");
        }
        Ok(())
    }

    fn set_status(&mut self, status: JobStatus) -> Result<(), Interrupted> {
        if self.job.status.as_ref() != Some(&status) {
            self.write()?;
            self.job.status = Some(status);
        }
        Ok(())
    }

    /// Nothing fails any more.
    fn settle(&mut self) {
        let spec = self.job.spec.as_mut().unwrap();
        spec.suspend = Some(false);
        spec.parallelism = spec.parallelism.max(Some(1));
        for _ in 0..300 {
            self.reconcile();
            for pod in self.pods.values_mut() {
                if pod::is_terminating(pod) {
                    let pod = Arc::make_mut(pod);
                    end(pod, self.now, 143);
                    delete(pod, self.now, 0);
                } else if is_active(pod) {
                    end(Arc::make_mut(pod), self.now, 0);
                }
            }
            self.now += SignedDuration::from_secs(601);
        }
    }

    fn check(&self, completions: i32) -> Result<(), TestCaseError> {
        let status = self.job.status.clone().unwrap();
        let conditions = status.conditions.clone().unwrap_or_default();
        let complete = find_true(&conditions, COMPLETE).is_some();
        let failed = find_true(&conditions, FAILED).is_some();
        prop_assert!(complete != failed, "{conditions:?}");
        prop_assert_eq!(status.active, None);
        let mut unfinished = self.pods.values().filter(|pod| !is_over(pod) || pod::is_tracked(pod));
        prop_assert!(unfinished.next().is_none());
        let succeeded = usize::try_from(status.succeeded.unwrap_or(0)).unwrap();
        if self.job.spec.as_ref().unwrap().completion_mode.is_none() {
            prop_assert_eq!(succeeded, self.counted_succeeded.len());
        }
        let failures = usize::try_from(status.failed.unwrap_or(0)).unwrap();
        prop_assert_eq!(failures, self.counted_failed.len());
        if complete {
            prop_assert_eq!(status.succeeded.unwrap_or(0), completions);
        }
        Ok(())
    }
}

fn set_phase(pod: &mut Pod, phase: &str) {
    pod.status.get_or_insert_default().phase = Some(phase.to_owned());
}

fn end(pod: &mut Pod, now: Timestamp, code: i32) {
    let whole = json!([{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "finishedAt": now.to_string()}}}]);
    pod.status.get_or_insert_default().container_statuses = serde_json::from_value(whole).unwrap();
    set_phase(pod, if code == 0 { "Succeeded" } else { "Failed" });
}

fn delete(pod: &mut Pod, now: Timestamp, grace: i64) {
    pod.metadata.deletion_timestamp.get_or_insert(Time(now));
    pod.metadata.deletion_grace_period_seconds = Some(grace);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn jobs_end_and_count_each_pod_once(
        parallelism in 0i32..6,
        completions in 0i32..8,
        limit in 0i32..8,
        indexed in any::<bool>(),
        waits in any::<bool>(),
        per_index in proptest::option::of(0i32..3),
        events in proptest::collection::vec(event(), 0..150),
    ) {
        let mut spec = json!({"parallelism": parallelism, "completions": completions,
            "backoffLimit": limit,
            "podReplacementPolicy": if waits { "Failed" } else { "TerminatingOrFailed" }});
        if indexed {
            spec["completionMode"] = json!("Indexed");
            if per_index.is_some() {
                spec["backoffLimitPerIndex"] = json!(per_index);
                spec["backoffLimit"] = json!(i32::MAX);
            }
        }
        let mut world = World::new(spec);
        for event in &events {
            world.happen(event);
        }
        world.settle();
        world.check(completions)?;
        let before = world.job.clone();
        world.reconcile();
        prop_assert_eq!(before, world.job);
    }
}

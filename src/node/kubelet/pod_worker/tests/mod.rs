//! What the machine does, told as stories of a Pod.

mod stopping;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;

const T0: Timestamp = Timestamp::UNIX_EPOCH;

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "counter", "namespace": "default", "uid": "u" },
        "spec": spec,
    }))
    .unwrap()
}

fn one(policy: &str) -> Pod {
    pod(json!({ "restartPolicy": policy, "containers": [{ "name": "count", "image": "busybox" }] }))
}

/// A Pod under the test's hands: time stands still until it is moved.
struct Story {
    worker: PodWorker,
    now: Timestamp,
    events: Vec<String>,
}

impl Story {
    fn of(pod: &Pod) -> Self {
        Self::after(LastStop::Unknown, pod)
    }

    fn after(last_stop: LastStop, pod: &Pod) -> Self {
        Self { worker: PodWorker::new(pod, last_stop, T0), now: T0, events: Vec::new() }
    }

    /// The steps, as `start count`, `kill count` …; and `wake +10s`.
    fn plan(&mut self) -> Vec<String> {
        let (plan, happenings) = self.worker.plan(self.now);
        self.tell(happenings);
        let name = |index: usize| self.worker.containers[index].name.clone();
        let steps = plan.steps.iter().map(|step| match step {
            Step::Start(index) => format!("start {}", name(*index)),
            Step::Abandon(index) => format!("abandon {}", name(*index)),
            Step::Drain => "drain".to_owned(),
            Step::AwaitQuiet => "await quiet".to_owned(),
            Step::Retire => "retire".to_owned(),
            Step::PreStop(index) => format!("preStop {}", name(*index)),
            Step::CutPreStop(index) => format!("cut preStop {}", name(*index)),
            Step::Tell(index) => format!("tell {}", name(*index)),
            Step::Kill(index, signal) => format!("kill -{signal} {}", name(*index)),
            Step::Finish => "finish".to_owned(),
        });
        let wake = plan.wake.map(|at| format!("wake +{}s", at.duration_since(self.now).as_secs()));
        steps.chain(wake).collect()
    }

    fn tell(&mut self, happenings: Vec<Happening>) {
        let told =
            happenings.into_iter().map(|event| format!("{}: {}", event.reason, event.message));
        self.events.extend(told);
    }

    fn started(&mut self, index: usize) {
        let run = Run { id: format!("sampan://{index}"), started_at: self.now };
        self.worker.started(index, run);
    }

    fn post_started(&mut self, index: usize, result: Result<(), &str>) {
        let happenings = self.worker.post_start_ended(index, result.map_err(str::to_owned));
        self.tell(happenings);
    }

    fn pre_stopped(&mut self, index: usize, result: Result<(), &str>) {
        let happening = self.worker.pre_stop_ended(index, result.map_err(str::to_owned));
        self.tell(happening.into_iter().collect());
    }

    /// A DELETE has come that gives this many seconds from now on.
    fn deleted(&mut self, pod: &Pod, seconds: i64) {
        let since = self.now.duration_since(T0).as_secs();
        self.worker.update(&deleted(pod.clone(), since + seconds));
        self.worker.end(Ending::Deleted);
    }

    fn exited(&mut self, index: usize, exit_code: i32) {
        let end = Terminated {
            exit_code,
            reason: if exit_code == 0 { "Completed" } else { "Error" }.to_owned(),
            message: None,
            id: None,
            started_at: Some(self.now),
            finished_at: Some(self.now),
        };
        let happenings = self.worker.exited(index, end, self.now);
        self.tell(happenings);
    }

    fn failed(&mut self, index: usize, failure: StartFailure) {
        let happenings = self.worker.failed(index, failure, None, self.now);
        self.tell(happenings);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// `Reason xN`, with N the restart count; `Running` has no reason.
    fn shown(&self, index: usize) -> String {
        let container = &self.worker.containers[index];
        let word = match container.shown() {
            State::Waiting { reason, .. } => reason.clone(),
            State::Running { .. } => "Running".to_owned(),
            State::Terminated(end) => end.reason.clone(),
            State::Starting { .. } => "Starting".to_owned(),
        };
        format!("{word} x{}", container.restart_count())
    }
}

#[test]
fn a_container_starts_at_once_and_once() {
    let mut story = Story::of(&one("Always"));
    assert_eq!(story.shown(0), "ContainerCreating x0");
    assert_eq!(story.plan(), ["start count"]);
    assert_eq!(story.shown(0), "ContainerCreating x0");
    assert!(story.plan().is_empty());
    story.started(0);
    assert!(story.plan().is_empty());
    assert_eq!(story.shown(0), "Running x0");
}

#[test]
fn a_crashing_container_backs_off() {
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.started(0);
    story.exited(0, 1);
    assert_eq!(story.shown(0), "Error x0");
    assert_eq!(story.plan(), ["start count"]);
    assert_eq!(story.shown(0), "Error x0");
    story.started(0);
    assert_eq!(story.shown(0), "Running x1");
    story.exited(0, 1);
    assert_eq!(story.shown(0), "CrashLoopBackOff x1");
    assert_eq!(
        story.events,
        ["BackOff: Back-off restarting failed container count in pod counter_default(u)"]
    );
    let State::Waiting { message, .. } = &story.worker.containers[0].state else { panic!() };
    assert_eq!(
        message.as_deref(),
        Some("back-off 10s restarting failed container=count pod=counter_default(u)")
    );
    assert_eq!(story.plan(), ["wake +10s"]);
    story.wait(10);
    assert_eq!(story.plan(), ["start count"]);
    story.started(0);
    story.exited(0, 1);
    assert_eq!(story.plan(), ["wake +20s"]);
}

#[test]
fn restart_policy_decides_what_runs_again() {
    for (policy, exit_code, again) in [
        ("Always", 0, true),
        ("Always", 1, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 0, false),
        ("Never", 1, false),
    ] {
        let mut story = Story::of(&one(policy));
        story.plan();
        story.started(0);
        story.exited(0, exit_code);
        assert_eq!(!story.plan().is_empty(), again, "{policy} {exit_code}");
    }
}

#[test]
fn init_containers_run_in_order_before_the_others() {
    let mut story = Story::of(&pod(json!({
        "initContainers": [{ "name": "one" }, { "name": "two" }],
        "containers": [{ "name": "a" }, { "name": "b" }],
    })));
    assert_eq!(story.shown(2), "PodInitializing x0");
    assert_eq!(story.plan(), ["start one"]);
    story.started(0);
    story.exited(0, 1);
    assert_eq!(story.plan(), ["start one"]);
    story.started(0);
    story.exited(0, 0);
    assert_eq!(story.plan(), ["start two"]);
    story.started(1);
    story.exited(1, 0);
    assert_eq!(story.plan(), ["start a", "start b"]);
}

#[test]
fn a_failed_init_container_of_a_never_pod_ends_it() {
    let mut story = Story::of(&pod(json!({
        "restartPolicy": "Never",
        "initContainers": [{ "name": "one" }],
        "containers": [{ "name": "a" }],
    })));
    story.plan();
    story.started(0);
    story.exited(0, 1);
    assert!(story.plan().is_empty());
    assert!(story.worker.apps_are_done());
}

#[test]
fn sidecars_run_beside_the_others_and_end_after_them() {
    let mut story = Story::of(&pod(json!({
        "restartPolicy": "Never",
        "initContainers": [{ "name": "side", "restartPolicy": "Always" }],
        "containers": [{ "name": "a" }],
    })));
    assert_eq!(story.plan(), ["start side"]);
    assert!(story.plan().is_empty());
    story.started(0);
    assert_eq!(story.plan(), ["start a"]);
    story.started(1);
    story.exited(0, 0);
    assert_eq!(story.plan(), ["start side"]);
    story.started(0);
    story.exited(1, 0);
    assert_eq!(story.plan(), ["kill -15 side"]);
    assert!(story.plan().is_empty());
    story.exited(0, 143);
    assert!(story.plan().is_empty());
}

#[test]
fn a_missing_image_alternates_its_reasons() {
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.failed(0, StartFailure::Image { reason: "ErrImagePull", message: "no".to_owned() });
    assert_eq!(story.shown(0), "ErrImagePull x0");
    assert_eq!(story.plan(), ["wake +2s"]);
    story.wait(2);
    assert_eq!(story.plan(), ["wake +8s"]);
    assert_eq!(story.shown(0), "ImagePullBackOff x0");
    assert_eq!(
        story.events,
        [
            "Failed: Failed to pull image \"busybox\": no",
            "Failed: Error: ErrImagePull",
            "BackOff: Back-off pulling image \"busybox\"",
            "Failed: Error: ImagePullBackOff",
        ]
    );
    story.wait(8);
    assert_eq!(story.plan(), ["start count"]);
    story.failed(0, StartFailure::Image { reason: "ErrImagePull", message: "no".to_owned() });
    story.wait(2);
    assert_eq!(story.plan(), ["wake +18s"]);
}

#[test]
fn a_program_that_cannot_start_counts_as_a_run() {
    let failure = || StartFailure::Run {
        exit_code: 127,
        reason: "StartError",
        message: "not found".to_owned(),
    };
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.failed(0, failure());
    assert_eq!(story.shown(0), "RunContainerError x0");
    assert_eq!(story.plan(), ["start count"]);
    story.failed(0, failure());
    assert_eq!(story.shown(0), "CrashLoopBackOff x1");
    let mut story = Story::of(&one("Never"));
    story.plan();
    story.failed(0, failure());
    assert_eq!(story.shown(0), "StartError x0");
    assert!(story.plan().is_empty());
}

#[test]
fn an_incomplete_configuration_is_tried_again() {
    let mut story = Story::of(&one("Never"));
    story.plan();
    story.failed(0, StartFailure::Config("configmap \"c\" not found".to_owned()));
    assert_eq!(story.shown(0), "CreateContainerConfigError x0");
    assert_eq!(story.plan(), ["wake +10s"]);
    story.wait(10);
    assert_eq!(story.plan(), ["start count"]);
}

#[test]
fn deletion_ends_what_lives_then_finishes() {
    let mut story = Story::of(&pod(json!({
        "containers": [{ "name": "a" }, { "name": "b" }],
    })));
    story.plan();
    story.started(0);
    story.worker.end(Ending::Deleted);
    assert_eq!(story.plan(), ["abandon b", "kill -15 a"]);
    assert_eq!(story.events, ["Killing: Stopping container a"]);
    assert!(story.plan().is_empty());
    story.exited(0, 143);
    assert_eq!(story.plan(), ["finish"]);
}

#[test]
fn a_passed_deadline_fails_the_pod() {
    let mut spec = one("Always");
    spec.spec.as_mut().unwrap().active_deadline_seconds = Some(60);
    let mut story = Story::of(&spec);
    assert_eq!(story.plan(), ["start count", "wake +60s"]);
    story.started(0);
    story.wait(60);
    assert_eq!(story.plan(), ["kill -15 count"]);
    story.exited(0, 143);
    assert!(story.plan().is_empty());
    assert!(
        matches!(&story.worker.ending, Some(Ending::Failed { reason, .. }) if reason == "DeadlineExceeded")
    );
    story.worker.end(Ending::Deleted);
    assert_eq!(story.plan(), ["finish"]);
}

#[test]
fn a_deadline_may_be_set_while_the_pod_runs() {
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.started(0);
    let mut pod = one("Always");
    pod.spec.as_mut().unwrap().active_deadline_seconds = Some(5);
    story.worker.update(&pod);
    assert_eq!(story.plan(), ["wake +5s"]);
    story.wait(5);
    assert_eq!(story.plan(), ["kill -15 count"]);
}

fn resumed(policy: &str, last_stop: LastStop, state: Value) -> Story {
    Story::after(last_stop, &resumable(policy, state))
}

/// A Pod that an earlier sampan ran.
fn resumable(policy: &str, state: Value) -> Pod {
    let status: PodStatus = serde_json::from_value(json!({
        "phase": "Running",
        "startTime": "1969-12-31T23:00:00Z",
        "containerStatuses": [{
            "name": "count", "ready": true, "restartCount": 4, "state": state,
            "image": "docker.io/library/busybox:latest",
            "imageID": "docker.io/library/busybox@sha256:1", "containerID": "sampan://x",
        }],
    }))
    .unwrap();
    let mut pod = one(policy);
    pod.status = Some(status);
    pod
}

#[test]
fn what_ran_before_a_restart_of_sampan_is_lost_and_runs_again() {
    let running = json!({ "running": { "startedAt": "1969-12-31T23:00:00Z" } });
    let mut story = resumed("Always", LastStop::Unknown, running.clone());
    assert_eq!(story.shown(0), "ContainerStatusUnknown x4");
    assert_eq!(story.plan(), ["start count"]);
    story.started(0);
    assert_eq!(story.shown(0), "Running x5");
    let last = story.worker.containers[0].last.clone().unwrap();
    assert_eq!((last.exit_code, last.reason.as_str()), (137, "ContainerStatusUnknown"));
    assert_eq!(story.worker.started_at, T0 - Duration::from_secs(3600));

    let mut story = resumed("Never", LastStop::Unknown, running);
    assert!(story.plan().is_empty());
    assert_eq!(story.shown(0), "ContainerStatusUnknown x4");
}

#[test]
fn what_sampan_ended_in_order_runs_again_whatever_its_policy() {
    let running = json!({ "running": { "startedAt": "1969-12-31T23:00:00Z" } });
    let mut story = resumed("Never", LastStop::InOrder, running);
    assert_eq!(story.plan(), ["start count"]);
    story.started(0);
    assert_eq!(story.shown(0), "Running x5");
}

#[test]
fn what_had_ended_before_a_restart_of_sampan_stays_ended() {
    let done = json!({ "terminated": { "exitCode": 0, "reason": "Completed" } });
    let mut story = resumed("OnFailure", LastStop::InOrder, done);
    assert!(story.plan().is_empty());
    assert_eq!(story.shown(0), "Completed x4");
}

#[test]
fn who_was_called_failed_stays_so_after_a_restart_of_sampan() {
    let running = json!({ "running": { "startedAt": "1969-12-31T23:00:00Z" } });
    let mut pod = resumable("Always", running);
    pod.status.as_mut().unwrap().phase = Some("Failed".to_owned());
    let mut story = Story::after(LastStop::InOrder, &pod);
    assert!(story.plan().is_empty());
    assert!(story.worker.has_ended());
    assert_eq!(story.worker.failure(), Some(("", "")));
}

fn with_debugger(mut pod: Pod, names: &[&str]) -> Pod {
    let containers: Vec<Value> =
        names.iter().map(|name| json!({ "name": name, "image": "busybox" })).collect();
    pod.spec.as_mut().unwrap().ephemeral_containers =
        Some(serde_json::from_value(json!(containers)).unwrap());
    pod
}

#[test]
fn an_ephemeral_container_comes_while_the_pod_runs_and_runs_once() {
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.started(0);
    story.worker.update(&with_debugger(one("Always"), &["first"]));
    assert_eq!(story.shown(1), "ContainerCreating x0");
    assert_eq!(story.plan(), ["start first"]);
    story.started(1);
    story.exited(1, 1);
    assert!(story.plan().is_empty());
    assert_eq!(story.shown(1), "Error x0");
    story.worker.update(&with_debugger(one("Always"), &["second", "first"]));
    assert_eq!(story.plan(), ["start second"]);
    assert_eq!(story.shown(2), "ContainerCreating x0");
}

#[test]
fn an_ephemeral_container_waits_for_no_other() {
    let initializing = pod(json!({
        "initContainers": [{ "name": "first", "image": "busybox" }],
        "containers": [{ "name": "count", "image": "busybox" }],
    }));
    let mut story = Story::of(&with_debugger(initializing, &["debugger"]));
    assert_eq!(story.plan(), ["start debugger", "start first"]);
}

#[test]
fn an_ephemeral_container_whose_image_is_missing_is_tried_again_and_whose_program_is_not() {
    let mut story = Story::of(&with_debugger(one("Always"), &["debugger"]));
    story.plan();
    story.started(0);
    let message = "no such image".to_owned();
    story.failed(1, StartFailure::Image { reason: "ErrImagePull", message });
    story.wait(10);
    assert!(story.plan().contains(&"start debugger".to_owned()));
    let message = "exec: not found".to_owned();
    story.failed(1, StartFailure::Run { exit_code: 127, reason: "StartError", message });
    assert!(story.plan().is_empty());
    assert_eq!(story.shown(1), "StartError x0");
}

#[test]
fn ephemeral_containers_end_with_the_pod() {
    let mut story = Story::of(&with_debugger(one("Never"), &["debugger"]));
    story.plan();
    story.started(0);
    story.started(1);
    story.exited(0, 0);
    assert_eq!(story.plan(), ["kill -15 debugger"]);
    story.exited(1, 143);
    story.worker.update(&with_debugger(one("Never"), &["debugger", "late"]));
    assert!(story.plan().is_empty());
    assert_eq!(story.worker.containers.len(), 2);
}

#[test]
fn an_ephemeral_container_does_not_outlive_a_restart_of_sampan() {
    for last_stop in [LastStop::Unknown, LastStop::InOrder] {
        let mut pod = with_debugger(one("Always"), &["debugger", "new"]);
        let status = json!({ "phase": "Running", "ephemeralContainerStatuses": [{
            "name": "debugger", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": { "running": {} },
        }] });
        pod.status = Some(serde_json::from_value(status).unwrap());
        let mut story = Story::after(last_stop, &pod);
        assert_eq!(story.plan(), ["start new", "start count"]);
        assert_eq!(story.shown(1), "ContainerStatusUnknown x0");
    }
}

#[test]
fn an_ended_pod_takes_up_no_ephemeral_container_that_never_came() {
    let mut pod = with_debugger(one("Never"), &["debugger"]);
    let status = json!({ "phase": "Succeeded" });
    pod.status = Some(serde_json::from_value(status).unwrap());
    assert_eq!(Story::of(&pod).worker.containers.len(), 1);
}

/// The Pod, being deleted with this many seconds to go.
fn deleted(mut pod: Pod, seconds: i64) -> Pod {
    let at = T0 + jiff::SignedDuration::from_secs(seconds);
    pod.metadata.deletion_timestamp = Some(Time(at));
    pod
}

#[test]
fn a_deleted_pod_serves_until_nobody_is_connected() {
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.started(0);
    story.worker.update(&deleted(one("Always"), 30));
    story.worker.end(Ending::Deleted);
    assert_eq!(story.plan(), ["drain", "retire", "wake +30s"]);
    assert_eq!(story.events, ["Killing: Stopping container count"]);
    assert_eq!(story.plan(), ["wake +30s"]);
    assert_eq!(story.shown(0), "Running x0");
    story.worker.drained();
    assert_eq!(story.plan(), ["kill -15 count"]);
    story.exited(0, 143);
    assert_eq!(story.plan(), ["finish"]);
    assert_eq!(story.events.len(), 1);
}

#[test]
fn connections_last_no_longer_than_the_grace_period() {
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.started(0);
    story.worker.update(&deleted(one("Always"), 30));
    story.worker.end(Ending::Deleted);
    story.plan();
    // A later DELETE brings it forward.
    story.worker.update(&deleted(one("Always"), 10));
    assert_eq!(story.plan(), ["wake +10s"]);
    story.wait(10);
    assert_eq!(story.plan(), ["kill -15 count"]);
    assert_eq!(story.events.len(), 1);
}

#[test]
fn a_pod_without_grace_or_without_an_object_is_ended_at_once() {
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.started(0);
    story.worker.update(&deleted(one("Always"), 0));
    story.worker.end(Ending::Deleted);
    assert_eq!(story.plan(), ["kill -15 count"]);
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.started(0);
    story.worker.update(&deleted(one("Always"), 30));
    story.worker.end(Ending::Deleted);
    story.plan();
    story.worker.end(Ending::Gone);
    assert_eq!(story.plan(), ["kill -15 count"]);
}

#[test]
fn what_has_not_come_up_does_not_serve() {
    let mut story = Story::of(&one("Always"));
    story.plan();
    story.worker.update(&deleted(one("Always"), 30));
    story.worker.end(Ending::Deleted);
    assert_eq!(story.plan(), ["abandon count", "finish"]);
}

#[test]
fn nothing_is_started_before_the_volumes_are_there() {
    let mut story = Story::of(&one("Always"));
    story.worker.volumes_are(Volumes::UnderWay);
    assert!(story.plan().is_empty());
    // It is a matter of microseconds: nobody needs to be told.
    assert!(story.worker.is_being_created());
    story.worker.volumes_are(Volumes::Failing);
    assert!(story.plan().is_empty());
    assert!(!story.worker.is_being_created());
    story.worker.volumes_are(Volumes::Ready);
    assert_eq!(story.plan(), ["start count"]);
}

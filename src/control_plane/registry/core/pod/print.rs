//! A Pod's row in `kubectl get`: the STATUS word is told from its containers' states.
//!
//! Upstream: `printPod` in `pkg/printers/internalversion/printers.go`.

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerStateTerminated, ContainerStatus, Pod, PodSpec, PodStatus,
};
use serde_json::Value;

use crate::control_plane::registry::Column;
use crate::control_plane::registry::print::{self, AGE, NAME, column, or, since, wide};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "How many containers are ready, of how many."),
    column("Status", "What the Pod is doing, told from the states of its containers."),
    column("Restarts", "How often containers were restarted, and when last."),
    AGE,
    wide("IP", "The Pod's address."),
    wide("Node", "The node it runs on."),
    wide("Nominated Node", "The node that is being cleared for it."),
    wide("Readiness Gates", "How many of its readiness gates are open, of how many."),
];

pub(super) fn row(pod: &Pod, now: Timestamp) -> Vec<Value> {
    let spec = pod.spec.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let summary = Summary::of(pod, &spec, &status);
    vec![
        print::name(&pod.metadata),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.word.clone().into(),
        summary.restarts(now).into(),
        print::age(&pod.metadata, now),
        or(status.pod_ip.as_deref(), "<none>").into(),
        or(spec.node_name.as_deref(), "<none>").into(),
        or(status.nominated_node_name.as_deref(), "<none>").into(),
        readiness_gates(&spec, &status).into(),
    ]
}

struct Summary {
    word: String,
    ready: usize,
    total: usize,
    restarts: Restarts,
}

#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &ContainerStatus) {
        self.count += i64::from(container.restart_count);
        let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let ended = ended.and_then(|ended| ended.finished_at.as_ref()).map(|time| time.0);
        self.last = self.last.max(ended);
    }
}

/// What the init containers say.
struct Initialization {
    /// `None` once they are done.
    word: Option<String>,
    ready_sidecars: usize,
    restarts: Restarts,
    sidecar_restarts: Restarts,
}

impl Summary {
    fn of(pod: &Pod, spec: &PodSpec, status: &PodStatus) -> Self {
        let sidecars = spec.init_containers.iter().flatten().filter(|one| is_sidecar(one)).count();
        let init = Initialization::of(spec, status);
        let mut summary = Self {
            word: phase_word(status),
            ready: init.ready_sidecars,
            total: spec.containers.len() + sidecars,
            restarts: init.restarts,
        };
        let initializing = init.word.is_some();
        if let Some(word) = init.word {
            summary.word = word;
        }
        if !initializing || is_true(status, "Initialized") {
            summary.restarts = init.sidecar_restarts;
            summary.read_containers(status);
        }
        summary.read_deletion(pod, status);
        summary
    }

    /// The first container's word wins, so they are read from last to first.
    fn read_containers(&mut self, status: &PodStatus) {
        let mut running = false;
        let mut failure = None;
        for container in status.container_statuses.iter().flatten().rev() {
            self.restarts.add(container);
            let state = container.state.clone().unwrap_or_default();
            let waiting = state.waiting.and_then(|waiting| waiting.reason).unwrap_or_default();
            if !waiting.is_empty() {
                self.word = waiting;
            } else if let Some(ended) = &state.terminated {
                self.word = ending(ended);
                if ended.exit_code != 0 {
                    failure = Some(self.word.clone());
                }
            } else if container.ready && state.running.is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.word == "Completed" && running {
            self.word = if is_true(status, "Ready") {
                "Running".to_owned()
            } else {
                failure.unwrap_or_else(|| "NotReady".to_owned())
            };
        }
    }

    fn read_deletion(&mut self, pod: &Pod, status: &PodStatus) {
        if pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        if status.reason.as_deref() == Some("NodeLost") {
            "Unknown".clone_into(&mut self.word);
        } else if !super::is_terminal(pod) {
            "Terminating".clone_into(&mut self.word);
        }
    }

    /// `3 (5m ago)`.
    fn restarts(&self, now: Timestamp) -> String {
        let mut text = self.restarts.count.to_string();
        if let Some(last) = self.restarts.last.filter(|_| self.restarts.count != 0) {
            write!(text, " ({} ago)", since(Some(last), now)).expect("a String takes all writes");
        }
        text
    }
}

impl Initialization {
    fn of(spec: &PodSpec, status: &PodStatus) -> Self {
        let containers = spec.init_containers.as_deref().unwrap_or_default();
        let mut init = Self {
            word: None,
            ready_sidecars: 0,
            restarts: Restarts::default(),
            sidecar_restarts: Restarts::default(),
        };
        for (index, container) in status.init_container_statuses.iter().flatten().enumerate() {
            let sidecar =
                containers.iter().any(|one| one.name == container.name && is_sidecar(one));
            init.restarts.add(container);
            if sidecar {
                init.sidecar_restarts.add(container);
            }
            let state = container.state.clone().unwrap_or_default();
            let succeeded = state.terminated.as_ref().is_some_and(|ended| ended.exit_code == 0);
            let started = sidecar && container.started == Some(true);
            if !succeeded && started && container.ready {
                init.ready_sidecars += 1;
            }
            if succeeded || started {
                continue;
            }
            let waiting = state.waiting.and_then(|waiting| waiting.reason).unwrap_or_default();
            init.word = Some(match &state.terminated {
                Some(ended) => format!("Init:{}", ending(ended)),
                None if !matches!(waiting.as_str(), "" | "PodInitializing") => {
                    format!("Init:{waiting}")
                }
                None => format!("Init:{index}/{}", containers.len()),
            });
            break;
        }
        init
    }
}

/// The word before any container is looked at.
fn phase_word(status: &PodStatus) -> String {
    let gated = status.conditions.iter().flatten().any(|condition| {
        condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("SchedulingGated")
    });
    if gated {
        return "SchedulingGated".to_owned();
    }
    or(status.reason.as_deref(), status.phase.as_deref().unwrap_or_default()).to_owned()
}

/// `Completed`, `Error`, `OOMKilled`, or the bare facts where nobody gave a reason.
fn ending(ended: &ContainerStateTerminated) -> String {
    match (ended.reason.as_deref().unwrap_or_default(), ended.signal.unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", ended.exit_code),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// An init container that keeps running beside the others.
fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn is_true(status: &PodStatus, condition: &str) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|one| one.type_ == condition && one.status == "True")
}

fn readiness_gates(spec: &PodSpec, status: &PodStatus) -> String {
    let gates = spec.readiness_gates.as_deref().unwrap_or_default();
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| is_true(status, &gate.condition_type)).count();
    format!("{open}/{}", gates.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T17:00:00Z".parse().unwrap()
    }

    /// Ready, status and restarts of a Pod with the init containers `i` and `s` (a sidecar) and the
    /// containers `a` and `b`.
    #[track_caller]
    fn check(status: Value, expect: [&str; 3]) {
        check_pod(json!({"status": status}), expect);
    }

    #[track_caller]
    fn check_pod(mut pod: Value, expect: [&str; 3]) {
        pod["spec"] = json!({
            "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "a"}, {"name": "b"}],
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let row = row(&pod, now());
        assert_eq!(row[1..4], expect.map(Value::from));
    }

    fn container(name: &str, state: Value) -> Value {
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": state})
    }

    fn running(name: &str) -> Value {
        let mut status = container(name, json!({"running": {}}));
        status["ready"] = json!(true);
        status
    }

    fn waiting(name: &str, reason: &str) -> Value {
        container(name, json!({"waiting": {"reason": reason}}))
    }

    fn ended(name: &str, exit_code: i32, reason: &str) -> Value {
        container(name, json!({"terminated": {"exitCode": exit_code, "reason": reason}}))
    }

    #[test]
    fn without_container_statuses_the_phase_is_told() {
        check(json!({"phase": "Pending"}), ["0/3", "Pending", "0"]);
        check(json!({"phase": "Failed", "reason": "Evicted"}), ["0/3", "Evicted", "0"]);
        let gated =
            json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]);
        let status = json!({"phase": "Pending", "conditions": gated});
        check(status, ["0/3", "SchedulingGated", "0"]);
    }

    #[test]
    fn init_containers_are_told_first() {
        let init = |statuses: Value, word: &str| {
            check(
                json!({"phase": "Pending", "initContainerStatuses": statuses}),
                ["0/3", word, "0"],
            );
        };
        init(json!([waiting("i", "PodInitializing")]), "Init:0/2");
        init(json!([waiting("i", "ErrImagePull")]), "Init:ErrImagePull");
        init(json!([ended("i", 1, "Error")]), "Init:Error");
        init(json!([ended("i", 3, "")]), "Init:ExitCode:3");
        init(json!([ended("i", 0, "Completed"), waiting("s", "")]), "Init:1/2");
    }

    #[test]
    fn the_first_container_has_the_last_word() {
        let all = |statuses: Value, ready: &str, word: &str| {
            let initialized = json!([{"type": "Initialized", "status": "True"}]);
            check(
                json!({"phase": "Running", "conditions": initialized,
                    "containerStatuses": statuses}),
                [ready, word, "0"],
            );
        };
        all(json!([running("a"), running("b")]), "2/3", "Running");
        all(json!([waiting("a", "ContainerCreating"), running("b")]), "1/3", "ContainerCreating");
        all(json!([running("a"), ended("b", 137, "OOMKilled")]), "1/3", "OOMKilled");
        all(json!([ended("a", 0, "Completed"), ended("b", 1, "Error")]), "0/3", "Completed");
        all(json!([ended("a", 0, "Completed"), running("b")]), "1/3", "NotReady");
    }

    #[test]
    fn a_deleted_pod_is_terminating_until_it_has_ended() {
        let deleted = |status: Value, word: &str| {
            let metadata = json!({"deletionTimestamp": "2026-11-22T16:59:00Z"});
            check_pod(json!({"metadata": metadata, "status": status}), ["0/3", word, "0"]);
        };
        deleted(json!({"phase": "Running"}), "Terminating");
        deleted(json!({"phase": "Succeeded"}), "Succeeded");
        deleted(json!({"phase": "Running", "reason": "NodeLost"}), "Unknown");
    }

    #[test]
    fn restarts_tell_when_the_last_one_was() {
        let mut crashed = waiting("a", "CrashLoopBackOff");
        crashed["restartCount"] = json!(3);
        crashed["lastState"] =
            json!({"terminated": {"exitCode": 1, "finishedAt": "2026-11-22T16:55:00Z"}});
        let mut sidecar = running("s");
        sidecar["started"] = json!(true);
        let status = json!({"phase": "Running", "containerStatuses": [crashed],
            "initContainerStatuses": [ended("i", 0, "Completed"), sidecar]});
        check(status, ["1/3", "CrashLoopBackOff", "3 (5m ago)"]);
    }

    #[test]
    fn wide_columns_say_none_rather_than_nothing() {
        let row = row(&Pod::default(), now());
        assert_eq!(
            row[4..],
            ["<unknown>", "<none>", "<none>", "<none>", "<none>"].map(Value::from)
        );
        assert_eq!(row.len(), COLUMNS.len());
    }
}

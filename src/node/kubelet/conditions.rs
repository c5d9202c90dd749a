//! The conditions that the kubelet keeps.
//!
//! Upstream: `pkg/kubelet/status/generate.go`.

use k8s_openapi::api::core::v1::{Pod, PodCondition};

use super::pod_worker::{ContainerRecord, Kind, PodWorker};
use super::status::{Phase, is_ready};

pub(super) const OF_KUBELET: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// Upstream: `PodConditionByKubelet`.
pub(super) fn is_of_kubelet(condition: &PodCondition) -> bool {
    OF_KUBELET.contains(&condition.type_.as_str())
}

/// In upstream's order; transition times are the caller's. Readiness gates look at the object's.
pub(super) fn of_kubelet(
    pod: &Pod,
    worker: &PodWorker,
    phase: Phase,
    has_network: bool,
) -> Vec<PodCondition> {
    let containers_ready = containers_ready(worker, phase);
    vec![
        condition("PodReadyToStartContainers", if has_network { Ok(()) } else { Err(Why::Silent) }),
        initialized(worker, phase),
        condition("Ready", pod_ready(pod, &containers_ready)),
        condition("ContainersReady", containers_ready),
        condition("PodScheduled", Ok(())),
    ]
}

/// Why a condition is not True.
#[derive(Debug, Clone)]
enum Why {
    Silent,
    Reason(&'static str, Option<String>),
}

fn condition(type_: &str, verdict: Result<(), Why>) -> PodCondition {
    let (status, reason, message) = match verdict {
        Ok(()) => ("True", None, None),
        Err(Why::Silent) => ("False", None, None),
        Err(Why::Reason(reason, message)) => ("False", Some(reason.to_owned()), message),
    };
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason,
        message,
        ..PodCondition::default()
    }
}

fn initialized(worker: &PodWorker, phase: Phase) -> PodCondition {
    if phase == Phase::Succeeded {
        let mut done = condition("Initialized", Ok(()));
        done.reason = Some("PodCompleted".to_owned());
        return done;
    }
    let missing = names(worker, |container| match container.kind {
        Kind::Init => !is_ready(container),
        Kind::Sidecar => !container.has_started(),
        Kind::App | Kind::Ephemeral => false,
    });
    // One that is started again later leaves the Pod initialized.
    let has_begun = worker.containers.iter().any(|one| one.kind == Kind::App && one.has_run());
    let verdict = if missing.is_empty() || has_begun {
        Ok(())
    } else {
        let text = format!("containers with incomplete status: [{}]", missing.join(" "));
        Err(Why::Reason("ContainersNotInitialized", Some(text)))
    };
    condition("Initialized", verdict)
}

fn containers_ready(worker: &PodWorker, phase: Phase) -> Result<(), Why> {
    match phase {
        Phase::Succeeded => return Err(Why::Reason("PodCompleted", None)),
        Phase::Failed => return Err(Why::Reason("PodFailed", None)),
        Phase::Pending | Phase::Running => {}
    }
    let lasts = |kind| matches!(kind, Kind::Sidecar | Kind::App);
    let unready = names(worker, |container| lasts(container.kind) && !is_ready(container));
    if unready.is_empty() {
        return Ok(());
    }
    let text = format!("containers with unready status: [{}]", unready.join(" "));
    Err(Why::Reason("ContainersNotReady", Some(text)))
}

fn pod_ready(pod: &Pod, containers_ready: &Result<(), Why>) -> Result<(), Why> {
    containers_ready.clone()?;
    let known = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_ref());
    let mut complaints = Vec::new();
    for gate in gates.into_iter().flatten() {
        let type_ = &gate.condition_type;
        match known.into_iter().flatten().find(|condition| condition.type_ == *type_) {
            Some(condition) if condition.status == "True" => {}
            Some(condition) => complaints.push(format!(
                "the status of pod readiness gate {type_:?} is not \"True\", but {}",
                condition.status
            )),
            None => complaints.push(format!(
                "corresponding condition of pod readiness gate {type_:?} does not exist."
            )),
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Why::Reason("ReadinessGatesNotReady", Some(complaints.join(", "))))
}

fn names(worker: &PodWorker, wanted: impl Fn(&ContainerRecord) -> bool) -> Vec<&str> {
    let containers = worker.containers.iter().filter(|container| wanted(container));
    containers.map(|container| container.name.as_str()).collect()
}

//! A Pod's status as the API shows it, computed from what the pod worker knows.
//!
//! Upstream: `pkg/kubelet/kubelet_pods.go` (`getPhase`, `convertToAPIContainerStatuses`),
//! `pkg/kubelet/status/generate.go`.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions;
use super::pod_worker::{ContainerRecord, Ending, Kind, PodWorker, State, Terminated};
use super::termination;

/// What the node adds to a Pod's status.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) host_ip: IpAddr,
    /// None before the Pod has one.
    pub(super) pod_ip: Option<Ipv4Addr>,
}

/// The status at `now`, with the kubelet's conditions only. `ours` are these as they last were: those that
/// did not change keep their transition time. What else the kubelet does not keep is as in the object.
pub(super) fn build(
    pod: &Pod,
    worker: &PodWorker,
    place: Place,
    ours: &[PodCondition],
    now: Timestamp,
) -> PodStatus {
    let phase = phase(pod, worker);
    let (reason, message) = worker.failure().unzip();
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let pod_ip = place.pod_ip.map(|ip| ip.to_string());
    let host_ip = place.host_ip.to_string();
    let before = pod.status.as_ref();
    PodStatus {
        phase: Some(phase.name().to_owned()),
        reason: given(reason),
        message: given(message),
        start_time: Some(Time(worker.started_at)),
        host_ips: Some(vec![HostIP { ip: host_ip.clone() }]),
        host_ip: Some(host_ip),
        pod_ips: pod_ip.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip,
        init_container_statuses: statuses(worker, &[Kind::Init, Kind::Sidecar]),
        container_statuses: statuses(worker, &[Kind::App]),
        ephemeral_container_statuses: statuses(worker, &[Kind::Ephemeral]),
        conditions: Some(conditions(pod, worker, phase, place, ours, now)),
        nominated_node_name: before.and_then(|status| status.nominated_node_name.clone()),
        observed_generation: before.and_then(|status| status.observed_generation),
        qos_class: before.and_then(|status| status.qos_class.clone()),
        resize: before.and_then(|status| status.resize.clone()),
        resource_claim_statuses: before.and_then(|status| status.resource_claim_statuses.clone()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// How far the Pod is; a phase never goes back from Succeeded or Failed.
pub(super) fn phase(pod: &Pod, worker: &PodWorker) -> Phase {
    let lives = worker.containers.iter().any(ContainerRecord::lives);
    match &worker.ending {
        Some(_) if !lives && worker.failure().is_some() => return Phase::Failed,
        Some(Ending::Deleted | Ending::Gone) if !lives => return phase_at_end(pod, worker),
        _ => {}
    }
    running_phase(pod, worker)
}

/// Upstream: `getPhase`.
fn running_phase(pod: &Pod, worker: &PodWorker) -> Phase {
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let init = worker.containers.iter().filter(|container| container.kind == Kind::Init);
    let init_failed =
        init.clone().any(|container| has_failed(container) && policy == Some("Never"));
    if init_failed {
        return Phase::Failed;
    }
    let apps = || worker.containers.iter().filter(|container| container.kind == Kind::App);
    let initializing = init.clone().any(|container| !has_succeeded(container));
    let never_ran = |container: &ContainerRecord| {
        matches!(container.shown(), State::Waiting { .. }) && container.last.is_none()
    };
    if initializing && apps().all(never_ran) || apps().any(never_ran) {
        return Phase::Pending;
    }
    // Upstream holds a last phase back while anything still runs.
    let companion_runs = || {
        let companion = |kind| matches!(kind, Kind::Sidecar | Kind::Ephemeral);
        worker.containers.iter().any(|one| companion(one.kind) && one.is_running())
    };
    if apps().any(is_running) || companion_runs() {
        return Phase::Running;
    }
    match policy {
        Some("Never" | "OnFailure") if apps().all(has_succeeded) => Phase::Succeeded,
        // One that waits runs again after a stop of sampan's: see `LastStop`.
        Some("Never") if apps().all(has_ended) => Phase::Failed,
        _ => Phase::Running,
    }
}

/// A deleted Pod whose containers have ended is finished, whatever its restartPolicy.
fn phase_at_end(pod: &Pod, worker: &PodWorker) -> Phase {
    let apps = || worker.containers.iter().filter(|container| container.kind == Kind::App);
    if apps().all(|container| matches!(container.shown(), State::Waiting { .. })) {
        return running_phase(pod, worker);
    }
    if apps().all(has_succeeded) { Phase::Succeeded } else { Phase::Failed }
}

fn is_running(container: &ContainerRecord) -> bool {
    matches!(container.shown(), State::Running { .. })
}

fn has_ended(container: &ContainerRecord) -> bool {
    matches!(container.shown(), State::Terminated(_))
}

fn has_succeeded(container: &ContainerRecord) -> bool {
    matches!(container.shown(), State::Terminated(end) if end.exit_code == 0)
}

fn has_failed(container: &ContainerRecord) -> bool {
    matches!(container.shown(), State::Terminated(end) if end.exit_code != 0)
}

fn statuses(worker: &PodWorker, kinds: &[Kind]) -> Option<Vec<ContainerStatus>> {
    let containers = worker.containers.iter().filter(|container| kinds.contains(&container.kind));
    let mut statuses: Vec<ContainerStatus> = containers.map(container_status).collect();
    for status in &mut statuses {
        for state in [&mut status.state, &mut status.last_state].into_iter().flatten() {
            let message = state.terminated.as_mut().and_then(|end| end.message.as_mut());
            if let Some(message) = message {
                let shared = termination::shared(message, worker.containers.len()).len();
                message.truncate(shared);
            }
        }
    }
    // Upstream sorts them by name but for the init containers, which it keeps in order.
    if !kinds.contains(&Kind::Init) {
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
    }
    (!statuses.is_empty()).then_some(statuses)
}

fn container_status(container: &ContainerRecord) -> ContainerStatus {
    let shown = container.shown();
    let last = container.last.as_ref();
    let (image, image_id) = match &container.image {
        Some((reference, digest)) => (reference.clone(), image_id(reference, digest)),
        None => (container.asked.clone(), String::new()),
    };
    let started =
        container.has_started() || container.kind == Kind::Init && has_succeeded(container);
    ContainerStatus {
        name: container.name.clone(),
        state: Some(state(shown)),
        last_state: Some(last.map_or_else(ContainerState::default, |end| ContainerState {
            terminated: Some(terminated(end)),
            ..ContainerState::default()
        })),
        ready: is_ready(container),
        started: (container.kind != Kind::Ephemeral).then_some(started),
        restart_count: i32::try_from(container.restart_count()).unwrap_or(i32::MAX),
        image,
        image_id,
        container_id: container_id(shown).or_else(|| last.and_then(|end| end.id.clone())),
        volume_mounts: (!container.mounts.is_empty()).then(|| container.mounts.clone()),
        ..ContainerStatus::default()
    }
}

/// An init container is ready when it has succeeded, a lasting one while its probes say so; nobody waits
/// for an ephemeral one.
pub(super) fn is_ready(container: &ContainerRecord) -> bool {
    match container.kind {
        Kind::Init => has_succeeded(container),
        Kind::Sidecar | Kind::App => container.serves(),
        Kind::Ephemeral => false,
    }
}

fn container_id(state: &State) -> Option<String> {
    match state {
        State::Running { run, .. } => Some(run.id.clone()),
        State::Terminated(end) => end.id.clone(),
        State::Waiting { .. } | State::Starting { .. } => None,
    }
}

/// `repository@digest`, without the tag.
fn image_id(reference: &str, digest: &str) -> String {
    let repository = match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => reference,
    };
    format!("{repository}@{digest}")
}

fn state(state: &State) -> ContainerState {
    match state {
        State::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting {
                reason: Some(reason.clone()),
                message: message.clone(),
            }),
            ..ContainerState::default()
        },
        State::Starting { before } | State::Running { before: Some(before), .. } => {
            self::state(before)
        }
        State::Running { run, .. } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(run.started_at)) }),
            ..ContainerState::default()
        },
        State::Terminated(end) => {
            ContainerState { terminated: Some(terminated(end)), ..ContainerState::default() }
        }
    }
}

fn terminated(end: &Terminated) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: end.exit_code,
        reason: Some(end.reason.clone()),
        message: end.message.clone(),
        container_id: end.id.clone(),
        started_at: end.started_at.map(Time),
        finished_at: end.finished_at.map(Time),
        signal: None,
    }
}

fn conditions(
    pod: &Pod,
    worker: &PodWorker,
    phase: Phase,
    place: Place,
    ours: &[PodCondition],
    now: Timestamp,
) -> Vec<PodCondition> {
    // Its sandbox goes when a Pod has ended.
    let has_network = place.pod_ip.is_some() && !phase.is_terminal();
    let mut conditions = conditions::of_kubelet(pod, worker, phase, has_network);
    for condition in &mut conditions {
        let same =
            ours.iter().find(|old| old.type_ == condition.type_ && old.status == condition.status);
        let since = same.and_then(|old| old.last_transition_time.clone());
        condition.last_transition_time = since.or(Some(Time(now)));
    }
    conditions
}

//! Takes up a Pod that an earlier sampan ran. The API object is the only record of it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PodStatus};

use super::machine::PodWorker;
use super::record::{ContainerRecord, Ending, Kind, State, Terminated};

/// How the sampan before this one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::kubelet) enum LastStop {
    /// `kill -9`, a crash, a power cut; or there was none.
    Unknown,
    /// It ended its guests itself, so that no Pod can be blamed for it.
    InOrder,
}

/// Carries over what `status` says, and counts what was running as lost: killed, with a code that
/// nobody saw. What sampan itself ended in order runs again whatever its restart policy, or every
/// SIGTERM would fail the Pods that must not be restarted; ephemeral containers run once, come what
/// may.
pub(super) fn resume(
    worker: &mut PodWorker,
    status: &PodStatus,
    last_stop: LastStop,
    now: Timestamp,
) {
    let lists = [
        &status.init_container_statuses,
        &status.container_statuses,
        &status.ephemeral_container_statuses,
    ];
    for container_status in lists.into_iter().flatten().flatten() {
        let index =
            worker.containers.iter().position(|container| container.name == container_status.name);
        if let Some(index) = index {
            resume_container(worker, index, container_status, last_stop, now);
        }
    }
    if status.phase.as_deref() == Some("Failed") {
        worker.ending = Some(Ending::failed(status));
    }
    // A Pod that has ended stays ended, whatever is missing in its status.
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        worker.containers.iter_mut().for_each(|container| container.start_at = None);
    }
}

fn resume_container(
    worker: &mut PodWorker,
    index: usize,
    status: &ContainerStatus,
    last_stop: LastStop,
    now: Timestamp,
) {
    let state = status.state.as_ref();
    let last = status.last_state.as_ref().and_then(|last| last.terminated.as_ref()).map(read);
    let restart_count = u32::try_from(status.restart_count).unwrap_or(0);
    let container = &mut worker.containers[index];
    container.last = last;
    container.image = image(status);
    if let Some(terminated) = state.and_then(|state| state.terminated.as_ref()) {
        container.runs = restart_count + 1;
        let end = read(terminated);
        end_run(worker, index, end);
    } else if let Some(running) = state.and_then(|state| state.running.as_ref()) {
        container.runs = restart_count + 1;
        let end = Terminated {
            exit_code: 137,
            reason: "ContainerStatusUnknown".to_owned(),
            message: Some("The container was running when sampan stopped".to_owned()),
            id: status.container_id.clone(),
            started_at: running.started_at.as_ref().map(|at| at.0),
            finished_at: Some(now),
        };
        if last_stop == LastStop::InOrder && container.kind != Kind::Ephemeral {
            // Not shown as terminated: with a policy of Never that would be the Pod's end.
            container.last = Some(end);
            let reason = "ContainerCreating".to_owned();
            container.state = State::Waiting { reason, message: None };
        } else {
            end_run(worker, index, end);
        }
    } else if container.last.is_some() {
        container.runs = restart_count + 1;
        keep_waiting(container, status);
    }
}

fn end_run(worker: &mut PodWorker, index: usize, end: Terminated) {
    let again = worker.restarts(index, end.exit_code);
    let container = &mut worker.containers[index];
    container.state = State::Terminated(end);
    container.start_at = again.then_some(Timestamp::MIN);
}

/// It was waiting for its next run: the back-off of an earlier life is forgotten.
fn keep_waiting(container: &mut ContainerRecord, status: &ContainerStatus) {
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
    if let Some(waiting) = waiting {
        let reason = waiting.reason.clone().unwrap_or_default();
        container.state = State::Waiting { reason, message: waiting.message.clone() };
    }
}

fn image(status: &ContainerStatus) -> Option<(String, String)> {
    let (_, digest) = status.image_id.rsplit_once('@')?;
    Some((status.image.clone(), digest.to_owned()))
}

fn read(terminated: &ContainerStateTerminated) -> Terminated {
    Terminated {
        exit_code: terminated.exit_code,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone(),
        id: terminated.container_id.clone(),
        started_at: terminated.started_at.as_ref().map(|at| at.0),
        finished_at: terminated.finished_at.as_ref().map(|at| at.0),
    }
}

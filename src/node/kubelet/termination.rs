//! What is said of a run that ended.
//!
//! Upstream: `pkg/kubelet/kuberuntime/kuberuntime_container.go` (`getTerminationMessage`),
//! containerd's reasons.

use std::io::Read;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;

use super::pod_worker::Terminated;
use super::run::Live;
use crate::node::runtime::Exit;

/// Upstream's `MaxContainerTerminationMessageLength`.
const MESSAGE_BYTES_MAX: u64 = 4_096;
/// Upstream's `MaxContainerTerminationMessageLogLength` and `…LogLines`.
const LOG_BYTES_MAX: usize = 2_048;
const LOG_LINES_MAX: u64 = 80;

pub(super) fn end(
    exit: &Exit,
    message: Option<String>,
    id: String,
    started_at: Timestamp,
    finished_at: Timestamp,
) -> Terminated {
    let reason = match exit {
        Exit { oom_killed: true, .. } => "OOMKilled",
        Exit { code: 0, .. } => "Completed",
        Exit { .. } => "Error",
    };
    Terminated {
        exit_code: exit.code,
        reason: reason.to_owned(),
        message,
        id: Some(id),
        started_at: Some(started_at),
        finished_at: Some(finished_at),
    }
}

/// What the container left in its termination file; else, if it failed and asked for that, the end
/// of its log; else what the host has to say.
pub(super) fn message(spec: &Container, live: &Live, exit: &Exit) -> Option<String> {
    let path = spec.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    let left = file(live, path);
    let wants_log = spec.termination_message_policy.as_deref() == Some("FallbackToLogsOnError")
        && exit.code != 0;
    let log = || if wants_log { live.log.last_lines(LOG_LINES_MAX, LOG_BYTES_MAX) } else { None };
    left.or_else(log).or_else(|| exit.message.clone())
}

fn file(live: &Live, path: &str) -> Option<String> {
    let file = live.upper.open(path.trim_start_matches('/')).ok()?;
    let mut text = Vec::new();
    file.take(MESSAGE_BYTES_MAX).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    (!text.is_empty()).then_some(text)
}

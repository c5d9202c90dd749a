//! One question of a probe, from its turn to its answer.
//!
//! Upstream: `pkg/kubelet/prober/prober.go` (`runProbeWithRetries`, `runProbe`).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container as ContainerSpec, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::sync::Semaphore;

use super::dial::{self, Deadline, Dialer};
use super::{exec, grpc, http_get, tcp};
use crate::client::clock::Clock;
use crate::node::runtime::Container;

/// Bound: questions of all Pods that wait for an answer at once; each holds a connection, or a process in
/// its container. Ten thousand Pods with probes at their default period and time-out ask a thousand a
/// second, and have as many open at most. A question beyond it waits its turn; only then its time begins.
pub(in crate::node::kubelet) const PROBES_AT_ONCE_MAX: usize = 2_048;
/// How often a question is put that cannot be asked.
const TRIES: usize = 3;
/// Upstream's, of the version that we speak.
pub(super) const USER_AGENT: &str = "kube-probe/1.33";

/// What somebody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Success,
    /// Well, but somebody should look at it.
    Warning(String),
    Failure(String),
}

/// The question could not be asked; that says nothing of who was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Errored {
    /// What upstream's text calls it.
    pub(super) result: &'static str,
    pub(super) text: String,
}

/// All that is needed to ask.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) probe: Probe,
    pub(super) spec: Arc<ContainerSpec>,
    pub(super) container: Arc<Container>,
    /// `None`: the Pod has no address.
    pub(super) dialer: Option<Dialer>,
    /// Until when (monotonic) a port that nobody listens at is waited for.
    pub(super) port_by: Duration,
    pub(super) clock: Clock,
    pub(super) turns: Arc<Semaphore>,
}

impl Errored {
    pub(super) fn unknown(text: impl Into<String>) -> Self {
        Self { result: "unknown", text: text.into() }
    }

    /// Something began to be answered.
    pub(super) fn failure(text: impl Into<String>) -> Self {
        Self { result: "failure", text: text.into() }
    }
}

impl Question {
    /// # Errors
    /// [`Errored`]
    pub(super) async fn ask(self) -> Result<Answer, Errored> {
        self.await_port().await;
        // Fails only when the semaphore is closed, which nobody does.
        let _turn = self.turns.acquire().await;
        let mut last = Err(Errored::unknown(""));
        for _ in 0..TRIES {
            last = self.try_to_ask().await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn try_to_ask(&self) -> Result<Answer, Errored> {
        let probe = &self.probe;
        let seconds = probe.timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let timeout = Duration::from_secs(seconds.unwrap_or(1).max(1));
        let deadline = Deadline { clock: self.clock.clone(), at: self.clock.monotonic() + timeout };
        if let Some(action) = &probe.exec {
            let command = action.command.as_deref().unwrap_or_default();
            let command = exec::command(command, &self.spec);
            return exec::ask(&self.container, command, timeout, &deadline).await;
        }
        let port = self.port().map_err(Errored::unknown)?;
        let dialer = self.dialer.as_ref();
        let dialer = dialer.ok_or_else(|| Errored::unknown("the pod has no address"))?;
        if let Some(action) = &probe.http_get {
            http_get::ask(dialer, action, port, &deadline).await
        } else if let Some(action) = &probe.tcp_socket {
            let host = action.host.clone().filter(|host| !host.is_empty());
            let host = host.unwrap_or_else(|| dialer.pod_host());
            Ok(tcp::ask(dialer, &host, port, &deadline).await)
        } else if let Some(action) = &probe.grpc {
            Ok(grpc::ask(dialer, action, port, timeout, &deadline).await)
        } else {
            Err(Errored::unknown("missing probe handler"))
        }
    }

    fn port(&self) -> Result<u16, String> {
        let Probe { http_get, tcp_socket, grpc, .. } = &self.probe;
        let port = http_get.as_ref().map(|action| &action.port);
        let port = port.or_else(|| tcp_socket.as_ref().map(|action| &action.port));
        let grpc = grpc.as_ref().map(|action| IntOrString::Int(action.port));
        let port = port.or(grpc.as_ref()).ok_or("missing probe handler")?;
        dial::port(port, &self.spec)
    }

    /// A server that has just begun needs a moment until it listens.
    async fn await_port(&self) {
        let Probe { http_get, tcp_socket, .. } = &self.probe;
        let host = http_get.as_ref().and_then(|action| action.host.as_ref());
        let host = host.or_else(|| tcp_socket.as_ref().and_then(|action| action.host.as_ref()));
        let (Ok(port), Some(dialer)) = (self.port(), &self.dialer) else { return };
        if host.is_none_or(String::is_empty) {
            let by = Deadline { clock: self.clock.clone(), at: self.port_by };
            // If it still does not listen then, the question says so.
            let _ = by.allows(dialer.pod.listening(port)).await;
        }
    }
}

//! The door to a node: what the API server asks of the kubelet that runs a Pod.
//!
//! The kubelet implements [`NodeApi`]; the API server calls it for `log`, `exec`, `attach`,
//! `portforward` and for what `metrics.k8s.io` answers.
//! Upstream: the kubelet's HTTP server, `pkg/kubelet/server/server.go`.

use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// The container of one Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRef {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub container: String,
}

/// A Pod, told by its uid from others that had its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRef {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// The query of `pods/log`. Upstream: `v1.PodLogOptions`.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    pub follow: bool,
    /// The container's last terminated run instead of the current one.
    pub previous: bool,
    pub since: Option<Duration>,
    pub since_time: Option<Timestamp>,
    pub timestamps: bool,
    pub tail_lines: Option<u64>,
    pub limit_bytes: Option<u64>,
}

pub type BoxRead = Box<dyn AsyncRead + Send + Unpin>;
pub type BoxWrite = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection: shutting it down ends what we send, the other side may go on.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub type BoxDuplex = Box<dyn Duplex>;

/// The caller's ends of a process's standard streams. `None` is closed (stdin) or dropped (the others).
/// Dropping the call's future ends the process.
#[derive(Default)]
pub struct Streams {
    pub stdin: Option<BoxRead>,
    pub stdout: Option<BoxWrite>,
    pub stderr: Option<BoxWrite>,
    /// With a terminal: `stdin` is its keyboard and `stdout` its screen, `stderr` is not used.
    pub terminal: Option<watch::Receiver<TerminalSize>>,
}

/// In characters; 0 if it is not known. Upstream: `remotecommand.TerminalSize`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// What something uses, and how much it computed of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// When this was so.
    pub at: Timestamp,
    /// Over how long before it the CPU's use is averaged.
    pub window: Duration,
    /// Billionths of a core.
    pub cpu_nanocores: u64,
    pub memory_bytes: u64,
    /// Thousandths of an HTTP request each second, averaged likewise. `None`: it serves none (wasi:http;
    /// what a guest answers on sockets of its own is bytes to us).
    pub request_millis: Option<u64>,
}

/// What one container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUsage {
    pub name: String,
    pub usage: Usage,
}

/// What a node and some of its Pods use. Upstream: the kubelet's `/metrics/resource`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// The Node object's name.
    pub node: String,
    /// Of the node itself: all of sampan, its guests among it. `None`: not known yet.
    pub usage: Option<Usage>,
    /// For each Pod that was asked for, in that order: its running containers, by name. Those that
    /// have just started are not known yet.
    pub pods: Vec<Vec<ContainerUsage>>,
}

#[async_trait]
pub trait NodeApi: Send + Sync + 'static {
    /// The container's log, in chunks of whole or partial lines; with `follow` until it ends.
    ///
    /// # Errors
    /// [`NodeError::BadRequest`] worded as the kubelet words it, if there is no such container or
    /// no log yet.
    async fn logs(
        &self,
        container: &ContainerRef,
        options: LogOptions,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>, NodeError>;

    /// Runs a command in the container and waits for its end; answers its exit code.
    ///
    /// # Errors
    /// [`NodeError::NotFound`] if no such program is in the container.
    async fn exec(
        &self,
        container: &ContainerRef,
        command: Vec<String>,
        streams: Streams,
    ) -> Result<i32, NodeError>;

    /// Joins the running container's streams until it ends or the caller leaves.
    async fn attach(&self, container: &ContainerRef, streams: Streams) -> Result<(), NodeError>;

    /// Connects to a port of the Pod as its own containers would by `localhost`; dropping the
    /// connection resets it.
    ///
    /// # Errors
    /// [`NodeError::NotFound`] if the Pod is not there; [`NodeError::BadRequest`], worded for the user,
    /// if nobody listens.
    async fn port_forward(&self, pod: &PodRef, port: u16) -> Result<BoxDuplex, NodeError>;

    /// What the node and these of its Pods use.
    async fn stats(&self, pods: &[PodRef]) -> Stats;
}

#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Internal(String),
}

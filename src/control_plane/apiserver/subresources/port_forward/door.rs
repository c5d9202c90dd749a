//! One connection: a client's stream joined with a port of the Pod.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::client::node_api::{NodeApi, PodRef};

/// Bound: bytes taken from one side that the other has not; each connection has two such buffers.
const COPY_BYTES: usize = 32 * 1024;

/// The way to one Pod.
#[derive(Clone)]
pub(super) struct Door {
    node: Arc<dyn NodeApi>,
    pod: Arc<PodRef>,
}

impl Door {
    pub(super) fn new(node: Arc<dyn NodeApi>, pod: PodRef) -> Self {
        Self { node, pod: Arc::new(pod) }
    }

    /// Joins the client with the port until both have said all they had to say. When the client is
    /// gone (`left`) before the Pod has finished, the Pod's connection is dropped, which resets it.
    ///
    /// # Errors
    /// The text for the client's error stream, if there is no connection to the Pod. One that breaks
    /// later just ends: kubectl takes every text for a reason to give up its other connections too.
    pub(super) async fn forward(
        &self,
        port: u16,
        client: impl AsyncRead + AsyncWrite + Send,
        left: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let Self { node, pod } = self;
        let pod_side = node.port_forward(pod, port).await.map_err(|err| {
            let PodRef { name, uid, .. } = &**pod;
            format!("error forwarding port {port} to pod {name}, uid {uid}: {err}")
        })?;
        if let Err(err) = join(client, pod_side, left).await {
            tracing::debug!(pod = pod.name, port, %err, "A forwarded connection broke");
        }
        Ok(())
    }
}

async fn join(
    client: impl AsyncRead + AsyncWrite + Send,
    pod: impl AsyncRead + AsyncWrite + Send,
    left: impl Future<Output = ()>,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_pod, mut to_pod) = tokio::io::split(pod);
    let there = async {
        if carry(&mut from_client, &mut to_pod).await.is_err() {
            // The Pod reads no more, but may have answered. What the client sends must not stand
            // in the way of its other connections.
            tokio::io::copy(&mut from_client, &mut tokio::io::sink()).await?;
        }
        Ok(())
    };
    let back = async {
        tokio::select! {
            carried = carry(&mut from_pod, &mut to_client) => carried,
            () = left => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    };
    tokio::try_join!(there, back).map(drop)
}

/// Carries bytes to the end, and tells of the end.
async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut from = tokio::io::BufReader::with_capacity(COPY_BYTES, from);
    tokio::io::copy_buf(&mut from, to).await?;
    to.shutdown().await
}

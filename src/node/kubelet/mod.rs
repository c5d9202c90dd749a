//! Runs the Pods that are bound to this node, and tells the API server how they fare.
//!
//! Enter by [`Kubelet::start`]; `client::node_api` is the door for logs, exec and attach.
//!
//! ```text
//! pod_workers (which Pods are ours) -> sync_pod (one task per Pod: IO) <-> pod_worker (decides, pure)
//!                                        |-> run (one container: image, root, log, start)
//!                                        `-> status (pure) -> PATCH pods/status
//! ```
//!
//! Upstream: `pkg/kubelet`.

mod conditions;
mod env;
mod logs;
mod pod_worker;
mod status;

#[cfg(test)]
mod status_tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::cache::Cache;
use crate::client::clock::{Clock, Ids};
use crate::client::node_api::{ContainerRef, LogOptions, NodeApi, NodeError, Streams};
use crate::node::images::Images;
use crate::node::runtime::Runtime;

#[derive(Debug, Clone)]
pub struct Config {
    /// The Node object's name.
    pub node: String,
    pub address: IpAddr,
    /// One directory per Pod, by uid.
    pub pods_directory: PathBuf,
}

/// What the kubelet is handed to work with.
#[derive(Clone)]
pub struct Rooms {
    pub client: kube::Client,
    pub pods: Cache<Pod>,
    pub config_maps: Cache<ConfigMap>,
    pub secrets: Cache<Secret>,
    pub images: Images,
    pub runtime: Runtime,
    pub clock: Clock,
    pub ids: Ids,
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("pods", &self.pods).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct Kubelet {
    ready_tx: watch::Sender<bool>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Kubelet {
    pub fn start(config: Config, rooms: Rooms) -> Arc<Self> {
        let _ = (config, rooms);
        let (ready_tx, _) = watch::channel(false);
        Arc::new(Self { ready_tx, stop: CancellationToken::new(), tasks: TaskTracker::new() })
    }

    pub async fn ready(&self) {
        // Fails only when the sender is gone, and we hold the sender.
        let _ = self.ready_tx.subscribe().wait_for(|ready| *ready).await;
    }

    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[async_trait]
impl NodeApi for Kubelet {
    async fn logs(
        &self,
        container: &ContainerRef,
        options: LogOptions,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, NodeError> {
        let _ = options;
        Err(NodeError::NotFound(format!("pod {:?} is not running on this node", container.pod)))
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        command: Vec<String>,
        streams: Streams,
    ) -> Result<i32, NodeError> {
        let _ = (command, streams);
        Err(NodeError::NotFound(format!("pod {:?} is not running on this node", container.pod)))
    }

    async fn attach(&self, container: &ContainerRef, streams: Streams) -> Result<(), NodeError> {
        let _ = streams;
        Err(NodeError::NotFound(format!("pod {:?} is not running on this node", container.pod)))
    }
}

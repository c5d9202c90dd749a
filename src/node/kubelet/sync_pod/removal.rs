//! What is left to do for a Pod that has ended: its object and its files go.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Preconditions};
use tracing::{debug, warn};

use super::Task;
use crate::node::kubelet::lifecycle::Context;
use crate::node::kubelet::run;

/// A DELETE that failed is tried again after this long.
const DELETE_RETRY: Duration = Duration::from_secs(1);

impl Task {
    /// Gives back what the Pod had of the node, but for its files.
    pub(super) fn let_go(&self) {
        if let Some(network) = &self.network {
            network.leave();
        }
        self.ctx.addresses.release(&self.live.uid);
        for container in &self.worker.containers {
            let server = run::http_server(&self.ctx, &self.pod, &container.name);
            self.ctx.rooms.metrics.forget_http_server(&server);
        }
    }
}

pub(super) async fn remove(directory: PathBuf) {
    let removed = tokio::task::spawn_blocking(move || match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            warn!(path = %directory.display(), %error, "Failed to remove a Pod's files");
        }
        _ => {}
    });
    // Fails only if the removal panicked, which the panic has told.
    let _ = removed.await;
}

/// What a Pod's volumes took of the disk is free when this returns. Claims and what is the host's are elsewhere.
pub(super) async fn remove_volumes(pod_directory: &Path) {
    let volumes = pod_directory.join("volumes");
    // Most Pods have none there, and none of those needs a thread.
    if volumes.exists() {
        remove(volumes).await;
    }
}

/// Removes the object, if it still is this Pod; answers whether it is gone. What its volumes took of the
/// disk is free by then, as upstream (`PodResourcesAreReclaimed`).
pub(super) async fn delete(ctx: Arc<Context>, pod: Arc<Pod>, directory: PathBuf) -> bool {
    remove_volumes(&directory).await;
    let meta = &pod.metadata;
    let (Some(namespace), Some(name)) = (&meta.namespace, &meta.name) else { return true };
    let api: Api<Pod> = Api::namespaced(ctx.rooms.client.kube(), namespace);
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: meta.uid.clone(), resource_version: None }),
        ..DeleteParams::default()
    };
    match api.delete(name, &params).await {
        // Finalizers may keep the object; our part is done all the same.
        Ok(_) => true,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => true,
        Err(error) => {
            debug!(%error, "Failed to remove a Pod; trying again");
            ctx.rooms.clock.sleep(DELETE_RETRY).await;
            false
        }
    }
}

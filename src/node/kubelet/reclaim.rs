//! Gives back the directories of volumes of our own provisioner ([`LOCAL_PATH`] has the contract): deletes
//! those that are being deleted, leaves those that are to be retained, and lets the volume go.
//!
//! A volume goes only after its directory: killed in between, the node finds it again at the next start.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tracing::{info, warn};

use super::lifecycle::Context;
use crate::api::claim::{self, LOCAL_PATH, PROVISIONED_BY, VOLUME_PROTECTION};
use crate::api::object::ObjectKey;
use crate::client::events::EventType;
use crate::client::queue::{Backoff, Queue};
use crate::node::volumes;

/// Of a directory that cannot be deleted, or a server that does not answer.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), max: Duration::from_secs(60) };

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("make the volume's copies: {0}")]
    Copies(String),
    #[error("delete the volume's directory")]
    Directory(#[source] io::Error),
    #[error("take the finalizer away")]
    Finalizer(#[source] kube::Error),
}

/// Follows the volumes until the kubelet stops.
pub(super) async fn run(ctx: Arc<Context>) {
    let queue: Queue<ObjectKey> = Queue::new(ctx.rooms.clock.clone(), BACKOFF);
    let mut changes = ctx.rooms.persistent_volumes.changes();
    let stop = ctx.stop.clone();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(key) = changes.next() => queue.add(key),
            claim = queue.next() => {
                let volume = ctx.rooms.persistent_volumes.get(claim.key()).filter(|volume| is_due(volume));
                let outcome = match &volume {
                    Some(volume) => reclaim(&ctx, volume).await,
                    None => Ok(()),
                };
                match (outcome, volume) {
                    (Err(error), Some(volume)) => {
                        warn!(volume = %claim.key().name, %error, "Failed to reclaim a volume");
                        tell(&ctx, &volume, &error);
                        claim.failed();
                    }
                    _ => claim.succeeded(),
                }
            }
        }
    }
}

/// Whether it waits for us, and nobody can use it any more.
fn is_due(volume: &PersistentVolume) -> bool {
    let meta = &volume.metadata;
    let finalizers = meta.finalizers.as_deref().unwrap_or_default();
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    claim::annotation(meta, PROVISIONED_BY) == LOCAL_PATH
        && meta.deletion_timestamp.is_some()
        && has(LOCAL_PATH)
        && !has(VOLUME_PROTECTION)
}

fn is_retained(volume: &PersistentVolume) -> bool {
    let spec = volume.spec.as_ref();
    let policy = spec.and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy != Some("Delete")
}

async fn reclaim(ctx: &Context, volume: &PersistentVolume) -> Result<(), Error> {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let directory = ctx.config.volumes_directory.join(name);
    if is_retained(volume) {
        info!(volume = %name, directory = %directory.display(), "Retained: its files stay");
    } else {
        ctx.rooms.volumes.part_from(name).await.map_err(Error::Copies)?;
        let deleted = ctx.tasks.spawn_blocking(move || volumes::remove(&directory)).await;
        deleted.map_err(io::Error::other).flatten().map_err(Error::Directory)?;
        info!(volume = %name, "Deleted a volume's directory");
    }
    let finalizers = volume.metadata.finalizers.iter().flatten();
    let left: Vec<_> = finalizers.filter(|finalizer| *finalizer != LOCAL_PATH).collect();
    let patch = json!({"metadata": {
        "uid": volume.metadata.uid,
        "resourceVersion": volume.metadata.resource_version,
        "finalizers": left,
    }});
    let api: Api<PersistentVolume> = Api::all(ctx.rooms.client.kube());
    match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        written => written.map(drop).map_err(Error::Finalizer),
    }
}

fn tell(ctx: &Context, volume: &PersistentVolume, error: &Error) {
    let text = match error {
        Error::Copies(why) => why.clone(),
        Error::Directory(source) => format!("failed to delete the volume's directory: {source}"),
        Error::Finalizer(_) => return,
    };
    let reference = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolume".to_owned()),
        name: volume.metadata.name.clone(),
        uid: volume.metadata.uid.clone(),
        ..ObjectReference::default()
    };
    ctx.recorder.record(&reference, EventType::Warning, "VolumeFailedDelete", text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(deleted: bool, finalizers: &[&str], policy: &str) -> PersistentVolume {
        serde_json::from_value(json!({
            "metadata": {
                "name": "v",
                "annotations": {PROVISIONED_BY: LOCAL_PATH},
                "deletionTimestamp": deleted.then_some("2026-01-01T00:00:00Z"),
                "finalizers": finalizers,
            },
            "spec": {"persistentVolumeReclaimPolicy": policy},
        }))
        .unwrap()
    }

    #[test]
    fn only_what_nobody_can_use_any_more_is_due() {
        assert!(is_due(&volume(true, &[LOCAL_PATH], "Delete")));
        assert!(!is_due(&volume(false, &[LOCAL_PATH], "Delete")));
        assert!(!is_due(&volume(true, &[LOCAL_PATH, VOLUME_PROTECTION], "Delete")));
        assert!(!is_due(&volume(true, &[], "Delete")));
        let mut foreign = volume(true, &[LOCAL_PATH], "Delete");
        foreign.metadata.annotations = None;
        assert!(!is_due(&foreign));
    }

    #[test]
    fn what_is_not_said_to_be_deleted_is_retained() {
        assert!(!is_retained(&volume(true, &[], "Delete")));
        assert!(is_retained(&volume(true, &[], "Retain")));
        assert!(is_retained(&PersistentVolume::default()));
    }
}

//! Makes volumes for claims of classes whose provisioner is `sampan.dev/local-path`: directories of the
//! node. Nothing is made but the object; the node makes the directory when it mounts it, and deletes it
//! ([`crate::api::claim::LOCAL_PATH`] has the contract).
//!
//! A volume's name follows from its claim's uid, so that two are never made for one claim.
//!
//! Upstream: `sigs.k8s.io/sig-storage-lib-external-provisioner/controller`.

use std::path::Path;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, PostParams};
use serde_json::json;
use tracing::info;

use super::Context;
use super::ownership::{reference, revision, uid};
use super::reconcile;
use crate::api::claim::{self, BIND_COMPLETED, LOCAL_PATH, PROVISIONED_BY, SELECTED_NODE};
use crate::api::object::ObjectKey;
use crate::client::events::EventType;

pub(super) async fn run(ctx: Context) {
    ctx.caches.volumes.synced().await;
    ctx.caches.storage_classes.synced().await;
    let keys = ctx.caches.claims.changes();
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("local-path-provisioner", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { provision(&ctx, &key).await }
    })
    .await;
}

async fn provision(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(claim) = ctx.caches.claims.get(key).filter(|claim| wants_ours(claim)) else {
        return Ok(());
    };
    let class = claim::class_of_claim(&claim);
    let Some(class) = ctx.caches.storage_classes.get(&ObjectKey::new("", class)) else {
        return Ok(());
    };
    let name = format!("pvc-{}", uid(&claim.metadata));
    if ctx.caches.volumes.get(&ObjectKey::new("", name.as_str())).is_some() {
        return Ok(());
    }
    let tell = |type_, reason, text: String| {
        ctx.recorder.record(&reference(&*claim), type_, reason, text);
    };
    let text = format!("External provisioner is provisioning volume for claim \"{key}\"");
    tell(EventType::Normal, "Provisioning", text);
    if let Some(complaint) = complaint(&claim) {
        let class = class.metadata.name.as_deref().unwrap_or_default();
        let text = format!("failed to provision volume with StorageClass {class:?}: {complaint}");
        tell(EventType::Warning, "ProvisioningFailed", text);
        return Ok(());
    }
    let volume = volume(&claim, &class, &name, &ctx.settings.volumes_directory);
    let api: Api<PersistentVolume> = Api::all(ctx.client.clone());
    match api.create(&PostParams::default(), &volume).await {
        // Made before, and not yet seen.
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        made => {
            ctx.caches.volumes.reached(revision(&made?.metadata)).await;
            info!(claim = %key, volume = %name, "Provisioned");
            let text = format!("Successfully provisioned volume {name}");
            tell(EventType::Normal, "ProvisioningSucceeded", text);
            Ok(())
        }
    }
}

/// Whether the claim waits for a volume of ours.
fn wants_ours(claim: &PersistentVolumeClaim) -> bool {
    claim::volume_name(claim).is_empty()
        && !claim::has_annotation(&claim.metadata, BIND_COMPLETED)
        && claim.metadata.deletion_timestamp.is_none()
        && claim::annotation(&claim.metadata, claim::STORAGE_PROVISIONER) == LOCAL_PATH
}

/// Why there can be no such volume.
fn complaint(claim: &PersistentVolumeClaim) -> Option<&'static str> {
    let spec = claim.spec.as_ref()?;
    if spec.selector.is_some() {
        return Some("claim Selector is not supported");
    }
    if spec.data_source.is_some() || spec.data_source_ref.is_some() {
        return Some("a volume cannot be made from a dataSource here; `sampan volume cp` copies");
    }
    let is_block = spec.volume_mode.as_deref() == Some("Block");
    is_block.then_some("there are no block devices here; use volumeMode Filesystem")
}

fn volume(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    name: &str,
    directory: &Path,
) -> PersistentVolume {
    let spec = claim.spec.clone().unwrap_or_default();
    let requests = spec.resources.and_then(|resources| resources.requests).unwrap_or_default();
    // What a Pod of that node was to use stays with that node.
    let node = claim::annotation(&claim.metadata, SELECTED_NODE);
    let is_there = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
    let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [is_there]}]}});
    let volume = json!({
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: LOCAL_PATH},
            "finalizers": [LOCAL_PATH],
        },
        "spec": {
            "accessModes": spec.access_modes,
            "capacity": {"storage": requests.get("storage")},
            "claimRef": reference(claim),
            "hostPath": {"path": directory.join(name).to_string_lossy(), "type": "DirectoryOrCreate"},
            "mountOptions": class.mount_options,
            "nodeAffinity": (!node.is_empty()).then_some(affinity),
            "persistentVolumeReclaimPolicy": class.reclaim_policy,
            "storageClassName": class.metadata.name,
            "volumeMode": spec.volume_mode,
        },
    });
    serde_json::from_value(volume).expect("it is written above as its type wants it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(more: serde_json::Value) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": {"name": "c", "namespace": "n", "uid": "1",
                "annotations": {claim::STORAGE_PROVISIONER: LOCAL_PATH}},
            "spec": {"accessModes": ["ReadWriteMany"], "volumeMode": "Filesystem",
                "resources": {"requests": {"storage": "10Mi"}}},
        });
        for (name, value) in more.as_object().unwrap() {
            claim["spec"][name] = value.clone();
        }
        serde_json::from_value(claim).unwrap()
    }

    #[test]
    fn a_volume_is_what_its_claim_asks_for() {
        let class: StorageClass = serde_json::from_value(json!({"metadata": {"name": "standard"},
            "provisioner": LOCAL_PATH, "reclaimPolicy": "Delete"}))
        .unwrap();
        let mut claim = claim(json!({}));
        assert!(wants_ours(&claim) && complaint(&claim).is_none());
        let made = volume(&claim, &class, "pvc-1", Path::new("/data/volumes"));
        let spec = made.spec.clone().unwrap();
        assert_eq!(spec.host_path.unwrap().path, "/data/volumes/pvc-1");
        assert_eq!(spec.persistent_volume_reclaim_policy.as_deref(), Some("Delete"));
        assert_eq!(spec.node_affinity, None);
        assert_eq!(claim::capacity(&made), claim::requested(&claim));
        assert!(claim::is_reserved_for(&made, &claim));
        let annotations = claim.metadata.annotations.as_mut().unwrap();
        annotations.insert(SELECTED_NODE.to_owned(), "sampan".to_owned());
        let made = volume(&claim, &class, "pvc-1", Path::new("/data/volumes"));
        assert!(made.spec.unwrap().node_affinity.is_some());
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        assert!(complaint(&claim(json!({"volumeMode": "Block"}))).unwrap().contains("Filesystem"));
        assert!(complaint(&claim(json!({"selector": {}}))).unwrap().contains("Selector"));
        assert!(!wants_ours(&claim(json!({"volumeName": "v"}))));
    }
}

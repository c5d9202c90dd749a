//! Makes volumes for claims of classes whose provisioner is `sampan.dev/local-path`: directories of the
//! node. Nothing is made but the object; the node makes the directory when it mounts it, and deletes it
//! ([`crate::api::claim::LOCAL_PATH`] has the contract).
//!
//! A volume's name follows from its claim's uid, so that two are never made for one claim.
//!
//! Upstream: `sigs.k8s.io/sig-storage-lib-external-provisioner/controller`.

use std::path::Path;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, PostParams};
use serde_json::json;
use tracing::info;

use super::Context;
use super::ownership::{reference, revision, uid};
use super::reconcile;
use crate::api::claim::{
    self, BIND_COMPLETED, CLONE_OF, LOCAL_PATH, PROVISIONED_BY, SELECTED_NODE,
};
use crate::api::object::ObjectKey;
use crate::client::cache::key_of;
use crate::client::events::EventType;

pub(super) async fn run(ctx: Context) {
    ctx.caches.volumes.synced().await;
    ctx.caches.storage_classes.synced().await;
    let claims = ctx.caches.claims.clone();
    let keys = ctx.caches.claims.changes().flat_map(move |key| {
        let waiting = claims.list_in(&key.namespace);
        let waiting = waiting
            .into_iter()
            .filter(|claim| wants_ours(claim) && source_of(claim) == Ok(Some(key.name.as_str())));
        let waiting: Vec<ObjectKey> = waiting.map(|claim| key_of(&*claim)).collect();
        stream::iter([key].into_iter().chain(waiting))
    });
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
    let source = match source(ctx, &claim) {
        Ok(source) => source,
        Err(complaint) => {
            let class = class.metadata.name.as_deref().unwrap_or_default();
            let text =
                format!("failed to provision volume with StorageClass {class:?}: {complaint}");
            tell(EventType::Warning, "ProvisioningFailed", text);
            return Ok(());
        }
    };
    let mut volume = volume(&claim, &class, &name, &ctx.settings.volumes_directory);
    if let Some(source) = source {
        let annotations = volume.metadata.annotations.get_or_insert_default();
        annotations.insert(CLONE_OF.to_owned(), source);
    }
    let api: Api<PersistentVolume> = Api::all(ctx.client.kube());
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

/// The name of the volume that the claim's is to be a copy of, if of any.
///
/// # Errors
/// Why there can be no such volume.
fn source(ctx: &Context, claim: &PersistentVolumeClaim) -> Result<Option<String>, String> {
    check(claim)?;
    let Some(name) = source_of(claim)? else { return Ok(None) };
    let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
    let source = ctx.caches.claims.get(&ObjectKey::new(namespace, name));
    let source = source.ok_or_else(|| {
        format!(
            "error getting PVC {name} (namespace {namespace:?}) from api server: \
             persistentvolumeclaim {name:?} not found"
        )
    })?;
    check_source(&source, claim)?;
    let volume = claim::volume_name(&source);
    let is_ours =
        ctx.caches.volumes.get(&ObjectKey::new("", volume)).is_some_and(|volume| {
            claim::annotation(&volume.metadata, PROVISIONED_BY) == LOCAL_PATH
        });
    if !is_ours {
        return Err(format!(
            "the volume of the PVC DataSource {name} was not made by {LOCAL_PATH}: only such are copied"
        ));
    }
    Ok(Some(volume.to_owned()))
}

fn check(claim: &PersistentVolumeClaim) -> Result<(), &'static str> {
    let spec = claim.spec.clone().unwrap_or_default();
    if spec.selector.is_some() {
        return Err("claim Selector is not supported");
    }
    if spec.volume_mode.as_deref() == Some("Block") {
        return Err("there are no block devices here; use volumeMode Filesystem");
    }
    Ok(())
}

/// The claim in the same namespace whose volume's files it asks for, if it asks for any.
///
/// # Errors
/// It asks for something else.
fn source_of(claim: &PersistentVolumeClaim) -> Result<Option<&str>, String> {
    let Some(spec) = &claim.spec else { return Ok(None) };
    let (group, kind, name) = match (&spec.data_source, &spec.data_source_ref) {
        (Some(source), _) => (&source.api_group, &source.kind, &source.name),
        (None, Some(source)) if source.namespace.is_none() => {
            (&source.api_group, &source.kind, &source.name)
        }
        (None, Some(_)) => return Err("a dataSource of another namespace is not copied".to_owned()),
        (None, None) => return Ok(None),
    };
    let is_core = group.as_deref().is_none_or(str::is_empty);
    if is_core && kind == "PersistentVolumeClaim" {
        return Ok(Some(name));
    }
    Err(format!("a volume cannot be made from a {kind}; only PersistentVolumeClaims are copied"))
}

/// Upstream: `getPVCSource` in kubernetes-csi's external-provisioner.
fn check_source(
    source: &PersistentVolumeClaim,
    claim: &PersistentVolumeClaim,
) -> Result<(), String> {
    let name = source.metadata.name.as_deref().unwrap_or_default();
    let phase = claim::phase_of_claim(source);
    if phase != "Bound" {
        return Err(format!("the PVC DataSource {name} must have a status of Bound. Got {phase}"));
    }
    if source.metadata.deletion_timestamp.is_some() {
        return Err(format!("the PVC DataSource {name} is currently being deleted"));
    }
    let (asked, there) = (claim::requested(claim), claim::requested(source));
    if asked < there {
        return Err(format!(
            "error, new PVC request must be greater than or equal in size to the specified PVC data \
             source, requested {} but source is {}",
            asked.value(),
            there.value()
        ));
    }
    Ok(())
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
        assert!(wants_ours(&claim) && check(&claim).is_ok());
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
        let told = |more| check(&claim(more)).unwrap_err();
        assert!(told(json!({"volumeMode": "Block"})).contains("Filesystem"));
        assert!(told(json!({"selector": {}})).contains("Selector"));
        assert!(!wants_ours(&claim(json!({"volumeName": "v"}))));
    }

    #[test]
    fn claims_of_the_same_namespace_are_copied_if_they_are_bound_and_fit() {
        let of = |kind: &str| claim(json!({"dataSource": {"kind": kind, "name": "old"}}));
        let new = of("PersistentVolumeClaim");
        assert_eq!(source_of(&new), Ok(Some("old")));
        assert_eq!(source_of(&claim(json!({}))), Ok(None));
        source_of(&of("VolumeSnapshot")).unwrap_err();
        let elsewhere = json!({"kind": "PersistentVolumeClaim", "name": "old", "namespace": "m"});
        source_of(&claim(json!({"dataSourceRef": elsewhere}))).unwrap_err();

        let old = |phase: &str, size: &str| {
            let mut old = claim(json!({"resources": {"requests": {"storage": size}}}));
            old.metadata.name = Some("old".to_owned());
            old.status.get_or_insert_default().phase = Some(phase.to_owned());
            old
        };
        let told = |old: PersistentVolumeClaim| check_source(&old, &new);
        assert_eq!(told(old("Bound", "10Mi")), Ok(()));
        let text = "the PVC DataSource old must have a status of Bound. Got Pending";
        assert_eq!(told(old("Pending", "1Mi")).unwrap_err(), text);
        assert!(told(old("Bound", "11Mi")).unwrap_err().contains("greater than or equal in size"));
        let mut going = old("Bound", "1Mi");
        going.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert!(told(going).unwrap_err().ends_with("is currently being deleted"));
    }
}

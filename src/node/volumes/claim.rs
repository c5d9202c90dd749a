//! `persistentVolumeClaim` and `ephemeral`: the volume that a claim is bound to, the user's or the one
//! that was made for the Pod.
//!
//! Of PersistentVolumes we mount directories of this host: those that our own provisioner made, below
//! the data directory, and those that `hostPath` and `local` name, where the operator allows it. What
//! one of ours may hold is its capacity, for all its Pods together. The capacity of the operator's is
//! what he says and binds nobody, as upstream: others write there too. Nor do access modes make a
//! mount read-only, but `ReadWriteOncePod` is for one Pod alone.
//!
//! The objects are read from the API server, which is never behind whoever bound them; that they have
//! changed, caches tell.
//!
//! Upstream: `pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cap_std::fs::Dir;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use kube::Client;
use kube::api::Api;

use super::host_path::{self, Opened};
use super::interests::Object;
use super::mounter::{Context, Error, Mounted, Mounter, SetUp, blocking};
use super::node::{Config, text_of};
use crate::api::claim::{self, LOCAL_PATH, PROVISIONED_BY};
use crate::api::object::ObjectKey;

struct Claim {
    which: Which,
    read_only: bool,
    mounted: Option<Mounted>,
}

enum Which {
    Named(String),
    /// Made for this volume of the Pod.
    Ephemeral(String),
}

/// Where a volume's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Made by our provisioner, below the data directory.
    Own,
    /// Of the operator's.
    Host { path: String, type_: String },
}

/// What is to be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    place: Place,
    /// `None`: nobody counts.
    bytes_max: Option<u64>,
    /// For one Pod alone.
    only: bool,
}

pub(super) fn of(volume: &Volume) -> Option<Box<dyn Mounter>> {
    let source = volume.persistent_volume_claim.as_ref()?;
    let which = Which::Named(source.claim_name.clone());
    let read_only = source.read_only.unwrap_or(false);
    Some(Box::new(Claim { which, read_only, mounted: None }))
}

pub(super) fn ephemeral(volume: &Volume) -> Option<Box<dyn Mounter>> {
    volume.ephemeral.as_ref()?;
    let which = Which::Ephemeral(volume.name.clone());
    Some(Box::new(Claim { which, read_only: false, mounted: None }))
}

#[async_trait]
impl Mounter for Claim {
    fn shows(&self, pod: &Pod) -> Vec<Object> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        vec![Object::Claim(ObjectKey::new(namespace, self.name(pod)))]
    }

    async fn set_up(&mut self, ctx: &Context<'_>) -> Result<SetUp, Error> {
        match self.mount(ctx).await {
            Ok(mounted) => Ok(self.mounted.insert(mounted).clone().into()),
            // Whatever becomes of the claim: who has its volume keeps it.
            Err(error) => self.mounted.clone().map(SetUp::from).ok_or(error),
        }
    }
}

impl Claim {
    fn name(&self, pod: &Pod) -> String {
        match &self.which {
            Which::Named(name) => name.clone(),
            Which::Ephemeral(volume) => claim::ephemeral_name(pod, volume),
        }
    }

    async fn mount(&self, ctx: &Context<'_>) -> Result<Mounted, Error> {
        let volume = self.bound_volume(ctx).await.map_err(Error::Process)?;
        let name = volume.metadata.name.clone().unwrap_or_default();
        let failed = |why| Error::SetUp { volume: Some(name.clone()), why };
        let plan = plan(&volume, &ctx.node.config).map_err(failed)?;
        let only = plan.only.then(|| ctx.pod.metadata.uid.clone().unwrap_or_default());
        let (shares, allowed) =
            (ctx.node.shares.clone(), ctx.node.config.allowed_directories.clone());
        let (own, key, Plan { place, bytes_max, .. }) = (ctx.node.own.clone(), name.clone(), plan);
        let share = blocking(move || {
            let open = || match place {
                Place::Own => own.open(&volume),
                Place::Host { path, type_ } => open(&path, &type_, &allowed),
            };
            shares.open(&key, bytes_max, only.as_deref(), open)
        });
        let share = share.await.map_err(failed)?;
        Ok(Mounted { share: Some(share.clone()), ..Mounted::new(share.volume(), self.read_only) })
    }

    async fn bound_volume(&self, ctx: &Context<'_>) -> Result<PersistentVolume, String> {
        let (client, key) = (&ctx.node.client, ObjectKey::new(ctx.namespace(), self.name(ctx.pod)));
        let failed = |why: String| format!("error processing PVC {key}: {why}");
        let claim = bound_claim(client, &key).await.map_err(failed)?;
        if let Which::Ephemeral(_) = self.which {
            claim::check_made_for(ctx.pod, &claim)?;
        }
        volume_of(client, &claim).await.map_err(failed)
    }
}

/// The claim, which names its volume.
async fn bound_claim(client: &Client, key: &ObjectKey) -> Result<PersistentVolumeClaim, String> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &key.namespace);
    let claim = api.get(&key.name).await;
    let claim = claim
        .map_err(|error| format!("failed to fetch PVC from API server: {}", text_of(&error)))?;
    check_mountable(&claim)?;
    Ok(claim)
}

async fn volume_of(
    client: &Client,
    claim: &PersistentVolumeClaim,
) -> Result<PersistentVolume, String> {
    let name = claim::volume_name(claim);
    let api: Api<PersistentVolume> = Api::all(client.clone());
    let volume = api.get(name).await.map_err(|error| {
        format!("failed to fetch PV {name} from API server: {}", text_of(&error))
    })?;
    check_bound(&volume, name, claim)?;
    Ok(volume)
}

/// One that has just been bound has yet to say so in its status.
///
/// Upstream: `getPVCExtractPV`.
fn check_mountable(claim: &PersistentVolumeClaim) -> Result<(), String> {
    let is_bound = match claim::phase_of_claim(claim) {
        "Bound" => true,
        "Pending" => claim::is_bound(claim),
        _ => false,
    };
    let complaints = [
        (claim.metadata.deletion_timestamp.is_some(), "PVC is being deleted"),
        (!is_bound, "PVC is not bound"),
        (claim::volume_name(claim).is_empty(), "PVC has empty pvc.Spec.VolumeName"),
    ];
    let complaint = complaints.into_iter().find(|(applies, _)| *applies);
    complaint.map_or(Ok(()), |(_, complaint)| Err(complaint.to_owned()))
}

/// Upstream: `getPVSpec`.
fn check_bound(
    volume: &PersistentVolume,
    name: &str,
    claim: &PersistentVolumeClaim,
) -> Result<(), String> {
    let spec = volume.spec.as_ref();
    let Some(bound_to) = spec.and_then(|spec| spec.claim_ref.as_ref()) else {
        return Err(format!(
            "found PV object {name} but its Spec.ClaimRef is nil indicating it is not yet bound \
             to the claim"
        ));
    };
    if bound_to.uid != claim.metadata.uid {
        let (theirs, ours) = (bound_to.uid.as_deref(), claim.metadata.uid.as_deref());
        return Err(format!(
            "found PV object {name} but its Spec.ClaimRef.UID {} does not point to claim.UID {}",
            theirs.unwrap_or_default(),
            ours.unwrap_or_default()
        ));
    }
    Ok(())
}

/// # Errors
/// A kind of volume that we cannot mount.
fn plan(volume: &PersistentVolume, config: &Config) -> Result<Plan, String> {
    let spec = volume.spec.as_ref().ok_or_else(|| "it has no spec".to_owned())?;
    if spec.volume_mode.as_deref() == Some("Block") {
        return Err("it has volumeMode Block, and sampan has no block devices".to_owned());
    }
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let place = if let Some(host) = &spec.host_path {
        let annotations = volume.metadata.annotations.as_ref();
        let maker = annotations.and_then(|all| all.get(PROVISIONED_BY));
        let own = config.directory.join(name);
        if maker.is_some_and(|maker| maker == LOCAL_PATH) && own == Path::new(&host.path) {
            Place::Own
        } else {
            let type_ = host.type_.clone().unwrap_or_default();
            Place::Host { path: host.path.clone(), type_ }
        }
    } else if let Some(local) = &spec.local {
        Place::Host { path: local.path.clone(), type_: "Directory".to_owned() }
    } else {
        return Err("no volume plugin matched: sampan mounts PersistentVolumes of the types \
                    hostPath and local"
            .to_owned());
    };
    let is_ours = place == Place::Own;
    let bytes_max = u64::try_from(claim::capacity(volume).value()).ok().filter(|_| is_ours);
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    Ok(Plan { place, bytes_max, only: modes == ["ReadWriteOncePod"] })
}

/// An operator's.
fn open(path: &str, type_: &str, allowed: &[PathBuf]) -> Result<Dir, String> {
    match host_path::open(path, type_, allowed)? {
        Opened::Directory(dir) => Ok(dir),
        Opened::File(..) => Err(format!("{path} is not a directory")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan_of(spec: Value, maker: &str) -> Result<Plan, String> {
        let annotations = json!({PROVISIONED_BY: maker});
        let volume = json!({"metadata": {"name": "pv", "annotations": annotations}, "spec": spec});
        let config =
            Config { directory: PathBuf::from("/data/volumes"), allowed_directories: Vec::new() };
        plan(&serde_json::from_value(volume).unwrap(), &config)
    }

    #[test]
    fn only_what_our_provisioner_made_where_it_makes_volumes_is_our_own() {
        let place =
            |path: &str, maker| plan_of(json!({"hostPath": {"path": path}}), maker).unwrap().place;
        let host = |path: &str| Place::Host { path: path.to_owned(), type_: String::new() };
        assert_eq!(place("/data/volumes/pv", LOCAL_PATH), Place::Own);
        assert_eq!(place("/data/volumes/pv", "me"), host("/data/volumes/pv"));
        assert_eq!(place("/data/volumes/other", LOCAL_PATH), host("/data/volumes/other"));
        assert_eq!(place("/etc", LOCAL_PATH), host("/etc"));
    }

    #[test]
    fn the_capacity_of_our_own_counts_and_one_pod_may_be_meant() {
        let of = |path: &str, mode: &str| {
            let spec = json!({
                "hostPath": {"path": path},
                "capacity": {"storage": "10Mi"},
                "accessModes": [mode],
            });
            let Plan { bytes_max, only, .. } = plan_of(spec, LOCAL_PATH).unwrap();
            (bytes_max, only)
        };
        assert_eq!(of("/data/volumes/pv", "ReadWriteOnce"), (Some(10 << 20), false));
        assert_eq!(of("/data/volumes/pv", "ReadWriteOncePod"), (Some(10 << 20), true));
        assert_eq!(of("/srv", "ReadOnlyMany"), (None, false));
    }

    #[test]
    fn what_we_cannot_mount_is_refused() {
        plan_of(json!({"nfs": {"server": "s", "path": "/p"}}), "").unwrap_err();
        plan_of(json!({"local": {"path": "/x"}, "volumeMode": "Block"}), "").unwrap_err();
    }

    #[test]
    fn a_claim_is_mounted_only_if_it_is_bound() {
        let of = |claim: Value| check_mountable(&serde_json::from_value(claim).unwrap());
        let bound = json!({
            "metadata": {},
            "spec": {"volumeName": "pv"},
            "status": {"phase": "Bound"},
        });
        assert_eq!(of(bound), Ok(()));
        let just_bound = |phase: &str| {
            of(json!({
                "metadata": {"annotations": {claim::BIND_COMPLETED: "yes"}},
                "spec": {"volumeName": "pv"},
                "status": {"phase": phase},
            }))
        };
        assert_eq!(just_bound("Pending"), Ok(()));
        assert_eq!(just_bound("Lost").unwrap_err(), "PVC is not bound");
        let pending = json!({"metadata": {}, "spec": {}, "status": {"phase": "Pending"}});
        assert_eq!(of(pending).unwrap_err(), "PVC is not bound");
        let going = json!({"metadata": {"deletionTimestamp": "2026-11-22T00:00:00Z"}});
        assert_eq!(of(going).unwrap_err(), "PVC is being deleted");
    }
}

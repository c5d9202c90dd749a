//! What claims and volumes say of each other, and which volume suits which claim.
//!
//! Upstream: `k8s.io/component-helpers/storage/volume`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::quantity::Quantity;
use super::selector::Labels;

/// On a claim: it was bound, once and for all.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a claim or a volume: the controller chose the other side, not a user.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it for a claim, and deletes what is behind it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim: who shall make a volume for it.
pub const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// What [`STORAGE_PROVISIONER`] was called before; still written, as upstream does.
pub const BETA_STORAGE_PROVISIONER: &str = "volume.beta.kubernetes.io/storage-provisioner";
/// On a claim that waits for its first Pod: the node where that Pod is to run.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// How claims and volumes named their class before there was a field for it.
pub const BETA_STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Keeps a claim while a Pod uses it.
pub const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// Keeps a volume while it is bound.
pub const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";

/// Our own provisioner: volumes are directories of the node. It is the finalizer, too, that keeps such a
/// volume until the node has deleted the directory, or left it behind if the volume is to be retained.
///
/// The contract between control plane and node: a volume annotated [`PROVISIONED_BY`] this provisioner
/// is the directory `volumes/<name of the volume>` of the data directory. The node makes it when it
/// first mounts it, lets no more into it than `spec.capacity`, and reclaims it
/// once the volume is being deleted and [`VOLUME_PROTECTION`] is gone.
pub const LOCAL_PATH: &str = "sampan.dev/local-path";

/// On a volume of [`LOCAL_PATH`]: the name of another one. The node makes the directory as a copy of that
/// one's, at the first mount, or before that one's directory is deleted.
pub const CLONE_OF: &str = "sampan.dev/clone-of";

/// An annotation's value; the empty string where there is none.
pub fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> &'a str {
    meta.annotations.as_ref().and_then(|all| all.get(name)).map_or("", String::as_str)
}

pub fn has_annotation(meta: &ObjectMeta, name: &str) -> bool {
    meta.annotations.as_ref().is_some_and(|all| all.contains_key(name))
}

/// The name of the claim's class; empty if it wants none, or has not got one.
pub fn class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    match annotation(&claim.metadata, BETA_STORAGE_CLASS) {
        "" => class.unwrap_or_default(),
        old => old,
    }
}

/// The name of the volume's class; empty if it has none.
pub fn class_of_volume(volume: &PersistentVolume) -> &str {
    let class = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    match annotation(&volume.metadata, BETA_STORAGE_CLASS) {
        "" => class.unwrap_or_default(),
        old => old,
    }
}

/// How much the claim asks for.
pub fn requested(claim: &PersistentVolumeClaim) -> Quantity {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    storage(resources.and_then(|resources| resources.requests.as_ref()))
}

/// How much the volume holds.
pub fn capacity(volume: &PersistentVolume) -> Quantity {
    storage(volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref()))
}

/// The amount of storage in a list of resources. What cannot be read was refused when it came.
pub fn storage(list: Option<&BTreeMap<String, ApiQuantity>>) -> Quantity {
    let amount = list.and_then(|list| list.get("storage"));
    amount.and_then(|amount| Quantity::of(amount).ok()).unwrap_or(Quantity::ZERO)
}

/// A claim that a Pod uses, in the Pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub claim: String,
    /// It is made for a volume that lives as long as the Pod.
    pub is_ephemeral: bool,
}

/// The claims that a Pod's volumes name, and those that are made for it.
pub fn uses_of(pod: &Pod) -> Vec<Use> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let claim = |volume: &Volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some(Use { claim: source.claim_name.clone(), is_ephemeral: false }),
        (None, Some(_)) => {
            Some(Use { claim: ephemeral_name(pod, &volume.name), is_ephemeral: true })
        }
        (None, None) => None,
    };
    volumes.filter_map(claim).collect()
}

/// The names of [`uses_of`].
pub fn claims_of(pod: &Pod) -> Vec<String> {
    uses_of(pod).into_iter().map(|one| one.claim).collect()
}

/// What the claim is called that is made for this volume of the Pod.
pub fn ephemeral_name(pod: &Pod, volume: &str) -> String {
    format!("{}-{volume}", pod.metadata.name.as_deref().unwrap_or_default())
}

/// Whether a claim of that name is the one that was made for the Pod.
///
/// # Errors
/// If not: upstream's words (`VolumeIsForPod`).
pub fn check_made_for(pod: &Pod, claim: &PersistentVolumeClaim) -> Result<(), String> {
    let owners = claim.metadata.owner_references.iter().flatten();
    let mut managers = owners.filter(|owner| owner.controller == Some(true));
    let is_its = managers.any(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref());
    if is_its && claim.metadata.namespace == pod.metadata.namespace {
        return Ok(());
    }
    let key = |meta: &ObjectMeta| {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{}/{}", part(&meta.namespace), part(&meta.name))
    };
    let (theirs, ours) = (key(&claim.metadata), key(&pod.metadata));
    Err(format!("PVC {theirs} was not created for pod {ours} (pod is not owner)"))
}

/// The volume that the claim names; empty if none.
pub fn volume_name(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default()
}

pub fn phase_of_claim(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub fn phase_of_volume(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Whether the claim has its volume, for good.
pub fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    !volume_name(claim).is_empty() && has_annotation(&claim.metadata, BIND_COMPLETED)
}

/// Whether the volume is reserved for the claim, by name at least; if a uid is said, by that.
pub fn is_reserved_for(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else {
        return false;
    };
    let uid = reference.uid.as_deref().unwrap_or_default();
    reference.name == claim.metadata.name
        && reference.namespace == claim.metadata.namespace
        && (uid.is_empty() || Some(uid) == claim.metadata.uid.as_deref())
}

/// Why the claim cannot have this volume, even if its user asks for it by name.
///
/// # Errors
/// Upstream's words for what is wrong (`checkVolumeSatisfyClaim`).
pub fn check(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Result<(), String> {
    if volume.metadata.deletion_timestamp.is_some() {
        let name = volume.metadata.name.as_deref().unwrap_or_default();
        return Err(format!("the volume is marked for deletion {name:?}"));
    }
    let fits = [
        (capacity(volume) >= requested(claim), "requested PV is too small"),
        (class_of_volume(volume) == class_of_claim(claim), "storageClassName does not match"),
        (modes_agree(volume, claim), "incompatible volumeMode"),
        (gives_access(volume, claim), "incompatible accessMode"),
    ];
    match fits.into_iter().find(|(fits, _)| !fits) {
        Some((_, complaint)) => Err(complaint.to_owned()),
        None => Ok(()),
    }
}

/// Whether both are for files, or both for blocks.
pub fn modes_agree(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let volume = volume.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref());
    let claim = claim.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref());
    volume.unwrap_or("Filesystem") == claim.unwrap_or("Filesystem")
}

/// Whether the volume can be accessed in all ways the claim asks for.
fn gives_access(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let given = volume.spec.as_ref().and_then(|spec| spec.access_modes.as_deref());
    let given = given.unwrap_or_default();
    let wanted = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref());
    wanted.unwrap_or_default().iter().all(|mode| given.contains(mode))
}

/// The volume that suits the claim best: the one reserved for it, else the smallest that is free, of those
/// the one with the fewest ways of access; of equals the first by name. `is_near` judges whether a free
/// volume can be used where it would be.
///
/// Upstream: `FindMatchingVolume`.
pub fn best_match<'a>(
    claim: &PersistentVolumeClaim,
    volumes: &'a [Arc<PersistentVolume>],
    is_near: impl Fn(&PersistentVolume) -> bool,
) -> Option<&'a Arc<PersistentVolume>> {
    if let Some(reserved) = reserved_for(claim, volumes) {
        return Some(reserved);
    }
    let selector = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = selector.and_then(|selector| Labels::from_typed(Some(selector)).ok());
    let none = BTreeMap::new();
    let is_chosen = |volume: &PersistentVolume| {
        let labels = volume.metadata.labels.as_ref().unwrap_or(&none);
        selector.as_ref().is_none_or(|selector| selector.matches(labels))
    };
    let is_free = |volume: &PersistentVolume| {
        phase_of_volume(volume) == "Available"
            && volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_none())
    };
    let suitable = volumes.iter().filter(|volume| {
        is_free(volume) && check(volume, claim).is_ok() && is_chosen(volume) && is_near(volume)
    });
    let ways = |volume: &PersistentVolume| {
        volume.spec.as_ref().and_then(|spec| spec.access_modes.as_ref()).map_or(0, Vec::len)
    };
    suitable.min_by(|a, b| {
        let sizes = capacity(a).cmp(&capacity(b));
        let ways = ways(a).cmp(&ways(b));
        sizes.then(ways).then_with(|| a.metadata.name.cmp(&b.metadata.name))
    })
}

/// The volume that a user, a provisioner or an interrupted binding has set aside for the claim.
pub fn reserved_for<'a>(
    claim: &PersistentVolumeClaim,
    volumes: &'a [Arc<PersistentVolume>],
) -> Option<&'a Arc<PersistentVolume>> {
    volumes.iter().find(|volume| {
        is_reserved_for(volume, claim)
            && volume.metadata.deletion_timestamp.is_none()
            && capacity(volume) >= requested(claim)
            && modes_agree(volume, claim)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn volume(name: &str, size: &str, more: Value) -> Arc<PersistentVolume> {
        let mut volume = json!({
            "metadata": {"name": name, "labels": {"disk": name}},
            "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"],
                "storageClassName": "slow", "hostPath": {"path": "/x"}},
            "status": {"phase": "Available"},
        });
        merge(&mut volume, more);
        Arc::new(serde_json::from_value(volume).unwrap())
    }

    fn merge(into: &mut Value, more: Value) {
        match (into, more) {
            (Value::Object(into), Value::Object(more)) => {
                for (key, value) in more {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, more) => *into = more,
        }
    }

    fn claim(more: Value) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": {"name": "c", "namespace": "n", "uid": "1"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "slow",
                "resources": {"requests": {"storage": "5Gi"}}},
        });
        merge(&mut claim, more);
        serde_json::from_value(claim).unwrap()
    }

    #[track_caller]
    fn matched(claim: &PersistentVolumeClaim, volumes: &[Arc<PersistentVolume>], expect: &str) {
        let found = best_match(claim, volumes, |_| true);
        let name = found.and_then(|volume| volume.metadata.name.as_deref()).unwrap_or_default();
        assert_eq!(name, expect);
    }

    #[test]
    fn the_smallest_that_fits_is_taken() {
        let volumes = [
            volume("small", "1Gi", json!({})),
            volume("large", "100Gi", json!({})),
            volume(
                "right",
                "6Gi",
                json!({"spec": {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"]}}),
            ),
            volume("just", "6144Mi", json!({})),
            volume("taken", "5Gi", json!({"status": {"phase": "Bound"}})),
            volume("other", "5Gi", json!({"spec": {"storageClassName": "fast"}})),
            volume("block", "5Gi", json!({"spec": {"volumeMode": "Block"}})),
            volume("reader", "5Gi", json!({"spec": {"accessModes": ["ReadOnlyMany"]}})),
            volume(
                "going",
                "5Gi",
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            ),
        ];
        matched(&claim(json!({})), &volumes, "just");
        let picky = json!({"spec": {"selector": {"matchLabels": {"disk": "large"}}}});
        matched(&claim(picky), &volumes, "large");
        let greedy = json!({"spec": {"resources": {"requests": {"storage": "1Ti"}}}});
        matched(&claim(greedy), &volumes, "");
        let found =
            best_match(&claim(json!({})), &volumes, |volume| capacity(volume).value() > 1 << 34);
        assert_eq!(found.unwrap().metadata.name.as_deref(), Some("large"));
    }

    #[test]
    fn what_is_reserved_goes_to_whom_it_is_reserved_for() {
        let of = |name: &str, uid: Value| json!({"spec": {"claimRef": {"namespace": "n", "name": name, "uid": uid}}});
        let volumes = [
            volume("free", "5Gi", json!({})),
            volume("strange", "5Gi", of("d", Value::Null)),
            volume("mine", "50Gi", of("c", Value::Null)),
            volume("old", "5Gi", of("c", json!("0"))),
        ];
        matched(&claim(json!({})), &volumes, "mine");
        matched(&claim(json!({})), &volumes[..2], "free");
        matched(&claim(json!({})), &volumes[1..2], "");
        matched(&claim(json!({})), &volumes[3..], "");
    }

    #[test]
    fn a_pod_uses_the_claims_that_its_volumes_name() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [], "volumes": [
            {"name": "a", "persistentVolumeClaim": {"claimName": "shared"}},
            {"name": "b", "emptyDir": {}},
            {"name": "c", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
        ]}});
        assert_eq!(claims_of(&serde_json::from_value(pod).unwrap()), ["shared", "p-c"]);
    }

    #[test]
    fn a_claim_made_for_a_pod_is_managed_by_it() {
        let meta = json!({"name": "p", "namespace": "n", "uid": "7"});
        let pod = serde_json::from_value(json!({"metadata": meta})).unwrap();
        let owned = |uid: &str, manages: bool| {
            let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid,
                "controller": manages});
            check_made_for(&pod, &claim(json!({"metadata": {"ownerReferences": [owner]}})))
        };
        let refusal = "PVC n/c was not created for pod n/p (pod is not owner)".to_owned();
        assert_eq!(owned("7", true), Ok(()));
        assert_eq!(owned("7", false), Err(refusal.clone()));
        assert_eq!(owned("8", true), Err(refusal));
    }

    #[test]
    fn complaints_are_upstreams() {
        let told =
            |volume: &PersistentVolume, more: Value| check(volume, &claim(more)).unwrap_err();
        let small = volume("v", "1Gi", json!({}));
        assert_eq!(told(&small, json!({})), "requested PV is too small");
        let right = volume("v", "5Gi", json!({}));
        let class = json!({"spec": {"storageClassName": "x"}});
        assert_eq!(told(&right, class), "storageClassName does not match");
        let block = json!({"spec": {"volumeMode": "Block"}});
        assert_eq!(told(&right, block), "incompatible volumeMode");
        let shared = json!({"spec": {"accessModes": ["ReadWriteMany"]}});
        assert_eq!(told(&right, shared), "incompatible accessMode");
        let old = json!({"metadata": {"annotations": {BETA_STORAGE_CLASS: "slow"}},
            "spec": {"storageClassName": null}});
        assert_eq!(check(&right, &claim(old)), Ok(()));
    }
}

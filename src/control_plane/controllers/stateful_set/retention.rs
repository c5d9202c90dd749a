//! Who owns a member's claims, and so what becomes of them when the set shrinks or goes.
//!
//! ```text
//!  whenDeleted  whenScaled   owner while the Pod is wanted   owner once the set has shrunk
//!  Retain       Retain       nobody                          nobody
//!  Delete       Retain       the set                         the set
//!  Retain       Delete       nobody                          the Pod
//!  Delete       Delete       the set                         the Pod
//! ```
//!
//! Upstream: `isClaimOwnerUpToDate` and `updateClaimOwnerRefForSetAndPod` in
//! `pkg/controller/statefulset/stateful_set_utils.go`.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::identity::{ordinal, ordinals};
use crate::control_plane::controllers::ownership::managed_by;

pub(super) fn deletes_when_scaled(spec: &StatefulSetSpec) -> bool {
    let policy = spec.persistent_volume_claim_retention_policy.as_ref();
    policy.and_then(|policy| policy.when_scaled.as_deref()) == Some("Delete")
}

fn deletes_when_deleted(spec: &StatefulSetSpec) -> bool {
    let policy = spec.persistent_volume_claim_retention_policy.as_ref();
    policy.and_then(|policy| policy.when_deleted.as_deref()) == Some("Delete")
}

/// The owner of a new claim of a wanted Pod.
pub(super) fn first_owner(set: &StatefulSet, spec: &StatefulSetSpec) -> Option<OwnerReference> {
    deletes_when_deleted(spec).then(|| managed_by(set))
}

/// The claim's owners as they should be; none if they are right, or if somebody else's business would be
/// disturbed.
pub(super) fn new_owners(
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    pod: &Pod,
    claim: &PersistentVolumeClaim,
) -> Option<Vec<OwnerReference>> {
    let (of_set, of_pod) = (managed_by(set), managed_by(pod));
    let current = claim.metadata.owner_references.clone().unwrap_or_default();
    let is_ours = |owner: &OwnerReference| names(owner, &of_set) || names(owner, &of_pod);
    let is_stale = |owner: &OwnerReference| {
        (names(owner, &of_set) && owner.uid != of_set.uid)
            || (names(owner, &of_pod) && owner.uid != of_pod.uid)
    };
    if current.iter().any(is_stale) {
        // Of a set or Pod that was called so before: the garbage collector sees to it.
        return None;
    }
    let keeps_all = !deletes_when_scaled(spec) && !deletes_when_deleted(spec);
    let foreign = |owner: &OwnerReference| owner.controller == Some(true) && !is_ours(owner);
    let is_foreign = !keeps_all && current.iter().any(foreign);
    let is_wanted = ordinals(spec).contains(&ordinal(pod));
    let mut wanted: Vec<OwnerReference> =
        current.iter().filter(|owner| !is_ours(owner)).cloned().collect();
    if is_foreign {
    } else if deletes_when_scaled(spec) && !is_wanted {
        wanted.push(of_pod);
    } else if deletes_when_deleted(spec) {
        wanted.push(of_set);
    }
    let same = wanted.len() == current.len() && wanted.iter().all(|owner| current.contains(owner));
    (!same).then_some(wanted)
}

/// The owner is called like that, whatever its uid.
fn names(owner: &OwnerReference, like: &OwnerReference) -> bool {
    owner.name == like.name && owner.kind == like.kind && owner.api_version == like.api_version
}

/// Whether the claim belongs to an earlier Pod of that name, and will go with it: a new Pod must not take
/// it up.
///
/// Upstream: `PodClaimIsStale`.
pub(super) fn is_stale(spec: &StatefulSetSpec, pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    let of_pod = managed_by(pod);
    let mut owners = claim.metadata.owner_references.iter().flatten();
    deletes_when_scaled(spec) && owners.any(|owner| names(owner, &of_pod))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn set(deleted: &str, scaled: &str) -> StatefulSet {
        serde_json::from_value(json!({"metadata": {"name": "s", "uid": "set"},
            "spec": {"replicas": 1, "selector": {}, "template": {},
                "persistentVolumeClaimRetentionPolicy":
                    {"whenDeleted": deleted, "whenScaled": scaled}}}))
        .unwrap()
    }

    fn owner(kind: &str, name: &str, uid: &str) -> Value {
        let version = if kind == "Pod" { "v1" } else { "apps/v1" };
        json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true,
            "blockOwnerDeletion": true})
    }

    /// The owners' uids that the claim of `pod` shall have.
    #[track_caller]
    fn check(policy: (&str, &str), pod: &str, owners: &[Value], expect: Option<&[&str]>) {
        let set = set(policy.0, policy.1);
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": pod, "uid": "pod"}})).unwrap();
        let claim: PersistentVolumeClaim =
            serde_json::from_value(json!({"metadata": {"name": "c", "ownerReferences": owners}}))
                .unwrap();
        let found = new_owners(&set, set.spec.as_ref().unwrap(), &pod, &claim);
        let found = found.map(|owners| owners.into_iter().map(|one| one.uid).collect::<Vec<_>>());
        let expect = expect.map(|uids| uids.iter().map(ToString::to_string).collect());
        assert_eq!(found, expect, "{policy:?} {owners:?}");
    }

    #[test]
    fn owners_follow_the_policy() {
        let set = || owner("StatefulSet", "s", "set");
        check(("Retain", "Retain"), "s-0", &[], None);
        check(("Retain", "Retain"), "s-0", &[set()], Some(&[]));
        check(("Delete", "Retain"), "s-0", &[], Some(&["set"]));
        check(("Delete", "Retain"), "s-1", &[set()], None);
        check(("Retain", "Delete"), "s-0", &[], None);
        check(("Retain", "Delete"), "s-1", &[], Some(&["pod"]));
        check(("Delete", "Delete"), "s-0", &[set()], None);
        check(("Delete", "Delete"), "s-1", &[set()], Some(&["pod"]));
        let pod = owner("Pod", "s-0", "pod");
        check(("Delete", "Delete"), "s-0", &[pod], Some(&["set"]));
    }

    #[test]
    fn what_is_somebody_elses_is_left_alone() {
        let other = || owner("Other", "o", "other");
        check(("Delete", "Delete"), "s-0", &[other()], None);
        let mine = owner("StatefulSet", "s", "set");
        check(("Delete", "Delete"), "s-0", &[other(), mine], Some(&["other"]));
        check(("Retain", "Retain"), "s-0", &[other()], None);
        let earlier = owner("StatefulSet", "s", "earlier");
        check(("Delete", "Delete"), "s-0", &[earlier], None);
    }
}

//! What a volume needs next.
//!
//! Upstream: `syncVolume`, `reclaimVolume`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::plan::{About, Note, Plan, Step, phase_of_volume};
use crate::api::claim::{self, BOUND_BY_CONTROLLER, LOCAL_PATH, PROVISIONED_BY};
use crate::client::events::EventType::Warning;

/// `claim`: the one that the volume names, if it is there and the same.
pub(super) fn plan(
    volume: &Arc<PersistentVolume>,
    claim: Option<&Arc<PersistentVolumeClaim>>,
) -> Plan {
    let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    let uid = reference.and_then(|reference| reference.uid.as_deref()).unwrap_or_default();
    if uid.is_empty() {
        // Nobody's, or set aside for one who has yet to take it.
        return in_phase(volume, "Available");
    }
    let Some(claim) = claim else { return release(volume) };
    match claim::volume_name(claim) {
        "" if !claim::modes_agree(volume, claim) => tell_of_modes(volume, claim),
        // The claim goes on with it.
        "" => Plan::default(),
        name if Some(name) == volume.metadata.name.as_deref() => in_phase(volume, "Bound"),
        // The claim has another one.
        _ if is_provisioned(volume) && policy(volume) == "Delete" => release(volume),
        _ => Plan::step(unbind(volume)),
    }
}

fn in_phase(volume: &PersistentVolume, phase: &str) -> Plan {
    phase_of_volume(volume, phase, None).map_or_else(Plan::default, Plan::step)
}

fn is_provisioned(volume: &PersistentVolume) -> bool {
    claim::has_annotation(&volume.metadata, PROVISIONED_BY)
}

fn policy(volume: &PersistentVolume) -> &str {
    let policy =
        volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy.unwrap_or("Retain")
}

/// Its claim is gone.
fn release(volume: &Arc<PersistentVolume>) -> Plan {
    match claim::phase_of_volume(volume) {
        "Released" | "Failed" => reclaim(volume),
        _ => in_phase(volume, "Released"),
    }
}

/// Volumes of ours are deleted with what is on them, by the node. What others have made, they delete; what
/// nobody can delete says so.
fn reclaim(volume: &Arc<PersistentVolume>) -> Plan {
    if volume.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    let provisioner = claim::annotation(&volume.metadata, PROVISIONED_BY);
    match (policy(volume), provisioner) {
        ("Delete", LOCAL_PATH) => Plan::step(Step::Delete(volume.clone())),
        ("Delete", "") => {
            let name = volume.metadata.name.as_deref().unwrap_or_default();
            let text = format!(
                "error getting deleter volume plugin for volume {name:?}: no deletable volume \
                 plugin matched"
            );
            failed(volume, "VolumeFailedDelete", &text)
        }
        ("Recycle", _) => {
            let text = "No recycler plugin found for the volume!";
            failed(volume, "VolumeFailedRecycle", text)
        }
        _ => Plan::default(),
    }
}

fn failed(volume: &Arc<PersistentVolume>, reason: &'static str, text: &str) -> Plan {
    match phase_of_volume(volume, "Failed", Some(text)) {
        Some(step) => Plan::step(step).and_tell(Note {
            about: About::Volume(volume.clone()),
            type_: Warning,
            reason,
            text: text.to_owned(),
        }),
        None => Plan::default(),
    }
}

/// Takes back what the controller did; what a user set aside stays so, for whoever comes by that name.
fn unbind(volume: &PersistentVolume) -> Step {
    let mut changed = volume.clone();
    let spec = changed.spec.get_or_insert_default();
    let annotations = changed.metadata.annotations.as_mut();
    if annotations.is_some_and(|all| all.remove(BOUND_BY_CONTROLLER).is_some()) {
        spec.claim_ref = None;
    } else if let Some(reference) = &mut spec.claim_ref {
        reference.uid = None;
        reference.resource_version = None;
    }
    Step::Volume(changed)
}

fn tell_of_modes(volume: &Arc<PersistentVolume>, claim: &Arc<PersistentVolumeClaim>) -> Plan {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let of_volume = format!(
        "Cannot bind PersistentVolume to requested PersistentVolumeClaim {:?} due to incompatible \
         volumeMode.",
        name(&claim.metadata.name)
    );
    let of_claim = format!(
        "Cannot bind PersistentVolume {:?} to requested PersistentVolumeClaim due to incompatible \
         volumeMode.",
        name(&volume.metadata.name)
    );
    let note = |about, text| Note { about, type_: Warning, reason: "VolumeMismatch", text };
    Plan::default()
        .and_tell(note(About::Volume(volume.clone()), of_volume))
        .and_tell(note(About::Claim(claim.clone()), of_claim))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn volume(phase: &str, policy: &str, annotations: Value) -> Arc<PersistentVolume> {
        let volume = json!({
            "metadata": {"name": "v", "annotations": annotations},
            "spec": {"persistentVolumeReclaimPolicy": policy,
                "claimRef": {"namespace": "n", "name": "c", "uid": "1"}},
            "status": {"phase": phase},
        });
        Arc::new(serde_json::from_value(volume).unwrap())
    }

    fn claim(volume: &str) -> Arc<PersistentVolumeClaim> {
        let claim = json!({"metadata": {"namespace": "n", "name": "c", "uid": "1"},
            "spec": {"volumeName": volume}});
        Arc::new(serde_json::from_value(claim).unwrap())
    }

    #[test]
    fn a_volume_without_its_claim_is_released_then_reclaimed() {
        let step = plan(&volume("Bound", "Delete", json!({})), None).step;
        assert!(matches!(step, Some(Step::VolumeStatus(volume))
            if claim::phase_of_volume(&volume) == "Released"));
        let ours = volume("Released", "Delete", json!({PROVISIONED_BY: LOCAL_PATH}));
        assert_eq!(plan(&ours, None).step, Some(Step::Delete(ours.clone())));
        let kept = volume("Released", "Retain", json!({PROVISIONED_BY: LOCAL_PATH}));
        assert_eq!(plan(&kept, None), Plan::default());
        let theirs = volume("Released", "Delete", json!({PROVISIONED_BY: "a.b/c"}));
        assert_eq!(plan(&theirs, None), Plan::default());
        let nobodys = plan(&volume("Released", "Delete", json!({})), None);
        assert_eq!(nobodys.notes[0].reason, "VolumeFailedDelete");
        let Some(Step::VolumeStatus(failed)) = nobodys.step else { panic!("it says so") };
        assert_eq!(plan(&Arc::new(failed), None), Plan::default());
    }

    #[test]
    fn one_whose_claim_has_another_is_let_go() {
        let chosen = volume("Bound", "Retain", json!({BOUND_BY_CONTROLLER: "yes"}));
        let Some(Step::Volume(free)) = plan(&chosen, Some(&claim("w"))).step else {
            panic!("it is let go")
        };
        assert_eq!(free.spec.unwrap().claim_ref, None);
        let Some(Step::Volume(set_aside)) =
            plan(&volume("Bound", "Retain", json!({})), Some(&claim("w"))).step
        else {
            panic!("it is let go")
        };
        let reference = set_aside.spec.unwrap().claim_ref.unwrap();
        assert_eq!((reference.name.as_deref(), reference.uid), (Some("c"), None));
        assert_eq!(plan(&chosen, Some(&claim("v"))), Plan::default());
    }
}

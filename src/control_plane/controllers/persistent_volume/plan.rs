//! What there is to do and to tell, and the steps of a binding.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use crate::api::claim::{self, BIND_COMPLETED, BOUND_BY_CONTROLLER};
use crate::client::events::EventType;
use crate::control_plane::controllers::ownership::reference;

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Volume(PersistentVolume),
    VolumeStatus(PersistentVolume),
    Claim(PersistentVolumeClaim),
    ClaimStatus(PersistentVolumeClaim),
    Delete(Arc<PersistentVolume>),
}

/// One Event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub(super) about: About,
    pub(super) type_: EventType,
    pub(super) reason: &'static str,
    pub(super) text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum About {
    Claim(Arc<PersistentVolumeClaim>),
    Volume(Arc<PersistentVolume>),
}

/// The next write, and what to tell now. Nothing of both: all is as it should be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) step: Option<Step>,
    pub(super) notes: Vec<Note>,
}

impl Plan {
    pub(super) fn step(step: Step) -> Self {
        Self { step: Some(step), notes: Vec::new() }
    }

    pub(super) fn and_tell(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }
}

/// The next step of a binding: the volume first, for it is what others may want too.
pub(super) fn bind(volume: &Arc<PersistentVolume>, claim: &Arc<PersistentVolumeClaim>) -> Plan {
    bind_volume(volume, claim)
        .or_else(|| phase_of_volume(volume, "Bound", None))
        .or_else(|| bind_claim(claim, volume))
        .or_else(|| bound_status(claim, volume))
        .map_or_else(Plan::default, Plan::step)
}

/// The volume names the claim, by its uid.
fn bind_volume(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<Step> {
    let spec = volume.spec.as_ref()?;
    let named = spec.claim_ref.as_ref().and_then(|reference| reference.uid.as_deref());
    if named.is_some_and(|uid| !uid.is_empty()) && claim::is_reserved_for(volume, claim) {
        return None;
    }
    let mut changed = volume.clone();
    if !claim::is_reserved_for(volume, claim) {
        annotate(&mut changed.metadata.annotations, BOUND_BY_CONTROLLER, "yes");
    }
    changed.spec.get_or_insert_default().claim_ref = Some(reference(claim));
    Some(Step::Volume(changed))
}

/// The volume in that phase, unless it is.
pub(super) fn phase_of_volume(
    volume: &PersistentVolume,
    phase: &str,
    message: Option<&str>,
) -> Option<Step> {
    let status = volume.status.clone().unwrap_or_default();
    let said = status.message.as_deref();
    if status.phase.as_deref() == Some(phase) && said == message {
        return None;
    }
    let mut changed = volume.clone();
    let status = changed.status.get_or_insert_default();
    status.phase = Some(phase.to_owned());
    status.message = message.map(str::to_owned);
    Some(Step::VolumeStatus(changed))
}

/// The claim names the volume, for good.
fn bind_claim(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Step> {
    let name = volume.metadata.name.clone().unwrap_or_default();
    if claim::is_bound(claim) && claim::volume_name(claim) == name {
        return None;
    }
    let mut changed = claim.clone();
    let annotations = &mut changed.metadata.annotations;
    if claim::volume_name(claim) != name {
        annotate(annotations, BOUND_BY_CONTROLLER, "yes");
    }
    annotate(annotations, BIND_COMPLETED, "yes");
    changed.spec.get_or_insert_default().volume_name = Some(name);
    Some(Step::Claim(changed))
}

/// The claim tells what it has. How large it is follows the volume only when it becomes bound: a claim that
/// grows says so when it has grown.
fn bound_status(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Step> {
    let spec = volume.spec.as_ref()?;
    let mut changed = claim.clone();
    let status = changed.status.get_or_insert_default();
    if status.phase.as_deref() != Some("Bound") {
        status.phase = Some("Bound".to_owned());
        status.capacity.clone_from(&spec.capacity);
    }
    status.access_modes.clone_from(&spec.access_modes);
    (changed.status != claim.status).then_some(Step::ClaimStatus(changed))
}

/// The claim in that phase, with nothing to show, unless it is.
pub(super) fn phase_of_claim(claim: &PersistentVolumeClaim, phase: &str) -> Option<Step> {
    let mut changed = claim.clone();
    let status = changed.status.get_or_insert_default();
    if status.phase.as_deref() == Some(phase) {
        return None;
    }
    status.phase = Some(phase.to_owned());
    status.access_modes = None;
    status.capacity = None;
    Some(Step::ClaimStatus(changed))
}

pub(super) fn annotate(
    annotations: &mut Option<BTreeMap<String, String>>,
    name: &str,
    value: &str,
) {
    annotations.get_or_insert_default().insert(name.to_owned(), value.to_owned());
}

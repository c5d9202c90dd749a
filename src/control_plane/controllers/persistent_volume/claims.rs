//! What a claim needs next.
//!
//! Upstream: `syncUnboundClaim`, `syncBoundClaim`, `provisionClaim`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::plan::{About, Note, Plan, Step, annotate, bind, phase_of_claim};
use crate::api::claim::{
    self, BETA_STORAGE_PROVISIONER, BIND_COMPLETED, SELECTED_NODE, STORAGE_PROVISIONER,
};
use crate::client::events::EventType::{self, Normal, Warning};

/// What a decision about a claim looks at.
pub(super) struct View<'a> {
    pub(super) claim: &'a Arc<PersistentVolumeClaim>,
    /// The one that the claim names.
    pub(super) volume: Option<&'a Arc<PersistentVolume>>,
    /// All of them.
    pub(super) volumes: &'a dyn Fn() -> Vec<Arc<PersistentVolume>>,
    /// The claim's class, if it is there.
    pub(super) class: Option<&'a StorageClass>,
    /// The name of the class for claims that name none.
    pub(super) default_class: &'a dyn Fn() -> Option<String>,
}

pub(super) fn plan(view: &View<'_>) -> Plan {
    if claim::has_annotation(&view.claim.metadata, BIND_COMPLETED) {
        keep_bound(view)
    } else if view.claim.metadata.deletion_timestamp.is_some() {
        // Whoever goes before it has anything gets nothing any more.
        Plan::default()
    } else if claim::volume_name(view.claim).is_empty() {
        find(view)
    } else {
        take_named(view)
    }
}

fn keep_bound(view: &View<'_>) -> Plan {
    let lost = |reason, text: &str| match phase_of_claim(view.claim, "Lost") {
        Some(step) => Plan::step(step).and_tell(note(view, Warning, reason, text)),
        None => Plan::default(),
    };
    if claim::volume_name(view.claim).is_empty() {
        let text =
            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
        return lost("ClaimLost", text);
    }
    let Some(volume) = view.volume else {
        let text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
        return lost("ClaimLost", text);
    };
    let is_free = volume.spec.as_ref().is_none_or(|spec| spec.claim_ref.is_none());
    if is_free || claim::is_reserved_for(volume, view.claim) {
        return bind(volume, view.claim);
    }
    let text = "Two claims are bound to the same volume, this one is bound incorrectly";
    lost("ClaimMisbound", text)
}

/// The user does not mind which one.
fn find(view: &View<'_>) -> Plan {
    let claim = view.claim;
    let waits = view
        .class
        .is_some_and(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
    let volumes = (view.volumes)();
    // Which free volume suits one that waits for its first Pod, the scheduler says.
    let found = match waits {
        true => claim::reserved_for(claim, &volumes),
        false => claim::best_match(claim, &volumes, |_| true),
    };
    if let Some(volume) = found {
        return bind(volume, claim);
    }
    match claim::class_of_claim(claim) {
        "" => without_class(view),
        _ if waits && !claim::has_annotation(&claim.metadata, SELECTED_NODE) => {
            let text = "waiting for first consumer to be created before binding";
            pending(view, Normal, "WaitForFirstConsumer", text)
        }
        name => provision(view, name),
    }
}

/// One that came before there was a default class gets it later; one that wants none waits for a volume.
fn without_class(view: &View<'_>) -> Plan {
    let says_none = view.claim.spec.as_ref().is_some_and(|spec| spec.storage_class_name.is_some());
    match (view.default_class)().filter(|_| !says_none) {
        Some(class) => {
            let mut changed = (**view.claim).clone();
            changed.spec.get_or_insert_default().storage_class_name = Some(class);
            Plan::step(Step::Claim(changed))
        }
        None => {
            let text = "no persistent volumes available for this claim and no storage class is set";
            pending(view, Normal, "FailedBinding", text)
        }
    }
}

/// Asks the class's provisioner for a volume.
fn provision(view: &View<'_>, name: &str) -> Plan {
    let Some(class) = view.class else {
        let text = format!("storageclass.storage.k8s.io {name:?} not found");
        return pending(view, Warning, "ProvisioningFailed", &text);
    };
    let provisioner = class.provisioner.as_str();
    // Those of Kubernetes' own domain were built in once; `no-provisioner` says that there is none.
    if provisioner.starts_with("kubernetes.io/") {
        let text = format!("no volume plugin matched name: {provisioner}");
        return pending(view, Warning, "ProvisioningFailed", &text);
    }
    if claim::annotation(&view.claim.metadata, STORAGE_PROVISIONER) != provisioner {
        let mut changed = (**view.claim).clone();
        annotate(&mut changed.metadata.annotations, STORAGE_PROVISIONER, provisioner);
        annotate(&mut changed.metadata.annotations, BETA_STORAGE_PROVISIONER, provisioner);
        return Plan::step(Step::Claim(changed));
    }
    let text = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or \
         manually by the system administrator. If volume creation is delayed, please verify that \
         the provisioner is running and correctly registered."
    );
    pending(view, Normal, "ExternalProvisioning", &text)
}

/// The user asks for this volume.
fn take_named(view: &View<'_>) -> Plan {
    let name = claim::volume_name(view.claim);
    let Some(volume) = view.volume else {
        return phase_of_claim(view.claim, "Pending").map_or_else(Plan::default, Plan::step);
    };
    let is_free = volume.spec.as_ref().is_none_or(|spec| spec.claim_ref.is_none());
    if is_free {
        return match claim::check(volume, view.claim) {
            Ok(()) => bind(volume, view.claim),
            Err(complaint) => {
                let text = format!("Cannot bind to requested volume {name:?}: {complaint}");
                pending(view, Warning, "VolumeMismatch", &text)
            }
        };
    }
    if claim::is_reserved_for(volume, view.claim) {
        return bind(volume, view.claim);
    }
    let text = format!("volume {name:?} already bound to a different claim.");
    pending(view, Warning, "FailedBinding", &text)
}

/// It waits, and says what for once it says that it waits.
fn pending(view: &View<'_>, type_: EventType, reason: &'static str, text: &str) -> Plan {
    match phase_of_claim(view.claim, "Pending") {
        Some(step) => Plan::step(step),
        None => Plan::default().and_tell(note(view, type_, reason, text)),
    }
}

fn note(view: &View<'_>, type_: EventType, reason: &'static str, text: &str) -> Note {
    Note { about: About::Claim(view.claim.clone()), type_, reason, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim(meta: Value, spec: Value) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": {"name": "c", "namespace": "n", "uid": "1"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}},
            "status": {"phase": "Pending"},
        });
        for (field, more) in [("metadata", meta), ("spec", spec)] {
            for (name, value) in more.as_object().unwrap() {
                claim[field][name] = value.clone();
            }
        }
        serde_json::from_value(claim).unwrap()
    }

    fn volume(name: &str, claim_ref: Value) -> Arc<PersistentVolume> {
        let volume = json!({
            "metadata": {"name": name},
            "spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"],
                "claimRef": claim_ref},
            "status": {"phase": "Available"},
        });
        Arc::new(serde_json::from_value(volume).unwrap())
    }

    fn class(mode: &str, provisioner: &str) -> StorageClass {
        serde_json::from_value(json!({"provisioner": provisioner, "volumeBindingMode": mode}))
            .unwrap()
    }

    fn planned(
        claim: PersistentVolumeClaim,
        volumes: &[Arc<PersistentVolume>],
        class: Option<&StorageClass>,
    ) -> Plan {
        let claim = Arc::new(claim);
        let named = |volume: &&Arc<PersistentVolume>| {
            volume.metadata.name.as_deref() == Some(claim::volume_name(&claim))
        };
        plan(&View {
            claim: &claim,
            volume: volumes.iter().find(named),
            volumes: &|| volumes.to_vec(),
            class,
            default_class: &|| None,
        })
    }

    #[track_caller]
    fn told(plan: &Plan, expect: &str) {
        let told: Vec<_> =
            plan.notes.iter().map(|note| format!("{}: {}", note.reason, note.text)).collect();
        assert_eq!(told, [expect]);
    }

    #[test]
    fn a_claim_without_a_volume_says_what_it_waits_for() {
        let of_class = || claim(json!({}), json!({"storageClassName": "x"}));
        told(
            &planned(claim(json!({}), json!({"storageClassName": ""})), &[], None),
            "FailedBinding: no persistent volumes available for this claim and no storage class is set",
        );
        told(
            &planned(of_class(), &[], None),
            "ProvisioningFailed: storageclass.storage.k8s.io \"x\" not found",
        );
        let waits = class("WaitForFirstConsumer", "a.b/c");
        told(
            &planned(of_class(), &[volume("v", Value::Null)], Some(&waits)),
            "WaitForFirstConsumer: waiting for first consumer to be created before binding",
        );
        let none = class("Immediate", "kubernetes.io/no-provisioner");
        told(
            &planned(of_class(), &[], Some(&none)),
            "ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner",
        );
        let named = claim(json!({}), json!({"volumeName": "v", "storageClassName": "x"}));
        told(
            &planned(named.clone(), &[volume("v", Value::Null)], None),
            "VolumeMismatch: Cannot bind to requested volume \"v\": storageClassName does not match",
        );
        let other = json!({"namespace": "n", "name": "other", "uid": "2"});
        told(
            &planned(named, &[volume("v", other)], None),
            "FailedBinding: volume \"v\" already bound to a different claim.",
        );
    }

    #[test]
    fn a_provisioner_is_asked_by_annotation() {
        let unasked = claim(json!({}), json!({"storageClassName": "x"}));
        let class = class("Immediate", "a.b/c");
        let Some(Step::Claim(asked)) = planned(unasked, &[], Some(&class)).step else {
            panic!("the claim is annotated");
        };
        assert_eq!(claim::annotation(&asked.metadata, STORAGE_PROVISIONER), "a.b/c");
        let plan = planned(asked, &[], Some(&class));
        assert_eq!((plan.step, plan.notes[0].reason), (None, "ExternalProvisioning"));
    }

    #[test]
    fn a_bound_claim_without_its_volume_is_lost() {
        let bound =
            || claim(json!({"annotations": {BIND_COMPLETED: "yes"}}), json!({"volumeName": "v"}));
        let gone = planned(bound(), &[], None);
        told(
            &gone,
            "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!",
        );
        let other = json!({"namespace": "n", "name": "c", "uid": "2"});
        let misbound = planned(bound(), &[volume("v", other)], None);
        told(
            &misbound,
            "ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly",
        );
    }
}

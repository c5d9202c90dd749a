//! What may change in a Pod that is there: little, and everything else is named.

use k8s_openapi::api::core::v1::{Affinity, Container, Pod, PodSpec, Toleration};
use serde_json::Value;

use super::{invalid_number, validate_pod_spec};
use crate::api::fields::{FieldError, Path};
use crate::api::meta;
use crate::control_plane::registry::changes::changes;

const REFUSAL: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions \
    to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it \
    was previously negative)";

pub(in super::super) fn validate_update(pod: &Pod, old: &Pod) -> Vec<FieldError> {
    let path = Path::new("spec");
    let (Some(spec), Some(old)) = (&pod.spec, &old.spec) else {
        return vec![FieldError::required(path.child("containers"), "")];
    };
    if spec == old {
        return Vec::new();
    }
    let mut faults = validate_pod_spec(spec);
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let old_init = old.init_containers.as_deref().unwrap_or_default();
    let lists = [
        ("containers", spec.containers.as_slice(), old.containers.as_slice()),
        ("initContainers", init, old_init),
    ];
    for (field, new, old) in lists {
        if new.len() != old.len() {
            let detail = "pod updates may not add or remove containers";
            faults.push(FieldError::forbidden(path.child(field), detail));
            return faults;
        }
    }
    faults.extend(validate_deadline(spec, old, &path.child("activeDeadlineSeconds")));
    faults.extend(validate_tolerations(spec, old, &path.child("tolerations")));
    faults.extend(validate_gates(spec, old, &path.child("schedulingGates")));
    let munged = munge(spec, old);
    if is_gated(old) {
        faults.extend(validate_node_selector(spec, old, &path.child("nodeSelector")));
    }
    // To name what has changed takes far longer than to see that nothing has.
    let changes = if munged == *old { Vec::new() } else { changes(&path, &munged, old) };
    if !changes.is_empty() {
        let detail = format!("{REFUSAL}\n{}", changes.join("\n"));
        faults.push(FieldError::forbidden(path, detail));
    }
    faults
}

/// It may be set, and lowered.
fn validate_deadline(spec: &PodSpec, old: &PodSpec, path: &Path) -> Vec<FieldError> {
    match (spec.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            invalid_number(path, new, meta::in_range(new, 0, i64::from(i32::MAX)))
        }
        (Some(new), Some(old)) if new > old => {
            let detail = "must be less than or equal to previous value";
            vec![FieldError::invalid(path.clone(), new, detail)]
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            vec![FieldError::invalid(path.clone(), Value::Null, detail)]
        }
        _ => Vec::new(),
    }
}

/// They may be added; of those there only the seconds may change.
fn validate_tolerations(spec: &PodSpec, old: &PodSpec, path: &Path) -> Option<FieldError> {
    let timeless =
        |toleration: &Toleration| Toleration { toleration_seconds: None, ..toleration.clone() };
    let kept = |old: &Toleration| {
        spec.tolerations.iter().flatten().any(|new| timeless(new) == timeless(old))
    };
    let detail = "existing toleration can not be modified except its tolerationSeconds";
    let lost = !old.tolerations.iter().flatten().all(kept);
    lost.then(|| FieldError::forbidden(path.clone(), detail))
}

/// They may only be opened.
fn validate_gates(spec: &PodSpec, old: &PodSpec, path: &Path) -> Vec<FieldError> {
    let there = |name: &str| old.scheduling_gates.iter().flatten().any(|gate| gate.name == name);
    let gates = spec.scheduling_gates.iter().flatten().enumerate();
    gates
        .filter(|(_, gate)| !there(&gate.name))
        .map(|(index, gate)| {
            let detail =
                format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
            FieldError::forbidden(path.index(index).child("name"), detail)
        })
        .collect()
}

/// Of a gated Pod it may grow.
fn validate_node_selector(spec: &PodSpec, old: &PodSpec, path: &Path) -> Vec<FieldError> {
    let new = spec.node_selector.clone().unwrap_or_default();
    let lost =
        old.node_selector.iter().flatten().filter(|(key, value)| new.get(*key) != Some(*value));
    let fault = |(key, value): (&String, &String)| {
        let detail =
            format!("additions to nodeSelector are allowed, but {key}: {value} may not change");
        FieldError::invalid(path.clone(), serde_json::json!(new), detail)
    };
    lost.map(fault).collect()
}

fn is_gated(spec: &PodSpec) -> bool {
    spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty())
}

/// The new spec with everything that may change put back as it was.
fn munge(spec: &PodSpec, old: &PodSpec) -> PodSpec {
    let mut munged = spec.clone();
    put_images_back(&mut munged.containers, &old.containers);
    let old_init = old.init_containers.as_deref().unwrap_or_default();
    put_images_back(munged.init_containers.as_deref_mut().unwrap_or_default(), old_init);
    munged.active_deadline_seconds = old.active_deadline_seconds;
    munged.scheduling_gates.clone_from(&old.scheduling_gates);
    munged.tolerations.clone_from(&old.tolerations);
    let grace = old.termination_grace_period_seconds;
    if grace.is_some_and(|grace| grace < 0) && munged.termination_grace_period_seconds == Some(1) {
        munged.termination_grace_period_seconds = grace;
    }
    if is_gated(old) {
        munged.node_selector.clone_from(&old.node_selector);
        let nodes = old.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
        if munged.affinity.is_some() || nodes.is_some() {
            let affinity = munged.affinity.get_or_insert_default();
            affinity.node_affinity = nodes;
        }
        if munged.affinity == Some(Affinity::default()) {
            munged.affinity.clone_from(&old.affinity);
        }
    }
    munged
}

fn put_images_back(containers: &mut [Container], old: &[Container]) {
    for (container, old) in containers.iter_mut().zip(old) {
        container.image.clone_from(&old.image);
    }
}

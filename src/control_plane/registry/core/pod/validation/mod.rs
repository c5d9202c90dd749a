//! Every fault of a Pod, worded and placed as upstream's.
//!
//! Not checked, since no node of ours could run them anyway: the details of volume types that name
//! a cloud or a storage product, Windows options, and annotations older than the fields that
//! replaced them.
//!
//! Upstream: `pkg/apis/core/validation/validation.go` of v1.33.

mod containers;
mod downward;
mod env;
mod ephemeral;
mod ephemeral_volumes;
mod handlers;
mod networking;
pub(super) mod resources;
mod scheduling;
mod security;
pub(super) mod selectors;
mod status;
mod update;
mod volumes;
#[cfg(test)]
mod volumes_tests;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::rules::{invalid_number, one_of, text};

pub(super) use ephemeral::validate_ephemeral_update;
pub(super) use status::validate_status_update;
pub(super) use update::validate_update;

const NEGATIVE: &str = "must be greater than or equal to 0";
const NOT_POSITIVE: &str = "must be greater than zero";

/// A new Pod.
pub(super) fn validate(pod: &Pod) -> Vec<FieldError> {
    let Some(spec) = &pod.spec else {
        return vec![FieldError::required(Path::new("spec").child("containers"), "")];
    };
    let path = Path::new("spec");
    let mut faults = validate_pod_spec(spec);
    let name = text(&pod.metadata.name);
    faults.extend(ephemeral_volumes::validate_names(name, spec, &path));
    if spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()) {
        let path = path.child("ephemeralContainers");
        faults.push(FieldError::forbidden(path, "cannot be set on create"));
    }
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    if gated && !text(&spec.node_name).is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        faults.push(FieldError::forbidden(path.child("nodeName"), detail));
    }
    faults
}

/// What holds for a Pod's spec, new or changed, beyond what holds in a template.
fn validate_pod_spec(spec: &PodSpec) -> Vec<FieldError> {
    let path = Path::new("spec");
    let mut faults = validate_spec(spec, &path);
    faults.extend(volumes::validate_token_sources(spec, &path));
    faults.extend(containers::validate_images(&spec.containers, &path.child("containers")));
    let init = spec.init_containers.as_deref().unwrap_or_default();
    faults.extend(containers::validate_images(init, &path.child("initContainers")));
    faults
}

/// What holds for any Pod spec, in a Pod or in a template.
pub(super) fn validate_spec(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if spec.termination_grace_period_seconds.is_none() {
        faults.push(FieldError::required(path.child("terminationGracePeriodSeconds"), ""));
    }
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    faults.extend(volumes::validate(volumes, &path.child("volumes")));
    faults.extend(containers::validate(spec, path));
    faults.extend(networking::validate_host_network(spec, path));
    faults.extend(one_of(
        &path.child("restartPolicy"),
        text(&spec.restart_policy),
        &["Always", "OnFailure", "Never"],
    ));
    faults.extend(one_of(
        &path.child("dnsPolicy"),
        text(&spec.dns_policy),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    ));
    if let Some(selector) = &spec.node_selector {
        faults.extend(meta::validate_labels(selector, &path.child("nodeSelector")));
    }
    faults.extend(security::validate_pod(spec, path));
    faults.extend(scheduling::validate(spec, path));
    faults.extend(networking::validate(spec, path));
    faults.extend(validate_names(spec, path));
    faults.extend(validate_scalars(spec, path));
    faults
}

fn validate_names(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    type Rule = fn(&str) -> Vec<String>;
    let names: [(&str, &Option<String>, Rule); 6] = [
        ("serviceAccountName", &spec.service_account_name, meta::dns1123_subdomain),
        ("nodeName", &spec.node_name, meta::dns1123_subdomain),
        ("hostname", &spec.hostname, meta::dns1123_label),
        ("subdomain", &spec.subdomain, meta::dns1123_label),
        ("priorityClassName", &spec.priority_class_name, meta::dns1123_subdomain),
        ("runtimeClassName", &spec.runtime_class_name, meta::dns1123_subdomain),
    ];
    let given = names.into_iter().filter(|(_, name, _)| !text(name).is_empty());
    given
        .flat_map(|(field, name, rule)| {
            invalid_each(&path.child(field), text(name), rule(text(name)))
        })
        .collect()
}

fn validate_scalars(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(seconds) = spec.active_deadline_seconds {
        let complaints = meta::in_range(seconds, 1, i64::from(i32::MAX));
        faults.extend(invalid_number(&path.child("activeDeadlineSeconds"), seconds, complaints));
    }
    if let Some(policy) = spec.preemption_policy.as_deref() {
        let path = path.child("preemptionPolicy");
        faults.extend(one_of(&path, policy, &["PreemptLowerPriority", "Never"]));
    }
    if let Some(os) = &spec.os {
        let path = path.child("os");
        match os.name.as_str() {
            "linux" | "windows" => {}
            "" => faults.push(FieldError::required(path.child("name"), "cannot be empty")),
            name => faults.push(FieldError::not_supported(path, name, &["linux", "windows"])),
        }
    }
    for (name, amount) in spec.overhead.iter().flatten() {
        let path = path.child("overhead").key(name);
        faults.extend(resources::validate_amount(name, amount, &path));
    }
    faults
}

fn not_negative(path: &Path, number: Option<i64>) -> Option<FieldError> {
    let number = number.filter(|number| *number < 0)?;
    Some(FieldError::invalid(path.clone(), number, NEGATIVE))
}

fn qualified_name(path: &Path, name: &str) -> Vec<FieldError> {
    invalid_each(path, name, meta::qualified_name(name))
}

#[cfg(test)]
mod tests;

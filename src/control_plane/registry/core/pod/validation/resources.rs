//! What containers ask of cpu, memory and other resources.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::NEGATIVE;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::api::quantity::Quantity;

const CONTAINER_RESOURCES: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// Known without a domain, but mostly in quotas; upstream: `standardResources`.
const STANDARD_RESOURCES: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
    "requests.storage",
];

pub(super) fn validate(
    requirements: &ResourceRequirements,
    spec: &PodSpec,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let limits = requirements.limits.as_ref();
    for (name, amount) in limits.into_iter().flatten() {
        let path = path.child("limits").key(name);
        faults.extend(validate_name(name, &path));
        faults.extend(validate_amount(name, amount, &path));
    }
    for (name, amount) in requirements.requests.iter().flatten() {
        let key = path.child("requests").key(name);
        faults.extend(validate_name(name, &key));
        faults.extend(validate_amount(name, amount, &key));
        let limit = limits.and_then(|limits| limits.get(name));
        faults.extend(validate_request(name, amount, limit, path));
    }
    let names: BTreeSet<&String> = [&requirements.limits, &requirements.requests]
        .into_iter()
        .flatten()
        .flatten()
        .map(|(name, _)| name)
        .collect();
    let computes = names.iter().any(|name| matches!(name.as_str(), "cpu" | "memory"));
    if !computes && names.iter().any(|name| is_huge_pages(name)) {
        faults.push(FieldError::forbidden(path.clone(), "HugePages require cpu or memory"));
    }
    faults.extend(validate_claims(requirements, spec, &path.child("claims")));
    faults
}

fn validate_request(
    name: &str,
    request: &ApiQuantity,
    limit: Option<&ApiQuantity>,
    path: &Path,
) -> Option<FieldError> {
    let Some(limit) = limit else {
        let detail = "Limit must be set for non overcommitable resources";
        let missing = || FieldError::required(path.child("limits"), detail);
        return (!allows_overcommit(name)).then(missing);
    };
    // An amount that is none has its own fault.
    let (asked, most) = (Quantity::of(request).ok()?, Quantity::of(limit).ok()?);
    let fault = |relation: &str| {
        let detail = format!("must be {relation} {name} limit of {most}");
        Some(FieldError::invalid(path.child("requests"), asked.to_string(), detail))
    };
    if asked != most && !allows_overcommit(name) {
        fault("equal to")
    } else if asked > most {
        fault("less than or equal to")
    } else {
        None
    }
}

/// What a container may ask for. Upstream: `ValidateContainerResourceName`.
pub(in crate::control_plane::registry::core) fn validate_name(
    name: &str,
    path: &Path,
) -> Vec<FieldError> {
    let invalid = |detail: &str| FieldError::invalid(path.clone(), name, detail);
    let mut faults = invalid_each(path, name, meta::qualified_name(name));
    if name.contains('/') {
        if !is_native(name) && !is_extended(name) {
            faults.push(invalid("doesn't follow extended resource name standard"));
        }
        return faults;
    }
    if faults.is_empty() && !is_standard(name) {
        faults.push(invalid("must be a standard resource type or fully qualified"));
    }
    if !CONTAINER_RESOURCES.contains(&name) && !is_huge_pages(name) {
        faults.push(invalid("must be a standard resource for containers"));
    }
    faults
}

pub(super) fn validate_amount(name: &str, amount: &ApiQuantity, path: &Path) -> Vec<FieldError> {
    let invalid = |detail: String| FieldError::invalid(path.clone(), amount.0.as_str(), detail);
    let parsed = match Quantity::of(amount) {
        Ok(parsed) => parsed,
        Err(error) => return vec![invalid(error.to_string())],
    };
    let mut faults = Vec::new();
    if parsed.is_negative() {
        faults.push(invalid(NEGATIVE.to_owned()));
    }
    if is_extended(name) && !parsed.is_whole() {
        faults.push(invalid("must be an integer".to_owned()));
    }
    faults
}

fn validate_claims(
    requirements: &ResourceRequirements,
    spec: &PodSpec,
    path: &Path,
) -> Vec<FieldError> {
    let known: BTreeSet<&str> =
        spec.resource_claims.iter().flatten().map(|claim| claim.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for (index, claim) in requirements.claims.iter().flatten().enumerate() {
        let path = path.index(index);
        let name = claim.name.as_str();
        if name.is_empty() {
            faults.push(FieldError::required(path, ""));
            continue;
        }
        if !seen.insert((name, &claim.request)) {
            faults.push(FieldError::duplicate(path.clone(), name));
        }
        if !known.contains(name) {
            let mut fault = FieldError::not_found(path, name);
            let names: Vec<&str> = known.iter().copied().collect();
            fault.detail = match names.as_slice() {
                [] => {
                    "must be one of the names in pod.spec.resourceClaims which is empty".to_owned()
                }
                names => format!(
                    "must be one of the names in pod.spec.resourceClaims: {}",
                    names.join(", ")
                ),
            };
            faults.push(fault);
        }
    }
    faults
}

/// Upstream: `helper.IsStandardResourceName`.
pub(in crate::control_plane::registry::core) fn is_standard(name: &str) -> bool {
    STANDARD_RESOURCES.contains(&name) || is_huge_pages(name)
}

fn is_huge_pages(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// A resource of somebody else's domain; counted in whole numbers.
fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && meta::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether a request may be less than its limit.
fn allows_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_pages(name)
}

//! Label selectors and node selectors within a spec.

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::qualified_name;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};

const OPERATOR: &str = "not a valid selector operator";

/// Upstream: `ValidateLabelSelector` in `apimachinery/pkg/apis/meta/v1/validation`.
pub(in crate::control_plane::registry) fn validate_labels(
    selector: Option<&LabelSelector>,
    path: &Path,
) -> Vec<FieldError> {
    let Some(selector) = selector else { return Vec::new() };
    let mut faults = Vec::new();
    if let Some(labels) = &selector.match_labels {
        faults.extend(meta::validate_labels(labels, &path.child("matchLabels")));
    }
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let path = path.child("matchExpressions").index(index);
        let values = requirement.values.as_deref().unwrap_or_default();
        let operator = requirement.operator.as_str();
        faults.extend(validate_arity(operator, values, false, &path));
        faults.extend(qualified_name(&path.child("key"), &requirement.key));
        for (index, value) in values.iter().enumerate() {
            let path = path.child("values").index(index);
            faults.extend(invalid_each(&path, value, meta::label_value(value)));
        }
    }
    faults
}

pub(in crate::control_plane::registry) fn validate_nodes(
    selector: &NodeSelector,
    path: &Path,
) -> Vec<FieldError> {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        return vec![FieldError::required(path, "must have at least one node selector term")];
    }
    let terms = selector.node_selector_terms.iter().enumerate();
    terms.flat_map(|(index, term)| validate_term(term, true, &path.index(index))).collect()
}

/// `strict`: values must be label values; a preference may name one that no node has.
pub(super) fn validate_term(term: &NodeSelectorTerm, strict: bool, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        let path = path.child("matchExpressions").index(index);
        let values = requirement.values.as_deref().unwrap_or_default();
        faults.extend(validate_arity(&requirement.operator, values, true, &path));
        faults.extend(qualified_name(&path.child("key"), &requirement.key));
        for (index, value) in values.iter().enumerate().filter(|_| strict) {
            let path = path.child("values").index(index);
            faults.extend(invalid_each(&path, value, meta::label_value(value)));
        }
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        let path = path.child("matchFields").index(index);
        faults.extend(validate_field(requirement, &path));
    }
    faults
}

/// How many values an operator takes; only node selectors compare numbers.
fn validate_arity(
    operator: &str,
    values: &[String],
    of_nodes: bool,
    path: &Path,
) -> Option<FieldError> {
    let values_path = path.child("values");
    match operator {
        "In" | "NotIn" if values.is_empty() => Some(FieldError::required(
            values_path,
            "must be specified when `operator` is 'In' or 'NotIn'",
        )),
        "Exists" | "DoesNotExist" if !values.is_empty() => Some(FieldError::forbidden(
            values_path,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        "Gt" | "Lt" if of_nodes && values.len() != 1 => Some(FieldError::required(
            values_path,
            "must be specified single value when `operator` is 'Lt' or 'Gt'",
        )),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => None,
        "Gt" | "Lt" if of_nodes => None,
        _ => Some(FieldError::invalid(path.child("operator"), operator, OPERATOR)),
    }
}

/// The only field of a node to select by is its name.
fn validate_field(requirement: &NodeSelectorRequirement, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let values = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.len() == 1 => {}
        "In" | "NotIn" => {
            let detail =
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            faults.push(FieldError::required(path.child("values"), detail));
        }
        operator => faults.push(FieldError::invalid(path.child("operator"), operator, OPERATOR)),
    }
    if requirement.key != "metadata.name" {
        let key = requirement.key.as_str();
        let detail = "not a valid field selector key";
        faults.push(FieldError::invalid(path.child("key"), key, detail));
        return faults;
    }
    for (index, value) in values.iter().enumerate() {
        let path = path.child("values").index(index);
        faults.extend(invalid_each(&path, value, meta::dns1123_subdomain(value)));
    }
    faults
}

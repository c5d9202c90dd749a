//! Where a Pod may run: affinity, tolerations, spreading, gates.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, PodAffinityTerm, PodSpec, Toleration, TopologySpreadConstraint,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{NOT_POSITIVE, qualified_name, selectors, text};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::core::TAINT_EFFECTS;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(affinity) = &spec.affinity {
        faults.extend(validate_affinity(affinity, &path.child("affinity")));
    }
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let path = path.child("readinessGates").index(index).child("conditionType");
        faults.extend(qualified_name(&path, &gate.condition_type));
    }
    let mut gates = BTreeSet::new();
    for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        let path = path.child("schedulingGates").index(index);
        faults.extend(qualified_name(&path, &gate.name));
        if !gates.insert(&gate.name) {
            faults.push(FieldError::duplicate(path, gate.name.as_str()));
        }
    }
    let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    faults.extend(validate_spread(constraints, &path.child("topologySpreadConstraints")));
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    faults.extend(validate_tolerations(tolerations, &path.child("tolerations")));
    faults
}

pub(super) fn validate_tolerations(tolerations: &[Toleration], path: &Path) -> Vec<FieldError> {
    let tolerations = tolerations.iter().enumerate();
    tolerations
        .flat_map(|(index, toleration)| validate_toleration(toleration, &path.index(index)))
        .collect()
}

fn validate_toleration(toleration: &Toleration, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let operator_path = path.child("operator");
    let (key, value) = (text(&toleration.key), text(&toleration.value));
    let (operator, effect) = (text(&toleration.operator), text(&toleration.effect));
    if !key.is_empty() {
        faults.extend(qualified_name(&path.child("key"), key));
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values \
                      and all keys\"";
        faults.push(FieldError::invalid(operator_path.clone(), operator, detail));
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        faults.push(FieldError::invalid(path.child("effect"), effect, detail));
    }
    match operator {
        "" | "Equal" => {
            let complaints = meta::label_value(value);
            if !complaints.is_empty() {
                faults.push(FieldError::invalid(operator_path, value, complaints.join(";")));
            }
        }
        "Exists" if value.is_empty() => {}
        "Exists" => {
            let detail = "value must be empty when `operator` is 'Exists'";
            faults.push(FieldError::invalid(operator_path, value, detail));
        }
        _ => {
            let operators = &["Equal", "Exists"];
            faults.push(FieldError::not_supported(operator_path, operator, operators));
        }
    }
    if !effect.is_empty() && !TAINT_EFFECTS.contains(&effect) {
        faults.push(FieldError::not_supported(path.child("effect"), effect, TAINT_EFFECTS));
    }
    faults
}

fn validate_affinity(affinity: &Affinity, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(nodes) = &affinity.node_affinity {
        faults.extend(validate_node_affinity(nodes, &path.child("nodeAffinity")));
    }
    if let Some(pods) = &affinity.pod_affinity {
        faults.extend(validate_pod_terms(
            pods.required_during_scheduling_ignored_during_execution.as_deref(),
            pods.preferred_during_scheduling_ignored_during_execution.as_deref(),
            &path.child("podAffinity"),
        ));
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        faults.extend(validate_pod_terms(
            pods.required_during_scheduling_ignored_during_execution.as_deref(),
            pods.preferred_during_scheduling_ignored_during_execution.as_deref(),
            &path.child("podAntiAffinity"),
        ));
    }
    faults
}

fn validate_node_affinity(affinity: &NodeAffinity, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
        faults.extend(selectors::validate_nodes(selector, &path.child(REQUIRED)));
    }
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (index, term) in preferred.enumerate() {
        let path = path.child(PREFERRED).index(index);
        faults.extend(validate_weight(term.weight, &path));
        let path = path.child("preference");
        faults.extend(selectors::validate_term(&term.preference, false, &path));
    }
    faults
}

fn validate_weight(weight: i32, path: &Path) -> Option<FieldError> {
    let valid = (1..=100).contains(&weight);
    let path = path.child("weight");
    (!valid).then(|| FieldError::invalid(path, weight, "must be in the range 1-100"))
}

fn validate_pod_terms(
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (index, term) in required.unwrap_or_default().iter().enumerate() {
        faults.extend(validate_pod_term(term, &path.child(REQUIRED).index(index)));
    }
    for (index, term) in preferred.unwrap_or_default().iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        faults.extend(validate_weight(term.weight, &path));
        faults.extend(validate_pod_term(&term.pod_affinity_term, &path.child("podAffinityTerm")));
    }
    faults
}

fn validate_pod_term(term: &PodAffinityTerm, path: &Path) -> Vec<FieldError> {
    let mut faults =
        selectors::validate_labels(term.label_selector.as_ref(), &path.child("labelSelector"));
    faults.extend(selectors::validate_labels(
        term.namespace_selector.as_ref(),
        &path.child("namespaceSelector"),
    ));
    for name in term.namespaces.iter().flatten() {
        let path = path.child("namespace");
        faults.extend(invalid_each(&path, name, meta::dns1123_label(name)));
    }
    let matching = term.match_label_keys.as_deref().unwrap_or_default();
    let mismatching = term.mismatch_label_keys.as_deref().unwrap_or_default();
    let selector = term.label_selector.as_ref();
    for (field, keys) in [("matchLabelKeys", matching), ("mismatchLabelKeys", mismatching)] {
        faults.extend(validate_label_keys(keys, selector, &path.child(field)));
    }
    for (index, key) in matching.iter().enumerate().filter(|(_, key)| mismatching.contains(key)) {
        let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
        let path = path.child("matchLabelKeys").index(index);
        faults.push(FieldError::invalid(path, key.as_str(), detail));
    }
    let path = path.child("topologyKey");
    if term.topology_key.is_empty() {
        faults.push(FieldError::required(path.clone(), "can not be empty"));
    }
    faults.extend(qualified_name(&path, &term.topology_key));
    faults
}

fn validate_label_keys(
    keys: &[String],
    selector: Option<&LabelSelector>,
    path: &Path,
) -> Vec<FieldError> {
    if !keys.is_empty() && selector.is_none() {
        let detail = "must not be specified when labelSelector is not set";
        return vec![FieldError::forbidden(path.clone(), detail)];
    }
    let keys = keys.iter().enumerate();
    keys.flat_map(|(index, key)| qualified_name(&path.index(index), key)).collect()
}

fn validate_spread(constraints: &[TopologySpreadConstraint], path: &Path) -> Vec<FieldError> {
    const ACTIONS: &[&str] = &["DoNotSchedule", "ScheduleAnyway"];
    let mut faults = Vec::new();
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        let action = constraint.when_unsatisfiable.as_str();
        if constraint.max_skew <= 0 {
            let skew = constraint.max_skew;
            faults.push(FieldError::invalid(path.child("maxSkew"), skew, NOT_POSITIVE));
        }
        if constraint.topology_key.is_empty() {
            faults.push(FieldError::required(path.child("topologyKey"), "can not be empty"));
        }
        if !ACTIONS.contains(&action) {
            let path = path.child("whenUnsatisfiable");
            faults.push(FieldError::not_supported(path, action, ACTIONS));
        }
        let repeated = constraints[index + 1..].iter().any(|other| {
            other.topology_key == constraint.topology_key && other.when_unsatisfiable == action
        });
        if repeated {
            let pair = format!("{{{}, {action}}}", constraint.topology_key);
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            faults.push(FieldError::duplicate(path, pair));
        }
        faults.extend(validate_spread_details(constraint, &path));
    }
    faults
}

fn validate_spread_details(constraint: &TopologySpreadConstraint, path: &Path) -> Vec<FieldError> {
    const POLICIES: &[&str] = &["Honor", "Ignore"];
    let mut faults = Vec::new();
    if let Some(domains) = constraint.min_domains {
        let path = path.child("minDomains");
        let action = constraint.when_unsatisfiable.as_str();
        if domains <= 0 {
            faults.push(FieldError::invalid(path.clone(), domains, NOT_POSITIVE));
        }
        if action != "DoNotSchedule" {
            let detail =
                format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            faults.push(FieldError::invalid(path, domains, detail));
        }
    }
    let policies = [
        ("nodeAffinityPolicy", &constraint.node_affinity_policy),
        ("nodeTaintsPolicy", &constraint.node_taints_policy),
    ];
    for (field, policy) in policies {
        if let Some(policy) = policy.as_deref().filter(|policy| !POLICIES.contains(policy)) {
            faults.push(FieldError::not_supported(path.child(field), policy, POLICIES));
        }
    }
    let selector = constraint.label_selector.as_ref();
    let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
    faults.extend(validate_label_keys(keys, selector, &path.child("matchLabelKeys")));
    faults.extend(selectors::validate_labels(selector, &path.child("labelSelector")));
    faults
}

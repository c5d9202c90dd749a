//! PodDisruptionBudgets: how many Pods of a group must be left when others are evicted.
//!
//! Upstream: `pkg/registry/policy/poddisruptionbudget/strategy.go`,
//! `pkg/apis/policy/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::policy::v1::{
    PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::amounts;
use crate::control_plane::registry::apps::workload::not_negative;
use crate::control_plane::registry::core::pod::template;
use crate::control_plane::registry::print::{self, AGE, NAME, column, number};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

#[derive(Debug)]
pub(crate) struct PodDisruptionBudgets;

impl Resource for PodDisruptionBudgets {
    type Object = PodDisruptionBudget;

    const NAMES: Names = Names {
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        short: &["pdb"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource {
        name: "status",
        kind: ("", "", "PodDisruptionBudget"),
        verbs: STATUS_VERBS,
    }];
    const GENERATION: bool = true;

    fn default(budget: &mut PodDisruptionBudget) {
        budget.status.get_or_insert_default();
    }

    fn prepare_for_create(budget: &mut PodDisruptionBudget) {
        budget.status = Some(PodDisruptionBudgetStatus::default());
    }

    fn prepare_for_update(budget: &mut PodDisruptionBudget, old: &PodDisruptionBudget) {
        budget.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(budget: &mut PodDisruptionBudget, old: &PodDisruptionBudget) {
        budget.spec.clone_from(&old.spec);
    }

    fn validate(budget: &PodDisruptionBudget) -> Vec<FieldError> {
        budget.spec.as_ref().map(validate_spec).unwrap_or_default()
    }

    fn validate_status_update(
        budget: &PodDisruptionBudget,
        _old: &PodDisruptionBudget,
    ) -> Vec<FieldError> {
        let Some(status) = &budget.status else { return Vec::new() };
        let path = Path::new("status");
        let counts = [
            ("disruptionsAllowed", status.disruptions_allowed),
            ("currentHealthy", status.current_healthy),
            ("desiredHealthy", status.desired_healthy),
            ("expectedPods", status.expected_pods),
        ];
        let check = |(field, count)| not_negative(path.child(field), Some(count));
        counts.into_iter().filter_map(check).collect()
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Min Available", "How many Pods must be left, or which share of them."),
            column("Max Unavailable", "How many Pods may be missing, or which share of them."),
            number("Allowed Disruptions", "How many Pods may be evicted now."),
            AGE,
        ];
        COLUMNS
    }

    fn row(budget: &PodDisruptionBudget, now: Timestamp) -> Vec<Value> {
        let spec = budget.spec.clone().unwrap_or_default();
        let allowed = budget.status.as_ref().map_or(0, |status| status.disruptions_allowed);
        vec![
            print::name(&budget.metadata),
            cell(spec.min_available.as_ref()),
            cell(spec.max_unavailable.as_ref()),
            allowed.into(),
            print::age(&budget.metadata, now),
        ]
    }
}

fn cell(amount: Option<&IntOrString>) -> Value {
    match amount {
        None => "N/A".into(),
        Some(IntOrString::Int(number)) => number.to_string().into(),
        Some(IntOrString::String(text)) => text.as_str().into(),
    }
}

fn validate_spec(spec: &PodDisruptionBudgetSpec) -> Vec<FieldError> {
    let path = Path::new("spec");
    let mut faults = Vec::new();
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        faults.push(FieldError::invalid(path.clone(), json!(spec), detail));
    }
    let amounts =
        [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)];
    for (field, amount) in amounts {
        let path = path.child(field);
        if let Some(amount) = amount {
            faults.extend(amounts::validate(amount, &path));
            faults.extend(amounts::validate_share(amount, &path));
        }
    }
    faults.extend(template::validate_selector(spec.selector.as_ref(), &path.child("selector")));
    if let Some(policy) = spec.unhealthy_pod_eviction_policy.as_deref() {
        let supported = ["AlwaysAllow", "IfHealthyBudget"];
        if !supported.contains(&policy) {
            let path = path.child("unhealthyPodEvictionPolicy");
            faults.push(FieldError::not_supported(path, policy, &supported));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let budget = serde_json::from_value(json!({"metadata": {"name": "b"}, "spec": spec}));
        let faults = PodDisruptionBudgets::validate(&budget.unwrap());
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn one_of_both_is_given_in_numbers_or_shares() {
        check(json!({"minAvailable": "50%", "selector": {}}), &[]);
        check(
            json!({"minAvailable": 1, "maxUnavailable": "101%",
                "unhealthyPodEvictionPolicy": "Never"}),
            &[
                "spec: Invalid value: {\"maxUnavailable\":\"101%\",\"minAvailable\":1,\"unhealthyPodEvictionPolicy\":\"Never\"}: minAvailable and maxUnavailable cannot be both set",
                "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
                "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ],
        );
        check(
            json!({"minAvailable": -1}),
            &["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
        );
    }

    #[test]
    fn what_is_not_given_is_not_applicable() {
        let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": "50%"}});
        let budget = serde_json::from_value(budget).unwrap();
        let row = PodDisruptionBudgets::row(&budget, Timestamp::UNIX_EPOCH);
        assert_eq!(row[1..4], [json!("50%"), json!("N/A"), json!(0)]);
    }
}

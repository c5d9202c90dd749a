//! ClusterRoles: what somebody may do anywhere, or in the namespace of the RoleBinding that says so.
//!
//! Upstream: `ValidateClusterRole` in `pkg/apis/rbac/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{AggregationRule, ClusterRole};
use serde_json::Value;

use super::rules::validate_rules;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::path_segment_name;
use crate::control_plane::registry::core::pod::template::validate_selector;
use crate::control_plane::registry::print::{self, CREATED_AT, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

#[derive(Debug)]
pub(crate) struct ClusterRoles;

impl Resource for ClusterRoles {
    type Object = ClusterRole;

    const NAMES: Names =
        Names { plural: "clusterroles", singular: "clusterrole", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Cluster;
    const CREATES_ON_UPDATE: bool = true;

    fn validate(role: &ClusterRole) -> Vec<FieldError> {
        let mut faults = validate_rules(role.rules.as_ref(), Self::SCOPE);
        faults.extend(role.aggregation_rule.iter().flat_map(validate_aggregation));
        faults
    }

    fn validate_name(name: &str) -> Vec<String> {
        path_segment_name(name)
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, CREATED_AT];
        COLUMNS
    }

    fn row(role: &ClusterRole, _: Timestamp) -> Vec<Value> {
        vec![print::name(&role.metadata), print::created_at(&role.metadata)]
    }
}

fn validate_aggregation(rule: &AggregationRule) -> Vec<FieldError> {
    let path = Path::new("aggregationRule").child("clusterRoleSelectors");
    let selectors = rule.cluster_role_selectors.as_deref().unwrap_or_default();
    if selectors.is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        return vec![FieldError::required(path, detail)];
    }
    let selectors = selectors.iter().enumerate();
    selectors.flat_map(|(index, one)| validate_selector(Some(one), &path.index(index))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(aggregation: Value, expect: &[&str]) {
        let role = json!({"metadata": {"name": "r"}, "aggregationRule": aggregation});
        let faults = ClusterRoles::validate(&serde_json::from_value(role).unwrap());
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn who_gathers_says_what() {
        check(json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}), &[]);
        check(
            json!({}),
            &["aggregationRule.clusterRoleSelectors: Required value: at least one \
               clusterRoleSelector required if aggregationRule is non-nil"],
        );
        check(
            json!({"clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}),
            &[
                "aggregationRule.clusterRoleSelectors[0].matchExpressions[0].values: Required value: \
               must be specified when `operator` is 'In' or 'NotIn'",
            ],
        );
    }

    #[test]
    fn names_may_hold_colons_but_no_slashes() {
        assert_eq!(ClusterRoles::validate_name("system:basic-user"), Vec::<String>::new());
        assert_eq!(ClusterRoles::validate_name("a/b"), ["may not contain '/'"]);
    }
}

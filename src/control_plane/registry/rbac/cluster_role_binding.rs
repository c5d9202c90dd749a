//! ClusterRoleBindings: who has a role everywhere.
//!
//! Upstream: `ValidateClusterRoleBinding` in `pkg/apis/rbac/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use serde_json::Value;

use super::subjects::{self, default_binding, validate_binding, validate_same_role};
use crate::api::fields::FieldError;
use crate::api::meta::path_segment_name;
use crate::control_plane::registry::{Column, Names, Resource, Scope};

#[derive(Debug)]
pub(crate) struct ClusterRoleBindings;

impl Resource for ClusterRoleBindings {
    type Object = ClusterRoleBinding;

    const NAMES: Names = Names {
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        short: &[],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;
    const CREATES_ON_UPDATE: bool = true;

    fn default(binding: &mut ClusterRoleBinding) {
        default_binding(&mut binding.role_ref, binding.subjects.as_mut());
    }

    fn validate(binding: &ClusterRoleBinding) -> Vec<FieldError> {
        validate_binding(&binding.role_ref, binding.subjects.as_ref(), Self::SCOPE)
    }

    fn validate_update(binding: &ClusterRoleBinding, old: &ClusterRoleBinding) -> Vec<FieldError> {
        let mut faults = Self::validate(binding);
        faults.extend(validate_same_role(&binding.role_ref, &old.role_ref));
        faults
    }

    fn validate_name(name: &str) -> Vec<String> {
        path_segment_name(name)
    }

    fn columns() -> &'static [Column] {
        subjects::columns()
    }

    fn row(binding: &ClusterRoleBinding, now: Timestamp) -> Vec<Value> {
        subjects::row(&binding.metadata, &binding.role_ref, binding.subjects.as_ref(), now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everywhere_only_what_is_everywhere_is_given() {
        let mut binding = serde_json::from_value(json!({
            "metadata": {"name": "b"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "s"}],
        }))
        .unwrap();
        ClusterRoleBindings::default(&mut binding);
        let faults = ClusterRoleBindings::validate(&binding);
        assert_eq!(
            faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                "subjects[0].namespace: Required value",
            ]
        );
    }
}

//! RoleBindings: who has a role in one namespace.
//!
//! Upstream: `ValidateRoleBinding` in `pkg/apis/rbac/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::RoleBinding;
use serde_json::Value;

use super::subjects::{self, default_binding, validate_binding, validate_same_role};
use crate::api::fields::FieldError;
use crate::api::meta::path_segment_name;
use crate::control_plane::registry::{Column, Names, Resource, Scope};

#[derive(Debug)]
pub(crate) struct RoleBindings;

impl Resource for RoleBindings {
    type Object = RoleBinding;

    const NAMES: Names =
        Names { plural: "rolebindings", singular: "rolebinding", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const CREATES_ON_UPDATE: bool = true;

    fn default(binding: &mut RoleBinding) {
        default_binding(&mut binding.role_ref, binding.subjects.as_mut());
    }

    fn validate(binding: &RoleBinding) -> Vec<FieldError> {
        validate_binding(&binding.role_ref, binding.subjects.as_ref(), Self::SCOPE)
    }

    fn validate_update(binding: &RoleBinding, old: &RoleBinding) -> Vec<FieldError> {
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

    fn row(binding: &RoleBinding, now: Timestamp) -> Vec<Value> {
        subjects::row(&binding.metadata, &binding.role_ref, binding.subjects.as_ref(), now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binding(role: Value, subjects: Value) -> RoleBinding {
        let binding = json!({"metadata": {"name": "b"}, "roleRef": role, "subjects": subjects});
        let mut binding = serde_json::from_value(binding).unwrap();
        RoleBindings::default(&mut binding);
        binding
    }

    #[track_caller]
    fn check(role: Value, subjects: Value, expect: &[&str]) {
        let faults = RoleBindings::validate(&binding(role, subjects));
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn groups_of_the_api_are_filled_in() {
        let binding = binding(
            json!({"kind": "Role", "name": "r"}),
            json!([{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]),
        );
        assert_eq!(binding.role_ref.api_group, "rbac.authorization.k8s.io");
        let subjects = binding.subjects.unwrap();
        assert_eq!(subjects[0].api_group.as_deref(), Some("rbac.authorization.k8s.io"));
        assert_eq!(subjects[1].api_group, None);
    }

    #[test]
    fn a_binding_names_a_role_and_subjects_of_known_kinds() {
        let role = json!({"kind": "ClusterRole", "name": "view"});
        let account = json!({"kind": "ServiceAccount", "name": "s"});
        check(role, json!([account]), &[]);
        check(
            json!({"apiGroup": "v1", "kind": "Rule"}),
            json!([{"kind": "Pod", "name": "p"}, {"kind": "User", "apiGroup": "v1"}]),
            &[
                "roleRef.apiGroup: Unsupported value: \"v1\": supported values: \"rbac.authorization.k8s.io\"",
                "roleRef.kind: Unsupported value: \"Rule\": supported values: \"Role\", \"ClusterRole\"",
                "roleRef.name: Required value",
                "subjects[0].kind: Unsupported value: \"Pod\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
                "subjects[1].name: Required value",
                "subjects[1].apiGroup: Unsupported value: \"v1\": supported values: \"rbac.authorization.k8s.io\"",
            ],
        );
    }

    #[test]
    fn a_binding_keeps_its_role() {
        let old = binding(json!({"kind": "Role", "name": "a"}), json!([]));
        let new = binding(json!({"kind": "Role", "name": "b"}), json!([]));
        let faults = RoleBindings::validate_update(&new, &old);
        assert_eq!(
            faults[0].to_string(),
            "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\
             \"Name\":\"b\"}: cannot change roleRef"
        );
    }

    #[test]
    fn who_has_it_is_shown_by_kind() {
        let binding = binding(
            json!({"kind": "ClusterRole", "name": "view"}),
            json!([{"kind": "User", "name": "u"}, {"kind": "User", "name": "v"},
                {"kind": "Group", "name": "g"},
                {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]),
        );
        let row = RoleBindings::row(&binding, Timestamp::UNIX_EPOCH);
        assert_eq!(row[1], "ClusterRole/view");
        assert_eq!(row[3..], [json!("u, v"), json!("g"), json!("n/s")]);
    }
}

//! What becomes of a default object that is there already.
//!
//! Upstream: `pkg/registry/rbac/reconciliation/{reconcile_role,reconcile_rolebindings}.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::AUTOUPDATE;
use crate::control_plane::auth::rbac::uncovered;

/// The role that is there with all that `wanted` has and it lacks; `None` if it lacks nothing, or wants to be
/// left alone. What a role gathers is up to who gathers it.
pub fn merged_role(there: &ClusterRole, wanted: &ClusterRole) -> Option<ClusterRole> {
    if is_protected(&there.metadata) {
        return None;
    }
    let mut merged = there.clone();
    merge_metadata(&mut merged.metadata, &wanted.metadata);
    match &wanted.aggregation_rule {
        Some(rule) => {
            let selectors = merged.aggregation_rule.get_or_insert_default();
            let selectors = selectors.cluster_role_selectors.get_or_insert_default();
            add_missing(selectors, rule.cluster_role_selectors.iter().flatten());
        }
        None => {
            let wanted = wanted.rules.as_deref().unwrap_or_default();
            let missing = uncovered(there.rules.as_deref().unwrap_or_default(), wanted);
            if !missing.is_empty() {
                merged.rules.get_or_insert_default().extend(missing);
            }
        }
    }
    (merged != *there).then_some(merged)
}

/// The same for a binding to the same role.
pub fn merged_binding(
    there: &ClusterRoleBinding,
    wanted: &ClusterRoleBinding,
) -> Option<ClusterRoleBinding> {
    if is_protected(&there.metadata) {
        return None;
    }
    let mut merged = there.clone();
    merge_metadata(&mut merged.metadata, &wanted.metadata);
    if let Some(wanted) = &wanted.subjects {
        add_missing(merged.subjects.get_or_insert_default(), wanted.iter());
    }
    (merged != *there).then_some(merged)
}

fn is_protected(meta: &ObjectMeta) -> bool {
    let value = meta.annotations.as_ref().and_then(|all| all.get(AUTOUPDATE));
    value.is_some_and(|value| value != "true")
}

/// Labels and annotations that have another value there keep it.
fn merge_metadata(there: &mut ObjectMeta, wanted: &ObjectMeta) {
    fn merge(
        there: &mut Option<BTreeMap<String, String>>,
        wanted: Option<&BTreeMap<String, String>>,
    ) {
        for (key, value) in wanted.into_iter().flatten() {
            there.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    merge(&mut there.labels, wanted.labels.as_ref());
    merge(&mut there.annotations, wanted.annotations.as_ref());
}

fn add_missing<'a, T: Clone + PartialEq + 'a>(
    there: &mut Vec<T>,
    wanted: impl Iterator<Item = &'a T>,
) {
    for one in wanted {
        if !there.contains(one) {
            there.push(one.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{cluster_role_bindings, cluster_roles};
    use super::*;

    fn wanted(name: &str) -> ClusterRole {
        let named = |role: &ClusterRole| role.metadata.name.as_deref() == Some(name);
        cluster_roles().into_iter().find(named).unwrap()
    }

    #[test]
    fn what_is_as_it_shall_be_stays() {
        for role in cluster_roles() {
            assert_eq!(merged_role(&role, &role), None);
        }
        for binding in cluster_role_bindings() {
            assert_eq!(merged_binding(&binding, &binding), None);
        }
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_more_stays() {
        let wanted = wanted("system:basic-user");
        let mut there = wanted.clone();
        let mut more = there.rules.as_mut().unwrap().remove(0);
        more.verbs = vec!["list".to_owned()];
        there.rules.as_mut().unwrap().push(more.clone());
        let rules = merged_role(&there, &wanted).unwrap().rules.unwrap();
        assert!(rules.contains(&more));
        assert!(uncovered(&rules, wanted.rules.as_ref().unwrap()).is_empty());
    }

    #[test]
    fn what_wants_to_be_left_alone_is() {
        let wanted = wanted("system:basic-user");
        let mut there = wanted.clone();
        there.rules = None;
        let annotations = there.metadata.annotations.as_mut().unwrap();
        annotations.insert(AUTOUPDATE.to_owned(), "false".to_owned());
        assert_eq!(merged_role(&there, &wanted), None);
    }

    #[test]
    fn who_lost_a_role_has_it_again() {
        let wanted = cluster_role_bindings().swap_remove(0);
        let there = ClusterRoleBinding { subjects: None, ..wanted.clone() };
        assert_eq!(merged_binding(&there, &wanted), Some(wanted));
    }
}

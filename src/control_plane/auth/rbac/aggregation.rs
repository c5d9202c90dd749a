//! Roles that gather the rules of others.
//!
//! Upstream: `syncClusterRole` in
//! `pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go`.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{AggregationRule, ClusterRole, PolicyRule};

use crate::api::selector::Labels;

/// The rules of all roles that `rule` selects, those of the role called `own` left out: selector by
/// selector, in the order of the roles' names, each rule once. A selector that makes no sense (validation
/// refuses it) selects nothing.
pub fn aggregate(
    own: &str,
    rule: &AggregationRule,
    roles: &[impl Borrow<ClusterRole>],
) -> Vec<PolicyRule> {
    let named: BTreeMap<&str, &ClusterRole> = roles
        .iter()
        .map(Borrow::borrow)
        .map(|role| (role.metadata.name.as_deref().unwrap_or_default(), role))
        .filter(|(name, _)| *name != own)
        .collect();
    let none = BTreeMap::new();
    let mut gathered: Vec<PolicyRule> = Vec::new();
    for selector in rule.cluster_role_selectors.iter().flatten() {
        let Ok(labels) = Labels::from_typed(Some(selector)) else { continue };
        let selected = named
            .values()
            .filter(|role| labels.matches(role.metadata.labels.as_ref().unwrap_or(&none)));
        for rule in selected.flat_map(|role| role.rules.iter().flatten()) {
            if !gathered.contains(rule) {
                gathered.push(rule.clone());
            }
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_are_gathered_by_labels_and_names() {
        let role = |name: &str, part: bool, resource: &str| -> ClusterRole {
            let labels = if part { json!({"part": "yes"}) } else { json!({}) };
            let rule = json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"]});
            serde_json::from_value(
                json!({"metadata": {"name": name, "labels": labels}, "rules": [rule]}),
            )
            .unwrap()
        };
        let roles = [
            role("b", true, "pods"),
            role("a", true, "secrets"),
            role("c", false, "nodes"),
            role("d", true, "pods"),
            role("whole", true, "services"),
        ];
        let rule = json!({"clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]});
        let gathered = aggregate("whole", &serde_json::from_value(rule).unwrap(), &roles);
        let resources: Vec<&str> =
            gathered.iter().map(|rule| rule.resources.as_ref().unwrap()[0].as_str()).collect();
        assert_eq!(resources, ["secrets", "pods"]);
    }
}

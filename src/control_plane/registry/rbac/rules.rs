//! What roles have in common: their rules.
//!
//! Upstream: `ValidatePolicyRule` in `pkg/apis/rbac/validation/validation.go`.

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::json;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::Scope;

/// Every fault of a role's rules; those of a namespace cannot be about paths.
pub(super) fn validate_rules(rules: Option<&Vec<PolicyRule>>, scope: Scope) -> Vec<FieldError> {
    let path = Path::new("rules");
    let rules = rules.into_iter().flatten().enumerate();
    rules.flat_map(|(index, rule)| validate_rule(rule, scope, &path.index(index))).collect()
}

fn validate_rule(rule: &PolicyRule, scope: Scope, path: &Path) -> Vec<FieldError> {
    let is_empty = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
    let mut faults = Vec::new();
    if rule.verbs.is_empty() {
        let detail = "verbs must contain at least one value";
        faults.push(FieldError::required(path.child("verbs"), detail));
    }
    if !is_empty(&rule.non_resource_urls) {
        let mut invalid = |detail: &str| {
            let urls = json!(rule.non_resource_urls);
            faults.push(FieldError::invalid(path.child("nonResourceURLs"), urls, detail));
        };
        if scope == Scope::Namespaced {
            invalid("namespaced rules cannot apply to non-resource URLs");
        }
        let about = [&rule.api_groups, &rule.resources, &rule.resource_names];
        if !about.into_iter().all(is_empty) {
            invalid("rules cannot apply to both regular resources and non-resource URLs");
        }
        return faults;
    }
    if is_empty(&rule.api_groups) {
        let detail = "resource rules must supply at least one api group";
        faults.push(FieldError::required(path.child("apiGroups"), detail));
    }
    if is_empty(&rule.resources) {
        let detail = "resource rules must supply at least one resource";
        faults.push(FieldError::required(path.child("resources"), detail));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(scope: Scope, rule: Value, expect: &[&str]) {
        let rules = vec![serde_json::from_value(rule).unwrap()];
        let faults = validate_rules(Some(&rules), scope);
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_rule_is_about_resources_or_about_paths() {
        let pods = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
        check(Scope::Namespaced, pods, &[]);
        let paths = json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]});
        check(Scope::Cluster, paths.clone(), &[]);
        check(
            Scope::Namespaced,
            paths,
            &["rules[0].nonResourceURLs: Invalid value: [\"/metrics\"]: namespaced rules cannot \
               apply to non-resource URLs"],
        );
        check(
            Scope::Cluster,
            json!({"nonResourceURLs": ["/metrics"], "resources": ["pods"], "verbs": ["get"]}),
            &[
                "rules[0].nonResourceURLs: Invalid value: [\"/metrics\"]: rules cannot apply to both \
               regular resources and non-resource URLs",
            ],
        );
    }

    #[test]
    fn a_rule_says_what_to_whom() {
        check(
            Scope::Cluster,
            json!({"verbs": []}),
            &[
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ],
        );
    }
}

//! One rule and one question.
//!
//! Upstream: `RuleAllows` in `plugin/pkg/auth/authorizer/rbac/rbac.go`, matching as in
//! `pkg/apis/rbac/v1/evaluation_helpers.go`.

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::control_plane::auth::Attributes;

/// Everything of a list.
pub(super) const ALL: &str = "*";

/// Whether the rule allows what the attributes say.
pub(in super::super) fn allows(rule: &PolicyRule, attributes: &Attributes<'_>) -> bool {
    match *attributes {
        Attributes::Resource { verb, group, resource, subresource, name, .. } => {
            has(&rule.verbs, verb)
                && has(words(&rule.api_groups), group)
                && names_resource(words(&rule.resources), resource, subresource)
                && names_object(words(&rule.resource_names), name)
        }
        Attributes::Path { verb, path } => {
            let mut patterns = words(&rule.non_resource_urls).iter();
            has(&rule.verbs, verb) && patterns.any(|pattern| matches_path(pattern, path))
        }
    }
}

pub(super) fn words(words: &Option<Vec<String>>) -> &[String] {
    words.as_deref().unwrap_or_default()
}

fn has(list: &[String], word: &str) -> bool {
    list.iter().any(|one| one == ALL || one == word)
}

/// `pods`, `pods/log`, `*/log` and `*`; the last is every subresource, too.
fn names_resource(list: &[String], resource: &str, subresource: &str) -> bool {
    list.iter().any(|one| {
        if one == ALL {
            return true;
        }
        match one.split_once('/') {
            Some((of, sub)) if !subresource.is_empty() => {
                sub == subresource && (of == ALL || of == resource)
            }
            Some(_) => false,
            None => subresource.is_empty() && one == resource,
        }
    })
}

/// No names: every object.
fn names_object(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|one| one == name)
}

pub(super) fn matches_path(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning.trim_end_matches('*')),
        None => pattern == path,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(rule: Value, attributes: Attributes<'_>, expect: bool) {
        let rule: PolicyRule = serde_json::from_value(rule).unwrap();
        assert_eq!(allows(&rule, &attributes), expect, "{rule:?} {attributes:?}");
    }

    const fn get<'a>(resource: &'a str, subresource: &'a str, name: &'a str) -> Attributes<'a> {
        Attributes::Resource {
            verb: "get",
            group: "",
            resource,
            subresource,
            namespace: "default",
            name,
        }
    }

    #[test]
    fn subresources_are_named_apart_or_with_a_star() {
        let rule =
            |resources: Value| json!({"apiGroups": [""], "resources": resources, "verbs": ["get"]});
        check(rule(json!(["pods"])), get("pods", "", "p"), true);
        check(rule(json!(["pods"])), get("pods", "log", "p"), false);
        check(rule(json!(["pods/log"])), get("pods", "log", "p"), true);
        check(rule(json!(["pods/log"])), get("pods", "", "p"), false);
        check(rule(json!(["*/log"])), get("pods", "log", "p"), true);
        check(rule(json!(["*/log"])), get("pods", "", "p"), false);
        check(rule(json!(["*"])), get("pods", "log", "p"), true);
        check(rule(json!(["secrets"])), get("pods", "", "p"), false);
    }

    #[test]
    fn names_group_and_verb_must_all_fit() {
        let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"],
            "resourceNames": ["a", "b"]});
        check(rule.clone(), get("pods", "", "b"), true);
        check(rule.clone(), get("pods", "", "c"), false);
        // A list has no name.
        check(rule, get("pods", "", ""), false);
        let apps = json!({"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]});
        check(apps, get("pods", "", "b"), false);
        let create = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["create"]});
        check(create, get("pods", "", "b"), false);
    }

    #[test]
    fn paths_may_end_in_a_star() {
        let path = |path| Attributes::Path { verb: "get", path };
        let rule = |url: &str| json!({"nonResourceURLs": [url], "verbs": ["get"]});
        check(rule("/apis/*"), path("/apis/apps"), true);
        check(rule("/apis/*"), path("/apis"), false);
        check(rule("/apis"), path("/apis/apps"), false);
        check(rule("*"), path("/metrics"), true);
        check(rule("*"), get("pods", "", "p"), false);
    }
}

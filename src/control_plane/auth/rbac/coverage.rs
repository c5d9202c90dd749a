//! What somebody has against what is to be given: nobody gives what they do not have.
//!
//! Upstream: `Covers` in `k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go`,
//! `CompactRules` in `pkg/registry/rbac/validation/policy_compact.go`, `CompactString` in
//! `pkg/apis/rbac/v1/helpers.go`.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::rules::{ALL, matches_path, words};

/// What `rules` allow and `owned` do not, each verb on each resource for itself.
pub fn uncovered(owned: &[PolicyRule], rules: &[PolicyRule]) -> Vec<PolicyRule> {
    let single = rules.iter().flat_map(broken_down);
    single.filter(|rule| !owned.iter().any(|owner| covers(owner, rule))).collect()
}

/// The rules for people, one a line: those about one resource are drawn together.
pub fn describe(rules: &[PolicyRule]) -> String {
    let lines: BTreeSet<String> = compacted(rules).iter().map(line).collect();
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// The rule as rules about one verb and one resource, or one path, each.
fn broken_down(rule: &PolicyRule) -> Vec<PolicyRule> {
    let one = |word: &String| Some(vec![word.clone()]);
    let mut single = Vec::new();
    for verb in &rule.verbs {
        let verbs = vec![verb.clone()];
        for group in words(&rule.api_groups) {
            for resource in words(&rule.resources) {
                let rule_of = |names: Option<Vec<String>>| PolicyRule {
                    verbs: verbs.clone(),
                    api_groups: one(group),
                    resources: one(resource),
                    resource_names: names,
                    non_resource_urls: None,
                };
                match words(&rule.resource_names) {
                    [] => single.push(rule_of(None)),
                    names => single.extend(names.iter().map(|name| rule_of(one(name)))),
                }
            }
        }
        single.extend(words(&rule.non_resource_urls).iter().map(|path| PolicyRule {
            verbs: verbs.clone(),
            non_resource_urls: one(path),
            ..PolicyRule::default()
        }));
    }
    single
}

/// `rule` is one of [`broken_down`].
fn covers(owner: &PolicyRule, rule: &PolicyRule) -> bool {
    let has_all = |owned: &[String], wanted: &[String]| {
        owned.iter().any(|word| word == ALL) || wanted.iter().all(|word| owned.contains(word))
    };
    let names = words(&owner.resource_names);
    let wanted_names = words(&rule.resource_names);
    let covers_path = |path: &String| {
        words(&owner.non_resource_urls).iter().any(|pattern| matches_path(pattern, path))
    };
    has_all(&owner.verbs, &rule.verbs)
        && has_all(words(&owner.api_groups), words(&rule.api_groups))
        && words(&rule.resources).iter().all(|one| covers_resource(words(&owner.resources), one))
        && (names.is_empty()
            || (!wanted_names.is_empty() && wanted_names.iter().all(|name| names.contains(name))))
        && words(&rule.non_resource_urls).iter().all(covers_path)
}

fn covers_resource(owned: &[String], resource: &str) -> bool {
    let any_of = |subresource: &str| {
        owned.iter().any(|one| one.strip_prefix("*/").is_some_and(|sub| sub == subresource))
    };
    owned.iter().any(|one| one == ALL || one == resource)
        || resource.split_once('/').is_some_and(|(_, subresource)| any_of(subresource))
}

/// Rules about the same single resource, and the same name or none, with their verbs together.
fn compacted(rules: &[PolicyRule]) -> Vec<PolicyRule> {
    let is_simple = |rule: &PolicyRule| {
        words(&rule.api_groups).len() == 1
            && words(&rule.resources).len() == 1
            && words(&rule.resource_names).len() <= 1
            && words(&rule.non_resource_urls).is_empty()
    };
    let mut compacted: Vec<PolicyRule> = Vec::new();
    for rule in rules {
        let same = |other: &&mut PolicyRule| {
            is_simple(rule)
                && is_simple(other)
                && rule.api_groups == other.api_groups
                && rule.resources == other.resources
                && rule.resource_names == other.resource_names
        };
        match compacted.iter_mut().find(same) {
            Some(other) => {
                let more = rule.verbs.iter().filter(|verb| !other.verbs.contains(verb));
                let more: Vec<String> = more.cloned().collect();
                other.verbs.extend(more);
            }
            None => compacted.push(rule.clone()),
        }
    }
    compacted
}

fn line(rule: &PolicyRule) -> String {
    let parts = [
        ("APIGroups", words(&rule.api_groups)),
        ("Resources", words(&rule.resources)),
        ("NonResourceURLs", words(&rule.non_resource_urls)),
        ("ResourceNames", words(&rule.resource_names)),
        ("Verbs", rule.verbs.as_slice()),
    ];
    let told = parts.iter().filter(|(_, words)| !words.is_empty());
    let told: Vec<String> =
        told.map(|(name, words)| format!("{name}:{}", quoted_list(words))).collect();
    format!("{{{}}}", told.join(", "))
}

/// As Go writes a list of strings with `%q`.
pub(in crate::control_plane) fn quoted_list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(owned: Value, rules: Value, expect: &str) {
        let owned: Vec<PolicyRule> = serde_json::from_value(owned).unwrap();
        let rules: Vec<PolicyRule> = serde_json::from_value(rules).unwrap();
        assert_eq!(describe(&uncovered(&owned, &rules)), expect);
    }

    fn rule(resources: &[&str], verbs: &[&str]) -> Value {
        json!({"apiGroups": [""], "resources": resources, "verbs": verbs})
    }

    #[test]
    fn what_one_has_in_pieces_one_has() {
        let owned = json!([rule(&["pods"], &["get"]), rule(&["pods", "nodes"], &["list"])]);
        check(owned.clone(), json!([rule(&["pods"], &["list", "get"])]), "");
        check(
            owned,
            json!([rule(&["pods", "nodes"], &["get", "list", "watch"])]),
            "{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"watch\"]}\n\
             {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"watch\"]}",
        );
    }

    #[test]
    fn stars_cover_what_they_stand_for() {
        check(json!([rule(&["*"], &["*"])]), json!([rule(&["pods/log"], &["get"])]), "");
        check(json!([rule(&["*/log"], &["get"])]), json!([rule(&["pods/log"], &["get"])]), "");
        check(
            json!([rule(&["pods", "pods/log"], &["get"])]),
            json!([rule(&["*"], &["get"])]),
            "{APIGroups:[\"\"], Resources:[\"*\"], Verbs:[\"get\"]}",
        );
    }

    #[test]
    fn who_has_some_by_name_does_not_have_all() {
        let mut named = rule(&["secrets"], &["get"]);
        named["resourceNames"] = json!(["a"]);
        check(json!([rule(&["secrets"], &["get"])]), json!([named]), "");
        check(
            json!([named]),
            json!([rule(&["secrets"], &["get"])]),
            "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}",
        );
        let mut other = named.clone();
        other["resourceNames"] = json!(["a", "b"]);
        check(
            json!([named]),
            json!([other]),
            "{APIGroups:[\"\"], Resources:[\"secrets\"], ResourceNames:[\"b\"], Verbs:[\"get\"]}",
        );
    }

    #[test]
    fn paths_are_covered_by_their_beginnings() {
        let paths = |paths: &[&str]| json!([{"nonResourceURLs": paths, "verbs": ["get"]}]);
        check(paths(&["/apis/*"]), paths(&["/apis/apps", "/apis/*"]), "");
        check(
            paths(&["/apis/*"]),
            paths(&["/apis", "/metrics"]),
            "{NonResourceURLs:[\"/apis\"], Verbs:[\"get\"]}\n\
             {NonResourceURLs:[\"/metrics\"], Verbs:[\"get\"]}",
        );
    }
}

//! Node selectors: which nodes a Pod may use, and which it would rather use.
//!
//! Upstream: `k8s.io/component-helpers/scheduling/corev1/nodeaffinity`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec,
};

/// Whether the node has what `nodeSelector` and the required terms of `nodeAffinity` ask for.
pub fn matches(spec: &PodSpec, node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| {
        labels.and_then(|labels| labels.get(key)).is_some_and(|label| label == value)
    });
    let required = node_affinity(spec)
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|selector| selects(selector, node))
}

/// Whether one of the selector's terms holds for the node.
pub fn selects(selector: &NodeSelector, node: &Node) -> bool {
    selector.node_selector_terms.iter().any(|term| term_matches(term, node))
}

/// The weights of the preferred terms that the node matches, together.
pub fn preference(spec: &PodSpec, node: &Node) -> i64 {
    let preferred = node_affinity(spec).and_then(|affinity| {
        affinity.preferred_during_scheduling_ignored_during_execution.as_ref()
    });
    let terms = preferred.into_iter().flatten();
    terms
        .filter(|term| term_matches(&term.preference, node))
        .map(|term| i64::from(term.weight))
        .sum()
}

fn node_affinity(spec: &PodSpec) -> Option<&NodeAffinity> {
    spec.affinity.as_ref()?.node_affinity.as_ref()
}

/// All requirements hold; a term without any matches nothing.
fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.iter().flatten();
    let fields = term.match_fields.iter().flatten();
    if expressions.clone().next().is_none() && fields.clone().next().is_none() {
        return false;
    }
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let name = node.metadata.name.as_deref();
    expressions.into_iter().all(|rule| rule_holds(rule, labels.get(&rule.key).map(String::as_str)))
        && fields
            .into_iter()
            .all(|rule| rule_holds(rule, if rule.key == "metadata.name" { name } else { None }))
}

fn rule_holds(rule: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = || rule.values.iter().flatten();
    let listed = value.is_some_and(|value| values().any(|listed| listed == value));
    match rule.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => numbers(rule, value).is_some_and(|(value, bound)| value > bound),
        "Lt" => numbers(rule, value).is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

fn numbers(rule: &NodeSelectorRequirement, value: Option<&str>) -> Option<(i64, i64)> {
    let bound = rule.values.as_ref()?.first()?;
    Some((value?.parse().ok()?, bound.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(spec: Value, expect: bool) {
        let node: Node = serde_json::from_value(json!({
            "metadata": { "name": "sampan", "labels": { "disk": "ssd", "cores": "8" } },
        }))
        .unwrap();
        let mut spec = spec;
        spec["containers"] = json!([]);
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        assert_eq!(matches(&spec, &node), expect, "{spec:?}");
    }

    fn required(terms: Value) -> Value {
        json!({ "affinity": { "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms },
        } } })
    }

    fn rule(key: &str, operator: &str, values: Value) -> Value {
        required(json!([{ "matchExpressions": [
            { "key": key, "operator": operator, "values": values },
        ] }]))
    }

    #[test]
    fn every_selected_label_must_be_there() {
        check(json!({}), true);
        check(json!({ "nodeSelector": { "disk": "ssd" } }), true);
        check(json!({ "nodeSelector": { "disk": "hdd" } }), false);
        check(json!({ "nodeSelector": { "disk": "ssd", "zone": "a" } }), false);
    }

    #[test]
    fn operators_mean_what_upstream_means() {
        check(rule("disk", "In", json!(["hdd", "ssd"])), true);
        check(rule("disk", "NotIn", json!(["ssd"])), false);
        check(rule("zone", "NotIn", json!(["a"])), true);
        check(rule("disk", "Exists", json!(null)), true);
        check(rule("zone", "DoesNotExist", json!(null)), true);
        check(rule("cores", "Gt", json!(["7"])), true);
        check(rule("cores", "Lt", json!(["8"])), false);
        check(rule("disk", "Gt", json!(["7"])), false);
    }

    #[test]
    fn one_term_is_enough_and_an_empty_one_matches_nothing() {
        check(required(json!([{}])), false);
        check(
            required(json!([
                {},
                { "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["sampan"] }] },
            ])),
            true,
        );
    }
}

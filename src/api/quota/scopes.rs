//! Which Pods a quota with scopes is about.
//!
//! Upstream: `podMatchesScopeFunc` in `pkg/quota/v1/evaluator/core/pods.go`.

use std::any::Any;

use k8s_openapi::api::core::v1::{
    Pod, PodAffinityTerm, ResourceQuota, ScopedResourceSelectorRequirement, WeightedPodAffinityTerm,
};

/// Whether the object counts in the quota. A quota with scopes is about Pods only.
pub fn covers(quota: &ResourceQuota, object: &dyn Any) -> bool {
    let Some(spec) = &quota.spec else { return false };
    let plain = spec.scopes.iter().flatten().map(|name| ScopedResourceSelectorRequirement {
        operator: "Exists".to_owned(),
        scope_name: name.clone(),
        values: None,
    });
    let selected = spec.scope_selector.iter().flat_map(|it| it.match_expressions.iter().flatten());
    let mut scopes = plain.chain(selected.cloned()).peekable();
    if scopes.peek().is_none() {
        return true;
    }
    let pod = object.downcast_ref::<Pod>();
    pod.is_some_and(|pod| scopes.all(|scope| is_in(&scope, pod)))
}

fn is_in(scope: &ScopedResourceSelectorRequirement, pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let ends = spec.and_then(|spec| spec.active_deadline_seconds).is_some_and(|it| it >= 0);
    match scope.scope_name.as_str() {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "PriorityClass" => {
            let class = spec.and_then(|spec| spec.priority_class_name.as_deref());
            let class = class.filter(|name| !name.is_empty());
            let listed = scope.values.iter().flatten().any(|value| Some(value.as_str()) == class);
            match scope.operator.as_str() {
                "Exists" => class.is_some(),
                "DoesNotExist" => class.is_none(),
                "In" => listed,
                "NotIn" => !listed,
                _ => false,
            }
        }
        "CrossNamespacePodAffinity" => looks_elsewhere(pod),
        _ => false,
    }
}

/// It asks for no cpu and no memory.
fn is_best_effort(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let containers = spec
        .into_iter()
        .flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let lists = containers.filter_map(|it| it.resources.as_ref());
    let lists = lists.flat_map(|it| [it.requests.as_ref(), it.limits.as_ref()]).flatten();
    let asks =
        |name: &String, amount: &str| ["cpu", "memory"].contains(&name.as_str()) && amount != "0";
    !lists.flatten().any(|(name, amount)| asks(name, &amount.0))
}

/// Its affinity is about Pods of other namespaces.
fn looks_elsewhere(pod: &Pod) -> bool {
    let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else {
        return false;
    };
    let elsewhere = |term: &PodAffinityTerm| {
        term.namespace_selector.is_some() || term.namespaces.iter().flatten().next().is_some()
    };
    let weighted = |it: &WeightedPodAffinityTerm| elsewhere(&it.pod_affinity_term);
    let near = affinity.pod_affinity.as_ref().is_some_and(|it| {
        let required = it.required_during_scheduling_ignored_during_execution.iter().flatten();
        let preferred = it.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        required.into_iter().any(elsewhere) || preferred.into_iter().any(weighted)
    });
    let far = affinity.pod_anti_affinity.as_ref().is_some_and(|it| {
        let required = it.required_during_scheduling_ignored_during_execution.iter().flatten();
        let preferred = it.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        required.into_iter().any(elsewhere) || preferred.into_iter().any(weighted)
    });
    near || far
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(scopes: Value, spec: Value, expect: bool) {
        let quota = serde_json::from_value(json!({"spec": scopes})).unwrap();
        let mut spec = spec;
        if spec.get("containers").is_none() {
            spec["containers"] = json!([]);
        }
        let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
        assert_eq!(covers(&quota, &pod), expect, "{quota:?}");
    }

    #[test]
    fn all_scopes_must_hold() {
        check(json!({}), json!({}), true);
        check(json!({"scopes": ["Terminating"]}), json!({"activeDeadlineSeconds": 5}), true);
        check(json!({"scopes": ["Terminating"]}), json!({}), false);
        check(json!({"scopes": ["BestEffort", "NotTerminating"]}), json!({}), true);
        let asks = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]});
        check(json!({"scopes": ["BestEffort"]}), asks.clone(), false);
        check(json!({"scopes": ["NotBestEffort"]}), asks, true);
        let class = |operator: &str, values: Value| {
            json!({"scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": operator, "values": values}]}})
        };
        let high = json!({"priorityClassName": "high"});
        check(class("In", json!(["high"])), high.clone(), true);
        check(class("In", json!(["low"])), high.clone(), false);
        check(class("NotIn", json!(["low"])), json!({}), true);
        check(class("Exists", json!(null)), json!({}), false);
        check(class("DoesNotExist", json!(null)), high, false);
    }

    #[test]
    fn a_quota_with_scopes_is_about_pods_only() {
        let quota = serde_json::from_value(json!({"spec": {"scopes": ["BestEffort"]}})).unwrap();
        assert!(!covers(&quota, &()));
    }
}

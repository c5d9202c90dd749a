//! Taints and tolerations.
//!
//! Upstream: `k8s.io/component-helpers/scheduling/corev1/helpers.go`, `v1.Toleration.ToleratesTaint`.

use k8s_openapi::api::core::v1::{Node, PodSpec, Taint, Toleration};

/// The first taint that keeps the Pod off the node.
pub fn untolerated<'a>(spec: &PodSpec, node: &'a Node) -> Option<&'a Taint> {
    taints(node).find(|taint| {
        matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && !tolerates(spec, taint)
    })
}

/// How many taints would rather not have the Pod.
pub fn reluctance(spec: &PodSpec, node: &Node) -> usize {
    taints(node)
        .filter(|taint| taint.effect == "PreferNoSchedule" && !tolerates(spec, taint))
        .count()
}

fn taints(node: &Node) -> impl Iterator<Item = &Taint> {
    node.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten()
}

pub fn tolerates(spec: &PodSpec, taint: &Taint) -> bool {
    spec.tolerations.iter().flatten().any(|toleration| covers(toleration, taint))
}

/// Whether the toleration is for the taint, for however long.
///
/// Upstream: `Toleration.ToleratesTaint`.
pub fn covers(toleration: &Toleration, taint: &Taint) -> bool {
    let said =
        |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
    let effect = said(&toleration.effect).is_none_or(|effect| effect == taint.effect);
    let key = said(&toleration.key).is_none_or(|key| key == taint.key);
    let value = match toleration.operator.as_deref() {
        Some("Exists") => true,
        None | Some("" | "Equal") => {
            toleration.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or("")
        }
        Some(_) => false,
    };
    effect && key && value
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(toleration: Value, taint: Value, expect: bool) {
        let toleration: Toleration = serde_json::from_value(toleration).unwrap();
        let taint: Taint = serde_json::from_value(taint).unwrap();
        assert_eq!(covers(&toleration, &taint), expect, "{toleration:?} {taint:?}");
    }

    #[test]
    fn a_toleration_covers_what_it_names() {
        let taint = json!({ "key": "gpu", "value": "yes", "effect": "NoSchedule" });
        check(json!({ "operator": "Exists" }), taint.clone(), true);
        check(json!({ "key": "gpu", "operator": "Exists" }), taint.clone(), true);
        check(json!({ "key": "gpu", "value": "yes" }), taint.clone(), true);
        check(json!({ "key": "gpu", "operator": "Equal", "value": "no" }), taint.clone(), false);
        check(json!({ "key": "tpu", "operator": "Exists" }), taint.clone(), false);
        check(json!({ "key": "gpu", "operator": "Exists", "effect": "NoExecute" }), taint, false);
    }
}

//! Which nodes a DaemonSet's Pods are for, and what makes a Pod one for its node.
//!
//! Upstream: `NodeShouldRunDaemonPod` in `pkg/controller/daemon/daemon_controller.go`,
//! `pkg/controller/daemon/util/daemonset_util.go`.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, PodTemplateSpec,
    Toleration,
};

use crate::api::scheduling::{affinity, taints};
use crate::control_plane::controllers::history;
use crate::control_plane::controllers::pod_writes;

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
const TEMPLATE_GENERATION_LABEL: &str = "pod-template-generation";

/// What a node may suffer from and yet keep its Pods: with which effect.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
const NETWORK_UNAVAILABLE: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// Whether a node suits a set's Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suits {
    Yes,
    /// It gets none, but may keep the one it has.
    NoMore,
    No,
}

pub(super) fn suits(set: &DaemonSet, node: &Node) -> Suits {
    let Some(mut spec) = set.spec.as_ref().and_then(|spec| spec.template.spec.clone()) else {
        return Suits::No;
    };
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let other = spec.node_name.as_deref().is_some_and(|own| !own.is_empty() && own != name);
    add_tolerations(&mut spec);
    if other || !affinity::matches(&spec, node) {
        return Suits::No;
    }
    if taints::untolerated(&spec, node).is_none() {
        return Suits::Yes;
    }
    let taints = node.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten();
    let mut evicting = taints.filter(|taint| taint.effect == "NoExecute");
    if evicting.all(|taint| taints::tolerates(&spec, taint)) { Suits::NoMore } else { Suits::No }
}

/// The set's Pod for a node, of the revision with this hash.
pub(super) fn new_pod(set: &DaemonSet, template: &PodTemplateSpec, hash: &str, node: &str) -> Pod {
    let mut pod = pod_writes::from_template(set, template);
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(history::POD_LABEL.to_owned(), hash.to_owned());
    let annotations = set.metadata.annotations.as_ref();
    if let Some(generation) = annotations.and_then(|all| all.get(TEMPLATE_GENERATION)) {
        labels.insert(TEMPLATE_GENERATION_LABEL.to_owned(), generation.clone());
    }
    let spec = pod.spec.get_or_insert_default();
    add_tolerations(spec);
    bind_to(spec, node);
    pod
}

fn add_tolerations(spec: &mut PodSpec) {
    let on_host = spec.host_network == Some(true);
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED.into_iter().chain(on_host.then_some(NETWORK_UNAVAILABLE)) {
        let toleration = Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        };
        let is_same =
            |one: &Toleration| Toleration { toleration_seconds: None, ..one.clone() } == toleration;
        // With a time limit of its own it would be driven out in the end.
        tolerations.retain(|one| !is_same(one));
        tolerations.push(toleration);
    }
}

/// By an affinity that only this node has; the scheduler binds the Pod. What the template requires of
/// nodes has been looked at.
fn bind_to(spec: &mut PodSpec, node: &str) {
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let name = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![name]), match_expressions: None };
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
}

/// The node that a Pod is on or is meant for.
///
/// Upstream: `GetTargetNodeName`.
pub(super) fn target(pod: &Pod) -> Option<&str> {
    let spec = pod.spec.as_ref()?;
    if let Some(node) = spec.node_name.as_deref().filter(|node| !node.is_empty()) {
        return Some(node);
    }
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let fields = required.node_selector_terms.iter().flat_map(|term| &term.match_fields).flatten();
    let mut names = fields.filter(|rule| rule.key == "metadata.name" && rule.operator == "In");
    match names.next()?.values.as_deref()? {
        [node] => Some(node),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn set(spec: Value) -> DaemonSet {
        serde_json::from_value(json!({
            "metadata": {"name": "d", "namespace": "n", "uid": "u",
                "annotations": {TEMPLATE_GENERATION: "4"}},
            "spec": {"selector": {}, "template": {"metadata": {"labels": {"app": "a"}}, "spec": spec}},
        }))
        .unwrap()
    }

    #[track_caller]
    fn check(spec: Value, taints: Value, expect: Suits) {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "sampan", "labels": {"disk": "ssd"}},
            "spec": {"taints": taints}}))
        .unwrap();
        let mut spec = spec;
        spec["containers"] = json!([]);
        assert_eq!(suits(&set(spec), &node), expect);
    }

    #[test]
    fn a_node_suits_by_name_labels_and_taints() {
        check(json!({}), json!([]), Suits::Yes);
        check(json!({"nodeName": "other"}), json!([]), Suits::No);
        check(json!({"nodeSelector": {"disk": "ssd"}}), json!([]), Suits::Yes);
        check(json!({"nodeSelector": {"disk": "hdd"}}), json!([]), Suits::No);
        let taint = |key: &str, effect: &str| json!([{"key": key, "effect": effect}]);
        check(json!({}), taint("gpu", "NoSchedule"), Suits::NoMore);
        check(json!({}), taint("gpu", "NoExecute"), Suits::No);
        check(json!({}), taint("gpu", "PreferNoSchedule"), Suits::Yes);
        check(json!({}), taint("node.kubernetes.io/unschedulable", "NoSchedule"), Suits::Yes);
        check(json!({}), taint("node.kubernetes.io/not-ready", "NoExecute"), Suits::Yes);
        let unavailable = || taint("node.kubernetes.io/network-unavailable", "NoSchedule");
        check(json!({}), unavailable(), Suits::NoMore);
        check(json!({"hostNetwork": true}), unavailable(), Suits::Yes);
    }

    #[test]
    fn a_pod_is_for_its_node_and_stays_there() {
        let own = json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists",
            "effect": "NoExecute", "tolerationSeconds": 5});
        let set =
            set(json!({"containers": [], "tolerations": [own], "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}}}}));
        let pod = new_pod(&set, &set.spec.as_ref().unwrap().template, "abc", "sampan");
        assert_eq!(target(&pod), Some("sampan"));
        let value = serde_json::to_value(&pod).unwrap();
        assert_eq!(
            value["metadata"]["labels"],
            json!({"app": "a", "controller-revision-hash": "abc", "pod-template-generation": "4"})
        );
        let tolerations = value["spec"]["tolerations"].as_array().unwrap();
        assert_eq!(tolerations.len(), 6);
        assert!(tolerations.iter().all(|one| one.get("tolerationSeconds").is_none()));
        let affinity = &value["spec"]["affinity"]["nodeAffinity"];
        assert_eq!(
            affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"],
            json!([{"matchFields": [
                {"key": "metadata.name", "operator": "In", "values": ["sampan"]}]}])
        );
    }
}

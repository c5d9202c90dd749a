//! Where a Pod goes, or why it goes nowhere.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::claims::{PodClaims, Preparation};
use super::ledger::{Ledger, NodeInfo};
use super::{filters, ports, requests, scores};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    Bind(String),
    /// It will go there; its claims must get their volumes first.
    Prepare(Vec<Preparation>),
    /// The text of the FailedScheduling Event and of the PodScheduled condition.
    Wait(String),
}

pub(super) fn decide(pod: &Pod, claims: &PodClaims, ledger: &Ledger) -> Decision {
    let Some(spec) = &pod.spec else { return Decision::Wait("the Pod has no spec".to_owned()) };
    if let Some(reason) = claims.refusal() {
        return Decision::Wait(explain_for_all(&reason, ledger.nodes().count()));
    }
    let (requests, ports) = (requests::of_pod(pod), ports::of_pod(pod));
    let mut fitting: Vec<(&Node, &NodeInfo)> = Vec::new();
    let mut preparations = BTreeMap::new();
    let mut refusals = Vec::new();
    for (node, info) in ledger.nodes() {
        let fits = filters::check(spec, &requests, &ports, node, info);
        match fits.and_then(|()| claims.check(node)) {
            Ok(needed) => {
                preparations.insert(node.metadata.name.as_deref().unwrap_or_default(), needed);
                fitting.push((node, info));
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    let Some(node) = scores::best(spec, &requests, &fitting) else {
        return Decision::Wait(explain(&refusals));
    };
    match preparations.remove(node).filter(|needed| !needed.is_empty()) {
        Some(needed) => Decision::Prepare(needed),
        None => Decision::Bind(node.to_owned()),
    }
}

/// Of a Pod that no node could take, for the same reason.
fn explain_for_all(reason: &str, nodes: usize) -> String {
    if nodes == 0 {
        return explain(&[]);
    }
    let available = format!("0/{nodes} nodes are available");
    format!(
        "{available}: {reason}. preemption: {available}: {nodes} Preemption is not helpful for \
         scheduling."
    )
}

/// Upstream: `FitError.Error` (`pkg/scheduler/framework/types.go`) and the words that
/// `preemption.Evaluator` adds.
fn explain(refusals: &[filters::Refusal]) -> String {
    if refusals.is_empty() {
        return "no nodes available to schedule pods".to_owned();
    }
    let reasons = refusals.iter().flat_map(|refusal| refusal.reasons.iter().map(String::as_str));
    let preemption = refusals.iter().map(|refusal| {
        if refusal.unresolvable {
            "Preemption is not helpful for scheduling"
        } else {
            "No preemption victims found for incoming pod"
        }
    });
    let total = refusals.len();
    format!("{} preemption: {}", tally(total, reasons), tally(total, preemption))
}

/// `0/3 nodes are available: 1 reason, 2 other reason.`
fn tally<'a>(total: usize, reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_insert(0_usize) += 1;
    }
    let mut counted: Vec<String> =
        counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    // Upstream sorts the texts, not the counts.
    counted.sort();
    format!("0/{total} nodes are available: {}.", counted.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::api::object::ObjectKey;
    use crate::control_plane::scheduler::claims::PodClaim;

    fn node(name: &str, spec: Value) -> (String, Arc<Node>) {
        let node = json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/os": "linux" } },
            "spec": spec,
            "status": { "allocatable": { "cpu": "2", "memory": "1Gi", "pods": "3" } },
        });
        (name.to_owned(), Arc::new(serde_json::from_value(node).unwrap()))
    }

    fn pod(spec: Value, requests: Value) -> Pod {
        let mut spec = spec;
        spec["containers"] = json!([{ "name": "c", "resources": { "requests": requests } }]);
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap()
    }

    fn ledger(nodes: impl IntoIterator<Item = (String, Arc<Node>)>) -> Ledger {
        let mut ledger = Ledger::default();
        for (name, node) in nodes {
            ledger.node_changed(&name, Some(node));
        }
        ledger
    }

    #[track_caller]
    fn check(pod: &Pod, ledger: &Ledger, expect: &str) {
        check_with(pod, &PodClaims::default(), ledger, expect);
    }

    #[track_caller]
    fn check_with(pod: &Pod, claims: &PodClaims, ledger: &Ledger, expect: &str) {
        let told = match decide(pod, claims, ledger) {
            Decision::Bind(node) => format!("-> {node}"),
            Decision::Prepare(needed) => format!("{needed:?}"),
            Decision::Wait(why) => why,
        };
        assert_eq!(told, expect);
    }

    #[test]
    fn a_claim_that_is_missing_keeps_a_pod_from_all_nodes() {
        let one = ledger([node("sampan", json!({}))]);
        let missing = PodClaim { name: "x".to_owned(), ..PodClaim::default() };
        let mut claims = PodClaims { claims: vec![missing], ..PodClaims::default() };
        let pod = pod(json!({}), json!({}));
        check_with(
            &pod,
            &claims,
            &one,
            "0/1 nodes are available: persistentvolumeclaim \"x\" not found. preemption: 0/1 nodes \
             are available: 1 Preemption is not helpful for scheduling.",
        );
        check_with(&pod, &claims, &Ledger::default(), "no nodes available to schedule pods");
        claims.claims.clear();
        claims.is_taken = true;
        check_with(
            &pod,
            &claims,
            &one,
            "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name \
             and ReadWriteOncePod access mode. preemption: 0/1 nodes are available: 1 No preemption \
             victims found for incoming pod.",
        );
    }

    #[test]
    fn a_pod_goes_where_it_fits() {
        let one = ledger([node("sampan", json!({}))]);
        check(&pod(json!({}), json!({})), &one, "-> sampan");
        check(&pod(json!({}), json!({ "cpu": "2", "memory": "1Gi" })), &one, "-> sampan");
        check(
            &pod(json!({ "nodeSelector": { "kubernetes.io/os": "linux" } }), json!({})),
            &one,
            "-> sampan",
        );
    }

    #[test]
    fn refusals_are_worded_as_upstream() {
        let one = ledger([node("sampan", json!({}))]);
        check(
            &pod(json!({}), json!({})),
            &Ledger::default(),
            "no nodes available to schedule pods",
        );
        check(
            &pod(json!({}), json!({ "cpu": "3", "memory": "2Gi" })),
            &one,
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: 0/1 \
             nodes are available: 1 Preemption is not helpful for scheduling.",
        );
        check(
            &pod(json!({ "nodeSelector": { "disk": "ssd" } }), json!({})),
            &one,
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. \
             preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        );
        let tainted = ledger([
            node("a", json!({ "taints": [{ "key": "k", "value": "v", "effect": "NoSchedule" }] })),
            node("b", json!({ "unschedulable": true })),
        ]);
        check(
            &pod(json!({}), json!({})),
            &tainted,
            "0/2 nodes are available: 1 node(s) had untolerated taint {k: v}, 1 node(s) were \
             unschedulable. preemption: 0/2 nodes are available: 2 Preemption is not helpful for \
             scheduling.",
        );
    }

    #[test]
    fn a_full_node_could_be_freed() {
        let mut one = ledger([node("sampan", json!({}))]);
        let small = pod(json!({}), json!({ "memory": "700Mi" }));
        one.place(&ObjectKey::new("default", "first"), &small, "sampan");
        check(
            &small,
            &one,
            "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: \
             1 No preemption victims found for incoming pod.",
        );
        let empty = pod(json!({}), json!({}));
        for n in 0..2 {
            one.place(&ObjectKey::new("default", n.to_string()), &empty, "sampan");
        }
        check(
            &empty,
            &one,
            "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No \
             preemption victims found for incoming pod.",
        );
    }

    #[test]
    fn a_port_of_the_nodes_is_one_pods_until_it_goes() {
        let mut one = ledger([node("sampan", json!({}))]);
        let mut asks = pod(json!({}), json!({}));
        let ports = json!([{ "containerPort": 80, "hostPort": 8080 }]);
        let spec = asks.spec.as_mut().unwrap();
        spec.containers[0].ports = serde_json::from_value(ports).unwrap();
        let first = ObjectKey::new("default", "first");
        one.place(&first, &asks, "sampan");
        check(
            &asks,
            &one,
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod \
             ports. preemption: 0/1 nodes are available: 1 No preemption victims found for \
             incoming pod.",
        );
        check(&pod(json!({}), json!({})), &one, "-> sampan");
        one.forget(&first);
        check(&asks, &one, "-> sampan");
    }

    #[test]
    fn the_emptier_node_wins_unless_another_is_preferred() {
        let mut two = ledger([node("a", json!({})), node("b", json!({}))]);
        let half = pod(json!({}), json!({ "cpu": "1" }));
        check(&half, &two, "-> a");
        two.place(&ObjectKey::new("default", "first"), &half, "a");
        check(&half, &two, "-> b");
        let prefers_a = json!({ "affinity": { "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 1,
                "preference": { "matchFields": [
                    { "key": "metadata.name", "operator": "In", "values": ["a"] },
                ] },
            }],
        } } });
        check(&pod(prefers_a, json!({ "cpu": "1" })), &two, "-> a");
    }
}

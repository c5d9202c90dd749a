//! Where a Pod goes, or why it goes nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::claims::{PodClaims, Preparation};
use super::filters::{self, Asks, Refusal};
use super::ledger::{Ledger, NodeInfo};
use super::preempt::{self, Eviction};
use super::scores;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    Bind(String),
    /// It will go there; its claims must get their volumes first.
    Prepare(Vec<Preparation>),
    /// It will go there once these have gone; `why` it has to wait until then.
    Preempt {
        eviction: Eviction,
        why: String,
    },
    /// The text of the FailedScheduling Event and of the PodScheduled condition.
    Wait(String),
    /// The same, while others are on their way out for it.
    Hold(String),
}

/// The ledger is as before when this returns. `budgets` is asked if others may have to leave.
pub(super) fn decide(
    pod: &Arc<Pod>,
    claims: &PodClaims,
    ledger: &mut Ledger,
    budgets: impl FnOnce() -> Vec<Arc<PodDisruptionBudget>>,
) -> Decision {
    if let Some(reason) = claims.refusal() {
        return Decision::Wait(explain_for_all(&reason, ledger.nodes().count()));
    }
    let refusals = match choose(pod, claims, ledger) {
        Ok(decision) => return decision,
        Err(refusals) => refusals,
    };
    if refusals.is_empty() {
        return Decision::Wait("no nodes available to schedule pods".to_owned());
    }
    let total = refusals.len();
    let reasons = refusals.iter().flat_map(|(_, refusal)| &refusal.reasons).map(String::as_str);
    let why = tally(total, reasons);
    match preempt::preempt(pod, claims, ledger, &budgets(), &refusals) {
        Ok(eviction) => Decision::Preempt { eviction, why },
        Err(preempt::Refused::Never(words)) => Decision::Hold(format!("{why} preemption: {words}")),
        Err(preempt::Refused::Nodes(words)) => {
            let words = tally(total, words.iter().map(String::as_str));
            Decision::Wait(format!("{why} preemption: {words}"))
        }
    }
}

/// The best of the nodes that can take the Pod; or why each cannot.
fn choose(
    pod: &Pod,
    claims: &PodClaims,
    ledger: &Ledger,
) -> Result<Decision, Vec<(String, Refusal)>> {
    let Some(asks) = Asks::of(pod, ledger) else {
        return Ok(Decision::Wait("the Pod has no spec".to_owned()));
    };
    let mut fitting: Vec<(&Node, &NodeInfo)> = Vec::new();
    let mut preparations = BTreeMap::new();
    let mut refusals = Vec::new();
    for (node, info) in ledger.nodes() {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        match filters::check(&asks, claims, ledger, node, info) {
            Ok(needed) => {
                preparations.insert(name, needed);
                fitting.push((node, info));
            }
            Err(refusal) => refusals.push((name.to_owned(), refusal)),
        }
    }
    let Some(node) = scores::best(&asks, &fitting) else { return Err(refusals) };
    Ok(match preparations.remove(node).filter(|needed| !needed.is_empty()) {
        Some(needed) => Decision::Prepare(needed),
        None => Decision::Bind(node.to_owned()),
    })
}

/// Of a Pod that no node could take, for the same reason.
fn explain_for_all(reason: &str, nodes: usize) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let available = format!("0/{nodes} nodes are available");
    format!(
        "{available}: {reason}. preemption: {available}: {nodes} Preemption is not helpful for \
         scheduling."
    )
}

/// `0/3 nodes are available: 1 reason, 2 other reason.`
///
/// Upstream: `FitError.Error` (`pkg/scheduler/framework/types.go`).
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

    fn pod(spec: Value, requests: Value) -> Arc<Pod> {
        let mut spec = spec;
        spec["containers"] = json!([{ "name": "c", "resources": { "requests": requests } }]);
        let pod = json!({ "metadata": { "name": "p" }, "spec": spec });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn ledger(nodes: impl IntoIterator<Item = (String, Arc<Node>)>) -> Ledger {
        let mut ledger = Ledger::default();
        for (name, node) in nodes {
            ledger.node_changed(&name, Some(node));
        }
        ledger
    }

    #[track_caller]
    fn check(pod: &Arc<Pod>, ledger: &mut Ledger, expect: &str) {
        check_with(pod, &PodClaims::default(), ledger, expect);
    }

    #[track_caller]
    fn check_with(pod: &Arc<Pod>, claims: &PodClaims, ledger: &mut Ledger, expect: &str) {
        check_told(decide(pod, claims, ledger, Vec::new), expect);
    }

    #[track_caller]
    fn check_told(decision: Decision, expect: &str) {
        let told = match decision {
            Decision::Bind(node) => format!("-> {node}"),
            Decision::Prepare(needed) => format!("{needed:?}"),
            Decision::Preempt { eviction, why } => {
                let names = eviction.victims.iter().map(|(key, _)| key.name.as_str());
                let names = names.collect::<Vec<_>>().join(", ");
                format!("{why} {names} leave {}", eviction.node)
            }
            Decision::Wait(why) | Decision::Hold(why) => why,
        };
        assert_eq!(told, expect);
    }

    #[test]
    fn a_claim_that_is_missing_keeps_a_pod_from_all_nodes() {
        let mut one = ledger([node("sampan", json!({}))]);
        let missing = PodClaim { name: "x".to_owned(), ..PodClaim::default() };
        let mut claims = PodClaims { claims: vec![missing], ..PodClaims::default() };
        let pod = pod(json!({}), json!({}));
        check_with(
            &pod,
            &claims,
            &mut one,
            "0/1 nodes are available: persistentvolumeclaim \"x\" not found. preemption: 0/1 nodes \
             are available: 1 Preemption is not helpful for scheduling.",
        );
        check_with(&pod, &claims, &mut Ledger::default(), "no nodes available to schedule pods");
        claims.claims.clear();
        claims.is_taken = true;
        check_with(
            &pod,
            &claims,
            &mut one,
            "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name \
             and ReadWriteOncePod access mode. preemption: 0/1 nodes are available: 1 No preemption \
             victims found for incoming pod.",
        );
    }

    #[test]
    fn a_pod_goes_where_it_fits() {
        let mut one = ledger([node("sampan", json!({}))]);
        check(&pod(json!({}), json!({})), &mut one, "-> sampan");
        check(&pod(json!({}), json!({ "cpu": "2", "memory": "1Gi" })), &mut one, "-> sampan");
        check(
            &pod(json!({ "nodeSelector": { "kubernetes.io/os": "linux" } }), json!({})),
            &mut one,
            "-> sampan",
        );
    }

    #[test]
    fn refusals_are_worded_as_upstream() {
        let mut one = ledger([node("sampan", json!({}))]);
        check(
            &pod(json!({}), json!({})),
            &mut Ledger::default(),
            "no nodes available to schedule pods",
        );
        check(
            &pod(json!({}), json!({ "cpu": "3", "memory": "2Gi" })),
            &mut one,
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: 0/1 \
             nodes are available: 1 Preemption is not helpful for scheduling.",
        );
        check(
            &pod(json!({ "nodeSelector": { "disk": "ssd" } }), json!({})),
            &mut one,
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. \
             preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        );
        let mut tainted = ledger([
            node("a", json!({ "taints": [{ "key": "k", "value": "v", "effect": "NoSchedule" }] })),
            node("b", json!({ "unschedulable": true })),
        ]);
        check(
            &pod(json!({}), json!({})),
            &mut tainted,
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
            &mut one,
            "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: \
             1 No preemption victims found for incoming pod.",
        );
        let empty = pod(json!({}), json!({}));
        for n in 0..2 {
            one.place(&ObjectKey::new("default", n.to_string()), &empty, "sampan");
        }
        check(
            &empty,
            &mut one,
            "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No \
             preemption victims found for incoming pod.",
        );
    }

    #[test]
    fn a_port_of_the_nodes_is_one_pods_until_it_goes() {
        let mut one = ledger([node("sampan", json!({}))]);
        let mut asks = pod(json!({}), json!({}));
        let ports = json!([{ "containerPort": 80, "hostPort": 8080 }]);
        let spec = Arc::make_mut(&mut asks).spec.as_mut().unwrap();
        spec.containers[0].ports = serde_json::from_value(ports).unwrap();
        let first = ObjectKey::new("default", "first");
        one.place(&first, &asks, "sampan");
        check(
            &asks,
            &mut one,
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod \
             ports. preemption: 0/1 nodes are available: 1 No preemption victims found for \
             incoming pod.",
        );
        check(&pod(json!({}), json!({})), &mut one, "-> sampan");
        one.forget(&first);
        check(&asks, &mut one, "-> sampan");
    }

    #[test]
    fn the_emptier_node_wins_unless_another_is_preferred() {
        let mut two = ledger([node("a", json!({})), node("b", json!({}))]);
        let half = pod(json!({}), json!({ "cpu": "1" }));
        check(&half, &mut two, "-> a");
        two.place(&ObjectKey::new("default", "first"), &half, "a");
        check(&half, &mut two, "-> b");
        let prefers_a = json!({ "affinity": { "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 1,
                "preference": { "matchFields": [
                    { "key": "metadata.name", "operator": "In", "values": ["a"] },
                ] },
            }],
        } } });
        check(&pod(prefers_a, json!({ "cpu": "1" })), &mut two, "-> a");
    }

    fn of_priority(name: &str, priority: i32, cpu: &str) -> Arc<Pod> {
        let mut one = pod(json!({ "priority": priority }), json!({ "cpu": cpu }));
        Arc::make_mut(&mut one).metadata.name = Some(name.to_owned());
        one
    }

    fn full(pods: &[(&str, i32, &str)]) -> Ledger {
        let (name, mut roomy) = node("sampan", json!({}));
        let status = Arc::make_mut(&mut roomy).status.as_mut().unwrap();
        let pods_max = serde_json::from_value(json!("9")).unwrap();
        status.allocatable.as_mut().unwrap().insert("pods".to_owned(), pods_max);
        let mut one = ledger([(name, roomy)]);
        for (name, priority, cpu) in pods {
            let pod = of_priority(name, *priority, cpu);
            one.place(&ObjectKey::new("default", *name), &pod, "sampan");
        }
        one
    }

    #[test]
    fn lesser_pods_leave_no_more_than_needed() {
        let short = "0/1 nodes are available: 1 Insufficient cpu.";
        let none = format!(
            "{short} preemption: 0/1 nodes are available: 1 No preemption victims \
                            found for incoming pod."
        );
        let pods = [("low", 1, "1"), ("mid", 5, "500m"), ("high", 9, "500m")];
        check(&of_priority("p", 1, "1"), &mut full(&pods), &none);
        // The least important goes, the others are let off.
        check(&of_priority("p", 7, "1"), &mut full(&pods), &format!("{short} low leave sampan"));
        let both = format!("{short} low, mid leave sampan");
        check(&of_priority("p", 7, "1500m"), &mut full(&pods), &both);
        // All that may go is not enough.
        let still = format!("{short} preemption: {short}");
        check(&of_priority("p", 7, "2"), &mut full(&pods), &still);
        let mut meek = of_priority("p", 7, "1");
        Arc::make_mut(&mut meek).spec.as_mut().unwrap().preemption_policy = Some("Never".into());
        let never = format!("{short} preemption: not eligible due to preemptionPolicy=Never.");
        check(&meek, &mut full(&pods), &never);
    }

    #[test]
    fn budgets_are_overdrawn_only_if_nothing_else_will_do() {
        let guarded = |app: &str, allowed: i32, disrupted: Value| -> Arc<PodDisruptionBudget> {
            let budget = json!({
                "metadata": {"name": app}, "spec": {"selector": {"matchLabels": {"app": app}}},
                "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1,
                    "expectedPods": 1, "disruptedPods": disrupted},
            });
            Arc::new(serde_json::from_value(budget).unwrap())
        };
        let placed = |ledger: &mut Ledger, node: &str, name: &str, priority: i32| {
            let mut pod = of_priority(name, priority, "1");
            let labels = [("app".to_owned(), name.to_owned())].into();
            Arc::make_mut(&mut pod).metadata.labels = Some(labels);
            ledger.place(&ObjectKey::new("", name), &pod, node);
        };
        let short = "0/1 nodes are available: 1 Insufficient cpu.";
        let check = |pods: &[(&str, i32)], budget, expect: &str| {
            let mut one = ledger([node("sampan", json!({}))]);
            pods.iter().for_each(|(name, priority)| placed(&mut one, "sampan", name, *priority));
            let pod = of_priority("p", 7, "1");
            let decision = decide(&pod, &PodClaims::default(), &mut one, || vec![budget]);
            check_told(decision, &format!("{short} {expect} leave sampan"));
        };
        // The less important one stays, for its budget has nothing to spare.
        check(&[("low", 1), ("mid", 5)], guarded("low", 0, json!({})), "mid");
        check(&[("low", 1), ("mid", 5)], guarded("low", 1, json!({})), "low");
        let granted = json!({"low": "2026-01-01T00:00:00Z"});
        check(&[("low", 1), ("mid", 5)], guarded("low", 0, granted), "low");
        // If there is no other, it goes.
        check(&[("low", 1), ("top", 9)], guarded("low", 0, json!({})), "low");

        let mut two = ledger([node("a", json!({})), node("b", json!({}))]);
        for (name, node, priority) in
            [("low", "a", 1), ("high", "a", 9), ("mid", "b", 5), ("top", "b", 9)]
        {
            placed(&mut two, node, name, priority);
        }
        let pod = of_priority("p", 7, "1");
        let short = "0/2 nodes are available: 2 Insufficient cpu.";
        for (allowed, expect) in [(0, "mid leave b"), (1, "low leave a")] {
            let budgets = || vec![guarded("low", allowed, json!({}))];
            let decision = decide(&pod, &PodClaims::default(), &mut two, budgets);
            check_told(decision, &format!("{short} {expect}"));
        }
    }

    #[test]
    fn room_that_was_made_is_kept_for_who_it_was_made_for() {
        let mut one = full(&[("other", 5, "1")]);
        let important = of_priority("important", 9, "1");
        one.nominate(&ObjectKey::new("", "important"), &important, "sampan");
        let late = of_priority("late", 5, "500m");
        let short = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are \
                     available: 1 No preemption victims found for incoming pod.";
        check(&late, &mut one, short);
        check(&important, &mut one, "-> sampan");
        check(&of_priority("king", 10, "500m"), &mut one, "-> sampan");
    }

    fn zoned() -> Ledger {
        let mut three = ledger([]);
        for (name, zone) in [("a", "x"), ("b", "x"), ("c", "y")] {
            let (name, mut one) = node(name, json!({}));
            let labels = Arc::make_mut(&mut one).metadata.labels.get_or_insert_default();
            labels.insert("zone".to_owned(), zone.to_owned());
            three.node_changed(&name, Some(one));
        }
        three
    }

    fn labelled(name: &str, spec: Value) -> Arc<Pod> {
        let mut one = pod(spec, json!({}));
        let meta = &mut Arc::make_mut(&mut one).metadata;
        (meta.name, meta.namespace) = (Some(name.to_owned()), Some("default".to_owned()));
        meta.labels = Some([("app".to_owned(), "web".to_owned())].into());
        one
    }

    fn near_or_far(which: &str) -> Value {
        json!({ "affinity": { which: { "requiredDuringSchedulingIgnoredDuringExecution": [{
            "topologyKey": "zone", "labelSelector": { "matchLabels": { "app": "web" } },
        }] } } })
    }

    #[test]
    fn pods_are_near_or_far_as_they_ask() {
        let mut three = zoned();
        let (near, far) = (near_or_far("podAffinity"), near_or_far("podAntiAffinity"));
        // The first of its sort may go anywhere.
        check(&labelled("first", near.clone()), &mut three, "-> a");
        three.place(&ObjectKey::new("default", "first"), &labelled("first", json!({})), "c");
        check(&labelled("second", near.clone()), &mut three, "-> c");
        check(&labelled("second", far.clone()), &mut three, "-> a");
        let mut other = labelled("other", near);
        Arc::make_mut(&mut other).metadata.namespace = Some("elsewhere".to_owned());
        Arc::make_mut(&mut other).metadata.labels = None;
        check(
            &other,
            &mut three,
            "0/3 nodes are available: 3 node(s) didn't match pod affinity rules. preemption: 0/3 \
             nodes are available: 3 Preemption is not helpful for scheduling.",
        );
        three.place(&ObjectKey::new("default", "far"), &labelled("far", far.clone()), "a");
        check(
            &labelled("third", far),
            &mut three,
            "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: \
             0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        );
        // Who does not care is refused by who does.
        check(&labelled("plain", json!({})), &mut three, "-> c");
    }

    #[test]
    fn a_sort_is_spread_evenly() {
        let mut three = zoned();
        let spread = |unsatisfiable: &str| {
            json!({ "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "zone",
                "whenUnsatisfiable": unsatisfiable,
                "labelSelector": { "matchLabels": { "app": "web" } } }] })
        };
        let hard = labelled("hard", spread("DoNotSchedule"));
        check(&hard, &mut three, "-> a");
        three.place(&ObjectKey::new("default", "1"), &hard, "a");
        check(&hard, &mut three, "-> c");
        check(&labelled("soft", spread("ScheduleAnyway")), &mut three, "-> c");
        let mut only_x = spread("DoNotSchedule");
        only_x["nodeSelector"] = json!({ "zone": "x" });
        only_x["topologySpreadConstraints"][0]["nodeAffinityPolicy"] = json!("Ignore");
        check(
            &labelled("stuck", only_x),
            &mut three,
            "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) \
             didn't match pod topology spread constraints. preemption: 0/3 nodes are available: 1 \
             Preemption is not helpful for scheduling, 2 No preemption victims found for incoming \
             pod.",
        );
    }
}

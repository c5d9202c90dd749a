//! Tells from a node's heartbeats whether it lives, and says so in its conditions and taints: nobody is sent
//! to a node that is silent, its Pods are not ready (`node_pods`), and who does not tolerate that leaves it
//! (`taint_eviction`).
//!
//! A heartbeat is a change of the node's Lease, or of the times in its conditions; when it came is told by our
//! own monotonic clock, so clocks need not agree, and a host that was suspended has not been silent.
//!
//! Upstream: `pkg/controller/nodelifecycle/node_lifecycle_controller.go`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::json;

use super::ownership::{reference, revision};
use super::reconcile::{self, Next, is_gone};
use super::{Context, node_pods};
use crate::api::object::ObjectKey;
use crate::client::clock::whole_second;
use crate::client::events::EventType;

/// Upstream's `--node-monitor-period` and `--node-monitor-grace-period`.
const PERIOD: Duration = Duration::from_secs(5);
const GRACE_PERIOD: Duration = Duration::from_secs(50);

const NAMESPACE: &str = "kube-node-lease";

/// What goes silent with the node. Upstream: `nodeConditionTypes`.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const NO_SCHEDULE: &str = "NoSchedule";
const NO_EXECUTE: &str = "NoExecute";

/// Taints that say what the node's conditions, or its spec, say.
const OWN_TAINTS: [&str; 7] = [
    NOT_READY,
    UNREACHABLE,
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
];

/// The last sign of life. Bound: one of each node.
#[derive(Debug, Clone, PartialEq)]
struct Heard {
    sign: String,
    /// Monotonic.
    at: Duration,
}

/// What to write.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    conditions: Option<Vec<NodeCondition>>,
    taints: Option<Vec<Taint>>,
    /// It has just stopped being ready.
    fell: bool,
}

pub(super) async fn run(ctx: Context) {
    futures::future::join(run_nodes(ctx.clone()), node_pods::run(ctx)).await;
}

async fn run_nodes(ctx: Context) {
    ctx.caches.nodes.synced().await;
    ctx.caches.leases.synced().await;
    let heard: Arc<Mutex<HashMap<ObjectKey, Heard>>> = Arc::default();
    let leases = ctx.caches.leases.changes_as(|lease: &Lease| {
        let is_nodes = lease.metadata.namespace.as_deref() == Some(NAMESPACE);
        let name = lease.metadata.name.clone().filter(|_| is_nodes)?;
        Some(ObjectKey::new("", name))
    });
    let keys = stream::select(ctx.caches.nodes.changes(), leases);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("node-controller", clock, stop, keys, |key| {
        let (ctx, heard) = (ctx.clone(), heard.clone());
        async move { look(&ctx, &heard, &key).await }
    })
    .await;
}

async fn look(
    ctx: &Context,
    heard: &Mutex<HashMap<ObjectKey, Heard>>,
    key: &ObjectKey,
) -> Result<Next, kube::Error> {
    let Some(node) = ctx.caches.nodes.get(key) else {
        heard.lock().remove(key);
        return Ok(Next::Done);
    };
    let lease = ctx.caches.leases.get(&ObjectKey::new(NAMESPACE, key.name.as_str()));
    let silence = {
        let (mut all, now) = (heard.lock(), ctx.clock.monotonic());
        let last = listen(all.get(key), sign_of(&node, lease.as_deref()), now);
        let silence = now.saturating_sub(last.at);
        all.insert(key.clone(), last);
        silence
    };
    let plan = plan(&node, silence, ctx.clock.now());
    let api: Api<Node> = Api::all(ctx.client.kube());
    let params = PatchParams::default();
    let mut written = 0;
    if let Some(conditions) = &plan.conditions {
        let patch = json!({"status": {"conditions": conditions}});
        match api.patch_status(&key.name, &params, &Patch::Strategic(&patch)).await {
            Err(error) if is_gone(&error) => return Ok(Next::Done),
            answer => written = revision(&answer?.metadata),
        }
    }
    if plan.fell {
        let text = format!("Node {} status is now: NodeNotReady", key.name);
        ctx.recorder.record(&reference(&*node), EventType::Normal, "NodeNotReady", text);
    }
    // The taints follow from conditions that are written.
    if let Some(taints) = plan.taints.as_ref().filter(|_| plan.conditions.is_none()) {
        let version = &node.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"taints": taints}});
        match api.patch(&key.name, &params, &Patch::Merge(&patch)).await {
            Err(error) if is_gone(&error) => return Ok(Next::Done),
            answer => written = revision(&answer?.metadata),
        }
    }
    ctx.caches.nodes.reached(written).await;
    Ok(Next::After(PERIOD))
}

/// What changes with every heartbeat.
fn sign_of(node: &Node, lease: Option<&Lease>) -> String {
    let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref());
    let ready = condition(node, "Ready").and_then(|ready| ready.last_heartbeat_time.as_ref());
    format!("{:?} {:?}", renewed.map(|time| time.0), ready.map(|time| time.0))
}

fn listen(last: Option<&Heard>, sign: String, now: Duration) -> Heard {
    match last.filter(|last| last.sign == sign) {
        Some(last) => last.clone(),
        None => Heard { sign, at: now },
    }
}

fn condition<'a>(node: &'a Node, type_: &str) -> Option<&'a NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// `silence`: how long nothing has been heard of the node.
fn plan(node: &Node, silence: Duration, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let is_silent = silence > GRACE_PERIOD;
    let was_ready = condition(node, "Ready").is_some_and(|ready| ready.status == "True");
    if is_silent {
        let lost = CONDITIONS.iter().filter_map(|type_| unknown(node, type_, now));
        let lost: Vec<NodeCondition> = lost.collect();
        plan.fell = was_ready && !lost.is_empty();
        plan.conditions = (!lost.is_empty()).then_some(lost);
    }
    plan.taints = taints(node, now);
    plan
}

/// The condition as it is once nobody speaks for it; `None` if it is so already.
fn unknown(node: &Node, type_: &str, now: Timestamp) -> Option<NodeCondition> {
    let old = condition(node, type_);
    if old.is_some_and(|old| old.status == "Unknown") {
        return None;
    }
    let (reason, text) = match old {
        Some(_) => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
        None => ("NodeStatusNeverUpdated", "Kubelet never posted node status."),
    };
    Some(NodeCondition {
        type_: type_.to_owned(),
        status: "Unknown".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(text.to_owned()),
        last_heartbeat_time: old.and_then(|old| old.last_heartbeat_time.clone()),
        last_transition_time: Some(Time(whole_second(now))),
    })
}

/// The node's taints as they should be; `None` if they are.
fn taints(node: &Node, now: Timestamp) -> Option<Vec<Taint>> {
    let wanted = wanted_taints(node);
    let have = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let is_own = |taint: &Taint| {
        OWN_TAINTS.contains(&taint.key.as_str())
            && (taint.effect == NO_SCHEDULE
                || (taint.effect == NO_EXECUTE && [NOT_READY, UNREACHABLE].contains(&&*taint.key)))
    };
    let is_wanted = |taint: &Taint| wanted.contains(&(taint.key.as_str(), taint.effect.as_str()));
    let mut taints: Vec<Taint> =
        have.iter().filter(|taint| !is_own(taint) || is_wanted(taint)).cloned().collect();
    for (key, effect) in &wanted {
        if !have.iter().any(|taint| taint.key == *key && taint.effect == *effect) {
            taints.push(Taint {
                key: (*key).to_owned(),
                effect: (*effect).to_owned(),
                time_added: Some(Time(whole_second(now))),
                value: None,
            });
        }
    }
    (taints != have).then_some(taints)
}

fn wanted_taints(node: &Node) -> Vec<(&'static str, &'static str)> {
    let status = |type_: &str| condition(node, type_).map(|condition| condition.status.as_str());
    let mut wanted = Vec::new();
    let sick = match status("Ready") {
        Some("False") => Some(NOT_READY),
        Some("Unknown") => Some(UNREACHABLE),
        _ => None,
    };
    wanted.extend(sick.into_iter().flat_map(|key| [(key, NO_SCHEDULE), (key, NO_EXECUTE)]));
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        wanted.push(("node.kubernetes.io/unschedulable", NO_SCHEDULE));
    }
    for (type_, key) in [
        ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
        ("DiskPressure", "node.kubernetes.io/disk-pressure"),
        ("PIDPressure", "node.kubernetes.io/pid-pressure"),
        ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
    ] {
        if status(type_) == Some("True") {
            wanted.push((key, NO_SCHEDULE));
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + seconds).unwrap()
    }

    fn node(ready: &str, spec: Value) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": spec,
            "status": {"conditions": [{"type": "Ready", "status": ready},
                {"type": "DiskPressure", "status": "False"}]}}))
        .unwrap()
    }

    fn shown(taints: Option<Vec<Taint>>) -> Vec<String> {
        let shown = |taint: &Taint| format!("{}:{}", taint.key, taint.effect);
        taints.iter().flatten().map(shown).collect()
    }

    #[test]
    fn a_node_that_speaks_is_left_alone() {
        assert_eq!(plan(&node("True", json!({})), GRACE_PERIOD, at(50)), Plan::default());
    }

    #[test]
    fn a_silent_node_is_unknown_and_then_nobody_stays() {
        let silence = Duration::from_secs(51);
        let plan = plan(&node("True", json!({})), silence, at(51));
        let conditions = plan.conditions.unwrap();
        let told: Vec<(&str, &str)> = conditions
            .iter()
            .map(|it| (it.type_.as_str(), it.reason.as_deref().unwrap()))
            .collect();
        let (lost, never) = ("NodeStatusUnknown", "NodeStatusNeverUpdated");
        let expect = [
            ("Ready", lost),
            ("MemoryPressure", never),
            ("DiskPressure", lost),
            ("PIDPressure", never),
        ];
        assert_eq!(told, expect);
        assert!(plan.fell && conditions.iter().all(|it| it.status == "Unknown"));

        let mut silent = node("True", json!({"taints": [{"key": "mine", "effect": "NoExecute"}]}));
        silent.status.as_mut().unwrap().conditions = Some(conditions);
        let again = super::plan(&silent, silence, at(60));
        assert_eq!((again.conditions, again.fell), (None, false));
        let expect = [
            "mine:NoExecute",
            "node.kubernetes.io/unreachable:NoSchedule",
            "node.kubernetes.io/unreachable:NoExecute",
        ];
        assert_eq!(shown(again.taints.clone()), expect);
        // When it speaks again they go, and the user's stays.
        let spec = silent.spec.get_or_insert_default();
        spec.taints = again.taints;
        let conditions = silent.status.as_mut().unwrap().conditions.as_mut().unwrap();
        conditions[0].status = "True".to_owned();
        assert_eq!(shown(taints(&silent, at(70))), ["mine:NoExecute"]);
    }

    #[test]
    fn taints_say_what_conditions_say() {
        let not_ready = shown(taints(&node("False", json!({})), at(0)));
        let expect =
            ["node.kubernetes.io/not-ready:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"];
        assert_eq!(not_ready, expect);
        let cordoned = shown(taints(&node("True", json!({"unschedulable": true})), at(0)));
        assert_eq!(cordoned, ["node.kubernetes.io/unschedulable:NoSchedule"]);
    }

    #[test]
    fn only_another_sign_is_a_sign_of_life() {
        let (begin, later) = (Duration::ZERO, Duration::from_secs(30));
        let first = listen(None, "1".to_owned(), begin);
        assert_eq!(listen(Some(&first), "1".to_owned(), later).at, begin);
        assert_eq!(listen(Some(&first), "2".to_owned(), later).at, later);
    }
}

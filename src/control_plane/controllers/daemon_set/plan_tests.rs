//! Nodes and Pods in all the states that matter.

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T00:10:00Z";

fn set(update: Value) -> DaemonSet {
    serde_json::from_value(json!({
        "metadata": {"name": "d", "namespace": "n", "uid": "u", "generation": 2},
        "spec": {"selector": {}, "updateStrategy": update,
            "template": {"spec": {"containers": [], "nodeSelector": {"os": "wasi"}}}},
    }))
    .unwrap()
}

fn rolling(unavailable: Value, surge: Value) -> Value {
    json!({"type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}})
}

fn node(name: &str) -> Arc<Node> {
    let node = json!({"metadata": {"name": name, "labels": {"os": "wasi"}}});
    Arc::new(serde_json::from_value(node).unwrap())
}

/// `a/new` is a ready Pod of the current revision on node `a`; `?`, `!` and `-` behind it say that it is
/// not ready, has failed or is going.
fn pod(text: &str) -> Arc<Pod> {
    let mark = text.chars().last().filter(|last| "?!-".contains(*last));
    let (node, hash) = text.trim_end_matches(['?', '!', '-']).split_once('/').unwrap();
    let ready = if matches!(mark, None | Some('-')) { "True" } else { "False" };
    let deleted = (mark == Some('-')).then_some(NOW);
    let phase = if mark == Some('!') { "Failed" } else { "Running" };
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"name": text, "deletionTimestamp": deleted,
                "labels": {"controller-revision-hash": hash}},
            "spec": {"containers": [], "nodeName": node},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready,
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        }))
        .unwrap(),
    )
}

/// Nodes that get a Pod, and Pods that go.
#[track_caller]
fn check(update: &Value, nodes: &str, pods: &[&str], create: &str, delete: &[&str]) {
    let set = set(update.clone());
    let nodes: Vec<_> = nodes.split_whitespace().map(node).collect();
    let pods: Vec<_> = pods.iter().map(|text| pod(text)).collect();
    let plan = plan(&View {
        set: &set,
        spec: set.spec.as_ref().unwrap(),
        nodes: &nodes,
        pods: &pods,
        hash: "new",
        collisions: None,
        backoff: &|node| (node == "z").then_some(Duration::from_secs(3)),
        now: NOW.parse().unwrap(),
    });
    let names: Vec<&str> =
        plan.delete.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
    assert_eq!((plan.create.join(" ").as_str(), names.as_slice()), (create, delete));
}

#[test]
fn each_node_has_one_pod() {
    let update = json!({"type": "OnDelete"});
    check(&update, "a b c", &["a/new"], "b c", &[]);
    check(&update, "a", &["a/new", "a/old"], "", &["a/old"]);
    // One that goes is waited for.
    check(&update, "a", &["a/new-"], "", &[]);
    // Its node does not suit: it is not there.
    check(&update, "a", &["a/new", "b/new"], "", &[]);
    check(&update, "a", &["a/old"], "", &[]);
}

#[test]
fn what_has_failed_is_replaced_after_a_while() {
    let update = rolling(json!(1), json!(0));
    check(&update, "a", &["a/new!"], "", &["a/new!"]);
    check(&update, "z", &["z/new!"], "", &[]);
}

#[test]
fn an_update_replaces_as_many_as_may_be_missing() {
    let update = rolling(json!(1), json!(0));
    check(&update, "a b c", &["a/old", "b/old", "c/old"], "", &["a/old"]);
    check(&update, "a b c", &["a/new?", "b/old", "c/old"], "", &[]);
    check(&update, "a b c", &["a/old-", "b/old", "c/old"], "", &[]);
    check(&update, "a b c", &["a/new", "b/old", "c/old?"], "", &["c/old?"]);
    let update = rolling(json!("50%"), json!(0));
    check(&update, "a b c", &["a/old", "b/old", "c/old"], "", &["a/old", "b/old"]);
}

#[test]
fn a_surge_makes_the_new_one_first() {
    let update = rolling(json!(0), json!(1));
    check(&update, "a b", &["a/old", "b/old"], "a", &[]);
    check(&update, "a b", &["a/old", "a/new?", "b/old"], "", &[]);
    check(&update, "a b", &["a/old", "a/new", "b/old"], "", &["a/old"]);
    check(&update, "a b", &["a/new", "b/old"], "b", &[]);
    // The old one is no loss.
    check(&update, "a b", &["a/old?", "a/new?", "b/old"], "", &["a/old?"]);
    check(&update, "a b", &["a/old?", "b/old"], "a b", &[]);
}

#[test]
fn the_status_counts_nodes() {
    let set = set(rolling(json!(1), json!(0)));
    let nodes = [node("a"), node("b"), node("c")];
    let mut other = (*node("d")).clone();
    other.metadata.labels = None;
    let nodes = [nodes.to_vec(), vec![Arc::new(other)]].concat();
    let pods: Vec<_> = ["a/new", "b/old?", "d/old"].iter().map(|text| pod(text)).collect();
    let status = status(&View {
        set: &set,
        spec: set.spec.as_ref().unwrap(),
        nodes: &nodes,
        pods: &pods,
        hash: "new",
        collisions: None,
        backoff: &|_| None,
        now: NOW.parse().unwrap(),
    });
    assert_eq!(
        serde_json::to_value(status).unwrap(),
        json!({"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberMisscheduled": 1,
            "numberReady": 1, "numberAvailable": 1, "numberUnavailable": 2,
            "updatedNumberScheduled": 1, "observedGeneration": 2})
    );
}

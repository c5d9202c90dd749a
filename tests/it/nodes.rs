//! Nodes that fall silent, and their Pods.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deployments::{MERGE, PODS, items};
use crate::support::server;

const NODES: &str = "/api/v1/nodes";

fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|one| one["type"] == type_).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn pods_of_a_silent_node_are_not_ready() {
    let server = server().await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "far"},
        "spec": {"unschedulable": true}});
    server.post(NODES, &node).await.expect(201);
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let line = format!("PATCH {NODES}/far/status");
    server.send(&line, MERGE, ready.to_string()).await.expect(200);
    let mut pod = crate::objects::pod("p");
    pod["spec"]["nodeName"] = json!("far");
    server.post(PODS, &pod).await.expect(201);
    server.send(&format!("PATCH {PODS}/p/status"), MERGE, ready.to_string()).await.expect(200);
    // From here on its controller listens to the node.
    server.until(NODES, |list| items(list)[0]["spec"]["taints"].is_array()).await;
    server.clock.advance(Duration::from_secs(60));
    let is = |list: &Value, status: &str| condition(&items(list)[0], "Ready")["status"] == status;
    server.until(NODES, |list| is(list, "Unknown")).await;
    let list = server.until(PODS, |list| is(list, "False")).await;
    let since = &condition(&items(&list)[0], "Ready")["lastTransitionTime"];
    assert_eq!(since, "2026-11-22T17:01:00Z");
    let about = "fieldSelector=involvedObject.kind=Pod,reason=NodeNotReady";
    let events = format!("/api/v1/namespaces/default/events?{about}");
    let told = server.until(&events, |list| !items(list).is_empty()).await;
    let told = &items(&told)[0];
    assert_eq!((&told["message"], &told["type"]), (&json!("Node is not ready"), &json!("Warning")));
    assert_eq!(told["source"]["component"], "node-controller");
}

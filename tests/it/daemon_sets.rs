//! DaemonSets and ReplicationControllers kept by their controllers; the test plays the nodes.

use serde_json::{Value, json};

use crate::deployments::{MERGE, Node, PODS, items};
use crate::support::{Server, server};

const SETS: &str = "/apis/apps/v1/namespaces/default/daemonsets";
const REVISIONS: &str = "/apis/apps/v1/namespaces/default/controllerrevisions";
const CONTROLLERS: &str = "/api/v1/namespaces/default/replicationcontrollers";

fn template(name: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "one"}]}})
}

async fn add_node(server: &Server, name: &str, taints: Value) {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "spec": {"taints": taints}});
    server.post("/api/v1/nodes", &node).await.expect(201);
}

/// The nodes that Pods are for, in order.
fn targets(pods: &Value) -> Vec<&str> {
    let path = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution\
                /nodeSelectorTerms/0/matchFields/0/values/0";
    let mut targets: Vec<&str> =
        items(pods).iter().map(|pod| pod.pointer(path).unwrap().as_str().unwrap()).collect();
    targets.sort_unstable();
    targets
}

#[tokio::test]
async fn each_node_that_suits_has_a_pod() {
    let server = server().await;
    add_node(&server, "a", json!([])).await;
    add_node(&server, "b", json!([{"key": "gpu", "effect": "NoSchedule"}])).await;
    let _node = Node::start(&server, |_| true);
    let set = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template("d")}});
    let created = server.post(SETS, &set).await.expect(201);
    let noted = &created["metadata"]["annotations"]["deprecated.daemonset.template.generation"];
    assert_eq!(noted, "1");
    server.until(PODS, |list| items(list).len() == 1).await;
    add_node(&server, "c", json!([])).await;
    let list = server.until(PODS, |list| items(list).len() == 2).await;
    assert_eq!(targets(&list), ["a", "c"]);
    let ready = |list: &Value| items(list)[0]["status"]["numberReady"] == 2;
    let list = server.until(SETS, ready).await;
    let status = &items(&list)[0]["status"];
    assert_eq!(
        status,
        &json!({"currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberAvailable": 2,
            "numberMisscheduled": 0, "numberReady": 2, "updatedNumberScheduled": 2,
            "observedGeneration": 1})
    );

    let line = format!("PATCH {SETS}/d");
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "c", "image": "two"}]}}}});
    server.send(&line, MERGE, patch.to_string()).await.expect(200);
    let updated = |list: &Value| {
        items(list).len() == 2
            && items(list).iter().all(|pod| {
                pod["spec"]["containers"][0]["image"] == "two"
                    && pod["metadata"]["labels"]["pod-template-generation"] == "2"
            })
    };
    server.until(PODS, updated).await;
    let list = server.get(REVISIONS).await.expect(200);
    assert_eq!(items(&list).len(), 2);

    server.delete("/api/v1/nodes/c").await.expect(200);
    let counted = |list: &Value| items(list)[0]["status"]["desiredNumberScheduled"] == 1;
    server.until(SETS, counted).await;
}

#[tokio::test]
async fn a_replication_controller_keeps_its_size() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    let object = json!({"apiVersion": "v1", "kind": "ReplicationController",
        "metadata": {"name": "r"}, "spec": {"replicas": 2, "template": template("r")}});
    let created = server.post(CONTROLLERS, &object).await.expect(201);
    assert_eq!(created["spec"]["selector"], json!({"app": "r"}));
    assert_eq!(created["metadata"]["labels"], json!({"app": "r"}));
    let list = server.until(PODS, |list| items(list).len() == 2).await;
    let owner = &items(&list)[0]["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["apiVersion"]),
        (&json!("ReplicationController"), &json!("v1"))
    );
    let ready = |list: &Value| items(list)[0]["status"]["availableReplicas"] == 2;
    server.until(CONTROLLERS, ready).await;
    let line = format!("PATCH {CONTROLLERS}/r/scale");
    let scaled = server.send(&line, MERGE, r#"{"spec":{"replicas":1}}"#).await.expect(200);
    assert_eq!(scaled["status"]["selector"], "app=r");
    server.until(PODS, |list| items(list).len() == 1).await;
}

//! The ReplicaSet controller against the API server; no node runs the Pods.

use serde_json::{Value, json};

use crate::support::{Server, server};

const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const PODS: &str = "/api/v1/namespaces/default/pods";

pub(crate) fn set(name: &str, replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]}}}})
}

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

async fn pods_of(server: &Server, count: usize) -> Value {
    server.until(PODS, |list| items(list).len() == count).await
}

async fn scale(server: &Server, name: &str, replicas: usize) {
    let line = format!("PATCH {SETS}/{name}/scale");
    let body = json!({"spec": {"replicas": replicas}}).to_string();
    server.send(&line, &["Content-Type: application/merge-patch+json"], body).await.expect(200);
}

#[tokio::test]
async fn pods_come_and_go_with_the_size() {
    let server = server().await;
    let created = server.post(SETS, &set("a", 3)).await.expect(201);
    let list = pods_of(&server, 3).await;
    for pod in items(&list) {
        let meta = &pod["metadata"];
        let name = meta["name"].as_str().unwrap();
        assert!(name.starts_with("a-") && name.len() == 7, "{name}");
        assert_eq!(
            meta["ownerReferences"],
            json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a",
                "uid": created["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}])
        );
        assert_eq!(meta["labels"], json!({"app": "a"}));
    }
    let told = |list: &Value| items(list)[0]["status"]["replicas"] == 3;
    let status = &server.until(SETS, told).await["items"][0]["status"];
    assert_eq!(status, &json!({"replicas": 3, "fullyLabeledReplicas": 3, "observedGeneration": 1}));
    scale(&server, "a", 1).await;
    pods_of(&server, 1).await;
    scale(&server, "a", 0).await;
    pods_of(&server, 0).await;
}

#[tokio::test]
async fn a_lost_pod_is_replaced() {
    let server = server().await;
    server.post(SETS, &set("a", 2)).await.expect(201);
    let list = pods_of(&server, 2).await;
    let name = items(&list)[0]["metadata"]["name"].as_str().unwrap().to_owned();
    server.delete(&format!("{PODS}/{name}")).await.expect(200);
    let replaced = |list: &Value| {
        items(list).len() == 2 && items(list).iter().all(|pod| pod["metadata"]["name"] != *name)
    };
    server.until(PODS, replaced).await;
}

#[tokio::test]
async fn many_pods_are_made_once_each() {
    let server = server().await;
    server.post(SETS, &set("a", 700)).await.expect(201);
    let told = |list: &Value| items(list)[0]["status"]["replicas"] == 700;
    server.until(SETS, told).await;
    assert_eq!(items(&server.get(PODS).await.expect(200)).len(), 700);
}

#[tokio::test]
async fn free_pods_are_taken_up_and_relabeled_ones_let_go() {
    let server = server().await;
    let mut pod = crate::objects::pod("free");
    pod["metadata"]["labels"] = json!({"app": "a"});
    server.post(PODS, &pod).await.expect(201);
    server.post(SETS, &set("a", 2)).await.expect(201);
    let list = pods_of(&server, 2).await;
    let free = items(&list).iter().find(|pod| pod["metadata"]["name"] == "free").unwrap();
    assert_eq!(free["metadata"]["ownerReferences"][0]["name"], "a");

    let line = format!("PATCH {PODS}/free");
    let body = r#"{"metadata":{"labels":{"app":"b"}}}"#;
    server.send(&line, &["Content-Type: application/merge-patch+json"], body).await.expect(200);
    let list = pods_of(&server, 3).await;
    let released = |list: &Value| {
        let free = items(list).iter().find(|pod| pod["metadata"]["name"] == "free").unwrap();
        free["metadata"].get("ownerReferences").is_none()
    };
    assert!(released(&list) || released(&server.until(PODS, released).await));
}

#[tokio::test]
async fn a_template_that_makes_no_pod_is_told() {
    let server = server().await;
    let mut object = set("a", 2);
    object["spec"]["template"]["spec"]["serviceAccountName"] = "nobody".into();
    server.post(SETS, &object).await.expect(201);
    let failed = |list: &Value| !items(list)[0]["status"]["conditions"].is_null();
    let list = server.until(SETS, failed).await;
    let condition = &list["items"][0]["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["reason"]),
        (&json!("ReplicaFailure"), &json!("FailedCreate"))
    );
    assert!(condition["message"].as_str().unwrap().contains("serviceaccount \"nobody\" not found"));
    let events = "/api/v1/namespaces/default/events?fieldSelector=reason%3DFailedCreate";
    let list = server.until(events, |list| !items(list).is_empty()).await;
    let message = items(&list)[0]["message"].as_str().unwrap();
    assert!(message.starts_with("Error creating: pods \"a-\" is forbidden"), "{message}");
}

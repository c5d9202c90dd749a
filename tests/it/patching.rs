//! PATCH in its three forms.

use serde_json::{Value, json};

use crate::objects::pod;
use crate::support::{Answer, Server, server};

const PODS: &str = "/api/v1/namespaces/default/pods";

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";

async fn patch(server: &Server, path: &str, media_type: &str, patch: &Value) -> Answer {
    let header = format!("Content-Type: {media_type}");
    server.send(&format!("PATCH {path}"), &[&header], patch.to_string()).await
}

#[tokio::test]
async fn each_form_changes_what_it_says() {
    let server = server().await;
    server.post(PODS, &pod("a")).await.expect(201);
    let path = format!("{PODS}/a");
    let merged = json!({"metadata": {"labels": {"x": "1"}}});
    let labelled = patch(&server, &path, MERGE, &merged).await.expect(200);
    assert_eq!(labelled["metadata"]["labels"], json!({"x": "1"}));
    let image = json!({"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}});
    let set = patch(&server, &path, STRATEGIC, &image).await.expect(200);
    assert_eq!(set["spec"]["containers"][0]["image"], "busybox:2");
    assert_eq!(set["spec"]["containers"].as_array().unwrap().len(), 1);
    assert_eq!(set["metadata"]["generation"], 2);
    let steps = json!([{"op": "remove", "path": "/metadata/labels/x"}]);
    let removed = patch(&server, &path, JSON, &steps).await.expect(200);
    assert_eq!(removed["metadata"].get("labels"), None);
}

#[tokio::test]
async fn a_patch_of_an_older_revision_is_a_conflict() {
    let server = server().await;
    let created = server.post(PODS, &pod("a")).await.expect(201);
    let path = format!("{PODS}/a");
    patch(&server, &path, MERGE, &json!({"metadata": {"labels": {"x": "1"}}})).await.expect(200);
    let stale = json!({"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}});
    patch(&server, &path, MERGE, &stale).await.message(409);
}

#[tokio::test]
async fn server_side_apply_says_that_it_is_not_there() {
    let server = server().await;
    let path = format!("{PODS}/a");
    let answer = patch(&server, &path, "application/apply-patch+yaml", &pod("a")).await;
    assert!(answer.message(415).contains("server-side apply is not there yet"));
}

#[tokio::test]
async fn status_is_changed_on_its_own_path_only() {
    let server = server().await;
    server.post(PODS, &pod("a")).await.expect(201);
    let path = format!("{PODS}/a");
    let running = json!({"status": {"phase": "Running"}, "metadata": {"labels": {"x": "1"}}});
    let same = patch(&server, &path, MERGE, &json!({"status": {"phase": "Running"}})).await;
    assert_eq!(same.expect(200)["status"]["phase"], "Pending");
    let changed = patch(&server, &format!("{path}/status"), MERGE, &running).await.expect(200);
    assert_eq!(changed["status"]["phase"], "Running");
    assert_eq!(changed["metadata"].get("labels"), None);
}

#[tokio::test]
async fn a_pod_is_bound_to_a_node_once() {
    let server = server().await;
    server.post(PODS, &pod("a")).await.expect(201);
    let binding = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}});
    server.post(&format!("{PODS}/a/binding"), &binding).await.expect(201);
    let bound = server.get(&format!("{PODS}/a")).await.expect(200);
    assert_eq!(bound["spec"]["nodeName"], "n");
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    let again = server.post(&format!("{PODS}/a/binding"), &binding).await;
    assert_eq!(
        again.message(409),
        "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \
         \"n\""
    );
    let marked = server.delete(&format!("{PODS}/a")).await.expect(200);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-11-22T17:00:30Z");
    let now = json!({"gracePeriodSeconds": 0});
    let header = "Content-Type: application/json";
    let line = format!("DELETE {PODS}/a");
    server.send(&line, &[header], now.to_string()).await.expect(200);
    server.get(&format!("{PODS}/a")).await.message(404);
}

//! Create, read, change and delete.

use serde_json::{Value, json};

use crate::support::server;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

pub(crate) fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "busybox"}]}})
}

#[tokio::test]
async fn what_is_created_can_be_read() {
    let server = server().await;
    let created = server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    assert_eq!(created["metadata"]["creationTimestamp"], "2026-11-22T17:00:00Z");
    assert_eq!(created["metadata"]["namespace"], "default");
    let read = server.get(&format!("{CONFIG_MAPS}/a")).await.expect(200);
    assert_eq!(read, created);
    let list = server.get(CONFIG_MAPS).await.expect(200);
    assert_eq!(list["kind"], "ConfigMapList");
    // Beside the one that every namespace has.
    assert_eq!((&list["items"][0], list["items"].as_array().unwrap().len()), (&created, 2));
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let server = server().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let again = server.post(CONFIG_MAPS, &config_map("a")).await;
    assert_eq!(again.message(409), r#"configmaps "a" already exists"#);
}

#[tokio::test]
async fn names_are_generated() {
    let server = server().await;
    let mut object = config_map("");
    object["metadata"] = json!({"generateName": "a-"});
    let first = server.post(CONFIG_MAPS, &object).await.expect(201);
    let second = server.post(CONFIG_MAPS, &object).await.expect(201);
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name(&first).starts_with("a-") && name(&first).len() == 7, "{}", name(&first));
    assert_ne!(name(&first), name(&second));
}

#[tokio::test]
async fn faults_are_told_all_at_once() {
    let server = server().await;
    let mut object = pod("A");
    object["spec"]["containers"][0]["image"] = "".into();
    let answer = server.post(PODS, &object).await;
    let status = answer.expect(422);
    assert_eq!(status["reason"], "Invalid");
    let fields: Vec<_> = status["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| &cause["field"])
        .collect();
    assert_eq!(fields, ["metadata.name", "spec.containers[0].image"]);
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_dropped() {
    let server = server().await;
    let mut object = pod("a");
    object["spec"]["bar"] = 1.into();
    let strict = server.post(&format!("{PODS}?fieldValidation=Strict"), &object).await;
    assert_eq!(
        strict.message(400),
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \
         \"spec.bar\""
    );
    let warned = server.post(&format!("{PODS}?dryRun=All"), &object).await;
    warned.expect(201);
    assert_eq!(warned.headers["warning"], r#"299 - "unknown field \"spec.bar\"""#);
    let ignored = server.post(&format!("{PODS}?dryRun=All&fieldValidation=Ignore"), &object).await;
    ignored.expect(201);
    assert!(!ignored.headers.contains_key("warning"));
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let server = server().await;
    server.post(&format!("{CONFIG_MAPS}?dryRun=All"), &config_map("a")).await.expect(201);
    let read = server.get(&format!("{CONFIG_MAPS}/a")).await;
    assert_eq!(read.message(404), r#"configmaps "a" not found"#);
}

#[tokio::test]
async fn a_stale_update_is_a_conflict() {
    let server = server().await;
    let path = format!("{CONFIG_MAPS}/a");
    let created = server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let mut newer = created.clone();
    newer["data"]["a"] = "2".into();
    let updated = server.put(&path, &newer).await.expect(200);
    assert_ne!(updated["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    assert_eq!(updated["metadata"]["uid"], created["metadata"]["uid"]);
    let stale = server.put(&path, &newer).await;
    assert_eq!(
        stale.message(409),
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please \
         apply your changes to the latest version and try again"
    );
}

#[tokio::test]
async fn a_write_that_changes_nothing_writes_nothing() {
    let server = server().await;
    let created = server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let updated = server.put(&format!("{CONFIG_MAPS}/a"), &config_map("a")).await.expect(200);
    assert_eq!(updated, created);
}

#[tokio::test]
async fn an_unbound_pod_is_gone_at_once() {
    let server = server().await;
    server.post(PODS, &pod("a")).await.expect(201);
    let deleted = server.delete(&format!("{PODS}/a")).await.expect(200);
    assert_eq!(deleted["kind"], "Pod");
    server.get(&format!("{PODS}/a")).await.message(404);
}

#[tokio::test]
async fn a_finalizer_keeps_an_object() {
    let server = server().await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(CONFIG_MAPS, &object).await.expect(201);
    let marked = server.delete(&path).await.expect(200);
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-11-22T17:00:00Z");
    let mut released = server.get(&path).await.expect(200);
    released["metadata"]["finalizers"] = json!([]);
    server.put(&path, &released).await.expect(200);
    server.get(&path).await.message(404);
}

#[tokio::test]
async fn a_namespace_terminates_first() {
    let server = server().await;
    let namespace = json!({"metadata": {"name": "x"}});
    server.post("/api/v1/namespaces", &namespace).await.expect(201);
    let marked = server.delete("/api/v1/namespaces/x").await.expect(200);
    assert_eq!(marked["status"]["phase"], "Terminating");
    let version = marked["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!(
        "/api/v1/namespaces?watch=1&fieldSelector=metadata.name%3Dx&resourceVersion={version}"
    );
    let mut events = server.watch(&path).await;
    assert_eq!(events.next().await["type"], "DELETED");
    server.get("/api/v1/namespaces/x").await.message(404);
}

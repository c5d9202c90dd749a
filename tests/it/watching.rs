//! Watches and pages.

use serde_json::{Value, json};

use crate::support::{Server, server};

/// Of which a namespace has none to begin with.
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

async fn create(server: &Server, name: &str, color: &str) -> Value {
    let object = json!({"metadata": {"name": name, "labels": {"color": color}}});
    server.post(SECRETS, &object).await.expect(201)
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn a_watch_resumes_where_the_list_ended() {
    let server = server().await;
    create(&server, "a", "red").await;
    let list = server.get(SECRETS).await.expect(200);
    create(&server, "b", "red").await;
    let path = format!("{SECRETS}?watch=true&resourceVersion={}", version(&list));
    let mut events = server.watch(&path).await;
    assert_eq!(events.next_name().await, event("ADDED", "b"));
    server.delete(&format!("{SECRETS}/a")).await.expect(200);
    assert_eq!(events.next_name().await, event("DELETED", "a"));
}

#[tokio::test]
async fn leaving_the_selector_is_a_deletion() {
    let server = server().await;
    let first = create(&server, "a", "red").await;
    let path = format!("{SECRETS}?watch=true&labelSelector=color%3Dred");
    let mut events = server.watch(&path).await;
    assert_eq!(events.next_name().await, event("ADDED", "a"));
    let mut blue = first.clone();
    blue["metadata"]["labels"]["color"] = "blue".into();
    let blue = server.put(&format!("{SECRETS}/a"), &blue).await.expect(200);
    let left = events.next().await;
    assert_eq!(left["type"], "DELETED");
    assert_eq!(left["object"]["metadata"]["labels"]["color"], "red");
    assert_eq!(version(&left["object"]), version(&blue));
    let mut red = blue.clone();
    red["metadata"]["labels"]["color"] = "red".into();
    server.put(&format!("{SECRETS}/a"), &red).await.expect(200);
    assert_eq!(events.next_name().await, event("ADDED", "a"));
}

#[tokio::test]
async fn a_streamed_list_ends_with_a_bookmark() {
    let server = server().await;
    create(&server, "a", "red").await;
    let path = format!(
        "{SECRETS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
         &allowWatchBookmarks=true"
    );
    let mut events = server.watch(&path).await;
    assert_eq!(events.next_name().await, event("ADDED", "a"));
    let bookmark = events.next().await;
    assert_eq!(bookmark["type"], "BOOKMARK");
    let annotations = &bookmark["object"]["metadata"]["annotations"];
    assert_eq!(annotations["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_watch_from_before_history_is_told_so() {
    let server = server().await;
    let mut events = server.watch(&format!("{SECRETS}?watch=true&resourceVersion=1")).await;
    let error = events.next().await;
    assert_eq!(error["type"], "ERROR");
    assert_eq!(error["object"]["code"], 410);
    assert_eq!(error["object"]["reason"], "Expired");
}

#[tokio::test]
async fn pages_show_one_revision() {
    let server = server().await;
    for name in ["a", "b", "c"] {
        create(&server, name, "red").await;
    }
    let first = server.get(&format!("{SECRETS}?limit=2")).await.expect(200);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    create(&server, "bb", "red").await;
    server.delete(&format!("{SECRETS}/c")).await.expect(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let path = format!("{SECRETS}?limit=2&continue={token}");
    let second = server.get(&path).await.expect(200);
    let names: Vec<_> =
        second["items"].as_array().unwrap().iter().map(|o| &o["metadata"]["name"]).collect();
    assert_eq!(names, ["c"]);
    assert_eq!(version(&second), version(&first));
    assert!(second["metadata"].get("continue").is_none());
}

#[tokio::test]
async fn selectors_pick() {
    let server = server().await;
    create(&server, "a", "red").await;
    create(&server, "b", "blue").await;
    #[track_caller]
    fn check(list: &Value, expect: &[&str]) {
        let items = list["items"].as_array().unwrap();
        let names: Vec<_> = items.iter().map(|o| o["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, expect);
    }
    let by_label = format!("{SECRETS}?labelSelector=color%20in%20(blue,green)");
    check(&server.get(&by_label).await.expect(200), &["b"]);
    let by_name = format!("{SECRETS}?fieldSelector=metadata.name%3Da");
    check(&server.get(&by_name).await.expect(200), &["a"]);
    let unknown = server.get(&format!("{SECRETS}?fieldSelector=spec.x%3Da")).await;
    assert!(unknown.message(400).contains("spec.x"), "{unknown:?}");
}

#[tokio::test]
async fn tables_are_what_kubectl_prints() {
    let server = server().await;
    create(&server, "a", "red").await;
    let accept = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table = server.send(&format!("GET {SECRETS}"), &[accept], "").await.expect(200);
    assert_eq!(table["kind"], "Table");
    let columns = table["columnDefinitions"].as_array().unwrap();
    let names: Vec<_> = columns.iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["Name", "Type", "Data", "Age"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", "Opaque", 0, "0s"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "a");
}

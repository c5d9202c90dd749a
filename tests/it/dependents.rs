//! What becomes of dependents when their owner goes.

use serde_json::{Value, json};

use crate::deployments::{MERGE, Node, PODS, SETS, items, rolled_out};
use crate::support::{Server, server};
use crate::workloads::{DEPLOYMENTS, deployment};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn rolled_out_deployment(server: &Server) -> Value {
    server.post(DEPLOYMENTS, &deployment("d", 2)).await.expect(201);
    rolled_out(server).await
}

async fn delete(server: &Server, policy: &str) -> Value {
    let path = format!("{DEPLOYMENTS}/d?propagationPolicy={policy}");
    server.delete(&path).await.expect(200)
}

fn is_empty(list: &Value) -> bool {
    items(list).is_empty()
}

#[tokio::test]
async fn dependents_follow_their_owner() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    rolled_out_deployment(&server).await;
    let answer = delete(&server, "Background").await;
    assert_eq!(answer["status"], "Success");
    server.until(SETS, is_empty).await;
    server.until(PODS, is_empty).await;
    // Without a word it is the same.
    rolled_out_deployment(&server).await;
    server.delete(&format!("{DEPLOYMENTS}/d")).await.expect(200);
    server.until(SETS, is_empty).await;
    server.until(PODS, is_empty).await;
}

#[tokio::test]
async fn orphans_stay_and_are_taken_up_again() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    rolled_out_deployment(&server).await;
    let pods = server.get(PODS).await.expect(200);
    delete(&server, "Orphan").await;
    server.until(DEPLOYMENTS, is_empty).await;
    let free = |list: &Value| items(list)[0]["metadata"].get("ownerReferences").is_none();
    server.until(SETS, free).await;
    let again = rolled_out_deployment(&server).await;
    let sets = server.get(SETS).await.expect(200);
    assert_eq!(items(&sets).len(), 1);
    let owner = &items(&sets)[0]["metadata"]["ownerReferences"][0]["uid"];
    assert_eq!(owner, &again["metadata"]["uid"]);
    let names = |list: &Value| {
        items(list).iter().map(|pod| pod["metadata"]["uid"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&server.get(PODS).await.expect(200)), names(&pods));
}

#[tokio::test]
async fn an_owner_that_waits_goes_last() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    let mut object = deployment("d", 2);
    object["spec"]["template"]["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(DEPLOYMENTS, &object).await.expect(201);
    rolled_out(&server).await;
    let answer = delete(&server, "Foreground").await;
    assert_eq!(answer["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let going = |list: &Value| {
        items(list).iter().all(|one| !one["metadata"]["deletionTimestamp"].is_null())
    };
    let pods = server.until(PODS, going).await;
    assert_eq!(items(&pods).len(), 2);
    assert_eq!(items(&server.until(SETS, going).await).len(), 1);
    assert_eq!(items(&server.get(DEPLOYMENTS).await.expect(200)).len(), 1);
    for pod in items(&pods) {
        let line = format!("PATCH {PODS}/{}", pod["metadata"]["name"].as_str().unwrap());
        server.send(&line, MERGE, r#"{"metadata":{"finalizers":null}}"#).await.expect(200);
    }
    server.until(DEPLOYMENTS, is_empty).await;
    assert!(is_empty(&server.get(SETS).await.expect(200)));
    assert!(is_empty(&server.get(PODS).await.expect(200)));
}

fn owned(name: &str, owners: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": owners}})
}

fn owner(api_version: &str, kind: &str, name: &str, uid: &Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid})
}

#[tokio::test]
async fn only_what_has_no_owner_left_is_collected() {
    let server = server().await;
    let plain = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}});
    let there = server.post(CONFIG_MAPS, &plain).await.expect(201);
    let present = owner("v1", "ConfigMap", "owner", &there["metadata"]["uid"]);
    let absent = owner("v1", "Secret", "nobody", &json!("1-2-3"));
    let unknown = owner("example.com/v1", "Thing", "x", &json!("4-5-6"));
    let other_uid = owner("v1", "ConfigMap", "owner", &json!("7-8-9"));
    server.post(CONFIG_MAPS, &owned("strange", &[unknown])).await.expect(201);
    server.post(CONFIG_MAPS, &owned("kept", &[absent.clone(), present.clone()])).await.expect(201);
    server.post(CONFIG_MAPS, &owned("earlier", &[other_uid])).await.expect(201);
    server.post(CONFIG_MAPS, &owned("lost", &[absent])).await.expect(201);
    let settled = |list: &Value| {
        let kept = items(list).iter().find(|one| one["metadata"]["name"] == "kept");
        items(list).len() == 4
            && kept.is_some_and(|kept| {
                let owners = kept["metadata"]["ownerReferences"].as_array();
                owners.is_some_and(|owners| owners.len() == 1 && owners[0]["name"] == "owner")
            })
    };
    let list = server.until(CONFIG_MAPS, settled).await;
    let names: Vec<_> = items(&list).iter().map(|one| &one["metadata"]["name"]).collect();
    assert_eq!(names, ["kept", "kube-root-ca.crt", "owner", "strange"]);
    server.delete(&format!("{CONFIG_MAPS}/owner")).await.expect(200);
    let left = |list: &Value| items(list).len() == 2;
    server.until(CONFIG_MAPS, left).await;
}

//! Claims and volumes against the API server; no node reclaims directories.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Server, server};

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const MERGE: &str = "Content-Type: application/merge-patch+json";

fn claim(name: &str, class: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": "1Gi"}}}})
}

fn volume(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "manual",
            "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/srv"}}})
}

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

async fn all_in(server: &Server, path: &str, phase: &str, count: usize) -> Value {
    let is_in = |item: &&Value| item["status"]["phase"] == phase;
    server.until(path, |list| items(list).iter().filter(is_in).count() == count).await
}

#[tokio::test]
async fn a_hundred_claims_get_a_volume_each() {
    let server = server().await;
    for n in 0..50 {
        server.post(VOLUMES, &volume(&format!("v{n}"))).await.expect(201);
    }
    for n in 0..50 {
        server.post(CLAIMS, &claim(&format!("made-{n}"), "standard")).await.expect(201);
        server.post(CLAIMS, &claim(&format!("found-{n}"), "manual")).await.expect(201);
    }
    let claims = all_in(&server, CLAIMS, "Bound", 100).await;
    let taken: BTreeSet<_> =
        items(&claims).iter().map(|claim| claim["spec"]["volumeName"].to_string()).collect();
    assert_eq!(taken.len(), 100);
    let volumes = all_in(&server, VOLUMES, "Bound", 100).await;
    for volume in items(&volumes) {
        let (name, reference) = (&volume["metadata"]["name"], &volume["spec"]["claimRef"]);
        let is_its = |claim: &&Value| claim["metadata"]["uid"] == reference["uid"];
        let claim = items(&claims).iter().find(is_its).unwrap();
        assert_eq!(&claim["spec"]["volumeName"], name);
        assert_eq!(claim["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"], "yes");
    }
}

#[tokio::test]
async fn a_claim_without_a_class_gets_the_default_and_its_finalizer() {
    let server = server().await;
    let mut plain = claim("c", "");
    plain["spec"].as_object_mut().unwrap().remove("storageClassName");
    let created = server.post(CLAIMS, &plain).await.expect(201);
    assert_eq!(created["spec"]["storageClassName"], "standard");
    assert_eq!(created["spec"]["volumeMode"], "Filesystem");
    assert_eq!(created["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    assert_eq!(created["status"], json!({"phase": "Pending"}));
    let list = all_in(&server, VOLUMES, "Bound", 1).await;
    let volume = &items(&list)[0];
    assert_eq!(
        volume["metadata"]["finalizers"],
        json!(["sampan.dev/local-path", "kubernetes.io/pv-protection"])
    );
    let name = volume["metadata"]["name"].as_str().unwrap();
    let path = format!("/var/lib/sampan/volumes/{name}");
    assert_eq!(volume["spec"]["hostPath"], json!({"path": path, "type": "DirectoryOrCreate"}));
}

#[tokio::test]
async fn a_volume_of_ours_waits_for_the_node_once_its_claim_is_gone() {
    let server = server().await;
    server.post(CLAIMS, &claim("c", "standard")).await.expect(201);
    all_in(&server, CLAIMS, "Bound", 1).await;
    server.delete(&format!("{CLAIMS}/c")).await.expect(200);
    let finalizers = |list: &Value| items(list)[0]["metadata"]["finalizers"].clone();
    let alone = json!(["sampan.dev/local-path"]);
    let list = server.until(VOLUMES, |list| finalizers(list) == alone).await;
    let volume = &items(&list)[0];
    assert_eq!(volume["status"]["phase"], "Released");
    assert!(volume["metadata"]["deletionTimestamp"].is_string());
    let line = format!("PATCH {VOLUMES}/{}", volume["metadata"]["name"].as_str().unwrap());
    let body = json!({"metadata": {"finalizers": null}}).to_string();
    server.send(&line, &[MERGE], body).await.expect(200);
    server.until(VOLUMES, |list| items(list).is_empty()).await;
}

#[tokio::test]
async fn a_claim_that_came_before_the_default_class_gets_it_later() {
    let server = server().await;
    let class = "/apis/storage.k8s.io/v1/storageclasses/standard";
    server.delete(class).await.expect(200);
    let mut plain = claim("c", "");
    plain["spec"].as_object_mut().unwrap().remove("storageClassName");
    let created = server.post(CLAIMS, &plain).await.expect(201);
    assert_eq!(created["spec"]["storageClassName"], Value::Null);
    let mark = json!({"metadata": {"annotations":
        {"storageclass.kubernetes.io/is-default-class": "true"}}});
    let line = "PATCH /apis/storage.k8s.io/v1/storageclasses/local-path";
    server.send(line, &[MERGE], mark.to_string()).await.expect(200);
    let named = |list: &Value| items(list)[0]["spec"]["storageClassName"] == "local-path";
    server.until(CLAIMS, named).await;
}

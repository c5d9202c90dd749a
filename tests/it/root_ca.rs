//! By what Pods know the API server.

use serde_json::{Value, json};

use crate::support::server;

const ROOT_CA: &str = "/api/v1/namespaces/default/configmaps/kube-root-ca.crt";

#[tokio::test]
async fn every_namespace_has_the_ca_and_gets_it_back() {
    let server = server().await;
    let map = server.get(ROOT_CA).await.expect(200);
    let ca = map["data"]["ca.crt"].as_str().unwrap().to_owned();
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"), "{ca}");

    let mut changed = map.clone();
    changed["data"] = json!({"ca.crt": "another"});
    server.put(ROOT_CA, &changed).await.expect(200);
    let is_back = |list: &Value| {
        let mut items = list["items"].as_array().unwrap().iter();
        items.any(|map| map["data"]["ca.crt"] == json!(ca))
    };
    let maps = |namespace: &str| format!("/api/v1/namespaces/{namespace}/configmaps");
    server.until(&maps("default"), is_back).await;
    server.delete(ROOT_CA).await.expect(200);
    server.until(&maps("default"), is_back).await;

    let other = json!({"metadata": {"name": "other"}});
    server.post("/api/v1/namespaces", &other).await.expect(201);
    server.until(&maps("other"), is_back).await;
}

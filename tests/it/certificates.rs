//! Certificate requests, by the clock.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use crate::support::{Server, server};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn request(name: &str, lifetime: Option<i32>) -> Value {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    json!({"metadata": {"name": name}, "spec": {
        "request": k8s_openapi::ByteString(pem.into_bytes()),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"], "expirationSeconds": lifetime, "username": "somebody-else"}})
}

impl Server {
    async fn decide(&self, name: &str, type_: &str) {
        let mut request = self.get(&format!("{REQUESTS}/{name}")).await.expect(200);
        request["status"]["conditions"] = json!([{"type": type_, "status": "True"}]);
        self.put(&format!("{REQUESTS}/{name}/approval"), &request).await.expect(200);
    }

    async fn names(&self) -> Vec<String> {
        let list = self.get(REQUESTS).await.expect(200);
        let name = |one: &Value| one["metadata"]["name"].as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(name).collect()
    }
}

#[tokio::test]
async fn requests_go_when_their_time_has_come() {
    let server = server().await;
    for name in ["approved", "denied", "pending", "short"] {
        let lifetime = (name == "short").then_some(600);
        let made = server.post(REQUESTS, &request(name, lifetime)).await.expect(201);
        assert_eq!(made["spec"]["username"], "kubernetes-admin");
        assert_eq!(made["status"], json!({}));
    }
    server.decide("approved", "Approved").await;
    server.decide("short", "Approved").await;
    server.decide("denied", "Denied").await;
    let issued = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        let has = |name: &str| {
            let one = items.iter().find(|one| one["metadata"]["name"] == name).unwrap();
            one["status"]["certificate"].is_string()
        };
        has("approved") && has("short")
    };
    server.until(REQUESTS, issued).await;
    let times = server.get(&format!("{REQUESTS}/denied")).await.expect(200);
    let condition = &times["status"]["conditions"][0];
    assert_eq!(condition["lastTransitionTime"], "2026-11-22T17:00:00Z");
    assert_eq!(condition["lastUpdateTime"], "2026-11-22T17:00:00Z");

    let left = |count: usize| move |list: &Value| list["items"].as_array().unwrap().len() == count;
    server.clock.advance(Duration::from_secs(601));
    server.until(REQUESTS, left(3)).await;
    server.clock.advance(Duration::from_secs(60 * 60));
    server.until(REQUESTS, left(1)).await;
    assert_eq!(server.names().await, ["pending"]);
    server.clock.advance(Duration::from_secs(23 * 60 * 60));
    server.until(REQUESTS, left(0)).await;
}

#[tokio::test]
async fn what_is_asked_for_never_changes() {
    let server = server().await;
    let made = server.post(REQUESTS, &request("ann", None)).await.expect(201);
    let mut changed = made.clone();
    changed["spec"]["signerName"] = json!("example.org/other");
    changed["status"] = json!({"conditions": [{"type": "Approved", "status": "True"}]});
    changed["metadata"]["labels"] = json!({"a": "b"});
    let kept = server.put(&format!("{REQUESTS}/ann"), &changed).await.expect(200);
    assert_eq!((&kept["spec"], &kept["status"]), (&made["spec"], &json!({})));
    assert_eq!(kept["metadata"]["labels"], json!({"a": "b"}));
    // A signer signs and says why not; it does not approve.
    changed["metadata"] = kept["metadata"].clone();
    let kept = server.put(&format!("{REQUESTS}/ann/status"), &changed).await.expect(200);
    assert_eq!(kept["status"], json!({}));
    let others = format!("{REQUESTS}?fieldSelector=spec.signerName=example.org/other");
    assert_eq!(server.get(&others).await.expect(200)["items"], json!([]));
}

//! What Pods are given to speak to the API server.

use serde_json::{Value, json};

use crate::objects::pod;
use crate::support::server;

const PODS: &str = "/api/v1/namespaces/default/pods";

fn volumes(pod: &Value) -> Vec<&str> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.map(|volume| volume["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_pod_is_given_a_token_unless_it_says_no() {
    let server = server().await;
    let with = server.post(PODS, &pod("with")).await.expect(201);
    let [name] = volumes(&with)[..] else { panic!("{with:#}") };
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    assert_eq!(with["spec"]["containers"][0]["volumeMounts"][0]["name"], name);
    let mut without = pod("without");
    without["spec"]["automountServiceAccountToken"] = json!(false);
    let without = server.post(PODS, &without).await.expect(201);
    assert!(volumes(&without).is_empty(), "{without:#}");
}

//! Services: what they get from the pools, and what follows their Pods. No node runs the Pods; their
//! status is written here.

use serde_json::{Value, json};

use crate::objects::pod;
use crate::support::{Server, server};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn service(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

fn web() -> Value {
    service("web", json!({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}))
}

/// The object, once it is as `holds` says.
async fn until(server: &Server, collection: &str, holds: impl Fn(&Value) -> bool) -> Value {
    loop {
        let list = server.get(collection).await.expect(200);
        if let Some(found) = list["items"].as_array().unwrap().iter().find(|item| holds(item)) {
            return found.clone();
        }
        let from = list["metadata"]["resourceVersion"].as_str().unwrap();
        let mut events =
            server.watch(&format!("{collection}?watch=1&resourceVersion={from}")).await;
        events.next().await;
    }
}

async fn gone(server: &Server, collection: &str, name: &str) {
    loop {
        let list = server.get(collection).await.expect(200);
        let items = list["items"].as_array().unwrap();
        if !items.iter().any(|item| item["metadata"]["name"] == name) {
            return;
        }
        let from = list["metadata"]["resourceVersion"].as_str().unwrap();
        let mut events =
            server.watch(&format!("{collection}?watch=1&resourceVersion={from}")).await;
        events.next().await;
    }
}

async fn make_pod(server: &Server, name: &str, ip: &str, ready: &str) {
    let mut object = pod(name);
    object["metadata"]["labels"] = json!({"app": "web"});
    server.post(PODS, &object).await.expect(201);
    set_status(server, name, ip, ready).await;
}

async fn set_status(server: &Server, name: &str, ip: &str, ready: &str) {
    let line = format!("PATCH {PODS}/{name}/status");
    let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": ready}]}});
    let headers = ["Content-Type: application/merge-patch+json"];
    server.send(&line, &headers, status.to_string()).await.expect(200);
}

/// `address ready` of each endpoint.
fn endpoints_of(slice: &Value) -> Vec<String> {
    let line = |endpoint: &Value| {
        let ready = &endpoint["conditions"]["ready"];
        format!("{} {ready}", endpoint["addresses"][0].as_str().unwrap())
    };
    slice["endpoints"].as_array().into_iter().flatten().map(line).collect()
}

fn is_of(slice: &Value, service: &str) -> bool {
    slice["metadata"]["labels"]["kubernetes.io/service-name"] == service
}

#[tokio::test]
async fn every_cluster_has_its_own_services() {
    let server = server().await;
    let kubernetes = server.get(&format!("{SERVICES}/kubernetes")).await.expect(200);
    assert_eq!(kubernetes["spec"]["clusterIP"], "10.43.0.1");
    let slice = server.get(&format!("{SLICES}/kubernetes")).await.expect(200);
    assert_eq!(endpoints_of(&slice), ["10.42.0.1 true"]);
    let dns = "/api/v1/namespaces/kube-system/services/kube-dns";
    assert_eq!(server.get(dns).await.expect(200)["spec"]["clusterIP"], "10.43.0.10");
    // Who deletes them gets them back, with the address that every Pod was told.
    let uid = &kubernetes["metadata"]["uid"];
    server.delete(&format!("{SERVICES}/kubernetes")).await.expect(200);
    let is_back =
        |item: &Value| item["metadata"]["name"] == "kubernetes" && item["metadata"]["uid"] != *uid;
    let back = until(&server, SERVICES, is_back).await;
    assert_eq!(back["spec"]["clusterIP"], "10.43.0.1");
}

#[tokio::test]
async fn endpoints_follow_pods() {
    let server = server().await;
    server.post(SERVICES, &web()).await.expect(201);
    until(&server, SLICES, |slice| is_of(slice, "web") && endpoints_of(slice).is_empty()).await;
    make_pod(&server, "a", "10.42.0.5", "True").await;
    make_pod(&server, "b", "10.42.0.6", "False").await;
    let both = ["10.42.0.5 true", "10.42.0.6 false"];
    let slice = until(&server, SLICES, |slice| endpoints_of(slice) == both).await;
    assert_eq!(slice["ports"], json!([{"name": "", "port": 8080, "protocol": "TCP"}]));
    assert_eq!(slice["metadata"]["ownerReferences"][0]["name"], "web");
    let name = slice["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    let told = |item: &Value| {
        item["subsets"][0]["addresses"][0]["ip"] == "10.42.0.5"
            && item["subsets"][0]["notReadyAddresses"][0]["ip"] == "10.42.0.6"
    };
    until(&server, ENDPOINTS, told).await;
    set_status(&server, "b", "10.42.0.6", "True").await;
    let ready = ["10.42.0.5 true", "10.42.0.6 true"];
    let same = until(&server, SLICES, |slice| endpoints_of(slice) == ready).await;
    assert_eq!(same["metadata"]["name"], slice["metadata"]["name"]);
    server.delete(&format!("{PODS}/a")).await.expect(200);
    until(&server, SLICES, |slice| endpoints_of(slice) == ["10.42.0.6 true"]).await;
    server.delete(&format!("{SERVICES}/web")).await.expect(200);
    gone(&server, ENDPOINTS, "web").await;
    gone(&server, SLICES, name).await;
}

#[tokio::test]
async fn hand_written_endpoints_are_mirrored() {
    let server = server().await;
    server.post(SERVICES, &service("db", json!({"ports": [{"port": 5432}]}))).await.expect(201);
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db"},
        "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 5432}]}]});
    server.post(ENDPOINTS, &endpoints).await.expect(201);
    let slice = until(&server, SLICES, |slice| is_of(slice, "db")).await;
    assert_eq!(endpoints_of(&slice), ["192.0.2.1 true"]);
    server.delete(&format!("{SERVICES}/db")).await.expect(200);
    gone(&server, ENDPOINTS, "db").await;
    gone(&server, SLICES, slice["metadata"]["name"].as_str().unwrap()).await;
}

#[tokio::test]
async fn what_a_dry_run_or_a_failed_create_takes_is_free_again() {
    let server = server().await;
    let with = |name: &str, port: i32| {
        let ports = json!([{"port": 80, "nodePort": 30080}, {"port": port, "name": "b", "nodePort": 30081}]);
        service(name, json!({"type": "NodePort", "clusterIP": "10.43.0.77", "ports": ports}))
    };
    // The first port has no name.
    server.post(SERVICES, &with("a", 81)).await.expect(422);
    let whole = |name: &str| {
        let ports = json!([{"port": 80, "nodePort": 30080}]);
        service(name, json!({"type": "NodePort", "clusterIP": "10.43.0.77", "ports": ports}))
    };
    server.post(&format!("{SERVICES}?dryRun=All"), &whole("a")).await.expect(201);
    server.post(SERVICES, &whole("a")).await.expect(201);
    let refusal = server.post(SERVICES, &whole("b")).await.message(422);
    assert_eq!(
        refusal,
        "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.43.0.77\"]: failed to allocate \
         IP 10.43.0.77: provided IP is already allocated"
    );
    server.delete(&format!("{SERVICES}/a")).await.expect(200);
    server.post(SERVICES, &whole("b")).await.expect(201);
}

#[tokio::test]
async fn many_at_once_get_different_addresses() {
    let server = server().await;
    let make = |number: usize| {
        let object =
            service(&format!("s{number}"), json!({"type": "NodePort", "ports": [{"port": 80}]}));
        let server = &server;
        async move {
            let made = server.post(SERVICES, &object).await.expect(201);
            let ip = made["spec"]["clusterIP"].as_str().unwrap().to_owned();
            (ip, made["spec"]["ports"][0]["nodePort"].as_i64().unwrap())
        }
    };
    let made = futures::future::join_all((0..50).map(make)).await;
    let (ips, ports): (std::collections::BTreeSet<_>, std::collections::BTreeSet<_>) =
        made.into_iter().unzip();
    assert_eq!((ips.len(), ports.len()), (50, 50));
}

#[tokio::test]
async fn an_applied_service_keeps_its_numbers() {
    let server = server().await;
    let manifest = service("web", json!({"type": "NodePort", "ports": [{"port": 80}]}));
    let made = server.post(SERVICES, &manifest).await.expect(201);
    let mut again = manifest.clone();
    again["metadata"]["labels"] = json!({"new": "yes"});
    let updated = server.put(&format!("{SERVICES}/web"), &again).await.expect(200);
    assert_eq!(updated["spec"], made["spec"]);
    again["spec"]["clusterIP"] = json!("10.43.0.99");
    let refusal = server.put(&format!("{SERVICES}/web"), &again).await.message(422);
    assert!(
        refusal.contains(
            "spec.clusterIPs[0]: Invalid value: [\"10.43.0.99\"]: may not change once set"
        ),
        "{refusal}"
    );
    let plain = service("web", json!({"type": "ClusterIP", "ports": [{"port": 80}]}));
    let updated = server.put(&format!("{SERVICES}/web"), &plain).await.expect(200);
    assert_eq!(
        updated["spec"]["ports"],
        json!([{"port": 80, "protocol": "TCP", "targetPort": 80}])
    );
}

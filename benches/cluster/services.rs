//! A change of one Service's endpoints among a thousand Services of ten: until connections follow.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use bytes::Bytes;
use sampan::client::clock::Clock;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::api::{self, PODS, SERVICES};
use crate::figures::{Samples, Table};
use crate::http::Connection;
use crate::server::{Home, Server};
use crate::tcp::Exchange;

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const MANY: usize = 1_000;
const CONNECTIONS: usize = 16;
const CHANGES: usize = 100;
const RUNNING_TIMEOUT: Duration = Duration::from_secs(60);
/// Pods that answer their names.
const PODS_NAMED: [(&str, Exchange); 2] =
    [("blue", named(b"\r\n\r\nblue")), ("green", named(b"\r\n\r\ngreen"))];

const fn named(ends: &'static [u8]) -> Exchange {
    let question = b"GET / HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n";
    Exchange { question, begins: b"HTTP/1.1 200 ", ends }
}

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = home.start().await?;
    let client = server.connect().await?;
    let mut pods = Vec::new();
    for (name, _) in PODS_NAMED {
        pods.push(start(&client, name).await?);
    }
    for crowd in [0, MANY] {
        let others = if crowd == 0 { "no others" } else { "1,000 others of 10 endpoints" };
        create(&server, SERVICES, crowd, service).await?;
        create(&server, SLICES, crowd, slice_of_ten).await?;
        let name = format!("it-{crowd}");
        let address = api::node_port(&client, &name, json!({"ports": [{"port": 80}]})).await?;
        client.post(SLICES, slice(&name, &[&pods[0]], 9376).to_string().into()).await?;
        PODS_NAMED[0].1.soon(address).await?;
        let samples = changes(&client, &name, &pods, address).await?;
        table.times(&format!("EndpointSlice PATCH -> connections follow, {others}"), &samples, "");
    }
    server.stop().await
}

/// Answers the Pod's address.
async fn start(client: &Connection, name: &str) -> anyhow::Result<String> {
    let mut pod = api::pod(name, &["/agnhost", "serve-hostname"]);
    pod["spec"]["containers"][0]["image"] = json!("registry.k8s.io/e2e-test-images/agnhost:2.53");
    client.post(PODS, pod.to_string().into()).await?;
    let (clock, begin) = (Clock::system(), Instant::now());
    loop {
        let pod: Value = serde_json::from_slice(&client.get(&format!("{PODS}/{name}")).await?)?;
        if pod["status"]["phase"] == "Running" {
            let address = pod["status"]["podIP"].as_str();
            return Ok(address.context("a running Pod without an address")?.to_owned());
        }
        ensure!(begin.elapsed() < RUNNING_TIMEOUT, "{name} does not run");
        clock.sleep(Duration::from_millis(5)).await;
    }
}

async fn create(
    server: &Server,
    collection: &str,
    count: usize,
    object: fn(&str) -> Bytes,
) -> anyhow::Result<()> {
    if count > 0 {
        let connections = server.connections(CONNECTIONS).await?;
        let (made, _) = api::create_many(connections, collection, "s", count, object).await?;
        ensure!(made.len() >= count, "only {} of {collection} in time", made.len());
    }
    Ok(())
}

fn service(name: &str) -> Bytes {
    let spec = json!({"ports": [{"port": 80}]});
    let metadata = json!({"name": name});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        .to_string()
        .into()
}

fn slice_of_ten(name: &str) -> Bytes {
    let addresses: Vec<String> = (1..=10).map(|n| format!("192.0.2.{n}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    slice(name, &addresses, 80).to_string().into()
}

fn slice(service: &str, addresses: &[&str], port: u16) -> Value {
    let endpoints: Vec<Value> =
        addresses.iter().map(|address| json!({"addresses": [address]})).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
    })
}

/// Sends the Service to the one and the other in turn.
async fn changes(
    client: &Connection,
    name: &str,
    pods: &[String],
    address: SocketAddr,
) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for n in 1..=CHANGES {
        let at = n % pods.len();
        let patch = json!({"endpoints": [{"addresses": [pods[at]]}]}).to_string();
        let sent = Instant::now();
        client.patch(&format!("{SLICES}/{name}"), patch.into()).await?;
        // Another answer than this one's is an error, and then it has not followed yet.
        while PODS_NAMED[at].1.once(address).await.is_err() {
            ensure!(sent.elapsed() < RUNNING_TIMEOUT, "connections do not follow");
        }
        samples.push(sent.elapsed());
    }
    Ok(samples)
}

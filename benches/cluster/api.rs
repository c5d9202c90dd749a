//! The objects that are sent, what is read from answers, and loops over many connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::figures::Samples;
use crate::http::Connection;

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";

/// No loop runs longer, however few repetitions it has done.
const LOOP_TIME_MAX: Duration = Duration::from_secs(8);

pub(crate) fn config_map(name: &str) -> Bytes {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"colour": "blue", "text": "x".repeat(200)},
    });
    object.to_string().into()
}

/// A Pod of one container that runs `command` once.
pub(crate) fn pod(name: &str, command: &[&str]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "busybox", "command": command}],
        },
    })
}

/// A Pod that no node suits.
pub(crate) fn pending_pod(name: &str) -> Bytes {
    let mut pod = pod(name, &["sleep", "1000"]);
    pod["spec"]["nodeSelector"] = json!({"example.com/never": "matches"});
    pod.to_string().into()
}

/// Makes a Service of type NodePort; answers where it is to be reached from outside.
pub(crate) async fn node_port(
    client: &Connection,
    name: &str,
    spec: Value,
) -> anyhow::Result<SocketAddr> {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec,
    });
    service["spec"]["type"] = json!("NodePort");
    let made = client.post(SERVICES, service.to_string().into()).await?;
    let made: Value = serde_json::from_slice(&made)?;
    let port = made["spec"]["ports"][0]["nodePort"].as_u64().context("it has no nodePort")?;
    Ok(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?)))
}

/// The `metadata.resourceVersion` of a list or an object.
pub(crate) fn revision(body: &[u8]) -> anyhow::Result<String> {
    let value: Value = serde_json::from_slice(body)?;
    let revision = value["metadata"]["resourceVersion"].as_str();
    Ok(revision.context("the answer has no resourceVersion")?.to_owned())
}

/// Whether a body holds `text` as a JSON string.
pub(crate) fn mentions(body: &[u8], text: &str) -> bool {
    std::str::from_utf8(body).is_ok_and(|body| body.contains(&format!("\"{text}\"")))
}

/// How many items a list has.
pub(crate) async fn count(connection: &Connection, collection: &str) -> anyhow::Result<usize> {
    let list: Value = serde_json::from_slice(&connection.get(collection).await?)?;
    Ok(list["items"].as_array().context("the answer is not a list")?.len())
}

/// Runs `call(connection, worker, repetition)` until `total` are done in sum, one at a time per
/// connection; answers how long each took and how long all took.
pub(crate) async fn hammer<C, F>(
    connections: Vec<Connection>,
    total: usize,
    call: C,
) -> anyhow::Result<(Samples, Duration)>
where
    C: Fn(Arc<Connection>, usize, usize) -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<Bytes>> + Send,
{
    let share = total.div_ceil(connections.len());
    let begin = Instant::now();
    let mut workers = JoinSet::new();
    for (worker, connection) in connections.into_iter().enumerate() {
        let (call, connection) = (call.clone(), Arc::new(connection));
        workers.spawn(async move {
            let mut samples = Samples::default();
            while samples.len() < share && begin.elapsed() < LOOP_TIME_MAX {
                let sent = Instant::now();
                call(Arc::clone(&connection), worker, samples.len()).await?;
                samples.push(sent.elapsed());
            }
            anyhow::Ok(samples)
        });
    }
    let mut samples = Samples::default();
    while let Some(worker) = workers.join_next().await {
        samples.extend(worker??);
    }
    Ok((samples, begin.elapsed()))
}

/// Creates `total` objects in `collection`, named `prefix-WORKER-N`.
pub(crate) async fn create_many(
    connections: Vec<Connection>,
    collection: &str,
    prefix: &str,
    total: usize,
    object: fn(&str) -> Bytes,
) -> anyhow::Result<(Samples, Duration)> {
    let (collection, prefix): (Arc<str>, Arc<str>) = (collection.into(), prefix.into());
    hammer(connections, total, move |connection, worker, n| {
        let (collection, name) = (Arc::clone(&collection), format!("{prefix}-{worker}-{n}"));
        async move { connection.post(&collection, object(&name)).await }
    })
    .await
}

//! What the API server does in a second: create, get, patch, list.

use anyhow::ensure;
use serde_json::json;
use tokio::time::Instant;

use crate::api::{self, CONFIG_MAPS};
use crate::figures::{Samples, Table};
use crate::http::Connection;
use crate::server::{Home, Server};

const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Repetitions per connection count, enough for a second or so on each.
const CALLS: [usize; 3] = [1_000, 4_000, 8_000];
const LISTED: usize = 5_000;
const LISTS: usize = 15;

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = home.start().await?;
    let client = server.connect().await?;
    lists(table, &server, &client).await?;
    for (connections, calls) in CONNECTIONS.into_iter().zip(CALLS) {
        let prefix = format!("create{connections}");
        let clients = server.connections(connections).await?;
        let created =
            api::create_many(clients, CONFIG_MAPS, &prefix, calls, api::config_map).await?;
        table.rate(&what("create", connections), &created.0, created.1);
    }
    for (connections, calls) in CONNECTIONS.into_iter().zip(CALLS) {
        gets(table, &server, connections, calls).await?;
    }
    for (connections, calls) in CONNECTIONS.into_iter().zip(CALLS) {
        if let Err(err) = patches(table, &server, connections, calls).await {
            table.failed(&what("patch (merge)", connections), &err);
        }
    }
    server.stop().await
}

fn what(verb: &str, connections: usize) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    format!("{verb} ConfigMap, {connections} connection{plural}")
}

/// Lists of a namespace that holds [`LISTED`] ConfigMaps and few others.
async fn lists(table: &Table, server: &Server, client: &Connection) -> anyhow::Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "list"}});
    client.post("/api/v1/namespaces", namespace.to_string().into()).await?;
    let collection = "/api/v1/namespaces/list/configmaps";
    let clients = server.connections(16).await?;
    api::create_many(clients, collection, "listed", LISTED, api::config_map).await?;
    let found = api::count(client, collection).await?;
    ensure!(found >= LISTED, "the list has {found} items");
    let (mut samples, mut bytes) = (Samples::default(), 0);
    for _ in 0..LISTS {
        let sent = Instant::now();
        bytes = client.get(collection).await?.len();
        samples.push(sent.elapsed());
    }
    let remark = format!("{found} items, {:.1} MB", bytes as f64 / 1e6);
    table.times("list 5,000 ConfigMaps, JSON", &samples, &remark);
    Ok(())
}

/// Gets what `create` has made.
async fn gets(table: &Table, server: &Server, count: usize, calls: usize) -> anyhow::Result<()> {
    let clients = server.connections(count).await?;
    let (samples, elapsed) = api::hammer(clients, calls, move |connection, worker, n| {
        let name = format!("create{count}-{worker}-{}", n % 10);
        async move {
            let body = connection.get(&format!("{CONFIG_MAPS}/{name}")).await?;
            ensure!(api::mentions(&body, &name), "another object than {name}");
            Ok(body)
        }
    })
    .await?;
    table.rate(&what("get", count), &samples, elapsed);
    Ok(())
}

/// Each connection changes an object of its own.
async fn patches(table: &Table, server: &Server, count: usize, calls: usize) -> anyhow::Result<()> {
    let clients = server.connections(count).await?;
    let (samples, elapsed) = api::hammer(clients, calls, move |connection, worker, n| {
        let path = format!("{CONFIG_MAPS}/create{count}-{worker}-0");
        let colour = format!("shade {n}");
        async move {
            let change = json!({"data": {"colour": colour}}).to_string();
            let body = connection.patch(&path, change.into()).await?;
            ensure!(api::mentions(&body, &colour), "{path} is not in {colour}");
            Ok(body)
        }
    })
    .await?;
    table.rate(&what("patch (merge)", count), &samples, elapsed);
    Ok(())
}

//! A Deployment scaled up and down, rolled, and left alone: from the PATCH to what a watch shows.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use sampan::client::clock::Clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{self, PODS};
use crate::figures::{Samples, Table, milliseconds};
use crate::http::{Connection, Watch};
use crate::server::{Home, Server};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const NAME: &str = "many";
/// Cost that is not linear shows between them.
const SIZES: [usize; 4] = [100, 250, 500, 1_000];
const ROUNDS: usize = 3;
const ROLLED: usize = 100;
const ROLLOUTS: usize = 5;
const TIMEOUT: Duration = Duration::from_secs(40);
/// After the last Pod runs, until all that its start sets off is over.
const SETTLE: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(10);

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = home.start().await?;
    let client = server.connect().await?;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": NAME}}, "template": {
            "metadata": {"labels": {"app": NAME}},
            "spec": {"containers": [{
                "name": "main", "image": "busybox", "command": ["sleep", "1000"],
            }]},
        }},
    });
    // The first Pod of all waits until its image is compiled.
    let mut watch = watch(&client, PODS).await?;
    client.post(DEPLOYMENTS, deployment.to_string().into()).await?;
    until(&mut watch, 1, is_running).await.context("the first Pod")?;
    scale(&client, 0).await?;
    until(&mut watch, 1, is_gone).await?;
    for size in SIZES {
        up_and_down(table, &server, &client, size).await?;
    }
    rollouts(table, &client).await?;
    idle(table, &server, &client).await?;
    server.stop().await
}

async fn up_and_down(
    table: &Table,
    server: &Server,
    client: &Connection,
    size: usize,
) -> anyhow::Result<()> {
    let (mut up, mut down) = (Samples::default(), Samples::default());
    let before = server.usage();
    for _ in 0..ROUNDS {
        let mut watch = watch(client, PODS).await?;
        let begin = Instant::now();
        scale(client, size).await?;
        up.push(until(&mut watch, size, is_running).await? - begin);
        let begin = Instant::now();
        scale(client, 0).await?;
        down.push(until(&mut watch, size, is_gone).await? - begin);
    }
    let cpu = before.zip(server.usage()).map(|(was, is)| is.cpu - was.cpu);
    let each = cpu.map(|cpu| milliseconds(cpu / (size * ROUNDS) as u32));
    let remark = each.map_or_else(String::new, |each| format!("{each} of CPU per Pod, both ways"));
    table.times(&format!("Deployment 0 -> {size}, all Running on a watch"), &up, &remark);
    table.times(&format!("Deployment {size} -> 0, all gone"), &down, "");
    Ok(())
}

async fn rollouts(table: &Table, client: &Connection) -> anyhow::Result<()> {
    let mut samples = Samples::default();
    let mut seen = watch(client, PODS).await?;
    scale(client, ROLLED).await?;
    until(&mut seen, ROLLED, is_running).await?;
    for round in 0..ROLLOUTS {
        let mut watch = watch(client, DEPLOYMENTS).await?;
        let begin = Instant::now();
        let change = json!({"spec": {"template": {"metadata": {"annotations": {
            "example.com/round": round.to_string(),
        }}}}});
        let sent = patch(client, &change).await?;
        let generation = serde_json::from_slice::<Value>(&sent)?["metadata"]["generation"].clone();
        let rolled = |event: &Value| {
            let status = &event["object"]["status"];
            let all = ["replicas", "updatedReplicas", "availableReplicas"];
            status["observedGeneration"] == generation && all.iter().all(|it| status[it] == ROLLED)
        };
        samples.push(until(&mut watch, 1, rolled).await? - begin);
    }
    let what = format!("rollout of a Deployment of {ROLLED} Pods, 25 % / 25 %");
    table.times(&what, &samples, "PATCH -> complete in its status");
    Ok(())
}

async fn idle(table: &Table, server: &Server, client: &Connection) -> anyhow::Result<()> {
    const SIZE: usize = 1_000;
    let mut watch = watch(client, PODS).await?;
    scale(client, SIZE).await?;
    until(&mut watch, SIZE - ROLLED, is_running).await?;
    drop(watch);
    let clock = Clock::system();
    clock.sleep(SETTLE).await;
    ensure!(api::count(client, PODS).await? == SIZE, "some Pods are not there");
    let before = server.usage().context("only where there is /proc")?;
    clock.sleep(IDLE).await;
    let after = server.usage().context("only where there is /proc")?;
    let share = (after.cpu - before.cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let remark = "of one core; ticks of 0.1 %";
    table.figure(
        "idle CPU with Pods that sleep, over 10 s",
        SIZE,
        &format!("{share:.1} %"),
        remark,
    );
    Ok(())
}

async fn watch(client: &Connection, collection: &str) -> anyhow::Result<Watch> {
    let revision = api::revision(&client.get(&format!("{collection}?limit=1")).await?)?;
    client.watch(collection, &revision).await
}

async fn scale(client: &Connection, replicas: usize) -> anyhow::Result<()> {
    patch(client, &json!({"spec": {"replicas": replicas}})).await.map(drop)
}

async fn patch(client: &Connection, change: &Value) -> anyhow::Result<Bytes> {
    client.patch(&format!("{DEPLOYMENTS}/{NAME}"), change.to_string().into()).await
}

/// When so many objects were seen to be so.
async fn until(
    watch: &mut Watch,
    count: usize,
    holds: impl Fn(&Value) -> bool,
) -> anyhow::Result<Instant> {
    let mut seen = HashSet::new();
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let line = tokio::time::timeout_at(deadline, watch.line()).await;
        let line = line.with_context(|| format!("{} of {count} in time", seen.len()))??;
        let (event, at): (Value, _) = (serde_json::from_slice(&line)?, Instant::now());
        if holds(&event) {
            seen.insert(event["object"]["metadata"]["uid"].as_str().unwrap_or_default().to_owned());
        }
        if seen.len() == count {
            return Ok(at);
        }
    }
}

fn is_running(event: &Value) -> bool {
    event["object"]["status"]["phase"] == "Running"
}

fn is_gone(event: &Value) -> bool {
    event["type"] == "DELETED"
}

//! What the process holds and does while nobody asks anything, and what a stored Pod costs.

use std::time::Duration;

use anyhow::{Context, ensure};
use sampan::client::clock::Clock;
use tokio::time::Instant;

use crate::api::{self, PODS};
use crate::figures::{Samples, Table};
use crate::server::{Home, Server};

/// After the start, until all that a start sets off is over.
const SETTLE: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(5);
const PENDING: usize = 1_000;
const LISTED: usize = 5_000;
const LISTS: usize = 15;
const CONNECTIONS: usize = 16;

pub(crate) async fn idle(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = home.start().await?;
    let clock = Clock::system();
    clock.sleep(SETTLE).await;
    let before = server.usage().context("only where there is /proc")?;
    clock.sleep(IDLE).await;
    let after = server.usage().context("only where there is /proc")?;
    let memory = format!("{:.1} MiB", after.bytes as f64 / f64::from(1 << 20));
    table.figure("idle memory of everything", 1, &memory, "PSS and page tables");
    let share = (after.cpu - before.cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    table.figure("idle CPU over 5 s", 1, &format!("{share:.1} %"), "of one core; ticks of 0.2 %");
    server.stop().await
}

/// Pods that wait for a node which never comes: the object in store and caches, nothing running.
pub(crate) async fn stored_pods(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = home.start().await?;
    // What the first objects of a kind set up is not theirs alone.
    create(&server, "warm", 100).await?;
    Clock::system().sleep(SETTLE).await;
    let before = server.usage();
    let (samples, elapsed) = create(&server, "pending", PENDING).await?;
    table.rate("create Pod (stays Pending), 16 connections", &samples, elapsed);
    Clock::system().sleep(SETTLE).await;
    if let (Some(before), Some(after)) = (before, server.usage()) {
        let each = after.bytes.saturating_sub(before.bytes) as f64 / samples.len() as f64;
        let remark = "PSS and page tables, its Event included";
        table.figure("memory per stored Pod", samples.len(), &format!("{each:.0} B"), remark);
    }
    let client = server.connect().await?;
    let (samples, elapsed) =
        api::hammer(vec![server.connect().await?], PENDING, |connection, _, n| async move {
            connection.get(&format!("{PODS}/pending-{}-0", n % CONNECTIONS)).await
        })
        .await?;
    table.rate("get Pod, 1 connection", &samples, elapsed);
    let stored = api::count(&client, PODS).await?;
    create(&server, "listed", LISTED.saturating_sub(stored)).await?;
    lists(table, &client).await?;
    server.stop().await
}

async fn create(
    server: &Server,
    prefix: &str,
    count: usize,
) -> anyhow::Result<(Samples, Duration)> {
    let connections = server.connections(CONNECTIONS).await?;
    api::create_many(connections, PODS, prefix, count, api::pending_pod).await
}

async fn lists(table: &Table, client: &crate::http::Connection) -> anyhow::Result<()> {
    let found = api::count(client, PODS).await?;
    ensure!(found >= LISTED, "the list has {found} Pods");
    let (mut samples, mut bytes) = (Samples::default(), 0);
    for _ in 0..LISTS {
        let sent = Instant::now();
        bytes = client.get(PODS).await?.len();
        samples.push(sent.elapsed());
    }
    let remark = format!("{found} items, {:.1} MB", bytes as f64 / 1e6);
    table.times("list 5,000 Pods (Pending), JSON", &samples, &remark);
    Ok(())
}

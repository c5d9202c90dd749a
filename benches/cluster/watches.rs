//! From the send of a create until its event has been read, by one watcher and by many.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::{self, CONFIG_MAPS};
use crate::figures::{Samples, Table};
use crate::http::{Connection, Watch};
use crate::server::{Home, Server};

/// Watchers, and events each of them gets.
const ROUNDS: [(usize, usize); 2] = [(1, 500), (100, 100)];
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = home.start().await?;
    for (watchers, events) in ROUNDS {
        let (each, last) = deliveries(&server, watchers, events).await?;
        let plural = if watchers == 1 { "" } else { "s, a connection each" };
        let what = format!("create sent -> event read, {watchers} watcher{plural}");
        table.times(&what, &each, "");
        if watchers > 1 {
            table.times("  until the last of them has it", &last, "");
        }
    }
    server.stop().await
}

/// Creates one object after the other, each when all watchers have the one before. Answers the
/// time to each event, and to each object's last event.
async fn deliveries(
    server: &Server,
    watchers: usize,
    events: usize,
) -> anyhow::Result<(Samples, Samples)> {
    let client = server.connect().await?;
    let revision = api::revision(&client.get(CONFIG_MAPS).await?)?;
    // Bound: every watcher's answer to the one object under way.
    let (seen_tx, mut seen_rx) = mpsc::channel(watchers);
    let mut tasks = JoinSet::new();
    for connection in server.connections(watchers).await? {
        let watch = connection.watch(CONFIG_MAPS, &revision).await?;
        tasks.spawn(follow(connection, watch, format!("event{watchers}"), seen_tx.clone()));
    }
    let (mut each, mut last) = (Samples::default(), Samples::default());
    for n in 0..events {
        let name = format!("event{watchers}-{n}");
        let object = api::config_map(&name);
        let sent = Instant::now();
        client.post(CONFIG_MAPS, object).await?;
        let mut slowest = Duration::ZERO;
        for _ in 0..watchers {
            let next = tokio::time::timeout(EVENT_TIMEOUT, seen_rx.recv()).await;
            let (line, at): (bytes::Bytes, Instant) =
                next.context("an event did not come in time")?.context("no watcher is left")?;
            ensure!(api::mentions(&line, &name), "the event is of another object than {name}");
            each.push(at - sent);
            slowest = slowest.max(at - sent);
        }
        last.push(slowest);
    }
    Ok((each, last))
}

/// Reports every event that is about an object called `prefix-…`, until nobody listens.
async fn follow(
    connection: Connection,
    mut watch: Watch,
    prefix: String,
    seen_tx: mpsc::Sender<(bytes::Bytes, Instant)>,
) {
    let name = format!("\"name\":\"{prefix}-");
    while let Ok(line) = watch.line().await {
        let at = Instant::now();
        let is_ours = std::str::from_utf8(&line).is_ok_and(|text| text.contains(&name));
        if is_ours && seen_tx.send((line, at)).await.is_err() {
            break;
        }
    }
    drop(connection);
}

//! From a Pod's POST to its first output and to Running; a hundred and a thousand at once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, TryStreamExt};
use jiff::Timestamp;
use sampan::client::clock::Clock;
use serde_json::Value;
use tokio::time::Instant;

use crate::api::{self, PODS};
use crate::figures::{Samples, Table, milliseconds, on_one_thread};
use crate::http::{Connection, Watch};
use crate::server::{Home, Server};

const SINGLE: usize = 100;
/// Between the end of a Pod and the next one.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(50)];
/// Pods at once, and how often.
const CROWDS: [(usize, usize); 2] = [(100, 10), (1_000, 1)];
const CROWD_CONNECTIONS: usize = 16;
/// The first Pod of all waits until its image is compiled.
const FIRST_TIMEOUT: Duration = Duration::from_secs(60);
const POD_TIMEOUT: Duration = Duration::from_secs(10);
const CROWD_TIMEOUT: Duration = Duration::from_secs(40);

/// What is waited for on the watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Running,
    Succeeded,
    Gone,
}

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = home.start().await?;
    let client = server.connect().await?;
    let first = {
        let (mut watch, goal) = (watch_pods(&client).await?, Goal::Running);
        let command = ["sleep", "1000"];
        let first = start_one(&mut watch, &client, "first", &command, goal, FIRST_TIMEOUT);
        milliseconds(first.await.context("the first Pod")?.took)
    };
    table.figure("Pod POST -> Running, first of a new data directory", 1, &first, "compiles");
    remove_all(&client).await?;
    server.settle().await;
    let client = server.connect().await?;
    for pause in PAUSES {
        if let Err(err) = on_one_thread(first_output(table, &server, pause)) {
            table.failed("Pod POST -> first output (log's time)", &err);
        }
        remove_all(&client).await?;
    }
    one_by_one(table, &client).await?;
    remove_all(&client).await?;
    for (count, rounds) in CROWDS {
        if let Err(err) = crowds(table, &server, &client, count, rounds).await {
            table.failed(&format!("{count} Pods at once"), &err);
            remove_all(&client).await?;
        }
    }
    server.stop().await
}

/// When a Pod was sent, and how long it took from then.
#[derive(Debug)]
struct Start {
    sent: Timestamp,
    took: Duration,
}

/// Creates one Pod and waits for it, on a watch that began before.
async fn start_one(
    watch: &mut Watch,
    client: &Connection,
    name: &str,
    command: &[&str],
    goal: Goal,
    timeout: Duration,
) -> anyhow::Result<Start> {
    let body = api::pod(name, command).to_string().into();
    let (sent, begin) = (Clock::system().now(), Instant::now());
    client.post(PODS, body).await?;
    let seen = wait_for(watch, &[name.to_owned()], goal, timeout).await?;
    Ok(Start { sent, took: seen[name] - begin })
}

async fn one_by_one(table: &Table, client: &Connection) -> anyhow::Result<()> {
    let mut samples = Samples::default();
    for n in 0..SINGLE {
        let command = ["sleep", "1000"];
        let name = format!("single-{n}");
        let (mut watch, goal) = (watch_pods(client).await?, Goal::Running);
        let start = start_one(&mut watch, client, &name, &command, goal, POD_TIMEOUT).await?;
        samples.push(start.took);
    }
    table.times("Pod POST -> Running on a watch, one by one", &samples, "");
    Ok(())
}

/// The guest's first write, by the time the log gives it: no polling blurs it, and the logs are read
/// when all is over. Both times are of this machine's wall clock. Each Pod comes `pause` after the end of
/// the one before: in a pause the machine's caches are used by others.
async fn first_output(table: &Table, server: &Server, pause: Duration) -> anyhow::Result<()> {
    let (mut output, mut succeeded) = (Samples::default(), Samples::default());
    let (client, clock) = (&server.connect().await?, Clock::system());
    let mut watch = watch_pods(client).await?;
    let mut starts = Vec::with_capacity(SINGLE);
    for n in 0..SINGLE {
        clock.sleep(pause).await;
        let name = format!("echo-{n}");
        let (command, goal) = (["echo", &name], Goal::Succeeded);
        let start = start_one(&mut watch, client, &name, &command, goal, POD_TIMEOUT).await?;
        succeeded.push(start.took);
        starts.push((name, start.sent));
    }
    for (name, sent) in starts {
        let log = client.get(&format!("{PODS}/{name}/log?timestamps=true")).await?;
        let log = std::str::from_utf8(&log)?;
        let (time, line) = log.trim_end().split_once(' ').context("the log has no times")?;
        ensure!(line == name, "the log of {name} says {line:?}");
        let took = time.parse::<Timestamp>()?.duration_since(sent);
        output.push(took.try_into().context("the output was there before the Pod")?);
    }
    let after = match pause {
        Duration::ZERO => "at once after another".to_owned(),
        pause => format!("{} ms after another", pause.as_millis()),
    };
    table.times("Pod POST -> first output (log's time)", &output, &after);
    table.times("Pod POST -> Succeeded on a watch (echo)", &succeeded, &after);
    Ok(())
}

/// What one crowd took.
#[derive(Debug)]
struct Crowd {
    /// Until the last POST was answered.
    posted: Duration,
    /// Until the last Pod was seen to run.
    running: Duration,
    /// By how much the process has grown per Pod.
    bytes_each: Option<u64>,
}

async fn crowds(
    table: &Table,
    server: &Server,
    client: &Connection,
    count: usize,
    rounds: usize,
) -> anyhow::Result<()> {
    let (mut posted, mut running) = (Samples::default(), Samples::default());
    let mut bytes_each = None;
    for round in 0..rounds {
        let crowd = crowd(server, client, &format!("crowd{count}-{round}"), count).await?;
        posted.push(crowd.posted);
        running.push(crowd.running);
        // The first crowd of a size alone: later ones use what earlier ones have left.
        bytes_each = bytes_each.or(crowd.bytes_each);
        remove_all(client).await?;
    }
    let rate = (count * rounds) as f64 / running.sum().as_secs_f64();
    let what = format!("{count} Pods at once -> all Running on a watch");
    table.times(&what, &running, &format!("{rate:.0} Pods/s"));
    table.times("  until all are created", &posted, "");
    if let Some(bytes) = bytes_each {
        let each = format!("{:.1} KiB", bytes as f64 / 1024.0);
        let remark = "PSS and page tables, objects included";
        table.figure("  memory per running Pod", count, &each, remark);
    }
    Ok(())
}

/// Creates `count` Pods over [`CROWD_CONNECTIONS`] connections and waits until all run.
async fn crowd(
    server: &Server,
    client: &Connection,
    prefix: &str,
    count: usize,
) -> anyhow::Result<Crowd> {
    let connections = server.connections(CROWD_CONNECTIONS).await?;
    let names: Vec<String> = (0..count).map(|n| format!("{prefix}-{n}")).collect();
    let mut watch = watch_pods(client).await?;
    let before = server.usage();
    let begin = Instant::now();
    let posts = async {
        let calls = names.iter().zip(connections.iter().cycle()).map(|(name, connection)| {
            connection.post(PODS, api::pod(name, &["sleep", "1000"]).to_string().into())
        });
        calls.collect::<FuturesUnordered<_>>().try_collect::<Vec<Bytes>>().await?;
        anyhow::Ok(begin.elapsed())
    };
    let seen = wait_for(&mut watch, &names, Goal::Running, CROWD_TIMEOUT);
    let (posted, seen) = tokio::try_join!(posts, seen)?;
    let last = seen.values().max().context("no Pod ran")?;
    let grown = before.zip(server.usage()).map(|(was, is)| is.bytes.saturating_sub(was.bytes));
    let bytes_each = grown.map(|bytes| bytes / count as u64);
    Ok(Crowd { posted, running: *last - begin, bytes_each })
}

async fn watch_pods(client: &Connection) -> anyhow::Result<Watch> {
    let revision = api::revision(&client.get(&format!("{PODS}?limit=1")).await?)?;
    client.watch(PODS, &revision).await
}

/// When each of the Pods called `names` was seen to have reached the goal.
async fn wait_for(
    watch: &mut Watch,
    names: &[String],
    goal: Goal,
    timeout: Duration,
) -> anyhow::Result<HashMap<String, Instant>> {
    let mut left: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut seen = HashMap::with_capacity(names.len());
    let deadline = Instant::now() + timeout;
    while !left.is_empty() {
        let Ok(line) = tokio::time::timeout_at(deadline, watch.line()).await else {
            bail!("{} of {} Pods are not {goal:?} after {timeout:?}", left.len(), names.len());
        };
        let (line, at) = (line?, Instant::now());
        let event: Value = serde_json::from_slice(&line)?;
        let name = event["object"]["metadata"]["name"].as_str().context("an event of no Pod")?;
        if reached(&event, goal)? && left.remove(name) {
            seen.insert(name.to_owned(), at);
        }
    }
    Ok(seen)
}

/// # Errors
/// If the Pod has failed: what was waited for will not come.
fn reached(event: &Value, goal: Goal) -> anyhow::Result<bool> {
    let phase = event["object"]["status"]["phase"].as_str().unwrap_or_default();
    Ok(match goal {
        Goal::Gone => event["type"] == "DELETED",
        Goal::Running | Goal::Succeeded if phase == "Failed" => {
            bail!("a Pod failed: {}", event["object"]["status"])
        }
        Goal::Running => phase == "Running",
        Goal::Succeeded => phase == "Succeeded",
    })
}

/// Deletes all Pods, without grace, and waits until they are gone.
async fn remove_all(client: &Connection) -> anyhow::Result<()> {
    let list: Value = serde_json::from_slice(&client.get(PODS).await?)?;
    let revision = list["metadata"]["resourceVersion"].as_str().context("a list of no revision")?;
    let mut watch = client.watch(PODS, revision).await?;
    let items = list["items"].as_array().context("the answer is not a list")?;
    let name = |pod: &Value| pod["metadata"]["name"].as_str().map(str::to_owned);
    let names: Vec<String> = items.iter().filter_map(name).collect();
    client.delete(&format!("{PODS}?gracePeriodSeconds=0")).await.context("delete all Pods")?;
    wait_for(&mut watch, &names, Goal::Gone, CROWD_TIMEOUT).await.context("delete all Pods")?;
    Ok(())
}

//! What probes cost: a thousand Pods that are asked each second; and how soon an answer is seen.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, TryStreamExt};
use jiff::Timestamp;
use sampan::client::clock::Clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{self, PODS};
use crate::figures::{Samples, Table};
use crate::guests;
use crate::http::{Connection, Watch};
use crate::server::{Home, Server};

const PODS_PROBED: usize = 1_000;
const CONNECTIONS: usize = 16;
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const MEASURED: Duration = Duration::from_secs(10);
const FLIPS: usize = 20;
const FLIP_TIMEOUT: Duration = Duration::from_secs(10);
/// Writes a line when it is ready, and when it is not any more.
const FLIPPING: &str = "nginx -g 'daemon off;' > /dev/null & cd /usr/share/nginx/html; while true; do \
    touch ready; echo up; sleep 1.7; rm ready; echo down; sleep 1.7; done";

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let program = home.path("server.wasm");
    std::fs::write(&program, guests::component("server"))?;
    let images = home.path("").display().to_string();
    let server = home.start_with(&["--allow-images", &images]).await?;
    let client = server.connect().await?;
    flips(table, &client).await.context("flips")?;
    crowd(table, &server, &client, &format!("file://{}", program.display())).await?;
    server.stop().await
}

fn pod(name: &str, container: Value) -> Bytes {
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [container]});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        .to_string()
        .into()
}

/// From the change, by the time that the log gives it, until a watch sees the condition.
async fn flips(table: &Table, client: &Connection) -> anyhow::Result<()> {
    let get = json!({"path": "/ready", "port": 80});
    let container = json!({
        "name": "web", "image": "nginx", "command": ["sh", "-c", FLIPPING],
        "readinessProbe": {"httpGet": get, "periodSeconds": 1, "failureThreshold": 1},
    });
    let mut watch = watch_pods(client).await?;
    client.post(PODS, pod("flips", container)).await?;
    let (mut seen, mut was_ready) = (Vec::new(), false);
    while seen.len() < FLIPS {
        let (_, ready) = ready(&mut watch, FLIP_TIMEOUT).await?;
        if std::mem::replace(&mut was_ready, ready) != ready {
            seen.push(Clock::system().now());
        }
    }
    let log = client.get(&format!("{PODS}/flips/log?timestamps=true")).await?;
    // The server tells of each question that finds no file.
    let is_change = |line: &&str| line.ends_with(" up") || line.ends_with(" down");
    let lines: Vec<&str> = std::str::from_utf8(&log)?.lines().filter(is_change).collect();
    let mut samples = Samples::default();
    for (line, at) in lines.iter().zip(&seen) {
        let (time, _) = line.split_once(' ').context("the log has no times")?;
        let took = at.duration_since(time.parse::<Timestamp>()?);
        samples.push(took.try_into().context("it was seen before it was so")?);
    }
    ensure!(samples.len() == FLIPS, "{} lines for {FLIPS} flips", samples.len());
    table.times("a file comes or goes -> Ready on a watch, asked each second", &samples, "");
    client.delete(&format!("{PODS}/flips?gracePeriodSeconds=0")).await?;
    Ok(())
}

async fn crowd(
    table: &Table,
    server: &Server,
    client: &Connection,
    image: &str,
) -> anyhow::Result<()> {
    for (kind, probe) in [
        ("without a probe", None),
        ("httpGet", Some(json!({"httpGet": {"path": "/hello", "port": 80}, "periodSeconds": 1}))),
        ("tcpSocket", Some(json!({"tcpSocket": {"port": 80}, "periodSeconds": 1}))),
    ] {
        let mut container =
            json!({"name": "web", "image": image, "ports": [{"containerPort": 80}]});
        if let Some(probe) = probe {
            container["readinessProbe"] = probe;
        }
        let connections = server.connections(CONNECTIONS).await?;
        let mut watch = watch_pods(client).await?;
        let calls = (0..PODS_PROBED).zip(connections.iter().cycle()).map(|(n, connection)| {
            connection.post(PODS, pod(&format!("probed-{n}"), container.clone()))
        });
        let posts = calls.collect::<FuturesUnordered<_>>().try_collect::<Vec<Bytes>>();
        let all_ready = async {
            let mut names = std::collections::HashSet::new();
            while names.len() < PODS_PROBED {
                let (name, ready) = ready(&mut watch, READY_TIMEOUT).await?;
                if ready {
                    names.insert(name);
                }
            }
            anyhow::Ok(())
        };
        tokio::try_join!(posts, all_ready)?;
        let before = server.usage().context("no usage")?;
        let begin = Instant::now();
        Clock::system().sleep(MEASURED).await;
        let cpu = server.usage().context("no usage")?.cpu.saturating_sub(before.cpu);
        let percent = 100.0 * cpu.as_secs_f64() / begin.elapsed().as_secs_f64();
        let what = format!("CPU of {PODS_PROBED} Pods, asked each second: {kind}");
        table.figure(&what, 1, &format!("{percent:.1} %"), "of one core");
        client.delete(&format!("{PODS}?gracePeriodSeconds=0")).await?;
        let begin = Instant::now();
        while api::count(client, PODS).await? > 0 {
            ensure!(begin.elapsed() < READY_TIMEOUT, "Pods do not go");
            Clock::system().sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

async fn watch_pods(client: &Connection) -> anyhow::Result<Watch> {
    let revision = api::revision(&client.get(&format!("{PODS}?limit=1")).await?)?;
    client.watch(PODS, &revision).await
}

/// The next Pod of the watch, and whether it is ready.
async fn ready(watch: &mut Watch, timeout: Duration) -> anyhow::Result<(String, bool)> {
    let line = tokio::time::timeout(timeout, watch.line()).await.context("nothing happens")??;
    let event: Value = serde_json::from_slice(&line)?;
    let pod = &event["object"];
    let name = pod["metadata"]["name"].as_str().context("an event of no Pod")?.to_owned();
    let conditions = pod["status"]["conditions"].as_array();
    let is_ready =
        |condition: &&Value| condition["type"] == "Ready" && condition["status"] == "True";
    Ok((name, conditions.is_some_and(|all| all.iter().any(|one| is_ready(&one)))))
}

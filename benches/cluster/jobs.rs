//! A Job of ten thousand Pods that say hello and end: how many a second, from POST to Complete.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{self, PODS};
use crate::figures::{Table, milliseconds};
use crate::http::Connection;
use crate::server::Home;

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const COMPLETIONS: usize = 10_000;
const PARALLELISM: usize = 500;
const TIMEOUT: Duration = Duration::from_secs(150);
/// Logs that are read in the end.
const LOGS: usize = 100;

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = home.start().await?;
    let client = server.connect().await?;
    // The first Pod of all waits until its image is compiled.
    finish(&client, "first", 1).await.context("the first Job")?;
    server.settle().await;
    let client = server.connect().await?;
    let took = finish(&client, "one", 1).await?;
    table.figure("Job of 1 Pod, POST -> Complete on a watch", 1, &milliseconds(took), "");
    let before = server.usage();
    let took = finish(&client, "many", COMPLETIONS).await?;
    let cpu = before.zip(server.usage()).map(|(was, is)| (is.cpu - was.cpu) / COMPLETIONS as u32);
    let rate = COMPLETIONS as f64 / took.as_secs_f64();
    let what = format!("Job of hello Pods, {PARALLELISM} at once, POST -> Complete");
    let cpu = cpu.map_or_else(String::new, |cpu| format!(", {} of CPU each", milliseconds(cpu)));
    let remark = format!("{}{cpu}", milliseconds(took));
    table.figure(&what, COMPLETIONS, &format!("{rate:.0} Pods/s"), &remark);
    check_logs(&client).await?;
    server.stop().await
}

/// Runs a Job until it is complete.
async fn finish(client: &Connection, name: &str, completions: usize) -> anyhow::Result<Duration> {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"completions": completions, "parallelism": PARALLELISM.min(completions),
            "template": {"spec": api::pod(name, &["echo", "hello"])["spec"]}},
    });
    let revision = api::revision(&client.get(&format!("{JOBS}?limit=1")).await?)?;
    let mut watch = client.watch(JOBS, &revision).await?;
    let begin = Instant::now();
    client.post(JOBS, job.to_string().into()).await?;
    loop {
        let line = tokio::time::timeout_at(begin + TIMEOUT, watch.line()).await;
        let event: Value = serde_json::from_slice(&line.context("the Job has not ended")??)?;
        let (object, at) = (&event["object"], Instant::now());
        let conditions = object["status"]["conditions"].as_array();
        let holds = |type_: &str| {
            let mut conditions = conditions.into_iter().flatten();
            conditions.any(|one| one["type"] == type_ && one["status"] == "True")
        };
        ensure!(!holds("Failed"), "the Job failed: {}", object["status"]);
        if object["metadata"]["name"] == name && holds("Complete") {
            let succeeded = &object["status"]["succeeded"];
            ensure!(*succeeded == completions, "{succeeded} Pods have succeeded");
            return Ok(at - begin);
        }
    }
}

async fn check_logs(client: &Connection) -> anyhow::Result<()> {
    let path = format!("{PODS}?labelSelector=job-name%3Dmany&limit={LOGS}");
    let list: Value = serde_json::from_slice(&client.get(&path).await?)?;
    let pods = list["items"].as_array().context("the answer is not a list")?;
    ensure!(pods.len() == LOGS, "{} Pods are listed", pods.len());
    for pod in pods {
        let name = pod["metadata"]["name"].as_str().context("a Pod without a name")?;
        let log = client.get(&format!("{PODS}/{name}/log")).await?;
        ensure!(&log[..] == b"hello\n", "the log of {name} says {log:?}");
    }
    Ok(())
}

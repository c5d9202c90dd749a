//! The Pod that `sampan ssh` enters.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, DeleteParams, ListParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::client::clock::Clock;

pub(super) const NAMESPACE: &str = "kube-system";

/// On these Pods only.
const LABEL: &str = "sampan.dev/ssh";

/// Waits for the client's first line for so many seconds, then for the end of its stdin.
const WAIT: &str = "read -t 30 && exec cat";

/// How long we wait, in seconds, for a Pod that usually needs some milliseconds.
const START_MAX: u32 = 60;

/// A cluster that stops meanwhile does not keep us longer.
const REMOVE_MAX: Duration = Duration::from_secs(5);

/// Names of Services without a namespace are sought in `default` too, where users have them.
pub(super) fn manifest(name: &str) -> Pod {
    let pod = json!({
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": { LABEL: "true" } },
        "spec": {
            "hostname": "sampan",
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "enableServiceLinks": false,
            "automountServiceAccountToken": false,
            "dnsConfig": { "searches": ["default.svc.cluster.local"] },
            "containers": [{
                "name": "shell",
                "image": "busybox",
                "command": ["sh", "-c", WAIT],
                "stdin": true,
                "stdinOnce": true,
            }],
        },
    });
    serde_json::from_value(pod).expect("it is a Pod")
}

/// Waits until the Pod's program runs.
///
/// # Errors
/// With what the Pod's status says, if it cannot run.
pub(super) async fn runs(pods: &Api<Pod>, name: &str) -> anyhow::Result<()> {
    let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(START_MAX);
    let changes = pods.watch(&params, "0").await.context("watch the Pod to enter")?;
    let mut changes = changes.boxed();
    let mut last = None;
    while let Some(change) = changes.try_next().await.context("watch the Pod to enter")? {
        let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = change else { continue };
        let status = pod.status.unwrap_or_default();
        if is_ready(&status) {
            return Ok(());
        }
        let phase = status.phase.as_deref().unwrap_or_default();
        last = why_not(&status).or(last);
        if phase == "Failed" || phase == "Succeeded" {
            break;
        }
    }
    let why = last.unwrap_or_else(|| "it is still waiting to be started".to_owned());
    bail!("start the Pod {NAMESPACE}/{name} to enter: {why}")
}

fn is_ready(status: &PodStatus) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Of the container or of the Pod, whichever says something.
fn why_not(status: &PodStatus) -> Option<String> {
    let states = status.container_statuses.iter().flatten().filter_map(|it| it.state.as_ref());
    let waiting = states.filter_map(|state| state.waiting.as_ref()?.message.clone()).next();
    let conditions = status.conditions.iter().flatten();
    let scheduling = conditions.filter(|condition| condition.status == "False");
    waiting
        .or_else(|| status.message.clone())
        .or_else(|| scheduling.filter_map(|condition| condition.message.clone()).next())
}

/// A connection without which the Pod ends.
pub(super) struct Hold {
    _stdin: Box<dyn AsyncWrite>,
    _process: AttachedProcess,
}

pub(super) async fn hold(pods: &Api<Pod>, name: &str) -> anyhow::Result<Hold> {
    let params = AttachParams::default().stdin(true).stdout(false).stderr(false);
    let mut process = pods.attach(name, &params).await.context("attach to the Pod to enter")?;
    let mut stdin = process.stdin().context("attach to the Pod to enter: no stdin")?;
    stdin.write_all(b"\n").await.context("attach to the Pod to enter")?;
    Ok(Hold { _stdin: Box::new(stdin), _process: process })
}

/// Removes the Pod; what fails here is swept by the next.
pub(super) async fn remove(pods: &Api<Pod>, name: &str, clock: &Clock) {
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    tokio::select! {
        _ = pods.delete(name, &at_once) => {}
        () = clock.sleep(REMOVE_MAX) => {}
    }
}

/// Removes what was left by clients that were killed; nobody waits for its success.
pub(super) async fn sweep(pods: &Api<Pod>) {
    let Ok(all) = pods.list(&ListParams::default().labels(LABEL)).await else { return };
    for pod in all {
        let phase = pod.status.and_then(|status| status.phase);
        let has_ended = matches!(phase.as_deref(), Some("Succeeded" | "Failed"));
        if let Some(name) = pod.metadata.name.filter(|_| has_ended) {
            let _ = pods.delete(&name, &DeleteParams::default()).await;
        }
    }
}

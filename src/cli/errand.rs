//! A Pod that a command makes for itself: it has the built-in programs, stands where the command cannot, and
//! goes with it.
//!
//! ```text
//! create the Pod ─► wait until it runs ─┬─ attach: holds it; without us it ends     ─► delete the Pod
//!                                       └─ exec: what the command is about
//! ```
//!
//! The Pod's program only waits for its stdin to end: when the command is killed, its connection closes and
//! the Pod ends by itself. The object of such a Pod is removed by the next command of its kind.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{AttachParams, AttachedProcess, DeleteParams, ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::client::clock::{Clock, Ids};

/// Waits for the client's first line for so many seconds, then for the end of its stdin.
const WAIT: &str = "read -t 30 && exec cat";

/// How long we wait, in seconds, for a Pod that usually needs some milliseconds.
const START_MAX: u32 = 60;

/// A cluster that stops meanwhile does not keep us longer.
const REMOVE_MAX: Duration = Duration::from_secs(5);

pub(super) struct Errand {
    pub(super) pods: Api<Pod>,
    pub(super) name: String,
    namespace: String,
    /// On Pods of this kind only.
    label: String,
}

impl Errand {
    /// `purpose` is what the Pod's name begins with: the command's own.
    pub(super) fn new(client: Client, namespace: &str, purpose: &str) -> Self {
        Self {
            pods: Api::namespaced(client, namespace),
            name: format!("{purpose}-{}", Ids::random().suffix()),
            namespace: namespace.to_owned(),
            label: format!("sampan.dev/{purpose}"),
        }
    }

    /// Makes the Pod. `change` adds to its spec what the command needs.
    pub(super) async fn create(&self, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        let mut pod = json!({
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": { &*self.label: "true" },
            },
            "spec": spec(),
        });
        change(&mut pod["spec"]);
        let pod: Pod = serde_json::from_value(pod).expect("it is a Pod");
        let made = self.pods.create(&Default::default(), &pod).await;
        made.map(drop).context("make a Pod to enter")
    }

    /// Waits until the Pod's program runs.
    ///
    /// # Errors
    /// With what the Pod's status says, if it cannot run.
    pub(super) async fn runs(&self) -> anyhow::Result<()> {
        let Self { pods, name, namespace, .. } = self;
        let params =
            WatchParams::default().fields(&format!("metadata.name={name}")).timeout(START_MAX);
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
        bail!("start the Pod {namespace}/{name} to enter: {why}")
    }

    /// From here on the Pod does not outlive us.
    pub(super) async fn hold(&self) -> anyhow::Result<Hold> {
        let params = AttachParams::default().stdin(true).stdout(false).stderr(false);
        let attached = self.pods.attach(&self.name, &params).await;
        let mut process = attached.context("attach to the Pod to enter")?;
        let mut stdin = process.stdin().context("attach to the Pod to enter: no stdin")?;
        stdin.write_all(b"\n").await.context("attach to the Pod to enter")?;
        Ok(Hold { _stdin: Box::new(stdin), _process: process })
    }

    /// Removes the Pod; what fails here is swept by the next.
    pub(super) async fn remove(&self, clock: &Clock) {
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        tokio::select! {
            _ = self.pods.delete(&self.name, &at_once) => {}
            () = clock.sleep(REMOVE_MAX) => {}
        }
    }

    /// Removes what was left by clients that were killed; nobody waits for its success.
    pub(super) async fn sweep(&self) {
        let Ok(all) = self.pods.list(&ListParams::default().labels(&self.label)).await else {
            return;
        };
        for pod in all {
            let phase = pod.status.and_then(|status| status.phase);
            let has_ended = matches!(phase.as_deref(), Some("Succeeded" | "Failed"));
            if let Some(name) = pod.metadata.name.filter(|_| has_ended) {
                let _ = self.pods.delete(&name, &DeleteParams::default()).await;
            }
        }
    }
}

fn spec() -> Value {
    json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "enableServiceLinks": false,
        "automountServiceAccountToken": false,
        "containers": [{
            "name": "shell",
            "image": "busybox",
            "command": ["sh", "-c", WAIT],
            "stdin": true,
            "stdinOnce": true,
        }],
    })
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

//! Following what was set going: the Pods' logs, their warnings, their ends.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use anyhow::Context;
use futures::future;
use futures::io::AsyncBufReadExt;
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::api::{Api, ListParams, LogParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use tokio::task::JoinSet;

use crate::cli::output;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    AllSucceeded,
    SomeFailed,
    Interrupted,
}

/// Shows logs and warnings until every Pod has ended and its log has been shown.
pub(super) async fn until_all_ended(client: Client) -> anyhow::Result<Outcome> {
    let pods = pods(&client).await?;
    let warnings = warnings(&client).await?;
    let mut pods = pin!(pods);
    let mut warnings = pin!(warnings);
    let mut play = Play::new(client);
    while !play.has_ended() {
        tokio::select! {
            Some(change) = pods.next() => play.take(change.context("watch the Pods")?),
            Some(warning) = warnings.next() => output::say(&warning),
            Some(_) = play.logs.join_next() => {}
        }
    }
    Ok(play.outcome())
}

/// What is known of the Pods.
struct Play {
    client: Client,
    /// The phase of each Pod, by namespace and name.
    phases: BTreeMap<(String, String), String>,
    /// Container runs whose log is or was followed: namespace, Pod, container, restart count.
    followed: BTreeSet<(String, String, String, i32)>,
    logs: JoinSet<()>,
}

impl Play {
    fn new(client: Client) -> Self {
        Self { client, phases: BTreeMap::new(), followed: BTreeSet::new(), logs: JoinSet::new() }
    }

    fn take(&mut self, change: WatchEvent<Pod>) {
        match change {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => self.see(&pod),
            WatchEvent::Deleted(pod) => {
                self.phases.remove(&key(&pod));
            }
            WatchEvent::Bookmark(_) | WatchEvent::Error(_) => {}
        }
    }

    fn see(&mut self, pod: &Pod) {
        let status = pod.status.clone().unwrap_or_default();
        let phase = status.phase.unwrap_or_default();
        let before = self.phases.insert(key(pod), phase.clone());
        if before.as_ref() != Some(&phase) && matches!(&*phase, "Running" | "Succeeded" | "Failed")
        {
            output::say(&format!("pod/{} is {phase}", pod.name_any()));
        }
        let several = pod.spec.as_ref().is_some_and(|spec| spec.containers.len() > 1);
        for container in status.container_statuses.iter().flatten() {
            self.follow(pod, container, several);
        }
    }

    /// Follows the log of a container's run from when it has begun, once.
    fn follow(&mut self, pod: &Pod, container: &ContainerStatus, several: bool) {
        let state = container.state.clone().unwrap_or_default();
        if state.running.is_none() && state.terminated.is_none() {
            return;
        }
        let (namespace, name) = key(pod);
        let run =
            (namespace.clone(), name.clone(), container.name.clone(), container.restart_count);
        if !self.followed.insert(run) {
            return;
        }
        let label = if several { format!("{name}/{}", container.name) } else { name.clone() };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        self.logs.spawn(show_log(pods, name, container.name.clone(), label));
    }

    fn has_ended(&self) -> bool {
        let ended = |phase: &String| matches!(&**phase, "Succeeded" | "Failed");
        !self.phases.is_empty() && self.phases.values().all(ended) && self.logs.is_empty()
    }

    fn outcome(&self) -> Outcome {
        let failed = self.phases.values().any(|phase| phase == "Failed");
        if failed { Outcome::SomeFailed } else { Outcome::AllSucceeded }
    }
}

fn key(pod: &Pod) -> (String, String) {
    (pod.namespace().unwrap_or_default(), pod.name_any())
}

async fn show_log(pods: Api<Pod>, name: String, container: String, label: String) {
    let params = LogParams { follow: true, container: Some(container), ..LogParams::default() };
    let lines = match pods.log_stream(&name, &params).await {
        Ok(log) => log.lines(),
        Err(err) => return output::say(&format!("{label}: no log: {err}")),
    };
    let shown = lines.try_for_each(|line| {
        output::print(&format!("{label} | {line}"));
        future::ready(Ok(()))
    });
    if let Err(err) = shown.await {
        output::say(&format!("{label}: the log broke off: {err}"));
    }
}

/// What happens to Pods outside kube-system, from their creation on.
async fn pods(
    client: &Client,
) -> anyhow::Result<impl Stream<Item = kube::Result<WatchEvent<Pod>>> + use<>> {
    let pods: Api<Pod> = Api::all(client.clone());
    let params = WatchParams::default().fields("metadata.namespace!=kube-system");
    // From zero: what is there comes first, as ADDED.
    Ok(pods.watch(&params, "0").await.context("watch the Pods")?.boxed())
}

/// Warning Events as lines.
async fn warnings(client: &Client) -> anyhow::Result<impl Stream<Item = String> + use<>> {
    let events: Api<Event> = Api::all(client.clone());
    let now = events.list(&ListParams::default().limit(1)).await.context("list the Events")?;
    let revision = now.metadata.resource_version.unwrap_or_default();
    let params = WatchParams::default().fields("type=Warning");
    let stream = events.watch(&params, &revision).await.context("watch the Events")?;
    Ok(stream.filter_map(|change| async {
        match change {
            Ok(WatchEvent::Added(event) | WatchEvent::Modified(event)) => Some(warning(&event)),
            _ => None,
        }
    }))
}

fn warning(event: &Event) -> String {
    let object = &event.involved_object;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let kind = text(&object.kind).to_lowercase();
    format!("{kind}/{}: {}: {}", text(&object.name), text(&event.reason), text(&event.message))
}

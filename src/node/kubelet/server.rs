//! The door of the node: logs, exec, attach, port-forward and statistics, in the kubelet's words.
//!
//! Upstream: `pkg/kubelet/server/server.go`, `pkg/kubelet/kubelet_pods.go` (`validateContainerLogStatus`).

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use super::lifecycle::Kubelet;
use super::logs;
use super::mirror;
use super::pod_workers::LivePod;
use super::port_forward;
use super::run::{Live, log_directory};
use super::stats;
use crate::client::node_api::{
    BoxDuplex, BoxWrite, ContainerRef, LogOptions, NodeApi, NodeError, PodRef, Stats, Streams,
};
use crate::node::runtime::{ExecSpec, Output, StartError, Stdio};

#[async_trait]
impl NodeApi for Kubelet {
    async fn logs(
        &self,
        container: &ContainerRef,
        options: LogOptions,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>, NodeError> {
        let component = mirror::log(&self.ctx, container, options.previous).transpose()?;
        let query = self.query(&options);
        if let Some(log) = component {
            return Ok(logs::read_component(log, &query, self.ctx.stop.clone()));
        }
        let pod = self.find(container)?;
        let run = run_with_log(container, &pod.status(), options.previous)
            .map_err(NodeError::BadRequest)?;
        let live = pod.running(&container.container).filter(|live| live.log.run() == run);
        let directory = log_directory(&pod.directory, &container.container);
        logs::read(&directory, run, live.as_ref().map(|live| &live.log), &query)
            .map_err(|error| NodeError::Internal(format!("failed to read the log: {error}")))
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        command: Vec<String>,
        streams: Streams,
    ) -> Result<i32, NodeError> {
        let live = self.find_running(container)?;
        let stdio = Stdio {
            stdin: streams.stdin,
            stdout: output(streams.stdout),
            stderr: output(streams.stderr),
            terminal: streams.terminal,
        };
        match live.container.exec(ExecSpec { argv: command, stdio }).await {
            Ok(exit) => Ok(exit.code),
            Err(StartError::NotFound(text) | StartError::NotExecutable(text)) => {
                // In the words of runc and containerd, which tools look for.
                Err(NodeError::NotFound(format!(
                    "failed to exec in container: exec failed: unable to start container process: \
                     {text}"
                )))
            }
            Err(StartError::Host(text)) => Err(NodeError::Internal(text)),
        }
    }

    async fn attach(&self, container: &ContainerRef, streams: Streams) -> Result<(), NodeError> {
        let live = self.find_running(container)?;
        live.hub
            .attach(streams)
            .await
            .map_err(|error| NodeError::Internal(format!("the client's streams failed: {error}")))
    }

    async fn port_forward(&self, pod: &PodRef, port: u16) -> Result<BoxDuplex, NodeError> {
        let live = self.find_pod(&pod.namespace, &pod.name, &pod.uid)?;
        let network = live.network().ok_or_else(|| {
            NodeError::BadRequest("the pod has no network (it does not run)".to_owned())
        })?;
        Ok(Box::new(port_forward::connect(&network, port).await?))
    }

    async fn stats(&self, pods: &[PodRef]) -> Stats {
        stats::stats(&self.ctx, pods)
    }
}

impl Kubelet {
    fn query(&self, options: &LogOptions) -> logs::Query {
        let now = self.ctx.rooms.clock.now();
        logs::Query {
            follow: options.follow,
            since: options.since_time.or_else(|| options.since.map(|ago| now - ago)),
            timestamps: options.timestamps,
            tail_lines: options.tail_lines,
            limit_bytes: options.limit_bytes,
        }
    }

    fn find(&self, container: &ContainerRef) -> Result<Arc<LivePod>, NodeError> {
        self.find_pod(&container.namespace, &container.pod, &container.uid)
    }

    fn find_pod(&self, namespace: &str, name: &str, uid: &str) -> Result<Arc<LivePod>, NodeError> {
        self.ctx.live.of(namespace, name, uid).ok_or_else(|| {
            NodeError::NotFound(format!("pod {:?} not found", format!("{name}_{namespace}")))
        })
    }

    fn find_running(&self, container: &ContainerRef) -> Result<Live, NodeError> {
        mirror::refuse_to_enter(&self.ctx, container)?;
        let live = self.find(container)?.running(&container.container);
        live.ok_or_else(|| {
            NodeError::NotFound(format!("container not found ({:?})", container.container))
        })
    }
}

fn output(writer: Option<BoxWrite>) -> Output {
    writer.map_or(Output::Discard, Output::Writer)
}

/// The run whose log is asked for.
///
/// # Errors
/// The kubelet's words for a container that has none yet.
fn run_with_log(
    container: &ContainerRef,
    status: &PodStatus,
    previous: bool,
) -> Result<u32, String> {
    let (name, pod) = (&container.container, &container.pod);
    let lists = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let mut statuses = lists.into_iter().flatten().flatten();
    let Some(status) = statuses.find(|status| status.name == *name) else {
        return Err(format!("container {name:?} in pod {pod:?} is not available"));
    };
    let shown = u32::try_from(status.restart_count).unwrap_or(0);
    let (runs_or_ran, has_last) = situation(status);
    match (previous, runs_or_ran, has_last) {
        // The container waits to be started again: the run that its count speaks of has ended.
        (_, false, true) | (false, true, _) => Ok(shown),
        (true, true, true) => Ok(shown.saturating_sub(1)),
        (true, _, false) => {
            Err(format!("previous terminated container {name:?} in pod {pod:?} not found"))
        }
        (false, false, false) => {
            let why = match waiting_reason(status) {
                "ErrImagePull" => "image can't be pulled",
                "ImagePullBackOff" => "trying and failing to pull image",
                reason => reason,
            };
            Err(format!("container {name:?} in pod {pod:?} is waiting to start: {why}"))
        }
    }
}

/// Whether the container runs or has run as `state` shows, and whether it ran before that.
fn situation(status: &ContainerStatus) -> (bool, bool) {
    let state = status.state.as_ref();
    let last = status.last_state.as_ref();
    let runs_or_ran =
        state.is_some_and(|state| state.running.is_some() || state.terminated.is_some());
    (runs_or_ran, last.is_some_and(|last| last.terminated.is_some()))
}

fn waiting_reason(status: &ContainerStatus) -> &str {
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
    waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or("ContainerCreating")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(state: Value, last: Value, previous: bool, expect: Result<u32, &str>) {
        let container = ContainerRef {
            namespace: "default".to_owned(),
            pod: "counter".to_owned(),
            uid: "u".to_owned(),
            container: "count".to_owned(),
        };
        let status: PodStatus = serde_json::from_value(json!({ "containerStatuses": [{
            "name": "count", "image": "", "imageID": "", "ready": false, "restartCount": 3,
            "state": state, "lastState": last,
        }] }))
        .unwrap();
        let answer = run_with_log(&container, &status, previous);
        assert_eq!(answer.as_ref().map(|run| *run).map_err(String::as_str), expect);
    }

    #[test]
    fn the_log_of_the_run_that_is_meant_is_found() {
        let ended = json!({ "terminated": { "exitCode": 1 } });
        check(json!({ "running": {} }), json!({}), false, Ok(3));
        check(json!({ "running": {} }), ended.clone(), true, Ok(2));
        check(ended.clone(), ended.clone(), false, Ok(3));
        check(json!({ "waiting": { "reason": "CrashLoopBackOff" } }), ended.clone(), false, Ok(3));
        check(json!({ "waiting": { "reason": "CrashLoopBackOff" } }), ended, true, Ok(3));
    }

    #[test]
    fn ephemeral_containers_have_logs_too() {
        let container = ContainerRef {
            namespace: "default".to_owned(),
            pod: "counter".to_owned(),
            uid: "u".to_owned(),
            container: "debugger".to_owned(),
        };
        let status = json!({ "ephemeralContainerStatuses": [{
            "name": "debugger", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 0 } },
        }] });
        let status: PodStatus = serde_json::from_value(status).unwrap();
        assert_eq!(run_with_log(&container, &status, false), Ok(0));
    }

    #[test]
    fn what_has_no_log_is_told_in_the_kubelets_words() {
        let waits = |reason: &str| json!({ "waiting": { "reason": reason } });
        for (reason, why) in [
            ("ContainerCreating", "ContainerCreating"),
            ("ErrImagePull", "image can't be pulled"),
            ("ImagePullBackOff", "trying and failing to pull image"),
            ("CreateContainerConfigError", "CreateContainerConfigError"),
        ] {
            let text = format!("container \"count\" in pod \"counter\" is waiting to start: {why}");
            check(waits(reason), json!({}), false, Err(&text));
        }
        let text = "previous terminated container \"count\" in pod \"counter\" not found";
        check(json!({ "running": {} }), json!({}), true, Err(text));
    }
}

//! Runs a container's lifecycle hooks.
//!
//! Upstream: `pkg/kubelet/lifecycle/handlers.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container as ContainerSpec, HTTPGetAction, LifecycleHandler, Pod,
};
use parking_lot::Mutex;

use super::lifecycle::Context;
use super::pod_worker::called;
use super::{prober, references};
use crate::client::events::EventType;
use crate::node::network::PodNetwork;
use crate::node::runtime::{Container, ExecSpec, Output, Stdio};

/// Bound: what is kept of a hook's output for its container's status.
const OUTPUT_BYTES_MAX: usize = 4 << 10;

/// What is to be run, and for whom.
pub(super) struct Hook {
    pub(super) pod: Arc<Pod>,
    pub(super) container: ContainerSpec,
    pub(super) guest: Arc<Container>,
    pub(super) network: PodNetwork,
    pub(super) handler: LifecycleHandler,
}

/// Runs it to its end, which is at the latest its container's. Dropping this ends it, too.
///
/// # Errors
/// The text for the container's status.
pub(super) async fn run(ctx: &Context, hook: &Hook) -> Result<(), String> {
    let handler = &hook.handler;
    if let Some(exec) = &handler.exec {
        let command = exec.command.clone().unwrap_or_default();
        // As Go prints a list.
        let what = format!("Exec lifecycle hook ([{}])", command.join(" "));
        return execute(hook, command).await.map_err(|(error, output)| {
            format!("{} - error: {error}, message: {output:?}", failed(hook, &what))
        });
    }
    if let Some(get) = &handler.http_get {
        let what = format!("HTTP lifecycle hook ({})", get.path.as_deref().unwrap_or_default());
        let answered = tokio::select! {
            answered = ask(ctx, hook, get) => answered,
            _ = hook.guest.wait() => Err("the container has ended".to_owned()),
        };
        return answered.map_err(|error| format!("{} - error: {error}", failed(hook, &what)));
    }
    if let Some(sleep) = &handler.sleep {
        let time = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
        tokio::select! {
            () = ctx.rooms.clock.sleep(time) => {}
            _ = hook.guest.wait() => {}
        }
        return Ok(());
    }
    // Upstream takes tcpSocket here, never ran it, and says no more than that.
    Err("Cannot run handler: invalid handler: a lifecycle hook is exec, httpGet or sleep"
        .to_owned())
}

async fn ask(ctx: &Context, hook: &Hook, get: &HTTPGetAction) -> Result<(), String> {
    let (network, clock) = (&ctx.rooms.network, &ctx.rooms.clock);
    let asked = prober::hook(network, &hook.network, &hook.container, get, clock).await;
    if let Some(text) = asked? {
        let reference = references::pod(&hook.pod);
        ctx.recorder.record(&reference, EventType::Warning, "LifecycleHTTPFallback", text);
    }
    Ok(())
}

fn failed(hook: &Hook, what: &str) -> String {
    let (container, pod) = (&hook.container.name, called(&hook.pod));
    format!("{what} for Container {container:?} in Pod {pod:?} failed")
}

/// The error, and what the program wrote.
async fn execute(hook: &Hook, command: Vec<String>) -> Result<(), (String, String)> {
    let (output, errors) = (Capture::default(), Capture::default());
    let stdio = Stdio { stdout: output.sink(), stderr: errors.sink(), ..Stdio::default() };
    let name = command.join(" ");
    let exec = hook.guest.exec(ExecSpec { argv: command, stdio });
    let error = match exec.await {
        Ok(exit) if exit.code == 0 => return Ok(()),
        Ok(exit) => {
            format!("command '{name}' exited with {}: {}", exit.code, errors.text())
        }
        Err(error) => format!(
            "failed to exec in container: exec failed: unable to start container process: {error}"
        ),
    };
    Err((error, output.text() + &errors.text()))
}

#[derive(Debug, Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    fn sink(&self) -> Output {
        let kept = self.0.clone();
        Output::Log(Arc::new(move |bytes| {
            let mut kept = kept.lock();
            let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

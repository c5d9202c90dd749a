//! `exec`: a program in the container ends well. Upstream: `pkg/probe/exec`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Container as ContainerSpec;
use parking_lot::Mutex;

use super::ask::{Answer, Errored};
use super::dial::Deadline;
use super::words;
use crate::node::kubelet::env::expand;
use crate::node::runtime::{Container, ExecSpec, Output, StartError, Stdio};

/// Bound: what is kept of a program's output, as upstream's `maxReadLength`.
const OUTPUT_BYTES_MAX: usize = 10 << 10;

/// # Errors
/// [`Errored`] if there is no such program, or the node has no place for it.
pub(super) async fn ask(
    container: &Container,
    command: Vec<String>,
    timeout: Duration,
    deadline: &Deadline,
) -> Result<Answer, Errored> {
    let output = Arc::<Mutex<Vec<u8>>>::default();
    let sink = || {
        let output = output.clone();
        Output::Log(Arc::new(move |bytes| {
            let mut output = output.lock();
            let room = OUTPUT_BYTES_MAX.saturating_sub(output.len());
            output.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }))
    };
    let stdio = Stdio { stdout: sink(), stderr: sink(), ..Stdio::default() };
    let called = command.join(" ");
    // Whoever does not end in time is ended by dropping this.
    let exec = container.exec(ExecSpec { argv: command, stdio });
    match deadline.allows(exec).await {
        Some(Ok(exit)) if exit.code == 0 => Ok(Answer::Success),
        Some(Ok(_)) => Ok(Answer::Failure(String::from_utf8_lossy(&output.lock()).into_owned())),
        Some(Err(StartError::Host(text))) => Err(Errored::unknown(text)),
        Some(Err(error)) => Err(Errored::unknown(format!(
            "failed to exec in container: exec failed: unable to start container process: {error}"
        ))),
        None => {
            let timeout = words::duration(timeout);
            let text = format!("command timed out: {called:?} timed out after {timeout}");
            Ok(Answer::Failure(text))
        }
    }
}

/// The command with what of the container's environment is written down as it is.
///
/// Upstream: `ExpandContainerCommandOnlyStatic`.
pub(super) fn command(given: &[String], container: &ContainerSpec) -> Vec<String> {
    let value_of = |name: &str| {
        let mut variables = container.env.iter().flatten().rev();
        variables.find(|variable| variable.name == name).and_then(|variable| variable.value.clone())
    };
    given.iter().map(|text| expand(text, value_of)).collect()
}

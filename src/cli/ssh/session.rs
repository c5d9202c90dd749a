//! A command's streams joined with ours.

use std::io::Read;

use anyhow::{Context, bail};
use futures::SinkExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, TerminalSize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::terminal::Terminal;
use crate::cli::output;

/// In the server's message when the container has no such program.
const NO_PROGRAM: &str = "unable to start container process: ";

/// As a shell and ssh have it.
const NOT_FOUND: u8 = 127;

/// Bound: bytes of one read of our stdin, and of what kube holds of each stream.
const CHUNK_BYTES: usize = 32 * 1024;

/// Bound: reads of our stdin that wait for the connection.
const CHUNKS_MAX: usize = 8;

/// Runs the command and answers its exit code. With a terminal before us it gets one too.
///
/// # Errors
/// If the command cannot be started, or the connection is lost.
pub(super) async fn run(pods: &Api<Pod>, name: &str, command: Vec<String>) -> anyhow::Result<u8> {
    let terminal = Terminal::ours();
    let params = AttachParams::default()
        .stdin(true)
        .stdout(true)
        .stderr(terminal.is_none())
        .tty(terminal.is_some())
        .max_stdin_buf_size(CHUNK_BYTES)
        .max_stdout_buf_size(CHUNK_BYTES)
        .max_stderr_buf_size(CHUNK_BYTES);
    let mut process = pods.exec(name, command, &params).await.context("run the command")?;
    let raw = terminal.as_ref().map(Terminal::raw).transpose().context("set the terminal up")?;
    let stdin = process.stdin().context("run the command: no stdin")?;
    let output = carry(process.stdout(), tokio::io::stdout());
    let errors = carry(process.stderr(), tokio::io::stderr());
    let size_tx = process.terminal_size();
    let status = process.take_status().context("run the command: no status")?;
    let output = async { tokio::join!(output, errors) };
    let (_, status) = tokio::select! {
        ended = async { tokio::join!(output, status) } => ended,
        never = feed(stdin) => match never {},
        never = sizes(terminal.as_ref(), size_tx) => match never {},
    };
    drop(raw);
    match status {
        Some(status) => exit_code(&status),
        None => bail!("stay connected: the cluster has closed the connection"),
    }
}

/// Until its end, or until our side takes no more.
async fn carry(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) {
    if let Some(mut from) = from {
        if tokio::io::copy(&mut from, &mut to).await.is_err() {
            // As with `| head`: the command's end is still of interest.
            let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
        }
        let _ = to.flush().await;
    }
}

/// Sends our stdin, and its end.
async fn feed(mut stdin: impl AsyncWrite + Unpin) -> std::convert::Infallible {
    let (chunk_tx, mut chunk_rx) = mpsc::channel::<Vec<u8>>(CHUNKS_MAX);
    // A thread of our own: nobody waits for a read that never returns.
    std::thread::spawn(move || {
        let mut bytes = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = std::io::stdin().lock().read(&mut bytes) {
            if chunk_tx.blocking_send(bytes[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    while let Some(chunk) = chunk_rx.recv().await {
        if stdin.write_all(&chunk).await.is_err() {
            break;
        }
    }
    // The command may have ended already.
    let _ = stdin.shutdown().await;
    drop(stdin);
    std::future::pending().await
}

/// Tells the command how large our window is, now and whenever it changes.
async fn sizes(
    terminal: Option<&Terminal>,
    size_tx: Option<impl futures::Sink<TerminalSize> + Unpin>,
) -> std::convert::Infallible {
    if let (Some(terminal), Some(mut size_tx)) = (terminal, size_tx) {
        let mut changes = terminal.changes();
        loop {
            if let Some((width, height)) = terminal.size()
                && size_tx.send(TerminalSize { width, height }).await.is_err()
            {
                break;
            }
            changes.next().await;
        }
        return std::future::pending().await;
    }
    std::future::pending().await
}

/// # Errors
/// What the server says, if the command did not run.
fn exit_code(status: &Status) -> anyhow::Result<u8> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.as_ref().and_then(|details| details.causes.as_ref());
    let mut causes = causes.into_iter().flatten();
    let code = causes.find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    let code = code.and_then(|cause| cause.message.as_ref()?.parse::<i32>().ok());
    // As a shell has it: the lower eight bits.
    if let Some(code) = code {
        return Ok(u8::try_from(code & 0xff).unwrap_or(u8::MAX));
    }
    let message = status.message.as_deref().unwrap_or("no reason given");
    let Some((_, missing)) = message.split_once(NO_PROGRAM) else {
        bail!("run the command: {message}")
    };
    output::say(&format!("error: failed to run the command: {missing}"));
    Ok(NOT_FOUND)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn code(status: Value) -> Result<u8, String> {
        exit_code(&serde_json::from_value(status).unwrap()).map_err(|err| err.to_string())
    }

    #[test]
    fn exit_codes_are_passed_on_and_failures_told() {
        assert_eq!(code(json!({"status": "Success"})), Ok(0));
        let causes = json!([{"reason": "ExitCode", "message": "3"}]);
        let failed = json!({"status": "Failure", "details": {"causes": causes}});
        assert_eq!(code(failed), Ok(3));
        let refused = json!({"status": "Failure", "message": "no such program"});
        let missing = "exec failed: unable to start container process: exec: \"x\": not found";
        assert_eq!(code(json!({"status": "Failure", "message": missing})), Ok(127));
        assert_eq!(code(refused), Err("run the command: no such program".to_owned()));
    }
}

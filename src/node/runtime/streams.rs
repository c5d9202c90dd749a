//! A session's standard streams as descriptions.

use std::sync::Arc;
use std::time::Duration;

use super::container::Shared;
use super::description::Description;
use super::terminal::{Pump, Terminal};
use super::{Output, Stdio};
use crate::client::clock::Clock;
use crate::client::node_api::TerminalSize;

/// How long a session waits for its window's size, which clients send at once: a program that asks
/// for it first thing should not see 0.
const SIZE_WAIT: Duration = Duration::from_millis(100);

/// What a first process gets; with a terminal all three are the same.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) stdin: Arc<Description>,
    pub(super) stdout: Arc<Description>,
    pub(super) stderr: Arc<Description>,
    pub(super) terminal: Option<(Arc<Terminal>, Pump)>,
}

impl Streams {
    pub(super) fn open(container: &Arc<Shared>, stdio: Stdio) -> Self {
        let Some(mut size_rx) = stdio.terminal else {
            return Self {
                stdin: Arc::new(stdio.stdin.map_or(Description::Null, Description::source)),
                stdout: Arc::new(description(stdio.stdout)),
                stderr: Arc::new(description(stdio.stderr)),
                terminal: None,
            };
        };
        let size = *size_rx.borrow_and_update();
        let screen = description(stdio.stdout);
        let terminal = Arc::new(Terminal::new(screen, size, Arc::downgrade(container)));
        let stream = Arc::new(Description::Terminal(terminal.clone()));
        Self {
            stdin: stream.clone(),
            stdout: stream.clone(),
            stderr: stream,
            terminal: Some((terminal, Pump { keyboard: stdio.stdin, size_rx })),
        }
    }
}

/// Waits for the window's size, if there is one.
pub(super) async fn await_size(stdio: &mut Stdio, clock: &Clock) {
    let Some(size_rx) = &mut stdio.terminal else { return };
    let is_known = |size: &TerminalSize| *size != TerminalSize::default();
    tokio::select! {
        _ = size_rx.wait_for(is_known) => {}
        () = clock.sleep(SIZE_WAIT) => {}
    }
}

fn description(output: Output) -> Description {
    match output {
        Output::Discard => Description::Null,
        Output::Log(log) => Description::Log(log),
        Output::Writer(writer) => Description::sink(writer),
    }
}

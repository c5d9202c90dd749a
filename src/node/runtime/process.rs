//! One process: a store and a component instance of its own, run to its end.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

use super::Exit;
use super::container::Shared;
use super::description::Description;
use super::kill::KillSwitch;
use super::limits::{MemoryShare, OutOfMemory};
use super::meter::Meter;
use super::program::Program;
use super::wasi;
use crate::client::clock::Clock;
use crate::node::files::Place;

/// Bound: streams, files, handles and children a process holds at a time.
const RESOURCES_MAX: usize = 16 * 1024;
/// Exit code of what the host could not start.
const NOT_STARTED: i32 = 128;
const ABORTED: i32 = 134;
const FAULT: i32 = 139;

/// All that makes a process, but for its program.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) container: Arc<Shared>,
    pub(super) pid: u32,
    pub(super) kill: KillSwitch,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Absolute.
    pub(super) working_dir: String,
    pub(super) working_place: Place,
    pub(super) stdin: Arc<Description>,
    pub(super) stdout: Arc<Description>,
    pub(super) stderr: Arc<Description>,
    /// What the parent hands over.
    pub(super) state: Option<Vec<u8>>,
}

/// What a store holds.
pub(super) struct Process {
    pub(super) table: ResourceTable,
    pub(super) wasi: WasiCtx,
    pub(super) container: Arc<Shared>,
    pub(super) pid: u32,
    pub(super) working_place: Place,
    pub(super) stdin: Arc<Description>,
    pub(super) stdout: Arc<Description>,
    pub(super) stderr: Arc<Description>,
    pub(super) state: Option<Vec<u8>>,
    memory: MemoryShare,
}

impl Process {
    fn new(start: Start) -> Self {
        let wasi = wasi::context(&start);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let memory = start.container.memory_share();
        Self {
            table,
            wasi,
            container: start.container,
            pid: start.pid,
            working_place: start.working_place,
            stdin: start.stdin,
            stdout: start.stdout,
            stderr: start.stderr,
            state: start.state,
            memory,
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.container.runtime.clock
    }
}

impl WasiView for Process {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Runs a program to its end, or until the process is killed. Dropping this ends it too.
pub(super) async fn run(program: Arc<Program>, start: Start, meter: Arc<Meter>) -> Exit {
    let (kill, name) = (start.kill.clone(), start.argv.first().cloned().unwrap_or_default());
    let (stdout, stderr) = (start.stdout.clone(), start.stderr.clone());
    let live = async {
        let runnable = program.runnable();
        let mut store = Store::new(runnable.engine(), Process::new(start));
        store.limiter(|process| &mut process.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| Ok(UpdateDeadline::YieldCustom(1, meter.pause())));
        let end = runnable.run(&mut store).await;
        // The process's ends of pipes close before anyone learns of its end.
        drop(store);
        let exit = exit_of(end, &kill);
        if let Some(message) = &exit.message {
            let line = format!("{name}: {message}\n");
            // Nobody may be left to read it.
            let _ = stderr.write(line.as_bytes()).await;
        }
        stdout.flush().await;
        stderr.flush().await;
        exit
    };
    tokio::select! {
        biased;
        () = kill.turned() => kill.exit(),
        exit = live => exit,
    }
}

fn exit_of(end: wasmtime::Result<i32>, kill: &KillSwitch) -> Exit {
    let error = match end {
        Ok(code) => return Exit::code(code),
        Err(error) => error,
    };
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Exit::code(code & 0xff);
    }
    if error.downcast_ref::<OutOfMemory>().is_some() {
        return kill.exit();
    }
    let trap = error.downcast_ref::<Trap>();
    let code = match trap {
        Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => FAULT,
        Some(_) => ABORTED,
        None => NOT_STARTED,
    };
    let message = match trap {
        Some(trap) => trap.to_string(),
        None => format!("could not run: {error:#}"),
    };
    Exit { code, oom_killed: false, message: Some(message) }
}

impl Exit {
    pub(super) fn code(code: i32) -> Self {
        Self { code, oom_killed: false, message: None }
    }
}

//! One process: a store and a component instance of its own, run to its end.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use super::Exit;
use super::container::{Launch, Shared};
use super::description::Description;
use super::kill::KillSwitch;
use super::limits::{MemoryShare, OutOfMemory};
use super::meter::Meter;
use super::processes::Entry;
use super::program::Program;
use super::wasi;
use crate::client::clock::Clock;
use crate::node::files::{Place, Root};

/// Bound: streams, files, handles, sockets and children a process holds at a time.
const RESOURCES_MAX: usize = 64 * 1024;
/// Exit code of what the host could not start.
const NOT_STARTED: i32 = 128;
const ABORTED: i32 = 134;
const FAULT: i32 = 139;

/// All that makes a process, but for its program.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) container: Arc<Shared>,
    pub(super) entry: Arc<Entry>,
    pub(super) kill: KillSwitch,
    pub(super) launch: Launch,
}

/// What a store holds.
pub(super) struct Process {
    pub(super) table: ResourceTable,
    pub(super) wasi: WasiCtx,
    pub(super) http: WasiHttpCtx,
    /// Its own requests to others.
    pub(super) requests: wasi::Requests,
    /// Of the request that is being answered.
    pub(super) connection: Option<wasi::Ends>,
    pub(super) container: Arc<Shared>,
    pub(super) entry: Arc<Entry>,
    pub(super) root: Arc<Root>,
    pub(super) working_place: Place,
    pub(super) stdin: Arc<Description>,
    pub(super) stdout: Arc<Description>,
    pub(super) stderr: Arc<Description>,
    /// Taken when the guest asks for them.
    pub(super) others: Vec<(u32, Arc<Description>)>,
    pub(super) state: Option<Vec<u8>>,
    /// Open ones.
    pub(super) sockets: usize,
    pub(super) tls_connections: usize,
    memory: MemoryShare,
}

impl Process {
    /// What only one can have (streams beyond the three, what the parent handed over) is taken out of
    /// `start`; the rest may serve for more instances.
    pub(super) fn new(start: &mut Start) -> Self {
        let (others, state) = (std::mem::take(&mut start.launch.others), start.launch.state.take());
        Self { others, state, ..Self::another(start) }
    }

    /// One more instance of the same process.
    pub(super) fn another(start: &Start) -> Self {
        let Start { container, entry, launch, .. } = start;
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        Self {
            table,
            wasi: wasi::context(container, launch),
            http: WasiHttpCtx::new(),
            requests: wasi::Requests::new(container),
            connection: None,
            container: container.clone(),
            entry: entry.clone(),
            root: launch.root.clone(),
            working_place: launch.working_place.clone(),
            stdin: launch.stdin.clone(),
            stdout: launch.stdout.clone(),
            stderr: launch.stderr.clone(),
            others: Vec::new(),
            state: None,
            sockets: 0,
            tls_connections: 0,
            memory: container.memory_share(entry),
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
pub(super) async fn run(program: Arc<Program>, start: Start) -> Exit {
    let kill = start.kill.clone();
    let name = start.launch.argv.first().cloned().unwrap_or_default();
    let (stdout, stderr) = (start.launch.stdout.clone(), start.launch.stderr.clone());
    let live = async {
        let is_server = start.container.http.is_server;
        start.entry.meter.available().await;
        // The process's ends of pipes close before anyone learns of its end.
        let end = program.runnable(is_server).run(start).await;
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

/// A store that is interrupted with each tick and counts against its container's limits.
pub(super) fn store(engine: &Engine, process: Process, meter: Arc<Meter>) -> Store<Process> {
    let mut store = Store::new(engine, process);
    store.limiter(|process| &mut process.memory);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| Ok(UpdateDeadline::YieldCustom(1, meter.pause())));
    store
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

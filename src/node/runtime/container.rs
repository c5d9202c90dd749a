//! A container: the processes that share a root, budgets and a kill switch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, oneshot, watch};
use tokio_util::task::TaskTracker;

use super::description::Description;
use super::kill::KillSwitch;
use super::limits::{CpuBudget, MemoryBudget, MemoryShare};
use super::machine::Machine;
use super::meter::Meter;
use super::metered::Metered;
use super::proc::Proc;
use super::process::{self, Start};
use super::processes::{Entry, PROCESSES_MAX, Processes};
use super::program::{Program, find};
use super::signals::{self, Signals};
use super::streams::{self, Streams};
use super::terminal::{Pump, Terminal};
use super::tools::{DEFAULT_PATH, Found, Tools};
use super::wasi::Client;
use super::{Container, ContainerSpec, ExecSpec, Exit, Http, Inner, Sandbox, StartError, Stdio};
use crate::node::files::{Place, Root};
use crate::node::network::PodNetwork;

/// Memory of a container without a limit, in bytes: what one wasm32 memory can be.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
const SIGKILL: u8 = 9;

/// What all processes of a container share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) runtime: Arc<Inner>,
    pub(super) machine: Arc<Machine>,
    pub(super) root: Arc<Root>,
    pub(super) tools: Option<Tools>,
    /// The same root with the tools below it, once someone needed them.
    pub(super) root_with_tools: OnceCell<Arc<Root>>,
    pub(super) env: Vec<(String, String)>,
    working_dir: String,
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) cpu: Arc<CpuBudget>,
    pub(super) kill: KillSwitch,
    pub(super) started_at: Timestamp,
    pub(super) network: Option<PodNetwork>,
    pub(super) http: Http,
    /// How many requests its servers have answered, once there is one.
    pub(super) requests: OnceLock<AtomicU64>,
    /// For its guests' own requests.
    pub(super) client: Client,
    tasks: TaskTracker,
    pub(super) processes: Processes,
}

/// A new process's own part.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// The container's, or its view with the tools; its children get the same.
    pub(super) root: Arc<Root>,
    /// Absolute.
    pub(super) working_dir: String,
    pub(super) working_place: Place,
    pub(super) stdin: Arc<Description>,
    pub(super) stdout: Arc<Description>,
    pub(super) stderr: Arc<Description>,
    /// Streams beyond the three, by the descriptor's number.
    pub(super) others: Vec<(u32, Arc<Description>)>,
    /// What the parent hands over.
    pub(super) state: Option<Vec<u8>>,
    pub(super) kinship: Kinship,
    /// A server says with it that its ports are open.
    pub(super) ready: Option<oneshot::Sender<()>>,
}

/// Where a new process belongs. Without a parent it begins a session of its own.
#[derive(Debug, Default)]
pub(super) struct Kinship {
    /// 0: from outside the container.
    pub(super) parent: u32,
    /// `None`: a new one.
    pub(super) group: Option<u32>,
    pub(super) terminal: Option<Arc<Terminal>>,
    pub(super) ignored: signals::Set,
}

/// A started process, for those who wait for it or end it.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) entry: Arc<Entry>,
    pub(super) kill: KillSwitch,
    exit_rx: watch::Receiver<Option<Exit>>,
}

/// Why there is no new process.
#[derive(Debug, thiserror::Error)]
pub(super) enum LimitReached {
    #[error("the container's {PROCESSES_MAX} processes are all in use")]
    Processes,
    #[error("all instances of the node are in use")]
    Instances,
}

pub(super) async fn start(sandbox: &Sandbox, spec: ContainerSpec) -> Result<Container, StartError> {
    let runtime = sandbox.runtime.0.clone();
    let machine = runtime.machine().await?;
    let working_place = spec.root.create_directories(&spec.working_dir).map_err(|error| {
        StartError::Host(format!("working directory {}: {error}", spec.working_dir))
    })?;
    let (memory, cpu) = (
        MemoryBudget::new(spec.memory_bytes_max.unwrap_or(MEMORY_BYTES_MAX)),
        Arc::new(CpuBudget::new(spec.cpu_millis_max)),
    );
    let processes = sandbox.processes.clone().unwrap_or_default();
    let proc = Proc {
        hostname: sandbox.hostname.clone(),
        root: Root::clone(&spec.root),
        processes: processes.clone(),
        memory: memory.clone(),
        node_memory: machine.memory.clone(),
        cpu: cpu.clone(),
        started_at: runtime.clock.now(),
        clock: runtime.clock.clone(),
    };
    let shared = Arc::new(Shared {
        env: environment(spec.env, &sandbox.hostname),
        working_dir: spec.working_dir,
        memory,
        cpu,
        kill: machine.kill.below(),
        started_at: runtime.clock.now(),
        client: Client::new(sandbox.network.clone(), runtime.clock.clone()),
        network: sandbox.network.clone(),
        http: spec.http,
        requests: OnceLock::new(),
        tasks: TaskTracker::new(),
        processes,
        root: Arc::new(proc.mounted(&spec.root)),
        tools: spec.tools,
        root_with_tools: OnceCell::new(),
        runtime,
        machine,
    });
    // Whoever drops this future has no use for what it started.
    let mut container = Container { shared: shared.clone(), first: None };
    let program = shared.own_program(&working_place, spec.argv).await?;
    let (ready_tx, ready_rx) = oneshot::channel();
    let serves = program.program.runnable(shared.http.is_server).serves();
    let ready_tx = serves.then_some(ready_tx);
    let first = shared.start(program, spec.stdio, working_place, ready_tx)?;
    container.first = Some(first.clone());
    if serves {
        // Fails if it ends before, which it tells itself.
        let _ = ready_rx.await;
    }
    shared.machine.tasks.spawn_on(
        {
            let shared = shared.clone();
            async move {
                first.wait().await;
                shared.kill.kill(SIGKILL);
                shared.tasks.close();
            }
        },
        shared.machine.handle(),
    );
    Ok(container)
}

impl Container {
    /// The first process's end; the same answer each time. By then all its processes have ended.
    pub async fn wait(&self) -> Exit {
        let exit = match &self.first {
            Some(first) => first.wait().await,
            None => std::future::pending().await,
        };
        self.shared.tasks.wait().await;
        exit
    }

    /// Whether its first process has something to do when it is to end: it catches or ignores SIGTERM.
    /// Any other would be ended by [`Container::tell`].
    pub fn listens(&self) -> bool {
        let first = self.first.as_ref();
        first.is_some_and(|first| first.entry.signals.is_handled(signals::TERMINATE))
    }

    /// Asks it to end: SIGTERM to its first process.
    pub fn tell(&self) {
        if let Some(first) = &self.first {
            first.entry.signals.deliver(signals::TERMINATE);
        }
    }

    /// Ends all its processes with 128 + signal, within milliseconds, busy or blocked.
    pub fn kill(&self, signal: u8) {
        self.shared.kill.kill(signal);
    }

    /// One more process, in the container's root, environment and limits; ends with the container,
    /// or when the future is dropped. A program that the container has not is taken from the tools.
    ///
    /// # Errors
    /// [`StartError::NotFound`] if there is no such program.
    pub async fn exec(&self, mut spec: ExecSpec) -> Result<Exit, StartError> {
        streams::await_size(&mut spec.stdio, &self.shared.runtime.clock).await;
        let working_dir = &self.shared.working_dir;
        let place = self.shared.root.create_directories(working_dir);
        let place = place.map_err(|error| StartError::Host(format!("{working_dir}: {error}")))?;
        let program = self.shared.own_program_or_tool(&place, spec.argv).await?;
        let child = self.shared.start(program, spec.stdio, place, None)?;
        let _killed_on_drop = KillOnDrop(&child);
        Ok(child.wait().await)
    }

    /// The table that its processes are in, for other containers to join.
    pub fn processes(&self) -> Processes {
        self.shared.processes.clone()
    }

    /// CPU time of all its processes so far.
    pub fn cpu_time(&self) -> Duration {
        self.shared.cpu.total()
    }

    /// How many requests its wasi:http servers have answered so far; `None` if it has none.
    pub fn requests(&self) -> Option<u64> {
        self.shared.requests.get().map(|count| count.load(Ordering::Relaxed))
    }

    /// Linear memory and tables of all its processes, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.shared.memory.used()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.shared.kill.kill(SIGKILL);
        self.shared.tasks.close();
    }
}

struct KillOnDrop<'a>(&'a Child);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.kill.kill(SIGKILL);
    }
}

impl Child {
    pub(super) async fn wait(&self) -> Exit {
        let mut exit_rx = self.exit_rx.clone();
        match exit_rx.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or_else(|| self.kill.exit()),
            // The process's task was dropped with its runtime.
            Err(_) => self.kill.exit(),
        }
    }

    pub(super) fn try_wait(&self) -> Option<Exit> {
        self.exit_rx.borrow().clone()
    }
}

impl Shared {
    /// One of its servers begins: from now on its requests are counted.
    pub(super) fn serves_requests(&self) {
        self.requests.get_or_init(AtomicU64::default);
    }

    pub(super) fn answered_request(&self) {
        if let Some(count) = self.requests.get() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Starts a program that nobody in the container asked for.
    fn start(
        self: &Arc<Self>,
        found: Found,
        stdio: Stdio,
        working_place: Place,
        ready: Option<oneshot::Sender<()>>,
    ) -> Result<Child, StartError> {
        let streams = Streams::open(self, stdio);
        let terminal = streams.terminal.as_ref().map(|(terminal, _)| terminal.clone());
        let launch = Launch {
            argv: found.argv,
            env: with_terminal(found.env, terminal.is_some()),
            root: found.root,
            working_dir: self.working_dir.clone(),
            working_place,
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
            others: Vec::new(),
            state: None,
            kinship: Kinship { terminal, ..Kinship::default() },
            ready,
        };
        let spawned = self.spawn(found.program, launch);
        let child = spawned.map_err(|error| StartError::Host(error.to_string()))?;
        if let Some((terminal, pump)) = streams.terminal {
            terminal.set_foreground(child.entry.group);
            let session = session(self.clone(), child.clone(), terminal, pump);
            self.machine.tasks.spawn_on(self.tasks.track_future(session), self.machine.handle());
        }
        Ok(child)
    }

    /// The program of a file, and the arguments it is to have (a script's interpreter gets others).
    pub(super) async fn load(
        &self,
        root: &Root,
        found: find::Executable,
        argv: Vec<String>,
    ) -> Result<(Arc<Program>, Vec<String>), StartError> {
        if let Some(program) = self.machine.programs.known(&found) {
            return Ok((program, argv));
        }
        let (found, argv) = find::interpreter(root, found, argv)?;
        let program =
            self.machine.programs.load(&self.machine, &self.runtime.clock, root, &found).await?;
        Ok((program, argv))
    }

    pub(super) fn spawn(
        self: &Arc<Self>,
        program: Arc<Program>,
        mut launch: Launch,
    ) -> Result<Child, LimitReached> {
        with_working_dir(&mut launch);
        let instance = self.machine.instance().ok_or(LimitReached::Instances)?;
        let kill = self.kill.below();
        let entry = self.processes.enter(|pid| self.entry(pid, &launch, kill.clone()));
        let entry = entry.ok_or(LimitReached::Processes)?;
        let (exit_tx, exit_rx) = watch::channel(None);
        launch.root = Arc::new(launch.root.seen_by(entry.pid));
        let child = Child { entry: entry.clone(), kill: kill.clone(), exit_rx };
        let (pid, meter) = (entry.pid, entry.meter.clone());
        let start = Start { container: self.clone(), entry, kill, launch };
        // From now on it is about to compute, be its first turn far off.
        let guest = Metered::new(process::run(program, start), self.machine.clone(), meter);
        let live = self.clone().live(pid, guest, instance, exit_tx);
        self.machine.tasks.spawn_on(self.tasks.track_future(live), self.machine.handle());
        Ok(child)
    }

    fn entry(&self, pid: u32, launch: &Launch, kill: KillSwitch) -> Entry {
        let Kinship { parent, group, terminal, ignored } = &launch.kinship;
        Entry {
            pid,
            parent: *parent,
            group: group.unwrap_or(pid),
            argv: launch.argv.clone(),
            started_at: self.runtime.clock.now(),
            signals: Signals::new(kill, *ignored),
            meter: Meter::new(self.runtime.clock.clone(), self.cpu.clone()),
            memory_bytes: Arc::default(),
            terminal: terminal.clone(),
        }
    }

    async fn live(
        self: Arc<Self>,
        pid: u32,
        mut guest: Metered<Exit>,
        instance: OwnedSemaphorePermit,
        exit_tx: watch::Sender<Option<Exit>>,
    ) {
        let exit = (&mut guest).await;
        drop(instance);
        self.processes.leave(pid);
        exit_tx.send_replace(Some(exit));
        // From now on its parent has something to do instead.
        drop(guest);
    }

    /// Runs it on the guests' threads; the container has ended only when it has, too.
    pub(super) fn spawn_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.machine.tasks.spawn_on(self.tasks.track_future(task), self.machine.handle());
    }

    pub(super) fn memory_share(&self, entry: &Entry) -> MemoryShare {
        let (container, everyone) = (self.memory.clone(), self.machine.memory.clone());
        MemoryShare::new(entry.memory_bytes.clone(), container, everyone, self.kill.clone())
    }
}

/// Keeps a session's terminal going until its first process has ended; the others are hung up on.
async fn session(shared: Arc<Shared>, leader: Child, terminal: Arc<Terminal>, pump: Pump) {
    tokio::select! {
        _ = leader.wait() => {}
        () = terminal.pump(pump) => {}
    }
    shared.processes.signal_session(&terminal, signals::HANGUP);
}

/// What every terminal's processes have in their environment, as containers do elsewhere.
fn with_terminal(mut env: Vec<(String, String)>, is_terminal: bool) -> Vec<(String, String)> {
    if is_terminal && !env.iter().any(|(key, _)| key == "TERM") {
        env.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    env
}

/// What every container has in its environment, unless it says otherwise.
fn environment(mut env: Vec<(String, String)>, hostname: &str) -> Vec<(String, String)> {
    for (key, value) in [("PATH", DEFAULT_PATH), ("HOSTNAME", hostname), ("HOME", "/root")] {
        if !env.iter().any(|(existing, _)| existing == key) {
            env.push((key.to_owned(), value.to_owned()));
        }
    }
    env
}

/// WASI has no working directory: programs learn theirs from PWD.
fn with_working_dir(launch: &mut Launch) {
    launch.env.retain(|(key, _)| key != "PWD");
    launch.env.push(("PWD".to_owned(), launch.working_dir.clone()));
}

//! A container: the processes that share a root, budgets and a kill switch.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::task::TaskTracker;

use super::description::Description;
use super::kill::KillSwitch;
use super::limits::{CpuBudget, MemoryBudget, MemoryShare};
use super::machine::Machine;
use super::meter::{Meter, Metered};
use super::process::{self, Start};
use super::program::{Program, find};
use super::{Container, ContainerSpec, ExecSpec, Exit, Inner, Output, StartError, Stdio};
use crate::node::files::{Place, Root};

/// Bound: live processes of a container.
const PROCESSES_MAX: usize = 256;
/// Memory of a container without a limit, in bytes: what one wasm32 memory can be.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
const SIGKILL: u8 = 9;
/// As container engines set it where an image does not.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What all processes of a container share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) runtime: Arc<Inner>,
    pub(super) machine: Arc<Machine>,
    pub(super) root: Arc<Root>,
    env: Vec<(String, String)>,
    working_dir: String,
    memory: Arc<MemoryBudget>,
    cpu: Option<Arc<CpuBudget>>,
    pub(super) kill: KillSwitch,
    tasks: TaskTracker,
    processes: Mutex<Processes>,
}

#[derive(Debug, Default)]
struct Processes {
    last_pid: u32,
    live: usize,
}

/// A new process's own part.
pub(super) struct Launch {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) working_dir: String,
    pub(super) working_place: Place,
    pub(super) stdin: Arc<Description>,
    pub(super) stdout: Arc<Description>,
    pub(super) stderr: Arc<Description>,
    pub(super) state: Option<Vec<u8>>,
}

/// A started process, for those who wait for it or end it.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) pid: u32,
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

pub(super) async fn start(
    runtime: Arc<Inner>,
    hostname: &str,
    spec: ContainerSpec,
) -> Result<Container, StartError> {
    let machine = runtime.machine().await?;
    let working_place = spec.root.create_directories(&spec.working_dir).map_err(|error| {
        StartError::Host(format!("working directory {}: {error}", spec.working_dir))
    })?;
    let shared = Arc::new(Shared {
        env: environment(spec.env, hostname),
        working_dir: spec.working_dir,
        memory: MemoryBudget::new(spec.memory_bytes_max.unwrap_or(MEMORY_BYTES_MAX)),
        cpu: spec.cpu_millis_max.map(|millis| Arc::new(CpuBudget::new(millis))),
        kill: machine.kill.below(),
        tasks: TaskTracker::new(),
        processes: Mutex::default(),
        root: spec.root,
        runtime,
        machine,
    });
    // Whoever drops this future has no use for what it started.
    let mut container = Container { shared: shared.clone(), first: None };
    let first = shared.start(spec.argv, spec.stdio, working_place).await?;
    container.first = Some(first.clone());
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

    /// Ends all its processes with 128 + signal, within milliseconds, busy or blocked.
    pub fn kill(&self, signal: u8) {
        self.shared.kill.kill(signal);
    }

    /// One more process, in the container's root, environment and limits; ends with the container,
    /// or when the future is dropped.
    ///
    /// # Errors
    /// [`StartError::NotFound`] if there is no such program.
    pub async fn exec(&self, spec: ExecSpec) -> Result<Exit, StartError> {
        let working_dir = &self.shared.working_dir;
        let place = self.shared.root.create_directories(working_dir);
        let place = place.map_err(|error| StartError::Host(format!("{working_dir}: {error}")))?;
        let child = self.shared.start(spec.argv, spec.stdio, place).await?;
        let _killed_on_drop = KillOnDrop(&child);
        Ok(child.wait().await)
    }

    /// CPU time of all its processes so far; it is measured only if there is a limit.
    pub fn cpu_time(&self) -> Duration {
        self.shared.cpu.as_ref().map(|cpu| cpu.total()).unwrap_or_default()
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
    /// Finds a program and starts it with the container's own environment.
    async fn start(
        self: &Arc<Self>,
        argv: Vec<String>,
        stdio: Stdio,
        working_place: Place,
    ) -> Result<Child, StartError> {
        let name = argv.first().cloned().unwrap_or_default();
        let path = self.env.iter().rfind(|(key, _)| key == "PATH").map(|(_, value)| value.as_str());
        let found = find::by_name(&self.root, &working_place, path.unwrap_or(DEFAULT_PATH), &name)?;
        let (program, argv) = self.load(found, argv).await?;
        let launch = Launch {
            argv,
            env: self.env.clone(),
            working_dir: self.working_dir.clone(),
            working_place,
            stdin: Arc::new(stdio.stdin.map_or(Description::Null, Description::source)),
            stdout: Arc::new(description(stdio.stdout)),
            stderr: Arc::new(description(stdio.stderr)),
            state: None,
        };
        self.spawn(program, launch).map_err(|error| StartError::Host(error.to_string()))
    }

    /// The program of a file, and the arguments it is to have (a script's interpreter gets others).
    pub(super) async fn load(
        &self,
        found: find::Executable,
        argv: Vec<String>,
    ) -> Result<(Arc<Program>, Vec<String>), StartError> {
        if let Some(program) = self.machine.programs.known(&found) {
            return Ok((program, argv));
        }
        let (found, argv) = find::interpreter(&self.root, found, argv)?;
        let program = self
            .machine
            .programs
            .load(&self.machine, &self.runtime.clock, &self.root, &found)
            .await?;
        Ok((program, argv))
    }

    pub(super) fn spawn(
        self: &Arc<Self>,
        program: Arc<Program>,
        launch: Launch,
    ) -> Result<Child, LimitReached> {
        let instance = self.machine.instance().ok_or(LimitReached::Instances)?;
        let pid = self.enter().ok_or(LimitReached::Processes)?;
        let (exit_tx, exit_rx) = watch::channel(None);
        let child = Child { pid, kill: self.kill.below(), exit_rx };
        let start = Start {
            container: self.clone(),
            pid,
            kill: child.kill.clone(),
            argv: launch.argv,
            env: with_working_dir(launch.env, &launch.working_dir),
            working_dir: launch.working_dir,
            working_place: launch.working_place,
            stdin: launch.stdin,
            stdout: launch.stdout,
            stderr: launch.stderr,
            state: launch.state,
        };
        let live = self.clone().live(program, start, instance, exit_tx);
        self.machine.tasks.spawn_on(self.tasks.track_future(live), self.machine.handle());
        Ok(child)
    }

    async fn live(
        self: Arc<Self>,
        program: Arc<Program>,
        start: Start,
        instance: OwnedSemaphorePermit,
        exit_tx: watch::Sender<Option<Exit>>,
    ) {
        let meter = Meter::new(self.runtime.clock.clone(), self.cpu.clone());
        let run = process::run(program, start, meter.clone());
        let exit = Metered::new(run, self.machine.ticker.clone(), meter).await;
        drop(instance);
        self.processes.lock().live -= 1;
        exit_tx.send_replace(Some(exit));
    }

    pub(super) fn memory_share(&self) -> MemoryShare {
        let everyone = self.machine.memory.clone();
        MemoryShare::new(self.memory.clone(), everyone, self.kill.clone())
    }

    /// A new pid, unless there are too many processes.
    fn enter(&self) -> Option<u32> {
        let mut processes = self.processes.lock();
        if processes.live >= PROCESSES_MAX {
            return None;
        }
        processes.live += 1;
        processes.last_pid += 1;
        Some(processes.last_pid)
    }
}

fn description(output: Output) -> Description {
    match output {
        Output::Discard => Description::Null,
        Output::Log(log) => Description::Log(log),
        Output::Writer(writer) => Description::sink(writer),
    }
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
fn with_working_dir(mut env: Vec<(String, String)>, working_dir: &str) -> Vec<(String, String)> {
    env.retain(|(key, _)| key != "PWD");
    env.push(("PWD".to_owned(), working_dir.to_owned()));
    env
}

//! The only room that knows wasmtime: turns programs into running, bounded, killable guests.
//!
//! Enter by [`Runtime::sandbox`] (one per Pod), then [`Sandbox::start`] (one per container run);
//! [`Container::exec`] runs one more process in it.
//!
//! ```text
//! container:  start -> running -> exited (its first process ended, or kill, or out of memory)
//! process:    one wasmtime store and component instance of its own; a container's processes share
//!             its root, its memory and CPU budget and its kill switch
//! ```

mod container;
mod credit;
mod description;
mod engine;
mod guests;
mod kill;
mod limits;
mod machine;
mod meter;
mod metered;
mod notice;
mod patience;
mod pipe;
mod priority;
mod proc;
mod process;
mod processes;
mod program;
mod signals;
mod streams;
mod terminal;
mod ticker;
mod tools;
mod turns;
mod wasi;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OnceCell, watch};

use self::container::{Child, Shared};
use self::machine::Machine;
pub use self::processes::Processes;
pub use self::tools::Tools;
use crate::client::clock::Clock;
use crate::client::node_api::{BoxRead, BoxWrite, TerminalSize};
use crate::node::files::Root;
use crate::node::network::PodNetwork;
use crate::telemetry::HttpServer;

#[derive(Debug, Clone)]
pub struct Config {
    /// `DIR/cache`: compiled code, mode 0700; loaded only from here.
    pub cache_directory: PathBuf,
    /// Live instances the pool is made for.
    pub instances_max: u32,
}

/// Engines, linkers, compiled programs, and the threads that run guests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    clock: Clock,
    machine: OnceCell<Arc<Machine>>,
}

/// A Pod's containers.
#[derive(Debug, Clone)]
pub struct Sandbox {
    runtime: Runtime,
    hostname: String,
    /// `None`: its guests find the network down.
    network: Option<PodNetwork>,
    /// `None`: each container has a table of its own.
    processes: Option<Processes>,
}

/// Takes the bytes of a log.
pub type LogSink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Where a process's output goes.
#[derive(Default)]
pub enum Output {
    #[default]
    Discard,
    /// Called on the guest's thread with each write, in order; must not block for long (the log file).
    Log(LogSink),
    /// With back-pressure (exec, attach).
    Writer(BoxWrite),
}

/// A process's standard streams; by default there are none.
#[derive(Default)]
pub struct Stdio {
    /// `None`: at its end from the start.
    pub stdin: Option<BoxRead>,
    pub stdout: Output,
    pub stderr: Output,
    /// With a terminal, in a window of this size: `stdin` is its keyboard, `stdout` its screen, and
    /// `stderr` is not used.
    pub terminal: Option<watch::Receiver<TerminalSize>>,
}

/// One run of one container.
#[derive(Debug)]
pub struct ContainerSpec {
    pub name: String,
    /// Program and arguments, `$(VAR)` expanded; the program is a path, or a name sought in PATH.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Absolute.
    pub working_dir: String,
    pub root: Arc<Root>,
    /// For [`Container::exec`]; the container's own processes do not see them.
    pub tools: Option<Tools>,
    /// Linear memories and tables of all processes together, in bytes.
    pub memory_bytes_max: Option<u64>,
    /// Thousandths of a core, all processes together.
    pub cpu_millis_max: Option<u64>,
    pub stdio: Stdio,
    pub http: Http,
}

/// How a component that exports wasi:http/incoming-handler is served.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// The TCP ports to serve, unless the component itself says; 80 if there are none.
    pub ports: Vec<u16>,
    /// How many requests one instance answers, one after another; at least 1. `None`: as many as the
    /// component allows, which is one unless it exports sampan:network/listeners.
    pub reuse: Option<u32>,
    /// A component that exports wasi:cli/run as well is served, not run.
    pub is_server: bool,
    /// Where its requests are counted.
    pub server: Option<HttpServer>,
}

/// A process of a running container: what `kubectl exec` asks for.
#[derive(Debug)]
pub struct ExecSpec {
    pub argv: Vec<String>,
    pub stdio: Stdio,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// 0–255 as the guest said; 134 trap, 137 killed or out of memory, 139 stack or memory fault.
    pub code: i32,
    pub oom_killed: bool,
    /// What the host has to say about it (a trap's message), for the termination message.
    pub message: Option<String>,
}

/// A running container; ends when its first process ends. Dropping it kills what still runs.
#[derive(Debug)]
pub struct Container {
    shared: Arc<Shared>,
    /// `None` only while it is being started.
    first: Option<Child>,
}

impl Runtime {
    /// Cheap: engines and threads are made on first use, or by [`Runtime::warm_up`].
    ///
    /// # Errors
    /// None yet; a runtime that cannot work says so when it is first used.
    pub fn new(config: Config, clock: Clock) -> Result<Self, StartError> {
        Ok(Self(Arc::new(Inner { config, clock, machine: OnceCell::new() })))
    }

    /// Makes engines and threads, which takes some tens of milliseconds: to be called once the API
    /// listens.
    ///
    /// # Errors
    /// [`StartError::Host`] if the host is not able to run guests.
    pub async fn warm_up(&self) -> Result<(), StartError> {
        self.0.machine().await.map(drop)
    }

    /// A Pod's place to run in; `network` is what its containers share.
    pub fn sandbox(&self, hostname: &str, network: Option<PodNetwork>) -> Sandbox {
        let hostname = hostname.to_owned();
        Sandbox { runtime: self.clone(), hostname, network, processes: None }
    }

    /// Ends all guests and waits for their threads. Nothing can be started afterwards.
    pub async fn shutdown(&self) {
        if let Some(machine) = self.0.machine.get() {
            machine.shutdown().await;
        }
    }
}

impl Inner {
    async fn machine(self: &Arc<Self>) -> Result<Arc<Machine>, StartError> {
        let make = || async {
            let inner = self.clone();
            let made = tokio::task::spawn_blocking(move || Machine::new(&inner.config)).await;
            match made {
                Ok(Ok(machine)) => Ok(Arc::new(machine)),
                Ok(Err(error)) => Err(StartError::Host(format!("cannot run guests: {error:#}"))),
                Err(error) => Err(StartError::Host(format!("cannot run guests: {error}"))),
            }
        };
        self.machine.get_or_try_init(make).await.cloned()
    }
}

impl Sandbox {
    /// The same, but the containers started from it join these processes, see them and may signal
    /// them: Kubernetes' shared process namespace.
    #[must_use]
    pub fn sharing(&self, processes: Processes) -> Self {
        Self { processes: Some(processes), ..self.clone() }
    }

    /// Finds the program, compiles it or loads it from the cache, and sets it going.
    ///
    /// # Errors
    /// The text is what the user reads in an Event; the variant decides the container's reason.
    pub async fn start(&self, spec: ContainerSpec) -> Result<Container, StartError> {
        container::start(self, spec).await
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// Reason `StartError`, exit code 127.
    #[error("{0}")]
    NotFound(String),
    /// It is not WebAssembly, or for an unknown world. Reason `StartError`, exit code 126.
    #[error("{0}")]
    NotExecutable(String),
    /// The host could not (no slot, no memory). Reason `RunContainerError`.
    #[error("{0}")]
    Host(String),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discard => "Discard",
            Self::Log(_) => "Log",
            Self::Writer(_) => "Writer",
        })
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdio")
            .field("stdin", &self.stdin.is_some())
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("terminal", &self.terminal.is_some())
            .finish()
    }
}

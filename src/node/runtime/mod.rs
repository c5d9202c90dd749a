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

use std::path::PathBuf;
use std::sync::Arc;

use crate::client::clock::Clock;
use crate::client::node_api::{BoxRead, BoxWrite};
use crate::node::files::Root;

#[derive(Debug, Clone)]
pub struct Config {
    /// `DIR/cache`: compiled code, mode 0700; loaded only from here.
    pub cache_directory: PathBuf,
    /// Live instances the pool is made for.
    pub instances_max: u32,
}

/// Engines, linkers, compiled programs, and the threads that run guests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
}

/// A Pod's containers.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub(crate) runtime: Runtime,
    pub(crate) hostname: String,
}

/// Where a process's output goes.
pub enum Output {
    Discard,
    /// Called on the guest's thread with each write, in order; must not block for long (the log file).
    Log(Arc<dyn Fn(&[u8]) + Send + Sync>),
    /// With back-pressure (exec, attach).
    Writer(BoxWrite),
}

/// A process's standard streams.
pub struct Stdio {
    /// `None`: at its end from the start.
    pub stdin: Option<BoxRead>,
    pub stdout: Output,
    pub stderr: Output,
}

/// One run of one container.
pub struct ContainerSpec {
    pub name: String,
    /// Program and arguments, `$(VAR)` expanded; the program is a path, or a name sought in PATH.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Absolute.
    pub working_dir: String,
    pub root: Arc<Root>,
    /// Linear memories and tables of all processes together, in bytes.
    pub memory_bytes_max: Option<u64>,
    /// Thousandths of a core, all processes together.
    pub cpu_millis_max: Option<u64>,
    pub stdio: Stdio,
}

/// A process of a running container: what `kubectl exec` asks for.
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
pub struct Container {}

impl Runtime {
    pub fn new(config: Config, clock: Clock) -> Result<Self, StartError> {
        Ok(Self { config: Arc::new(config), clock })
    }

    pub fn sandbox(&self, hostname: &str) -> Sandbox {
        Sandbox { runtime: self.clone(), hostname: hostname.to_owned() }
    }

    /// Ends all guests and waits for their threads.
    pub async fn shutdown(&self) {}
}

impl Sandbox {
    /// Finds the program, compiles it or loads it from the cache, and sets it going.
    ///
    /// # Errors
    /// The text is what the user reads in an Event; the variant decides the container's reason.
    pub async fn start(&self, spec: ContainerSpec) -> Result<Container, StartError> {
        let _ = &self.runtime;
        Err(StartError::NotFound(spec.argv.join(" ")))
    }
}

impl Container {
    /// The first process's end; the same answer each time.
    pub async fn wait(&self) -> Exit {
        std::future::pending().await
    }

    /// Ends all its processes with 128 + signal, within milliseconds, busy or blocked.
    pub fn kill(&self, signal: u8) {
        let _ = signal;
    }

    /// One more process, in the container's root, environment and limits; ends with the container,
    /// or when the future is dropped.
    ///
    /// # Errors
    /// [`StartError::NotFound`] if there is no such program.
    pub async fn exec(&self, spec: ExecSpec) -> Result<Exit, StartError> {
        Err(StartError::NotFound(spec.argv.join(" ")))
    }
}

#[derive(Debug, thiserror::Error)]
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

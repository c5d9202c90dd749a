//! A shell: its variables, functions and open files, and what it does with a command.
//!
//! ```text
//! run       commands, in this process          jobs      pipelines, subshells, children
//! expand    words -> fields                    handover  this shell's state, for another process
//! redirect  open files                         programs  PATH, `#!`, starting a program
//! ```

mod brace;
mod compound;
mod conditional;
mod expand;
mod fields;
mod foreground;
mod handover;
mod jobs;
pub mod options;
mod parameter;
mod programs;
mod redirect;
mod run;
pub mod signals;
mod transform;
mod value;
pub mod variables;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sampan_process as process;

use crate::interactive::Session;
use crate::syntax::{Aliases, Command, Source};

pub use foreground::INTERRUPTED;
pub use jobs::Job;
pub use options::Options;
pub use run::quote;
pub use variables::{Variable, Variables};

/// Why a shell leaves what it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwind {
    /// So many loops.
    Break(u32),
    Continue(u32),
    Return(i32),
    Exit(i32),
    /// A fault that ends a shell unless it is interactive; it has been reported.
    Error(i32),
    /// ^C: back to the prompt.
    Interrupt,
}

/// What a command comes to: its exit status.
pub type Ran = Result<i32, Unwind>;

#[derive(Debug)]
pub struct Function {
    pub body: Rc<Command>,
    /// Its definition, for a shell that continues this one.
    pub source: Source,
}

/// A function that is running.
#[derive(Debug, Default, Clone)]
pub struct Call {
    pub name: String,
    /// What its local variables were outside of it.
    pub locals: Vec<(String, Option<Variable>)>,
}

/// Where a descriptor leads.
#[derive(Debug, Clone)]
pub enum Stream {
    Handle(process::Handle),
    /// Into this shell: the output of a builtin whose substitution needs no process.
    Capture(Rc<RefCell<Vec<u8>>>),
}

#[derive(Debug)]
pub struct Shell {
    /// What it was called by, without its directory; programs in it say so (`sh: missing ]`).
    pub program: String,
    /// `$0`
    pub name: String,
    pub variables: Variables,
    pub positional: Vec<String>,
    pub functions: BTreeMap<String, Rc<Function>>,
    pub options: Options,
    /// `$?`
    pub status: i32,
    pub streams: BTreeMap<u32, Stream>,
    /// `$$`: also in subshells the first shell's.
    pub pid: u32,
    pub jobs: Vec<Job>,
    /// `$!`
    pub last_background: Option<u32>,
    /// Absolute, as the user went there (links are not resolved).
    pub directory: String,
    pub line: u32,
    /// Reads a script file: its messages carry line numbers.
    pub in_script: bool,
    pub interactive: bool,
    /// The terminal that someone sits at.
    pub session: Option<Box<Session>>,
    /// ^C came; what is being done is to end.
    pub(crate) interrupted: bool,
    pub traps: BTreeMap<String, String>,
    /// Trapped signals that the shell sent itself and has not run the traps of.
    sent: Vec<u8>,
    /// What is being run: loops, and functions with their local variables.
    pub loops: u32,
    pub calls: Vec<Call>,
    /// Above 0 where a failure is a condition, not an end (`set -e`).
    pub unchecked: u32,
    /// Status of the last substitution in the command being expanded.
    substitution: Option<i32>,
    /// Was started for the subshell that comes next, and is to be it.
    is_subshell: bool,
    paths: BTreeMap<String, String>,
    /// How far `getopts` is within a word of several options.
    pub options_index: usize,
    pub aliases: Aliases,
    /// What `umask` answers; files have no modes here, so that it means nothing.
    pub umask: u32,
    /// `PIPESTATUS`
    pub pipe_status: Vec<i32>,
    /// `$_`
    last_argument: String,
    /// `PPID`: also in subshells the first shell's parent.
    pub parent: u32,
    random: Cell<u32>,
    /// When `SECONDS` was 0.
    started: Instant,
    indirections: u32,
    /// The descriptor that `>&3-` closes.
    moved: Option<u32>,
    /// Files of `<(…)`: removed with the command they are for.
    process_files: Vec<String>,
}

impl Shell {
    /// A shell with the process's own environment and streams.
    pub fn new(name: String) -> Self {
        let variables = Variables::from_environment(std::env::vars());
        let directory =
            variables.get("PWD").filter(|path| path.starts_with('/')).map(str::to_owned);
        let program = name.rsplit('/').next().unwrap_or("sh").trim_start_matches('-').to_owned();
        let mut shell = Self {
            program,
            name,
            variables,
            positional: Vec::new(),
            functions: BTreeMap::new(),
            options: Options::default(),
            status: 0,
            streams: [process::stdin(), process::stdout(), process::stderr()]
                .into_iter()
                .enumerate()
                .map(|(fd, handle)| (fd as u32, Stream::Handle(handle)))
                .collect(),
            pid: process::pid(),
            jobs: Vec::new(),
            last_background: None,
            directory: directory.unwrap_or_else(working_directory),
            line: 0,
            in_script: false,
            interactive: false,
            session: None,
            interrupted: false,
            traps: BTreeMap::new(),
            sent: Vec::new(),
            loops: 0,
            calls: Vec::new(),
            unchecked: 0,
            substitution: None,
            is_subshell: false,
            paths: BTreeMap::new(),
            options_index: 0,
            aliases: Aliases::default(),
            umask: 0o022,
            pipe_status: Vec::new(),
            last_argument: String::new(),
            parent: process::parent(),
            random: Cell::new(process::pid().wrapping_mul(2_654_435_761)),
            started: Instant::now(),
            indirections: 0,
            moved: None,
            process_files: Vec::new(),
        };
        let others = process::inherited().into_iter();
        shell.streams.extend(others.map(|(fd, handle)| (fd, Stream::Handle(handle))));
        let directory = shell.directory.clone();
        shell.variables.set_quietly("PWD", directory);
        shell
    }

    /// Writes all of it; false if that failed (a closed pipe, a full disk).
    pub fn write(&self, fd: u32, bytes: &[u8]) -> Result<(), process::Error> {
        match self.streams.get(&fd) {
            Some(Stream::Handle(handle)) => handle.write(bytes),
            Some(Stream::Capture(buffer)) => {
                buffer.borrow_mut().extend_from_slice(bytes);
                Ok(())
            }
            None => Err(process::Error::Other("Bad file descriptor".to_owned())),
        }
    }

    /// A message on standard error, as busybox prefixes it.
    pub fn complain(&self, text: &str) {
        let line = if self.in_script { format!("line {}: ", self.line) } else { String::new() };
        let _ = self.write(2, format!("{}: {line}{text}\n", self.name).as_bytes());
    }

    /// A message of a builtin.
    pub fn complain_as(&self, builtin: &str, text: &str) {
        let line = if self.interactive { String::new() } else { format!("line {}: ", self.line) };
        let message = format!("{}: {builtin}: {line}{text}\n", self.name);
        let _ = self.write(2, message.as_bytes());
    }

    /// A fault: a message, and the end of a shell that is not interactive.
    pub fn fail<T>(&self, text: &str) -> Result<T, Unwind> {
        self.complain(text);
        Err(Unwind::Error(2))
    }

    pub fn is_terminal(&self, fd: u32) -> bool {
        matches!(self.streams.get(&fd), Some(Stream::Handle(handle)) if handle.is_terminal())
    }

    /// A line of standard input with its newline; empty at the end. Read byte by byte: what follows
    /// belongs to others.
    pub fn read_line(&self) -> String {
        let mut bytes = Vec::new();
        if let Some(Stream::Handle(handle)) = self.streams.get(&0) {
            while let Ok(read) = handle.read(1) {
                bytes.extend(&read);
                if read.is_empty() || read == b"\n" {
                    break;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Since the shell began, or since `SECONDS` was set.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    fn set_seconds(&mut self, seconds: u64) {
        let now = Instant::now();
        self.started = now.checked_sub(Duration::from_secs(seconds)).unwrap_or(now);
    }

    /// A path of this shell's working directory made absolute.
    pub fn absolute(&self, path: &str) -> String {
        crate::condition::absolute(&self.directory, path)
    }
}

fn working_directory() -> String {
    let directory = std::env::current_dir().ok();
    directory.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| "/".to_owned())
}

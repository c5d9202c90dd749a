//! A shell: its variables, functions and open files, and what it does with a command.
//!
//! ```text
//! run       commands, in this process          jobs      pipelines, subshells, children
//! expand    words -> fields                    handover  this shell's state, for another process
//! redirect  open files                         programs  PATH, `#!`, starting a program
//! ```

mod expand;
mod fields;
mod handover;
mod jobs;
mod parameter;
mod programs;
mod redirect;
mod run;
mod variables;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sampan_process as process;

use crate::syntax::{Command, Source};

pub use jobs::Job;
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
}

/// What a command comes to: its exit status.
pub type Ran = Result<i32, Unwind>;

#[derive(Debug, Default, Clone)]
pub struct Options {
    /// `-C`, `-a`, `-e` … by letter.
    set: String,
    pub pipefail: bool,
}

impl Options {
    pub fn has(&self, letter: char) -> bool {
        self.set.contains(letter)
    }

    pub fn change(&mut self, letter: char, on: bool) {
        self.set.retain(|c| c != letter);
        if on {
            self.set.push(letter);
        }
    }

    pub fn letters(&self) -> &str {
        &self.set
    }
}

#[derive(Debug)]
pub struct Function {
    pub body: Rc<Command>,
    /// Its definition, for a shell that continues this one.
    pub source: Source,
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
    pub traps: BTreeMap<String, String>,
    /// What is being run: loops, and functions with their local variables.
    pub loops: u32,
    pub calls: Vec<Vec<(String, Option<Variable>)>>,
    /// Above 0 where a failure is a condition, not an end (`set -e`).
    pub unchecked: u32,
    /// Status of the last substitution in the command being expanded.
    substitution: Option<i32>,
    /// Was started for the subshell that comes next, and is to be it.
    is_subshell: bool,
    paths: BTreeMap<String, String>,
    /// How far `getopts` is within a word of several options.
    pub options_index: usize,
}

impl Shell {
    /// A shell with the process's own environment and streams.
    pub fn new(name: String) -> Self {
        let variables = Variables::from_environment(std::env::vars());
        let directory =
            variables.get("PWD").filter(|path| path.starts_with('/')).map(str::to_owned);
        let mut shell = Self {
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
            traps: BTreeMap::new(),
            loops: 0,
            calls: Vec::new(),
            unchecked: 0,
            substitution: None,
            is_subshell: false,
            paths: BTreeMap::new(),
            options_index: 0,
        };
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
        let message = format!("{}: {builtin}: line {}: {text}\n", self.name, self.line);
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

    /// A path of this shell's working directory made absolute.
    pub fn absolute(&self, path: &str) -> String {
        crate::condition::absolute(&self.directory, path)
    }
}

fn working_directory() -> String {
    let directory = std::env::current_dir().ok();
    directory.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| "/".to_owned())
}

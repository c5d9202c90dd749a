//! Open files as handles, and child processes: what WASI lacks and sampan gives to its own programs
//! (`wit/process.wit`). Outside WebAssembly the same is done with the system's own processes, so
//! that the shell can be tried and compared on the developer's machine.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
use wasm as backend;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
use native as backend;

pub use backend::{
    Child, Handle, exit, group, inherited, null, open, own_program, parent, pid, pipe, spawn,
    state, stderr, stdin, stdout,
};

pub mod signals;
pub mod system;
pub mod terminal;

use std::fmt;

/// How a file is opened, as in the WIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    Read,
    /// Create or truncate.
    Write,
    /// Create or append.
    Append,
    /// Create, but fail if it exists (`set -C`).
    WriteNew,
    /// `<>`: create, keep the content.
    ReadWrite,
}

/// Why an operation on a handle failed; displayed as the C library words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    NotFound,
    Exists,
    IsDirectory,
    NotDirectory,
    Access,
    NoSpace,
    BrokenPipe,
    Limit,
    /// A caught signal came first: see [`signals::take`].
    Interrupted,
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "No such file or directory",
            Self::Exists => "File exists",
            Self::IsDirectory => "Is a directory",
            Self::NotDirectory => "Not a directory",
            Self::Access => "Permission denied",
            Self::NoSpace => "No space left on device",
            Self::BrokenPipe => "Broken pipe",
            Self::Limit => "Too many open files",
            Self::Interrupted => "Interrupted system call",
            Self::Other(text) => text,
        })
    }
}

/// A program to start, as in the WIT.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// An absolute path.
    pub program: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Absolute.
    pub cwd: String,
    /// What [`state`] is to answer in the new process.
    pub state: Option<Vec<u8>>,
    /// The process group to be in: 0 is a new one, named by the child's pid; without, the parent's.
    pub group: Option<u32>,
    /// Streams beyond the three, for [`inherited`].
    pub others: Vec<(u32, Handle)>,
}

/// Why a program could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpawnError {
    NotFound,
    /// It is there, but it is a directory or not a program.
    NotExecutable(String),
    Limit,
    Other(String),
}

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
    Child, Handle, exit, null, open, own_program, pid, pipe, spawn, state, stderr, stdin, stdout,
};

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

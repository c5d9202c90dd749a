//! What there is to know of the container from inside; see `wit/process.wit`. Outside WebAssembly
//! there is no container, and nothing is known.

/// A process of the container.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: u32,
    /// 0: started from outside the container.
    pub parent: u32,
    pub group: u32,
    /// Whether its standard input, or its session's, is a terminal.
    pub terminal: bool,
    /// Unix time, in milliseconds.
    pub started_ms: u64,
    pub cpu_time_ns: u64,
    /// Linear memories and tables.
    pub memory_bytes: u64,
    /// It computes now; otherwise it waits.
    pub running: bool,
    pub args: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Unix time, in milliseconds.
    pub container_started_ms: u64,
    pub cpu_time_ns: u64,
    pub memory_bytes: u64,
    /// The most that memory can come to: the container's limit, or the node's share.
    pub memory_bytes_max: u64,
    /// Thousandths of a core, if there is a limit.
    pub cpu_millis_max: Option<u64>,
    pub processes_max: u32,
    pub cores: u32,
}

#[derive(Debug, Clone)]
pub struct Mount {
    pub target: String,
    /// `overlay`, `volume`, `devices`, `proc`.
    pub kind: String,
    pub read_only: bool,
    /// Of the filesystem that holds it, in bytes, where that is known.
    pub size: Option<Space>,
}

#[derive(Debug, Clone, Copy)]
pub struct Space {
    pub total: u64,
    pub available: u64,
}

#[cfg(target_family = "wasm")]
mod backend {
    use super::{Mount, Process, Space, Usage};
    use crate::Error;
    use crate::backend::system;

    /// The container's processes, by pid.
    pub fn processes() -> Vec<Process> {
        let process = |info: system::ProcessInfo| Process {
            pid: info.pid,
            parent: info.parent,
            group: info.group,
            terminal: info.terminal,
            started_ms: info.started_ms,
            cpu_time_ns: info.cpu_time_ns,
            memory_bytes: info.memory_bytes,
            running: info.running,
            args: info.args,
        };
        system::processes().into_iter().map(process).collect()
    }

    /// The permission bits of what is at an absolute path, if there is something that has them.
    pub fn mode(path: &str, follow: bool) -> Option<u32> {
        system::mode(path, follow)
    }

    /// Sets permission bits, of 0o777; the owner's reading and writing stay.
    pub fn set_mode(path: &str, mode: u32) -> Result<(), Error> {
        system::set_mode(path, mode).map_err(crate::backend::error)
    }

    /// Signals a process, or with a negative number a group; 0 only asks. Whether there is one.
    pub fn kill(target: i32, signal: u8) -> bool {
        system::kill(target, signal)
    }

    pub fn usage() -> Usage {
        let usage = system::usage();
        Usage {
            container_started_ms: usage.container_started_ms,
            cpu_time_ns: usage.cpu_time_ns,
            memory_bytes: usage.memory_bytes,
            memory_bytes_max: usage.memory_bytes_max,
            cpu_millis_max: usage.cpu_millis_max,
            processes_max: usage.processes_max,
            cores: usage.cores,
        }
    }

    pub fn mounts() -> Vec<Mount> {
        let mount = |mount: system::Mount| Mount {
            target: mount.target,
            kind: mount.kind,
            read_only: mount.read_only,
            size: mount.size.map(|size| Space { total: size.total, available: size.available }),
        };
        system::mounts().into_iter().map(mount).collect()
    }
}

#[cfg(not(target_family = "wasm"))]
mod backend {
    use rustix::process::{Pid, Signal};

    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{Mount, Process, Usage};
    use crate::Error;

    pub fn mode(path: &str, follow: bool) -> Option<u32> {
        let found = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
        Some(found.ok()?.permissions().mode() & 0o7777)
    }

    pub fn set_mode(path: &str, mode: u32) -> Result<(), Error> {
        let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
        set.map_err(|err| Error::Other(err.to_string()))
    }

    pub fn processes() -> Vec<Process> {
        Vec::new()
    }

    pub fn kill(target: i32, signal: u8) -> bool {
        let Some(pid) = Pid::from_raw(target.abs()) else { return false };
        let done = match Signal::from_named_raw(i32::from(signal)) {
            None => rustix::process::test_kill_process(pid),
            Some(signal) if target < 0 => rustix::process::kill_process_group(pid, signal),
            Some(signal) => rustix::process::kill_process(pid, signal),
        };
        done.is_ok()
    }

    pub fn usage() -> Usage {
        Usage::default()
    }

    pub fn mounts() -> Vec<Mount> {
        Vec::new()
    }
}

pub use backend::{kill, mode, mounts, processes, set_mode, usage};

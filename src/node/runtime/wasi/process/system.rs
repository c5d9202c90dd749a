//! The container from inside: its processes, budgets and mounts.

use super::io::file_error;
use super::wit::io;
use super::wit::system::{ContainerUsage, Host, Mount, ProcessInfo, Space};
use crate::node::files::{self, Follow, Place};
use crate::node::runtime::process::Process;
use crate::node::runtime::processes::{Entry, PROCESSES_MAX};

impl Host for Process {
    fn mode(&mut self, path: String, follow: bool) -> wasmtime::Result<Option<u32>> {
        let follow = if follow { Follow::Yes } else { Follow::No };
        let stat = self.root.stat(&Place::root(), &path, follow);
        Ok(stat.ok().and_then(|stat| stat.mode))
    }

    fn set_mode(&mut self, path: String, mode: u32) -> wasmtime::Result<Result<(), io::Error>> {
        Ok(self.root.set_mode(&Place::root(), &path, mode).map_err(file_error))
    }

    fn processes(&mut self) -> wasmtime::Result<Vec<ProcessInfo>> {
        Ok(self.container.processes.list().iter().map(|entry| info(entry)).collect())
    }

    fn kill(&mut self, target: i32, signal: u8) -> wasmtime::Result<bool> {
        let processes = &self.container.processes;
        Ok(match target {
            0 => processes.signal_group(self.entry.group, signal),
            1.. => processes.signal(target.unsigned_abs(), signal),
            _ => processes.signal_group(target.unsigned_abs(), signal),
        })
    }

    fn usage(&mut self) -> wasmtime::Result<ContainerUsage> {
        let container = &self.container;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(ContainerUsage {
            container_started_ms: unix_millis(container.started_at),
            cpu_time_ns: nanos(container.cpu.total()),
            memory_bytes: container.memory.used(),
            memory_bytes_max: container.memory.max().min(container.machine.memory.max()),
            cpu_millis_max: container.cpu.millis_max(),
            processes_max: PROCESSES_MAX as u32,
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
        })
    }

    fn mounts(&mut self) -> wasmtime::Result<Vec<Mount>> {
        Ok(self.root.mounts().into_iter().map(mount).collect())
    }
}

fn info(entry: &Entry) -> ProcessInfo {
    ProcessInfo {
        pid: entry.pid,
        parent: entry.parent,
        group: entry.group,
        terminal: entry.terminal.is_some(),
        started_ms: unix_millis(entry.started_at),
        cpu_time_ns: nanos(entry.meter.total()),
        memory_bytes: entry.memory_bytes(),
        running: entry.meter.is_computing(),
        args: entry.argv.clone(),
    }
}

fn mount(mount: files::MountInfo) -> Mount {
    Mount {
        target: mount.target,
        kind: mount.kind.to_owned(),
        read_only: mount.read_only,
        size: mount.space.map(|space| Space { total: space.total, available: space.available }),
    }
}

fn unix_millis(at: jiff::Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

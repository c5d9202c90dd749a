//! What this process itself uses, asked in portable ways: `None` where the host does not tell.

use std::time::Duration;

/// CPU time of all its threads so far.
#[cfg(unix)]
pub(super) fn cpu_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
    Some(Duration::new(seconds, nanos))
}

#[cfg(not(unix))]
pub(super) fn cpu_time() -> Option<Duration> {
    None
}

/// Memory it occupies, in bytes. Page tables count: ten thousand sandboxes need a lot of them.
#[cfg(target_os = "linux")]
pub(super) fn memory_bytes() -> Option<u64> {
    memory_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn memory_bytes() -> Option<u64> {
    None
}

/// By `man 5 proc_pid_status`.
#[cfg(any(target_os = "linux", test))]
fn memory_of(status: &str) -> Option<u64> {
    let kibibytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some((kibibytes("VmRSS:")? + kibibytes("VmPTE:")?) << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tables_are_memory_too() {
        let status = "Name:\tsampan\nVmRSS:\t    1000 kB\nVmPTE:\t      24 kB\n";
        assert_eq!(memory_of(status), Some(1024 << 10));
        assert_eq!(memory_of("Name:\tsampan\n"), None);
    }
}

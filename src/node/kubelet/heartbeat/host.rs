//! What the host has, asked in portable ways.

use std::path::Path;
use std::thread::available_parallelism;

use tracing::warn;

/// What is assumed of a host that does not tell.
const MEMORY_UNKNOWN: u64 = 4 << 30;
const DISK_UNKNOWN: u64 = 64 << 30;

pub(super) fn cpus() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Physical memory in bytes.
pub(super) fn memory_bytes() -> u64 {
    memory().unwrap_or_else(|| {
        warn!(bytes = MEMORY_UNKNOWN, "The host does not tell its memory; assuming this much");
        MEMORY_UNKNOWN
    })
}

#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(target_os = "macos")]
fn memory() -> Option<u64> {
    let output = std::process::Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn memory() -> Option<u64> {
    None
}

/// Size of the file system that a directory is on, in bytes.
pub(super) fn disk_bytes(directory: &Path) -> u64 {
    disk(directory).unwrap_or_else(|| {
        warn!(bytes = DISK_UNKNOWN, "The host does not tell its disk; assuming this much");
        DISK_UNKNOWN
    })
}

#[cfg(unix)]
fn disk(directory: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(directory).ok()?;
    stat.f_frsize.checked_mul(stat.f_blocks)
}

#[cfg(not(unix))]
fn disk(_: &Path) -> Option<u64> {
    None
}

/// The kernel's release, as `uname -r` prints it.
pub(super) fn kernel() -> String {
    #[cfg(unix)]
    {
        rustix::system::uname().release().to_string_lossy().into_owned()
    }
    #[cfg(not(unix))]
    {
        std::env::consts::OS.to_owned()
    }
}

/// As Go calls it, and so as manifests do.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

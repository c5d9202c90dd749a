//! Programs about the container's processes: it has its own numbers, and all its processes are
//! root's.

mod kill;
mod ps;
mod select;
pub mod signal_names;
mod top;

pub use kill::{kill, killall};
pub use ps::ps;
pub use select::{pgrep, pidof, pkill};
pub use top::top;

use sampan_process::system::Process;

/// The program's name, without its directory.
fn short_name(process: &Process) -> &str {
    let name = process.args.first().map_or("?", String::as_str);
    name.rsplit('/').next().unwrap_or(name).trim_start_matches('-')
}

/// The command line, with what is no printable character shown as `?`.
fn command_line(process: &Process) -> String {
    let line = process.args.join(" ");
    let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if line.is_empty() { "?".to_owned() } else { line }
}

/// `R` computes, `S` waits; `+` as busybox has it is not known.
fn state(process: &Process) -> &'static str {
    if process.running { "R" } else { "S" }
}

/// Minutes and seconds.
fn clock(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Unix time, in milliseconds.
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
fn example(pid: u32, parent: u32, command: &str) -> Process {
    Process {
        pid,
        parent,
        group: pid,
        terminal: false,
        started_ms: 1_000,
        cpu_time_ns: 61_500_000_000,
        memory_bytes: 3 << 20,
        running: pid == 7,
        args: command.split_whitespace().map(str::to_owned).collect(),
    }
}

//! `/proc`, as far as programs look there: made up when it is read, by `man 5 proc`. A container is
//! a machine of its own here: it started when the container did, and has its limits as its memory.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::limits::{CpuBudget, MemoryBudget};
use super::processes::{Entry as Live, Processes};
use crate::client::clock::Clock;
use crate::node::files::{About, Device, Entry, Kind, Made, Mount, Node, Root, Source};

/// Clock ticks of a second, as `sysconf(_SC_CLK_TCK)` has it on Linux.
const TICKS: u64 = 100;
const PAGE_BYTES: u64 = 4096;

/// What of a container is seen in `/proc`.
#[derive(Debug)]
pub(super) struct Proc {
    pub(super) hostname: String,
    /// For its mounts.
    pub(super) root: Root,
    pub(super) processes: Processes,
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) node_memory: Arc<MemoryBudget>,
    pub(super) cpu: Arc<CpuBudget>,
    pub(super) started_at: Timestamp,
    pub(super) clock: Clock,
}

type Content = fn(&Proc) -> String;
type ContentOfProcess = fn(&Proc, &Live) -> Vec<u8>;

/// Files by their path, sorted.
const FILES: &[(&str, Content)] = &[
    ("cpuinfo", Proc::cpuinfo),
    ("loadavg", Proc::loadavg),
    ("meminfo", Proc::meminfo),
    ("stat", Proc::stat),
    ("sys/kernel/hostname", |proc| format!("{}\n", proc.hostname)),
    ("sys/kernel/ostype", |_| "sampan\n".to_owned()),
    ("sys/kernel/pid_max", |_| format!("{}\n", u32::MAX)),
    ("uptime", Proc::uptime),
    ("version", |_| concat!("sampan version ", env!("CARGO_PKG_VERSION"), "\n").to_owned()),
];

const OF_A_PROCESS: &[(&str, ContentOfProcess)] = &[
    ("cmdline", |_, live| {
        live.argv.iter().flat_map(|arg| [arg.as_bytes(), &b"\0"[..]].concat()).collect()
    }),
    ("comm", |_, live| format!("{}\n", name(live)).into()),
    ("mounts", |proc, _| proc.mounts().into()),
    ("stat", |proc, live| proc.process_stat(live).into()),
    ("statm", |_, live| format!("{0} {0} 0 0 0 {0} 0\n", live.memory_bytes() / PAGE_BYTES).into()),
    ("status", |_, live| process_status(live).into()),
];

const STREAMS: &[(&str, Device)] =
    &[("0", Device::Stdin), ("1", Device::Stdout), ("2", Device::Stderr)];

impl Proc {
    /// The root with `/proc` in it, unless a volume is mounted there.
    pub(super) fn mounted(self, root: &Root) -> Root {
        let mut with = root.clone();
        if !root.has_mount_at("/proc") {
            let made = Made::new("proc", move |caller, path| {
                Some((self.node(caller, path)?, About::default()))
            });
            let mount =
                Mount { path: "/proc".to_owned(), source: Source::Made(made), read_only: true };
            // An image with something else there has no use for ours.
            let _ = with.mount(mount);
        }
        with
    }

    fn node(&self, caller: u32, path: &str) -> Option<Node> {
        match path {
            "" => return Some(Node::Directory(self.top(caller))),
            "self" if caller != 0 => return Some(Node::Symlink(caller.to_string())),
            "mounts" => return Some(Node::Symlink("self/mounts".to_owned())),
            _ => {}
        }
        if let Some((_, content)) = FILES.iter().find(|(name, _)| *name == path) {
            return Some(Node::File(content(self).into()));
        }
        let below = names_below(path);
        if !below.is_empty() {
            return Some(Node::Directory(below));
        }
        let (pid, rest) = path.split_once('/').unwrap_or((path, ""));
        let live = self.processes.find(pid.parse().ok()?)?;
        self.of_process(&live, rest, live.pid == caller)
    }

    fn of_process(&self, live: &Live, path: &str, is_caller: bool) -> Option<Node> {
        if path.is_empty() {
            let files = OF_A_PROCESS.iter().map(|(name, _)| entry(name, Kind::File));
            return Some(Node::Directory(files.chain([entry("fd", Kind::Directory)]).collect()));
        }
        if let Some(fd) = path.strip_prefix("fd") {
            // Another's streams are not to be had.
            let streams = if is_caller { STREAMS } else { &[] };
            if fd.is_empty() {
                let entry = |(name, device): &(&str, Device)| entry(name, Kind::Device(*device));
                return Some(Node::Directory(streams.iter().map(entry).collect()));
            }
            let stream = streams.iter().find(|(name, _)| fd.strip_prefix('/') == Some(name));
            return stream.map(|(_, device)| Node::Device(*device));
        }
        let (_, content) = OF_A_PROCESS.iter().find(|(name, _)| *name == path)?;
        Some(Node::File(content(self, live).into()))
    }

    fn top(&self, caller: u32) -> Vec<Entry> {
        let mut entries = names_below("");
        entries.push(entry("mounts", Kind::Symlink));
        if caller != 0 {
            entries.push(entry("self", Kind::Symlink));
        }
        let pids = self.processes.list();
        entries.extend(pids.iter().map(|live| entry(&live.pid.to_string(), Kind::Directory)));
        entries
    }

    fn uptime(&self) -> String {
        let (up, idle) = self.up_and_idle();
        format!("{:.2} {:.2}\n", up.as_secs_f64(), idle.as_secs_f64())
    }

    /// Since the container started, and what its cores could have computed since and did not.
    fn up_and_idle(&self) -> (Duration, Duration) {
        let up = self.clock.now().duration_since(self.started_at);
        let up = Duration::try_from(up).unwrap_or_default();
        (up, (up * cores()).saturating_sub(self.cpu.total()))
    }

    /// Nobody averages the load here; what runs now is true.
    fn loadavg(&self) -> String {
        let processes = self.processes.list();
        let running = processes.iter().filter(|live| live.meter.is_computing()).count();
        let last = processes.last().map_or(0, |live| live.pid);
        format!("0.00 0.00 0.00 {running}/{} {last}\n", processes.len())
    }

    fn meminfo(&self) -> String {
        let total = self.memory.max().min(self.node_memory.max());
        let free = total.saturating_sub(self.memory.used());
        let lines = [
            ("MemTotal:", total),
            ("MemFree:", free),
            ("MemAvailable:", free),
            ("Buffers:", 0),
            ("Cached:", 0),
            ("SwapTotal:", 0),
            ("SwapFree:", 0),
        ];
        lines.iter().fold(String::new(), |mut text, (name, bytes)| {
            let _ = writeln!(text, "{name:<15} {:>8} kB", bytes / 1024);
            text
        })
    }

    fn cpuinfo(&self) -> String {
        (0..cores()).fold(String::new(), |mut text, core| {
            let _ = writeln!(
                text,
                "processor\t: {core}\nmodel name\t: WebAssembly\ncpu cores\t: {}\n",
                cores()
            );
            text
        })
    }

    fn stat(&self) -> String {
        let (_, idle) = self.up_and_idle();
        let processes = self.processes.list();
        let running = processes.iter().filter(|live| live.meter.is_computing()).count();
        format!(
            "cpu  {} 0 0 {} 0 0 0 0 0 0\nctxt 0\nbtime {}\nprocesses {}\nprocs_running {running}\nprocs_blocked 0\n",
            ticks(self.cpu.total()),
            ticks(idle),
            self.started_at.as_second(),
            processes.last().map_or(0, |live| live.pid),
        )
    }

    fn mounts(&self) -> String {
        let mut text = String::new();
        let proc = ("/proc".to_owned(), "proc", true);
        let mounts = self.root.mounts().into_iter();
        let mounts = mounts.map(|mount| (mount.target, mount.kind, mount.read_only));
        for (target, kind, read_only) in mounts.chain([proc]) {
            let access = if read_only { "ro" } else { "rw" };
            // As in fstab: fields are told apart by blanks.
            let target = target.replace('\\', "\\134").replace(' ', "\\040").replace('\n', "\\012");
            let _ = writeln!(text, "{kind} {target} {kind} {access} 0 0");
        }
        text
    }

    fn process_stat(&self, live: &Live) -> String {
        let started = live.started_at.duration_since(self.started_at);
        let started = ticks(Duration::try_from(started).unwrap_or_default());
        let Live { pid, parent, group, .. } = live;
        let (name, state) = (name(live), state(live));
        let terminal = if live.terminal.is_some() { 0x8800 } else { 0 };
        let (user, bytes) = (ticks(live.meter.total()), live.memory_bytes());
        let pages = bytes / PAGE_BYTES;
        let rest = ["0"; 28].join(" ");
        format!(
            "{pid} ({name}) {state} {parent} {group} {group} {terminal} {group} 0 0 0 0 0 {user} 0 0 0 20 0 1 0 {started} {bytes} {pages} {rest}\n"
        )
    }
}

fn process_status(live: &Live) -> String {
    let Live { pid, parent, .. } = live;
    let (name, state, kib) = (name(live), state(live), live.memory_bytes() / 1024);
    let state_name = if state == 'R' { "running" } else { "sleeping" };
    format!(
        "Name:\t{name}\nState:\t{state} ({state_name})\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{parent}\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nVmSize:\t{kib:>8} kB\nVmRSS:\t{kib:>8} kB\nThreads:\t1\n"
    )
}

/// As Linux keeps it: 15 bytes of the program's name.
fn name(live: &Live) -> String {
    let program = live.argv.first().map_or("", String::as_str);
    let name = program.rsplit('/').next().unwrap_or_default();
    name.chars()
        .scan(0, |len, char| {
            *len += char.len_utf8();
            (*len <= 15).then_some(char)
        })
        .collect()
}

fn state(live: &Live) -> char {
    if live.meter.is_computing() { 'R' } else { 'S' }
}

/// The next names below a path of [`FILES`]; empty if it leads to none.
fn names_below(path: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (file, _) in FILES {
        let rest = if path.is_empty() {
            Some(*file)
        } else {
            file.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'))
        };
        let Some(rest) = rest else { continue };
        let (name, kind) = match rest.split_once('/') {
            Some((name, _)) => (name, Kind::Directory),
            None => (rest, Kind::File),
        };
        if entries.last().is_none_or(|last| last.name != name) {
            entries.push(entry(name, kind));
        }
    }
    entries
}

fn entry(name: &str, kind: Kind) -> Entry {
    Entry { name: name.to_owned(), kind }
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / (1000 / TICKS)
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;

    use super::super::kill::KillSwitch;
    use super::super::meter::Meter;
    use super::super::signals::{self, Signals};
    use super::*;
    use crate::node::files::{Error, Follow, OpenOptions, Opened, Place};

    fn root() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let upper = Dir::open_ambient_dir(directory.path(), ambient_authority()).unwrap();
        let root = Root::new(None, upper);
        let (clock, processes) = (Clock::system(), Processes::default());
        let cpu = Arc::new(CpuBudget::new(None));
        let argv = ["/bin/some-program-of-a-long-name", "x y"].map(str::to_owned);
        let entry = |pid| Live {
            pid,
            parent: 0,
            group: pid,
            argv: argv.to_vec(),
            started_at: clock.now(),
            signals: Signals::new(KillSwitch::new(), signals::Set::default()),
            meter: Meter::new(clock.clone(), cpu.clone()),
            memory_bytes: Arc::default(),
            terminal: None,
        };
        processes.enter(entry).unwrap();
        processes.enter(entry).unwrap();
        let proc = Proc {
            hostname: "pod".to_owned(),
            root: root.clone(),
            processes,
            memory: MemoryBudget::new(64 << 20),
            node_memory: MemoryBudget::new(1 << 40),
            cpu,
            started_at: clock.now(),
            clock,
        };
        let root = proc.mounted(&root).seen_by(2);
        (directory, root)
    }

    fn read(root: &Root, path: &str) -> Result<String, Error> {
        let options = OpenOptions { read: true, ..OpenOptions::default() };
        let Opened::File(file) = root.open(&Place::root(), path, options)? else {
            return Err(Error::IsDirectory);
        };
        let mut buffer = vec![0; 4096];
        let len = file.read_at(&mut buffer, 0)?;
        Ok(String::from_utf8(buffer[..len].to_vec()).unwrap())
    }

    #[test]
    fn everything_listed_is_there_and_nothing_can_be_changed() {
        let (_directory, root) = root();
        let mut open = vec!["/proc".to_owned()];
        let mut seen = 0;
        while let Some(path) = open.pop() {
            let (place, ..) = root.locate(&Place::root(), &path, Follow::Yes).unwrap();
            for entry in root.list(&place).unwrap() {
                seen += 1;
                let path = format!("{path}/{}", entry.name);
                let stat = root.stat(&Place::root(), &path, Follow::No).unwrap();
                assert_eq!(stat.kind, entry.kind, "{path}");
                match entry.kind {
                    Kind::Directory => open.push(path.clone()),
                    Kind::File => drop(read(&root, &path).unwrap()),
                    _ => {}
                }
                let write = OpenOptions { write: true, ..OpenOptions::default() };
                if entry.kind == Kind::File {
                    let opened = root.open(&Place::root(), &path, write);
                    assert_eq!(opened.err(), Some(Error::ReadOnly), "{path}");
                }
                let removed = root.unlink(&Place::root(), &path);
                assert!(removed.is_err(), "{path}");
                let renamed = root.rename(&Place::root(), &path, &Place::root(), "/proc/x");
                assert_eq!(renamed, Err(Error::ReadOnly), "{path}");
            }
        }
        assert!(seen > 30, "{seen}");
        let made = root.create_directory(&Place::root(), "/proc/x");
        assert_eq!(made, Err(Error::ReadOnly));
        assert_eq!(root.remove_directory(&Place::root(), "/proc/sys"), Err(Error::ReadOnly));
    }

    #[test]
    fn files_are_as_linux_words_them() {
        let (_directory, root) = root();
        assert_eq!(root.read_link(&Place::root(), "/proc/self").as_deref(), Ok("2"));
        let long = "/bin/some-program-of-a-long-name\0x y\0";
        assert_eq!(read(&root, "/proc/self/cmdline").as_deref(), Ok(long));
        assert_eq!(read(&root, "/proc/1/comm").as_deref(), Ok("some-program-of\n"));
        let stat = read(&root, "/proc/self/stat").unwrap();
        assert!(stat.starts_with("2 (some-program-of) S 0 2 2 "), "{stat}");
        assert_eq!(stat.split_whitespace().count(), 52);
        let meminfo = read(&root, "/proc/meminfo").unwrap();
        assert!(meminfo.starts_with("MemTotal:          65536 kB\nMemFree: "), "{meminfo}");
        let mounts = read(&root, "/proc/mounts").unwrap();
        assert!(mounts.starts_with("overlay / overlay rw 0 0\n"), "{mounts}");
        let devices = root.locate(&Place::root(), "/dev/fd/1", Follow::Yes).unwrap().2;
        assert_eq!(devices.kind, Kind::Device(Device::Stdout));
        assert!(root.stat(&Place::root(), "/proc/1/fd/1", Follow::Yes).is_err());
    }
}

//! A cluster of the test's own, and kubectl pointed at it.

#[cfg(target_os = "linux")]
mod disk;
pub(crate) mod outside;
#[cfg(unix)]
mod seat;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

#[cfg(target_os = "linux")]
pub(crate) use disk::SmallDisk;
#[cfg(unix)]
pub(crate) use seat::Seat;

/// What the stories compile, once for all of them: most of their time went into busybox.
const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");
/// No command of a test takes longer; a hang becomes a failure.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A fresh HOME and working directory, and the data directory in it.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.path().join("kubeconfig")
    }

    /// Writes a file into the working directory and answers its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `sampan …` in this home.
    pub(crate) fn sampan(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    /// `kubectl …` in this home.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Command {
        let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
        let mut command = Command::new(program);
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    /// A command line with a terminal around it, by the `script` of util-linux.
    pub(crate) fn in_terminal(&self, line: &str) -> Command {
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", line, "/dev/null"]);
        self.settle(&mut command);
        command
    }

    fn settle(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.path());
        command.env("KUBECONFIG", self.kubeconfig()).current_dir(self.path());
    }

    /// Starts a cluster here, or starts it again.
    pub(crate) fn up(&self) -> Cluster<'_> {
        self.up_with(&[])
    }

    pub(crate) fn up_with(&self, arguments: &[&str]) -> Cluster<'_> {
        self.up_by(self.sampan(&[]), arguments)
    }

    /// In a process that may hold so many files open, by the `prlimit` of util-linux.
    #[cfg(target_os = "linux")]
    pub(crate) fn up_with_files(&self, files_max: u64, arguments: &[&str]) -> Cluster<'_> {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={files_max}")).arg(env!("CARGO_BIN_EXE_sampan"));
        self.settle(&mut command);
        self.up_by(command, arguments)
    }

    /// Where this disk is mounted.
    #[cfg(target_os = "linux")]
    pub(crate) fn up_on(&self, disk: &SmallDisk) -> Cluster<'_> {
        let mut command = disk.inside(env!("CARGO_BIN_EXE_sampan"));
        self.settle(&mut command);
        self.up_by(command, &[])
    }

    fn up_by(&self, mut command: Command, arguments: &[&str]) -> Cluster<'_> {
        let data = self.path().join("data");
        command.args(["up", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data).args(arguments);
        if !arguments.contains(&"--cache-dir") {
            command.args(["--cache-dir", CACHE]);
        }
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut process = command.spawn().unwrap();
        let report = process.stderr.take().unwrap();
        let (ready_tx, ready_rx) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(report).lines().map_while(Result::ok) {
                // After the test nobody listens.
                let _ = ready_tx.send(line);
            }
        });
        let mut seen = Vec::new();
        while !seen.iter().any(|line: &String| line.contains("kubectl get nodes")) {
            let line = ready_rx.recv_timeout(TIME_MAX);
            seen.push(
                line.unwrap_or_else(|_| panic!("sampan up did not get ready; it said {seen:#?}")),
            );
        }
        Cluster { home: self, process, lines_rx: ready_rx }
    }
}

/// A running `sampan up`; killed when dropped.
pub(crate) struct Cluster<'a> {
    home: &'a Home,
    process: Child,
    lines_rx: mpsc::Receiver<String>,
}

impl Cluster<'_> {
    pub(crate) fn command(&self, line: &str) -> Command {
        self.home.kubectl(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs kubectl with the words of `line`; answers stdout. Panics if it fails.
    #[track_caller]
    pub(crate) fn kubectl(&self, line: &str) -> String {
        let answer = run(self.command(line));
        assert!(answer.code == 0, "kubectl {line}: exit code {}\n{}", answer.code, answer.all());
        answer.stdout
    }

    /// The same, for a command that must fail; answers stderr.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str) -> String {
        let answer = run(self.command(line));
        assert!(answer.code != 0, "kubectl {line} should fail\n{}", answer.all());
        answer.stderr
    }

    /// The same, whatever happens.
    pub(crate) fn run(&self, line: &str) -> Answer {
        run(self.command(line))
    }

    /// Runs kubectl with arguments as they are.
    pub(crate) fn run_words(&self, words: &[&str]) -> Answer {
        run(self.home.kubectl(words))
    }

    /// Asks until the answer, be it an error, is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, line: &str, wanted: impl Fn(&str) -> bool) -> String {
        /// Bound: a story waits no longer for one thing; kubectl takes some 100 ms each time.
        const LOOKS_MAX: usize = 400;
        let mut last = String::new();
        for _ in 0..LOOKS_MAX {
            let answer = self.run(line);
            last = answer.stdout + &answer.stderr;
            if wanted(&last) {
                return last;
            }
        }
        panic!("kubectl {line}: {last}")
    }

    /// kubectl's `wait`, with a limit.
    #[track_caller]
    pub(crate) fn wait_for(&self, condition: &str, object: &str) {
        self.kubectl(&format!("wait --timeout=30s --for={condition} {object}"));
    }

    /// The first of a Service's node ports; `service` may name a namespace, as `-n other web`.
    #[track_caller]
    pub(crate) fn node_port(&self, service: &str) -> u16 {
        let port = "-o jsonpath={.spec.ports[0].nodePort}";
        self.kubectl(&format!("get service {service} {port}")).parse().unwrap()
    }

    /// Starts kubectl and reads its stdout line by line.
    pub(crate) fn follow(&self, line: &str) -> Following {
        Following::start(self.command(line))
    }

    /// Memory of sampan itself, guests included.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Files that sampan holds open, sockets among them.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// As ^C or `sampan down`; answers what it said meanwhile. Panics if it does not stop.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn stop(mut self) -> Vec<String> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut lines = Vec::new();
        // Its stderr closes when it ends.
        loop {
            match self.lines_rx.recv_timeout(TIME_MAX) {
                Ok(line) => lines.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("sampan up did not stop: {lines:#?}")
                }
            }
        }
        assert!(self.process.wait().unwrap().success(), "{lines:#?}");
        lines
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn all(&self) -> String {
        format!("stdout: {}\nstderr: {}", self.stdout, self.stderr)
    }
}

pub(crate) fn run(command: Command) -> Answer {
    run_with_input(command, b"")
}

/// Runs a command with this on its stdin; a hang is a failure.
pub(crate) fn run_with_input(mut command: Command, input: &[u8]) -> Answer {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|err| panic!("{command:?}: {err}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end without reading all of it.
    thread::spawn(move || stdin.write_all(&input));
    let killer = Killer::of(&child);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert!(!killer.fired(), "{command:?} took longer than {TIME_MAX:?}");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Answer { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// Ends a process that takes too long.
struct Killer {
    fired_rx: mpsc::Receiver<()>,
    _cancel_tx: mpsc::Sender<()>,
}

impl Killer {
    fn of(child: &Child) -> Self {
        let (fired_tx, fired_rx) = mpsc::channel();
        let (cancel_tx, cancel_rx) = mpsc::channel::<()>();
        let pid = rustix::process::Pid::from_child(child);
        thread::spawn(move || {
            if cancel_rx.recv_timeout(TIME_MAX) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                let _ = fired_tx.send(());
            }
        });
        Self { fired_rx, _cancel_tx: cancel_tx }
    }

    fn fired(&self) -> bool {
        self.fired_rx.try_recv().is_ok()
    }
}

/// A command whose output is read as it comes; killed when dropped.
pub(crate) struct Following {
    process: Child,
    lines_rx: mpsc::Receiver<String>,
}

impl Following {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines_tx, lines_rx) = mpsc::channel();
        for output in [
            Box::new(process.stdout.take().unwrap()) as Box<dyn Read + Send>,
            Box::new(process.stderr.take().unwrap()),
        ] {
            let lines_tx = lines_tx.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = lines_tx.send(line);
                }
            });
        }
        Self { process, lines_rx }
    }

    /// What it has said so far is of no interest.
    pub(crate) fn skip(&self) {
        while self.lines_rx.try_recv().is_ok() {}
    }

    /// The first line that holds `text`; earlier ones are dropped. Panics if none comes.
    #[track_caller]
    pub(crate) fn line_with(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines_rx.recv_timeout(TIME_MAX) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line with {text:?}; it said {seen:#?}"),
            }
        }
    }

    /// The lines that are left and the exit code, once it has ended by itself. Panics if it does not.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Vec<String>, i32) {
        let mut lines = Vec::new();
        loop {
            match self.lines_rx.recv_timeout(TIME_MAX) {
                Ok(line) => lines.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {lines:#?}"),
            }
        }
        (lines, self.process.wait().unwrap().code().unwrap_or(-1))
    }

    /// As ^C at its terminal, for a command that was started in a process group of its own.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let group = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Whom it has started in a group of its own would stay.
        #[cfg(unix)]
        {
            let pid = rustix::process::Pid::from_child(&self.process);
            if rustix::process::getpgid(Some(pid)) == Ok(pid) {
                let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The tutorial's manifest of this name, byte for byte.
pub(crate) fn tutorial(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("manifests/tutorial")
        .join(name)
        .display()
        .to_string()
}

//! What a command costs in a container that runs: beside Debian's busybox on the same machine, in
//! the same run. Figures are printed, never asserted: see `benches/README.md`.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run has nothing to say")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench measures time")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use sampan::client::clock::Clock;
use sampan::node::files::Root;
use sampan::node::images::{self, Images};
use sampan::node::runtime::{
    Config, Container, ContainerSpec, ExecSpec, Exit, Http, Output, Runtime, Stdio,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// Short commands, and how often each is run.
const SHORT: &[(&str, usize)] = &[("true", 500), ("sh -c true", 500), ("date", 500)];
/// Pipelines, and what they print.
const LONG: &[(&str, &str)] = &[
    ("seq 1 1000000 | sort -n | tail -1", "1000000\n"),
    ("yes | head -100000 | wc -l", "100000\n"),
    ("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo $i", "100000\n"),
    ("i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done; echo $i", "1000\n"),
    ("head -c 104857600 /dev/zero | wc -c", "104857600\n"),
];
const TIMES: usize = 5;
const KEYS: usize = 500;

fn main() {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(run());
}

async fn run() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(
        Config { cache_directory: directory.path().join("cache"), instances_max: 400 },
        Clock::system(),
    )
    .unwrap();
    let container = start(&runtime, directory.path()).await;
    // The programs' quick compilation, then the good one that replaces it in the background.
    for _ in 0..3 {
        for (script, expect) in LONG {
            assert_eq!(ours(&container, &shell(script)).await.1, *expect, "{script}");
        }
    }
    let compiled = directory.path().join("cache");
    println!("compile cache: {} programs", std::fs::read_dir(compiled).unwrap().count());
    println!("{:<64} {:>10} {:>10} {:>7}", "", "sampan", "busybox", "ratio");
    for (command, times) in SHORT {
        short(&container, command, *times).await;
    }
    for (script, expect) in LONG {
        long(&container, script, expect).await;
    }
    memory(&container).await;
    echo(&container).await;
    container.kill(9);
    container.wait().await;
    runtime.shutdown().await;
}

async fn start(runtime: &Runtime, directory: &Path) -> Container {
    let images = Images::new(images::Config {
        directory: directory.join("images"),
        allowed_directories: Vec::new(),
    });
    let image = images.resolve("busybox").await.unwrap();
    let upper = directory.join("upper");
    std::fs::create_dir(&upper).unwrap();
    let upper = Dir::open_ambient_dir(&upper, ambient_authority()).unwrap();
    let spec = ContainerSpec {
        name: "bench".to_owned(),
        argv: words("sleep 100000"),
        env: image.env.clone(),
        working_dir: "/".to_owned(),
        root: Arc::new(Root::new(image.layers.iter().cloned(), upper)),
        tools: None,
        memory_bytes_max: None,
        cpu_millis_max: None,
        http: Http::default(),
        stdio: Stdio::default(),
    };
    runtime.sandbox("bench", None).start(spec).await.unwrap()
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

/// A command in the container: how it ended and what it printed.
async fn ours(container: &Container, argv: &[String]) -> (Exit, String) {
    let (ours, mut theirs) = tokio::io::duplex(64 << 10);
    let stdio = Stdio { stdout: Output::Writer(Box::new(ours)), ..Stdio::default() };
    let mut printed = String::new();
    let exec = container.exec(ExecSpec { argv: argv.to_vec(), stdio });
    let (exit, read) = tokio::join!(exec, theirs.read_to_string(&mut printed));
    read.unwrap();
    (exit.unwrap(), printed)
}

/// The same by Debian's busybox, whose shell runs its own applets; `None` without one.
fn theirs(argv: &[String]) -> Option<String> {
    let output = Command::new("busybox").args(argv).output().ok()?;
    Some(String::from_utf8(output.stdout).unwrap())
}

async fn short(container: &Container, command: &str, times: usize) {
    let argv = words(command);
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let began = Instant::now();
        assert_eq!(ours(container, &argv).await.0.code, 0);
        our_times.push(began.elapsed());
        let began = Instant::now();
        if theirs(&argv).is_some() {
            their_times.push(began.elapsed());
        }
    }
    row(&format!("exec {command}"), our_times, their_times);
}

async fn long(container: &Container, script: &str, expect: &str) {
    let argv = shell(script);
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let began = Instant::now();
        assert_eq!(ours(container, &argv).await.1, expect);
        our_times.push(began.elapsed());
        let began = Instant::now();
        if theirs(&argv).is_some_and(|printed| printed == expect) {
            their_times.push(began.elapsed());
        }
    }
    row(script, our_times, their_times);
}

fn row(what: &str, our_times: Vec<Duration>, their_times: Vec<Duration>) {
    let ours = median(our_times);
    let theirs = (!their_times.is_empty()).then(|| median(their_times));
    let peer = theirs.map_or_else(|| "-".to_owned(), |it| format!("{it:.2?}"));
    let ratio = theirs.map_or(0.0, |it| ours.as_secs_f64() / it.as_secs_f64());
    println!("{what:<64} {:>10} {peer:>10} {ratio:>7.2}", format!("{ours:.2?}"));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What 1,000 processes one after the other leave behind.
async fn memory(container: &Container) {
    let script = "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done";
    ours(container, &shell(script)).await;
    let before = (container.memory_bytes(), resident_kib());
    ours(container, &shell(script)).await;
    let after = (container.memory_bytes(), resident_kib());
    println!(
        "1,000 processes leave {} bytes in the container, {} KiB resident in sampan",
        after.0 - before.0,
        after.1 - before.1
    );
}

/// A key typed into a terminal until its echo is back.
async fn echo(container: &Container) {
    let (screen, mut shown) = tokio::io::duplex(4096);
    let (mut keyboard, keys) = tokio::io::duplex(4096);
    let (_size_tx, size_rx) = watch::channel(Default::default());
    let stdio = Stdio {
        stdin: Some(Box::new(keys)),
        stdout: Output::Writer(Box::new(screen)),
        terminal: Some(size_rx),
        ..Stdio::default()
    };
    let typing = async {
        let mut times = Vec::new();
        for _ in 0..KEYS {
            let began = Instant::now();
            keyboard.write_all(b"x").await.unwrap();
            assert_eq!(shown.read_u8().await.unwrap(), b'x');
            times.push(began.elapsed());
        }
        keyboard.write_all(b"\x03").await.unwrap();
        times
    };
    let sleep = container.exec(ExecSpec { argv: words("sleep 100000"), stdio });
    let (exit, times) = tokio::join!(sleep, typing);
    assert_eq!(exit.unwrap().code, 130);
    println!("terminal: key -> echo, median of {KEYS}: {:.2?}", median(times));
}

/// Resident memory and page tables of this process; 0 where the platform does not tell.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> i64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
    };
    field("VmRSS:") + field("VmPTE:")
}

//! Guests compiled from Rust: std's files, and programs that start programs.

use std::sync::LazyLock;

use super::super::*;
use super::support::{Bench, collected, guest};
use crate::client::clock::Clock;

static TOOL: LazyLock<Vec<u8>> = LazyLock::new(|| guest("tool"));

fn bench() -> Bench {
    bench_with(Clock::system())
}

fn bench_with(clock: Clock) -> Bench {
    let bench = Bench::with_clock(clock).file("bin/tool", &TOOL);
    std::fs::create_dir(bench.directory.path().join("image/etc")).unwrap();
    bench.file("etc/text", b"text")
}

async fn check(args: &[&str], expect: &str) {
    let bench = bench();
    let argv: Vec<&str> = ["tool"].iter().chain(args).copied().collect();
    let (exit, printed) = bench.run(&argv).await;
    assert_eq!((printed.as_str(), exit.code), (expect, 0), "{args:?}: {exit:?}");
    bench.runtime.shutdown().await;
}

#[tokio::test]
async fn arguments_and_environment_arrive() {
    check(&["args", "a b", ""], "[\"tool\", \"args\", \"a b\", \"\"]\n").await;
    check(&["env", "HOSTNAME", "PWD", "HOME"], "HOSTNAME=pod\nPWD=/\nHOME=/root\n").await;
}

#[tokio::test]
async fn std_finds_the_files_it_expects() {
    // ENOTEMPTY, EISDIR, EEXIST, ENOENT, ENOTDIR as wasi-libc numbers them.
    let expect = "0123xy67 8\n[\"b\", \"copied\", \"linked\"]\n\
        Some(55)\nSome(31)\nSome(20)\nSome(44)\nSome(54)\nfalse\ntext\nfalse 0\n";
    check(&["files"], expect).await;
}

#[tokio::test]
async fn devices_are_there() {
    // wasi-libc of Rust 1.95 reads all errors of a stream as EIO: ENOSPC comes with making one.
    let expect = "to stdout\n[0, 0, 0, 0] Some(51) []\n\
        [\"fd\", \"full\", \"null\", \"random\", \"stderr\", \"stdin\", \"stdout\", \"tty\", \"urandom\", \"zero\"]\n";
    check(&["devices"], expect).await;
}

#[tokio::test]
async fn a_pipeline_ends_when_its_reader_does() {
    let line = "y".repeat(4095);
    let bench = bench();
    let (exit, printed) = bench.run(&["tool", "pipeline"]).await;
    assert_eq!(exit.code, 0, "{printed}");
    assert!(printed.contains(&line), "{printed}");
    assert!(printed.contains("BrokenPipe\n"), "{printed}");
    assert!(printed.ends_with("0 0\n"), "{printed}");
}

#[tokio::test]
async fn children_are_killed_busy_or_blocked() {
    check(&["kill"], "143 137 143\n").await;
}

#[tokio::test]
async fn an_open_file_has_one_position_for_all() {
    check(&["shared"], "one\ntwo\n").await;
}

#[tokio::test]
async fn a_child_is_handed_state() {
    check(&["state"], "None\n").await;
    check(&["state", "AB"], "Some([65, 66])\n").await;
}

#[tokio::test]
async fn what_cannot_be_spawned_is_told() {
    let bench = bench();
    let (_, printed) = bench.run(&["tool", "missing"]).await;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "Some(NotFound)");
    assert!(
        lines[1].starts_with("Some(NotExecutable(\"exec: \\\"/bin\\\": is a directory"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].starts_with("Some(NotExecutable(\"exec format error: /etc/text"),
        "{}",
        lines[2]
    );
}

#[tokio::test]
async fn there_is_no_network_of_the_host() {
    check(&["network"], "Some(PermissionDenied)\nSome(PermissionDenied)\n").await;
}

#[tokio::test]
async fn processes_and_their_number_end_with_the_container() {
    let bench = bench();
    let (exit, printed) = bench.run(&["tool", "bomb"]).await;
    assert_eq!((exit.code, printed.as_str()), (0, "39 1\n"), "the bench's pool holds 40");
    assert_eq!(bench.run(&["tool", "echo", "hi"]).await.1, "hi\n", "and they are gone");
}

#[tokio::test]
async fn an_adapted_exit_is_a_childs_too() {
    let bench = bench();
    assert_eq!(bench.run(&["tool", "exit", "77"]).await.0.code, 77);
}

#[tokio::test]
async fn memory_that_is_filled_ends_the_container() {
    let bench = bench();
    let (mut spec, _) = bench.spec(&["tool", "grow"]);
    spec.memory_bytes_max = Some(20 << 20);
    let exit = bench.start(spec).await.unwrap().wait().await;
    assert_eq!((exit.code, exit.oom_killed), (137, true));
}

#[tokio::test]
async fn stdin_and_stdout_are_streams() {
    let bench = bench();
    let (mut spec, _) = bench.spec(&["tool", "cat"]);
    let input = "line\n".repeat(10_000);
    spec.stdio.stdin = Some(Box::new(std::io::Cursor::new(input.clone().into_bytes())));
    let (stdout, text) = collected();
    spec.stdio.stdout = Output::Writer(stdout);
    let container = bench.start(spec).await.unwrap();
    let (exit, text) = tokio::join!(container.wait(), text);
    assert_eq!((exit.code, text), (0, input));
}

#[tokio::test]
async fn a_sleeping_guest_waits_for_the_injected_clock() {
    let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
    let bench = bench_with(clock.clone());
    let (spec, printed) = bench.spec(&["tool", "sleep", "5000"]);
    let container = bench.start(spec).await.unwrap();
    let advance = async {
        loop {
            clock.advance(std::time::Duration::from_millis(2500));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        exit = container.wait() => assert_eq!(exit.code, 0),
        () = advance => {}
    }
    let slept: u64 = printed.text().trim().parse().unwrap();
    assert!(slept >= 5000 && slept.is_multiple_of(2500), "{slept}");
}

#[tokio::test]
async fn a_working_directory_is_made_and_named() {
    let bench = bench();
    let (mut spec, printed) = bench.spec(&["tool", "env", "PWD"]);
    spec.working_dir = "/srv/app".to_owned();
    assert_eq!(bench.start(spec).await.unwrap().wait().await.code, 0);
    assert_eq!(printed.text(), "PWD=/srv/app\n");
}

#[tokio::test]
async fn a_cpu_limit_holds() {
    let clock = Clock::system();
    let bench = bench_with(clock.clone());
    let (mut spec, _) = bench.spec(&["tool", "spin"]);
    spec.cpu_millis_max = Some(200);
    let began = clock.monotonic();
    let container = bench.start(spec).await.unwrap();
    // Until it has spent five windows' shares: at a fifth of a core that takes half a second.
    while container.cpu_time() < std::time::Duration::from_millis(100) {
        tokio::task::yield_now().await;
    }
    let share = container.cpu_time().as_secs_f64() / (clock.monotonic() - began).as_secs_f64();
    assert!(share < 0.35, "{share}");
}

#[tokio::test]
async fn containers_that_share_a_table_see_and_signal_each_other() {
    let bench = bench();
    let (spec, _) = bench.spec(&["tool", "park"]);
    let parked = bench.start(spec).await.unwrap();
    let alone = bench.runtime.sandbox("pod", None);
    let beside = alone.sharing(parked.processes());
    let run = async |sandbox: &Sandbox, argv: &[&str]| {
        let (spec, printed) = bench.spec(argv);
        sandbox.start(spec).await.unwrap().wait().await;
        printed.text()
    };
    assert_eq!(run(&beside, &["tool", "processes"]).await, "1 tool park\n2 tool processes\n");
    assert_eq!(run(&alone, &["tool", "processes"]).await, "1 tool processes\n");
    assert_eq!(run(&alone, &["tool", "signal", "2", "15"]).await, "false\n");
    assert_eq!(run(&beside, &["tool", "signal", "1", "15"]).await, "true\n");
    assert_eq!(parked.wait().await.code, 143);
}

#[tokio::test]
async fn a_container_ends_alone_though_it_shares_its_table() {
    let bench = bench();
    let sandbox = bench.runtime.sandbox("pod", None).sharing(Processes::default());
    let (first, _) = bench.spec(&["tool", "park"]);
    let (second, _) = bench.spec(&["tool", "park"]);
    let first = sandbox.start(first).await.unwrap();
    let second = sandbox.start(second).await.unwrap();
    first.kill(9);
    assert_eq!(first.wait().await.code, 137);
    let (spec, printed) = bench.spec(&["tool", "processes"]);
    sandbox.start(spec).await.unwrap().wait().await;
    assert_eq!(printed.text(), "2 tool park\n3 tool processes\n");
    drop(second);
}

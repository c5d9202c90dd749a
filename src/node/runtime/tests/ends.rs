//! How containers end.

use std::time::Duration;

use super::super::*;
use super::support::{Bench, collected, prints};

const LOOP: &str = "(loop $again (br $again))";

async fn check(body: &str, expect: i32, message: &str) {
    let bench = Bench::new().program("p", &prints("hello\n", body));
    let (exit, printed) = bench.run(&["/bin/p"]).await;
    assert_eq!(exit.code, expect, "{body}: {exit:?}");
    assert!(printed.starts_with("hello\n"), "{printed}");
    assert!(printed.contains(message), "{printed}");
    bench.runtime.shutdown().await;
}

#[tokio::test]
async fn returning_is_success() {
    check("", 0, "").await;
}

#[tokio::test]
async fn exit_codes_of_wasip1_are_kept() {
    check("(call $proc_exit (i32.const 3))", 3, "").await;
    check("(call $proc_exit (i32.const 0))", 0, "").await;
    check("(call $proc_exit (i32.const 255))", 255, "").await;
}

#[tokio::test]
async fn traps_and_faults_have_their_codes_and_a_line_in_the_log() {
    check("unreachable", 134, "/bin/p: wasm trap: wasm `unreachable` instruction executed\n").await;
    check("(drop (call $recurse))", 139, "call stack exhausted").await;
    check("(drop (i32.load (i32.const -8)))", 139, "out of bounds memory access").await;
    check("(drop (i32.div_s (i32.const 1) (i32.const 0)))", 134, "divide by zero").await;
}

#[tokio::test]
async fn a_busy_guest_is_killed() {
    let bench = Bench::new().program("p", &prints("", LOOP));
    let (spec, _) = bench.spec(&["/bin/p"]);
    let container = bench.start(spec).await.unwrap();
    container.kill(15);
    assert_eq!(container.wait().await, Exit { code: 143, oom_killed: false, message: None });
    container.kill(9);
    assert_eq!(container.wait().await.code, 143, "the same answer each time");
}

#[tokio::test]
async fn busy_guests_beside_it_do_not_keep_one_from_ending() {
    let bench = Bench::new().program("busy", &prints("", LOOP)).program("p", &prints("x", ""));
    let mut busy = Vec::new();
    for _ in 0..8 {
        let (spec, _) = bench.spec(&["busy"]);
        busy.push(bench.start(spec).await.unwrap());
    }
    assert_eq!(bench.run(&["p"]).await.1, "x");
    drop(busy);
    bench.runtime.shutdown().await;
}

#[tokio::test]
async fn growing_over_the_limit_is_out_of_memory() {
    let body = "(loop $again (drop (memory.grow (i32.const 16))) (br $again))";
    let bench = Bench::new().program("p", &prints("hello\n", body));
    let (mut spec, printed) = bench.spec(&["/bin/p"]);
    spec.memory_bytes_max = Some(8 << 20);
    let exit = bench.start(spec).await.unwrap().wait().await;
    assert_eq!((exit.code, exit.oom_killed), (137, true));
    assert!(printed.text().starts_with("hello\n/bin/p: out of memory"), "{}", printed.text());
}

#[tokio::test]
async fn a_growth_beyond_wasm32_fails_and_hurts_nobody() {
    let body = "(call $proc_exit (i32.eq (memory.grow (i32.const 65536)) (i32.const -1)))";
    check(body, 1, "").await;
}

#[tokio::test]
async fn shutdown_ends_all_guests() {
    let bench = Bench::new().program("p", &prints("", LOOP));
    let (spec, _) = bench.spec(&["/bin/p"]);
    let container = bench.start(spec).await.unwrap();
    bench.runtime.shutdown().await;
    assert_eq!(container.wait().await.code, 137);
}

#[tokio::test]
async fn exec_runs_beside_and_dropping_it_ends_only_it() {
    let bench = Bench::new().program("busy", &prints("", LOOP)).program("p", &prints("hi", ""));
    let (spec, _) = bench.spec(&["busy"]);
    let container = bench.start(spec).await.unwrap();
    let (stdout, text) = collected();
    let stdio = Stdio { stdout: Output::Writer(stdout), ..Stdio::default() };
    let exec = container.exec(ExecSpec { argv: vec!["p".to_owned()], stdio });
    let (exit, text) = tokio::join!(exec, text);
    assert_eq!((exit.unwrap().code, text.as_str()), (0, "hi"));

    let stdio = Stdio::default();
    let exec = container.exec(ExecSpec { argv: vec!["busy".to_owned()], stdio });
    assert!(tokio::time::timeout(Duration::from_millis(20), exec).await.is_err());

    let stdio = Stdio::default();
    let missing = container.exec(ExecSpec { argv: vec!["nope".to_owned()], stdio }).await;
    assert!(matches!(missing, Err(StartError::NotFound(_))));
    container.kill(9);
    assert_eq!(container.wait().await.code, 137);
}

#[tokio::test]
async fn a_flood_of_output_waits_for_its_reader() {
    let flood = "(loop $again
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $again))";
    let bench = Bench::new().program("p", &prints("0123456789", flood));
    let (mut spec, _) = bench.spec(&["/bin/p"]);
    let (ours, theirs) = tokio::io::duplex(64);
    spec.stdio.stdout = Output::Writer(Box::new(theirs));
    let container = bench.start(spec).await.unwrap();
    // Nobody reads: the guest is blocked in a host call, and dies at once.
    container.kill(9);
    assert_eq!(container.wait().await.code, 137);
    drop(ours);
}

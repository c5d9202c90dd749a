//! What a container may compute.

use std::time::Duration;

use super::super::*;
use super::support::{Bench, prints};

const LOOP: &str = "(loop $again (br $again))";
/// Reads the clock again and again: all it computes, the host computes for it.
const HOST_CALLS: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_time_get"
        (func $clock (param i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (loop $again
            (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 0)))
            (br $again))))"#;
const TIME: Duration = Duration::from_secs(3);

/// One container with a limit, and so many busy processes more in it, entered from outside.
async fn share_of(bench: &Bench, program: &str, millis: u64, others: usize) -> f64 {
    let (mut spec, _) = bench.spec(&[program]);
    spec.cpu_millis_max = Some(millis);
    let container = bench.start(spec).await.unwrap();
    let clock = &bench.clock;
    let began = (clock.monotonic(), container.cpu_time());
    let entered = (0..others).map(|_| {
        container.exec(ExecSpec { argv: vec![program.to_owned()], stdio: Stdio::default() })
    });
    tokio::select! {
        _ = futures::future::join_all(entered), if others > 0 => panic!("a loop has ended"),
        () = clock.sleep(TIME) => {}
    }
    let (took, used) = (clock.monotonic() - began.0, container.cpu_time() - began.1);
    container.kill(9);
    container.wait().await;
    used.as_secs_f64() / took.as_secs_f64() * 1000.0
}

/// That it gets all of it is for the bench to say: this machine may be busy.
#[tokio::test]
async fn a_limit_holds_for_one_process_and_for_many_and_for_host_calls() {
    let bench = Bench::new()
        .program("loop", &prints("", LOOP))
        .file("bin/calls", &wat::parse_str(HOST_CALLS).unwrap());
    for (program, millis, others) in [("loop", 200, 0), ("loop", 500, 7), ("calls", 200, 2)] {
        let share = share_of(&bench, program, millis, others).await;
        let most = millis as f64 * 1.1;
        assert!(share > 10.0 && share < most, "{program} and {others}: {millis}m became {share}m");
    }
    bench.runtime.shutdown().await;
}

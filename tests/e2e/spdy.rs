//! exec, cp, attach and run over SPDY: kubectl told not to speak WebSocket.

use std::fs;
use std::process::Command;

use crate::support::{Answer, Cluster, Home, run, run_with_input, tutorial};

fn with_counter(home: &Home) -> Cluster<'_> {
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", tutorial("pod.yaml")));
    cluster.wait_for("condition=Ready", "pod/counter");
    cluster
}

fn over_spdy(mut command: Command) -> Command {
    command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false");
    command
}

#[track_caller]
fn check(answer: &Answer, code: i32, stdout: &str) {
    assert_eq!((answer.code, answer.stdout.as_str()), (code, stdout), "{}", answer.all());
}

#[test]
fn exec_has_streams_apart_and_an_exit_code() {
    let home = Home::new();
    let cluster = with_counter(&home);
    let plain = cluster.command("exec -v=8 counter -- echo hello");
    let answer = run(over_spdy(plain));
    check(&answer, 0, "hello\n");
    assert!(answer.stderr.contains("Upgrade: SPDY/3.1"), "{}", answer.stderr);

    let script = "cat; echo err >&2; exit 3";
    let words = ["exec", "-i", "counter", "--", "sh", "-c", script];
    let answer = run_with_input(over_spdy(home.kubectl(&words)), b"in");
    check(&answer, 3, "in");
    assert_eq!(answer.stderr, "err\ncommand terminated with exit code 3\n");

    // A command that does not read its input ends all the same.
    let unread = cluster.command("exec -i counter -- echo done");
    check(&run_with_input(over_spdy(unread), &vec![b'x'; 5_000_000]), 0, "done\n");
    let missing = run(over_spdy(cluster.command("exec counter -- no-such-program")));
    assert!(missing.code != 0 && missing.stderr.contains("no-such-program"), "{}", missing.all());
}

#[test]
fn a_hundred_megabytes_pass() {
    let home = Home::new();
    let cluster = with_counter(&home);
    let count = over_spdy(cluster.command("exec -i counter -- wc -c"));
    check(&run_with_input(count, &vec![b'x'; 100_000_000]), 0, "100000000\n");
}

#[test]
fn cp_goes_both_ways() {
    let home = Home::new();
    let cluster = with_counter(&home);
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    home.file("there", &content);
    check(&run(over_spdy(cluster.command("cp there counter:/tmp/there"))), 0, "");
    let answer = run(over_spdy(cluster.command("cp counter:/tmp/there back")));
    assert_eq!(answer.code, 0, "{}", answer.all());
    assert!(fs::read(home.path().join("back")).unwrap() == content);
}

#[test]
fn run_attaches() {
    let home = Home::new();
    let cluster = home.up();
    let line = "run once -i --rm --quiet --restart=Never --image=busybox -- cat";
    check(&run_with_input(over_spdy(cluster.command(line)), b"through\n"), 0, "through\n");
}

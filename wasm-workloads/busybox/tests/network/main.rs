//! The network's programs, run natively on loopback, against Debian's busybox and curl: the same
//! words, the same bytes to the server, the same exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

mod curl;
mod nc;
mod nslookup;
mod server;
mod wget;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A directory of a test's own.
fn directory() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("network-{number}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn run(program: &[&str], arguments: &[&str], directory: &Path, input: &str) -> Ran {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args(arguments).current_dir(directory);
    command.env("PWD", directory).env("LC_ALL", "C").env_remove("http_proxy");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|err| panic!("{program:?}: {err}"));
    // Who does not read it does not want it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

const OURS: &str = env!("CARGO_BIN_EXE_busybox");
const DEBIAN: &str = "/usr/bin/busybox";

/// Ours in a directory of its own.
fn ours(words: &[&str]) -> Ran {
    run(&[OURS], words, &directory(), "")
}

/// Both in directories of their own; they must agree, files left behind included.
#[track_caller]
fn agree(words: &[&str]) -> Ran {
    agree_in(words, |_| {})
}

#[track_caller]
fn agree_in(words: &[&str], prepare: impl Fn(&Path)) -> Ran {
    let (here, there) = (directory(), directory());
    prepare(&here);
    prepare(&there);
    let (mine, theirs) = (run(&[OURS], words, &here, ""), run(&[DEBIAN], words, &there, ""));
    assert_eq!(mine, theirs, "{words:?}");
    assert_eq!(files(&here), files(&there), "{words:?}");
    mine
}

fn files(directory: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

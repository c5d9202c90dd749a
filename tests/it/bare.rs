//! A container whose image is one program and nothing else is entered with the tools of the
//! built-in busybox, and does not see them itself.

use sampan::node::runtime::{Container, ExecSpec, Output, StartError, Stdio};
use tokio::io::AsyncReadExt;

use crate::containers::{image, start};
use crate::guests::programs;

/// A container that waits, of an image with `/tool.wasm` only.
async fn bare() -> Container {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tool.wasm");
    std::fs::write(&path, programs::component("tool")).expect("it is written");
    let image = image(&format!("file://{}", path.display())).await;
    start(&image, &["park"], "", None).await.0
}

/// What a command in the container prints, and its exit code.
async fn enter(container: &Container, argv: &[&str]) -> Result<(String, i32), StartError> {
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let spec = ExecSpec {
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        stdio: Stdio { stdout: Output::Writer(Box::new(theirs)), ..Stdio::default() },
    };
    let mut text = String::new();
    let (exit, read) = tokio::join!(container.exec(spec), ours.read_to_string(&mut text));
    read.expect("what it prints is text");
    Ok((text, exit?.code))
}

async fn check(container: &Container, argv: &[&str], output: &str, code: i32) {
    let answer = enter(container, argv).await.expect("it starts");
    assert_eq!((answer.0.as_str(), answer.1), (output, code), "{argv:?}");
}

#[tokio::test]
async fn a_program_alone_is_entered_with_a_shell() {
    let container = bare().await;
    check(&container, &["sh", "-c", "echo hi > /tmp/x; cat /tmp/x; exit 3"], "hi\n", 3).await;
    check(&container, &["ls", "/tmp"], "x\n", 0).await;
    check(&container, &["/bin/echo", "a b"], "a b\n", 0).await;
    check(&container, &["sh", "-c", "ls / | grep -c -e tool.wasm -e ^bin"], "2\n", 0).await;
    let script = "printf '#!/bin/sh\\necho script $1\\n' > /tmp/run";
    check(&container, &["sh", "-c", script], "", 0).await;
    check(&container, &["/tmp/run", "it"], "script it\n", 0).await;
}

#[tokio::test]
async fn a_container_sees_no_tools_of_those_who_enter() {
    let container = bare().await;
    check(&container, &["ls", "/bin/busybox"], "/bin/busybox\n", 0).await;
    check(&container, &["/tool.wasm", "cat", "/bin/busybox"], "", 1).await;
    check(&container, &["/tool.wasm", "cat", "/etc/passwd"], "", 1).await;
    // What is written is the container's, and stands for everyone.
    check(&container, &["sh", "-c", "echo me > /etc/passwd; rm /bin/wc"], "", 0).await;
    check(&container, &["/tool.wasm", "cat", "/etc/passwd"], "me\n", 0).await;
    check(&container, &["cat", "/etc/passwd"], "me\n", 0).await;
    check(&container, &["sh", "-c", "wc; echo $?"], "127\n", 0).await;
    // The tools themselves are as they were.
    check(
        &bare().await,
        &["sh", "-c", "echo word | wc -c; head -n 1 /etc/passwd"],
        "5\nroot:x:0:0:root:/root:/bin/sh\n",
        0,
    )
    .await;
}

#[tokio::test]
async fn what_is_nowhere_is_not_found_as_without_tools() {
    let refused = enter(&bare().await, &["nosuch"]).await.expect_err("there is no such program");
    assert_eq!(refused.to_string(), "exec: \"nosuch\": executable file not found in $PATH");
    let refused = enter(&bare().await, &["/no/such"]).await.expect_err("there is no such program");
    assert!(
        matches!(&refused, StartError::NotFound(text) if text.contains("/no/such")),
        "{refused}"
    );
}

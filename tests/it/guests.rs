//! Programs of this machine as images (`file://`), and how guests of every kind end.

use sampan::node::runtime::Exit;

use crate::containers::{Ran, image, start};

#[path = "../../wasm-workloads/testing/host.rs"]
pub(crate) mod programs;

/// A guest as an image of its own.
async fn run(name: &str, bytes: Vec<u8>, argv: &[&str], memory: Option<u64>) -> (Exit, Ran) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name).with_extension("wasm");
    std::fs::write(&path, bytes).expect("it is written");
    let image = image(&format!("file://{}", path.display())).await;
    let (container, ran) = start(&image, argv, "input", memory).await;
    let exit = container.wait().await;
    let ran = ran(exit.code);
    (exit, ran)
}

async fn component(name: &str, argv: &[&str]) -> Ran {
    run(name, programs::component(name), argv, None).await.1
}

fn printed(output: &str, code: i32) -> Ran {
    Ran { output: output.to_owned(), errors: String::new(), code }
}

#[tokio::test]
async fn a_module_keeps_its_exit_code() {
    let (_, ran) = run("hello", programs::module("hello"), &["7"], None).await;
    assert_eq!(ran, printed("hello\n", 7));
    assert_eq!(component("hello", &[]).await, printed("hello\n", 0));
}

#[tokio::test]
async fn files_streams_and_environment_are_std_s() {
    assert_eq!(component("files", &[]).await, printed("ok\n", 0));
    let (_, ran) = run("files", programs::module("files"), &[], None).await;
    assert_eq!(ran, printed("ok\n", 0));
    assert_eq!(component("stdin-cat", &[]).await.output, "input");
    let ran = component("env-dump", &["a b"]).await;
    assert!(ran.output.contains("arg a b\n") && ran.output.contains("env PATH=/"), "{ran:?}");
    assert_eq!(component("flood", &["20000"]).await.output.len(), 20_000 * 80);
}

#[tokio::test]
async fn guests_that_misbehave_end_as_programs_do() {
    assert_eq!(component("recurse", &[]).await.code, 139);
    let ran = component("panic", &[]).await;
    assert!(ran.code == 134 && ran.errors.contains("as asked"), "{ran:?}");
    let memory = Some(32 << 20);
    let (exit, _) = run("eat-memory", programs::component("eat-memory"), &[], memory).await;
    assert!(exit.oom_killed && exit.code == 137, "{exit:?}");
}

#[tokio::test]
async fn busy_and_sleeping_guests_are_killed() {
    for name in ["spin", "sleep-forever"] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name).with_extension("wasm");
        std::fs::write(&path, programs::component(name)).expect("it is written");
        let image = image(&format!("file://{}", path.display())).await;
        let (container, ran) = start(&image, &[], "", None).await;
        container.kill(9);
        let exit = container.wait().await;
        assert_eq!(ran(exit.code).code, 137, "{name}");
    }
}

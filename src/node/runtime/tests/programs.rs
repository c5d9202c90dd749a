//! Finding, compiling and refusing programs.

use super::super::*;
use super::support::{Bench, prints};

#[tokio::test]
async fn a_name_is_sought_in_path_and_a_path_is_not() {
    let bench = Bench::new().program("p", &prints("found", ""));
    assert_eq!(bench.run(&["p", "x"]).await.1, "found");
    assert_eq!(bench.run(&["bin/p"]).await.1, "found");
    let error = bench.refusal(&["q"]).await;
    assert_eq!(error.to_string(), "exec: \"q\": executable file not found in $PATH");
    assert!(matches!(error, StartError::NotFound(_)));
    assert!(matches!(bench.refusal(&["/bin/q"]).await, StartError::NotFound(_)));
    assert!(matches!(bench.refusal(&[""]).await, StartError::NotFound(_)));
}

#[tokio::test]
async fn what_is_no_program_is_refused_with_the_reason() {
    let bench = Bench::new()
        .file("bin/text", b"hello")
        .program("library", r#"(module (memory (export "memory") 1))"#)
        .program("browser", r#"(module (import "env" "f" (func)) (func (export "_start")))"#)
        .program("empty", "(component)")
        .program("foreign", r#"(component (import "a:b/c@1.0.0" (instance)))"#);
    let check = async |name: &str, expect: &str| {
        let error = bench.refusal(&[name]).await;
        assert!(matches!(error, StartError::NotExecutable(_)), "{error:?}");
        assert!(error.to_string().contains(expect), "{error}");
    };
    check("text", "exec format error: /bin/text is not a WebAssembly program").await;
    check("library", "no `_start`").await;
    check("browser", "imports from `env`").await;
    check("empty", "exports nothing").await;
    check("foreign", "imports `a:b/c@1.0.0`").await;
    check("/bin", "is a directory").await;
}

#[tokio::test]
async fn symlinks_lead_to_programs_and_scripts_to_interpreters() {
    let bench =
        Bench::new().program("p", &prints("found", "")).file("bin/script", b"#!/bin/p -x\n");
    let link = bench.directory.path().join("image/bin/link");
    #[cfg(unix)]
    std::os::unix::fs::symlink("/bin/p", link).unwrap();
    #[cfg(unix)]
    assert_eq!(bench.run(&["/bin/link"]).await.1, "found");
    assert_eq!(bench.run(&["script", "a"]).await.1, "found");
}

#[tokio::test]
async fn compiled_code_is_kept_and_damage_is_mended() {
    let mut bench = Bench::new().program("p", &prints("once", ""));
    assert_eq!(bench.run(&["p"]).await.1, "once");
    let cached = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(bench.directory.path().join("cache")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let files = cached();
    assert_eq!(files.len(), 1, "{files:?}");
    let good = std::fs::read(&files[0]).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    // A mapped file must not be written to: replace it, as a disk's fault would not.
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[0], &bad).unwrap();
    bench.restart();
    assert_eq!(bench.run(&["p"]).await.1, "once");
    assert_eq!(std::fs::read(&files[0]).unwrap(), good);
    bench.restart();
    let modified = || std::fs::metadata(&files[0]).unwrap().modified().unwrap();
    let before = modified();
    assert_eq!(bench.run(&["p"]).await.1, "once");
    assert_eq!(modified(), before, "loaded, not compiled again");
}

#[tokio::test]
async fn many_at_once_compile_once() {
    let bench = Bench::new().program("p", &prints("x", ""));
    let runs = (0..16).map(|_| bench.run(&["p"]));
    for (exit, printed) in futures::future::join_all(runs).await {
        assert_eq!((exit.code, printed.as_str()), (0, "x"));
    }
}

//! What programs see of files.

use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::support::Bench;
use crate::node::files::{Follow, Mount, Place, Quota, Root, Volume};

/// Opens `path` below the root for writing, and exits with the error number.
fn opens(path: &str, open_flags: u32, rights: u64) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open" (func $path_open
            (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\05\00\00\00")
        (data (i32.const 16) "hello")
        (data (i32.const 32) "{path}")
        (func (export "_start") (local $error i32)
            ;; 3 is `.`, 4 is `/`.
            (local.set $error (call $path_open (i32.const 4) (i32.const 1)
                (i32.const 32) (i32.const {len}) (i32.const {open_flags})
                (i64.const {rights}) (i64.const {rights}) (i32.const 0) (i32.const 12)))
            (if (local.get $error) (then (call $proc_exit (local.get $error))))
            (call $proc_exit (call $fd_write (i32.load (i32.const 12))
                (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        len = path.len(),
    )
}

const CREATE: u32 = 1;
const WRITE: u64 = 64;

#[tokio::test]
async fn writes_go_to_the_containers_own_layer() {
    let bench = Bench::new().program("p", &opens("etc/new", CREATE, WRITE));
    std::fs::create_dir(bench.directory.path().join("image/etc")).unwrap();
    let (spec, _) = bench.spec(&["/bin/p"]);
    let root = spec.root.clone();
    let exit = bench.start(spec).await.unwrap().wait().await;
    assert_eq!(exit.code, 0, "{exit:?}");
    let place = Place::root();
    let stat = root.stat(&place, "/etc/new", Follow::No).unwrap();
    assert_eq!(stat.size, 5);
    assert!(!bench.directory.path().join("image/etc/new").exists());
}

#[tokio::test]
async fn a_full_volume_is_told_as_such() {
    const NOSPC: i32 = 51;
    let bench = Bench::new().program("p", &opens("data/new", CREATE, WRITE));
    let dir = Dir::open_ambient_dir(bench.directory.path(), ambient_authority()).unwrap();
    dir.create_dir("volume").unwrap();
    let quota = Arc::new(Quota::new(8));
    let volume = Volume::with_quota(dir.open_dir("volume").unwrap(), quota.clone());
    let run = async || {
        let (mut spec, _) = bench.spec(&["/bin/p"]);
        let mut root = Root::clone(&spec.root);
        let mount = Mount { path: "/data".to_owned(), source: volume.whole(), read_only: false };
        root.mount(mount).unwrap();
        spec.root = Arc::new(root);
        let exit = bench.start(spec).await.unwrap().wait().await;
        (exit.code, quota.usage().bytes)
    };
    assert_eq!(run().await, (0, 5));
    let root = Root::new(None, volume.clone());
    root.rename(&Place::root(), "new", &Place::root(), "kept").unwrap();
    assert_eq!(run().await, (NOSPC, 8), "what there is room for is written");
}

#[tokio::test]
async fn errors_are_told_precisely() {
    let check = async |path: &str, flags: u32, rights: u64, expect: i32| {
        let bench = Bench::new().program("p", &opens(path, flags, rights));
        assert_eq!(bench.run(&["/bin/p"]).await.0.code, expect, "{path}");
    };
    const NOENT: i32 = 44;
    const NOTDIR: i32 = 54;
    const ISDIR: i32 = 31;
    const EXIST: i32 = 20;
    check("missing", 0, WRITE, NOENT).await;
    check("missing/file", CREATE, WRITE, NOENT).await;
    check("bin/p/file", CREATE, WRITE, NOTDIR).await;
    check("bin", 0, WRITE, ISDIR).await;
    check("bin/p", CREATE | 4, WRITE, EXIST).await;
    check("dev/null", 0, WRITE, 0).await;
    check("../../dev/null", 0, WRITE, 0).await;
}

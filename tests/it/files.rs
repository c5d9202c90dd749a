//! Volumes, `/proc` and `/dev` as the programs of a container see them.

use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use sampan::node::files::{Mount, Quota, Volume};

use crate::containers::{Ran, busybox, image, run_mounting};
use crate::guests::programs;

const MIB: u64 = 1 << 20;

fn volume(directory: &Path) -> Dir {
    Dir::open_ambient_dir(directory, ambient_authority()).expect("a directory")
}

async fn run(script: &str, mounts: Vec<Mount>) -> Ran {
    run_mounting(&*busybox().await, &["sh", "-c", script], mounts).await
}

#[tokio::test]
async fn a_full_volume_says_so_and_harms_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let quota = Arc::new(Quota::new(10 * MIB));
    let data = Volume::with_quota(volume(directory.path()), quota.clone());
    let mount =
        |path: &str| Mount { path: path.to_owned(), source: data.whole(), read_only: false };
    let script = "
        echo kept > /data/kept
        dd if=/dev/zero of=/data/big bs=1M count=20; echo dd $?
        echo more > /data/more; echo echo $?
        cp /bin/busybox /data/copy; echo cp $?
        cat /data/kept
        df -k /again | tail -1
        stat -c %s /data/big
        rm /data/big && echo fits > /data/more && cat /again/more";
    let ran = run(script, vec![mount("/data"), mount("/again")]).await;
    assert_eq!(ran.errors.matches("No space left on device").count(), 3, "{ran:?}");
    let lines: Vec<_> = ran.output.lines().collect();
    let [dd, echo, cp, kept, df, size, more] = lines[..] else { panic!("{ran:?}") };
    assert_eq!((dd, echo, cp, kept, more), ("dd 1", "echo 1", "cp 1", "kept", "fits"));
    assert_eq!(size, (10 * MIB - 5).to_string());
    let df: Vec<_> = df.split_whitespace().collect();
    assert_eq!((df[1], df[3]), ("10240", "0"), "{ran:?}");
    assert_eq!((quota.usage().bytes, quota.usage().entries), (10, 3), "kept, more, an empty copy");
}

#[cfg(unix)]
#[tokio::test]
async fn modes_are_seen_and_set() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let key = directory.path().join("key");
    std::fs::write(&key, "value").expect("a file");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o440)).expect("a mode");
    let config = Volume::from(volume(directory.path()));
    let mounts =
        vec![Mount { path: "/config".to_owned(), source: config.whole(), read_only: true }];
    let script = "
        stat -c '%a %A' /config/key
        ls -l /config | cut -c1-10 | tail -1
        echo x > f; chmod 640 f; stat -c %a f; chmod +x f; stat -c '%a %f' f
        chmod 644 /config/key; echo $?";
    let ran = run(script, mounts).await;
    let lines: Vec<_> = ran.output.lines().collect();
    let expected = ["440 -r--r-----", "-r--r-----", "640", "751 81e9", "1"];
    assert_eq!(lines, expected, "{ran:?}");
}

#[tokio::test]
async fn programs_find_their_container_in_proc() {
    let script = "
        cut -d' ' -f1 /proc/mounts | head -1
        head -1 /proc/self/status
        head -c 5 /proc/1/cmdline | tr '\\0' ' '; echo
        grep -c ^processor /proc/cpuinfo > /dev/null && echo cpus
        echo through > /dev/fd/1
        echo typed | cat /dev/fd/0
        ls /proc/sys/kernel | head -1
        echo x > /proc/uptime || echo refused
        cat /proc/sys/kernel/hostname";
    let ran = run(script, Vec::new()).await;
    let lines: Vec<_> = ran.output.lines().collect();
    let expected = [
        "overlay",
        "Name:\thead",
        "sh -c",
        "cpus",
        "through",
        "typed",
        "hostname",
        "refused",
        "pod",
    ];
    assert_eq!(lines, expected, "{ran:?}");
    assert_eq!(ran.errors, "sh: can't create /proc/uptime: Read-only file system\n");
}

/// A guest that says itself what is wrong, with the mounts that it is written for.
async fn walk(name: &str, bytes: Vec<u8>, argv: &[&str]) -> Ran {
    let directory = tempfile::tempdir().expect("a directory");
    let within = |name: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).expect("a directory");
        path
    };
    let (data, bound) = (within("data"), within("ro"));
    std::fs::create_dir(bound.join("dir")).expect("a directory");
    std::fs::write(bound.join("file"), "there").expect("a file");
    let path = directory.path().join(name).with_extension("wasm");
    std::fs::write(&path, bytes).expect("it is written");
    let image = image(&format!("file://{}", path.display())).await;
    let counted = Volume::with_quota(volume(&data), Arc::new(Quota::new(64 << 10)));
    let mount = |path: &str, volume: Volume, read_only: bool| Mount {
        path: path.to_owned(),
        source: volume.whole(),
        read_only,
    };
    let bound = Volume::from(volume(&bound));
    run_mounting(&image, argv, vec![mount("/data", counted, false), mount("/ro", bound, true)])
        .await
}

#[tokio::test]
async fn every_call_of_wasi_filesystem_answers_as_it_says() {
    let ran = walk("wasi-filesystem", programs::component("wasi-filesystem"), &[]).await;
    assert!(ran.code == 0 && ran.output.ends_with(" 0 wrong\n"), "{}{}", ran.output, ran.errors);
}

#[tokio::test]
async fn every_call_of_preview_1_answers_as_it_says() {
    let ran = walk("wasi-preview1", programs::module("wasi-preview1"), &[]).await;
    assert!(ran.code == 0 && ran.output.ends_with(" 0 wrong\n"), "{}{}", ran.output, ran.errors);
}

/// A module has no sockets and no signals: the adapter that makes it a component has not these calls.
#[tokio::test]
async fn what_preview_1_has_not_ends_who_asks() {
    for call in ["proc_raise", "sock_accept", "sock_recv", "sock_send"] {
        let ran = walk("wasi-preview1", programs::module("wasi-preview1"), &[call]).await;
        assert!(ran.code == 134 && ran.errors.contains("adapter"), "{call}: {ran:?}");
    }
}

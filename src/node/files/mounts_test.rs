//! Mounts: by hand, and beside a plain directory.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::model_test::{Step, apply, on_disk, open, step, tree};
use super::{Error, Follow, Mount, Origin, Place, Root, Source, Volume};

fn root(directory: &Path) -> Root {
    let image = open(directory, "image");
    image.create_dir("etc").unwrap();
    image.write("etc/name", "image").unwrap();
    image.create_dir("data").unwrap();
    image.write("data/below", "covered").unwrap();
    let volume = open(directory, "volume");
    volume.create_dir("sub").unwrap();
    volume.write("sub/file", "volume").unwrap();
    volume.write("single", "one file").unwrap();
    let mut root = Root::new(Some(Arc::new(image.into())), open(directory, "upper"));
    let volume = Volume::from(volume);
    let mut mount = |path: &str, sub_path: &str, read_only: bool| {
        let source = volume.part(sub_path, false).unwrap();
        root.mount(Mount { path: path.to_owned(), source, read_only }).unwrap();
    };
    mount("/data", "", false);
    mount("/srv/new/deep", "sub", true);
    mount("/etc/name", "single", false);
    root
}

fn check(step: &Step, expect: Result<&str, Error>) {
    let directory = tempfile::tempdir().unwrap();
    let answer = apply(&root(directory.path()), step);
    assert_eq!(answer.as_deref(), expect.as_ref().map(|text| &**text), "{step:?}");
}

fn text(path: &str) -> String {
    path.to_owned()
}

#[test]
fn a_mount_covers_what_is_below_it() {
    check(&Step::Read(text("/data/below")), Err(Error::NotFound));
    check(&Step::Read(text("/data/sub/file")), Ok("volume"));
    check(&Step::Read(text("/srv/new/deep/file")), Ok("volume"));
    check(&Step::Read(text("/etc/name")), Ok("one file"));
    check(&Step::Read(text("/srv/new/deep/../../../etc/name")), Ok("one file"));
}

#[test]
fn what_only_leads_to_a_mount_has_the_containers_time() {
    let directory = tempfile::tempdir().unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    let root = root(directory.path()).with_time(time);
    let modified = |path: &str| root.stat(&Place::root(), path, Follow::Yes).unwrap().modified;
    for path in ["/srv", "/srv/new", "/dev", "/tmp"] {
        assert_eq!(modified(path), Some(time), "{path}");
    }
    assert!(modified("/srv/new/deep") > Some(time));
}

#[test]
fn a_read_only_mount_takes_no_change() {
    let file = text("/srv/new/deep/file");
    let write = Step::Write { path: file.clone(), text: 0, truncate: false, exclusive: false };
    check(&write, Err(Error::ReadOnly));
    check(&Step::Unlink(file.clone()), Err(Error::ReadOnly));
    check(&Step::Rename(file, text("/srv/new/deep/x")), Err(Error::ReadOnly));
    check(&Step::CreateDirectory(text("/srv/new/deep/x")), Err(Error::ReadOnly));
    check(&Step::Append { path: text("/data/sub/file"), text: 0 }, Ok(""));
}

#[test]
fn mount_points_stay_and_mounts_are_devices_of_their_own() {
    check(&Step::Rename(text("/data"), text("/x")), Err(Error::Busy));
    check(&Step::RemoveDirectory(text("/srv/new/deep")), Err(Error::Busy));
    check(&Step::Unlink(text("/etc/name")), Err(Error::Busy));
    check(&Step::Rename(text("/srv"), text("/x")), Err(Error::Busy));
    check(&Step::Rename(text("/data/single"), text("/x")), Err(Error::CrossDevice));
    check(&Step::Link(text("/data/single"), text("/x"), false), Err(Error::CrossDevice));
    check(&Step::Rename(text("/data/single"), text("/data/x")), Ok(""));
}

#[test]
fn a_sub_path_does_not_leave_its_volume() {
    let directory = tempfile::tempdir().unwrap();
    let volume = open(directory.path(), "volume");
    volume.symlink_contents("../secret", "out").unwrap();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    let volume = Volume::from(volume);
    for sub_path in ["out", "..", "missing", "out/x", "../x"] {
        assert!(volume.part(sub_path, false).is_err(), "{sub_path}");
    }
    assert!(volume.part("../x", true).is_err());
    assert!(matches!(volume.part("made/deep", true), Ok(Source::Directory(_))));
    assert!(directory.path().join("volume/made/deep").is_dir());
}

#[test]
fn the_origin_of_a_file_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(directory.path());
    let origin = |path: &str| root.locate(&Place::root(), path, Follow::Yes).unwrap().1;
    assert_eq!(origin("/data"), Origin::Mount);
    assert_eq!(origin("/dev/null"), Origin::BuiltIn);
    // Nothing but a mount point is there.
    assert_eq!(origin("/srv"), Origin::BuiltIn);
    assert_eq!(origin("/"), Origin::Upper);
}

#[test]
fn symlinks_that_never_end_are_refused() {
    check(&Step::Read(text("/dev/null/x")), Err(Error::NotDirectory));
    let directory = tempfile::tempdir().unwrap();
    let root = root(directory.path());
    apply(&root, &Step::Symlink(text("/loop"), text("/loop"))).unwrap();
    assert_eq!(apply(&root, &Step::Read(text("/loop"))), Err(Error::Loop));
    let long = "x".repeat(256);
    assert_eq!(apply(&root, &Step::Read(long.clone())), Err(Error::NameTooLong));
    assert_eq!(apply(&root, &Step::Read(long.repeat(20))), Err(Error::NameTooLong));
}

/// `/v` from a read-only volume, and in it `/v/w/x` from another.
fn nested(directory: &Path) -> Root {
    let (outer, inner) = (open(directory, "outer"), open(directory, "inner"));
    outer.write("file", "outer").unwrap();
    inner.write("file", "inner").unwrap();
    inner.symlink_contents("/v/file", "up").unwrap();
    let mut root = Root::new(None, open(directory, "upper"));
    let mount = |path: &str, dir, read_only| Mount {
        path: text(path),
        source: Volume::from(dir).whole(),
        read_only,
    };
    root.mount_all([mount("/v/w/x", inner, false), mount("/v", outer, true)]).unwrap();
    root
}

#[test]
fn mount_points_are_seen_where_nothing_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let root = nested(directory.path());
    let check = |step: Step, expect: Result<&str, Error>| {
        let answer = apply(&root, &step);
        assert_eq!(answer.as_deref(), expect.as_ref().map(|text| &**text), "{step:?}");
    };
    let entry = |name: &str, kind: &str| format!("Entry {{ name: {name:?}, kind: {kind} }}");
    let listing = format!("[{}, {}]", entry("file", "File"), entry("w", "Directory"));
    check(Step::List(text("/v")), Ok(&listing));
    check(Step::List(text("/v/w")), Ok(&format!("[{}]", entry("x", "Directory"))));
    check(Step::Read(text("/v/w/x/file")), Ok("inner"));
    check(Step::Read(text("/v/w/x/../../file")), Ok("outer"));
    check(Step::Read(text("/v/w/x/up")), Ok("outer"));
    check(Step::CreateDirectory(text("/v/w/y")), Err(Error::ReadOnly));
    check(Step::RemoveDirectory(text("/v/w")), Err(Error::Busy));
    check(Step::CreateDirectory(text("/v/w/x/y")), Ok(""));
    check(Step::Rename(text("/v/w/x/file"), text("/v/w/x/y/file")), Ok(""));
    assert_eq!(on_disk(&directory.path().join("outer")), ["/file: outer"]);
    assert!(fs::read_dir(directory.path().join("upper")).unwrap().next().is_none());
}

#[test]
fn a_directory_that_only_leads_to_a_mount_can_be_written_into() {
    let directory = tempfile::tempdir().unwrap();
    let mut root = Root::new(None, open(directory.path(), "upper"));
    let source = Volume::from(open(directory.path(), "volume")).whole();
    root.mount(Mount { path: text("/a/b/c"), source, read_only: false }).unwrap();
    apply(&root, &Step::Symlink(text("b/c"), text("/a/link"))).unwrap();
    apply(&root, &Step::CreateDirectory(text("/a/link/d"))).unwrap();
    assert!(directory.path().join("volume/d").is_dir());
    assert_eq!(apply(&root, &Step::Unlink(text("/a/link"))).as_deref(), Ok(""));
}

#[test]
fn a_mounted_file_stays_the_file_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let dir = open(directory.path(), "volume");
    dir.create_dir("one").unwrap();
    dir.write("one/key", "one").unwrap();
    dir.symlink_contents("one", "..data").unwrap();
    dir.symlink_contents("..data/key", "key").unwrap();
    let mut root = Root::new(None, open(directory.path(), "upper"));
    let volume = Volume::from(dir.try_clone().unwrap());
    for (path, source) in
        [("/etc/key", volume.part("key", false).unwrap()), ("/all", volume.whole())]
    {
        root.mount(Mount { path: text(path), source, read_only: true }).unwrap();
    }
    dir.create_dir("two").unwrap();
    dir.write("two/key", "two").unwrap();
    dir.symlink_contents("two", "new").unwrap();
    dir.rename("new", &dir, "..data").unwrap();
    dir.remove_dir_all("one").unwrap();
    assert_eq!(apply(&root, &Step::Read(text("/all/key"))).as_deref(), Ok("two"));
    assert_eq!(apply(&root, &Step::Read(text("/etc/key"))).as_deref(), Ok("one"));
    let append = Step::Append { path: text("/etc/key"), text: 0 };
    assert_eq!(apply(&root, &append), Err(Error::ReadOnly));
    assert_eq!(apply(&root, &Step::Stat(text("/etc/key/x"), true)), Err(Error::NotDirectory));
}

#[test]
fn nothing_is_mounted_at_the_root_or_over_another_kind() {
    let directory = tempfile::tempdir().unwrap();
    let mut root = root(directory.path());
    let volume = Volume::from(open(directory.path(), "volume"));
    let mut mount = |path: &str, sub_path: &str| {
        let source = volume.part(sub_path, false).unwrap();
        root.mount(Mount { path: text(path), source, read_only: false })
    };
    assert_eq!(mount("/", ""), Err(Error::Busy));
    assert_eq!(mount("/etc/..", ""), Err(Error::Busy));
    assert_eq!(mount("/etc", "single"), Err(Error::NotDirectory));
    assert_eq!(mount("/etc/name", ""), Err(Error::NotDirectory));
    assert_eq!(mount("/etc/name/x", ""), Err(Error::NotDirectory));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// But for what cannot be done to mounts, and then nothing is done.
    #[test]
    fn mounts_are_plain_directories(
        steps in proptest::collection::vec(step(), 1..40),
        inner_is_virtual in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        fs::create_dir(directory.join("outside")).unwrap();
        fs::write(directory.join("outside/secret"), "secret").unwrap();
        let plain = Root::new(None, open(directory, "plain"));
        let mut mounted = Root::new(None, open(directory, "upper"));
        let (outer, inner) = (open(directory, "outer"), open(directory, "inner"));
        if !inner_is_virtual {
            outer.create_dir_all("b/c").unwrap();
        }
        plain.create_directories("/a/b/c").unwrap();
        let mount = |path: &str, dir| {
            Mount { path: text(path), source: Volume::from(dir).whole(), read_only: false }
        };
        mounted.mount_all([mount("/a", outer), mount("/a/b/c", inner)]).unwrap();
        for step in &steps {
            let before = tree(&mounted);
            let answer = apply(&mounted, step);
            if matches!(answer, Err(Error::Busy | Error::CrossDevice)) {
                prop_assert_eq!(tree(&mounted), before, "after {:?}", step);
                prop_assert!(matches!(
                    step,
                    Step::Rename(..) | Step::Link(..) | Step::RemoveDirectory(_)
                ));
            } else {
                prop_assert_eq!(answer, apply(&plain, step), "{:?}", step);
                prop_assert_eq!(tree(&mounted), tree(&plain), "after {:?}", step);
            }
        }
        prop_assert_eq!(on_disk(&directory.join("outside")), ["/secret: secret"]);
    }
}

#[test]
fn a_directory_of_a_volume_is_synced() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(directory.path());
    let place = |path: &str| root.locate(&Place::root(), path, Follow::Yes).unwrap().0;
    let sub = place("/data/sub");
    for place in [place("/"), place("/etc"), place("/data"), sub.clone()] {
        root.sync_directory(&place).unwrap();
    }
    fs::remove_dir_all(directory.path().join("volume/sub")).unwrap();
    if cfg!(unix) {
        assert_eq!(root.sync_directory(&sub), Err(Error::NotFound));
    }
}

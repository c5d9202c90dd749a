//! Layers and volumes by hand, for what the property does not reach.

use std::fs;
use std::path::Path;

use super::model_test::{Step, apply, open};
use super::{Error, Follow, Mount, Origin, Place, Root};

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
    let mut root = Root::new(Some(image), open(directory, "upper"));
    let mut mount = |path: &str, sub_path: &str, read_only: bool| {
        let (path, sub_path) = (path.to_owned(), sub_path.to_owned());
        let dir = volume.try_clone().unwrap();
        root.mount(Mount { path, dir, sub_path, read_only }).unwrap();
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
    let mut root = Root::new(None, open(directory.path(), "upper"));
    for sub_path in ["out", "..", "missing"] {
        let dir = volume.try_clone().unwrap();
        let (path, sub_path) = (text("/v"), sub_path.to_owned());
        assert!(root.mount(Mount { path, dir, sub_path, read_only: false }).is_err());
    }
}

#[test]
fn a_layer_is_not_seen_through_what_covers_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let layer = |name: &str| open(directory.path(), name);
    let (top, middle, lowest) = (layer("top"), layer("middle"), layer("lowest"));
    top.create_dir("a").unwrap();
    middle.write("a", "a file").unwrap();
    lowest.create_dir("a").unwrap();
    lowest.write("a/x", "covered").unwrap();
    let root = Root::new([top, middle, lowest], layer("upper"));
    assert_eq!(apply(&root, &Step::List(text("/a"))).as_deref(), Ok("[]"));
    assert_eq!(apply(&root, &Step::Read(text("/a/x"))), Err(Error::NotFound));
}

#[test]
fn a_layer_is_not_seen_through_its_own_symlink() {
    let directory = tempfile::tempdir().unwrap();
    let lent = open(directory.path(), "lent");
    lent.create_dir("b").unwrap();
    lent.write("b/x", "elsewhere").unwrap();
    lent.symlink_contents("b", "a").unwrap();
    let own = Root::new(None, open(directory.path(), "upper"));
    let wide = own.over(lent);
    assert_eq!(apply(&wide, &Step::Read(text("/a/x"))).as_deref(), Ok("elsewhere"));
    apply(&own, &Step::CreateDirectory(text("/a"))).unwrap();
    assert_eq!(apply(&wide, &Step::Read(text("/a/x"))), Err(Error::NotFound));
    assert_eq!(apply(&wide, &Step::List(text("/a"))).as_deref(), Ok("[]"));
}

#[test]
fn the_origin_of_a_file_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(directory.path());
    let origin = |path: &str| root.locate(&Place::root(), path, Follow::Yes).unwrap().1;
    assert_eq!(origin("/data"), Origin::Mount);
    assert_eq!(origin("/dev/null"), Origin::BuiltIn);
    assert_eq!(origin("/srv"), Origin::Upper);
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

//! Layers by hand, for what the property does not reach.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::model_test::{Step, apply, open};
use super::volume::later;
use super::{Error, Follow, Layer, Place, Root, Volume};

fn text(path: &str) -> String {
    path.to_owned()
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
    let lowers = [top, middle, lowest].map(|dir| Arc::new(dir.into()));
    let root = Root::new(lowers, layer("upper"));
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
    let wide = own.over(Arc::new(lent.into()));
    assert_eq!(apply(&wide, &Step::Read(text("/a/x"))).as_deref(), Ok("elsewhere"));
    apply(&own, &Step::CreateDirectory(text("/a"))).unwrap();
    assert_eq!(apply(&wide, &Step::Read(text("/a/x"))), Err(Error::NotFound));
    assert_eq!(apply(&wide, &Step::List(text("/a"))).as_deref(), Ok("[]"));
}

#[test]
fn what_a_sole_user_knows_of_its_layer_is_so() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::new(None, later(open(directory.path(), "upper")));
    let step = |step: Step| apply(&root, &step);
    let (text, place) = (text, Place::root());
    root.create_directories("/a/b").unwrap();
    step(Step::Write { path: text("a/b/c"), text: 0, truncate: true, exclusive: true }).unwrap();
    step(Step::Link(text("a/b/c"), text("a/d"), false)).unwrap();
    step(Step::Rename(text("a/b/c"), text("a/d"))).unwrap();
    step(Step::Rename(text("a"), text("x"))).unwrap();
    for (path, there) in [("x/b/c", true), ("x/d", true), ("a", false), ("a/d", false)] {
        assert_eq!(root.stat(&place, path, Follow::No).is_ok(), there, "{path}");
    }
    for number in 0..5000 {
        step(Step::CreateDirectory(format!("many{number}"))).unwrap();
    }
    step(Step::RemoveDirectory(text("many1"))).unwrap();
    assert!(root.stat(&place, "many2", Follow::No).is_ok());
    assert!(root.stat(&place, "many1", Follow::No).is_err());
}

/// As the kubelet gives /etc/hosts.
#[test]
fn what_is_given_covers_the_image_and_is_the_containers_to_change() {
    let directory = tempfile::tempdir().unwrap();
    let image = open(directory.path(), "image");
    image.create_dir("etc").unwrap();
    image.write("etc/hosts", "the image's").unwrap();
    image.write("etc/passwd", "root").unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let fresh = |name: &str, image: Option<Arc<Layer>>| {
        let files = [("/etc/hosts", Bytes::from("given")), ("/etc/deep/er", Bytes::from("x"))];
        let path = directory.path().join(name);
        let make = move || {
            std::fs::create_dir(&path)?;
            Dir::open_ambient_dir(&path, ambient_authority())
        };
        Root::new(image, Volume::empty(make, None)).with_time(at).with_files(files)
    };
    let image = Arc::new(Layer::from(image));
    let root = fresh("one", Some(image));
    let step = |step: Step| apply(&root, &step);
    let read = |path: &str| step(Step::Read(text(path)));
    assert_eq!(read("/etc/hosts").as_deref(), Ok("given"));
    assert_eq!(read("/etc/deep/er").as_deref(), Ok("x"));
    let names = |root: &Root| -> Vec<String> {
        let (place, _, _) = root.locate(&Place::root(), "/etc", Follow::Yes).unwrap();
        root.list(&place).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(&root), ["deep", "hosts", "passwd"]);
    let stat = root.stat(&Place::root(), "/etc/hosts", Follow::No).unwrap();
    assert_eq!((stat.size, stat.mode, stat.modified), (5, Some(0o644), Some(at)));
    // Nothing was written, so nothing was made.
    assert!(!directory.path().join("one").exists());
    let append =
        Step::Write { path: text("/etc/hosts"), text: 0, truncate: false, exclusive: false };
    step(append).unwrap();
    assert_ne!(read("/etc/hosts").as_deref(), Ok("given"));
    assert!(directory.path().join("one/etc/hosts").exists());
    step(Step::Rename(text("/etc/deep/er"), text("/er"))).unwrap();
    assert_eq!(read("/er").as_deref(), Ok("x"));
    assert_eq!(read("/etc/deep/er"), Err(Error::NotFound));
    step(Step::Unlink(text("/etc/hosts"))).unwrap();
    assert_eq!(read("/etc/hosts"), Err(Error::NotFound), "the image's stays covered");
    assert_eq!(names(&root), ["deep", "passwd"]);
    let bare = fresh("two", None);
    assert_eq!(names(&bare), ["deep", "hosts"]);
    assert_eq!(apply(&bare, &Step::Read(text("/etc/hosts"))).as_deref(), Ok("given"));
}

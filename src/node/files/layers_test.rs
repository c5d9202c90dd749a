//! Layers by hand, for what the property does not reach.

use std::sync::Arc;

use super::model_test::{Step, apply, open};
use super::{Error, Follow, Place, Root, Volume};

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
    let root = Root::new(None, Volume::empty(open(directory.path(), "upper"), None));
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

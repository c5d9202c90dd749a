//! Quotas: by hand, at random, and with many writers at once.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::model_test::{Step, apply, open, opened_file, step, tree};
use super::{Error, File, Follow, Mount, OpenOptions, Place, Quota, Root, Usage, Volume};

const WRITE: OpenOptions = OpenOptions {
    read: true,
    write: true,
    create: true,
    exclusive: false,
    truncate: false,
    directory: false,
    no_follow: false,
};

/// A root that may hold so many bytes of its own, and how much it does.
fn root(directory: &Path, bytes_max: u64) -> (Root, Arc<Quota>) {
    let upper = open(directory, "upper");
    let quota = Arc::new(Quota::scan(bytes_max, &upper).unwrap());
    (Root::new(None, Volume::with_quota(upper, quota.clone())), quota)
}

fn write(root: &Root, path: &str) -> File {
    opened_file(root, path, WRITE).unwrap().unwrap()
}

fn used(quota: &Quota) -> (u64, u64) {
    let Usage { bytes, entries, .. } = quota.usage();
    (bytes, entries)
}

/// What a new look at the directory finds.
fn counted(directory: &Path, name: &str) -> (u64, u64) {
    used(&Quota::scan(0, &open(directory, name)).unwrap())
}

#[test]
fn a_full_volume_takes_what_fits_and_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (root, quota) = root(directory.path(), 10);
    let (one, two) = (write(&root, "one"), write(&root, "two"));
    assert_eq!(one.write_at(b"123456", 0), Ok(()));
    assert_eq!(two.write_some_at(b"abcdef", 0), Ok(4));
    assert_eq!(two.write_some_at(b"ef", 4), Err(Error::NoSpace));
    assert_eq!(two.append(b"e"), Err(Error::NoSpace));
    assert_eq!(two.set_len(5), Err(Error::NoSpace));
    // What is there already can be written over, and beyond the end there is no room for a hole.
    assert_eq!(one.write_at(b"654321", 0), Ok(()));
    assert_eq!(one.write_at(b"x", 1 << 40), Err(Error::NoSpace));
    assert_eq!(apply(&root, &Step::Read("one".to_owned())).as_deref(), Ok("654321"));
    assert_eq!(apply(&root, &Step::Read("two".to_owned())).as_deref(), Ok("abcd"));
    assert_eq!(used(&quota), (10, 2));
    assert_eq!(one.set_len(1), Ok(()));
    assert_eq!(two.append(b"efghi"), Ok(9));
    assert_eq!(used(&quota), (10, 2));
}

#[test]
fn a_hole_counts_by_its_length() {
    let directory = tempfile::tempdir().unwrap();
    let (root, quota) = root(directory.path(), 100);
    let file = write(&root, "holes");
    assert_eq!(file.write_some_at(b"1234", 98), Ok(2));
    assert_eq!(used(&quota), (100, 1));
    assert_eq!(file.set_len(7), Ok(()));
    assert_eq!(used(&quota), (7, 1));
    assert_eq!(file.write_at(b"1", u64::MAX), Err(Error::FileTooLarge));
    assert_eq!(file.set_len(u64::MAX), Err(Error::NoSpace));
    assert_eq!(used(&quota), (7, 1));
}

#[test]
fn an_open_file_without_a_name_counts_until_it_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let (root, quota) = root(directory.path(), 10);
    let file = write(&root, "open");
    let again = write(&root, "open");
    file.write_at(b"12345", 0).unwrap();
    apply(&root, &Step::Unlink("open".to_owned())).unwrap();
    assert_eq!(used(&quota), (5, 0));
    assert_eq!(again.append(b"678"), Ok(8));
    drop(file);
    assert_eq!(used(&quota), (8, 0));
    drop(again);
    assert_eq!(used(&quota), (0, 0));
}

#[test]
fn a_file_is_counted_once_whatever_its_names() {
    let directory = tempfile::tempdir().unwrap();
    let (root, quota) = root(directory.path(), 10);
    write(&root, "a").write_at(b"12345", 0).unwrap();
    let link = |old: &str, new: &str| Step::Link(old.to_owned(), new.to_owned(), false);
    let rename = |old: &str, new: &str| Step::Rename(old.to_owned(), new.to_owned());
    apply(&root, &link("a", "b")).unwrap();
    assert_eq!(used(&quota), (5, 2));
    assert_eq!(used(&quota), counted(directory.path(), "upper"));
    // Two names of one file: nothing happens.
    apply(&root, &rename("a", "b")).unwrap();
    assert_eq!(used(&quota), (5, 2));
    apply(&root, &Step::Unlink("a".to_owned())).unwrap();
    assert_eq!(used(&quota), (5, 1));
    let over = write(&root, "c");
    over.write_at(b"abc", 0).unwrap();
    apply(&root, &rename("b", "c")).unwrap();
    assert_eq!(used(&quota), (8, 1));
    drop(over);
    assert_eq!(used(&quota), (5, 1));
}

#[test]
fn names_are_bounded_and_freed() {
    let directory = tempfile::tempdir().unwrap();
    let (root, quota) = root(directory.path(), 10);
    let max = quota.usage().entries_max;
    for number in 0..max {
        match number % 3 {
            0 => drop(write(&root, &number.to_string())),
            1 => root.create_directory(&Place::root(), &number.to_string()).unwrap(),
            _ => root.symlink("x", &Place::root(), &number.to_string()).unwrap(),
        }
    }
    assert_eq!(opened_file(&root, "more", WRITE).err(), Some(Error::NoSpace));
    for step in [
        Step::CreateDirectory("more".to_owned()),
        Step::Symlink("x".to_owned(), "more".to_owned()),
        Step::Link("0".to_owned(), "more".to_owned(), false),
    ] {
        assert_eq!(apply(&root, &step), Err(Error::NoSpace), "{step:?}");
    }
    apply(&root, &Step::RemoveDirectory("1".to_owned())).unwrap();
    apply(&root, &Step::CreateDirectory("more".to_owned())).unwrap();
    assert_eq!(used(&quota), counted(directory.path(), "upper"));
}

#[test]
fn a_lower_file_counts_when_it_is_copied_up() {
    let directory = tempfile::tempdir().unwrap();
    let image = open(directory.path(), "image");
    image.create_dir("etc").unwrap();
    image.write("etc/large", "0123456789").unwrap();
    let upper = open(directory.path(), "upper");
    let quota = Arc::new(Quota::new(9));
    let root = Root::new(Some(Arc::new(image.into())), Volume::with_quota(upper, quota.clone()));
    let append = |path: &str| apply(&root, &Step::Append { path: path.to_owned(), text: 0 });
    assert_eq!(append("etc/large"), Err(Error::NoSpace));
    assert_eq!(apply(&root, &Step::Read("etc/large".to_owned())).as_deref(), Ok("0123456789"));
    assert_eq!(used(&quota), (0, 1), "the directory above it");
    quota.set_bytes_max(11);
    assert_eq!(append("etc/large"), Ok(String::new()));
    assert_eq!(append("etc/large"), Err(Error::NoSpace));
    assert_eq!(used(&quota), counted(directory.path(), "upper"));
}

#[test]
fn room_is_told_as_the_quota_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let dir = open(directory.path(), "volume");
    dir.write("there", "123").unwrap();
    let quota = Arc::new(Quota::scan(10, &dir).unwrap());
    let volume = Volume::with_quota(dir, quota);
    let mut root = Root::new(None, open(directory.path(), "upper"));
    for (path, sub_path) in [("/v", ""), ("/single", "there")] {
        let source = volume.part(sub_path, false).unwrap();
        root.mount(Mount { path: path.to_owned(), source, read_only: false }).unwrap();
    }
    for target in ["/v", "/single"] {
        let mounts = root.mounts();
        let mount = mounts.iter().find(|mount| mount.target == target).unwrap();
        let space = mount.space.unwrap();
        assert_eq!((space.total, space.available), (10, 7), "{target}");
    }
    let single = write(&root, "/single");
    assert_eq!(single.append(b"45678901"), Err(Error::NoSpace));
    assert_eq!(root.stat(&Place::root(), "/v/there", Follow::Yes).unwrap().size, 10);
}

#[test]
fn many_writers_of_one_volume_never_exceed_it() {
    const BYTES_MAX: u64 = 1000;
    let directory = tempfile::tempdir().unwrap();
    let quota = Arc::new(Quota::new(BYTES_MAX));
    let volume = Volume::with_quota(open(directory.path(), "volume"), quota.clone());
    let refused = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for thread in 0..4u64 {
            let mut root = Root::new(None, open(directory.path(), &format!("upper{thread}")));
            let source = volume.whole();
            root.mount(Mount { path: "/v".to_owned(), source, read_only: false }).unwrap();
            let (quota, refused) = (&quota, &refused);
            threads.spawn(move || {
                for turn in 0..400u64 {
                    let number = turn.wrapping_mul(thread + 3) % 5;
                    let path = format!("/v/{number}");
                    let other = format!("/v/{}", (number + turn) % 5);
                    let done = match turn % 7 {
                        0 => apply(&root, &Step::Unlink(path)),
                        1 => apply(&root, &Step::Rename(path, other)),
                        2 => apply(&root, &Step::Link(path, other, false)),
                        3 => apply(
                            &root,
                            &Step::Write { path, text: 0, truncate: true, exclusive: false },
                        ),
                        _ => opened_file(&root, &path, WRITE).and_then(|file| {
                            let file = file.unwrap();
                            file.append(&[b'x'; 97])?;
                            file.write_at(&[b'y'; 50], turn)?;
                            file.set_len(turn)?;
                            Ok(String::new())
                        }),
                    };
                    if done == Err(Error::NoSpace) {
                        refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    assert!(quota.usage().bytes <= BYTES_MAX);
                }
            });
        }
    });
    assert!(refused.into_inner() > 0);
    assert_eq!(used(&quota), counted(directory.path(), "volume"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Until it says no, a root with a quota is one without; and it always knows what it holds.
    #[test]
    fn a_quota_only_says_no(
        steps in proptest::collection::vec(step(), 1..60),
        bytes_max in 0u64..60,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let plain = Root::new(None, open(directory.path(), "plain"));
        let (root, quota) = root(directory.path(), bytes_max);
        let mut said_no = false;
        for step in &steps {
            let before = tree(&root);
            let answer = apply(&root, step);
            let is_write = matches!(step, Step::Write { .. } | Step::Append { .. });
            if answer == Err(Error::NoSpace) {
                said_no = true;
                prop_assert!(is_write, "{:?}", step);
                prop_assert!(quota.usage().bytes + 4 > bytes_max);
            } else if !said_no {
                prop_assert_eq!(&answer, &apply(&plain, step), "{:?}", step);
                prop_assert_eq!(tree(&root), tree(&plain), "after {:?}", step);
            }
            if answer.is_err() && !is_write {
                prop_assert_eq!(tree(&root), before, "after {:?}", step);
            }
            prop_assert!(quota.usage().bytes <= bytes_max);
            prop_assert_eq!(used(&quota), counted(directory.path(), "upper"), "{:?}", step);
        }
    }
}

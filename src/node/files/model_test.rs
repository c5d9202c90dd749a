//! A union of an image and a writable directory behaves as one plain directory with the same files
//! would, and nothing outside of either is ever touched.

use std::fs;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Error, Follow, Kind, OpenOptions, Opened, Place, Root};

#[derive(Debug, Clone)]
enum Step {
    Write { path: String, text: u8, truncate: bool, exclusive: bool },
    Append { path: String, text: u8 },
    Read(String),
    Stat(String, bool),
    ReadLink(String),
    List(String),
    CreateDirectory(String),
    RemoveDirectory(String),
    Unlink(String),
    Rename(String, String),
    Link(String, String, bool),
    Symlink(String, String),
}

/// What a step answered.
type Answer = Result<String, Error>;

fn path() -> impl Strategy<Value = String> {
    let name = select(&["a", "b", "c", "a", "b", "..", "."][..]);
    let path = proptest::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    (path, select(&["", "", "", "", "/"][..]), select(&["", "", "/"][..]))
        .prop_map(|(path, end, start)| format!("{start}{path}{end}"))
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => path(),
        1 => Just("../../../outside".to_owned()),
        1 => Just("../outside/secret".to_owned()),
        1 => Just("/outside/secret".to_owned()),
        1 => Just(format!("{}/secret", std::env::temp_dir().display())),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (path(), any::<u8>(), any::<bool>(), any::<bool>()).prop_map(
            |(path, text, truncate, exclusive)| Step::Write { path, text, truncate, exclusive }
        ),
        2 => (path(), any::<u8>()).prop_map(|(path, text)| Step::Append { path, text }),
        2 => path().prop_map(Step::Read),
        2 => (path(), any::<bool>()).prop_map(|(path, follow)| Step::Stat(path, follow)),
        1 => path().prop_map(Step::ReadLink),
        2 => path().prop_map(Step::List),
        3 => path().prop_map(Step::CreateDirectory),
        3 => path().prop_map(Step::RemoveDirectory),
        3 => path().prop_map(Step::Unlink),
        5 => (path(), path()).prop_map(|(old, new)| Step::Rename(old, new)),
        2 => (path(), path(), any::<bool>()).prop_map(|(old, new, f)| Step::Link(old, new, f)),
        3 => (target(), path()).prop_map(|(text, path)| Step::Symlink(text, path)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_union_is_a_plain_directory(
        image in proptest::collection::vec(step(), 0..14),
        steps in proptest::collection::vec(step(), 1..30),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| open(directory.path(), name);
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/secret"), "secret").unwrap();
        let (lower, plain) = (Root::new(None, open("lower")), Root::new(None, open("plain")));
        for step in &image {
            // The image is made by the same steps twice; that both go the same way is checked too.
            prop_assert_eq!(apply(&lower, step), apply(&plain, step));
        }
        let before = on_disk(&directory.path().join("lower"));
        let union = Root::new(Some(open("lower")), open("upper"));
        for step in &steps {
            prop_assert_eq!(apply(&union, step), apply(&plain, step), "{:?}", step);
            prop_assert_eq!(tree(&union), tree(&plain), "after {:?}", step);
        }
        prop_assert_eq!(on_disk(&directory.path().join("lower")), before);
        prop_assert_eq!(on_disk(&directory.path().join("outside")), ["/secret: secret"]);
    }
}

fn open(directory: &Path, name: &str) -> Dir {
    let path = directory.join(name);
    fs::create_dir_all(&path).unwrap();
    Dir::open_ambient_dir(path, ambient_authority()).unwrap()
}

fn apply(root: &Root, step: &Step) -> Answer {
    let at = Place::root();
    let done = |result: Result<(), Error>| result.map(|()| String::new());
    match step {
        Step::Write { path, text, truncate, exclusive } => {
            let options = OpenOptions {
                write: true,
                create: true,
                truncate: *truncate,
                exclusive: *exclusive,
                ..OpenOptions::default()
            };
            done(opened_file(root, path, options).and_then(|file| match file {
                Some(file) => file.write_at(&[b'a' + text % 26; 3], 1),
                None => Ok(()),
            }))
        }
        Step::Append { path, text } => {
            let options = OpenOptions { write: true, ..OpenOptions::default() };
            done(opened_file(root, path, options).and_then(|file| match file {
                Some(file) => file.append(&[b'a' + text % 26]).map(drop),
                None => Ok(()),
            }))
        }
        Step::Read(path) => read(root, path),
        Step::Stat(path, follow) => {
            let stat = root.stat(&at, path, if *follow { Follow::Yes } else { Follow::No })?;
            let size = if stat.kind == Kind::File { stat.size } else { 0 };
            Ok(format!("{:?} {size}", stat.kind))
        }
        Step::ReadLink(path) => root.read_link(&at, path),
        Step::List(path) => {
            let (place, ..) = root.locate(&at, path, Follow::Yes)?;
            Ok(format!("{:?}", root.list(&place)?))
        }
        Step::CreateDirectory(path) => done(root.create_directory(&at, path)),
        Step::RemoveDirectory(path) => done(root.remove_directory(&at, path)),
        Step::Unlink(path) => done(root.unlink(&at, path)),
        Step::Rename(old, new) => done(root.rename(&at, old, &at, new)),
        Step::Link(old, new, follow) => {
            let follow = if *follow { Follow::Yes } else { Follow::No };
            done(root.link(&at, old, follow, &at, new))
        }
        Step::Symlink(text, path) => done(root.symlink(text, &at, path)),
    }
}

fn opened_file(
    root: &Root,
    path: &str,
    options: OpenOptions,
) -> Result<Option<super::File>, Error> {
    match root.open(&Place::root(), path, options)? {
        Opened::File(file) => Ok(Some(file)),
        Opened::Directory(_) | Opened::Device(_) => Ok(None),
    }
}

fn read(root: &Root, path: &str) -> Answer {
    let options = OpenOptions { read: true, ..OpenOptions::default() };
    let Some(file) = opened_file(root, path, options)? else { return Ok("no file".to_owned()) };
    let mut buffer = vec![0; 256];
    let len = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

/// Everything in a root, as its programs see it.
fn tree(root: &Root) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![Place::root()];
    while let Some(place) = open.pop() {
        for entry in root.list(&place).unwrap() {
            let child = place.join(&entry.name);
            let content = match entry.kind {
                Kind::Directory => {
                    open.push(child.clone());
                    String::new()
                }
                Kind::Symlink => root.read_link(&Place::root(), &child.absolute()).unwrap(),
                Kind::File => read(root, &child.absolute()).unwrap(),
                Kind::Device(_) | Kind::Other => String::new(),
            };
            lines.push(format!("{child} {:?} {content}", entry.kind));
        }
    }
    lines.sort();
    lines
}

/// Everything in a directory of the host.
fn on_disk(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(directory).unwrap().display().to_string();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_symlink() {
                lines.push(format!("/{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else {
                lines.push(format!("/{name}: {}", fs::read_to_string(&path).unwrap()));
            }
        }
    }
    lines.sort();
    lines
}

/// Two layers and volumes by hand, for what the property does not reach.
mod mounts {
    use super::super::{Mount, Origin};
    use super::*;

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
}

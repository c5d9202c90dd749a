//! A union of layers and a writable directory behaves as one plain directory with the same files
//! would, and neither the layers nor anything outside is ever touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use proptest::prelude::*;
use proptest::sample::select;

use super::volume::later;
use super::{Error, Follow, Kind, Layer, OpenOptions, Opened, Place, Root};

#[derive(Debug, Clone)]
pub(super) enum Step {
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
pub(super) type Answer = Result<String, Error>;

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

pub(super) fn step() -> impl Strategy<Value = Step> {
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

fn layers(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<Step>>> {
    proptest::collection::vec(proptest::collection::vec(step(), 0..14), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_union_is_a_plain_directory(
        layers in layers(1..4),
        lowest_is_lent in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..30),
    ) {
        let house = House::new(&layers);
        let plain = Root::new(None, house.open("plain"));
        for layer in house.layers.iter().rev() {
            lay_over(&house.path(layer), &house.path("plain"));
        }
        let before = house.layers_on_disk();
        let union = if lowest_is_lent { house.views().1 } else { house.root() };
        prop_assert_eq!(tree(&union), tree(&plain));
        for step in &steps {
            prop_assert_eq!(apply(&union, step), apply(&plain, step), "{:?}", step);
            prop_assert_eq!(tree(&union), tree(&plain), "after {:?}", step);
        }
        prop_assert_eq!(house.layers_on_disk(), before);
        prop_assert_eq!(on_disk(&house.path("outside")), ["/secret: secret"]);
    }

    #[test]
    fn two_views_are_of_the_same_files(
        layers in layers(1..4),
        steps in proptest::collection::vec((any::<bool>(), step()), 1..30),
    ) {
        let house = House::new(&layers);
        let before = house.layers_on_disk();
        let (own, wide) = house.views();
        let lent = lines(&Root::new(None, house.open(&house.layers[layers.len() - 1])));
        for (through_own, step) in &steps {
            let done = apply(if *through_own { &own } else { &wide }, step);
            let (in_own, in_wide) = (lines(&own), lines(&wide));
            let more: Vec<_> = in_wide.difference(&in_own).collect();
            prop_assert!(in_own.is_subset(&in_wide), "{:?} lacks {:?}", in_wide, in_own);
            prop_assert!(more.iter().all(|line| lent.contains(*line)), "{:?}: {:?}", step, more);
            if let (Ok(_), Step::Unlink(path) | Step::RemoveDirectory(path)) = (done, step) {
                let gone = |root: &Root| root.stat(&Place::root(), path, Follow::No).is_err();
                prop_assert!(gone(&own) && (*through_own || gone(&wide)), "{:?}", step);
            }
        }
        prop_assert_eq!(house.layers_on_disk(), before);
        prop_assert_eq!(on_disk(&house.path("outside")), ["/secret: secret"]);
    }
}

/// Layers on disk, and what lies beside them.
struct House {
    directory: tempfile::TempDir,
    /// Topmost first.
    layers: Vec<String>,
}

impl House {
    /// Each layer is what some steps made of an empty directory.
    fn new(layers: &[Vec<Step>]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/secret"), "secret").unwrap();
        let names = (0..layers.len()).map(|number| format!("layer{number}")).collect();
        let house = Self { directory, layers: names };
        for (name, steps) in house.layers.iter().zip(layers) {
            let layer = Root::new(None, house.open(name));
            for step in steps {
                // Not all can succeed.
                let _ = apply(&layer, step);
            }
        }
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(&self, name: &str) -> Dir {
        open(self.directory.path(), name)
    }

    fn layers(&self, names: &[String]) -> Vec<Arc<Layer>> {
        names.iter().map(|name| layer(self.directory.path(), name)).collect()
    }

    fn root(&self) -> Root {
        Root::new(self.layers(&self.layers), later(self.open("upper")))
    }

    /// A root of all layers but the lowest, and its view over that one.
    fn views(&self) -> (Root, Root) {
        let (lowest, layers) = self.layers.split_last().unwrap();
        let own = Root::new(self.layers(layers), self.open("upper"));
        let wide = own.over(layer(self.directory.path(), lowest));
        (own, wide)
    }

    fn layers_on_disk(&self) -> Vec<Vec<String>> {
        self.layers.iter().map(|name| on_disk(&self.path(name))).collect()
    }
}

/// Copies a layer over a directory: directories merge, all else replaces what is there.
fn lay_over(layer: &Path, directory: &Path) {
    for entry in fs::read_dir(layer).unwrap() {
        let from = entry.unwrap().path();
        let to = directory.join(from.file_name().unwrap());
        let is_directory = fs::symlink_metadata(&from).unwrap().is_dir();
        match fs::symlink_metadata(&to) {
            Ok(there) if there.is_dir() && is_directory => {}
            Ok(there) if there.is_dir() => fs::remove_dir_all(&to).unwrap(),
            Ok(_) => fs::remove_file(&to).unwrap(),
            Err(_) => {}
        }
        if is_directory {
            fs::create_dir_all(&to).unwrap();
            lay_over(&from, &to);
        } else if let Ok(text) = fs::read_link(&from) {
            let (to, name) = (to.parent().unwrap(), to.file_name().unwrap());
            let to = Dir::open_ambient_dir(to, ambient_authority()).unwrap();
            to.symlink_contents(text, name).unwrap();
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// The same as a layer of an image.
pub(super) fn layer(directory: &Path, name: &str) -> Arc<Layer> {
    Arc::new(open(directory, name).into())
}

pub(super) fn open(directory: &Path, name: &str) -> Dir {
    let path = directory.join(name);
    fs::create_dir_all(&path).unwrap();
    Dir::open_ambient_dir(path, ambient_authority()).unwrap()
}

pub(super) fn apply(root: &Root, step: &Step) -> Answer {
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

pub(super) fn opened_file(
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
pub(super) fn tree(root: &Root) -> Vec<String> {
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

fn lines(root: &Root) -> BTreeSet<String> {
    tree(root).into_iter().collect()
}

/// Everything in a directory of the host.
pub(super) fn on_disk(directory: &Path) -> Vec<String> {
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

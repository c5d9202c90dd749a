//! Files that show objects: kept in memory, and changed all at once.
//!
//! ```text
//! name      -> ..data/name          what containers open
//! ..data    -> ..2026_11_22_17_00_00.000000000
//! ..2026_…/name                     one whole payload
//! ```
//!
//! Nothing of them is on the host's disk, secrets and tokens neither, and nobody who is killed leaves
//! something half-made. The names are those that upstream has on a tmpfs: programs watch `..data`.
//!
//! Upstream: `pkg/volume/util/atomic_writer.go`.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use parking_lot::RwLock;

use super::payload::Payload;
use crate::node::files::{About, Entry, Kind, Made, Node, Source};

const DATA: &str = "..data";

const DIRECTORY_MODE: u32 = 0o755;
/// Of the volume itself, as of a tmpfs.
const VOLUME_MODE: u32 = 0o1777;
const SYMLINK_MODE: u32 = 0o777;

/// A volume's files. Cheap to clone; all clones show the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown(Arc<RwLock<Generations>>);

#[derive(Debug, Default)]
struct Generations {
    current: Option<Arc<Generation>>,
    /// No longer listed. Who had followed `..data` finds what it was on its way to.
    last: Option<Arc<Generation>>,
}

/// One whole payload.
#[derive(Debug)]
struct Generation {
    name: String,
    at: SystemTime,
    payload: Payload,
}

impl Shown {
    /// Whether this payload is in force.
    pub(super) fn shows(&self, payload: &Payload) -> bool {
        self.0.read().current.as_ref().is_some_and(|current| current.payload == *payload)
    }

    /// Puts a payload in force.
    ///
    /// # Errors
    /// If it has a file below a file: then what was in force stays so.
    pub(super) fn put(&self, payload: Payload, now: Timestamp) -> Result<(), String> {
        payload.check()?;
        let generations = &mut *self.0.write();
        let mut name = now.strftime("..%Y_%m_%d_%H_%M_%S.%9f").to_string();
        // Time may have been set back, or stand still in a test.
        while generations.find(&name).is_some() {
            name.push('0');
        }
        let fresh = Arc::new(Generation { name, at: now.into(), payload });
        generations.last = generations.current.replace(fresh);
        Ok(())
    }

    /// All of it: what is put later is seen.
    pub(super) fn whole(&self) -> Source {
        let this = self.clone();
        Source::Made(Made::new("tmpfs", move |_, path| this.0.read().node(path)))
    }

    /// What is at `sub_path` now, a file or a directory. Of what is put later nothing is seen, as
    /// upstream. Where nothing is, it is an empty directory.
    pub(super) fn part(&self, sub_path: &str) -> Source {
        let generations = self.0.read();
        let names: Vec<&str> =
            sub_path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let current = generations.current.clone();
        let named = names.first().and_then(|first| match *first {
            DATA => current.clone(),
            first => generations.find(first).cloned(),
        });
        let above = names[usize::from(named.is_some())..].join("/");
        let generation = named.or(current);
        Source::Made(Made::new("tmpfs", move |_, path| {
            let generation = generation.as_ref()?;
            let parts = [above.as_str(), path].into_iter().filter(|part| !part.is_empty());
            let below = parts.collect::<Vec<_>>().join("/");
            let found = generation.node(&below);
            found.or_else(|| path.is_empty().then(|| directory(Vec::new(), generation.at)))
        }))
    }
}

impl Generations {
    fn find(&self, name: &str) -> Option<&Arc<Generation>> {
        self.current.iter().chain(&self.last).find(|generation| generation.name == name)
    }

    fn node(&self, path: &str) -> Option<(Node, About)> {
        let current = self.current.as_ref()?;
        if path.is_empty() {
            let names = current.payload.names_in("").into_iter();
            let mut entries: Vec<Entry> = names.map(|(name, _)| link(name)).collect();
            entries.push(Entry { name: current.name.clone(), kind: Kind::Directory });
            entries.push(link(DATA));
            let (node, about) = directory(entries, current.at);
            return Some((node, About { mode: Some(VOLUME_MODE), ..about }));
        }
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        if let Some(generation) = self.find(first) {
            return generation.node(rest);
        }
        if !rest.is_empty() {
            return None;
        }
        if first == DATA {
            return Some(symlink(current.name.clone(), current.at));
        }
        let is_shown = current.payload.names_in("").iter().any(|(name, _)| *name == first);
        is_shown.then(|| symlink(format!("{DATA}/{first}"), current.at))
    }
}

impl Generation {
    fn node(&self, path: &str) -> Option<(Node, About)> {
        if let Some(file) = self.payload.get(path) {
            let about = About {
                size: file.data.len() as u64,
                mode: Some(file.mode),
                modified: Some(self.at),
            };
            return Some((Node::File(file.data.clone()), about));
        }
        let names = self.payload.names_in(path);
        if names.is_empty() && !path.is_empty() {
            return None;
        }
        let entry = |(name, is_file): (&str, bool)| Entry {
            name: name.to_owned(),
            kind: if is_file { Kind::File } else { Kind::Directory },
        };
        Some(directory(names.into_iter().map(entry).collect(), self.at))
    }
}

fn link(name: &str) -> Entry {
    Entry { name: name.to_owned(), kind: Kind::Symlink }
}

fn directory(entries: Vec<Entry>, at: SystemTime) -> (Node, About) {
    let about = About { size: 0, mode: Some(DIRECTORY_MODE), modified: Some(at) };
    (Node::Directory(entries), about)
}

fn symlink(target: String, at: SystemTime) -> (Node, About) {
    let about = About { size: target.len() as u64, mode: Some(SYMLINK_MODE), modified: Some(at) };
    (Node::Symlink(target), about)
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;
    use cap_std::fs::Dir;

    use super::*;
    use crate::node::files::{Follow, Mount, OpenOptions, Opened, Place, Root, Volume};

    fn payload(files: &[(&str, &str)]) -> Payload {
        let mut payload = Payload::default();
        for (path, data) in files {
            payload.put(path, data.as_bytes().to_vec(), 0o640).unwrap();
        }
        payload
    }

    fn shown(files: &[(&str, &str)]) -> Shown {
        let shown = Shown::default();
        shown.put(payload(files), Timestamp::UNIX_EPOCH).unwrap();
        shown
    }

    /// The root of a container that mounts this at `/v`.
    fn mounting(source: Source) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let upper = Dir::open_ambient_dir(directory.path(), ambient_authority()).unwrap();
        let mut root = Root::new(None, Volume::from(upper));
        root.mount(Mount { path: "/v".to_owned(), source, read_only: true }).unwrap();
        (directory, root)
    }

    fn read(root: &Root, path: &str) -> Option<String> {
        let how = OpenOptions { read: true, ..OpenOptions::default() };
        let Ok(Opened::File(file)) = root.open(&Place::root(), path, how) else { return None };
        let mut buffer = [0; 100];
        let read = file.read_at(&mut buffer, 0).unwrap();
        Some(String::from_utf8_lossy(&buffer[..read]).into_owned())
    }

    fn names(root: &Root, path: &str) -> Vec<String> {
        let (place, _, _) = root.locate(&Place::root(), path, Follow::Yes).unwrap();
        root.list(&place).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn a_payload_takes_the_place_of_the_one_before() {
        let shown = shown(&[("a", "1"), ("deep/er/b", "2"), ("deep/c", "3")]);
        let (_directory, root) = mounting(shown.whole());
        assert_eq!(read(&root, "/v/deep/er/b").as_deref(), Some("2"));
        let before = root.read_link(&Place::root(), "/v/..data").unwrap();
        shown.put(payload(&[("a", "one"), ("deep/d", "4")]), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(read(&root, "/v/a").as_deref(), Some("one"));
        assert_eq!(read(&root, "/v/deep/d").as_deref(), Some("4"));
        assert_eq!(read(&root, "/v/deep/c"), None);
        let now = root.read_link(&Place::root(), "/v/..data").unwrap();
        assert_eq!(names(&root, "/v"), [now.clone(), "..data".into(), "a".into(), "deep".into()]);
        assert_eq!(names(&root, "/v/..data"), ["a", "deep"]);
        assert_eq!(names(&root, "/v/deep"), ["d"]);
        assert_ne!(before, now);
        assert_eq!(read(&root, &format!("/v/{before}/a")).as_deref(), Some("1"), "on its way");
        shown.put(payload(&[]), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(read(&root, &format!("/v/{before}/a")), None);
        assert_eq!(names(&root, "/v").len(), 2);
    }

    #[test]
    fn an_open_file_stays_what_it_was() {
        let shown = shown(&[("a", "old")]);
        let (_directory, root) = mounting(shown.whole());
        let how = OpenOptions { read: true, ..OpenOptions::default() };
        let Ok(Opened::File(file)) = root.open(&Place::root(), "/v/a", how) else {
            panic!("no file")
        };
        shown.put(payload(&[("a", "new")]), Timestamp::UNIX_EPOCH).unwrap();
        let mut buffer = [0; 3];
        file.read_at(&mut buffer, 0).unwrap();
        assert_eq!((&buffer, file.stat().unwrap().size), (b"old", 3));
    }

    #[test]
    fn a_part_is_fixed() {
        let shown = shown(&[("a", "1"), ("deep/b", "2")]);
        for (sub_path, path, expect) in [
            ("a", "/v", Some("1")),
            ("..data/a", "/v", Some("1")),
            ("deep", "/v/b", Some("2")),
            ("/deep/./b", "/v", Some("2")),
            ("none", "/v/a", None),
        ] {
            let (_directory, root) = mounting(shown.part(sub_path));
            shown.put(payload(&[("a", "new")]), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(read(&root, path).as_deref(), expect, "{sub_path}");
            shown.put(payload(&[("a", "1"), ("deep/b", "2")]), Timestamp::UNIX_EPOCH).unwrap();
        }
        let (_directory, root) = mounting(shown.part("none"));
        assert!(names(&root, "/v").is_empty());
    }

    #[test]
    fn files_have_their_mode_and_size_and_cannot_be_changed() {
        let (_directory, root) = mounting(shown(&[("a", "12")]).whole());
        let stat = root.stat(&Place::root(), "/v/a", Follow::Yes).unwrap();
        assert_eq!(
            (stat.size, stat.mode, stat.modified),
            (2, Some(0o640), Some(SystemTime::UNIX_EPOCH))
        );
        let link = root.stat(&Place::root(), "/v/a", Follow::No).unwrap();
        assert_eq!((link.kind, link.size), (Kind::Symlink, 8));
        let how = OpenOptions { write: true, create: true, ..OpenOptions::default() };
        for path in ["/v/a", "/v/new", "/v/..data/new"] {
            let refused = root.open(&Place::root(), path, how);
            assert!(matches!(refused, Err(crate::node::files::Error::ReadOnly)), "{refused:?}");
        }
        assert!(root.unlink(&Place::root(), "/v/a").is_err());
    }

    #[test]
    fn a_file_below_a_file_is_refused_and_changes_nothing() {
        let shown = shown(&[("a", "1")]);
        assert!(shown.put(payload(&[("a", "2"), ("a/b", "3")]), Timestamp::UNIX_EPOCH).is_err());
        assert!(shown.shows(&payload(&[("a", "1")])));
        assert!(!shown.shows(&payload(&[("a", "2")])));
    }
}

//! The directories of volumes of our own provisioner ([`LOCAL_PATH`] has the contract): made at the first
//! mount, empty or as a copy of another's.
//!
//! A copy is made aside and gets its name when all of it is on the disk: killed in between, the node
//! begins anew. What is written to the other volume meanwhile may be in it or not, file by file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use k8s_openapi::api::core::v1::PersistentVolume;
use parking_lot::Mutex;

use super::mounter::blocking;
use super::node::Volumes;
use super::tree;
use crate::api::claim::{self, CLONE_OF, LOCAL_PATH, PROVISIONED_BY};
use crate::api::object::ObjectKey;
use crate::client::cache::Cache;

/// Bound: copies of copies none of which is made yet.
const GENERATIONS_MAX: usize = 32;

/// Makes volumes' directories.
pub(super) struct Own {
    /// `DIR/volumes`
    directory: PathBuf,
    volumes: Cache<PersistentVolume>,
    /// Copies are made one after the other: the disk is one.
    copying: Mutex<()>,
}

impl Own {
    pub(super) fn new(directory: PathBuf, volumes: Cache<PersistentVolume>) -> Self {
        Self { directory, volumes, copying: Mutex::default() }
    }

    /// Opens the volume's directory, which it makes if it is not there. Blocks.
    ///
    /// # Errors
    /// What failed, with the path.
    pub(super) fn open(&self, volume: &PersistentVolume) -> Result<Dir, String> {
        let path = self.path(volume);
        self.make(volume)?;
        Dir::open_ambient_dir(&path, ambient_authority())
            .map_err(|error| format!("failed to open {}: {error}", path.display()))
    }

    fn make(&self, volume: &PersistentVolume) -> Result<(), String> {
        if self.path(volume).is_dir() {
            return Ok(());
        }
        if source_of(volume).is_empty() {
            return self.make_empty(volume);
        }
        let _one = self.copying.lock();
        self.make_copy(volume, 0)
    }

    fn make_empty(&self, volume: &PersistentVolume) -> Result<(), String> {
        let path = self.path(volume);
        let made = std::fs::create_dir_all(&path).and_then(|()| keep_name(&path));
        made.map_err(|error| format!("failed to open {}: {error}", path.display()))
    }

    fn make_copy(&self, volume: &PersistentVolume, generation: usize) -> Result<(), String> {
        let (path, source) = (self.path(volume), source_of(volume));
        let failed = |why: &str| format!("failed to copy the volume {source}: {why}");
        if path.is_dir() {
            return Ok(());
        }
        // A name becomes a path here.
        if source.contains(['/', '\\']) || source.starts_with('.') || generation > GENERATIONS_MAX {
            return Err(failed("it is none of ours"));
        }
        let from = self.directory.join(source);
        if !from.is_dir() {
            let volume = self.volumes.get(&ObjectKey::new("", source));
            let volume = volume.filter(|volume| is_ours(volume));
            let volume = volume.ok_or_else(|| failed("it is gone"))?;
            match source_of(&volume) {
                "" => self.make_empty(&volume)?,
                _ => self.make_copy(&volume, generation + 1)?,
            }
        }
        copy(&from, &path).map_err(|error| failed(&error.to_string()))
    }

    fn path(&self, volume: &PersistentVolume) -> PathBuf {
        self.directory.join(volume.metadata.name.as_deref().unwrap_or_default())
    }

    /// Makes those volumes that are to be copies of this one and are not made yet. Blocks.
    fn make_copies_of(&self, name: &str) -> Result<(), String> {
        let volumes = self.volumes.list();
        let copies = volumes.iter().filter(|volume| is_ours(volume) && source_of(volume) == name);
        let mut kept = copies.filter(|volume| volume.metadata.deletion_timestamp.is_none());
        kept.try_for_each(|volume| self.make(volume))
    }
}

impl Volumes {
    /// Has no other volume need this one any more, which is about to go.
    ///
    /// # Errors
    /// What failed.
    pub(in crate::node) async fn part_from(&self, name: &str) -> Result<(), String> {
        let (shared, name) = (self.0.clone(), name.to_owned());
        blocking(move || shared.own.make_copies_of(&name)).await
    }
}

/// Deletes a volume's directory, and what was begun of it. Blocks.
///
/// # Errors
/// If something of it stays.
pub(in crate::node) fn remove(path: &Path) -> io::Result<()> {
    remove_if_there(&aside(path))?;
    // No Pod has ever mounted it, or it was deleted before.
    remove_if_there(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn is_ours(volume: &PersistentVolume) -> bool {
    claim::annotation(&volume.metadata, PROVISIONED_BY) == LOCAL_PATH
}

/// The name of the volume that it is to be a copy of; empty if of none.
fn source_of(volume: &PersistentVolume) -> &str {
    claim::annotation(&volume.metadata, CLONE_OF)
}

/// No volume has such a name.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.copy"))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let aside = aside(to);
    remove_if_there(&aside)?;
    let copied = fill(from, &aside).and_then(|()| std::fs::rename(&aside, to));
    if copied.is_err() {
        // It may be what fills the disk. What stays is removed before the next try.
        let _ = remove_if_there(&aside);
    }
    copied.and_then(|()| keep_name(to))
}

fn fill(from: &Path, aside: &Path) -> io::Result<()> {
    std::fs::create_dir(aside)?;
    let open = |path| Dir::open_ambient_dir(path, ambient_authority());
    tree::add(&open(from)?, &open(aside)?)?;
    settle(aside)
}

/// Brings all that was written to the disk.
#[cfg(target_os = "linux")]
fn settle(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

/// There is no such call: a loss of power in the next half minute may cost some of a copy.
#[cfg(not(target_os = "linux"))]
fn settle(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Has a directory's name outlast a loss of power: what a guest has synced in it must be found again.
/// Windows knows no such call, and needs none.
fn keep_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;
    use std::sync::Arc;

    use serde_json::json;

    use crate::client::cache::{Writer, cache};

    struct Bench {
        directory: tempfile::TempDir,
        writer: Writer<PersistentVolume>,
        own: Own,
    }

    fn volume(name: &str, source: &str) -> PersistentVolume {
        let annotations = json!({PROVISIONED_BY: LOCAL_PATH, CLONE_OF: source});
        let meta = json!({"name": name, "annotations": annotations, "resourceVersion": "1"});
        serde_json::from_value(json!({"metadata": meta})).unwrap()
    }

    impl Bench {
        fn new(volumes: &[(&str, &str)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (writer, volumes_cache) = cache();
            for (name, source) in volumes {
                writer.apply(Arc::new(volume(name, source)));
            }
            let own = Own::new(directory.path().to_owned(), volumes_cache);
            Self { directory, writer, own }
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.directory.path()).unwrap();
            let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
            let mut names: Vec<_> =
                entries.map(|entry| name(entry).into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn a_copy_is_whole_or_not_there() {
        let bench = Bench::new(&[("a", ""), ("b", "a")]);
        let at = |path: &str| bench.directory.path().join(path);
        bench.own.open(&volume("a", "")).unwrap();
        fs::write(at("a/file"), "1").unwrap();
        // Of a life that was killed.
        fs::create_dir(at(".b.copy")).unwrap();
        fs::write(at(".b.copy/half"), "1").unwrap();
        bench.own.open(&volume("b", "a")).unwrap();
        assert_eq!(bench.names(), ["a", "b"]);
        assert_eq!(fs::read_dir(at("b")).unwrap().count(), 1);
        // Once made, it goes its own way.
        fs::write(at("a/file"), "2").unwrap();
        bench.own.open(&volume("b", "a")).unwrap();
        assert_eq!(fs::read_to_string(at("b/file")).unwrap(), "1");
    }

    #[test]
    fn copies_are_made_before_their_source_goes() {
        let bench = Bench::new(&[("a", ""), ("b", "a"), ("c", "b")]);
        let at = |path: &str| bench.directory.path().join(path);
        bench.own.open(&volume("a", "")).unwrap();
        fs::write(at("a/file"), "1").unwrap();
        bench.own.make_copies_of("a").unwrap();
        remove(&at("a")).unwrap();
        bench.writer.delete(&ObjectKey::new("", "a"));
        bench.own.open(&volume("c", "b")).unwrap();
        assert_eq!(bench.names(), ["b", "c"]);
        assert_eq!(fs::read_to_string(at("c/file")).unwrap(), "1");
    }

    #[test]
    fn a_source_that_was_never_mounted_is_empty_and_one_that_is_gone_is_told() {
        let bench = Bench::new(&[("a", ""), ("b", "a")]);
        bench.own.open(&volume("c", "b")).unwrap();
        assert_eq!(bench.names(), ["a", "b", "c"]);
        let told = |source: &str| bench.own.open(&volume("new", source)).unwrap_err();
        assert_eq!(told("lost"), "failed to copy the volume lost: it is gone");
        assert_eq!(told("../etc"), "failed to copy the volume ../etc: it is none of ours");
        let ring = Bench::new(&[("a", "b"), ("b", "a")]);
        ring.own.open(&volume("a", "b")).unwrap_err();
    }
}

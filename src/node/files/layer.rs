//! One directory tree of an image. Nobody writes to it, so what was once read of it stays known.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cap_std::fs::{Dir, Metadata};
use parking_lot::RwLock;

use super::layers::{Kind, kind_of};
use super::volume::look;
use super::{Error, Result};

/// Bound: names that one layer keeps in memory, about 150 bytes each; when there are more, all are
/// forgotten and read again as needed.
const NAMES_MAX: usize = 64 * 1024;

/// A layer of an image, shared by all containers of that image.
#[derive(Debug)]
pub struct Layer {
    dir: Dir,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By path; the layer's own is `.`.
    directories: HashMap<String, Arc<Names>>,
    names: usize,
}

/// What a directory holds.
type Names = HashMap<String, Named>;

#[derive(Debug)]
pub(super) struct Named {
    pub(super) kind: Kind,
    metadata: OnceLock<Metadata>,
    /// A symlink's text.
    target: OnceLock<String>,
}

impl From<Dir> for Layer {
    /// Of a directory that does not change any more.
    fn from(dir: Dir) -> Self {
        Self { dir, known: RwLock::default() }
    }
}

impl Layer {
    /// The directory itself.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The type of what is at `path`, which is reached through directories only: a layer is not
    /// looked at through its own symlinks.
    pub(super) fn kind(&self, path: &str) -> Result<Option<Kind>> {
        if path == "." {
            return Ok(Some(Kind::Directory));
        }
        let (parent, name) = split(path);
        let names = self.names(parent)?;
        Ok(names.and_then(|names| Some(names.get(name)?.kind)))
    }

    /// The same, and all there is to know of it.
    pub(super) fn look(&self, path: &str) -> Result<Option<Metadata>> {
        if path == "." {
            return look(&self.dir, path);
        }
        let (parent, name) = split(path);
        let Some(names) = self.names(parent)? else { return Ok(None) };
        let Some(named) = names.get(name) else { return Ok(None) };
        if let Some(metadata) = named.metadata.get() {
            return Ok(Some(metadata.clone()));
        }
        // The image was removed from the disk meanwhile, if it is not there.
        let metadata = look(&self.dir, path)?.ok_or(Error::Io)?;
        Ok(Some(named.metadata.get_or_init(|| metadata).clone()))
    }

    /// The text of the symlink at `path`.
    pub(super) fn target(&self, path: &str) -> Result<String> {
        let (parent, name) = split(path);
        let names = self.names(parent)?;
        let named = names.as_ref().and_then(|names| names.get(name)).ok_or(Error::NotFound)?;
        if let Some(target) = named.target.get() {
            return Ok(target.clone());
        }
        let target = target(&self.dir, path)?;
        Ok(named.target.get_or_init(|| target).clone())
    }

    /// The names of the directory at `path`; `None` if there is none.
    pub(super) fn names(&self, path: &str) -> Result<Option<Arc<Names>>> {
        if let Some(names) = self.known.read().directories.get(path) {
            return Ok(Some(names.clone()));
        }
        if self.kind(path)? != Some(Kind::Directory) {
            return Ok(None);
        }
        let mut names = Names::new();
        for entry in self.dir.read_dir(path)? {
            let entry = entry?;
            // WASI's names are UTF-8; others cannot be told to a guest.
            if let Ok(name) = entry.file_name().into_string() {
                let kind = kind_of(entry.file_type()?);
                names.insert(name, Named::new(kind));
            }
        }
        let names = Arc::new(names);
        self.known.write().keep(path, names.clone());
        Ok(Some(names))
    }
}

impl Named {
    fn new(kind: Kind) -> Self {
        Self { kind, metadata: OnceLock::new(), target: OnceLock::new() }
    }
}

impl Known {
    fn keep(&mut self, path: &str, names: Arc<Names>) {
        if self.names + names.len() > NAMES_MAX {
            *self = Self::default();
        }
        self.names += names.len();
        if let Some(before) = self.directories.insert(path.to_owned(), names) {
            self.names -= before.len();
        }
    }
}

/// The text of a symlink, as the container's programs write paths.
pub(super) fn target(dir: &Dir, path: &str) -> Result<String> {
    let target = dir.read_link_contents(path)?;
    let target = target.into_os_string().into_string().map_err(|_| Error::IllegalBytes)?;
    Ok(if cfg!(windows) { target.replace('\\', "/") } else { target })
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or((".", path))
}

//! A directory tree of the host that files are kept in, and its account.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, Metadata};
use parking_lot::RwLock;

use super::quota::{Quota, Usage};
use super::{Error, File, Made, Result};

/// A directory that guests may be given, in whole or in part. Cheap to clone; all clones of one
/// volume, in whatever Pods, must share its quota.
#[derive(Debug, Clone)]
pub struct Volume {
    home: Arc<Home>,
    pub(super) quota: Option<Arc<Quota>>,
    present: Option<Arc<Present>>,
}

/// Where its files are, or will be.
struct Home {
    dir: OnceLock<Dir>,
    make: Option<Box<Make>>,
}

type Make = dyn Fn() -> io::Result<Dir> + Send + Sync;

/// The names in a volume that nobody else writes to, so that what is not there need not be looked
/// for. `None`: more than [`PRESENT_MAX`], or were at some time.
#[derive(Debug)]
struct Present(RwLock<Option<HashSet<String>>>);

/// Bound: names of a container's writable layer that are kept in memory, some 100 bytes each.
const PRESENT_MAX: usize = 4096;

/// What is mounted.
#[derive(Debug)]
pub enum Source {
    Directory(Volume),
    /// A single file, held open: what later stands under its name is not seen.
    File(File),
    /// Of the host's making; the mount is read-only in any case.
    Made(Made),
}

impl From<Dir> for Volume {
    fn from(dir: Dir) -> Self {
        let home = Home { dir: OnceLock::from(dir), make: None };
        Self { home: Arc::new(home), quota: None, present: None }
    }
}

impl Volume {
    pub fn with_quota(dir: Dir, quota: Arc<Quota>) -> Self {
        Self { quota: Some(quota), ..Self::from(dir) }
    }

    /// An empty directory that is made when it is first needed: most containers write nothing to
    /// theirs. Nobody writes to it but through this volume and its clones: what is not there is known
    /// without asking the host.
    pub fn empty(
        make: impl Fn() -> io::Result<Dir> + Send + Sync + 'static,
        quota: Option<Arc<Quota>>,
    ) -> Self {
        let home = Arc::new(Home { dir: OnceLock::new(), make: Some(Box::new(make)) });
        let present = Some(Arc::new(Present(RwLock::new(Some(HashSet::new())))));
        Self { home, quota, present }
    }

    /// The directory, if it is there already.
    pub fn if_made(&self) -> Option<&Dir> {
        self.home.dir.get()
    }

    /// # Errors
    /// If it was to be made, and cannot be.
    pub(super) fn dir(&self) -> Result<&Dir> {
        if let Some(dir) = self.if_made() {
            return Ok(dir);
        }
        // Of two that make it at once, both come to the same directory.
        let made = self.home.make.as_ref().ok_or(Error::NotFound)?()?;
        Ok(self.home.dir.get_or_init(|| made))
    }

    /// What is in it, if somebody counts.
    pub fn usage(&self) -> Option<Usage> {
        self.quota.as_ref().map(|quota| quota.usage())
    }

    /// All of it, to be mounted.
    pub fn whole(&self) -> Source {
        Source::Directory(self.clone())
    }

    /// A part of it, to be mounted: a directory or a file below it. Symlinks are followed within
    /// the volume. With `create`, what is missing is made: directories, as the kubelet makes a
    /// `subPath`.
    ///
    /// # Errors
    /// If it is not there, leads out of the volume, or cannot be made or read.
    pub fn part(&self, sub_path: &str, create: bool) -> Result<Source> {
        let sub_path = sub_path.trim_matches('/');
        if sub_path.is_empty() {
            return Ok(self.whole());
        }
        let metadata = match self.dir()?.metadata(sub_path).map_err(Error::from) {
            Err(Error::NotFound) if create => {
                self.create_dir_all(sub_path)?;
                self.dir()?.metadata(sub_path)?
            }
            metadata => metadata?,
        };
        if metadata.is_dir() {
            let dir = self.dir()?.open_dir(sub_path)?;
            // Names will appear that this volume does not hear of.
            self.present.iter().for_each(|present| *present.0.write() = None);
            return Ok(Source::Directory(Self { quota: self.quota.clone(), ..Self::from(dir) }));
        }
        if !metadata.is_file() {
            return Err(Error::NotSupported);
        }
        let mut how = cap_std::fs::OpenOptions::new();
        how.read(true).write(true);
        let file = match self.open(sub_path, &how) {
            // Such a file can only be mounted read-only, or to the same end.
            Err(Error::Access | Error::ReadOnly) => {
                self.open(sub_path, cap_std::fs::OpenOptions::new().read(true))?
            }
            file => file?,
        };
        Ok(Source::File(file))
    }

    /// Opens an existing file as asked. The last name is not followed if `how` says so.
    pub(super) fn open(&self, path: &str, how: &cap_std::fs::OpenOptions) -> Result<File> {
        let Some(quota) = &self.quota else {
            return Ok(File::plain(self.dir()?.open_with(path, how)?.into_std()));
        };
        let mut names = quota.names();
        let file = self.dir()?.open_with(path, how)?;
        let metadata = file.metadata()?;
        let counted = metadata.is_file().then(|| names.opened(quota, &metadata));
        Ok(File::counted(file.into_std(), counted))
    }

    /// A new, empty file, open for reading and writing.
    pub(super) fn create_file(&self, path: &str) -> Result<File> {
        let mut how = cap_std::fs::OpenOptions::new();
        how.read(true).write(true).create_new(true).follow(FollowSymlinks::No);
        let make = || {
            let file = self.dir()?.open_with(path, &how)?;
            self.appeared(path);
            Ok::<_, Error>(file)
        };
        let Some(quota) = &self.quota else { return Ok(File::plain(make()?.into_std())) };
        let mut names = quota.names();
        let (file, metadata) = names.add(|| {
            let file = make()?;
            let metadata = file.metadata()?;
            Ok((file, metadata))
        })?;
        let counted = names.opened(quota, &metadata);
        Ok(File::counted(file.into_std(), Some(counted)))
    }

    pub(super) fn create_dir(&self, path: &str) -> Result<()> {
        self.add(path, || Ok(self.dir()?.create_dir(path)?))
    }

    /// Makes a directory and those above it, as far as they are missing.
    pub(super) fn create_dir_all(&self, path: &str) -> Result<()> {
        if path == "." || self.metadata(path)?.is_some() {
            return Ok(());
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.create_dir_all(parent)?;
        }
        match self.create_dir(path) {
            Err(Error::Exists) => Ok(()),
            made => made,
        }
    }

    /// Windows knows no such call, and needs none.
    pub(super) fn sync_directory(&self, path: &str) -> Result<()> {
        if cfg!(unix) {
            // Not as a directory: that handle is for walking alone, and cannot be synced.
            self.dir()?.open(path)?.sync_all()?;
        }
        Ok(())
    }

    pub(super) fn symlink(&self, text: &str, path: &str) -> Result<()> {
        self.add(path, || Ok(self.dir()?.symlink_contents(text, path)?))
    }

    /// Both names are in this volume.
    pub(super) fn hard_link(&self, old: &str, new: &str) -> Result<()> {
        self.add(new, || Ok(self.dir()?.hard_link(old, self.dir()?, new)?))
    }

    /// Removes a file or a symlink.
    pub(super) fn remove_file(&self, path: &str) -> Result<()> {
        self.remove(path, || Ok(self.dir()?.remove_file_or_symlink(path)?))
    }

    pub(super) fn remove_dir(&self, path: &str) -> Result<()> {
        self.remove(path, || Ok(self.dir()?.remove_dir(path)?))
    }

    /// Both names are in this volume; a file at `new` is replaced.
    pub(super) fn rename(&self, old: &str, new: &str) -> Result<()> {
        let names = self.quota.as_ref().map(|quota| quota.names());
        let replaced = self.metadata(new)?;
        self.dir()?.rename(old, self.dir()?, new)?;
        if replaced.is_some() && look(self.dir()?, old)?.is_some() {
            // Two names of one file: the host leaves both.
            return Ok(());
        }
        self.present.iter().for_each(|present| present.renamed(old, new));
        if let (Some(mut names), Some(replaced)) = (names, replaced) {
            names.removed(&replaced);
        }
        Ok(())
    }

    /// What is at `path`, not followed.
    pub(super) fn metadata(&self, path: &str) -> Result<Option<Metadata>> {
        if self.present.as_ref().is_some_and(|present| present.lacks(path)) {
            return Ok(None);
        }
        look(self.dir()?, path)
    }

    /// The directory, if there is certainly something at `path` in it.
    pub(super) fn if_known_to_hold(&self, path: &str) -> Option<&Dir> {
        let present = self.present.as_ref()?.0.read();
        present.as_ref()?.contains(path).then(|| self.if_made()).flatten()
    }

    fn add(&self, path: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
        match &self.quota {
            None => make(),
            Some(quota) => quota.names().add(make),
        }?;
        self.appeared(path);
        Ok(())
    }

    fn remove(&self, path: &str, remove: impl FnOnce() -> Result<()>) -> Result<()> {
        let Some(quota) = &self.quota else {
            remove()?;
            self.vanished(path);
            return Ok(());
        };
        let mut names = quota.names();
        let was = self.dir()?.symlink_metadata(path)?;
        remove()?;
        self.vanished(path);
        names.removed(&was);
        Ok(())
    }

    fn appeared(&self, path: &str) {
        self.present.iter().for_each(|present| present.appeared(path));
    }

    fn vanished(&self, path: &str) {
        self.present.iter().for_each(|present| present.vanished(path));
    }
}

impl Present {
    /// Whether there is certainly nothing at `path`.
    fn lacks(&self, path: &str) -> bool {
        path != "." && self.0.read().as_ref().is_some_and(|names| !names.contains(path))
    }

    fn appeared(&self, path: &str) {
        let names = &mut *self.0.write();
        if names.as_ref().is_some_and(|names| names.len() >= PRESENT_MAX) {
            *names = None;
        }
        if let Some(names) = names {
            names.insert(path.to_owned());
        }
    }

    fn vanished(&self, path: &str) {
        if let Some(names) = &mut *self.0.write() {
            names.remove(path);
        }
    }

    /// With all that is below.
    fn renamed(&self, old: &str, new: &str) {
        let names = &mut *self.0.write();
        let Some(names) = names else { return };
        let moved = |name: &str| {
            let rest = name.strip_prefix(old)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{new}{rest}"))
        };
        *names = names.drain().map(|name| moved(&name).unwrap_or(name)).collect();
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Home").field(&self.dir.get()).finish()
    }
}

pub(super) fn look(dir: &Dir, path: &str) -> Result<Option<Metadata>> {
    match dir.symlink_metadata(path).map_err(Error::from) {
        Ok(metadata) => Ok(Some(metadata)),
        // A file of one layer may stand where another has a directory.
        Err(Error::NotFound | Error::NotDirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Source {
    /// Bytes and entries of what this is a part of.
    pub(super) fn quota(&self) -> Option<&Quota> {
        match self {
            Self::Directory(volume) => volume.quota.as_deref(),
            Self::File(file) => file.quota(),
            Self::Made(_) => None,
        }
    }
}

/// An empty directory that is there already, as one that is made when it is needed.
#[cfg(test)]
pub(super) fn later(dir: Dir) -> Volume {
    Volume::empty(move || dir.try_clone(), None)
}

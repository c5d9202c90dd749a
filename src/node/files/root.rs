use std::collections::BTreeSet;
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::RwLock;

use super::walk::Follow;
use super::{Place, Result};

/// What a container sees as `/`. One per container, shared by all its processes; and perhaps a view
/// of the same files with more below them.
///
/// All operations are synchronous and short. The writable directory belongs to one `Root` and its
/// views for its whole life: what is hidden of the image is remembered here, not on disk.
#[derive(Debug)]
pub struct Root {
    /// Never written; topmost first. Bound: the layers of an image, and one.
    pub(super) lowers: Vec<Arc<Dir>>,
    /// So many of them are the container's own; the others are below it in this view only.
    pub(super) own_lowers: usize,
    /// Where writes go.
    pub(super) upper: Arc<Dir>,
    /// Deepest first.
    pub(super) mounts: Vec<Arc<MountPoint>>,
    /// Readers look files up and open them; writers change names.
    pub(super) hidden: Arc<RwLock<Hidden>>,
}

/// A directory or a single file that appears at a path of the container.
#[derive(Debug)]
pub struct Mount {
    /// Absolute path in the container; made if it is not there.
    pub path: String,
    pub dir: Dir,
    /// Below `dir`; empty for all of it. It may name a file.
    pub sub_path: String,
    pub read_only: bool,
}

#[derive(Debug)]
pub(super) struct MountPoint {
    pub(super) place: Place,
    pub(super) dir: Dir,
    /// Set if a single file of `dir` is mounted.
    pub(super) file: Option<String>,
    pub(super) read_only: bool,
}

/// Places whose lower files were deleted or replaced, with all that is below them.
/// Bound: the image's number of files.
#[derive(Debug, Default)]
pub(super) struct Hidden(BTreeSet<Place>);

impl Root {
    /// A writable root over an image's layers, topmost first. `upper` is empty and nobody else's.
    pub fn new(lowers: impl IntoIterator<Item = Dir>, upper: Dir) -> Self {
        let lowers: Vec<_> = lowers.into_iter().map(Arc::new).collect();
        Self {
            own_lowers: lowers.len(),
            lowers,
            upper: Arc::new(upper),
            mounts: Vec::new(),
            hidden: Arc::default(),
        }
    }

    /// The same files, and `lowest` below them all: writes and deletions through either root are
    /// seen through both. Only what `lowest` has is seen here alone; deleting it, or writing to it,
    /// leaves it as it is on the host.
    pub fn over(&self, lowest: Dir) -> Self {
        let mut lowers = self.lowers.clone();
        lowers.push(Arc::new(lowest));
        Self {
            lowers,
            own_lowers: self.own_lowers,
            upper: self.upper.clone(),
            mounts: self.mounts.clone(),
            hidden: self.hidden.clone(),
        }
    }

    /// Mounts a volume; later ones cover earlier ones. Views made before do not show it.
    ///
    /// # Errors
    /// If `sub_path` leads out of `dir` or nowhere, or the mount point cannot be made.
    pub fn mount(&mut self, mount: Mount) -> Result<()> {
        let (dir, file) = sub_directory(&mount)?;
        let place = self.mount_place(&mount.path, file.is_some())?;
        self.mounts.retain(|other| other.place != place);
        self.mounts.push(Arc::new(MountPoint { place, dir, file, read_only: mount.read_only }));
        self.mounts.sort_by_key(|mount| std::cmp::Reverse(mount.place.and_ancestors().count()));
        Ok(())
    }

    fn mount_place(&self, path: &str, is_file: bool) -> Result<Place> {
        if !is_file {
            return self.create_directories(path);
        }
        let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
        self.create_directories(if parent.is_empty() { "/" } else { parent })?;
        let hidden = &mut self.hidden.write();
        let walked = self.walk(hidden, &Place::root(), path, Follow::Yes)?;
        if walked.found.is_none() {
            self.create_file(hidden, &walked.place)?;
        }
        Ok(walked.place)
    }
}

/// The directory to mount, or the directory and the name of the one file in it.
fn sub_directory(mount: &Mount) -> Result<(Dir, Option<String>)> {
    let sub_path = mount.sub_path.trim_matches('/');
    if sub_path.is_empty() {
        return Ok((mount.dir.try_clone()?, None));
    }
    if mount.dir.metadata(sub_path)?.is_dir() {
        return Ok((mount.dir.open_dir(sub_path)?, None));
    }
    match sub_path.rsplit_once('/') {
        None => Ok((mount.dir.try_clone()?, Some(sub_path.to_owned()))),
        Some((parent, name)) => Ok((mount.dir.open_dir(parent)?, Some(name.to_owned()))),
    }
}

impl Hidden {
    /// Whether the lower files at `place` are out of sight.
    pub(super) fn covers(&self, place: &Place) -> bool {
        !self.0.is_empty() && place.and_ancestors().any(|path| self.0.contains(path))
    }

    pub(super) fn hide(&mut self, place: &Place) {
        self.0.insert(place.clone());
    }
}

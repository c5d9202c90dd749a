use std::collections::BTreeSet;

use cap_std::fs::Dir;
use parking_lot::RwLock;

use super::walk::Follow;
use super::{Place, Result};

/// What a container sees as `/`. One per container, shared by all its processes.
///
/// All operations are synchronous and short. The writable directory belongs to one `Root` for its
/// whole life: what is hidden of the image is remembered here, not on disk.
#[derive(Debug)]
pub struct Root {
    /// The image's files; never written.
    pub(super) lower: Option<Dir>,
    /// Where writes go.
    pub(super) upper: Dir,
    /// Deepest first.
    pub(super) mounts: Vec<MountPoint>,
    /// Readers look files up and open them; writers change names.
    pub(super) hidden: RwLock<Hidden>,
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
    /// A writable root over an image's files. `upper` is empty and nobody else's.
    pub fn new(lower: Option<Dir>, upper: Dir) -> Self {
        Self { lower, upper, mounts: Vec::new(), hidden: RwLock::default() }
    }

    /// Mounts a volume; later ones cover earlier ones.
    ///
    /// # Errors
    /// If `sub_path` leads out of `dir` or nowhere, or the mount point cannot be made.
    pub fn mount(&mut self, mount: Mount) -> Result<()> {
        let (dir, file) = sub_directory(&mount)?;
        let place = self.mount_place(&mount.path, file.is_some())?;
        self.mounts.retain(|other| other.place != place);
        self.mounts.push(MountPoint { place, dir, file, read_only: mount.read_only });
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

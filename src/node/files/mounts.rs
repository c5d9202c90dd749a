//! The mount table: what stands where in a container's root, and how much room there is.
//!
//! A mount point needs nothing below it: where the layers or the volume around it lack the
//! directory, it is shown all the same, with the directories that lead to it. Such a directory is
//! made for real when something is written into it.

use std::sync::Arc;

use cap_std::fs::Dir;

use super::layers::{Found, Kind, Origin};
use super::walk::Follow;
use super::{Error, Node, Place, Quota, Result, Root, Source};

/// A directory or a single file that appears at a path of the container.
#[derive(Debug)]
pub struct Mount {
    /// Absolute path in the container; symlinks in it are followed there.
    pub path: String,
    pub source: Source,
    pub read_only: bool,
}

#[derive(Debug)]
pub(super) struct MountPoint {
    pub(super) place: Place,
    pub(super) source: Source,
    pub(super) read_only: bool,
}

/// One line of a mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// Absolute.
    pub target: String,
    /// `overlay`, `volume`, `devices`, `proc` for what the host makes up.
    pub kind: &'static str,
    pub read_only: bool,
    /// `None` where the host does not tell.
    pub space: Option<Space>,
}

/// Of a volume's quota, or of the host's filesystem that holds a mount, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// To whom is not root.
    pub available: u64,
}

impl Root {
    /// Mounts all of them, so that one whose path leads into another's is reached: those with
    /// shorter paths first.
    ///
    /// # Errors
    /// The first path that cannot be mounted at, and why.
    pub fn mount_all(
        &mut self,
        mounts: impl IntoIterator<Item = Mount>,
    ) -> std::result::Result<(), (String, Error)> {
        let mut mounts: Vec<_> = mounts.into_iter().collect();
        mounts.sort_by_key(|mount| names(&mount.path).count());
        for mount in mounts {
            let path = mount.path.clone();
            self.mount(mount).map_err(|error| (path, error))?;
        }
        Ok(())
    }

    /// Mounts one; it covers what is at its path, and what was mounted there. Views made before do
    /// not show it.
    ///
    /// # Errors
    /// [`Error::NotDirectory`] if something else is in the way, or the kinds differ;
    /// [`Error::Busy`] at the root.
    pub fn mount(&mut self, mount: Mount) -> Result<()> {
        let place = self.mount_place(&mount)?;
        let Mount { source, read_only, .. } = mount;
        let read_only = read_only || matches!(source, Source::Made(_));
        let others = self.mounts.iter().filter(|other| other.place != place).cloned();
        let mut mounts: Vec<_> = others.collect();
        mounts.push(Arc::new(MountPoint { place, source, read_only }));
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.place.and_ancestors().count()));
        self.mounts = mounts.into();
        Ok(())
    }

    /// Where the path leads; what is missing at its end stays so.
    fn mount_place(&self, mount: &Mount) -> Result<Place> {
        let hidden = &self.hidden.read();
        let is_directory = mount.source.kind() == Kind::Directory;
        let mut here = Place::root();
        let mut missing = false;
        let mut names = names(&mount.path).peekable();
        while let Some(name) = names.next() {
            if missing {
                super::place::check_name(name)?;
                here = if name == ".." { here.parent() } else { here.join(name) };
                continue;
            }
            let walked = self.walk(hidden, &here, name, Follow::Yes)?;
            let is_last = names.peek().is_none();
            let fits =
                |found: &Found| (found.kind == Kind::Directory) == (is_directory || !is_last);
            if walked.found.as_ref().is_some_and(|found| !fits(found)) {
                return Err(Error::NotDirectory);
            }
            missing = walked.found.is_none();
            here = walked.place;
        }
        if here.is_root() { Err(Error::Busy) } else { Ok(here) }
    }

    /// The mount that `place` is at or below.
    pub(super) fn mount_at<'a>(&self, place: &'a Place) -> Option<(usize, &MountPoint, &'a str)> {
        let mut mounts = self.mounts.iter().enumerate();
        mounts.find_map(|(index, mount)| Some((index, &**mount, place.below(&mount.place)?)))
    }

    /// What the host makes up at `place`.
    pub(super) fn made_at(&self, place: &Place) -> Option<Node> {
        match self.mount_at(place)? {
            (_, MountPoint { source: Source::Made(made), .. }, rest) => {
                Some(made.node(self.caller, rest)?.0)
            }
            _ => None,
        }
    }

    /// Whether something is mounted at this absolute path.
    pub fn has_mount_at(&self, path: &str) -> bool {
        self.mounts.iter().any(|mount| Some(mount.place.relative()) == path.strip_prefix('/'))
    }

    pub(super) fn is_mount_point(&self, place: &Place) -> bool {
        self.mounts.iter().any(|mount| mount.place == *place)
    }

    /// Whether something is mounted at `place` or below it.
    pub(super) fn has_mount_below(&self, place: &Place) -> bool {
        self.mounts.iter().any(|mount| mount.place.below(place).is_some())
    }

    /// Whether something is mounted below `place`.
    pub(super) fn leads_to_mount(&self, place: &Place) -> bool {
        let below =
            |mount: &MountPoint| mount.place.below(place).is_some_and(|rest| !rest.is_empty());
        self.mounts.iter().any(|mount| below(mount))
    }

    /// The names in the directory at `place` that mount points are at or below, whatever else is
    /// there: those at may be files.
    pub(super) fn mounts_in<'a>(
        &'a self,
        place: &'a Place,
    ) -> impl Iterator<Item = (&'a str, Option<Kind>)> {
        self.mounts.iter().filter_map(|mount| {
            let rest = mount.place.below(place).filter(|rest| !rest.is_empty())?;
            Some(match rest.split_once('/') {
                Some((name, _)) => (name, None),
                None => (rest, Some(mount.source.kind())),
            })
        })
    }

    /// The root itself, the devices, then the volumes by their path.
    pub fn mounts(&self) -> Vec<MountInfo> {
        let info = |target: &str, kind, read_only, space| MountInfo {
            target: target.to_owned(),
            kind,
            read_only,
            space,
        };
        let volume = |mount: &MountPoint| {
            let space = mount.source.space();
            let kind = match &mount.source {
                Source::Made(made) => made.filesystem,
                Source::Directory(_) | Source::File(_) => "volume",
            };
            info(&mount.place.absolute(), kind, mount.read_only, space)
        };
        let mut volumes: Vec<_> = self.mounts.iter().map(|mount| volume(mount)).collect();
        volumes.sort_by(|one, other| one.target.cmp(&other.target));
        let own = self.upper.whole().space();
        let own = [info("/", "overlay", false, own), info("/dev", "devices", false, None)];
        own.into_iter().chain(volumes).collect()
    }
}

impl MountPoint {
    /// What is there below the mount point; `rest` is empty for itself.
    pub(super) fn find(&self, caller: u32, rest: &str) -> Result<Option<Found>> {
        let metadata = match &self.source {
            Source::Directory(volume) => volume.metadata(or_itself(rest))?,
            Source::File(file) if rest.is_empty() => Some(file.metadata()?),
            Source::File(_) => None,
            Source::Made(made) => return Ok(made.find(caller, rest)),
        };
        Ok(metadata.map(|metadata| Found::new(Origin::Mount, metadata)))
    }
}

/// The path of a volume's directory itself is `.`.
pub(super) fn or_itself(rest: &str) -> &str {
    if rest.is_empty() { "." } else { rest }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".")
}

impl Source {
    fn kind(&self) -> Kind {
        match self {
            Self::Directory(_) => Kind::Directory,
            Self::File(_) => Kind::File,
            Self::Made(made) => made.kind(),
        }
    }

    fn space(&self) -> Option<Space> {
        let host = match self {
            Self::Directory(volume) => host_space(volume.dir().ok()?),
            Self::File(_) | Self::Made(_) => None,
        };
        self.quota().map_or(host, |quota| Some(Space::of(quota, host)))
    }
}

impl Space {
    /// What the volume may still hold, if its disk can.
    fn of(quota: &Quota, host: Option<Self>) -> Self {
        let usage = quota.usage();
        if let Some(host) = host
            && !usage.is_bounded()
        {
            return host;
        }
        let free = usage.bytes_free();
        let available = host.map_or(free, |host| host.available.min(free));
        Self { total: usage.bytes_max, available }
    }
}

#[cfg(unix)]
fn host_space(dir: &Dir) -> Option<Space> {
    let of = rustix::fs::fstatvfs(dir).ok()?;
    Some(Space { total: of.f_blocks * of.f_frsize, available: of.f_bavail * of.f_frsize })
}

#[cfg(not(unix))]
fn host_space(_: &Dir) -> Option<Space> {
    None
}

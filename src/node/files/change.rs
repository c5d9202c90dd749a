//! Changing names: making, removing, renaming, linking; and copying up what is only below.

use std::time::SystemTime;

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, SystemTimeSpec};
use cap_std::fs::Dir;

use super::layers::{Found, Kind, Origin};
use super::mounts::{MountPoint, or_itself};
use super::place::check_path;
use super::read::OpenOptions;
use super::root::Hidden;
use super::walk::{Follow, Walked};
use super::{Error, File, Place, Result, Root, Source, Volume, mode};

/// The part of the container whose files can be renamed and linked to one another.
#[derive(Debug, PartialEq, Eq)]
enum Zone {
    Own,
    Mount(usize),
}

impl Root {
    pub fn create_directory(&self, from: &Place, path: &str) -> Result<()> {
        let hidden = &self.hidden.write();
        let walked = self.walk(hidden, from, path, Follow::No)?;
        if walked.found.is_some() {
            return Err(Error::Exists);
        }
        let (volume, path) = self.writable(&walked.place)?;
        volume.create_dir(path)
    }

    /// Makes an absolute path's directories, as far as they are missing; symlinks are followed.
    pub fn create_directories(&self, path: &str) -> Result<Place> {
        let hidden = &self.hidden.write();
        let mut here = Place::root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let walked = self.walk(hidden, &here, name, Follow::Yes)?;
            match walked.found {
                Some(found) if found.kind == Kind::Directory => {}
                Some(_) => return Err(Error::NotDirectory),
                None => {
                    let (volume, path) = self.writable(&walked.place)?;
                    volume.create_dir(path)?;
                }
            }
            here = walked.place;
        }
        Ok(here)
    }

    /// Has the names of a volume's directory outlast a loss of power; the container's own go with it.
    pub fn sync_directory(&self, place: &Place) -> Result<()> {
        match self.mount_at(place) {
            Some((_, MountPoint { source: Source::Directory(volume), .. }, rest)) => {
                volume.sync_directory(or_itself(rest))
            }
            _ => Ok(()),
        }
    }

    /// Removes a file or a symlink.
    pub fn unlink(&self, from: &Place, path: &str) -> Result<()> {
        let hidden = &mut self.hidden.write();
        let Walked { place, found, must_be_directory } =
            self.walk(hidden, from, path, Follow::No)?;
        let found = found.ok_or(Error::NotFound)?;
        match found.kind {
            Kind::Directory => return Err(Error::IsDirectory),
            Kind::Device(_) => return Err(Error::NotPermitted),
            _ if must_be_directory => return Err(Error::NotDirectory),
            _ if self.is_mount_point(&place) => return Err(Error::Busy),
            _ => {}
        }
        if !matches!(found.origin, Origin::Lower(_) | Origin::Given) {
            let (volume, path) = self.writable(&place)?;
            volume.remove_file(path)?;
        }
        self.hide_lower(hidden, &place)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, from: &Place, path: &str) -> Result<()> {
        if path.trim_end_matches('/').rsplit('/').next() == Some(".") {
            return Err(Error::Invalid);
        }
        let hidden = &mut self.hidden.write();
        let Walked { place, found, .. } = self.walk(hidden, from, path, Follow::No)?;
        let found = found.ok_or(Error::NotFound)?;
        if found.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        if place.is_root() || self.has_mount_below(&place) {
            return Err(Error::Busy);
        }
        if self.mount_at(&place).is_some_and(|(_, mount, _)| mount.read_only) {
            return Err(Error::ReadOnly);
        }
        if !self.list_with(hidden, &place)?.is_empty() {
            return Err(Error::NotEmpty);
        }
        if matches!(found.origin, Origin::Upper | Origin::Mount) {
            let (volume, path) = self.writable(&place)?;
            volume.remove_dir(path)?;
        }
        self.hide_lower(hidden, &place)
    }

    pub fn rename(&self, from: &Place, old: &str, to: &Place, new: &str) -> Result<()> {
        let hidden = &mut self.hidden.write();
        let source = self.walk(hidden, from, old, Follow::No)?;
        let target = self.walk(hidden, to, new, Follow::No)?;
        let found = source.found.ok_or(Error::NotFound)?;
        let (source, into) = (source.place, &target.place);
        let zone = self.zone_of_name(&source)?;
        if zone != self.zone_of_name(into)? {
            return Err(Error::CrossDevice);
        }
        if source == *into {
            return Ok(());
        }
        if into.below(&source).is_some() {
            return Err(Error::Invalid);
        }
        self.check_replace(hidden, &found, &target)?;
        if zone == Zone::Own {
            self.copy_up_all(hidden, &source, found)?;
        }
        let (volume, target_path) = self.writable(into)?;
        if target.found.as_ref().is_some_and(|found| found.kind == Kind::Directory) {
            remove_if_there(volume, target_path)?;
        }
        let (_, source_path) = self.writable(&source)?;
        volume.rename(source_path, target_path)?;
        self.hide_lower(hidden, &source)?;
        self.hide_lower(hidden, into)
    }

    /// Gives a file a second name.
    pub fn link(
        &self,
        from: &Place,
        old: &str,
        follow: Follow,
        to: &Place,
        new: &str,
    ) -> Result<()> {
        let hidden = &mut self.hidden.write();
        let Walked { place: old, found, .. } = self.walk(hidden, from, old, follow)?;
        let found = found.ok_or(Error::NotFound)?;
        if matches!(found.kind, Kind::Directory | Kind::Device(_)) {
            return Err(Error::NotPermitted);
        }
        let new = self.walk(hidden, to, new, Follow::No)?;
        if new.found.is_some() {
            return Err(Error::Exists);
        }
        if new.must_be_directory {
            return Err(Error::NotFound);
        }
        if self.zone(&old) != self.zone(&new.place) {
            return Err(Error::CrossDevice);
        }
        self.copy_up(&old, &found)?;
        let (volume, new_path) = self.writable(&new.place)?;
        let (_, old_path) = self.writable(&old)?;
        volume.hard_link(old_path, new_path)
    }

    /// Makes a symlink of any text; where it leads is decided when it is walked.
    pub fn symlink(&self, text: &str, from: &Place, path: &str) -> Result<()> {
        check_path(text)?;
        let hidden = &self.hidden.write();
        let walked = self.walk(hidden, from, path, Follow::No)?;
        if walked.found.is_some() {
            return Err(Error::Exists);
        }
        if walked.must_be_directory {
            return Err(Error::NotFound);
        }
        let (volume, path) = self.writable(&walked.place)?;
        volume.symlink(text, path)
    }

    /// `None` leaves a time as it is.
    pub fn set_times(
        &self,
        from: &Place,
        path: &str,
        follow: Follow,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let hidden = &self.hidden.write();
        let Walked { place, found, .. } = self.walk(hidden, from, path, follow)?;
        let found = found.ok_or(Error::NotFound)?;
        if matches!(found.kind, Kind::Device(_)) {
            return Ok(());
        }
        self.copy_up(&place, &found)?;
        if let Some((_, MountPoint { source: Source::File(file), read_only, .. }, _)) =
            self.mount_at(&place)
        {
            return if *read_only {
                Err(Error::ReadOnly)
            } else {
                file.set_times(accessed, modified)
            };
        }
        let (volume, path) = self.own_or_mounted(&place)?;
        let spec = |time| SystemTimeSpec::Absolute(cap_std::time::SystemTime::from_std(time));
        Ok(volume.dir()?.set_symlink_times(path, accessed.map(spec), modified.map(spec))?)
    }

    /// Sets permission bits, of 0o777; the owner keeps reading and writing. Nothing happens where
    /// the host has no such bits.
    pub fn set_mode(&self, from: &Place, path: &str, mode: u32) -> Result<()> {
        let hidden = &self.hidden.write();
        let Walked { place, found, .. } = self.walk(hidden, from, path, Follow::Yes)?;
        let found = found.ok_or(Error::NotFound)?;
        if matches!(found.kind, Kind::Device(_)) {
            return Ok(());
        }
        let wanted = mode::permissions(mode, found.kind == Kind::Directory);
        self.copy_up(&place, &found)?;
        if let Some((_, MountPoint { source: Source::File(file), read_only, .. }, _)) =
            self.mount_at(&place)
        {
            return if *read_only { Err(Error::ReadOnly) } else { file.set_permissions(wanted) };
        }
        let (volume, path) = self.own_or_mounted(&place)?;
        wanted.map_or(Ok(()), |wanted| Ok(volume.dir()?.set_permissions(path, wanted)?))
    }

    /// Makes an existing file ready to be opened as asked.
    pub(super) fn prepare_write(
        &self,
        hidden: &Hidden,
        place: &Place,
        found: Found,
        options: OpenOptions,
    ) -> Result<Found> {
        if found.kind != Kind::File || !(options.write || options.truncate) {
            return Ok(found);
        }
        if self.mount_at(place).is_some_and(|(_, mount, _)| mount.read_only) {
            return Err(Error::ReadOnly);
        }
        match found.origin {
            Origin::Lower(_) | Origin::Given if options.truncate => {
                self.create_file(hidden, place)?;
                self.find(hidden, place)?.ok_or(Error::NotFound)
            }
            Origin::Lower(_) | Origin::Given => {
                self.copy_up(place, &found)?;
                self.find(hidden, place)?.ok_or(Error::NotFound)
            }
            Origin::Upper | Origin::Mount | Origin::BuiltIn => Ok(found),
        }
    }

    /// A new, empty file, open for reading and writing.
    pub(super) fn create_file(&self, _names: &Hidden, place: &Place) -> Result<File> {
        let (volume, path) = self.writable(place)?;
        volume.create_file(path)
    }

    /// Where a name can be made, removed or replaced; makes the directories above it.
    fn writable<'a>(&'a self, place: &'a Place) -> Result<(&'a Volume, &'a str)> {
        if place.is_root() || self.is_mount_point(place) {
            return Err(Error::Busy);
        }
        self.own_or_mounted(place)
    }

    /// Where a file's writable copy is or will be, in directories that are made if they are only
    /// in the lower layers or stand for a mount below them.
    fn own_or_mounted<'a>(&'a self, place: &'a Place) -> Result<(&'a Volume, &'a str)> {
        let (volume, path, may_be_missing) = match self.mount_at(place) {
            None => (&self.upper, place.relative(), true),
            Some((_, mount, _)) if mount.read_only => return Err(Error::ReadOnly),
            Some((_, mount, rest)) => match &mount.source {
                Source::Directory(volume) => {
                    (volume, or_itself(rest), self.leads_to_mount(&place.parent()))
                }
                Source::File(_) => return Err(Error::NotDirectory),
                Source::Made(_) => return Err(Error::ReadOnly),
            },
        };
        if let Some((parent, _)) = path.rsplit_once('/').filter(|_| may_be_missing) {
            volume.create_dir_all(parent)?;
        }
        Ok((volume, path))
    }

    /// Brings one file, symlink or directory (without its content) of the lower layers up.
    fn copy_up(&self, place: &Place, found: &Found) -> Result<()> {
        if matches!(found.origin, Origin::Upper | Origin::Mount) {
            return Ok(());
        }
        let (upper, path) = self.own_or_mounted(place)?;
        match found.kind {
            Kind::Directory => upper.create_dir_all(path),
            Kind::Symlink => upper.symlink(&self.target(found, place)?, path),
            Kind::Device(_) => Err(Error::Busy),
            Kind::Other => Err(Error::NotSupported),
            Kind::File => {
                let copied = match self.given.content(place) {
                    Some(content) if found.origin == Origin::Given => {
                        upper.create_file(path).and_then(|file| file.write_at(&content, 0))
                    }
                    _ => copy_file(self.source(found.origin, place)?.0, upper, path),
                };
                if copied.is_err() {
                    // Half a file must not cover the whole one; what failed is what is reported.
                    let _ = upper.remove_file(path);
                }
                copied
            }
        }
    }

    /// Brings a whole tree up, so that it can be moved.
    fn copy_up_all(&self, hidden: &Hidden, place: &Place, found: Found) -> Result<()> {
        self.copy_up(place, &found)?;
        if found.kind != Kind::Directory {
            return Ok(());
        }
        for entry in self.list_with(hidden, place)? {
            let child = place.join(&entry.name);
            let found = self.find(hidden, &child)?.ok_or(Error::NotFound)?;
            if found.origin != Origin::Upper || found.kind == Kind::Directory {
                self.copy_up_all(hidden, &child, found)?;
            }
        }
        Ok(())
    }

    fn check_replace(&self, hidden: &Hidden, source: &Found, target: &Walked) -> Result<()> {
        let from_directory = source.kind == Kind::Directory;
        let Some(found) = &target.found else {
            let named_as_directory = target.must_be_directory && !from_directory;
            return if named_as_directory { Err(Error::NotDirectory) } else { Ok(()) };
        };
        match found.kind {
            Kind::Device(_) => Err(Error::NotPermitted),
            Kind::Directory if !from_directory => Err(Error::IsDirectory),
            Kind::Directory if !self.list_with(hidden, &target.place)?.is_empty() => {
                Err(Error::NotEmpty)
            }
            Kind::Directory => Ok(()),
            _ if from_directory => Err(Error::NotDirectory),
            _ => Ok(()),
        }
    }

    fn hide_lower(&self, hidden: &mut Hidden, place: &Place) -> Result<()> {
        if self.mount_at(place).is_none() && self.lower_has(hidden, place)? {
            hidden.hide(place);
        }
        Ok(())
    }

    fn zone(&self, place: &Place) -> Zone {
        self.mount_at(place).map_or(Zone::Own, |(index, _, _)| Zone::Mount(index))
    }

    /// The zone of a name that is to be removed or replaced.
    fn zone_of_name(&self, place: &Place) -> Result<Zone> {
        if place.is_root() || self.has_mount_below(place) {
            return Err(Error::Busy);
        }
        Ok(self.zone(place))
    }
}

fn copy_file(lower: &Dir, upper: &Volume, path: &str) -> Result<()> {
    let mut how = cap_std::fs::OpenOptions::new();
    how.read(true).follow(FollowSymlinks::No);
    let source = lower.open_with(path, &how)?.into_std();
    upper.create_file(path)?.copy_from(source)
}

/// The target directory of a rename may exist in the lower layers only.
fn remove_if_there(volume: &Volume, path: &str) -> Result<()> {
    match volume.remove_dir(path) {
        Err(Error::NotFound) => Ok(()),
        removed => removed,
    }
}

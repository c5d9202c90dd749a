//! Looking: stat, listings, symlink texts, and opening.

use std::collections::BTreeMap;
use std::time::SystemTime;

use cap_fs_ext::{FollowSymlinks, MetadataExt, OpenOptionsFollowExt};
use cap_std::fs::Metadata;

use super::layers::{Device, Found, Kind, Origin, built_ins_in, kind_of};
use super::mounts::or_itself;
use super::root::Hidden;
use super::walk::{Follow, Walked};
use super::{About, Error, File, Node, Place, Result, Root, Source, mode};

/// What is known of a file without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// Permission bits, where the host has them.
    pub mode: Option<u32>,
    pub links: u64,
    pub accessed: Option<SystemTime>,
    pub modified: Option<SystemTime>,
    pub changed: Option<SystemTime>,
    /// Device and inode, or what the platform has of that sort.
    pub identity: (u64, u64),
}

/// One name of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
}

/// How to open a file; the default does nothing useful.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    pub read: bool,
    pub write: bool,
    pub create: bool,
    /// With `create`: fail if it exists.
    pub exclusive: bool,
    pub truncate: bool,
    /// Fail unless it is a directory.
    pub directory: bool,
    /// Fail with [`Error::Loop`] if the last name is a symlink.
    pub no_follow: bool,
}

#[derive(Debug)]
pub enum Opened {
    File(File),
    Directory(Place),
    Device(Device),
}

impl Root {
    pub fn stat(&self, from: &Place, path: &str, follow: Follow) -> Result<Stat> {
        self.locate(from, path, follow).map(|(_, _, stat)| stat)
    }

    /// Where a path leads, from which layer, and what is there.
    pub fn locate(
        &self,
        from: &Place,
        path: &str,
        follow: Follow,
    ) -> Result<(Place, Origin, Stat)> {
        let hidden = &self.hidden.read();
        let walked = self.walk(hidden, from, path, follow)?;
        let found = walked.found.ok_or(Error::NotFound)?;
        let stat = stat_of(&walked.place, &found);
        Ok((walked.place, found.origin, stat))
    }

    /// The names of a directory, sorted, without `.` and `..`.
    pub fn list(&self, place: &Place) -> Result<Vec<Entry>> {
        self.list_with(&self.hidden.read(), place)
    }

    /// The text of a symlink.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is something else.
    pub fn read_link(&self, from: &Place, path: &str) -> Result<String> {
        let hidden = &self.hidden.read();
        let walked = self.walk(hidden, from, path, Follow::No)?;
        match walked.found.ok_or(Error::NotFound)? {
            found if found.kind == Kind::Symlink => self.target(&found, &walked.place),
            _ => Err(Error::Invalid),
        }
    }

    pub fn open(&self, from: &Place, path: &str, options: OpenOptions) -> Result<Opened> {
        let follow = if options.no_follow || (options.create && options.exclusive) {
            Follow::No
        } else {
            Follow::Yes
        };
        if !(options.write || options.create || options.truncate) {
            let hidden = &self.hidden.read();
            let walked = self.walk(hidden, from, path, follow)?;
            let found = walked.found.ok_or(Error::NotFound)?;
            return self.open_found(&walked.place, &found, options);
        }
        let hidden = &mut self.hidden.write();
        let walked = self.walk(hidden, from, path, follow)?;
        match walked.found {
            Some(_) if options.create && options.exclusive => Err(Error::Exists),
            Some(found) => {
                let found = self.prepare_write(hidden, &walked.place, found, options)?;
                self.open_found(&walked.place, &found, options)
            }
            None => self.open_new(hidden, &walked, options),
        }
    }

    pub(super) fn list_with(&self, hidden: &Hidden, place: &Place) -> Result<Vec<Entry>> {
        let found = self.find(hidden, place)?.ok_or(Error::NotFound)?;
        if found.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        let mut names = BTreeMap::new();
        if let Some(Node::Directory(entries)) = self.made_at(place) {
            names.extend(entries.into_iter().map(|entry| (entry.name, entry.kind)));
        } else if self.mount_at(place).is_some() {
            self.add_names(Origin::Mount, place, &mut names)?;
        } else {
            if !hidden.covers(place) {
                names.extend(built_ins_in(place).map(|(name, kind)| (name.to_owned(), kind)));
                for index in self.merged(place)?.into_iter().rev() {
                    self.add_names(Origin::Lower(index), place, &mut names)?;
                }
                let given = self.given.names_in(place);
                names.extend(given.map(|(name, kind)| (name.to_owned(), kind)));
                names.retain(|name, _| !hidden.covers(&place.join(name)));
            }
            if self.upper.if_made().is_some() {
                self.add_names(Origin::Upper, place, &mut names)?;
            }
        }
        for (name, kind) in self.mounts_in(place) {
            match kind {
                Some(kind) => drop(names.insert(name.to_owned(), kind)),
                None => drop(names.entry(name.to_owned()).or_insert(Kind::Directory)),
            }
        }
        Ok(names.into_iter().map(|(name, kind)| Entry { name, kind }).collect())
    }

    fn add_names(
        &self,
        origin: Origin,
        place: &Place,
        names: &mut BTreeMap<String, Kind>,
    ) -> Result<()> {
        if let Origin::Lower(index) = origin {
            let lower = self.lower(index)?.names(place.relative())?;
            let lower = lower.iter().flat_map(|lower| lower.iter());
            names.extend(lower.map(|(name, named)| (name.clone(), named.kind)));
            return Ok(());
        }
        let (dir, path) = self.source(origin, place)?;
        let entries = match dir.read_dir(path).map_err(Error::from) {
            Ok(entries) => entries,
            Err(Error::NotFound | Error::NotDirectory) => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // WASI's names are UTF-8; others cannot be told to a guest.
            if let Ok(name) = entry.file_name().into_string() {
                names.insert(name, kind_of(entry.file_type()?));
            }
        }
        Ok(())
    }

    fn open_found(&self, place: &Place, found: &Found, options: OpenOptions) -> Result<Opened> {
        match found.kind {
            Kind::Directory if options.write || options.truncate => Err(Error::IsDirectory),
            Kind::Directory => Ok(Opened::Directory(place.clone())),
            _ if options.directory => Err(Error::NotDirectory),
            Kind::Device(device) => Ok(Opened::Device(device)),
            Kind::Symlink => Err(Error::Loop),
            Kind::Other => Err(Error::NoDevice),
            Kind::File => {
                let mut how = cap_std::fs::OpenOptions::new();
                how.read(options.read || !options.write)
                    .write(options.write || options.truncate)
                    .follow(FollowSymlinks::No);
                let file = self.open_regular(place, found, &mut how, options.truncate)?;
                Ok(Opened::File(file.allow(options.read, options.write)))
            }
        }
    }

    fn open_new(&self, hidden: &Hidden, walked: &Walked, options: OpenOptions) -> Result<Opened> {
        if !options.create {
            return Err(Error::NotFound);
        }
        if walked.must_be_directory || options.directory {
            return Err(Error::IsDirectory);
        }
        let file = self.create_file(hidden, &walked.place)?;
        Ok(Opened::File(file.allow(options.read, options.write)))
    }

    fn open_regular(
        &self,
        place: &Place,
        found: &Found,
        how: &mut cap_std::fs::OpenOptions,
        truncate: bool,
    ) -> Result<File> {
        let volume = match (found.origin, self.mount_at(place)) {
            (Origin::Upper, _) => Some((&self.upper, place.relative())),
            (Origin::Mount, Some((_, mount, rest))) => match &mount.source {
                Source::Directory(volume) => Some((volume, or_itself(rest))),
                Source::File(file) => {
                    let file = file.reopen()?;
                    return if truncate { file.set_len(0).map(|()| file) } else { Ok(file) };
                }
                Source::Made(_) => None,
            },
            _ => None,
        };
        if found.origin == Origin::Given {
            let content = self.given.content(place).ok_or(Error::NotFound)?;
            return Ok(File::made(content, stat_of(place, found)));
        }
        if let Some(Node::File(content)) = self.made_at(place) {
            return Ok(File::made(content, stat_of(place, found)));
        }
        let Some((volume, path)) = volume else {
            let (dir, path) = self.source(found.origin, place)?;
            return Ok(File::plain(dir.open_with(path, how.truncate(truncate))?.into_std()));
        };
        if volume.quota.is_none() {
            return volume.open(path, how.truncate(truncate));
        }
        let file = volume.open(path, how)?;
        if truncate {
            file.set_len(0)?;
        }
        Ok(file)
    }
}

impl Stat {
    /// Of what is not on the host's disk.
    fn made(kind: Kind, inode: u64, about: About) -> Self {
        Self {
            kind,
            size: about.size,
            mode: about.mode,
            links: 1,
            accessed: about.modified,
            modified: about.modified,
            changed: about.modified,
            identity: (0, inode),
        }
    }

    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            kind: kind_of(metadata.file_type()),
            size: metadata.len(),
            mode: mode::of(metadata),
            links: metadata.nlink(),
            accessed: metadata.accessed().ok().map(cap_std::time::SystemTime::into_std),
            modified: metadata.modified().ok().map(cap_std::time::SystemTime::into_std),
            changed: change::time(metadata),
            identity: (metadata.dev(), metadata.ino()),
        }
    }
}

pub(super) fn stat_of(place: &Place, found: &Found) -> Stat {
    match &found.metadata {
        Some(metadata) => Stat::of(metadata),
        None => Stat::made(found.kind, built_in_inode(place), found.about),
    }
}

/// Built-ins have no inode: their names tell them apart.
fn built_in_inode(place: &Place) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    hasher.finish()
}

#[cfg(unix)]
mod change {
    use std::time::{Duration, SystemTime};

    use cap_std::fs::MetadataExt;

    /// When the inode last changed.
    pub(super) fn time(metadata: &cap_std::fs::Metadata) -> Option<SystemTime> {
        let seconds = u64::try_from(metadata.ctime()).ok()?;
        let nanoseconds = u32::try_from(metadata.ctime_nsec()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
    }
}

#[cfg(not(unix))]
mod change {
    /// The platform has no such time; the last write is the closest to it.
    pub(super) fn time(metadata: &cap_std::fs::Metadata) -> Option<std::time::SystemTime> {
        metadata.modified().ok().map(cap_std::time::SystemTime::into_std)
    }
}

//! Which file is meant by a place: the layers, one above the other.

use cap_std::fs::{Dir, Metadata};

use super::mounts::{MountPoint, or_itself};
use super::root::Hidden;
use super::{About, Error, Layer, Place, Result, Root, Source};

/// A file's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    Device(Device),
    /// A pipe or socket of the host in a volume; it can be seen and not opened.
    Other,
}

/// The devices every container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Null,
    Zero,
    Full,
    Random,
    Stdin,
    Stdout,
    Stderr,
    /// The terminal of whoever opens it.
    Tty,
}

const DEVICES: &[(&str, Device)] = &[
    ("dev/null", Device::Null),
    ("dev/zero", Device::Zero),
    ("dev/full", Device::Full),
    ("dev/random", Device::Random),
    ("dev/urandom", Device::Random),
    ("dev/stdin", Device::Stdin),
    ("dev/stdout", Device::Stdout),
    ("dev/stderr", Device::Stderr),
    ("dev/tty", Device::Tty),
];

/// A process's own streams by their numbers.
const SYMLINKS: &[(&str, &str)] = &[("dev/fd", "/proc/self/fd")];

/// Directories that are there even if the image lacks them.
const DIRECTORIES: &[&str] = &["dev", "tmp"];

/// Where a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Upper,
    /// A layer of the image, by its number from the top: it does not change while the container
    /// lives.
    Lower(usize),
    /// The host made it for this container, over the image's.
    Given,
    Mount,
    BuiltIn,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) kind: Kind,
    /// None of the built-ins.
    pub(super) metadata: Option<Metadata>,
    /// Of those instead.
    pub(super) about: About,
}

impl Root {
    /// What is at `place`, not followed if it is a symlink.
    pub(super) fn find(&self, hidden: &Hidden, place: &Place) -> Result<Option<Found>> {
        let mut found = match self.mount_at(place) {
            Some((_, mount, rest)) => mount.find(self.caller, rest)?,
            None => self.find_own(hidden, place)?,
        };
        // What leads to a mount is a directory, whatever others made of it in a shared volume.
        let is_directory = found.as_ref().is_some_and(|found| found.kind == Kind::Directory);
        if !is_directory && self.leads_to_mount(place) {
            found = Some(Found::built_in(Kind::Directory));
        }
        if let Some(found) = found.as_mut().filter(|found| found.metadata.is_none()) {
            found.about.modified = found.about.modified.or(self.since);
        }
        Ok(found)
    }

    /// What is at `place`, which is in no mount.
    fn find_own(&self, hidden: &Hidden, place: &Place) -> Result<Option<Found>> {
        if let Some(metadata) = self.upper.metadata(place.relative())? {
            return Ok(Some(Found::new(Origin::Upper, metadata)));
        }
        if hidden.covers(place) {
            return Ok(None);
        }
        self.find_below(place)
    }

    /// What was given, and the lower layers and the built-ins have at `place`, hidden or not.
    fn find_below(&self, place: &Place) -> Result<Option<Found>> {
        if let Some(found) = self.given.find(place) {
            return Ok(Some(found));
        }
        for (index, lower) in self.lowers.iter().enumerate() {
            let there = lower.look(place.relative())?;
            if let Some(metadata) = there.filter(|_| self.reaches(index, place)) {
                return Ok(Some(Found::new(Origin::Lower(index), metadata)));
            }
        }
        Ok(built_in(place).map(Found::built_in).or_else(|| self.given.directory(place)))
    }

    /// The lower layers whose names are shown in the directory at `place`, topmost first.
    pub(super) fn merged(&self, place: &Place) -> Result<Vec<usize>> {
        let mut merged = Vec::new();
        for (index, lower) in self.lowers.iter().enumerate() {
            match lower.kind(place.relative())? {
                Some(_) if !self.reaches(index, place) => {}
                Some(Kind::Directory) => merged.push(index),
                Some(_) => break,
                None => {}
            }
        }
        Ok(merged)
    }

    /// Whether what a lower layer has at `place` is in sight of those on top of it: none of them
    /// has something else than a directory above it. What the upper directory has there was copied
    /// up, or hides it.
    fn reaches(&self, index: usize, place: &Place) -> bool {
        let in_the_way = |lower: &Layer, path| {
            lower.kind(path).is_ok_and(|kind| kind.is_some_and(|kind| kind != Kind::Directory))
        };
        place
            .and_ancestors()
            .skip(1)
            .all(|path| !self.lowers[..index].iter().any(|lower| in_the_way(lower, path)))
    }

    pub(super) fn lower(&self, index: usize) -> Result<&Layer> {
        self.lowers.get(index).map(|lower| &**lower).ok_or(Error::NotFound)
    }

    /// The `Dir` and the path below it for something that [`Root::find`] found.
    pub(super) fn source<'a>(
        &'a self,
        origin: Origin,
        place: &'a Place,
    ) -> Result<(&'a Dir, &'a str)> {
        match origin {
            Origin::Upper => Ok((self.upper.dir()?, place.relative())),
            Origin::Lower(index) => Ok((self.lower(index)?.dir(), place.relative())),
            Origin::Mount => match self.mount_at(place).ok_or(Error::NotFound)? {
                (_, MountPoint { source: Source::Directory(volume), .. }, rest) => {
                    Ok((volume.dir()?, or_itself(rest)))
                }
                _ => Err(Error::Invalid),
            },
            Origin::Given | Origin::BuiltIn => Err(Error::NotPermitted),
        }
    }

    /// Whether the lower layers show something at `place`, be it under something of the upper one.
    pub(super) fn lower_has(&self, hidden: &Hidden, place: &Place) -> Result<bool> {
        Ok(!hidden.covers(place) && self.find_below(place)?.is_some())
    }
}

impl Found {
    pub(super) fn built_in(kind: Kind) -> Self {
        Self { origin: Origin::BuiltIn, kind, metadata: None, about: About::default() }
    }

    pub(super) fn new(origin: Origin, metadata: Metadata) -> Self {
        Self {
            origin,
            kind: kind_of(metadata.file_type()),
            metadata: Some(metadata),
            about: About::default(),
        }
    }
}

pub(super) fn kind_of(file_type: cap_std::fs::FileType) -> Kind {
    if file_type.is_file() {
        Kind::File
    } else if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_symlink() {
        Kind::Symlink
    } else {
        Kind::Other
    }
}

fn built_in(place: &Place) -> Option<Kind> {
    let path: &str = std::borrow::Borrow::borrow(place);
    if DIRECTORIES.contains(&path) {
        return Some(Kind::Directory);
    }
    if built_in_target(place).is_some() {
        return Some(Kind::Symlink);
    }
    device(path).map(Kind::Device)
}

/// Where a built-in symlink leads.
pub(super) fn built_in_target(place: &Place) -> Option<&'static str> {
    let path: &str = std::borrow::Borrow::borrow(place);
    SYMLINKS.iter().find(|(name, _)| *name == path).map(|(_, target)| *target)
}

fn device(path: &str) -> Option<Device> {
    DEVICES.iter().find(|(name, _)| *name == path).map(|(_, device)| *device)
}

/// The built-ins of one directory, by name.
pub(super) fn built_ins_in(place: &Place) -> impl Iterator<Item = (&'static str, Kind)> {
    let path: String = place.relative().to_owned();
    let directories =
        DIRECTORIES.iter().filter(|_| path == ".").map(|name| (*name, Kind::Directory));
    let directories: Vec<_> = directories.collect();
    let devices = DEVICES.iter().map(|(path, device)| (*path, Kind::Device(*device)));
    let symlinks = SYMLINKS.iter().map(|(path, _)| (*path, Kind::Symlink));
    let others = devices.chain(symlinks).filter_map(move |(other, kind)| {
        Some((other.strip_prefix(path.as_str())?.strip_prefix('/')?, kind))
    });
    directories.into_iter().chain(others)
}

//! Which file is meant by a place: the layers, one above the other.

use cap_std::fs::{Dir, Metadata};

use super::root::{Hidden, MountPoint};
use super::{Error, Place, Result, Root};

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

/// Directories that are there even if the image lacks them.
const DIRECTORIES: &[&str] = &["dev", "tmp"];

/// Where a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Upper,
    /// A layer of the image, by its number from the top: it does not change while the container
    /// lives.
    Lower(usize),
    Mount,
    BuiltIn,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) kind: Kind,
    /// None of the built-ins.
    pub(super) metadata: Option<Metadata>,
}

impl Root {
    /// What is at `place`, not followed if it is a symlink.
    pub(super) fn find(&self, hidden: &Hidden, place: &Place) -> Result<Option<Found>> {
        if let Some((_, mount, rest)) = self.mount_at(place) {
            let metadata = look(&mount.dir, mount.path_of(rest)?)?;
            return Ok(metadata.map(|metadata| Found::new(Origin::Mount, metadata)));
        }
        if let Some(metadata) = look(&self.upper, place.relative())? {
            return Ok(Some(Found::new(Origin::Upper, metadata)));
        }
        if hidden.covers(place) {
            return Ok(None);
        }
        self.find_below(place)
    }

    /// What the lower layers and the built-ins have at `place`, hidden or not.
    fn find_below(&self, place: &Place) -> Result<Option<Found>> {
        for (index, lower) in self.lowers.iter().enumerate() {
            let there = look(lower, place.relative());
            if !matches!(there, Ok(None)) && self.reaches(index, place)? {
                return Ok(there?.map(|metadata| Found::new(Origin::Lower(index), metadata)));
            }
        }
        Ok(built_in(place).map(|kind| Found { origin: Origin::BuiltIn, kind, metadata: None }))
    }

    /// The lower layers whose names are shown in the directory at `place`, topmost first.
    pub(super) fn merged(&self, place: &Place) -> Result<Vec<usize>> {
        let mut merged = Vec::new();
        for (index, lower) in self.lowers.iter().enumerate() {
            let there = look(lower, place.relative());
            if matches!(there, Ok(None)) || !self.reaches(index, place)? {
                continue;
            }
            if !there?.is_some_and(|metadata| metadata.is_dir()) {
                break;
            }
            merged.push(index);
        }
        Ok(merged)
    }

    /// Whether what a lower layer has at `place` lies in directories of this root: all above it are
    /// directories in the layer itself, and nothing else in those on top of it. A layer may have a
    /// symlink where another has a directory, and must not be asked through it.
    fn reaches(&self, index: usize, place: &Place) -> Result<bool> {
        if index == 0 && self.own_lowers > 0 {
            // What the upper directory has on top of it was copied up, or hides it.
            return Ok(true);
        }
        let above: Vec<_> = place.and_ancestors().skip(1).collect();
        for path in above.into_iter().rev() {
            for lower in &self.lowers[..index] {
                if look(lower, path)?.is_some_and(|metadata| !metadata.is_dir()) {
                    return Ok(false);
                }
            }
            if !look(&self.lowers[index], path)?.is_some_and(|metadata| metadata.is_dir()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The mount that `place` is at or below.
    pub(super) fn mount_at<'a>(&self, place: &'a Place) -> Option<(usize, &MountPoint, &'a str)> {
        let mut mounts = self.mounts.iter().enumerate();
        mounts.find_map(|(index, mount)| Some((index, &**mount, place.below(&mount.place)?)))
    }

    /// The `Dir` and the path below it for something that [`Root::find`] found.
    pub(super) fn source<'a>(
        &'a self,
        origin: Origin,
        place: &'a Place,
    ) -> Result<(&'a Dir, &'a str)> {
        match origin {
            Origin::Upper => Ok((&self.upper, place.relative())),
            Origin::Lower(index) => {
                Ok((self.lowers.get(index).ok_or(Error::NotFound)?, place.relative()))
            }
            Origin::Mount => {
                let (_, mount, rest) = self.mount_at(place).ok_or(Error::NotFound)?;
                Ok((&mount.dir, mount.path_of(rest)?))
            }
            Origin::BuiltIn => Err(Error::NotPermitted),
        }
    }

    pub(super) fn is_mount_point(&self, place: &Place) -> bool {
        self.mounts.iter().any(|mount| mount.place == *place)
    }

    /// Whether something below `place` is a mount point.
    pub(super) fn has_mount_below(&self, place: &Place) -> bool {
        self.mounts.iter().any(|mount| mount.place.below(place).is_some())
    }

    /// Whether the lower layers show something at `place`, be it under something of the upper one.
    pub(super) fn lower_has(&self, hidden: &Hidden, place: &Place) -> Result<bool> {
        Ok(!hidden.covers(place) && self.find_below(place)?.is_some())
    }
}

impl MountPoint {
    fn path_of<'a>(&'a self, rest: &'a str) -> Result<&'a str> {
        match &self.file {
            None => Ok(if rest.is_empty() { "." } else { rest }),
            Some(name) if rest.is_empty() => Ok(name),
            Some(_) => Err(Error::NotDirectory),
        }
    }
}

impl Found {
    fn new(origin: Origin, metadata: Metadata) -> Self {
        Self { origin, kind: kind_of(metadata.file_type()), metadata: Some(metadata) }
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

fn look(dir: &Dir, path: &str) -> Result<Option<Metadata>> {
    match dir.symlink_metadata(path).map_err(Error::from) {
        Ok(metadata) => Ok(Some(metadata)),
        // A file of one layer may stand where another has a directory.
        Err(Error::NotFound | Error::NotDirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn built_in(place: &Place) -> Option<Kind> {
    let path: &str = std::borrow::Borrow::borrow(place);
    if DIRECTORIES.contains(&path) {
        return Some(Kind::Directory);
    }
    device(path).map(Kind::Device)
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
    let devices = DEVICES.iter().filter_map(move |(device_path, device)| {
        let name = device_path.strip_prefix(path.as_str())?.strip_prefix('/')?;
        Some((name, Kind::Device(*device)))
    });
    directories.into_iter().chain(devices)
}

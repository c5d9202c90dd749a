//! Walking a path to a place, symlink by symlink.

use cap_std::fs::Metadata;

use super::layer::target;
use super::layers::{Found, Kind, Origin, built_in_target};
use super::place::{check_length, check_name, check_path};
use super::root::Hidden;
use super::{Error, Node, Place, Result, Root, Source, direct};

/// Bound: symlinks followed on one path, as Linux' MAXSYMLINKS.
const SYMLINKS_MAX: u32 = 40;

/// Whether a symlink as the last name stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    Yes,
    No,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) place: Place,
    /// `None`: the directory is there, the last name is not.
    pub(super) found: Option<Found>,
    /// The path ended in a slash.
    pub(super) must_be_directory: bool,
}

impl Root {
    /// Walks `path` from the directory `from`, or from the root if it is absolute. `..` of the root
    /// is the root.
    pub(super) fn walk(
        &self,
        hidden: &Hidden,
        from: &Place,
        path: &str,
        follow: Follow,
    ) -> Result<Walked> {
        check_path(path)?;
        let mut here = if path.starts_with('/') { Place::root() } else { from.clone() };
        let mut steps = Steps::default();
        steps.push_path(path);
        if let Some(walked) = self.walk_directly(&here, &steps, follow) {
            return Ok(walked);
        }
        self.check_directory(hidden, &here)?;
        let mut symlinks = 0;
        while let Some(step) = steps.0.pop() {
            if step == ".." {
                here = here.parent();
                continue;
            }
            check_name(&step)?;
            let place = here.join(&step);
            check_length(&place)?;
            let is_last = steps.0.is_empty();
            let Some(found) = self.find(hidden, &place)? else {
                return if is_last {
                    Ok(Walked { place, found: None, must_be_directory: steps.1 })
                } else {
                    Err(Error::NotFound)
                };
            };
            match found.kind {
                Kind::Symlink if !is_last || follow == Follow::Yes || steps.1 => {
                    symlinks += 1;
                    if symlinks > SYMLINKS_MAX {
                        return Err(Error::Loop);
                    }
                    let target = self.target(&found, &place)?;
                    check_path(&target)?;
                    if target.starts_with('/') {
                        here = Place::root();
                    }
                    steps.push_path(&target);
                }
                Kind::Directory => here = place,
                _ if is_last && !steps.1 => {
                    return Ok(Walked { place, found: Some(found), must_be_directory: false });
                }
                _ => return Err(Error::NotDirectory),
            }
        }
        let found = self.find(hidden, &here)?;
        Ok(Walked { place: here, found, must_be_directory: steps.1 })
    }

    /// The text of a symlink.
    pub(super) fn target(&self, found: &Found, place: &Place) -> Result<String> {
        if let Origin::Lower(index) = found.origin {
            return self.lower(index)?.target(place.relative());
        }
        if found.origin == Origin::BuiltIn {
            return match self.made_at(place) {
                Some(Node::Symlink(target)) => Ok(target),
                _ => Ok(built_in_target(place).ok_or(Error::NotFound)?.to_owned()),
            };
        }
        let (dir, path) = self.source(found.origin, place)?;
        target(dir, path)
    }

    /// The same as walking, in one step, for a path without `..` and without symlinks that leads
    /// straight into a volume, or to what is in the container's own layer.
    fn walk_directly(&self, from: &Place, steps: &Steps, follow: Follow) -> Option<Walked> {
        if steps.0.iter().any(|step| step == ".." || check_name(step).is_err()) {
            return None;
        }
        let place = steps.0.iter().rev().fold(from.clone(), |place, step| place.join(step));
        if check_length(&place).is_err() || self.has_mount_below(&place) {
            return None;
        }
        let must_be_directory = steps.1;
        let Some((origin, metadata)) = self.look_directly(&place)? else {
            return Some(Walked { place, found: None, must_be_directory });
        };
        let found = Found::new(origin, metadata);
        let ends_here = match found.kind {
            Kind::Directory => true,
            Kind::Symlink => follow == Follow::No && !must_be_directory,
            _ => !must_be_directory,
        };
        ends_here.then_some(Walked { place, found: Some(found), must_be_directory })
    }

    /// What is at a place; inside, `None` if there is nothing in a directory that is there.
    fn look_directly(&self, place: &Place) -> Option<Option<(Origin, Metadata)>> {
        let Some((_, mount, rest)) = self.mount_at(place) else {
            // What is not in it may be in the layers below.
            let path = place.relative();
            let metadata = direct::look(self.upper.if_known_to_hold(path)?, path)??;
            return Some(Some((Origin::Upper, metadata)));
        };
        let Source::Directory(volume) = &mount.source else { return None };
        match direct::look(volume.dir().ok()?, rest)? {
            Some(metadata) => Some(Some((Origin::Mount, metadata))),
            None => {
                let parent = rest.rsplit_once('/').map_or(".", |(parent, _)| parent);
                direct::look(volume.dir().ok()?, parent)?.filter(Metadata::is_dir).map(|_| None)
            }
        }
    }

    fn check_directory(&self, hidden: &Hidden, place: &Place) -> Result<()> {
        if place.is_root() {
            return Ok(());
        }
        match self.find(hidden, place)? {
            Some(found) if found.kind == Kind::Directory => Ok(()),
            Some(_) => Err(Error::NotDirectory),
            None => Err(Error::NotFound),
        }
    }
}

/// Names still to walk, the next one last, and whether the whole must end at a directory.
#[derive(Default)]
struct Steps(Vec<String>, bool);

impl Steps {
    /// Puts a path (or a symlink's text) in front of what is left.
    fn push_path(&mut self, path: &str) {
        let is_last = self.0.is_empty();
        if is_last && (path.ends_with('/') || path.ends_with("/.") || path == ".") {
            self.1 = true;
        }
        let names = path.split('/').filter(|name| !name.is_empty() && *name != ".");
        self.0.extend(names.rev().map(str::to_owned));
    }
}

//! Walking a path to a place, symlink by symlink.

use super::layers::{Found, Kind};
use super::place::{check_name, check_path};
use super::root::Hidden;
use super::{Error, Place, Result, Root};

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
        self.check_directory(hidden, &here)?;
        let mut steps = Steps::default();
        steps.push_path(path);
        let mut symlinks = 0;
        while let Some(step) = steps.0.pop() {
            if step == ".." {
                here = here.parent();
                continue;
            }
            check_name(&step)?;
            let place = here.join(&step);
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
        let (dir, path) = self.source(found.origin, place)?;
        let target = dir.read_link_contents(path)?;
        let target = target.into_os_string().into_string().map_err(|_| Error::IllegalBytes)?;
        Ok(if cfg!(windows) { target.replace('\\', "/") } else { target })
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

use std::fmt;

use super::{Error, Result};

/// Bound: longest path a guest may name, in bytes, as Linux' PATH_MAX.
const PATH_BYTES_MAX: usize = 4096;
/// Bound: longest name in a directory, in bytes, as Linux' NAME_MAX.
const NAME_BYTES_MAX: usize = 255;

/// An absolute path of a container without `.`, `..`, empty names or symlinks on the way to its
/// last name. Kept without the leading `/`; the root is empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place(String);

impl Place {
    pub fn root() -> Self {
        Self::default()
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// As the container's programs write it.
    pub fn absolute(&self) -> String {
        format!("/{}", self.0)
    }

    /// For use below a `Dir`.
    pub(super) fn relative(&self) -> &str {
        if self.is_root() { "." } else { &self.0 }
    }

    /// The directory it is in; the root is in itself.
    pub fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned()))
    }

    /// The last name; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }

    pub(super) fn join(&self, name: &str) -> Self {
        if self.is_root() { Self(name.to_owned()) } else { Self(format!("{}/{name}", self.0)) }
    }

    /// The rest of the path if this is `above` or below it.
    pub(super) fn below(&self, above: &Self) -> Option<&str> {
        if above.is_root() {
            return Some(&self.0);
        }
        let rest = self.0.strip_prefix(&above.0)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// Itself, then every directory above it up to, not including, the root.
    pub(super) fn and_ancestors(&self) -> impl Iterator<Item = &str> {
        let mut rest = Some(self.0.as_str()).filter(|path| !path.is_empty());
        std::iter::from_fn(move || {
            let current = rest?;
            rest = current.rsplit_once('/').map(|(parent, _)| parent);
            Some(current)
        })
    }
}

impl std::borrow::Borrow<str> for Place {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

/// Refuses paths that no file can have.
pub(super) fn check_path(path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Error::NotFound);
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(Error::NameTooLong);
    }
    if path.contains('\0') {
        return Err(Error::Invalid);
    }
    Ok(())
}

/// Refuses places that the host could make and would not look at again.
pub(super) fn check_length(place: &Place) -> Result<()> {
    if place.0.len() < PATH_BYTES_MAX { Ok(()) } else { Err(Error::NameTooLong) }
}

/// Refuses names that no file can have, or that the host would read as more than a name.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::NameTooLong);
    }
    if cfg!(windows) && name.contains(['\\', ':']) {
        return Err(Error::Invalid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Place {
        Place(path.to_owned())
    }

    #[test]
    fn below_is_by_whole_names() {
        assert_eq!(place("a/b").below(&place("a")), Some("b"));
        assert_eq!(place("a").below(&place("a")), Some(""));
        assert_eq!(place("ab").below(&place("a")), None);
        assert_eq!(place("a/b").below(&Place::root()), Some("a/b"));
    }

    #[test]
    fn ancestors_end_below_the_root() {
        let deep = place("a/b/c");
        assert_eq!(deep.and_ancestors().collect::<Vec<_>>(), ["a/b/c", "a/b", "a"]);
        assert_eq!(Place::root().and_ancestors().count(), 0);
        assert_eq!((place("a").parent(), place("a/b").name()), (Place::root(), "b"));
    }
}

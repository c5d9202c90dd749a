//! Files that the host makes for one container, in memory: what they say is said of its Pod.

use std::sync::Arc;

use bytes::Bytes;

use super::layers::{Found, Kind, Origin};
use super::{About, Place};

/// Permission bits, as upstream's kubelet gives them.
const MODE: u32 = 0o644;

/// Cheap to clone. Bound: the few that its maker has.
#[derive(Debug, Clone, Default)]
pub(super) struct Given(Arc<[(Place, Bytes)]>);

impl Given {
    /// Files by their absolute paths, none of which has a `.` or `..`.
    pub(super) fn new<'a>(files: impl IntoIterator<Item = (&'a str, Bytes)>) -> Self {
        let place = |path: &str| {
            let names = path.split('/').filter(|name| !name.is_empty());
            names.fold(Place::root(), |above, name| above.join(name))
        };
        Self(files.into_iter().map(|(path, content)| (place(path), content)).collect())
    }

    pub(super) fn content(&self, place: &Place) -> Option<Bytes> {
        let file = self.0.iter().find(|(file, _)| file == place);
        file.map(|(_, content)| content.clone())
    }

    pub(super) fn find(&self, place: &Place) -> Option<Found> {
        let size = self.content(place)?.len() as u64;
        let about = About { size, mode: Some(MODE), modified: None };
        Some(Found { origin: Origin::Given, about, ..Found::built_in(Kind::File) })
    }

    /// The directory that one of them is somewhere below of, where nothing else has one.
    pub(super) fn directory(&self, place: &Place) -> Option<Found> {
        let is_above = |file: &Place| file.below(place).is_some_and(|rest| !rest.is_empty());
        let leads_there = self.0.iter().any(|(file, _)| is_above(file));
        leads_there.then(|| Found::built_in(Kind::Directory))
    }

    /// Those in the directory at `place`, and what leads to those below it.
    pub(super) fn names_in(&self, place: &Place) -> impl Iterator<Item = (&str, Kind)> {
        let below = self.0.iter().filter_map(|(file, _)| file.below(place));
        below.filter(|rest| !rest.is_empty()).map(|rest| match rest.split_once('/') {
            Some((directory, _)) => (directory, Kind::Directory),
            None => (rest, Kind::File),
        })
    }
}

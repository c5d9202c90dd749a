use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::RwLock;

use super::given::Given;
use super::mounts::MountPoint;
use super::{Layer, Place, Volume};

/// What a container sees as `/`, or a process of it. Cheap to clone: clones are views of the same
/// files, perhaps with more below them.
///
/// All operations are synchronous and short. The writable directory belongs to one `Root` and its
/// views for its whole life: what is hidden of the image is remembered here, not on disk.
#[derive(Debug, Clone)]
pub struct Root {
    /// Topmost first. Bound: the layers of an image, and one.
    pub(super) lowers: Arc<[Arc<Layer>]>,
    /// Over the lowers.
    pub(super) given: Given,
    /// Where writes go.
    pub(super) upper: Volume,
    /// Deepest first.
    pub(super) mounts: Arc<[Arc<MountPoint>]>,
    /// Readers look files up and open them; writers change names.
    pub(super) hidden: Arc<RwLock<Hidden>>,
    /// A pid, or 0.
    pub(super) caller: u32,
    /// The time of what is on no disk.
    pub(super) since: Option<SystemTime>,
}

/// Places whose lower files were deleted or replaced, with all that is below them.
/// Bound: the image's number of files.
#[derive(Debug, Default)]
pub(super) struct Hidden(BTreeSet<Place>);

impl Root {
    /// A writable root over an image's layers, topmost first. `upper` is nobody else's.
    pub fn new(lowers: impl IntoIterator<Item = Arc<Layer>>, upper: impl Into<Volume>) -> Self {
        Self {
            lowers: lowers.into_iter().collect(),
            given: Given::default(),
            upper: upper.into(),
            mounts: Arc::default(),
            hidden: Arc::default(),
            caller: 0,
            since: None,
        }
    }

    /// What is on no disk, the directories that lead to a mount among it, has this time.
    pub fn with_time(self, time: SystemTime) -> Self {
        Self { since: Some(time), ..self }
    }

    /// The same root with these files, by their absolute paths, over the image's; the container may
    /// change them as it may change those.
    pub fn with_files<'a>(self, files: impl IntoIterator<Item = (&'a str, Bytes)>) -> Self {
        Self { given: Given::new(files), ..self }
    }

    /// The same files, and `lowest` below them all: writes and deletions through either root are
    /// seen through both. Only what `lowest` has is seen here alone; deleting it, or writing to it,
    /// leaves it as it is on the host.
    pub fn over(&self, lowest: Arc<Layer>) -> Self {
        Self { lowers: self.lowers.iter().cloned().chain([lowest]).collect(), ..self.clone() }
    }

    /// The same files, as the process of this pid sees them: what the host makes up may differ.
    pub fn seen_by(&self, pid: u32) -> Self {
        Self { caller: pid, ..self.clone() }
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

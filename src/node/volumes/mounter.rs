//! What all types of volumes have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::interests::Object;
use super::node::Shared;
use super::shares::Share;
use super::shown::Shown;
use crate::api::downward::Facts;
use crate::node::files::{self, Source};

/// Sets up one volume of one Pod. Dropping it lets go of what it holds beside its directory.
#[async_trait]
pub(super) trait Mounter: Send {
    /// Objects of the Pod's namespace after whose changes it is set up again.
    fn shows(&self, pod: &Pod) -> Vec<Object> {
        let _ = pod;
        Vec::new()
    }

    /// Makes the volume, or brings it up to date: called again after each change, and after each
    /// failure.
    ///
    /// # Errors
    /// What is missing, in the user's terms; to be tried again.
    async fn set_up(&mut self, ctx: &Context<'_>) -> Result<SetUp, Error>;
}

/// Around the volume.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) node: &'a Shared,
    pub(super) pod: &'a Pod,
    pub(super) facts: &'a Facts,
    /// The volume's name in the Pod.
    pub(super) name: &'a str,
    /// `pods/<uid>/volumes`
    pub(super) directory: &'a Path,
}

impl Context<'_> {
    pub(super) fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Where this volume's files are, if they are its own.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.node.clock.now()
    }
}

/// A volume that is there.
#[derive(Debug)]
pub(super) struct SetUp {
    pub(super) mounted: Mounted,
    /// When it is to be set up again at the latest.
    pub(super) again_at: Option<Timestamp>,
}

impl From<Mounted> for SetUp {
    fn from(mounted: Mounted) -> Self {
        Self { mounted, again_at: None }
    }
}

/// A directory or a file that containers can be given. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::node) struct Mounted {
    pub(super) content: Content,
    /// The path in it of what is meant, if that is not all.
    pub(super) part: Option<String>,
    /// For all of its mounts.
    pub(in crate::node) read_only: bool,
    /// What others on this node must not account for twice.
    #[expect(dead_code, reason = "held, not read: dropping the last one ends the account")]
    pub(super) share: Option<Arc<Share>>,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Directory(files::Volume),
    Shown(Shown),
}

impl Mounted {
    pub(super) fn new(volume: files::Volume, read_only: bool) -> Self {
        Self { content: Content::Directory(volume), part: None, read_only, share: None }
    }

    pub(super) fn shown(files: Shown) -> Self {
        Self { content: Content::Shown(files), part: None, read_only: true, share: None }
    }

    /// What is in it; 0 if nobody counts.
    pub(in crate::node) fn bytes(&self) -> u64 {
        match &self.content {
            Content::Directory(volume) => volume.usage().map_or(0, |usage| usage.bytes),
            Content::Shown(_) => 0,
        }
    }

    /// What is mounted for a `subPath`, which may be empty. What is missing is made, a directory.
    ///
    /// # Errors
    /// If it leads out of the volume, or cannot be opened.
    pub(in crate::node) fn source(&self, sub_path: &str) -> files::Result<Source> {
        match (&self.content, &self.part) {
            (Content::Shown(shown), _) if sub_path.is_empty() => Ok(shown.whole()),
            (Content::Shown(shown), _) => Ok(shown.part(sub_path)),
            (Content::Directory(volume), None) => volume.part(sub_path, true),
            (Content::Directory(volume), Some(part)) if sub_path.is_empty() => {
                volume.part(part, false)
            }
            (Content::Directory(_), Some(_)) => Err(files::Error::NotDirectory),
        }
    }
}

/// Why a volume is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Error {
    /// It cannot be made (yet). `volume` stands in for its name in the Pod.
    SetUp { volume: Option<String>, why: String },
    /// It is not known yet which volume is meant.
    Process(String),
}

impl From<String> for Error {
    fn from(why: String) -> Self {
        Self::SetUp { volume: None, why }
    }
}

/// Runs what blocks for a while where it blocks nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(format!("setting it up was given up: {error}")))
}

//! Files that are on no disk of the host's: they are made up when they are looked at, as `/proc`.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::layers::{Found, Kind};
use super::{Device, Entry};

/// A tree of made-up files; nothing in it can be changed. It is asked with the pid of whose view of
/// the root it is (0: of nobody in particular) and a path below the mount, empty for itself.
#[derive(Clone)]
pub struct Made {
    /// What `mount` calls its type.
    pub(super) filesystem: &'static str,
    maker: Arc<Maker>,
}

type Maker = dyn Fn(u32, &str) -> Option<(Node, About)> + Send + Sync;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Directory(Vec<Entry>),
    File(Bytes),
    Symlink(String),
    Device(Device),
}

/// What is known of one beside its kind; by default nothing, and no size, as in Linux' `/proc`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct About {
    /// In bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: Option<u32>,
    pub modified: Option<SystemTime>,
}

impl Made {
    /// `node` is short and does not wait.
    pub fn new(
        filesystem: &'static str,
        node: impl Fn(u32, &str) -> Option<(Node, About)> + Send + Sync + 'static,
    ) -> Self {
        Self { filesystem, maker: Arc::new(node) }
    }

    pub(super) fn node(&self, caller: u32, path: &str) -> Option<(Node, About)> {
        (self.maker)(caller, path)
    }

    pub(super) fn find(&self, caller: u32, path: &str) -> Option<Found> {
        let (node, about) = self.node(caller, path)?;
        Some(Found { about, ..Found::built_in(node.kind()) })
    }

    /// Of the tree itself, which may be a single file.
    pub(super) fn kind(&self) -> Kind {
        self.node(0, "").map_or(Kind::Directory, |(node, _)| node.kind())
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Made").field(&self.filesystem).finish()
    }
}

impl Node {
    fn kind(&self) -> Kind {
        match self {
            Self::Directory(_) => Kind::Directory,
            Self::File(_) => Kind::File,
            Self::Symlink(_) => Kind::Symlink,
            Self::Device(device) => Kind::Device(*device),
        }
    }
}

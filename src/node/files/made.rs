//! Files that the host makes up when they are looked at, as `/proc`.

use std::fmt;
use std::sync::Arc;

use super::layers::{Found, Kind};
use super::{Device, Entry};

/// A tree of made-up files; nothing in it can be changed. It is asked with the pid of whose view of
/// the root it is (0: of nobody in particular) and a path below the mount, empty for itself.
#[derive(Clone)]
pub struct Made(Arc<Maker>);

type Maker = dyn Fn(u32, &str) -> Option<Node> + Send + Sync;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Directory(Vec<Entry>),
    File(Vec<u8>),
    Symlink(String),
    Device(Device),
}

impl Made {
    /// `node` is short and does not wait.
    pub fn new(node: impl Fn(u32, &str) -> Option<Node> + Send + Sync + 'static) -> Self {
        Self(Arc::new(node))
    }

    pub(super) fn node(&self, caller: u32, path: &str) -> Option<Node> {
        (self.0)(caller, path)
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Made")
    }
}

impl Node {
    pub(super) fn found(&self) -> Found {
        Found::built_in(match self {
            Self::Directory(_) => Kind::Directory,
            Self::File(_) => Kind::File,
            Self::Symlink(_) => Kind::Symlink,
            Self::Device(device) => Kind::Device(*device),
        })
    }
}

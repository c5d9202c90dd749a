//! A container's files: an image below, a writable directory above, volumes mounted into both;
//! quotas, and the walking of paths over `cap_std::fs::Dir`. Knows neither wasmtime nor WIT.
//!
//! Enter by [`Root`]. Paths are walked here, component by component: cap-std refuses absolute
//! symlinks, images are full of them, and a mount may sit anywhere.

use cap_std::fs::Dir;

/// What a container sees as `/`. One per container, shared by all its processes.
#[derive(Debug)]
pub struct Root {
    /// The image's files; never written.
    pub(crate) lower: Option<Dir>,
    /// Where writes go.
    pub(crate) upper: Dir,
}

impl Root {
    /// A writable root over an image's files.
    pub fn new(lower: Option<Dir>, upper: Dir) -> Self {
        Self { lower, upper }
    }
}

//! Images: root filesystems of WebAssembly programs, by reference. Built-ins are shipped inside the
//! binary and laid out on disk on first use; `file:` references name a local program.
//!
//! Enter by [`Images::resolve`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;

#[derive(Debug, Clone)]
pub struct Config {
    /// `DIR/images`: where root filesystems are laid out.
    pub directory: PathBuf,
    /// Directories whose files `image: file:///…` may name.
    pub allowed_directories: Vec<PathBuf>,
}

/// A root filesystem and how to start it, as in OCI.
#[derive(Debug)]
pub struct Image {
    /// What was asked for, normalised (`docker.io/library/busybox:latest`).
    pub reference: String,
    /// `sha256:…` over the content.
    pub digest: String,
    pub root: Dir,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Absolute.
    pub working_dir: String,
    /// For an Event: how a built-in came to stand in for the Linux image that was named.
    pub stand_in: Option<String>,
}

/// Where images come from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Images {
    config: Arc<Config>,
}

impl Images {
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config) }
    }

    /// The image of a reference as a Pod names it.
    ///
    /// # Errors
    /// See [`Error`]; its text is what the user reads in the container's status and in an Event.
    pub async fn resolve(&self, reference: &str) -> Result<Arc<Image>, Error> {
        Err(Error::NotFound(format!("{reference}: {}", self.directory().display())))
    }

    fn directory(&self) -> &Path {
        &self.config.directory
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reason `InvalidImageName`.
    #[error("{0}")]
    InvalidName(String),
    /// Reason `ErrImagePull`.
    #[error("{0}")]
    NotFound(String),
    /// Reason `ErrImagePull`.
    #[error("{0}")]
    Failed(String),
}

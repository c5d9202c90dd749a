//! Images: root filesystems of WebAssembly programs, by reference. Built-ins are shipped inside the
//! binary and laid out on disk on first use; `file:` references name a local program.
//!
//! Enter by [`Images::resolve`].
//!
//! ```text
//! reference ── file:…  -> local    (allowed? changed?) ─┐
//!           └─ name    -> builtin  (does one stand in?) ─┴─> store (laid out once) -> Image
//! ```

mod builtin;
mod local;
mod reference;
mod store;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use cap_fs_ext::MetadataExt;
use cap_std::fs::Dir;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use builtin::BuiltIn;
use local::Program;
use reference::Reference;
use store::Entry;

use crate::node::files::Layer;

/// Docker's default, which images without a PATH of their own are given too.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
    /// Root filesystems one on top of the other, the topmost first.
    pub layers: Vec<Arc<Layer>>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Absolute.
    pub working_dir: String,
    /// TCP ports that its programs serve, as a Dockerfile's EXPOSE has them.
    pub exposed_ports: Vec<u16>,
    /// For an Event: how a built-in came to stand in for the Linux image that was named.
    pub stand_in: Option<String>,
}

/// Where images come from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Images {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    /// By normalised reference.
    resolved: Mutex<HashMap<String, Resolved>>,
    /// By name of directory.
    layers_in_use: Mutex<HashMap<String, Weak<Layer>>>,
}

#[derive(Debug, Clone)]
struct Resolved {
    image: Arc<Image>,
    /// For a local file: as it was when the image was made from it.
    made_from: Option<Program>,
}

impl Images {
    pub fn new(config: Config) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                resolved: Mutex::default(),
                layers_in_use: Mutex::default(),
            }),
        }
    }

    /// The image of a reference as a Pod names it. A local file is looked at each time, and read
    /// again when it changed; all else is answered from memory after the first time.
    ///
    /// # Errors
    /// See [`Error`]; its text is what the user reads in the container's status and in an Event.
    pub async fn resolve(&self, reference: &str) -> Result<Arc<Image>, Error> {
        if let Some(image) = self.shared.known(reference) {
            return Ok(image);
        }
        let (shared, reference) = (Arc::clone(&self.shared), reference.to_owned());
        let resolved = tokio::task::spawn_blocking(move || shared.resolve(&reference)).await;
        resolved.unwrap_or_else(|err| Err(Error::Failed(format!("resolving was given up: {err}"))))
    }

    /// The root filesystem of the built-in busybox, laid out if it is not there yet; blocks.
    ///
    /// # Errors
    /// [`Error::Failed`] if the directory for images takes no files.
    pub fn tools(&self) -> Result<Arc<Layer>, Error> {
        self.shared.busybox()
    }
}

impl Shared {
    /// What can be answered without a look at the disk.
    fn known(&self, reference: &str) -> Option<Arc<Image>> {
        let name = Reference::parse(reference).ok()?.to_string();
        let resolved = self.resolved.lock();
        let known = resolved.get(&name).filter(|known| known.made_from.is_none())?;
        Some(Arc::clone(&known.image))
    }

    fn resolve(&self, reference: &str) -> Result<Arc<Image>, Error> {
        if reference.starts_with("file:") {
            return self.local(reference);
        }
        let parsed = Reference::parse(reference).map_err(|err| invalid_name(reference, &err))?;
        let name = parsed.to_string();
        let known = self.resolved.lock().get(&name).map(|known| Arc::clone(&known.image));
        known.map_or_else(|| self.built_in(&parsed, name), Ok)
    }

    fn built_in(&self, reference: &Reference, name: String) -> Result<Arc<Image>, Error> {
        let (image, stand_in) = builtin::stand_in(reference).ok_or_else(|| not_there(reference))?;
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let image = Image {
            reference: name.clone(),
            digest: image.digest(),
            layers: self.layers(image)?,
            entrypoint: owned(stand_in.entrypoint),
            cmd: owned(stand_in.cmd),
            env: image.env(),
            working_dir: image.working_dir.to_owned(),
            exposed_ports: image.exposed_ports.to_vec(),
            stand_in: Some(format!(
                "{name} is a Linux image; sampan's built-in WebAssembly {} stands in for it",
                image.name
            )),
        };
        Ok(self.keep(name, None, image))
    }

    fn layers(&self, image: &'static BuiltIn) -> Result<Vec<Arc<Layer>>, Error> {
        let layers = image.layers().into_iter();
        layers.map(|layer| self.root(&layer.digest.replace(':', "-"), &layer.entries)).collect()
    }

    fn busybox(&self) -> Result<Arc<Layer>, Error> {
        let layer = self.layers(&builtin::BUSYBOX)?.pop();
        layer.ok_or_else(|| Error::Failed("the built-in busybox is empty".to_owned()))
    }

    fn local(&self, reference: &str) -> Result<Arc<Image>, Error> {
        let program = Program::find(reference, &self.config.allowed_directories)?;
        let known = self.resolved.lock().get(reference).cloned();
        if let Some(known) = known.filter(|known| known.made_from.as_ref() == Some(&program)) {
            return Ok(known.image);
        }
        let failed = |err: io::Error| Error::Failed(format!("{}: {err}", program.path.display()));
        let (digest, name) = (program.digest().map_err(failed)?, program.name());
        // Equal programs of different names are different root filesystems.
        let directory = digest_text(&Sha256::digest(format!("{digest} {name}"))).replace(':', "-");
        let entries = [
            Entry::Directory { path: "tmp", mode: 0o1777 },
            Entry::Copy { path: &name, from: &program, digest: &digest },
        ];
        let layers = vec![self.root(&directory, &entries)?];
        let image = Image {
            reference: reference.to_owned(),
            digest,
            layers,
            entrypoint: vec![format!("/{name}")],
            cmd: Vec::new(),
            env: vec![("PATH".to_owned(), PATH.to_owned())],
            working_dir: "/".to_owned(),
            exposed_ports: Vec::new(),
            stand_in: None,
        };
        Ok(self.keep(reference.to_owned(), Some(program), image))
    }

    /// The same layer for all who have the same directory at the same time, so that what is known
    /// of it is known once.
    fn root(&self, name: &str, entries: &[Entry<'_>]) -> Result<Arc<Layer>, Error> {
        let directory = &self.config.directory;
        let failed = |err: io::Error| {
            Error::Failed(format!("laying out the image in {}: {err}", directory.display()))
        };
        let dir = store::root(directory, name, entries).map_err(failed)?;
        let mut layers = self.layers_in_use.lock();
        layers.retain(|_, layer| layer.strong_count() > 0);
        let known = layers.get(name).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| is_same(known.dir(), &dir)) {
            return Ok(known);
        }
        let layer = Arc::new(Layer::from(dir));
        layers.insert(name.to_owned(), Arc::downgrade(&layer));
        Ok(layer)
    }

    fn keep(&self, name: String, made_from: Option<Program>, image: Image) -> Arc<Image> {
        let image = Arc::new(image);
        let known = Resolved { image: Arc::clone(&image), made_from };
        self.resolved.lock().insert(name, known);
        image
    }
}

/// Not one that was laid out anew under the same name.
fn is_same(one: &Dir, other: &Dir) -> bool {
    let identity = |dir: &Dir| dir.dir_metadata().map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Upstream: `applyDefaultImageTag` in `pkg/kubelet/images/image_manager.go`.
fn invalid_name(reference: &str, err: &str) -> Error {
    Error::InvalidName(format!(
        "Failed to apply default image tag {reference:?}: couldn't parse image reference {reference:?}: {err}"
    ))
}

fn not_there(reference: &Reference) -> Error {
    let built_in = builtin::names();
    let what = if reference.domain == "docker.io" && reference.path.starts_with("library/") {
        "is a Linux image, and sampan runs WebAssembly"
    } else {
        "is not built in, and sampan does not pull from registries yet"
    };
    Error::NotFound(format!(
        "{reference} {what}: use a built-in ({built_in}), or build your program for wasm32-wasip2 and name it as file:///path/to/program.wasm"
    ))
}

fn digest_text(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
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

#[cfg(test)]
mod tests;

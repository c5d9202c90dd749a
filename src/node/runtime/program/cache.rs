//! Compiled code on disk, so that nothing is compiled twice across restarts.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Digest256, adapt};

/// Ends every file: the SHA-256 of what is before it.
const CHECKSUM_BYTES: usize = 32;

/// `DIR/cache`: one file for each program and engine.
#[derive(Debug)]
pub(super) struct Cache {
    /// `None`: the directory cannot be used, which was said.
    directory: Option<PathBuf>,
    /// Which engines may load a file: wasmtime's version, settings, the processor's features.
    compatibility: u64,
    /// Tells files apart that are being written.
    next_temporary: AtomicU64,
}

impl Cache {
    pub(super) fn open(directory: &Path, engine: &Engine) -> Self {
        let made = make_private(directory);
        if let Err(error) = &made {
            tracing::warn!(
                directory = %directory.display(), %error,
                "No compile cache: programs are compiled anew by each process"
            );
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        adapt::VERSION.hash(&mut hasher);
        Self {
            directory: made.is_ok().then(|| directory.to_owned()),
            compatibility: hasher.finish(),
            next_temporary: AtomicU64::new(0),
        }
    }

    /// `None` if it is not there, or damaged, which is said and mended by the next store.
    pub(super) fn load(&self, engine: &Engine, digest: &Digest256) -> Option<Component> {
        let path = self.path(digest)?;
        match verify(&path).and_then(|()| deserialize(engine, &path).map_err(io::Error::other)) {
            Ok(component) => Some(component),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "Compiled code is damaged: recompiling");
                None
            }
        }
    }

    /// A failure costs a compilation later, nothing else.
    pub(super) fn store(&self, component: &Component, digest: &Digest256) {
        let Some(path) = self.path(digest) else { return };
        let stored = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(&path, &code));
        if let Err(error) = stored {
            tracing::warn!(path = %path.display(), %error, "Compiled code is not kept");
        }
    }

    /// Appears whole or not at all.
    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{number}.new", std::process::id()));
        let mut file = fs::File::create_new(&temporary)?;
        file.write_all(code)?;
        file.write_all(&Sha256::digest(code))?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    }

    fn path(&self, digest: &Digest256) -> Option<PathBuf> {
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(self.directory.as_ref()?.join(format!("{digest}-{:016x}.cwasm", self.compatibility)))
    }
}

fn verify(path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "wrong checksum");
    let (code, checksum) =
        bytes.split_at_checked(bytes.len().saturating_sub(CHECKSUM_BYTES)).ok_or_else(damaged)?;
    if Sha256::digest(code)[..] == *checksum { Ok(()) } else { Err(damaged()) }
}

/// Maps compiled code into memory.
#[expect(
    unsafe_code,
    reason = "native code cannot be checked; mapping it is what the cache is for"
)]
fn deserialize(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime requires bytes that came from its own `serialize` and that do not change
    // while they are mapped. The directory is ours alone (mode 0700, made by `Cache::open`); only
    // `Cache::write` puts files there, under their final name by rename and never modified after;
    // the checksum has just been verified; an incompatible engine's files have other names, and
    // wasmtime checks its own version and settings again. Safe code would have to compile.
    unsafe { Component::deserialize_file(engine, path) }
}

#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

/// Elsewhere a directory below the user's own is the user's own.
#[cfg(not(unix))]
fn make_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

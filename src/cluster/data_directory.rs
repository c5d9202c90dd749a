//! The directory a cluster lives in: `DIR/{format, lock, run.json, pki/, state/, pods/, volumes/, images/, cache/}`.
//!
//! `format` is a number: a newer one is refused with the version needed. `lock` is held by the
//! running cluster, so a second one on the same data is refused and `status` knows who runs.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The layout this version reads and writes.
const FORMAT: u32 = 1;

/// Where a cluster in the background writes what it would say on stderr.
pub const LOG: &str = "sampan.log";

/// A data directory that this process holds; released when dropped, by the operating system too.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
    /// Nothing was here before.
    pub is_new: bool,
}

/// What a running cluster says of itself in `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    pub pid: u32,
    pub server: String,
    pub context: String,
    /// RFC 3339.
    pub started: String,
    /// Where NodePorts listen. A sampan from before this was said had no other.
    #[serde(default = "localhost")]
    pub node_address: IpAddr,
}

fn localhost() -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

/// Who has a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupant {
    /// There is no such directory.
    Missing,
    Stopped,
    /// It runs; what it said of itself, if it has got that far.
    Running(Option<Running>),
}

impl DataDirectory {
    /// Makes or opens the directory and holds it until dropped.
    ///
    /// # Errors
    /// If another cluster holds it, if a newer sampan wrote it, or if it cannot be written.
    pub fn open(path: &Path) -> Result<Self, Error> {
        create_private(path).map_err(|source| Error::Create { path: path.to_owned(), source })?;
        let lock =
            File::create(path.join("lock")).map_err(|source| Error::unusable(path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse { path: path.to_owned(), running: running(path) });
            }
            Err(TryLockError::Error(source)) => return Err(Error::unusable(path, source)),
        }
        let is_new = check_format(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock, is_new })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that this cluster runs, for `sampan status` and `sampan down`.
    pub fn announce(&self, running: &Running) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(running).map_err(io::Error::other)?;
        replace(&self.path.join("run.json"), &text)
    }

    /// Takes the announcement back.
    pub fn retire(&self) {
        // Nothing reads the file once the lock is free; a leftover is harmless.
        let _ = fs::remove_file(self.path.join("run.json"));
    }
}

/// Looks without taking.
pub fn occupant(path: &Path) -> io::Result<Occupant> {
    let lock = match File::open(path.join("lock")) {
        Ok(lock) => lock,
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            return Ok(if path.exists() { Occupant::Stopped } else { Occupant::Missing });
        }
        Err(err) => return Err(err),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Occupant::Stopped),
        Err(TryLockError::WouldBlock) => Ok(Occupant::Running(running(path))),
        Err(TryLockError::Error(err)) => Err(err),
    }
}

/// Waits until nobody holds the directory. Blocks the calling thread.
pub fn wait_until_stopped(path: &Path) -> io::Result<()> {
    match File::open(path.join("lock")) {
        Ok(lock) => lock.lock_shared(),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(err) => Err(err),
    }
}

fn running(path: &Path) -> Option<Running> {
    serde_json::from_slice(&fs::read(path.join("run.json")).ok()?).ok()
}

/// Checks or writes `format`; answers whether the directory is new.
fn check_format(path: &Path) -> Result<bool, Error> {
    let file = path.join("format");
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(FORMAT) => Ok(false),
            Ok(found) if found > FORMAT => Err(Error::Newer { path: path.to_owned(), found }),
            _ => Err(Error::NotOurs { path: path.to_owned() }),
        },
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            if holds_foreign_files(path).map_err(|source| Error::unusable(path, source))? {
                return Err(Error::NotOurs { path: path.to_owned() });
            }
            replace(&file, format!("{FORMAT}\n").as_bytes())
                .map_err(|source| Error::unusable(path, source))?;
            Ok(true)
        }
        Err(source) => Err(Error::unusable(path, source)),
    }
}

/// A directory with content but no `format` is somebody else's: `delete` would remove it.
fn holds_foreign_files(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != "lock" && name != LOG {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A directory only its owner can enter, with its parents.
pub fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Replaces a file atomically, readable by its owner only, its content on disk before its name.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("create the data directory {}; {}", path.display(), mend(source))]
    Create { path: PathBuf, source: io::Error },
    #[error("use the data directory {}; {}", path.display(), mend(source))]
    Unusable { path: PathBuf, source: io::Error },
    #[error("start on {}: a sampan cluster already runs on this data{}", path.display(), who(running.as_ref()))]
    InUse { path: PathBuf, running: Option<Running> },
    #[error("read {}: it has data format {found}, and this sampan knows formats up to {FORMAT}; use the newer sampan that wrote it", path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("use {}: it holds files that are not sampan's; choose an empty or new directory", path.display())]
    NotOurs { path: PathBuf },
}

impl Error {
    fn unusable(path: &Path, source: io::Error) -> Self {
        Self::Unusable { path: path.to_owned(), source }
    }
}

/// What a user can do about it.
fn mend(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "mount it so that it can be written, or choose another by --data-dir"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there, or choose another by --data-dir"
        }
        io::ErrorKind::PermissionDenied => {
            "let this user write there, or choose another by --data-dir"
        }
        _ => "look at the cause, or choose another by --data-dir",
    }
}

fn who(running: Option<&Running>) -> String {
    running.map(|it| format!(" (pid {}, {})", it.pid, it.server)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_cluster_on_the_same_data_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        assert_eq!(occupant(&path).unwrap(), Occupant::Missing);
        let first = DataDirectory::open(&path).unwrap();
        assert!(first.is_new);
        let running = Running {
            pid: 7,
            server: "https://127.0.0.1:6443".to_owned(),
            context: "sampan".to_owned(),
            started: String::new(),
            node_address: localhost(),
        };
        first.announce(&running).unwrap();
        assert_eq!(occupant(&path).unwrap(), Occupant::Running(Some(running)));
        let refusal = DataDirectory::open(&path).unwrap_err().to_string();
        assert!(
            refusal.ends_with("already runs on this data (pid 7, https://127.0.0.1:6443)"),
            "{refusal}"
        );
        drop(first);
        assert_eq!(occupant(&path).unwrap(), Occupant::Stopped);
        assert!(!DataDirectory::open(&path).unwrap().is_new);
    }

    #[test]
    fn foreign_and_newer_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(DataDirectory::open(dir.path()), Err(Error::NotOurs { .. })));
        fs::write(dir.path().join("format"), "99\n").unwrap();
        assert!(matches!(DataDirectory::open(dir.path()), Err(Error::Newer { found: 99, .. })));
    }
}

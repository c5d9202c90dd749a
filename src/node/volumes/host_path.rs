//! `hostPath`: a directory or file of the host, where its operator allows it.
//!
//! A path is walked from the allowed directory on: no symlink leads out of that.
//!
//! Upstream: `pkg/volume/hostpath/host_path.go`.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cap_fs_ext::FileTypeExt as _;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use k8s_openapi::api::core::v1::{HostPathVolumeSource, Volume};

use super::mounter::{Context, Error, Mounted, Mounter, SetUp, blocking};
use crate::node::files;

struct HostPath {
    source: HostPathVolumeSource,
    mounted: Option<Mounted>,
}

pub(super) fn of(volume: &Volume) -> Option<Box<dyn Mounter>> {
    let source = volume.host_path.clone()?;
    Some(Box::new(HostPath { source, mounted: None }))
}

#[async_trait]
impl Mounter for HostPath {
    async fn set_up(&mut self, ctx: &Context<'_>) -> Result<SetUp, Error> {
        if let Some(mounted) = &self.mounted {
            return Ok(mounted.clone().into());
        }
        let allowed = ctx.node.config.allowed_directories.clone();
        let HostPathVolumeSource { path, type_ } = self.source.clone();
        let opened = blocking(move || open(&path, type_.as_deref().unwrap_or_default(), &allowed));
        let mounted = Mounted::from(opened.await?);
        self.mounted = Some(mounted.clone());
        Ok(mounted.into())
    }
}

/// What a path leads to.
pub(super) enum Opened {
    Directory(Dir),
    /// By its way from an allowed directory.
    File(Dir, String),
}

impl From<Opened> for Mounted {
    fn from(opened: Opened) -> Self {
        match opened {
            Opened::Directory(dir) => Self::new(files::Volume::from(dir), false),
            Opened::File(base, part) => {
                Self { part: Some(part), ..Self::new(files::Volume::from(base), false) }
            }
        }
    }
}

/// Checks what is at `path` against `type_`, makes it if that is what the type says, and opens it.
/// Blocks.
///
/// # Errors
/// If it is not in an allowed directory, or not of this type: in upstream's words.
pub(super) fn open(path: &str, type_: &str, allowed: &[PathBuf]) -> Result<Opened, String> {
    let (base, rest) = locate(Path::new(path), allowed).ok_or_else(|| not_allowed(path))?;
    let failed = |error: io::Error| format!("failed to open {path}: {error}");
    let base = Dir::open_ambient_dir(base, ambient_authority()).map_err(failed)?;
    let found = match base.metadata(&rest) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let makes = match type_ {
        // Container runtimes make a directory of what is not there.
        "" | "DirectoryOrCreate" => Some(Made::Directory),
        "FileOrCreate" => Some(Made::File),
        _ => None,
    };
    let found = match (found, makes) {
        (None, Some(made)) => Some(make(&base, &rest, made).map_err(failed)?),
        (found, _) => found,
    };
    check_type(path, type_, found.as_ref())?;
    match (found, rest.to_str()) {
        (Some(found), _) if found.is_dir() => {
            Ok(Opened::Directory(base.open_dir(&rest).map_err(failed)?))
        }
        (Some(found), Some(rest)) if found.is_file() => Ok(Opened::File(base, rest.to_owned())),
        _ => Err(format!("{path} is neither a directory nor a file: a guest cannot be given it")),
    }
}

enum Made {
    Directory,
    File,
}

fn make(base: &Dir, rest: &Path, made: Made) -> io::Result<Metadata> {
    match made {
        Made::Directory => base.create_dir_all(rest)?,
        Made::File => {
            base.open_with(rest, OpenOptions::new().write(true).create(true))?;
        }
    }
    base.metadata(rest)
}

/// The allowed directory that a path is in, and the way from there.
fn locate(path: &Path, allowed: &[PathBuf]) -> Option<(PathBuf, PathBuf)> {
    let rest_in = |dir: &Path| path.strip_prefix(dir).ok().map(Path::to_owned);
    let found = allowed.iter().find_map(|dir| {
        let real = dir.canonicalize().ok();
        let rest = rest_in(dir).or_else(|| rest_in(real.as_deref()?))?;
        Some((dir.clone(), rest))
    });
    found.map(|(dir, rest)| {
        let is_all = rest.as_os_str().is_empty();
        (dir, if is_all { PathBuf::from(".") } else { rest })
    })
}

fn not_allowed(path: &str) -> String {
    format!(
        "{path} is not in a directory that hostPath volumes may use: start sampan with \
         --allow-host-path {path}"
    )
}

/// Upstream: `checkTypeInternal`.
fn check_type(path: &str, type_: &str, found: Option<&Metadata>) -> Result<(), String> {
    let kind = found.map(Metadata::file_type);
    let (fits, what) = match type_ {
        "" => return Ok(()),
        "Directory" | "DirectoryOrCreate" => (kind.is_some_and(|kind| kind.is_dir()), "directory"),
        "File" | "FileOrCreate" => (kind.is_some_and(|kind| kind.is_file()), "file"),
        "Socket" => (kind.is_some_and(|kind| kind.is_socket()), "socket file"),
        "CharDevice" => (kind.is_some_and(|kind| kind.is_char_device()), "character device"),
        "BlockDevice" => (kind.is_some_and(|kind| kind.is_block_device()), "block device"),
        other => return Err(format!("{other} is an invalid volume type")),
    };
    if fits { Ok(()) } else { Err(format!("hostPath type check failed: {path} is not a {what}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        directory: tempfile::TempDir,
        allowed: PathBuf,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let allowed = directory.path().join("allowed");
            std::fs::create_dir_all(allowed.join("dir")).unwrap();
            std::fs::write(allowed.join("file"), "x").unwrap();
            std::fs::write(directory.path().join("secret"), "x").unwrap();
            Self { directory, allowed }
        }

        fn open(&self, path: &str, type_: &str) -> Result<Opened, String> {
            let path = self.directory.path().join(path);
            open(path.to_str().unwrap(), type_, std::slice::from_ref(&self.allowed))
        }

        #[track_caller]
        fn check_error(&self, path: &str, type_: &str, expect: &str) {
            let error = self.open(path, type_).map(drop).unwrap_err();
            assert!(error.contains(expect), "{error}");
        }
    }

    #[test]
    fn types_are_checked_in_upstreams_words() {
        let bench = Bench::new();
        bench.open("allowed", "Directory").unwrap();
        bench.open("allowed/dir", "").unwrap();
        bench.open("allowed/file", "File").unwrap();
        bench.check_error("allowed/file", "Directory", "allowed/file is not a directory");
        bench.check_error("allowed/dir", "File", "hostPath type check failed: ");
        bench.check_error("allowed/dir", "Socket", "allowed/dir is not a socket file");
        bench.check_error("allowed/none", "Directory", "allowed/none is not a directory");
    }

    #[test]
    fn what_is_missing_is_made_where_the_type_says_so() {
        let bench = Bench::new();
        bench.open("allowed/a/b", "DirectoryOrCreate").unwrap();
        assert!(bench.allowed.join("a/b").is_dir());
        bench.open("allowed/a/f", "FileOrCreate").unwrap();
        assert!(bench.allowed.join("a/f").is_file());
        bench.check_error("allowed/none/f", "FileOrCreate", "No such file or directory");
    }

    #[test]
    fn nothing_outside_of_the_allowed_directory_is_opened() {
        let bench = Bench::new();
        bench.check_error("secret", "File", "--allow-host-path");
        bench.check_error("allowed-too", "", "--allow-host-path");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../secret", bench.allowed.join("link")).unwrap();
            std::os::unix::fs::symlink("..", bench.allowed.join("up")).unwrap();
            bench.check_error("allowed/link", "File", "failed to open");
            bench.check_error("allowed/up", "Directory", "failed to open");
        }
    }
}

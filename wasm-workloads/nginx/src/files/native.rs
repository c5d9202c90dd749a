//! The developer's own files, for tests.

use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::time::UNIX_EPOCH;

use super::{Failure, Kind, Stat};

#[derive(Debug)]
pub(crate) struct File(fs::File);

pub(crate) fn stat(path: &str) -> Result<Stat, Failure> {
    fs::metadata(path).map(|metadata| stat_of(&metadata)).map_err(|error| failure(&error))
}

pub(crate) fn open(path: &str) -> Result<File, Failure> {
    fs::File::open(path).map(File).map_err(|error| failure(&error))
}

/// Names in a directory and what they are, unsorted.
pub(crate) fn list(path: &str) -> Result<Vec<(String, Stat)>, Failure> {
    let entries = fs::read_dir(path).map_err(|error| failure(&error))?;
    let named = entries.filter_map(Result::ok).filter_map(|entry| {
        let stat = fs::metadata(entry.path()).ok()?;
        Some((entry.file_name().into_string().ok()?, stat_of(&stat)))
    });
    Ok(named.collect())
}

/// The text of a symlink.
pub(crate) fn link_target(path: &str) -> Option<String> {
    fs::read_link(path).ok()?.into_os_string().into_string().ok()
}

impl File {
    /// At most so many bytes from an offset on.
    pub(crate) fn read(&self, offset: u64, bytes_max: u64) -> Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        let mut file = &self.0;
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.take(bytes_max).read_to_end(&mut content))
            .map_err(|error| failure(&error))?;
        Ok(content)
    }
}

fn stat_of(metadata: &fs::Metadata) -> Stat {
    let kind = match metadata.file_type() {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Directory,
        _ => Kind::Other,
    };
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or((0, 0), |time| (time.as_secs(), time.subsec_nanos()));
    Stat { kind, bytes: metadata.len(), modified }
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::NotFound,
        ErrorKind::NotADirectory => Failure::NotDirectory,
        ErrorKind::PermissionDenied => Failure::Denied,
        _ => Failure::Other,
    }
}

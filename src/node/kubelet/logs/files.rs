//! Names of log files.

use std::io;
use std::path::{Path, PathBuf};

/// The place of one part of one run's log.
pub(super) fn path(directory: &Path, run: u32, part: u32) -> PathBuf {
    directory.join(format!("{run}-{part}.log"))
}

/// The run and part of a log file's name.
pub(super) fn parse(name: &str) -> Option<(u32, u32)> {
    let (run, part) = name.strip_suffix(".log")?.split_once('-')?;
    Some((run.parse().ok()?, part.parse().ok()?))
}

/// All logs in the directory, in order; none if there is no directory.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(u32, u32)>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut logs = Vec::new();
    for entry in entries {
        logs.extend(entry?.file_name().to_str().and_then(parse));
    }
    logs.sort_unstable();
    Ok(logs)
}

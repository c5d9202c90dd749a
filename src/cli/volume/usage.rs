//! How much a directory of this machine holds, counted as volumes' quotas count: lengths, and a file with
//! several names once. No symlink is followed.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io;
use std::path::Path;

/// What is in a directory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) bytes: u64,
    /// Files, directories and links in it.
    pub(super) entries: u64,
}

/// A directory that is not there holds nothing. What goes while it is counted is not counted.
///
/// # Errors
/// If it cannot be read.
pub(super) fn of(directory: &Path) -> io::Result<Usage> {
    let mut usage = Usage::default();
    let mut seen = HashSet::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in entries(&directory)? {
            let Ok(metadata) = entry.metadata() else { continue };
            usage.entries += 1;
            if metadata.is_dir() {
                directories.push(entry.path());
            } else if metadata.is_file() && is_new(&metadata, &mut seen) {
                usage.bytes += metadata.len();
            }
        }
    }
    Ok(usage)
}

/// Of one name in a directory, with all that is below.
pub(super) fn of_entry(entry: &std::fs::DirEntry) -> io::Result<u64> {
    match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(of(&entry.path())?.bytes),
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        _ => Ok(0),
    }
}

/// By name; none if the directory is not there.
pub(super) fn entries(directory: &Path) -> io::Result<Vec<std::fs::DirEntry>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut entries: Vec<_> = entries.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    Ok(entries)
}

#[cfg(unix)]
fn is_new(metadata: &Metadata, seen: &mut HashSet<(u64, u64)>) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.nlink() == 1 || seen.insert((metadata.dev(), metadata.ino()))
}

/// Elsewhere a file with several names is counted with each of them.
#[cfg(not(unix))]
fn is_new(_metadata: &Metadata, _seen: &mut HashSet<(u64, u64)>) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_summed_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/a"), "12345").unwrap();
        std::fs::write(at("b"), "123").unwrap();
        assert_eq!(of(directory.path()).unwrap(), Usage { bytes: 8, entries: 3 });
        #[cfg(unix)]
        {
            std::fs::hard_link(at("b"), at("c")).unwrap();
            std::os::unix::fs::symlink("/", at("all")).unwrap();
            assert_eq!(of(directory.path()).unwrap(), Usage { bytes: 8, entries: 5 });
        }
        assert_eq!(of(&at("missing")).unwrap(), Usage::default());
    }
}

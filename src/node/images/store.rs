//! Root filesystems on disk: each is laid out once in a directory of its own, complete or not there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::local::Program;

/// What lies in a root filesystem. Paths are relative to it, with `/`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    Directory {
        path: &'a str,
        mode: u32,
    },
    File {
        path: &'a str,
        mode: u32,
        content: &'a [u8],
    },
    /// With this digest.
    Copy {
        path: &'a str,
        from: &'a Program,
        digest: &'a str,
    },
    Symlink {
        path: &'a str,
        target: &'a str,
    },
}

/// Opens `DIR/<name>/rootfs`, after laying it out if it is not there or not whole.
///
/// The directory is made under another name and renamed, so that it is complete whenever it is
/// seen; of two that do it at once, the later throws its own away.
pub(super) fn root(directory: &Path, name: &str, entries: &[Entry<'_>]) -> io::Result<Dir> {
    let home = directory.join(name);
    if !is_whole(&home.join("rootfs"), entries) {
        let draft = draft_directory(directory)?;
        let laid =
            lay(&draft.join("rootfs"), entries).and_then(|()| settle(&draft, &home, entries));
        if laid.is_err() || draft.exists() {
            let _ = fs::remove_dir_all(&draft);
        }
        laid?;
    }
    Dir::open_ambient_dir(home.join("rootfs"), ambient_authority())
}

/// A new directory beside the finished ones.
fn draft_directory(directory: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let draft = directory.join(format!(".draft-{}-{n}", std::process::id()));
    if draft.exists() {
        // Left over by an earlier process of the same number.
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir_all(draft.join("rootfs"))?;
    Ok(draft)
}

/// Gives the draft its name. What already has the name stays if it is whole; a torn one (power was
/// lost before its content reached the disk) is replaced.
fn settle(draft: &Path, home: &Path, entries: &[Entry<'_>]) -> io::Result<()> {
    match fs::rename(draft, home) {
        Ok(()) => Ok(()),
        Err(_) if is_whole(&home.join("rootfs"), entries) => Ok(()),
        Err(_) if home.exists() => {
            fs::remove_dir_all(home)?;
            fs::rename(draft, home)
        }
        Err(err) => Err(err),
    }
}

/// Whether every file has its length: enough, as names appear by rename only.
fn is_whole(root: &Path, entries: &[Entry<'_>]) -> bool {
    entries.iter().all(|entry| match entry {
        Entry::Directory { path, .. } => root.join(path).is_dir(),
        Entry::File { path, content, .. } => has_length(&root.join(path), content.len() as u64),
        Entry::Copy { path, from, .. } => has_length(&root.join(path), from.length),
        Entry::Symlink { path, .. } => root.join(path).symlink_metadata().is_ok(),
    })
}

fn has_length(path: &Path, length: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == length)
}

fn lay(root: &Path, entries: &[Entry<'_>]) -> io::Result<()> {
    for entry in entries {
        match *entry {
            Entry::Directory { path, mode } => {
                fs::create_dir_all(root.join(path))?;
                set_mode(&root.join(path), mode)?;
            }
            Entry::File { path, mode, content } => {
                fs::write(root.join(path), content)?;
                set_mode(&root.join(path), mode)?;
            }
            Entry::Copy { path, from, digest } => {
                let mut file = fs::File::create_new(root.join(path))?;
                if from.read_into(&mut file)? != digest {
                    return Err(io::Error::other("the program changed while it was read"));
                }
                set_mode(&root.join(path), 0o755)?;
            }
            Entry::Symlink { path, target } => symlink(target, &root.join(path))?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Where links need a privilege, a copy of what the link names, beside it, does as well.
#[cfg(not(unix))]
fn symlink(target: &str, path: &Path) -> io::Result<()> {
    let directory = path.parent().unwrap_or(path);
    fs::copy(directory.join(target), path).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: &[Entry<'_>] = &[
        Entry::Directory { path: "bin", mode: 0o755 },
        Entry::File { path: "bin/one", mode: 0o755, content: b"1" },
        Entry::Symlink { path: "bin/two", target: "one" },
    ];

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_root_is_laid_out_once_and_whole() {
        let directory = tempfile::tempdir().unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let path = directory.path().to_owned();
                std::thread::spawn(move || root(&path, "a", ENTRIES).unwrap())
            })
            .collect();
        for thread in threads {
            let root = thread.join().unwrap();
            assert_eq!(root.read_to_string("bin/two").unwrap(), "1");
        }
        assert_eq!(names(directory.path()), ["a"]);
    }

    #[test]
    fn a_torn_root_is_laid_out_again() {
        let directory = tempfile::tempdir().unwrap();
        root(directory.path(), "a", ENTRIES).unwrap();
        fs::write(directory.path().join("a/rootfs/bin/one"), "").unwrap();
        let root = root(directory.path(), "a", ENTRIES).unwrap();
        assert_eq!(root.read_to_string("bin/one").unwrap(), "1");
        assert_eq!(names(directory.path()), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn programs_are_executable() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        root(directory.path(), "a", ENTRIES).unwrap();
        let mode = fs::metadata(directory.path().join("a/rootfs/bin/one")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o7777, 0o755);
    }
}

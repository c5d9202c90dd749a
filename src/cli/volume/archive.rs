//! Trees of files as tar archives: what travels between this machine and a Pod.
//!
//! Unpacking stays beneath the directory that it was given, whatever the archive says, and puts each file
//! in its place when all of it is there.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::{Dir, OpenOptions};
use tar::{Archive, Builder, Entry, EntryType, Header};

/// What was left out, and why; for the user.
pub(super) type Skipped = Vec<String>;

/// Writes what is at `from` under the name `name`; `.` stands for what is in it.
///
/// # Errors
/// If it cannot be read, or `to` takes no more.
pub(super) fn pack(from: &Path, name: &str, to: impl Write) -> io::Result<Skipped> {
    let mut builder = Builder::new(to);
    let mut skipped = Skipped::new();
    let mut left = vec![(from.to_owned(), name.to_owned())];
    while let Some((path, name)) = left.pop() {
        // What the user names may be a symlink to what is meant.
        let metadata = if path == from { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        let metadata = metadata.map_err(|error| at(&path, &error))?;
        let mut header = header(&metadata);
        if metadata.is_dir() {
            header.set_entry_type(EntryType::Directory);
            builder.append_data(&mut header, format!("{name}/"), io::empty())?;
            for entry in fs::read_dir(&path).map_err(|error| at(&path, &error))? {
                let entry = entry.map_err(|error| at(&path, &error))?;
                match entry.file_name().to_str() {
                    Some(child) => left.push((entry.path(), format!("{name}/{child}"))),
                    None => {
                        skipped.push(format!("{}: its name is not UTF-8", entry.path().display()))
                    }
                }
            }
        } else if metadata.is_file() {
            let file = fs::File::open(&path).map_err(|error| at(&path, &error))?;
            header.set_size(metadata.len());
            // One that grows or shrinks meanwhile must not spoil what follows.
            let padded = file.take(metadata.len()).chain(io::repeat(0)).take(metadata.len());
            builder.append_data(&mut header, &name, padded)?;
        } else if metadata.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            builder.append_link(&mut header, &name, fs::read_link(&path)?)?;
        } else {
            skipped.push(format!("{}: it is neither a file nor a directory", path.display()));
        }
    }
    builder.into_inner()?.flush()?;
    Ok(skipped)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn header(metadata: &Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(0);
    header.set_mode(mode_of(metadata));
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    header.set_mtime(modified.map_or(0, |modified| modified.as_secs()));
    header
}

#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

#[cfg(not(unix))]
fn mode_of(metadata: &Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}

/// Puts what the archive has under `top` (`.`: all of it) into a directory, under the name `name`
/// (`.`: the directory itself).
///
/// # Errors
/// If it cannot be read to its end, or not be written here.
pub(super) fn unpack(from: impl Read, top: &str, into: &Dir, name: &str) -> io::Result<Skipped> {
    let mut archive = Archive::new(from);
    let mut skipped = Skipped::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(path) = placed(&path, top, name) else {
            skipped.push(format!("{}: it would lead out of the directory", path.display()));
            continue;
        };
        let failed = |error: io::Error| at(&path, &error);
        match entry.header().entry_type() {
            EntryType::Directory => into.create_dir_all(&path).map_err(failed)?,
            EntryType::Regular => put(into, &path, &mut entry).map_err(failed)?,
            EntryType::Symlink => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                if !stays(&path, &target, name) || !link(into, &path, &target).map_err(failed)? {
                    skipped.push(format!("{}: a symlink to {}", path.display(), target.display()));
                }
            }
            _ => skipped.push(format!("{}: it is neither a file nor a directory", path.display())),
        }
    }
    // Whoever sends is heard to the end.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(skipped)
}

/// Where a member of the archive goes; never up.
fn placed(path: &Path, top: &str, name: &str) -> Option<PathBuf> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    let parts = match top {
        "." => &parts[..],
        top => parts.split_first().filter(|(first, _)| ***first == *top)?.1,
    };
    Some([OsStr::new(name)].into_iter().chain(parts.iter().copied()).collect())
}

/// Whether a symlink leads to somewhere in what is copied.
fn stays(path: &Path, target: &Path, name: &str) -> bool {
    let tops = usize::from(name != ".");
    let parts = path.components().filter(|part| *part != Component::CurDir).count();
    // So many directories of what is copied is the link in.
    let Some(mut depth) = parts.checked_sub(1 + tops) else { return false };
    target.components().all(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => {
            let rises = depth.checked_sub(1);
            depth = rises.unwrap_or(0);
            rises.is_some()
        }
        _ => false,
    })
}

/// Under another name first: what is half-made does not stay.
fn put(into: &Dir, path: &Path, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
    let partial = path.with_file_name(format!(".sampan-cp-{}", std::process::id()));
    let filled = fill(into, &partial, entry).and_then(|()| into.rename(&partial, into, path));
    if filled.is_err() {
        // What failed is told; that this fails too adds nothing.
        let _ = into.remove_file(&partial);
    }
    filled
}

fn fill(into: &Dir, path: &Path, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = into.open_with(path, &options)?.into_std();
    if io::copy(entry, &mut file)? < entry.size() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let header = entry.header();
    set_mode(&file, header.mode()?)?;
    let modified: SystemTime = UNIX_EPOCH + Duration::from_secs(header.mtime()?);
    file.set_modified(modified)
}

#[cfg(unix)]
fn set_mode(file: &fs::File, mode: u32) -> io::Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777 | 0o600);
    file.set_permissions(mode)
}

#[cfg(not(unix))]
fn set_mode(_file: &fs::File, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Whether this platform has such symlinks.
#[cfg(unix)]
fn link(into: &Dir, path: &Path, target: &Path) -> io::Result<bool> {
    match into.remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => into.symlink_contents(target, path).map(|()| true),
    }
}

#[cfg(not(unix))]
fn link(_into: &Dir, _path: &Path, _target: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    use cap_std::ambient_authority;
    use tempfile::TempDir;

    fn open(directory: &TempDir) -> Dir {
        Dir::open_ambient_dir(directory.path(), ambient_authority()).unwrap()
    }

    /// An archive of one member, whose name may be one that no honest program writes.
    fn archive(name: &str, kind: EntryType, target: &str) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(if kind == EntryType::Regular { 1 } else { 0 });
        header.set_cksum();
        let mut builder = Builder::new(Vec::new());
        builder.append(&header, &b"x"[..usize::from(kind == EntryType::Regular)]).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_tree_arrives_as_it_was() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = "n".repeat(200);
        let top = here.path().join("top");
        fs::create_dir_all(top.join("a").join(&long)).unwrap();
        fs::write(top.join("a").join(&long).join("file"), "12345").unwrap();
        fs::write(top.join("empty"), "").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../empty", top.join("a/link")).unwrap();
        let mut bytes = Vec::new();
        assert_eq!(pack(&top, "top", &mut bytes).unwrap(), Skipped::new());
        assert_eq!(unpack(&bytes[..], "top", &open(&there), "new").unwrap(), Skipped::new());
        let new = there.path().join("new");
        assert_eq!(fs::read_to_string(new.join("a").join(&long).join("file")).unwrap(), "12345");
        let modified = |path: PathBuf| {
            let at = fs::metadata(path).unwrap().modified().unwrap();
            at.duration_since(UNIX_EPOCH).unwrap().as_secs()
        };
        assert_eq!(modified(new.join("empty")), modified(top.join("empty")));
        #[cfg(unix)]
        assert_eq!(fs::read_link(new.join("a/link")).unwrap(), Path::new("../empty"));
        // Once more, over what is there, and into the directory itself.
        unpack(&bytes[..], "top", &open(&there), "new").unwrap();
        unpack(&bytes[..], "top", &open(&there), ".").unwrap();
        assert!(there.path().join("empty").is_file());
        assert_eq!(fs::read_dir(there.path()).unwrap().count(), 3);
    }

    #[test]
    fn nothing_is_written_outside() {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("inner")).unwrap();
        let inner = Dir::open_ambient_dir(outer.path().join("inner"), ambient_authority()).unwrap();
        for name in ["../up", "a/../../up", "/tmp/sampan-was-here"] {
            let skipped =
                unpack(&archive(name, EntryType::Regular, "")[..], ".", &inner, ".").unwrap();
            assert!(skipped[0].ends_with("it would lead out of the directory"), "{skipped:?}");
        }
        for target in ["/etc", "..", "a/../../b"] {
            let link = archive("link", EntryType::Symlink, target);
            let skipped = unpack(&link[..], ".", &inner, ".").unwrap();
            assert!(skipped[0].contains("a symlink to"), "{skipped:?}");
        }
        #[cfg(unix)]
        {
            // A symlink that somebody else left in the way.
            std::os::unix::fs::symlink("..", outer.path().join("inner/out")).unwrap();
            let through = archive("out/file", EntryType::Regular, "");
            unpack(&through[..], ".", &inner, ".").unwrap_err();
        }
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_cut_off_leaves_no_half_of_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let whole = archive("file", EntryType::Regular, "");
        let mut half = Header::new_gnu();
        half.set_path("half").unwrap();
        half.set_size(4096);
        half.set_mode(0o644);
        half.set_cksum();
        let mut bytes = whole[..1024].to_vec();
        bytes.extend(half.as_bytes());
        bytes.extend([b'x'; 512]);
        unpack(&bytes[..], ".", &open(&directory), ".").unwrap_err();
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}

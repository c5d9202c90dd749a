//! Copies trees of files. All paths are walked beneath the two directories that are handed in, so that
//! nobody who writes there meanwhile leads the copy anywhere else.

use std::ffi::OsStr;
use std::fs::{File, FileTimes};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use cap_std::fs::{Dir, OpenOptions};

/// What is read at once, and left out if nothing but zeros is in it.
const BLOCK_BYTES: usize = 64 << 10;

/// Copies what is not covered by what is there already, with its modes and times. What goes away
/// meanwhile is left out.
pub(super) fn add(from: &Dir, into: &Dir) -> io::Result<()> {
    for entry in from.entries()? {
        let entry = entry?;
        match add_entry(from, into, &entry.file_name(), entry.file_type()?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            added => added?,
        }
    }
    Ok(())
}

fn add_entry(from: &Dir, into: &Dir, name: &OsStr, kind: cap_std::fs::FileType) -> io::Result<()> {
    let there = into.symlink_metadata(name).ok();
    if kind.is_dir() {
        let from = from.open_dir(name)?;
        match there {
            None => into.create_dir(name)?,
            Some(there) if there.is_dir() => return add(&from, &into.open_dir(name)?),
            Some(_) => return Ok(()),
        }
        add(&from, &into.open_dir(name)?)?;
        let metadata = from.dir_metadata()?;
        into.set_permissions(name, metadata.permissions())?;
        return match metadata.modified() {
            // Windows opens no directory so that this could be set.
            Ok(time) if cfg!(unix) => into.open(name)?.into_std().set_modified(time.into_std()),
            _ => Ok(()),
        };
    }
    if there.is_none() && kind.is_file() {
        return file(from, into, name);
    }
    if there.is_none() && kind.is_symlink() {
        return link(from, into, Path::new(name));
    }
    Ok(())
}

fn file(from: &Dir, into: &Dir, name: &OsStr) -> io::Result<()> {
    let mut source = from.open(name)?.into_std();
    let metadata = source.metadata()?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut target = into.open_with(name, &options)?.into_std();
    if !host::share_blocks(&source, &target) {
        copy(&mut source, &mut target)?;
    }
    target.set_permissions(metadata.permissions())?;
    match metadata.modified() {
        Ok(modified) => target.set_times(FileTimes::new().set_modified(modified)),
        Err(_) => Ok(()),
    }
}

/// Holes stay holes.
fn copy(source: &mut File, target: &mut File) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut at = 0;
    while let Some(start) = host::next_data(source, at)? {
        source.seek(SeekFrom::Start(start))?;
        let read = source.read(&mut block)?;
        if read == 0 {
            break;
        }
        if block[..read].iter().any(|byte| *byte != 0) {
            target.seek(SeekFrom::Start(start))?;
            target.write_all(&block[..read])?;
        }
        at = start + read as u64;
    }
    target.set_len(source.metadata()?.len().max(at))
}

#[cfg(not(windows))]
fn link(from: &Dir, into: &Dir, name: &Path) -> io::Result<()> {
    into.symlink_contents(from.read_link_contents(name)?, name)
}

/// Windows has a symlink's kind from what it leads to, and not everybody may make one: the file itself
/// stands for it.
#[cfg(windows)]
fn link(from: &Dir, into: &Dir, name: &Path) -> io::Result<()> {
    match from.metadata(name) {
        Ok(metadata) if metadata.is_file() => file(from, into, name.as_os_str()),
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
mod host {
    use std::fs::File;
    use std::io;

    use rustix::fs::{SeekFrom, ioctl_ficlone, seek};
    use rustix::io::Errno;

    /// Has both files share what is in the first, on file systems that can (btrfs, XFS).
    pub(super) fn share_blocks(source: &File, target: &File) -> bool {
        ioctl_ficlone(target, source).is_ok()
    }

    /// Where the next bytes are that are not a hole; `None` after the last.
    pub(super) fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
        match seek(file, SeekFrom::Data(at)) {
            Ok(start) => Ok(Some(start)),
            Err(Errno::NXIO) => Ok(None),
            // A file system that does not know.
            Err(Errno::INVAL) => Ok(Some(at)),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod host {
    use std::fs::File;
    use std::io;

    pub(super) fn share_blocks(_: &File, _: &File) -> bool {
        false
    }

    pub(super) fn next_data(_: &File, at: u64) -> io::Result<Option<u64>> {
        Ok(Some(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;
    use std::path::PathBuf;

    use cap_std::ambient_authority;

    fn open(path: impl AsRef<Path>) -> Dir {
        Dir::open_ambient_dir(path, ambient_authority()).unwrap()
    }

    #[test]
    fn what_is_there_covers_what_is_added() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["top/etc", "below/etc/deep", "below/hidden", "all"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("top/etc/name"), "top").unwrap();
        fs::write(at("top/hidden"), "a file over a directory").unwrap();
        fs::write(at("below/etc/name"), "below").unwrap();
        fs::write(at("below/etc/deep/file"), "deep").unwrap();
        fs::write(at("below/hidden/file"), "never seen").unwrap();
        let all = open(at("all"));
        for layer in ["top", "below"] {
            add(&open(at(layer)), &all).unwrap();
        }
        let read = |path: &str| fs::read_to_string(at("all").join(path)).unwrap();
        assert_eq!(read("etc/name"), "top");
        assert_eq!(read("etc/deep/file"), "deep");
        assert_eq!(read("hidden"), "a file over a directory");
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_has_the_bytes_holes_modes_and_times() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let from: PathBuf = here.path().join("dir/sparse");
        fs::create_dir(here.path().join("dir")).unwrap();
        let mut file = File::create(&from).unwrap();
        let long = 3 * BLOCK_BYTES as u64 + 5;
        file.seek(SeekFrom::Start(64 << 20)).unwrap();
        let bytes: Vec<u8> = (0..long).map(|n| (n % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        file.set_len(100 << 20).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o751)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", here.path().join("out")).unwrap();
        fs::set_permissions(here.path().join("dir"), fs::Permissions::from_mode(0o711)).unwrap();
        add(&open(here.path()), &open(there.path())).unwrap();
        let to = there.path().join("dir/sparse");
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
        let (old, new) = (fs::metadata(&from).unwrap(), fs::metadata(&to).unwrap());
        assert_eq!((old.mode(), old.mtime()), (new.mode(), new.mtime()));
        assert!(new.blocks() * 512 < 2 << 20, "{} blocks", new.blocks());
        let mode = |at: &Path| fs::metadata(at.join("dir")).unwrap().mode();
        assert_eq!(mode(here.path()), mode(there.path()));
        assert_eq!(fs::read_link(there.path().join("out")).unwrap(), Path::new("/etc/passwd"));
    }
}

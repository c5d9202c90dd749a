//! Files that change all at once.
//!
//! ```text
//! name      -> ..data/name          what containers open
//! ..data    -> ..2026_11_22_17_00_00.000000000
//! ..2026_…/name                     one whole payload
//! ```
//!
//! A new payload is a new directory; renaming a symlink over `..data` puts it in the place of the one
//! before. Whoever is killed on the way leaves the old one in force; what is half-made goes with the
//! next write.
//!
//! Upstream: `pkg/volume/util/atomic_writer.go`.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use jiff::Timestamp;

use super::payload::{File, Payload};
use crate::node::files::Volume;

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// The only one who writes to its directory.
pub(super) struct AtomicWriter {
    dir: Dir,
    volume: Volume,
    /// Of the payload that is in force, if this writer wrote it.
    digest: Option<[u8; 32]>,
}

impl AtomicWriter {
    /// Makes the directory if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        let volume = Volume::from(dir.try_clone()?);
        Ok(Self { dir, volume, digest: None })
    }

    /// What containers mount: it shows each write at once.
    pub(super) fn volume(&self) -> Volume {
        self.volume.clone()
    }

    /// Whether this payload is in force.
    pub(super) fn shows(&self, payload: &Payload) -> bool {
        self.digest == Some(payload.digest())
    }

    /// Puts the payload in force. Blocks.
    ///
    /// # Errors
    /// If the host cannot write it: then what was in force stays so.
    pub(super) fn write(&mut self, payload: &Payload, now: Timestamp) -> io::Result<()> {
        let fresh = self.directory_for(now)?;
        let dir = self.dir.open_dir(&fresh)?;
        payload.iter().try_for_each(|(path, file)| write(&dir, path, file))?;
        remove(&self.dir, DATA_NEW)?;
        links::to_directory(&self.dir, &fresh, DATA_NEW)?;
        links::replace(&self.dir, DATA_NEW, DATA)?;
        self.digest = Some(payload.digest());
        let names: BTreeSet<&str> = payload.top_names().into_iter().collect();
        self.remove_stale(&fresh, &names)?;
        for name in names {
            let target = format!("{DATA}/{name}");
            match links::to(&self.dir, &dir, name, &target) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                linked => linked?,
            }
        }
        Ok(())
    }

    /// A new directory that is named for the time.
    fn directory_for(&self, now: Timestamp) -> io::Result<String> {
        let mut name = now.strftime("..%Y_%m_%d_%H_%M_%S.%9f").to_string();
        // Time may have been set back, or stand still in a test.
        while self.dir.symlink_metadata(&name).is_ok() {
            name.push('0');
        }
        self.dir.create_dir(&name)?;
        Ok(name)
    }

    /// Removes the names and directories that no longer count, those too that somebody half-made.
    fn remove_stale(&self, fresh: &str, names: &BTreeSet<&str>) -> io::Result<()> {
        let there: Vec<_> = self.dir.entries()?.collect::<io::Result<_>>()?;
        for entry in there {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name != DATA && name != fresh && !names.contains(&*name) {
                remove(&self.dir, &name)?;
            }
        }
        Ok(())
    }
}

fn write(dir: &Dir, path: &str, file: &File) -> io::Result<()> {
    if let Some((parent, _)) = path.rsplit_once('/') {
        dir.create_dir_all(parent)?;
    }
    let mut how = OpenOptions::new();
    how.write(true).create_new(true);
    let mut made = dir.open_with(path, &how)?;
    made.write_all(&file.data)?;
    rights::set(&made, file.mode)
}

/// Removes whatever is there; nothing may be.
fn remove(dir: &Dir, name: &str) -> io::Result<()> {
    let removed = match dir.symlink_metadata(name) {
        Ok(metadata) if metadata.is_dir() => dir.remove_dir_all(name),
        Ok(_) => links::remove(dir, name),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
mod rights {
    use cap_std::fs::{File, Permissions, PermissionsExt as _};

    /// The host's own right to read stays: a guest is served by it.
    const OWNER_READS: u32 = 0o400;

    pub(super) fn set(file: &File, mode: u32) -> std::io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode | OWNER_READS))
    }
}

/// Elsewhere a file inherits the access list of the user's own data directory.
#[cfg(not(unix))]
mod rights {
    pub(super) fn set(_file: &cap_std::fs::File, _mode: u32) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(not(windows))]
mod links {
    use std::io;

    use cap_std::fs::Dir;

    pub(super) fn to_directory(dir: &Dir, target: &str, name: &str) -> io::Result<()> {
        dir.symlink(target, name)
    }

    /// `content` is what the link will lead to.
    pub(super) fn to(dir: &Dir, _content: &Dir, name: &str, target: &str) -> io::Result<()> {
        dir.symlink(target, name)
    }

    pub(super) fn replace(dir: &Dir, new: &str, old: &str) -> io::Result<()> {
        dir.rename(new, dir, old)
    }

    pub(super) fn remove(dir: &Dir, name: &str) -> io::Result<()> {
        dir.remove_file(name)
    }
}

/// Windows knows links to files from links to directories, and does not rename over the latter: for a
/// moment there is no `..data`.
#[cfg(windows)]
mod links {
    use std::io;

    use cap_std::fs::Dir;

    pub(super) fn to_directory(dir: &Dir, target: &str, name: &str) -> io::Result<()> {
        dir.symlink_dir(target, name)
    }

    pub(super) fn to(dir: &Dir, content: &Dir, name: &str, target: &str) -> io::Result<()> {
        if content.metadata(name)?.is_dir() {
            dir.symlink_dir(target, name)
        } else {
            dir.symlink_file(target, name)
        }
    }

    pub(super) fn replace(dir: &Dir, new: &str, old: &str) -> io::Result<()> {
        super::remove(dir, old)?;
        dir.rename(new, dir, old)
    }

    pub(super) fn remove(dir: &Dir, name: &str) -> io::Result<()> {
        dir.remove_file(name).or_else(|_| dir.remove_dir(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let mut payload = Payload::default();
        for (path, data) in files {
            payload.put(path, data.as_bytes().to_vec(), 0o640).unwrap();
        }
        payload
    }

    struct Bench {
        directory: tempfile::TempDir,
        writer: AtomicWriter,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let writer = AtomicWriter::open(&directory.path().join("volume")).unwrap();
            Self { directory, writer }
        }

        fn write(&mut self, files: &[(&str, &str)]) {
            self.writer.write(&payload(files), Timestamp::UNIX_EPOCH).unwrap();
        }

        fn read(&self, path: &str) -> Option<String> {
            std::fs::read_to_string(self.directory.path().join("volume").join(path)).ok()
        }

        /// Names that are not the writer's own, and how many of those there are.
        fn names(&self) -> (Vec<String>, usize) {
            let names = self.writer.dir.entries().unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let (own, mut shown): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with(".."));
            shown.sort();
            (shown, own.len())
        }
    }

    #[test]
    fn a_write_takes_the_place_of_the_one_before() {
        let mut bench = Bench::new();
        bench.write(&[("a", "1"), ("deep/er/b", "2"), ("deep/c", "3")]);
        assert_eq!(bench.read("deep/er/b").as_deref(), Some("2"));
        bench.write(&[("a", "one"), ("deep/d", "4"), ("e", "5")]);
        assert_eq!(bench.read("a").as_deref(), Some("one"));
        assert_eq!(bench.read("deep/d").as_deref(), Some("4"));
        assert_eq!(bench.read("deep/c"), None);
        assert_eq!(bench.names(), (vec!["a".to_owned(), "deep".to_owned(), "e".to_owned()], 2));
        bench.write(&[]);
        assert_eq!(bench.names(), (Vec::new(), 2));
    }

    #[test]
    fn it_knows_what_it_shows() {
        let mut bench = Bench::new();
        assert!(!bench.writer.shows(&payload(&[])));
        bench.write(&[("a", "1")]);
        assert!(bench.writer.shows(&payload(&[("a", "1")])));
        assert!(!bench.writer.shows(&payload(&[("a", "2")])));
    }

    #[test]
    fn what_a_killed_writer_left_goes() {
        let mut bench = Bench::new();
        bench.write(&[("a", "1")]);
        bench.writer.dir.create_dir("..2026_11_22_17_00_00.000000000").unwrap();
        bench.writer.dir.write("..2026_11_22_17_00_00.000000000/half", "x").unwrap();
        bench.writer.dir.symlink("..2026_11_22_17_00_00.000000000", DATA_NEW).unwrap();
        assert_eq!(bench.read("a").as_deref(), Some("1"));
        let path = bench.directory.path().join("volume");
        bench.writer = AtomicWriter::open(&path).unwrap();
        bench.write(&[("a", "2")]);
        assert_eq!((bench.read("a").as_deref(), bench.names().1), (Some("2"), 2));
    }

    #[test]
    fn a_file_below_a_file_is_refused_and_changes_nothing() {
        let mut bench = Bench::new();
        bench.write(&[("a", "1")]);
        let refused =
            bench.writer.write(&payload(&[("a", "2"), ("a/b", "3")]), Timestamp::UNIX_EPOCH);
        assert!(refused.is_err());
        assert_eq!(bench.read("a").as_deref(), Some("1"));
    }

    #[cfg(unix)]
    #[test]
    fn files_have_their_mode_on_the_host() {
        use std::os::unix::fs::PermissionsExt as _;

        let mut bench = Bench::new();
        bench.write(&[("a", "1")]);
        let path = bench.directory.path().join("volume/a");
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640);
    }
}

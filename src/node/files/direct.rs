//! A path in one step, where the host can promise that no symlink is on it.

#[cfg(target_os = "linux")]
mod linux {
    use cap_std::fs::{Dir, Metadata};
    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    /// What is at `path`, be it a symlink as its last name; inside, `None` if nothing is. `None` if a
    /// symlink is on the way, or the kernel does not know: whoever asks walks then.
    pub(crate) fn look(dir: &Dir, path: &str) -> Option<Option<Metadata>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(dir, path, flags, Mode::empty(), resolve) {
            Ok(file) => Some(Some(Metadata::from_file(&std::fs::File::from(file)).ok()?)),
            Err(Errno::NOENT) => Some(None),
            Err(_) => None,
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::look;

/// Elsewhere every path is walked.
#[cfg(not(target_os = "linux"))]
mod portable {
    pub(crate) fn look(_: &cap_std::fs::Dir, _: &str) -> Option<Option<cap_std::fs::Metadata>> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) use portable::look;

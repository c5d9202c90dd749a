//! Files, as a web server needs them: what a path is, its text, its bytes as a stream. Paths are
//! absolute.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
use wasm as backend;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
use native as backend;

#[cfg(target_family = "wasm")]
pub(crate) use backend::append;
pub(crate) use backend::{File, link_target, list, open, stat};

/// What lies at a path, symlinks followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    /// Unix time: seconds, and nanoseconds of a second.
    pub(crate) modified: (u64, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Other,
}

/// Why a file could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It, or a directory on the way, is not there.
    NotFound,
    NotDirectory,
    Denied,
    Other,
}

impl Failure {
    /// As nginx's log has it.
    pub(crate) fn numbered(self) -> &'static str {
        match self {
            Self::NotFound => "2: No such file or directory",
            Self::NotDirectory => "20: Not a directory",
            Self::Denied => "13: Permission denied",
            Self::Other => "5: Input/output error",
        }
    }

    /// The answer to a request for such a file.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::NotFound | Self::NotDirectory => 404,
            Self::Denied => 403,
            Self::Other => 500,
        }
    }
}

/// Bound: a configuration's file. The largest that people write have some hundred KiB.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// # Errors
/// As [`open`]; a directory and what is too long are [`Failure::Other`].
pub(crate) fn read_text(path: &str) -> Result<String, Failure> {
    let stat = stat(path)?;
    if stat.kind == Kind::Directory || stat.bytes > TEXT_BYTES_MAX {
        return Err(Failure::Other);
    }
    let bytes = open(path)?.read(0, TEXT_BYTES_MAX)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

//! What `ls`, `stat`, `du` and `find` tell of a file. WASI tells its kind, size and times, and
//! sampan its mode; for owner, inode and how many links there are the usual ones are shown.

use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

use sampan_process::system;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Link,
    /// Of `/dev`: containers have no other special files.
    Device,
}

impl Kind {
    pub fn of(metadata: &Metadata) -> Self {
        if metadata.is_dir() {
            Self::Directory
        } else if metadata.is_symlink() {
            Self::Link
        } else if metadata.is_file() {
            Self::File
        } else {
            Self::Device
        }
    }

    /// In `ls -l` and `find -type`, where a file is `f`.
    pub fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Directory => 'd',
            Self::Link => 'l',
            Self::Device => 'c',
        }
    }

    /// The words of `stat`.
    pub fn name(self, bytes: u64) -> &'static str {
        match self {
            Self::File if bytes == 0 => "regular empty file",
            Self::File => "regular file",
            Self::Directory => "directory",
            Self::Link => "symbolic link",
            Self::Device => "character special file",
        }
    }

    /// What who may do with the file at an absolute path of this kind.
    pub fn rights_at(self, path: &str, follow: bool) -> u32 {
        system::mode(path, follow).unwrap_or_else(|| self.rights())
    }

    /// What is usual, as `chmod` has it in octal.
    pub fn rights(self) -> u32 {
        match self {
            Self::File => 0o644,
            Self::Directory => 0o755,
            Self::Link => 0o777,
            Self::Device => 0o666,
        }
    }

    /// Rights and kind as Linux has them in one number.
    pub fn mode(self, rights: u32) -> u32 {
        let kind = match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Link => 0o120_000,
            Self::Device => 0o020_000,
        };
        kind | rights
    }

    /// As `-rw-r--r--`.
    pub fn mode_text(self, rights: u32) -> String {
        std::iter::once(self.letter()).chain(rights_text(rights).chars()).collect()
    }
}

/// As `rw-r--r--`.
pub fn rights_text(rights: u32) -> String {
    let letter = |(at, letter)| if rights >> (8 - at) & 1 == 1 { letter } else { '-' };
    let mut text: String = "rwxrwxrwx".chars().enumerate().map(letter).collect();
    if rights & 0o1000 != 0 {
        let last = if text.ends_with('x') { 't' } else { 'T' };
        text.replace_range(8.., &last.to_string());
    }
    text
}

/// What a file takes on a disk, in pieces of 512 bytes: whole pages, as nearly everywhere. WASI does
/// not tell.
pub fn blocks(metadata: &Metadata) -> u64 {
    match Kind::of(metadata) {
        Kind::File | Kind::Directory => metadata.len().div_ceil(4096) * 8,
        Kind::Link | Kind::Device => 0,
    }
}

/// The start of time where a file has none.
pub fn modified(metadata: &Metadata) -> SystemTime {
    metadata.modified().unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_shown_as_text() {
        assert_eq!(Kind::File.mode_text(0o644), "-rw-r--r--");
        assert_eq!(Kind::Directory.mode_text(0o1777), "drwxrwxrwt");
        assert_eq!(rights_text(0o1770), "rwxrwx--T");
        assert_eq!(rights_text(0o751), "rwxr-x--x");
        assert_eq!(format!("{:x}", Kind::File.mode(0o644)), "81a4");
    }
}

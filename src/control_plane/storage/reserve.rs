//! Room on the disk that the log has taken before it needs it: what is left when the disk is full. Then
//! objects are still changed and deleted, so that who has filled it can be ended, and none is created.
//!
//! Linux only: elsewhere a full disk takes nothing.

use std::fs::File;

/// Ten thousand deletions, about.
const RESERVE_BYTES: u64 = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Reserve {
    /// Up to here the file has its place on the disk.
    until: Option<u64>,
    /// There was no room for more.
    short: bool,
}

impl Reserve {
    /// Has half of the reserve at least beyond `len`, if the disk has so much; answers whether it has.
    pub(super) fn keep_ahead(&mut self, file: &File, len: u64) -> bool {
        let enough = self.until.is_some_and(|until| until >= len + RESERVE_BYTES / 2);
        if !enough || self.short {
            match allocate(file, len, RESERVE_BYTES) {
                Allocated::Yes => *self = Self { until: Some(len + RESERVE_BYTES), short: false },
                Allocated::Full => self.short = true,
                Allocated::Unknown => *self = Self { until: Some(u64::MAX), short: false },
            }
        }
        !self.short
    }

    /// Whether the file may grow to `len`, for all we know.
    pub(super) fn takes(&self, len: u64) -> bool {
        !self.short || self.until.is_none_or(|until| len <= until)
    }
}

enum Allocated {
    Yes,
    Full,
    /// The system, or this file system, does not do that.
    Unknown,
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, from: u64, bytes: u64) -> Allocated {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    match fallocate(file, FallocateFlags::KEEP_SIZE, from, bytes) {
        Ok(()) => Allocated::Yes,
        Err(Errno::NOSPC | Errno::DQUOT) => Allocated::Full,
        Err(_) => Allocated::Unknown,
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &File, _: u64, _: u64) -> Allocated {
    Allocated::Unknown
}

//! How much a volume may hold, and what it holds.
//!
//! Bytes are the lengths of the regular files, as `ls -l` shows them: holes count, what the host's
//! file system adds does not. Every name counts as an entry, so that empty files are not free. A
//! file that has lost its last name while someone has it open keeps its bytes until it is closed.
//!
//! One `Quota` stands for one directory tree of the host and is shared by all who write there, be
//! they in other Pods. Locks, outer to inner: `names`, then a file's length. What is changed behind
//! its back is not counted until the next scan.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_fs_ext::MetadataExt;
use cap_std::fs::{Dir, Metadata};
use parking_lot::{Mutex, MutexGuard, RwLock};

use super::{Error, Result};

/// Bytes for each entry that a volume may have, as mke2fs makes inodes on a small disk.
const BYTES_PER_ENTRY: u64 = 4096;
/// Even the smallest volume has room for so many names.
const ENTRIES_MIN: u64 = 1024;

/// Bounds of a volume, and how much of them is used. Reaching one is [`Error::NoSpace`].
#[derive(Debug)]
pub struct Quota {
    bytes: Gauge,
    entries: Gauge,
    open: Mutex<OpenFiles>,
}

/// What is used of a volume, and what may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub bytes: u64,
    pub bytes_max: u64,
    pub entries: u64,
    pub entries_max: u64,
}

impl Usage {
    /// Whether there is a bound at all: [`Quota::counting`] has none.
    pub fn is_bounded(&self) -> bool {
        self.bytes_max != u64::MAX
    }

    pub fn bytes_free(&self) -> u64 {
        self.bytes_max.saturating_sub(self.bytes)
    }
}

#[derive(Debug)]
struct Gauge {
    used: AtomicU64,
    max: AtomicU64,
}

/// Device and inode.
type Identity = (u64, u64);

/// Bound: the descriptors of all guests that have the volume.
type OpenFiles = HashMap<Identity, OpenFile>;

#[derive(Debug)]
struct OpenFile {
    len: Arc<RwLock<u64>>,
    handles: usize,
    /// Its last name is gone.
    unlinked: bool,
}

/// Held while a name is made, removed or opened: no other of the volume changes meanwhile.
pub(super) struct Names<'a> {
    quota: &'a Quota,
    open: MutexGuard<'a, OpenFiles>,
}

/// The share of one open file in its volume's account.
#[derive(Debug)]
pub(super) struct Counted {
    quota: Arc<Quota>,
    identity: Identity,
    /// In bytes. Held for writing by whoever changes it, until the host's file has that length.
    pub(super) len: Arc<RwLock<u64>>,
}

impl Quota {
    /// At most so many bytes in a directory that holds nothing yet, and an entry for every 4 KiB of
    /// them, at least 1,024.
    pub fn new(bytes_max: u64) -> Self {
        let entries_max = (bytes_max / BYTES_PER_ENTRY).max(ENTRIES_MIN);
        Self {
            bytes: Gauge::new(bytes_max),
            entries: Gauge::new(entries_max),
            open: Mutex::default(),
        }
    }

    /// As much as there is: it counts only.
    pub fn counting() -> Self {
        Self::new(u64::MAX)
    }

    /// The same for a directory with files in it, which are counted: some microseconds for each.
    /// More than fits may be there; then nothing can be added until enough is removed.
    ///
    /// # Errors
    /// If a directory in it cannot be read.
    pub fn scan(bytes_max: u64, dir: &Dir) -> Result<Self> {
        let quota = Self::new(bytes_max);
        let mut several_names = std::collections::HashSet::new();
        let mut unread = vec![dir.try_clone()?];
        while let Some(dir) = unread.pop() {
            for entry in dir.entries()? {
                let entry = entry?;
                quota.entries.add(1);
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    unread.push(entry.open_dir()?);
                } else if metadata.is_file()
                    && (metadata.nlink() < 2 || several_names.insert(identity(&metadata)))
                {
                    quota.bytes.add(metadata.len());
                }
            }
        }
        Ok(quota)
    }

    /// Another bound from now on; also one that is exceeded already.
    pub fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes.max.store(bytes_max, Ordering::Relaxed);
        self.entries.max.store((bytes_max / BYTES_PER_ENTRY).max(ENTRIES_MIN), Ordering::Relaxed);
    }

    pub fn usage(&self) -> Usage {
        Usage {
            bytes: self.bytes.used.load(Ordering::Relaxed),
            bytes_max: self.bytes.max.load(Ordering::Relaxed),
            entries: self.entries.used.load(Ordering::Relaxed),
            entries_max: self.entries.max.load(Ordering::Relaxed),
        }
    }

    pub(super) fn names(&self) -> Names<'_> {
        Names { quota: self, open: self.open.lock() }
    }

    /// Takes as much of `bytes` as there is room for.
    pub(super) fn take_up_to(&self, bytes: u64) -> u64 {
        self.bytes.take(bytes, 1)
    }

    /// Takes all of `bytes` or none.
    pub(super) fn take(&self, bytes: u64) -> Result<()> {
        self.bytes.take_all(bytes)
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.bytes.give(bytes);
    }
}

impl Names<'_> {
    /// Makes one more name by `make`, if there is room for it.
    pub(super) fn add<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        self.quota.entries.take_all(1)?;
        make().inspect_err(|_| self.quota.entries.give(1))
    }

    /// A name is gone that meant this; what it was before it went.
    pub(super) fn removed(&mut self, was: &Metadata) {
        self.quota.entries.give(1);
        if !was.is_file() || was.nlink() > 1 {
            return;
        }
        match self.open.get_mut(&identity(was)) {
            Some(file) => file.unlinked = true,
            None => self.quota.bytes.give(was.len()),
        }
    }

    /// A file was opened.
    pub(super) fn opened(&mut self, quota: &Arc<Quota>, file: &Metadata) -> Counted {
        let identity = identity(file);
        let entry = self.open.entry(identity).or_insert_with(|| OpenFile {
            len: Arc::new(RwLock::new(file.len())),
            handles: 0,
            unlinked: false,
        });
        entry.handles += 1;
        Counted { quota: quota.clone(), identity, len: entry.len.clone() }
    }
}

impl Counted {
    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        if let Some(file) = self.quota.open.lock().get_mut(&self.identity) {
            file.handles += 1;
        }
        Self { quota: self.quota.clone(), identity: self.identity, len: self.len.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.quota.open.lock();
        let Some(file) = open.get_mut(&self.identity) else { return };
        file.handles -= 1;
        if file.handles == 0 {
            if file.unlinked {
                self.quota.give_back(*file.len.read());
            }
            open.remove(&self.identity);
        }
    }
}

impl Gauge {
    fn new(max: u64) -> Self {
        Self { used: AtomicU64::new(0), max: AtomicU64::new(max) }
    }

    fn add(&self, amount: u64) {
        self.used.fetch_add(amount, Ordering::Relaxed);
    }

    /// As much of `amount` as there is room for; 0 if it is less than `least`.
    fn take(&self, amount: u64, least: u64) -> u64 {
        let mut taken = 0;
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let room = self.max.load(Ordering::Relaxed).saturating_sub(used);
            taken = if room < least { 0 } else { amount.min(room) };
            Some(used + taken)
        });
        taken
    }

    fn take_all(&self, amount: u64) -> Result<()> {
        if self.take(amount, amount) == amount { Ok(()) } else { Err(Error::NoSpace) }
    }

    fn give(&self, amount: u64) {
        // What was changed behind our back must not make it wrap.
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            Some(used.saturating_sub(amount))
        });
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

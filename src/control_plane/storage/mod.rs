//! Where objects rest: revisions, compare-and-swap, lists at a revision, watches, compaction.
//!
//! Enter by the [`Storage`] trait; [`embedded`] opens one in a directory, [`memory`] makes one for
//! `--ephemeral` and for tests. Only `apiserver` writes here; built-in components read through
//! `client::cache`, which `cluster.rs` feeds from a [`Watch`].
//!
//! Inside: `state` is the objects and the recent history as a plain value, with every decision about
//! a write; `published` is the state that readers and watchers see; `topics` wakes the watchers that
//! a change concerns, and no others; `expiry` deletes what has outlived its time. Below the embedded
//! store, `journal` is its disk (`frame` one record, `segment` one file, `reserve` its room) and `recovery` reads it back.
//!
//! Upstream: `k8s.io/apiserver/pkg/storage/interfaces.go` and etcd's revision model.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
mod embedded;
mod expiry;
mod frame;
mod history;
mod journal;
mod memory;
#[cfg(test)]
mod model;
mod published;
mod recovery;
mod reserve;
mod segment;
mod state;
mod topics;

use std::any::Any;
use std::borrow::Borrow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use tokio_util::task::TaskTracker;

use crate::client::clock::Clock;

/// A store that forgets everything when it is dropped.
///
/// Its first revision is the time of day in µs since 1970, so that a client of an earlier life gets
/// [`Error::Expired`] and lists again. `tasks` gets the task that deletes expired objects; it ends
/// with [`Storage::close`] or when the store is dropped. Call it inside a tokio runtime.
pub fn memory(clock: Clock, tasks: &TaskTracker) -> Arc<dyn Storage> {
    memory::Memory::start(clock, tasks)
}

/// Opens the store in `directory`, or makes one there. The caller holds the directory for itself.
///
/// All objects are in memory; changes go to a log, in batches, and now and then all objects to a
/// snapshot. Reads block on the disk, about 20 ms for 16 MiB. What was being written at a crash is
/// cut off; it was not acknowledged. `tasks` gets the task that deletes expired objects; it ends with
/// [`Storage::close`] or when the store is dropped. Call it inside a tokio runtime.
///
/// # Errors
/// [`OpenError`] if the directory cannot be used, or what is in it is damaged: it is left as it is.
pub fn embedded(
    directory: &Path,
    clock: Clock,
    tasks: &TaskTracker,
) -> Result<Arc<dyn Storage>, OpenError> {
    embedded::Embedded::open(directory, clock, tasks, journal::Limits::default())
}

/// A point in the store's history; every change gets the next one. Zero means "before everything".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of one object: `/<group or "core">/<resource>/<namespace>/<name>`, without the
/// namespace for cluster-scoped kinds. The registry makes it; here it is only compared by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Arc<str>);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// An object's JSON with a hole where its `metadata.resourceVersion` goes: the store alone knows
/// the revision, and fills it in when it commits. `bytes[..revision_at]` ends in
/// `"resourceVersion":"` and `bytes[revision_at..]` begins with `"`.
#[derive(Debug, Clone)]
pub struct Draft {
    pub bytes: Vec<u8>,
    pub revision_at: usize,
}

/// An object at rest: immutable, shared by every reader and watcher, encoded once.
pub struct Stored {
    pub key: Key,
    /// The revision of the last change, also written inside `bytes`.
    pub revision: Revision,
    /// JSON, with `metadata.resourceVersion` filled in.
    pub bytes: Bytes,
    /// Where the revision's digits begin in `bytes`.
    pub revision_at: usize,
    memo: RwLock<Memo>,
}

/// What was decoded from an object's bytes: several times their size.
#[derive(Default)]
enum Memo {
    #[default]
    Empty,
    Kept(Arc<dyn Any + Send + Sync>),
    /// Nothing is kept any more: the object is of the past.
    Closed,
}

impl Stored {
    pub fn new(key: Key, revision: Revision, draft: &Draft) -> Self {
        let digits = revision.to_string();
        let (before, after) = draft.bytes.split_at(draft.revision_at);
        let bytes = Bytes::from([before, digits.as_bytes(), after].concat());
        Self::at_rest(key, revision, bytes, draft.revision_at)
    }

    /// With what a reader would decode, if the writer has said.
    fn with_memo(mut self, decoded: Option<Decode>) -> Self {
        if let Some(Decode(decode)) = decoded {
            *self.memo.get_mut() = Memo::Kept(decode(self.revision));
        }
        self
    }

    /// An object as it was written to disk, its revision in the bytes.
    fn at_rest(key: Key, revision: Revision, bytes: Bytes, revision_at: usize) -> Self {
        Self { key, revision, bytes, revision_at, memo: RwLock::default() }
    }

    /// The same object at a later revision: its last state, for a deletion or a watcher it left.
    pub fn restamped(&self, revision: Revision) -> Self {
        let digits = self.revision.0.to_string().len();
        let (before, after) =
            (&self.bytes[..self.revision_at], &self.bytes[self.revision_at + digits..]);
        let draft = Draft { bytes: [before, after].concat(), revision_at: self.revision_at };
        Self::new(self.key.clone(), revision, &draft)
    }

    /// Whether writing `draft` would change nothing but the revision.
    pub fn holds(&self, draft: &Draft) -> bool {
        let digits = self.bytes.len().checked_sub(draft.bytes.len());
        let Some(digits) = digits.filter(|_| self.revision_at == draft.revision_at) else {
            return false;
        };
        let (before, after) = draft.bytes.split_at(draft.revision_at);
        self.bytes.starts_with(before) && self.bytes[self.revision_at + digits..] == *after
    }

    /// What the caller decoded from the bytes, kept for the next reader while the object is not long
    /// past. The first caller's type wins; all callers of one resource use the same type.
    pub fn memo<T: Any + Send + Sync>(&self, decode: impl FnOnce(&Bytes) -> T) -> Arc<T> {
        let typed = |any: Arc<dyn Any + Send + Sync>| {
            any.downcast::<T>().expect("one decoded type per resource")
        };
        if let Memo::Kept(any) = &*self.memo.read() {
            return typed(any.clone());
        }
        let fresh = Arc::new(decode(&self.bytes));
        match &mut *self.memo.write() {
            Memo::Kept(any) => typed(any.clone()),
            Memo::Closed => fresh,
            memo @ Memo::Empty => {
                *memo = Memo::Kept(fresh.clone());
                fresh
            }
        }
    }

    /// Lets go of what was decoded, for good.
    fn close_memo(&self) {
        *self.memo.write() = Memo::Closed;
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("key", &self.key)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// What must hold for a write to happen; checked and applied atomically.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing is stored under the key.
    Absent,
    /// The object's last change has this revision.
    Revision(Revision),
}

/// How safe a write is when it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced to disk: survives `kill -9` and power loss.
    Durable,
    /// Handed to the operating system, synced with the next batch, at most 100 ms later: survives
    /// `kill -9`. For Events and Lease renewals.
    Relaxed,
}

/// One object to create or replace.
#[derive(Debug)]
pub struct Write {
    pub key: Key,
    pub draft: Draft,
    pub precondition: Precondition,
    pub durability: Durability,
    /// The store deletes the object this long after this write (Events: 1 h).
    pub ttl: Option<Duration>,
    /// What [`Stored::memo`] is to hold from the start, if the writer has it already: watchers are
    /// told before the writer is, and would decode the bytes anew.
    pub decoded: Option<Decode>,
}

/// Makes an object's decoded form, once its revision is known.
pub struct Decode(pub Box<dyn FnOnce(Revision) -> Arc<dyn Any + Send + Sync> + Send>);

impl fmt::Debug for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decode")
    }
}

/// Which part of a prefix to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// The state as of this revision; the newest when `None`.
    pub at: Option<Revision>,
    /// Only keys greater than this one (continue tokens).
    pub after: Option<Key>,
    /// At most this many; no limit when `None`.
    pub limit: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Page {
    /// In key order.
    pub items: Vec<Arc<Stored>>,
    /// The revision this page shows.
    pub revision: Revision,
    /// How many keys of the prefix follow the last item.
    pub remaining: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Created,
    Modified,
    Deleted,
}

/// One step of history.
#[derive(Debug, Clone)]
pub struct Change {
    pub revision: Revision,
    pub kind: ChangeKind,
    /// The object after the change; for `Deleted` its last state, stamped with the deletion's revision.
    pub object: Arc<Stored>,
    /// The object before the change; `None` for `Created`.
    pub previous: Option<Arc<Stored>>,
}

/// A reader's place in history: yields every change under its prefix once, in order.
#[async_trait]
pub trait Watch: Send {
    /// The next change; waits for it. Nothing is lost when the future is dropped before it is done.
    ///
    /// # Errors
    /// [`Error::Expired`] if the reader fell behind what is kept, [`Error::Closed`] at shutdown.
    async fn next(&mut self) -> Result<Change, Error>;

    /// Every change up to this revision has been yielded (or is under another prefix): what a
    /// bookmark may promise.
    fn position(&self) -> Revision;
}

/// Who is told of changes at once, by whoever commits: before a write's caller has its answer, and
/// before any [`Watch`]. All others wait for it meanwhile, and it must not call the store.
pub trait Follower: Send + Sync {
    /// What there is. Called once, first.
    fn begin(&self, page: Page);

    /// Called for each change after that, in order.
    fn changed(&self, change: &Change);
}

#[async_trait]
pub trait Storage: fmt::Debug + Send + Sync + 'static {
    async fn get(&self, key: &Key) -> Result<Option<Arc<Stored>>, Error>;

    /// # Errors
    /// [`Error::Expired`] if `query.at` is no longer kept.
    async fn list(&self, prefix: &str, query: ListQuery) -> Result<Page, Error>;

    /// # Errors
    /// [`Error::Conflict`] if the precondition does not hold; nothing was written then.
    async fn put(&self, write: Write) -> Result<Arc<Stored>, Error>;

    /// Removes the object; answers its last state stamped with the deletion's revision.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the object's revision is not `revision`, or it is gone.
    async fn delete(
        &self,
        key: &Key,
        revision: Revision,
        durability: Durability,
    ) -> Result<Arc<Stored>, Error>;

    /// Tells `follower` of all that is under `prefix`, then of every change, until the store is closed.
    async fn follow(&self, prefix: &str, follower: Box<dyn Follower>) -> Result<(), Error>;

    /// Everything under `prefix` that happened after `after`, then what happens from now on.
    ///
    /// # Errors
    /// [`Error::Expired`] if history after `after` is no longer kept.
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, Error>;

    /// The newest revision.
    async fn revision(&self) -> Result<Revision, Error>;

    /// Forgets history up to `revision`: older watches and lists at a revision get `Expired`.
    async fn compact(&self, revision: Revision) -> Result<(), Error>;

    /// Flushes and stops; later calls answer [`Error::Closed`].
    async fn close(&self) -> Result<(), Error>;
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("the precondition does not hold")]
    Conflict {
        /// What is stored now.
        current: Option<Arc<Stored>>,
    },
    #[error("too old resource version: {requested} ({oldest})")]
    Expired { requested: Revision, oldest: Revision },
    #[error("the revision {requested} is in the future (now {newest})")]
    Future { requested: Revision, newest: Revision },
    #[error("the store is closed")]
    Closed,
    /// Nothing was written; it may be tried again once there is room.
    #[error("no space left on the store's disk")]
    Full,
    #[error("the store failed: {0}")]
    Failed(String),
}

/// The store in a directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use {} for the store", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Going on would lose or invent objects. Nothing was changed.
    #[error("the store's file {} is damaged at byte {at}: {what}", path.display())]
    Corrupt { path: PathBuf, at: usize, what: &'static str },
}

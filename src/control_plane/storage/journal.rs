//! The disk below the embedded store: a log of changes, and now and then a snapshot of the state,
//! after which the log before it goes.
//!
//! `<revision>.log` holds what follows the revision; `<revision>.snapshot` is the state at it. A
//! snapshot appears whole (written aside, synced, renamed) after the log that follows it has been
//! begun, so at every moment the newest snapshot and the logs from its revision on are the state.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use jiff::Timestamp;
use tracing::{debug, warn};

use super::frame::{self, Action, Record};
use super::history::Retention;
use super::segment::{LOG, SNAPSHOT, Segment, sync_directory};
use super::state::Step;
use super::{ChangeKind, Revision, Stored};

/// How much of the past the store keeps, in memory and on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) retention: Retention,
    /// A log at least this long, and [`LOG_TO_STATE`] times as long as the snapshot before it, gives
    /// way to a new snapshot.
    pub(super) log_bytes_min: u64,
}

impl Default for Limits {
    /// 16 MiB of log cost a start about 20 ms.
    fn default() -> Self {
        Self { retention: Retention::default(), log_bytes_min: 16 << 20 }
    }
}

/// A longer log would cost the disk more, a shorter one would write the same objects more often.
const LOG_TO_STATE: u64 = 2;
/// Bound: what the buffer keeps between batches.
const BUFFER_KEPT_MAX: usize = 1 << 20;
/// A snapshot that is being written.
const ASIDE: &str = "snapshot.tmp";

/// An object and when it expires.
pub(super) type Row = (Arc<Stored>, Option<Timestamp>);

#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    segment: Segment,
    buffer: Vec<u8>,
    /// Since the last snapshot.
    log_bytes: u64,
    /// Length of the last snapshot.
    snapshot_bytes: u64,
    log_bytes_min: u64,
    /// The thread that writes a snapshot.
    snapshot: Option<JoinHandle<io::Result<u64>>>,
}

impl Journal {
    /// Goes on with `segment`, which has been read to its end.
    pub(super) fn new(
        directory: &Path,
        segment: Segment,
        log_bytes: u64,
        snapshot_bytes: u64,
        log_bytes_min: u64,
    ) -> Self {
        Self {
            directory: directory.to_owned(),
            segment,
            buffer: Vec::new(),
            log_bytes,
            snapshot_bytes,
            log_bytes_min,
            snapshot: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.segment.path
    }

    /// Hands the steps to the operating system. After an error [`Self::cut`] must come next, or nothing.
    pub(super) fn append(&mut self, steps: &[Step]) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT_MAX);
        for step in steps {
            frame::encode(&record_of(step), self.segment.synced, &mut self.buffer);
        }
        self.segment.append(&self.buffer)?;
        self.log_bytes += self.buffer.len() as u64;
        Ok(())
    }

    /// Has the journal be as before the append that failed.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        self.segment.cut()
    }

    /// Whether the disk has room for new objects, and not only for what must be written.
    pub(super) fn has_room(&mut self) -> bool {
        self.segment.reserve()
    }

    /// Brings what was appended to the disk. After an error nobody knows what is there.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.segment.sync()
    }

    pub(super) fn wants_snapshot(&mut self) -> bool {
        if self.snapshot.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish_snapshot();
        }
        let bound = self.log_bytes_min.max(LOG_TO_STATE * self.snapshot_bytes);
        self.snapshot.is_none() && self.log_bytes >= bound
    }

    /// Begins a new log after `revision`, and writes the state at it, `rows`, in a thread.
    pub(super) fn snapshot(&mut self, revision: Revision, rows: Vec<Row>) -> io::Result<()> {
        self.segment.sync()?;
        // On a full disk the old log goes on; tried again when it has grown by as much.
        self.log_bytes = 0;
        self.segment = match Segment::create(&self.directory, revision) {
            Err(error) if is_full(&error) => {
                warn!(%error, "No snapshot: the journal grows until the next one");
                return remove_if_there(&file_path(&self.directory, revision, LOG));
            }
            segment => segment?,
        };
        let directory = self.directory.clone();
        let write = move || {
            let written = write_snapshot(&directory, revision, &rows);
            if written.is_err() {
                // It may be what fills the disk. If it stays, the next one overwrites it.
                let _ = fs::remove_file(directory.join(ASIDE));
            }
            written
        };
        self.snapshot = Some(std::thread::Builder::new().name("snapshot".into()).spawn(write)?);
        Ok(())
    }

    /// Waits for the snapshot in writing, if there is one.
    pub(super) fn finish_snapshot(&mut self) {
        let Some(snapshot) = self.snapshot.take() else { return };
        match snapshot.join() {
            Ok(Ok(bytes)) => self.snapshot_bytes = bytes,
            // Nothing is lost: the older snapshot and the logs since are all there.
            Ok(Err(error)) => warn!(%error, "No snapshot: the journal grows until the next one"),
            Err(_) => warn!("No snapshot: its thread panicked"),
        }
    }

    #[cfg(test)]
    pub(super) fn segment(&mut self) -> &mut Segment {
        &mut self.segment
    }
}

/// Whether a disk, or what its user may have of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn record_of(step: &Step) -> Record<'_> {
    let object = &step.change.object;
    let action = match step.change.kind {
        ChangeKind::Deleted => Action::Delete { key: &object.key.0 },
        ChangeKind::Created | ChangeKind::Modified => put(object, step.expires),
    };
    Record { revision: step.change.revision, action }
}

fn put(object: &Stored, expires: Option<Timestamp>) -> Action<'_> {
    let revision_at = u32::try_from(object.revision_at).expect("objects are far below 4 GiB");
    Action::Put { key: &object.key.0, bytes: &object.bytes, revision_at, expires }
}

/// Answers the snapshot's length; then what is older is gone.
fn write_snapshot(directory: &Path, revision: Revision, rows: &[Row]) -> io::Result<u64> {
    let aside = directory.join(ASIDE);
    let mut snapshot = Segment::create_snapshot(&aside)?;
    let mut buffer = Vec::new();
    for (object, expires) in rows {
        let record = Record { revision: object.revision, action: put(object, *expires) };
        frame::encode(&record, 0, &mut buffer);
        if buffer.len() > BUFFER_KEPT_MAX {
            snapshot.append(&buffer)?;
            buffer.clear();
        }
    }
    frame::encode(&Record { revision, action: Action::End }, 0, &mut buffer);
    snapshot.append(&buffer)?;
    snapshot.sync()?;
    let bytes = snapshot.len();
    drop(snapshot);
    fs::rename(&aside, file_path(directory, revision, SNAPSHOT))?;
    sync_directory(directory)?;
    debug!(%revision, objects = rows.len(), bytes, "Wrote a snapshot");
    remove_before(directory, revision)?;
    Ok(bytes)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes the logs and snapshots of earlier revisions: the snapshot at `revision` replaces them.
pub(super) fn remove_before(directory: &Path, revision: Revision) -> io::Result<()> {
    for (path, file_revision, _) in files(directory)? {
        if file_revision < revision {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The logs and snapshots in the directory with their revisions and extensions, in no order.
pub(super) fn files(directory: &Path) -> io::Result<Vec<(PathBuf, Revision, &'static str)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let revision = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let extension = [LOG, SNAPSHOT].into_iter().find(|e| path.extension() == Some(e.as_ref()));
        if let (Some(revision), Some(extension)) = (revision, extension) {
            files.push((path, Revision(revision), extension));
        }
    }
    Ok(files)
}

pub(super) fn file_path(directory: &Path, revision: Revision, extension: &str) -> PathBuf {
    directory.join(format!("{:020}.{extension}", revision.0))
}

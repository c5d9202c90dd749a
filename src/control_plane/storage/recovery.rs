//! Reads the state back from a directory: the newest snapshot, then the logs that follow it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use super::frame::{self, Action, Frame, Record};
use super::history::Retention;
use super::journal::{Journal, Limits, file_path, files, remove_before};
use super::segment::{LOG, LOG_HEADER, SNAPSHOT, SNAPSHOT_HEADER, Segment};
use super::state::{State, Step};
use super::{Change, ChangeKind, Key, OpenError, Revision, Stored};

/// The newest revision of a store in which nothing was ever written. Upstream: etcd's is 1 too; a
/// list answering "0" would mean "any" to clients.
const FIRST: Revision = Revision(1);

/// Opens the directory's store; makes one if there is none. History goes back to the snapshot; `now`
/// is the monotonic time it gets.
pub(super) fn open(
    directory: &Path,
    limits: Limits,
    now: Duration,
) -> Result<(State, Journal), OpenError> {
    let Limits { retention, log_bytes_min } = limits;
    let io_error = |source| OpenError::Io { path: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(io_error)?;
    let found = files(directory).map_err(io_error)?;
    if found.is_empty() {
        let segment = Segment::create(directory, FIRST).map_err(io_error)?;
        return Ok((
            State::new(FIRST, retention),
            Journal::new(directory, segment, 0, 0, log_bytes_min),
        ));
    }
    let snapshots = found.iter().filter(|(_, _, extension)| *extension == SNAPSHOT);
    let newest = snapshots.map(|(path, revision, _)| (path, *revision)).max_by_key(|(_, r)| *r);
    let (mut state, snapshot_bytes) = match newest {
        Some((path, revision)) => read_snapshot(path, revision, retention)?,
        None => (State::new(FIRST, retention), 0),
    };
    let first = state.newest();
    let mut logs: Vec<Revision> = found.iter().filter(|f| f.2 == LOG).map(|f| f.1).collect();
    logs.retain(|revision| *revision >= first);
    logs.sort_unstable();
    let (segment, log_bytes) = replay(directory, &logs, &mut state, now)?;
    // Left behind by a crash between the snapshot and the end of its thread.
    remove_before(directory, first).map_err(io_error)?;
    Ok((state, Journal::new(directory, segment, log_bytes, snapshot_bytes, log_bytes_min)))
}

/// Applies the logs in order; answers the last one, open, and the length of all.
fn replay(
    directory: &Path,
    logs: &[Revision],
    state: &mut State,
    now: Duration,
) -> Result<(Segment, u64), OpenError> {
    let mut log_bytes = 0;
    let mut last = None;
    for (n, revision) in logs.iter().enumerate() {
        let path = file_path(directory, *revision, LOG);
        if *revision != state.newest() {
            return Err(corrupt(&path, 0, "what comes before it is missing"));
        }
        let good = replay_log(&path, state, now, n + 1 == logs.len())?;
        log_bytes += good;
        last = Some((path, good));
    }
    let Some((path, good)) = last else {
        let missing = file_path(directory, state.newest(), LOG);
        return Err(corrupt(&missing, 0, "it is missing"));
    };
    let segment = if good == 0 {
        Segment::create(directory, logs.last().copied().unwrap_or(FIRST))
    } else {
        Segment::reopen(path.clone(), good)
    };
    let segment = segment.map_err(|source| OpenError::Io { path, source })?;
    Ok((segment, log_bytes))
}

/// Applies one log; answers how much of it is good. Only the last one may have a torn tail.
fn replay_log(
    path: &Path,
    state: &mut State,
    now: Duration,
    is_last: bool,
) -> Result<u64, OpenError> {
    let file = read(path)?;
    if !file.starts_with(&LOG_HEADER) {
        // A crash while it was made leaves less than a header, or one that never reached the disk.
        if is_last && file.len() <= LOG_HEADER.len() && file.iter().all(|byte| *byte == 0)
            || is_last && LOG_HEADER.starts_with(&file)
        {
            return Ok(0);
        }
        return Err(corrupt(path, 0, "it does not begin like a log of this version"));
    }
    let mut at = LOG_HEADER.len();
    while let Some(Frame { record, len, .. }) = frame::decode(&file[at..]) {
        let step = step_of(&record, state)
            .ok_or_else(|| corrupt(path, at, "the record does not follow from those before it"))?;
        state.apply(step, now);
        at += len;
    }
    if at < file.len() {
        if !is_last || frame::was_synced(&file, at) {
            return Err(corrupt(path, at, "the record is damaged"));
        }
        let torn = file.len() - at;
        warn!(path = %path.display(), at, torn, "Cut off what was being written at the crash");
    }
    Ok(at as u64)
}

fn step_of(record: &Record<'_>, state: &State) -> Option<Step> {
    let revision = record.revision;
    if revision.0 != state.newest().0 + 1 {
        return None;
    }
    let (kind, object, previous, expires) = match record.action {
        Action::Put { key, expires, .. } => {
            let object = stored_of(record)?;
            let previous = state.get(&Key(key.into())).cloned();
            let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Created };
            (kind, object, previous, expires)
        }
        Action::Delete { key } => {
            let previous = state.get(&Key(key.into()))?.clone();
            (ChangeKind::Deleted, previous.restamped(revision), Some(previous), None)
        }
        Action::End => return None,
    };
    let change = Change { revision, kind, object: Arc::new(object), previous };
    Some(Step { change, expires })
}

/// The object of a put; `None` if it does not say its own revision where it should.
fn stored_of(record: &Record<'_>) -> Option<Stored> {
    let Action::Put { key, bytes, revision_at, .. } = record.action else { return None };
    let revision_at = usize::try_from(revision_at).ok()?;
    let digits = record.revision.to_string();
    if !bytes.get(revision_at..)?.starts_with(digits.as_bytes()) {
        return None;
    }
    let bytes = Bytes::copy_from_slice(bytes);
    Some(Stored::at_rest(Key(key.into()), record.revision, bytes, revision_at))
}

/// Answers the state at `revision` and the file's length.
fn read_snapshot(
    path: &Path,
    revision: Revision,
    retention: Retention,
) -> Result<(State, u64), OpenError> {
    let file = read(path)?;
    if !file.starts_with(&SNAPSHOT_HEADER) {
        return Err(corrupt(path, 0, "it does not begin like a snapshot of this version"));
    }
    let mut state = State::new(revision, retention);
    let mut at = SNAPSHOT_HEADER.len();
    loop {
        let frame = frame::decode(&file[at..])
            .ok_or_else(|| corrupt(path, at, "the record is damaged, or the end is missing"))?;
        match frame.record {
            Record { action: Action::End, revision: end } if end == revision => break,
            Record { action: Action::Put { expires, .. }, revision: at_rest }
                if at_rest <= revision =>
            {
                let object = stored_of(&frame.record)
                    .ok_or_else(|| corrupt(path, at, "the object has another revision"))?;
                state.restore(Arc::new(object), expires);
            }
            _ => return Err(corrupt(path, at, "the record does not belong here")),
        }
        at += frame.len;
    }
    Ok((state, file.len() as u64))
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    fs::read(path).map_err(|source: io::Error| OpenError::Io { path: path.to_owned(), source })
}

fn corrupt(path: &Path, at: usize, what: &'static str) -> OpenError {
    OpenError::Corrupt { path: PathBuf::from(path), at, what }
}

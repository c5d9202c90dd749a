//! The writing end of a run's log.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};

use super::cri::{self, Stream};
use super::{files, reader};
use crate::client::clock::Clock;

/// Upstream's `containerLogMaxSize`.
const PART_BYTES_MAX: u64 = 10 << 20;
/// Upstream's `containerLogMaxFiles`.
const PARTS_MAX: u32 = 5;
/// A longer line is written in several records. Bound: what a guest that never ends its line may
/// keep in memory. As containerd's `max_container_log_line_size`.
const LINE_BYTES_MAX: usize = 16 << 10;

/// How far a log has come; readers that follow wait for it to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) part: u32,
    /// Bytes of the part.
    pub(super) bytes: u64,
    pub(super) closed: bool,
}

/// A run's log while the run lasts.
pub(in crate::node::kubelet) struct Log {
    directory: PathBuf,
    run: u32,
    clock: Clock,
    part_bytes_max: u64,
    state: Mutex<State>,
    progress_tx: watch::Sender<Progress>,
}

struct State {
    file: Part,
    /// Records were lost, for the disk is full, say; the host's log says so once.
    loses: bool,
    /// Begun lines of stdout and stderr.
    begun: [Vec<u8>; 2],
    /// Records of one write; kept for its capacity.
    records: Vec<u8>,
}

/// The file that is written to.
enum Part {
    /// Made with the first record.
    Later,
    Open(File),
    /// The run is over, or nobody knows what is in the file.
    Closed,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("directory", &self.directory).field("run", &self.run).finish()
    }
}

impl Log {
    /// Begins the log of `run`, and deletes those of runs before the last.
    ///
    /// # Errors
    /// If those cannot be deleted.
    pub(in crate::node::kubelet) fn create(
        directory: &Path,
        run: u32,
        clock: Clock,
    ) -> io::Result<Self> {
        Self::with_part_size(directory, run, clock, PART_BYTES_MAX)
    }

    pub(super) fn with_part_size(
        directory: &Path,
        run: u32,
        clock: Clock,
        part_bytes_max: u64,
    ) -> io::Result<Self> {
        if run > 0 {
            clear(directory, run)?;
        }
        let begun = [Vec::new(), Vec::new()];
        let state = State { file: Part::Later, loses: false, begun, records: Vec::new() };
        let (progress_tx, _) = watch::channel(Progress { part: 0, bytes: 0, closed: false });
        let directory = directory.to_owned();
        Ok(Self { directory, run, clock, part_bytes_max, state: Mutex::new(state), progress_tx })
    }

    /// Takes what the guest wrote. A line is in the log once it is complete, or too long.
    pub(in crate::node::kubelet) fn write(&self, stream: Stream, bytes: &[u8]) {
        let time = cri::stamp(self.clock.now());
        let mut state = self.state.lock();
        let State { begun, records, .. } = &mut *state;
        let begun = &mut begun[stream as usize];
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = &rest[..end];
            if begun.is_empty() && line.len() <= LINE_BYTES_MAX {
                cri::push(records, &time, stream, false, line);
            } else {
                begun.extend_from_slice(line);
                push_long(records, &time, stream, begun);
                cri::push(records, &time, stream, false, begun);
                begun.clear();
            }
            rest = &rest[end + 1..];
        }
        begun.extend_from_slice(rest);
        push_long(records, &time, stream, begun);
        self.flush(&mut state);
    }

    /// The run is over: followers end. A line without an end is written as far as it is.
    pub(in crate::node::kubelet) fn close(&self) {
        let time = cri::stamp(self.clock.now());
        let mut state = self.state.lock();
        let State { begun, records, file, .. } = &mut *state;
        for (stream, begun) in [Stream::Stdout, Stream::Stderr].into_iter().zip(begun) {
            if !begun.is_empty() && !matches!(file, Part::Closed) {
                cri::push(records, &time, stream, true, begun);
                begun.clear();
            }
        }
        self.flush(&mut state);
        state.file = Part::Closed;
        self.progress_tx.send_modify(|progress| progress.closed = true);
    }

    /// Which run of its container this is the log of.
    pub(in crate::node::kubelet) fn run(&self) -> u32 {
        self.run
    }

    /// The end of the log, for a termination message; `None` if it is empty or cannot be read.
    pub(in crate::node::kubelet) fn last_lines(
        &self,
        lines_max: u64,
        bytes_max: usize,
    ) -> Option<String> {
        reader::last_lines(&self.directory, self.run, lines_max, bytes_max).ok().flatten()
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress_tx.subscribe()
    }

    /// What cannot be written is lost, and the log goes on with what comes when it can again.
    fn flush(&self, state: &mut State) {
        let State { file: part, records, loses, .. } = state;
        if records.is_empty() {
            return;
        }
        let outcome = self.append(part, records);
        records.clear();
        let directory = self.directory.display();
        match outcome {
            Err(ref error) if !*loses => warn!(%directory, %error, "A container's log loses lines"),
            Ok(()) if *loses => info!(%directory, "A container's log is written again"),
            _ => {}
        }
        *loses = outcome.is_err();
    }

    fn append(&self, part: &mut Part, records: &[u8]) -> io::Result<()> {
        if let Part::Later = part {
            std::fs::create_dir_all(&self.directory)?;
            *part = Part::Open(File::create(files::path(&self.directory, self.run, 0))?);
        }
        let Part::Open(file) = part else { return Ok(()) };
        let before = *self.progress_tx.borrow();
        if let Err(error) = file.write_all(records) {
            // Half a record would be taken for one with the next.
            let cut = file.set_len(before.bytes);
            if cut.and_then(|()| file.seek(SeekFrom::Start(before.bytes))).is_err() {
                *part = Part::Closed;
            }
            return Err(error);
        }
        let bytes = before.bytes + records.len() as u64;
        self.progress_tx.send_replace(Progress { bytes, ..before });
        self.turn_over(file)
    }

    /// Begins the next part if this one is full.
    fn turn_over(&self, file: &mut File) -> io::Result<()> {
        let Progress { part, bytes, .. } = *self.progress_tx.borrow();
        if bytes < self.part_bytes_max {
            return Ok(());
        }
        *file = self.next_part(part)?;
        self.progress_tx.send_replace(Progress { part: part + 1, bytes: 0, closed: false });
        Ok(())
    }

    fn next_part(&self, part: u32) -> io::Result<File> {
        let file = File::create(files::path(&self.directory, self.run, part + 1))?;
        if let Some(oldest) = (part + 1).checked_sub(PARTS_MAX) {
            std::fs::remove_file(files::path(&self.directory, self.run, oldest))?;
        }
        Ok(file)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// Takes off `begun` what no longer fits one record.
fn push_long(records: &mut Vec<u8>, time: &str, stream: Stream, begun: &mut Vec<u8>) {
    let mut taken = 0;
    while begun.len() - taken > LINE_BYTES_MAX {
        cri::push(records, time, stream, true, &begun[taken..taken + LINE_BYTES_MAX]);
        taken += LINE_BYTES_MAX;
    }
    begun.drain(..taken);
}

/// Deletes what no `kubectl logs` can ask for once `run` has begun: runs before the last one, and
/// what a crash left of this one.
fn clear(directory: &Path, run: u32) -> io::Result<()> {
    for (old, part) in files::list(directory)? {
        if old + 1 != run {
            std::fs::remove_file(files::path(directory, old, part))?;
        }
    }
    Ok(())
}

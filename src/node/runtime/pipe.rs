//! Pipes between processes of a container, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::notice::wait_until;

/// Bound: bytes that wait in a pipe, as on Linux.
pub(super) const CAPACITY: usize = 64 * 1024;
/// A write of at most so many bytes is not torn by another writer, as on Linux (`PIPE_BUF`).
const ATOMIC_BYTES_MAX: usize = 4096;

/// The reading and the writing end of a new pipe.
pub(super) fn pipe() -> (Reader, Writer) {
    let pipe = Arc::new(Pipe::default());
    (Reader(pipe.clone()), Writer(pipe))
}

/// Nobody reads any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<State>,
    /// Told when there is something to read, or no writer left.
    filled: Notify,
    /// Told when there is room, or no reader left.
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    reader_gone: bool,
    writer_gone: bool,
}

/// Closes the end when dropped; those who share an end share one of these.
#[derive(Debug)]
pub(super) struct Reader(Arc<Pipe>);

/// See [`Reader`].
#[derive(Debug)]
pub(super) struct Writer(Arc<Pipe>);

impl Reader {
    /// `None` if there is nothing yet; empty at the end.
    pub(super) fn try_read(&self, len: usize) -> Option<Bytes> {
        let mut state = self.0.state.lock();
        if state.bytes.is_empty() && !state.writer_gone {
            return None;
        }
        let len = len.min(state.bytes.len());
        let bytes: Bytes = state.bytes.drain(..len).collect();
        drop(state);
        self.0.drained.notify_waiters();
        Some(bytes)
    }

    /// Until [`Reader::try_read`] has an answer.
    pub(super) async fn ready(&self) {
        wait_until(&self.0.filled, || {
            let state = self.0.state.lock();
            !state.bytes.is_empty() || state.writer_gone
        })
        .await;
    }
}

impl Writer {
    /// Room there is, in bytes.
    pub(super) fn room(&self) -> Result<usize, Broken> {
        let state = self.0.state.lock();
        if state.reader_gone { Err(Broken) } else { Ok(room(&state)) }
    }

    /// Takes what fits, at least nothing; a small write as a whole or not at all.
    pub(super) fn try_write(&self, bytes: &[u8]) -> Result<usize, Broken> {
        let mut state = self.0.state.lock();
        if state.reader_gone {
            return Err(Broken);
        }
        let room = room(&state);
        if room < bytes.len().min(ATOMIC_BYTES_MAX) {
            return Ok(0);
        }
        let len = room.min(bytes.len());
        state.bytes.extend(&bytes[..len]);
        drop(state);
        self.0.filled.notify_waiters();
        Ok(len)
    }

    /// Takes all, however little room there is.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), Broken> {
        let mut state = self.0.state.lock();
        if state.reader_gone {
            return Err(Broken);
        }
        state.bytes.extend(bytes);
        drop(state);
        self.0.filled.notify_waiters();
        Ok(())
    }

    /// Until there is room for `len` bytes, or for an atomic write, or the reader is gone.
    pub(super) async fn ready(&self, len: usize) {
        wait_until(&self.0.drained, || {
            let state = self.0.state.lock();
            state.reader_gone || room(&state) >= len.clamp(1, ATOMIC_BYTES_MAX)
        })
        .await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.state.lock().reader_gone = true;
        self.0.drained.notify_waiters();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.state.lock().writer_gone = true;
        self.0.filled.notify_waiters();
    }
}

fn room(state: &State) -> usize {
    CAPACITY.saturating_sub(state.bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_seen_after_the_last_byte() {
        let (reader, writer) = pipe();
        assert_eq!(reader.try_read(10), None);
        assert_eq!(writer.try_write(b"abc"), Ok(3));
        drop(writer);
        assert_eq!(reader.try_read(2).as_deref(), Some(&b"ab"[..]));
        assert_eq!(reader.try_read(2).as_deref(), Some(&b"c"[..]));
        assert_eq!(reader.try_read(2).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_full_pipe_takes_nothing_and_tears_no_small_write() {
        let (reader, writer) = pipe();
        assert_eq!(writer.try_write(&vec![0; CAPACITY + 10]), Ok(CAPACITY));
        assert_eq!(reader.try_read(100).map(|bytes| bytes.len()), Some(100));
        assert_eq!(writer.try_write(&[0; 101]), Ok(0));
        assert_eq!(writer.try_write(&[0; 100]), Ok(100));
    }

    #[tokio::test]
    async fn a_writer_wakes_when_the_reader_leaves() {
        let (reader, writer) = pipe();
        writer.try_write(&vec![0; CAPACITY]).unwrap();
        let waits = async {
            writer.ready(1).await;
            writer.try_write(b"x")
        };
        let leaves = async { drop(reader) };
        assert_eq!(tokio::join!(waits, leaves).0, Err(Broken));
    }
}

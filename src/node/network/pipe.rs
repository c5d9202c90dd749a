//! One direction of a connection inside the process: a bounded queue of byte chunks that are handed
//! over, not copied.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::ReadBuf;

use super::Error;
use super::buffered::Buffered;
use super::wakers::{Wakers, Woken};

/// Bytes on their way in one direction; a writer waits beyond it. So many that what it costs to wake
/// the other side is spread over enough bytes: with a quarter of it half as many pass per second.
pub(super) const CAPACITY: usize = 1024 * 1024;
/// What a chunk costs beside its bytes, so that many tiny writes are bounded too.
const CHUNK_COST: usize = 64;
/// The same as [`CAPACITY`] while the Pod that writes has too much on its way already.
const CAPACITY_WHEN_SHORT: usize = 4 * 1024;
/// A waiting writer is woken when there is room for so much: not for every byte that is read.
const ROOM_TO_WAKE: usize = CAPACITY / 2;

#[derive(Debug)]
pub(super) struct Pipe(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Of the Pod that writes.
    account: Arc<Buffered>,
    chunks: VecDeque<Chunk>,
    /// Bytes and chunk costs that wait.
    held: usize,
    /// What of the account is ours: `held`, and what was read of the first chunk.
    charged: usize,
    end: End,
    readers: Wakers,
    writers: Wakers,
}

/// Its memory is free when all of it was read, however little is left.
#[derive(Debug)]
struct Chunk {
    rest: Bytes,
    cost: usize,
}

/// How far the pipe is from its end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// The writer has said all; what is there can still be read.
    Finished,
    /// The reader wants no more: what is written is refused.
    Unwanted,
    /// Broken off.
    Reset,
}

impl Pipe {
    pub(super) fn new(account: Arc<Buffered>) -> Self {
        Self(Mutex::new(State {
            account,
            chunks: VecDeque::new(),
            held: 0,
            charged: 0,
            end: End::Open,
            readers: Wakers::default(),
            writers: Wakers::default(),
        }))
    }

    /// At most `max` bytes; empty at the end; `None` if there is nothing yet.
    pub(super) fn try_read(&self, max: usize) -> Result<Option<Bytes>, Error> {
        let mut state = self.0.lock();
        let Some(front) = state.chunks.front_mut() else {
            return match state.end {
                End::Open => Ok(None),
                End::Finished | End::Unwanted => Ok(Some(Bytes::new())),
                End::Reset => Err(Error::Reset),
            };
        };
        let count = front.rest.len().min(max);
        let bytes = front.rest.split_to(count);
        let ended = state.pop_if_read();
        let woken = state.took(count, usize::from(ended));
        drop(state);
        drop(woken);
        Ok(Some(bytes))
    }

    /// Fills `buffer` with all it can hold; nothing is the end.
    pub(super) fn poll_read(
        &self,
        cx: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.0.lock();
        let (mut taken, mut chunks) = (0, 0);
        while buffer.remaining() > 0 {
            let Some(front) = state.chunks.front_mut() else { break };
            let count = front.rest.len().min(buffer.remaining());
            buffer.put_slice(&front.rest[..count]);
            front.rest.advance(count);
            taken += count;
            chunks += usize::from(state.pop_if_read());
        }
        if taken == 0 && buffer.remaining() > 0 {
            return match state.end {
                End::Open => {
                    state.readers.register(cx);
                    Poll::Pending
                }
                End::Finished | End::Unwanted => Poll::Ready(Ok(())),
                End::Reset => Poll::Ready(Err(Error::Reset)),
            };
        }
        let woken = state.took(taken, chunks);
        drop(state);
        drop(woken);
        Poll::Ready(Ok(()))
    }

    /// Ready when a read would not answer `None`.
    pub(super) fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if !state.chunks.is_empty() || state.end != End::Open {
            return Poll::Ready(());
        }
        state.readers.register(cx);
        Poll::Pending
    }

    /// How much a write takes now.
    pub(super) fn room(&self) -> Result<usize, Error> {
        self.0.lock().room()
    }

    /// Takes as much as there is room for, and leaves the rest in `bytes`.
    pub(super) fn try_write(&self, bytes: &mut Bytes) -> Result<usize, Error> {
        let mut state = self.0.lock();
        let count = state.room()?.min(bytes.len());
        if count == 0 {
            return Ok(0);
        }
        let chunk =
            if count == bytes.len() { std::mem::take(bytes) } else { bytes.split_to(count) };
        let woken = state.put(chunk);
        drop(state);
        drop(woken);
        Ok(count)
    }

    pub(super) fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let mut state = self.0.lock();
        let count = ready!(state.poll_room(cx))?.min(bytes.len());
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        let woken = state.put(Bytes::copy_from_slice(&bytes[..count]));
        drop(state);
        drop(woken);
        Poll::Ready(Ok(count))
    }

    /// Ready when a write would take something or fail.
    pub(super) fn poll_writable(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.lock().poll_room(cx).map(drop)
    }

    /// The writer has said all.
    pub(super) fn finish(&self) {
        self.end(|end| if end == End::Open { End::Finished } else { end });
    }

    /// The reader wants no more; answers whether something was left unread.
    pub(super) fn refuse(&self) -> bool {
        let mut state = self.0.lock();
        let unread = !state.chunks.is_empty();
        state.clear();
        if state.end == End::Open {
            state.end = End::Unwanted;
        }
        let woken = (state.readers.take(), state.writers.take());
        drop(state);
        drop(woken);
        unread
    }

    /// Breaks it off: what is there is lost.
    pub(super) fn reset(&self) {
        let mut state = self.0.lock();
        state.clear();
        drop(state);
        self.end(|_| End::Reset);
    }

    fn end(&self, change: impl FnOnce(End) -> End) {
        let mut state = self.0.lock();
        state.end = change(state.end);
        let woken = (state.readers.take(), state.writers.take());
        drop(state);
        drop(woken);
    }
}

impl State {
    fn room(&self) -> Result<usize, Error> {
        match self.end {
            End::Open => {
                let is_short = self.account.is_short();
                let capacity = if is_short { CAPACITY_WHEN_SHORT } else { CAPACITY };
                Ok(capacity.saturating_sub(self.held + CHUNK_COST))
            }
            End::Finished | End::Unwanted => Err(Error::BrokenPipe),
            End::Reset => Err(Error::Reset),
        }
    }

    fn poll_room(&mut self, cx: &Context<'_>) -> Poll<Result<usize, Error>> {
        match self.room() {
            Ok(0) => {
                self.writers.register(cx);
                Poll::Pending
            }
            answer => Poll::Ready(answer),
        }
    }

    fn put(&mut self, chunk: Bytes) -> Woken {
        let cost = chunk.len() + CHUNK_COST;
        self.held += cost;
        self.charged += cost;
        self.account.add(cost);
        self.chunks.push_back(Chunk { rest: chunk, cost });
        self.readers.take()
    }

    /// Lets the first chunk go once nothing of it is left; answers whether it did.
    fn pop_if_read(&mut self) -> bool {
        let Some(read) = self.chunks.pop_front_if(|chunk| chunk.rest.is_empty()) else {
            return false;
        };
        self.charged -= read.cost;
        self.account.remove(read.cost);
        true
    }

    fn took(&mut self, count: usize, chunks: usize) -> Option<Woken> {
        let cost = count + chunks * CHUNK_COST;
        self.held -= cost;
        (CAPACITY - self.held >= ROOM_TO_WAKE).then(|| self.writers.take())
    }
}

impl State {
    fn clear(&mut self) {
        self.chunks.clear();
        self.held = 0;
        self.account.remove(std::mem::take(&mut self.charged));
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn new_pipe() -> Pipe {
        Pipe::new(Buffered::of_node())
    }

    fn read(pipe: &Pipe, max: usize) -> Result<Option<Vec<u8>>, Error> {
        pipe.try_read(max).map(|bytes| bytes.map(|bytes| bytes.to_vec()))
    }

    fn write(pipe: &Pipe, bytes: &[u8]) -> Result<usize, Error> {
        pipe.try_write(&mut Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn bytes_come_out_in_order_in_pieces_of_any_size() {
        let pipe = new_pipe();
        write(&pipe, b"hello ").unwrap();
        write(&pipe, b"world").unwrap();
        assert_eq!(read(&pipe, 3).unwrap().unwrap(), b"hel");
        let mut rest = [0; 16];
        let mut rest = ReadBuf::new(&mut rest);
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(pipe.poll_read(&cx, &mut rest), Poll::Ready(Ok(())));
        assert_eq!(rest.filled(), b"lo world");
        assert_eq!(read(&pipe, 9).unwrap(), None);
        pipe.finish();
        assert_eq!(read(&pipe, 9).unwrap().unwrap(), b"");
        assert_eq!(write(&pipe, b"x"), Err(Error::BrokenPipe));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_in_chunks() {
        let pipe = new_pipe();
        let mut chunks = 0;
        while write(&pipe, b"x").unwrap() == 1 {
            chunks += 1;
        }
        assert!(chunks <= CAPACITY / CHUNK_COST, "{chunks}");
        let pipe = new_pipe();
        assert!(write(&pipe, &vec![0; 2 * CAPACITY]).unwrap() <= CAPACITY);
        assert_eq!(pipe.room(), Ok(0));
        while read(&pipe, 1000).unwrap().is_some() {}
        assert!(pipe.room().unwrap() >= CAPACITY - CHUNK_COST);
    }

    #[test]
    fn a_pod_that_has_too_much_on_its_way_gets_small_pipes() {
        let account = Buffered::of_pod(&Buffered::of_node());
        let fill = |_| {
            let pipe = Pipe::new(account.clone());
            write(&pipe, &vec![0; CAPACITY]).unwrap();
            pipe
        };
        let pipes: Vec<Pipe> = (0..200).map(fill).collect();
        let most = (32 << 20) + CAPACITY + 200 * CAPACITY_WHEN_SHORT;
        assert!(account.held() <= most, "{}", account.held());
        assert!(pipes[199].room().unwrap() == 0);
        while read(&pipes[199], CAPACITY).unwrap().is_some() {}
        assert!(pipes[199].room().unwrap() > 0);
        drop(pipes);
        assert_eq!(account.held(), 0);
        assert!(new_pipe().room().unwrap() > CAPACITY_WHEN_SHORT);
    }

    #[test]
    fn a_chunk_is_accounted_for_until_all_of_it_is_read() {
        let account = Buffered::of_node();
        let pipe = Pipe::new(account.clone());
        let whole = write(&pipe, &vec![0; 2 * CAPACITY]).unwrap() + CHUNK_COST;
        read(&pipe, CAPACITY - 2 * CHUNK_COST).unwrap();
        assert_eq!(account.held(), whole);
        assert!(pipe.room().unwrap() > CAPACITY / 2);
        read(&pipe, CAPACITY).unwrap();
        assert_eq!((account.held(), pipe.room()), (0, Ok(CAPACITY - CHUNK_COST)));
    }

    #[test]
    fn an_unwanted_or_broken_pipe_takes_nothing() {
        let pipe = new_pipe();
        write(&pipe, b"unread").unwrap();
        assert!(pipe.refuse());
        assert_eq!(write(&pipe, b"x"), Err(Error::BrokenPipe));
        let pipe = new_pipe();
        write(&pipe, b"lost").unwrap();
        pipe.reset();
        assert_eq!(read(&pipe, 9), Err(Error::Reset));
        assert_eq!(write(&pipe, b"x"), Err(Error::Reset));
    }
}

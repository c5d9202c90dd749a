//! A connection's two directions as WASI streams.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::node::network::{Error, Reserved, Stream};
use crate::node::runtime::container::Shared;

/// Bytes of one read: as many as a guest asks for are copied into its memory at once.
const READ_MAX: usize = 64 * 1024;
/// Bytes of a write that needs no permit: as many as wasmtime-wasi lets a blocking one have.
const WRITE_UNPERMITTED_MAX: usize = 4 * 1024;
/// How long what a guest has written is kept for a socket of the host's that does not take it.
const LINGER: Duration = Duration::from_secs(60);

/// A guest's connection, held by its socket and both its streams.
pub(super) struct Connection {
    stream: Arc<Stream>,
    unsent: Mutex<Unsent>,
    /// The guest has shut its reading half down. The other side does not hear of it, as with TCP.
    is_deaf: AtomicBool,
    container: Arc<Shared>,
}

/// What a guest may write and has written that the connection has not taken yet. Bound: one write, of
/// at most [`Stream::room`].
#[derive(Default)]
struct Unsent {
    bytes: Bytes,
    /// How much the last check has allowed.
    permit: usize,
    /// Accounts for either, so that many small promises are no large debt.
    _reserved: Option<Reserved>,
}

pub(super) struct Input(pub(super) Arc<Connection>);

pub(super) struct Output(pub(super) Arc<Connection>);

impl Connection {
    pub(super) fn new(stream: Stream, container: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            stream: Arc::new(stream),
            unsent: Mutex::default(),
            is_deaf: AtomicBool::new(false),
            container,
        })
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(super) fn stop_reading(&self) {
        self.is_deaf.store(true, Ordering::Release);
    }

    /// Ends the writing half, once all is sent.
    pub(super) fn stop_writing(&self) {
        let unsent = std::mem::take(&mut *self.unsent.lock());
        if unsent.bytes.is_empty() { self.stream.finish() } else { self.linger(unsent, true) }
    }

    /// Whether nothing is left to be sent.
    fn send_unsent(&self) -> Result<bool, Error> {
        let mut unsent = self.unsent.lock();
        if unsent.bytes.is_empty() {
            return Ok(true);
        }
        self.stream.try_write(&mut unsent.bytes)?;
        let all = unsent.bytes.is_empty();
        if all {
            *unsent = Unsent::default();
        }
        Ok(all)
    }

    /// How much the guest may write now.
    fn permit(&self) -> Result<usize, Error> {
        if !self.send_unsent()? {
            return Ok(0);
        }
        let mut unsent = self.unsent.lock();
        // What was reserved before is not to be in the way.
        *unsent = Unsent::default();
        let permit = self.stream.room()?;
        let _reserved = Some(self.stream.reserve(permit));
        *unsent = Unsent { bytes: Bytes::new(), permit, _reserved };
        Ok(permit)
    }

    /// # Errors
    /// With more bytes than were permitted.
    fn take(&self, bytes: Bytes) -> Result<(), StreamError> {
        let mut unsent = self.unsent.lock();
        if !unsent.bytes.is_empty() || bytes.len() > unsent.permit.max(WRITE_UNPERMITTED_MAX) {
            return Err(StreamError::trap("a write without a permit"));
        }
        unsent.permit = 0;
        unsent.bytes = bytes;
        Ok(())
    }

    /// Ready when all is sent, or the connection is broken.
    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.send_unsent()? {
            ready!(self.stream.poll_writable(cx));
        }
        Poll::Ready(Ok(()))
    }

    /// A guest that only waits for an answer has its question sent to the end meanwhile.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.poll_sent(cx);
        self.stream.poll_readable(cx)
    }

    /// Sends the rest though the guest waits no longer or has ended: a kernel would have taken it.
    fn linger(&self, mut unsent: Unsent, finish: bool) {
        let stream = self.stream.clone();
        let machine = &self.container.machine;
        let (clock, kill) = (self.container.runtime.clock.clone(), machine.kill.clone());
        let send = async move {
            while !unsent.bytes.is_empty() && stream.try_write(&mut unsent.bytes).is_ok() {
                stream.writable().await;
            }
            if finish {
                stream.finish();
            }
        };
        let linger = async move {
            tokio::select! {
                () = send => {}
                () = clock.sleep(LINGER) => {}
                () = kill.turned() => {}
            }
        };
        machine.tasks.spawn_on(linger, machine.handle());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let unsent = std::mem::take(self.unsent.get_mut());
        if !unsent.bytes.is_empty() {
            self.linger(unsent, false);
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        if !self.0.is_deaf.load(Ordering::Acquire) {
            poll_fn(|cx| self.0.poll_readable(cx)).await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.0.is_deaf.load(Ordering::Acquire) {
            return Err(StreamError::Closed);
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.0.stream.try_read(size.min(READ_MAX)).map_err(stream_error)? {
            None => Ok(Bytes::new()),
            Some(bytes) if bytes.is_empty() => Err(StreamError::Closed),
            Some(bytes) => Ok(bytes),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        loop {
            self.ready().await;
            let bytes = self.read(size)?;
            if !bytes.is_empty() || size == 0 {
                return Ok(bytes);
            }
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        // An error is told by the call that follows.
        if poll_fn(|cx| self.0.poll_sent(cx)).await.is_ok() {
            poll_fn(|cx| self.0.stream.poll_writable(cx)).await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.take(bytes)?;
        self.flush()
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.send_unsent().map(drop).map_err(stream_error)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.0.permit().map_err(stream_error)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        poll_fn(|cx| self.0.poll_sent(cx)).await.map_err(stream_error)?;
        // Bound: [`WRITE_UNPERMITTED_MAX`], by wasmtime-wasi.
        *self.0.unsent.lock() = Unsent { bytes, ..Unsent::default() };
        poll_fn(|cx| self.0.poll_sent(cx)).await.map_err(stream_error)
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        loop {
            self.ready().await;
            match self.check_write()? {
                0 => {}
                room => return Ok(room),
            }
        }
    }
}

/// A closed stream is EPIPE to a guest's libc; other errors keep their reason for
/// `network-error-code`.
fn stream_error(error: Error) -> StreamError {
    match error {
        Error::BrokenPipe => StreamError::Closed,
        error => StreamError::LastOperationFailed(error.into()),
    }
}

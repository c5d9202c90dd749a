//! A connection's bytes, as hyper wants them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::future::BoxFuture;
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::AsyncWrite;

use crate::client::clock::Clock;
use crate::node::network::Stream;

/// How HTTP/2 begins where both sides know that it is spoken (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first read takes at most so many bytes.
const FIRST_READ_MAX: usize = 8 * 1024;
/// A client that takes nothing of what it is sent for so long has gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Wire {
    /// Read already, to find out what is spoken.
    begun: Bytes,
    stream: Stream,
    clock: Clock,
    /// Since the client takes nothing.
    patience: Option<BoxFuture<'static, ()>>,
}

impl Wire {
    pub(super) fn new(stream: Stream, clock: Clock) -> Self {
        Self { begun: Bytes::new(), stream, clock, patience: None }
    }

    /// Reads as much as tells what the client speaks; nothing of it is lost.
    pub(super) async fn is_http2(&mut self) -> io::Result<bool> {
        let mut begun = BytesMut::new();
        loop {
            self.stream.readable().await;
            let Some(bytes) = self.stream.try_read(FIRST_READ_MAX)? else { continue };
            let at_end = bytes.is_empty();
            begun.extend_from_slice(&bytes);
            let known = begun.len().min(PREFACE.len());
            let differs = begun[..known] != PREFACE[..known];
            if at_end || differs || known == PREFACE.len() {
                self.begun = begun.freeze();
                return Ok(!at_end && !differs);
            }
        }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begun.is_empty() {
            let stream = Pin::new(&mut self.stream);
            return Pin::new(&mut hyper_util::rt::TokioIo::new(stream)).poll_read(cx, buffer);
        }
        let taken = self.begun.len().min(buffer.remaining());
        buffer.put_slice(&self.begun[..taken]);
        self.begun.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Poll::Ready(written) = Pin::new(&mut this.stream).poll_write(cx, bytes) {
            this.patience = None;
            return Poll::Ready(written);
        }
        let clock = this.clock.clone();
        let wait = || -> BoxFuture<'static, ()> {
            Box::pin(async move { clock.sleep(WRITE_TIMEOUT).await })
        };
        ready!(this.patience.get_or_insert_with(wait).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

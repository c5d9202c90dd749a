//! One stream, as its owner sees it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::headers::Headers;

/// The streams that the client opens, in order; ends with the session, or when the client says that
/// it will open no more. When it is dropped, further streams are refused and the session ends as soon
/// as all that was written has been sent.
pub(crate) type Incoming = mpsc::Receiver<Stream>;

/// A stream that the client opened, read and written like a socket.
///
/// Reading ends when the client has finished, or reset the stream, or is gone. Shutting it down
/// finishes our half; dropping it does so too, and what the client still sends is thrown away.
#[derive(Debug)]
pub(crate) struct Stream {
    headers: Headers,
    pipe: DuplexStream,
    reset: CancellationToken,
}

impl Stream {
    pub(super) fn new(headers: Headers, pipe: DuplexStream, reset: CancellationToken) -> Self {
        Self { headers, pipe, reset }
    }

    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Answers when the stream is over: it was reset, or both halves have ended, or the client is gone.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reset.clone().cancelled_owned()
    }

    /// Ends both halves at once; what was written and not sent is lost.
    pub(crate) fn reset(self) {
        self.reset.cancel();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

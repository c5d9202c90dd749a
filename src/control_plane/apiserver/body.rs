//! Bodies: what comes in is boxed, what goes out is ready bytes or a stream of them.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, SizeHint};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body, whichever connection it came by.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// A response's body.
pub(crate) enum Body {
    /// Everything is there; sent with its length.
    Ready(VecDeque<Bytes>),
    /// Made as it is sent: large lists, watches, logs.
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Ready(VecDeque::new())
    }

    pub(crate) fn lazy(chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        Self::Stream(futures::stream::iter(chunks).map(Ok).boxed())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Ready(VecDeque::from([bytes]))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Ready",
            Self::Stream(_) => "Stream",
        })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Ready(chunks) => {
                Poll::Ready(chunks.pop_front().map(|chunk| Ok(Frame::data(chunk))))
            }
            Self::Stream(stream) => {
                stream.poll_next_unpin(cx).map(|next| next.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Ready(chunks) if chunks.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ready(chunks) => {
                SizeHint::with_exact(chunks.iter().map(|chunk| chunk.len() as u64).sum())
            }
            Self::Stream(_) => SizeHint::new(),
        }
    }
}

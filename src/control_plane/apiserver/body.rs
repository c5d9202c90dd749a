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

/// Any error as the error of a body.
pub(crate) fn boxed(err: impl std::error::Error + Send + Sync + 'static) -> BoxError {
    Box::new(err)
}

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
}

/// Bound: a spliced body is cut into pieces of about this many bytes, so that no frame is huge and
/// small items do not become frames of their own.
const CHUNK_BYTES: usize = 64 * 1024;

/// `head`, then the items with commas between them, then `tail`.
pub(crate) fn splice(head: Vec<u8>, items: Vec<Bytes>, tail: &[u8]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut chunk = head;
    let mut separator: &[u8] = b"";
    for item in items {
        if chunk.len() + item.len() > CHUNK_BYTES {
            chunks.push(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES)).into());
        }
        chunk.extend_from_slice(separator);
        chunk.extend_from_slice(&item);
        separator = b",";
    }
    chunk.extend_from_slice(tail);
    chunks.push(chunk.into());
    chunks
}

impl From<Vec<Bytes>> for Body {
    fn from(chunks: Vec<Bytes>) -> Self {
        Self::Ready(chunks.into())
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

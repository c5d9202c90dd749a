//! One stream, as the session sees it: the pipe to its owner, an inlet for what the client sends and
//! an outlet for what it is sent.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio_util::sync::CancellationToken;

use super::frame::StreamId;
use super::headers::Headers;
use super::stream::Stream;

/// Bound: bytes between the session and a stream's owner, each way.
const PIPE_BYTES_MAX: usize = 64 * 1024;

/// Bound: a data frame that we send.
const CHUNK_BYTES_MAX: usize = 32 * 1024;

#[derive(Debug)]
pub(super) struct Channel {
    /// What the client sent and the inlet has not taken. All streams' together is bounded by the session.
    pub(super) unread: BytesMut,
    /// The client will send no more.
    pub(super) is_finished: bool,
    pub(super) inlet: Inlet,
    pub(super) outlet: Outlet,
    pub(super) reset: CancellationToken,
}

#[derive(Debug)]
pub(super) enum Inlet {
    Idle(WriteHalf<DuplexStream>),
    /// A [`feed`] is under way.
    Busy,
    /// The owner has been told of the end, or does not listen.
    Closed,
}

#[derive(Debug)]
pub(super) enum Outlet {
    /// A [`Tap::draw`] is under way.
    Busy,
    /// Waits for the client's window.
    Held(Tap, Bytes),
    /// The client has been told of the end.
    Closed,
}

/// The session's end and the owner's.
pub(super) fn open(stream: StreamId, headers: Headers) -> (Channel, Tap, Stream) {
    let (theirs, ours) = tokio::io::duplex(PIPE_BYTES_MAX);
    let (reader, writer) = tokio::io::split(ours);
    let reset = CancellationToken::new();
    let channel = Channel {
        unread: BytesMut::new(),
        is_finished: false,
        inlet: Inlet::Idle(writer),
        outlet: Outlet::Busy,
        reset: reset.clone(),
    };
    let tap = Tap { stream, reader, reset: reset.clone() };
    (channel, tap, Stream::new(headers, theirs, reset))
}

impl Channel {
    /// Both halves have ended, and the owner knows.
    pub(super) fn is_over(&self) -> bool {
        let is_closed = |outlet: &Outlet| matches!(outlet, Outlet::Closed);
        self.is_finished && matches!(self.inlet, Inlet::Closed) && is_closed(&self.outlet)
    }
}

/// How a [`feed`] ended.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) stream: StreamId,
    pub(super) length: usize,
    pub(super) inlet: Inlet,
}

/// Hands bytes to the owner, waiting until it takes them; `None` tells it of the end.
pub(super) async fn feed(
    stream: StreamId,
    mut writer: WriteHalf<DuplexStream>,
    bytes: Option<Bytes>,
) -> Fed {
    let Some(bytes) = bytes else {
        // A pipe in memory closes at once; an owner that is gone needs no telling.
        let _ = writer.shutdown().await;
        return Fed { stream, length: 0, inlet: Inlet::Closed };
    };
    let inlet = match writer.write_all(&bytes).await {
        Ok(()) => Inlet::Idle(writer),
        Err(_) => Inlet::Closed,
    };
    Fed { stream, length: bytes.len(), inlet }
}

/// Where the owner's bytes come from.
#[derive(Debug)]
pub(super) struct Tap {
    stream: StreamId,
    reader: ReadHalf<DuplexStream>,
    reset: CancellationToken,
}

#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) stream: StreamId,
    pub(super) output: Output,
}

#[derive(Debug)]
pub(super) enum Output {
    Bytes(Tap, Bytes),
    End,
    Reset,
}

impl Tap {
    /// What the owner writes next.
    pub(super) async fn draw(mut self) -> Drawn {
        let mut bytes = BytesMut::with_capacity(CHUNK_BYTES_MAX);
        let read = tokio::select! {
            biased;
            () = self.reset.cancelled() => None,
            read = self.reader.read_buf(&mut bytes) => Some(read),
        };
        let stream = self.stream;
        let output = match read {
            None => Output::Reset,
            Some(Ok(1..)) => Output::Bytes(self, bytes.freeze()),
            // A pipe in memory has no errors.
            Some(Ok(0) | Err(_)) => Output::End,
        };
        Drawn { stream, output }
    }
}

//! Frames as data.

use std::io;

use bytes::Bytes;

use super::headers::Headers;

/// 31 bits, never 0. A client's are odd and rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StreamId(u32);

impl StreamId {
    /// `None` for 0, which names the session where it is allowed. The reserved bit is dropped.
    pub(super) const fn new(number: u32) -> Option<Self> {
        let number = number & 0x7fff_ffff;
        if number == 0 { None } else { Some(Self(number)) }
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }

    pub(super) fn is_clients(self) -> bool {
        self.0 % 2 == 1
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    SynStream(SynStream),
    SynReply {
        stream: StreamId,
        fin: bool,
        headers: Headers,
    },
    RstStream {
        stream: StreamId,
        status: ResetStatus,
    },
    /// Identifiers and values; see [`INITIAL_WINDOW_SIZE`].
    Settings(Vec<(u32, u32)>),
    Ping(u32),
    GoAway {
        last: u32,
        status: GoAwayStatus,
    },
    Headers {
        stream: StreamId,
        fin: bool,
        headers: Headers,
    },
    /// `None` is the session's window.
    WindowUpdate {
        stream: Option<StreamId>,
        delta: u32,
    },
    /// When read: a piece of a data frame, as much as has arrived.
    Data {
        stream: StreamId,
        fin: bool,
        bytes: Bytes,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SynStream {
    pub(super) stream: StreamId,
    pub(super) fin: bool,
    /// The other side may send nothing on it.
    pub(super) unidirectional: bool,
    pub(super) headers: Headers,
}

/// The setting that says how much may be sent on a stream before its first window update.
pub(super) const INITIAL_WINDOW_SIZE: u32 = 7;

/// Why a stream ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResetStatus(pub(super) u32);

impl ResetStatus {
    pub(super) const PROTOCOL_ERROR: Self = Self(1);
    pub(super) const INVALID_STREAM: Self = Self(2);
    pub(super) const REFUSED_STREAM: Self = Self(3);
    pub(super) const CANCEL: Self = Self(5);
    pub(super) const STREAM_ALREADY_CLOSED: Self = Self(9);
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GoAwayStatus(pub(super) u32);

impl GoAwayStatus {
    pub(super) const OK: Self = Self(0);
    pub(super) const PROTOCOL_ERROR: Self = Self(1);
}

/// What came is no SPDY/3.1; nothing after it can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("read or write the connection")]
    Io(#[from] io::Error),
    #[error("a frame of SPDY version {0}; 3 is spoken here")]
    Version(u16),
    #[error("a control frame of {0} bytes")]
    FrameTooLong(usize),
    #[error("headers of more than {} bytes, or too many", super::headers::HEADERS_BYTES_MAX)]
    HeadersTooLong,
    #[error("headers that do not decompress")]
    Compression,
    #[error("malformed {0}")]
    Malformed(&'static str),
}

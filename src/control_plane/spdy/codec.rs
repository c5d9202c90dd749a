//! Bytes to frames and back. Pure: it sees buffers, never a connection.
//!
//! ```text
//! control frame   1 version(15) type(16) │ flags(8) length(24) │ payload
//! data frame      0 stream(31)           │ flags(8) length(24) │ bytes
//! ```

use bytes::{Buf, BufMut, BytesMut};
use tokio_util::codec;

use super::frame::{Frame, FrameError, GoAwayStatus, ResetStatus, StreamId, SynStream};
use super::headers::{Deflater, Headers, Inflater};

/// Bound: a control frame's payload; the draft asks for 8 KiB at least. Data frames need none: they
/// are passed on in pieces as they arrive.
const CONTROL_BYTES_MAX: usize = 16 * 1024;

/// Bytes before the payload.
const HEAD_BYTES: usize = 8;

const VERSION: u16 = 3;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

const FIN: u8 = 1;
const UNIDIRECTIONAL: u8 = 2;

/// Reads one direction of a session.
#[derive(Debug)]
pub(super) struct Decoder {
    inflater: Inflater,
    /// The data frame that has not arrived whole.
    data: Option<Unread>,
}

#[derive(Debug, Clone, Copy)]
struct Unread {
    stream: StreamId,
    fin: bool,
    length: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { inflater: Inflater::new(), data: None }
    }

    /// `None` is a type of frame that means nothing here.
    fn control(&mut self, head: Head, payload: &[u8]) -> Result<Option<Frame>, FrameError> {
        let mut fields = Fields { rest: payload };
        let fin = head.flags & FIN != 0;
        let frame = match head.kind {
            SYN_STREAM => {
                let stream = fields.stream()?;
                // The stream it belongs to, its priority, an unused byte.
                fields.skip(4 + 2)?;
                let unidirectional = head.flags & UNIDIRECTIONAL != 0;
                let headers = self.inflater.read(fields.rest)?;
                return Ok(Some(Frame::SynStream(SynStream {
                    stream,
                    fin,
                    unidirectional,
                    headers,
                })));
            }
            SYN_REPLY => {
                let stream = fields.stream()?;
                let headers = self.inflater.read(fields.rest)?;
                return Ok(Some(Frame::SynReply { stream, fin, headers }));
            }
            HEADERS => {
                let stream = fields.stream()?;
                let headers = self.inflater.read(fields.rest)?;
                return Ok(Some(Frame::Headers { stream, fin, headers }));
            }
            RST_STREAM => {
                Frame::RstStream { stream: fields.stream()?, status: ResetStatus(fields.number()?) }
            }
            SETTINGS => Frame::Settings(settings(&mut fields)?),
            PING => Frame::Ping(fields.number()?),
            GOAWAY => {
                Frame::GoAway { last: fields.number()?, status: GoAwayStatus(fields.number()?) }
            }
            WINDOW_UPDATE => Frame::WindowUpdate {
                stream: StreamId::new(fields.number()?),
                delta: fields.number()? & 0x7fff_ffff,
            },
            _ => return Ok(None),
        };
        match fields.rest.is_empty() {
            true => Ok(Some(frame)),
            false => Err(FrameError::Malformed("control frame: bytes after the last field")),
        }
    }

    /// The next piece of the data frame under way, if there is one.
    fn piece(&mut self, bytes: &mut BytesMut) -> Option<Frame> {
        let unread = self.data.as_mut()?;
        let length = unread.length.min(bytes.len());
        if length == 0 && unread.length > 0 {
            return None;
        }
        unread.length -= length;
        let Unread { stream, fin, length: left } = *unread;
        if left == 0 {
            self.data = None;
        }
        let bytes = bytes.split_to(length).freeze();
        Some(Frame::Data { stream, fin: fin && left == 0, bytes })
    }
}

impl codec::Decoder for Decoder {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        loop {
            if self.data.is_some() {
                return Ok(self.piece(bytes));
            }
            let Some(head) = bytes.first_chunk().map(Head::read) else { return Ok(None) };
            if !head.is_control {
                bytes.advance(HEAD_BYTES);
                let stream = StreamId::new(head.number);
                let stream = stream.ok_or(FrameError::Malformed("data frame: stream 0"))?;
                let fin = head.flags & FIN != 0;
                self.data = Some(Unread { stream, fin, length: head.length });
                continue;
            }
            if head.version != VERSION {
                return Err(FrameError::Version(head.version));
            }
            if head.length > CONTROL_BYTES_MAX {
                return Err(FrameError::FrameTooLong(head.length));
            }
            if bytes.len() < HEAD_BYTES + head.length {
                bytes.reserve(HEAD_BYTES + head.length - bytes.len());
                return Ok(None);
            }
            bytes.advance(HEAD_BYTES);
            let payload = bytes.split_to(head.length);
            if let Some(frame) = self.control(head, &payload)? {
                return Ok(Some(frame));
            }
        }
    }
}

/// The first eight bytes of a frame.
#[derive(Debug, Clone, Copy)]
struct Head {
    is_control: bool,
    version: u16,
    kind: u16,
    /// A data frame's stream.
    number: u32,
    flags: u8,
    length: usize,
}

impl Head {
    fn read(bytes: &[u8; HEAD_BYTES]) -> Self {
        let [a, b, c, d, flags, high, middle, low] = *bytes;
        Self {
            is_control: a & 0x80 != 0,
            version: u16::from_be_bytes([a & 0x7f, b]),
            kind: u16::from_be_bytes([c, d]),
            number: u32::from_be_bytes([a, b, c, d]),
            flags,
            length: usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low),
        }
    }
}

/// A control frame's payload, read field by field.
struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn number(&mut self) -> Result<u32, FrameError> {
        let cut_short = FrameError::Malformed("control frame: cut short");
        self.rest.try_get_u32().map_err(|_| cut_short)
    }

    fn stream(&mut self) -> Result<StreamId, FrameError> {
        StreamId::new(self.number()?).ok_or(FrameError::Malformed("control frame: stream 0"))
    }

    fn skip(&mut self, length: usize) -> Result<(), FrameError> {
        let cut_short = FrameError::Malformed("control frame: cut short");
        self.rest = self.rest.get(length..).ok_or(cut_short)?;
        Ok(())
    }
}

fn settings(fields: &mut Fields<'_>) -> Result<Vec<(u32, u32)>, FrameError> {
    let mut settings = Vec::new();
    for _ in 0..fields.number()? {
        // The upper byte asks a client to remember the setting.
        settings.push((fields.number()? & 0x00ff_ffff, fields.number()?));
    }
    Ok(settings)
}

/// Writes one direction of a session.
#[derive(Debug)]
pub(super) struct Encoder {
    deflater: Deflater,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { deflater: Deflater::new() }
    }

    fn headed(
        &mut self,
        kind: u16,
        flags: u8,
        fields: &[u8],
        headers: &Headers,
        out: &mut BytesMut,
    ) -> Result<(), FrameError> {
        let compressed = self.deflater.write(headers)?;
        control(kind, flags, &[fields, &compressed], out)
    }
}

impl codec::Encoder<Frame> for Encoder {
    type Error = FrameError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), FrameError> {
        let fin = |fin: bool| if fin { FIN } else { 0 };
        match frame {
            Frame::SynStream(SynStream { stream, fin: ends, unidirectional, headers }) => {
                let mut fields = [0; 10];
                fields[..4].copy_from_slice(&stream.number().to_be_bytes());
                let flags = fin(ends) | if unidirectional { UNIDIRECTIONAL } else { 0 };
                self.headed(SYN_STREAM, flags, &fields, &headers, out)
            }
            Frame::SynReply { stream, fin: ends, headers } => {
                self.headed(SYN_REPLY, fin(ends), &stream.number().to_be_bytes(), &headers, out)
            }
            Frame::Headers { stream, fin: ends, headers } => {
                self.headed(HEADERS, fin(ends), &stream.number().to_be_bytes(), &headers, out)
            }
            Frame::RstStream { stream, status } => {
                numbers(RST_STREAM, &[stream.number(), status.0], out)
            }
            Frame::Settings(settings) => {
                let count = u32::try_from(settings.len()).unwrap_or(u32::MAX);
                let pairs = settings.into_iter().flat_map(|(name, value)| [name, value]);
                let all: Vec<u32> = std::iter::once(count).chain(pairs).collect();
                numbers(SETTINGS, &all, out)
            }
            Frame::Ping(number) => numbers(PING, &[number], out),
            Frame::GoAway { last, status } => numbers(GOAWAY, &[last, status.0], out),
            Frame::WindowUpdate { stream, delta } => {
                numbers(WINDOW_UPDATE, &[stream.map_or(0, StreamId::number), delta], out)
            }
            Frame::Data { stream, fin: ends, bytes } => {
                out.put_u32(stream.number());
                put_length(fin(ends), bytes.len(), out)?;
                out.put_slice(&bytes);
                Ok(())
            }
        }
    }
}

fn numbers(kind: u16, numbers: &[u32], out: &mut BytesMut) -> Result<(), FrameError> {
    let payload: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    control(kind, 0, &[&payload], out)
}

fn control(kind: u16, flags: u8, payload: &[&[u8]], out: &mut BytesMut) -> Result<(), FrameError> {
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    put_length(flags, payload.iter().map(|part| part.len()).sum(), out)?;
    for part in payload {
        out.put_slice(part);
    }
    Ok(())
}

fn put_length(flags: u8, length: usize, out: &mut BytesMut) -> Result<(), FrameError> {
    let number = u32::try_from(length).ok().filter(|number| *number < 1 << 24);
    out.put_u32(u32::from(flags) << 24 | number.ok_or(FrameError::FrameTooLong(length))?);
    Ok(())
}

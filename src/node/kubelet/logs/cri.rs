//! One record: `2016-10-06T00:17:09.669794202Z stdout F message`, with tag P for a part of a line.

use jiff::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::kubelet) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A parsed record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) time: &'a str,
    /// The line goes on in the next record of its stream.
    pub(super) partial: bool,
    pub(super) content: &'a [u8],
}

/// `time` as records have it, of fixed width so that the texts sort.
pub(super) fn stamp(time: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S%.9fZ", time)
        .expect("a format of calendar fields and a timestamp has them all")
}

/// Appends a record to `buffer`.
pub(super) fn push(
    buffer: &mut Vec<u8>,
    time: &str,
    stream: Stream,
    partial: bool,
    content: &[u8],
) {
    buffer.extend_from_slice(time.as_bytes());
    buffer.push(b' ');
    buffer.extend_from_slice(stream.name().as_bytes());
    buffer.extend_from_slice(if partial { b" P " } else { b" F " });
    buffer.extend_from_slice(content);
    buffer.push(b'\n');
}

/// Reads a record without its newline; `None` if it is none (a file that was cut short).
pub(super) fn parse(line: &[u8]) -> Option<Record<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let _stream = parts.next()?;
    let partial = parts.next()? == b"P";
    Some(Record { time, partial, content: parts.next()? })
}

//! What follows a response's head, and how much of it.

use std::io::{self, BufRead, Read};

use super::head::{Head, Line, read_line};

/// Bound: the size of a piece and what may follow it, and each line after the last piece.
const CHUNK_LINE_BYTES_MAX: usize = 16 << 10;

/// Bound: lines after the last piece.
const TRAILERS_MAX: usize = 100;

/// A body, read piece by piece.
#[derive(Debug)]
pub struct Body {
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// So many bytes of this piece are left; none before its size is known.
    Chunk(Option<u64>),
    /// Until the connection ends.
    Close,
    Done,
}

#[derive(Debug)]
pub enum BodyError {
    Io(io::Error),
    /// The connection ended too early: so many bytes are missing, if that is known.
    Short(Option<u64>),
    /// A piece's size is no number.
    Chunk,
}

impl Body {
    /// The body that belongs to a head (RFC 9112, section 6.3).
    pub fn of(head: &Head, asked_by_head: bool) -> Self {
        let none = asked_by_head || matches!(head.status, 100..=199 | 204 | 304);
        let framing = if none {
            Framing::Done
        } else if head.has("transfer-encoding", "chunked") {
            Framing::Chunk(None)
        } else {
            match head.content_length() {
                Some(0) => Framing::Done,
                Some(length) => Framing::Length(length),
                None => Framing::Close,
            }
        };
        Self { framing }
    }

    /// Whether all of it was read, and the connection is ready for another request.
    pub fn is_done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Whether only the end of the connection ends it.
    pub fn lasts_until_close(&self) -> bool {
        self.framing == Framing::Close
    }

    /// The next bytes; none at the end.
    pub fn read(&mut self, from: &mut impl BufRead, buffer: &mut [u8]) -> Result<usize, BodyError> {
        loop {
            match self.framing {
                Framing::Done => return Ok(0),
                Framing::Close => {
                    let n = from.read(buffer).map_err(BodyError::Io)?;
                    if n == 0 {
                        self.framing = Framing::Done;
                    }
                    return Ok(n);
                }
                Framing::Length(left) => {
                    let n = limited(from, left, buffer, Some(left))?;
                    let left = left - n as u64;
                    self.framing = if left == 0 { Framing::Done } else { Framing::Length(left) };
                    return Ok(n);
                }
                Framing::Chunk(None) => self.framing = next_chunk(from)?,
                Framing::Chunk(Some(left)) => {
                    let n = limited(from, left, buffer, None)?;
                    let left = left - n as u64;
                    if left == 0 {
                        chunk_line(from)?;
                    }
                    self.framing = Framing::Chunk(Some(left).filter(|left| *left > 0));
                    return Ok(n);
                }
            }
        }
    }
}

fn limited(
    from: &mut impl BufRead,
    left: u64,
    buffer: &mut [u8],
    missing: Option<u64>,
) -> Result<usize, BodyError> {
    match from.take(left).read(buffer) {
        Ok(0) => Err(BodyError::Short(missing)),
        Ok(n) => Ok(n),
        Err(err) => Err(BodyError::Io(err)),
    }
}

fn chunk_line(from: &mut impl BufRead) -> Result<String, BodyError> {
    match read_line(from, CHUNK_LINE_BYTES_MAX).map_err(BodyError::Io)? {
        Line::Text(line) => Ok(line),
        Line::End => Err(BodyError::Short(None)),
        Line::TooLong => Err(BodyError::Chunk),
    }
}

fn next_chunk(from: &mut impl BufRead) -> Result<Framing, BodyError> {
    let line = chunk_line(from)?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    let size = u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
    match size.ok_or(BodyError::Chunk)? {
        0 => {
            for _ in 0..TRAILERS_MAX {
                if chunk_line(from)?.is_empty() {
                    return Ok(Framing::Done);
                }
            }
            Err(BodyError::Chunk)
        }
        size => Ok(Framing::Chunk(Some(size))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Body and whether the connection can be used again.
    fn read(text: &str, asked_by_head: bool) -> Result<(String, bool), BodyError> {
        let mut from = text.as_bytes();
        let head = Head::read(&mut from, |_| {}).unwrap();
        let mut body = Body::of(&head, asked_by_head);
        let (mut all, mut buffer) = (Vec::new(), [0; 4]);
        loop {
            match body.read(&mut from, &mut buffer)? {
                0 => return Ok((String::from_utf8(all).unwrap(), from == b"next")),
                n => all.extend_from_slice(&buffer[..n]),
            }
        }
    }

    #[test]
    fn bodies_end_as_their_head_says() {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\nnext";
        assert_eq!(read(length, false).unwrap(), ("hello\n".to_owned(), true));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\n\
                       3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\nnext";
        assert_eq!(read(chunked, false).unwrap(), ("abc0123456789".to_owned(), true));
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nall", false).unwrap().0, "all");
        let nothing = "HTTP/1.1 204 No\r\nContent-Length: 6\r\n\r\nnext";
        assert_eq!(read(nothing, false).unwrap(), (String::new(), true));
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nnext";
        assert_eq!(read(head, true).unwrap(), (String::new(), true));
    }

    #[test]
    fn what_is_missing_is_told() {
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
        assert!(matches!(read(short, false), Err(BodyError::Short(Some(7)))));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for rest in ["", "5\r\nab", "2\r\nab\r\n"] {
            assert!(matches!(
                read(&format!("{chunked}{rest}"), false),
                Err(BodyError::Short(None))
            ));
        }
        for rest in ["x\r\n", "+1\r\na\r\n", "-1\r\n"] {
            assert!(matches!(read(&format!("{chunked}{rest}"), false), Err(BodyError::Chunk)));
        }
    }
}

//! The lines before a response's body.

use std::io::{self, BufRead, Read};

/// Bound: all lines of a head together, as curl's.
const HEAD_BYTES_MAX: usize = 300 << 10;

/// A response without its body.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// As it came, without the end of the line.
    pub status_line: String,
    /// `1.1`
    pub version: String,
    pub status: u16,
    /// As they came.
    pub lines: Vec<String>,
    /// Every byte of it.
    pub bytes: u64,
}

#[derive(Debug)]
pub enum HeadError {
    /// The connection ended before the first byte.
    Empty,
    /// It ended, or failed, later.
    Io(io::Error),
    TooLong,
    /// The first line is none of HTTP/1.
    NotHttp,
}

/// A line, and whether there was one.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Text(String),
    End,
    TooLong,
}

/// The next line without its end, at most so many bytes.
pub fn read_line(from: &mut impl BufRead, bytes_max: usize) -> io::Result<Line> {
    let mut bytes = Vec::new();
    from.take(bytes_max as u64 + 1).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(Line::End);
    }
    if bytes.len() > bytes_max {
        return Ok(Line::TooLong);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Line::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

impl Head {
    /// Reads one; `heard` is told of each line as it comes, the first and the empty one too.
    pub fn read(from: &mut impl BufRead, mut heard: impl FnMut(&str)) -> Result<Self, HeadError> {
        let mut head = Self::default();
        let mut room = HEAD_BYTES_MAX;
        loop {
            let line = match read_line(from, room).map_err(HeadError::Io)? {
                Line::Text(line) => line,
                Line::TooLong => return Err(HeadError::TooLong),
                Line::End if head.status_line.is_empty() => return Err(HeadError::Empty),
                Line::End => return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into())),
            };
            room = room.saturating_sub(line.len() + 2);
            head.bytes += line.len() as u64 + 2;
            if head.status_line.is_empty() {
                (head.version, head.status) = status(&line).ok_or(HeadError::NotHttp)?;
                heard(&line);
                head.status_line = line;
                continue;
            }
            heard(&line);
            if line.is_empty() {
                return Ok(head);
            }
            head.lines.push(line);
        }
    }

    /// The value of the last header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |(known, _): &(&str, &str)| known.trim().eq_ignore_ascii_case(name);
        let found = self.lines.iter().rev().filter_map(|line| line.split_once(':')).find(named);
        found.map(|(_, value)| value.trim())
    }

    fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter_map(|line| line.split_once(':'))
            .filter(move |(known, _)| known.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// Whether one of a header's comma-separated values is this one.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.headers(name)
            .flat_map(|values| values.split(','))
            .any(|one| one.trim().eq_ignore_ascii_case(value))
    }

    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Whether the server keeps the connection for another request.
    pub fn keeps_connection(&self) -> bool {
        if self.version == "1.0" {
            return self.has("connection", "keep-alive");
        }
        !self.has("connection", "close")
    }

    /// Where the client is sent.
    pub fn redirection(&self) -> Option<&str> {
        matches!(self.status, 300..=399).then(|| self.header("location"))?
    }
}

fn status(line: &str) -> Option<(String, u16)> {
    let (version, rest) = line.strip_prefix("HTTP/")?.split_once(' ')?;
    let code = rest.trim_start().get(..3)?.parse().ok().filter(|code| *code >= 100)?;
    Some((version.to_owned(), code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Head, HeadError> {
        Head::read(&mut text.as_bytes(), |_| {})
    }

    #[test]
    fn heads_are_read() {
        let mut lines = Vec::new();
        let text = "HTTP/1.1 302 Found\r\nLocation: /x\r\nconnection: Foo, CLOSE\nContent-Length: 7\r\n\r\nrest";
        let mut from = text.as_bytes();
        let head = Head::read(&mut from, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!((head.status, head.version.as_str(), from), (302, "1.1", &b"rest"[..]));
        assert_eq!(head.redirection(), Some("/x"));
        assert_eq!(head.content_length(), Some(7));
        assert!(!head.keeps_connection());
        assert_eq!(
            (lines.len(), lines[0].as_str(), lines[4].as_str()),
            (5, "HTTP/1.1 302 Found", "")
        );
        assert!(read("HTTP/1.0 200\r\nConnection: keep-alive\r\n\r\n").unwrap().keeps_connection());
        assert!(!read("HTTP/1.0 200 OK\r\n\r\n").unwrap().keeps_connection());
    }

    #[test]
    fn what_is_no_head_is_told_apart() {
        assert!(matches!(read(""), Err(HeadError::Empty)));
        assert!(matches!(read("SSH-2.0-x\r\n"), Err(HeadError::NotHttp)));
        assert!(matches!(read("HTTP/1.1 99 x\r\n"), Err(HeadError::NotHttp)));
        assert!(matches!(read("HTTP/1.1 200 OK\r\nA: b\r\n"), Err(HeadError::Io(_))));
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert!(matches!(read(&long), Err(HeadError::TooLong)));
    }
}

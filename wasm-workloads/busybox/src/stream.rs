//! What programs read and write, in pieces as large as the host passes on.

use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};

use sampan_process::{self as process, Handle};

use crate::call::Done;

/// As much as a pipe holds and the host passes at a time.
pub const BUFFER_BYTES: usize = 64 << 10;

/// A standard stream, without a buffer. The standard library would cut output at every line, and
/// WASI's own streams take 4 KiB at a time.
#[derive(Debug)]
pub struct Stream(pub Handle);

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(BUFFER_BYTES);
        let bytes = self.0.read(length as u32).map_err(|err| error(&err))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|err| error(&err))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn error(err: &process::Error) -> io::Error {
    let kind = match err {
        process::Error::NotFound => ErrorKind::NotFound,
        process::Error::Exists => ErrorKind::AlreadyExists,
        process::Error::IsDirectory => ErrorKind::IsADirectory,
        process::Error::NotDirectory => ErrorKind::NotADirectory,
        process::Error::Access => ErrorKind::PermissionDenied,
        process::Error::NoSpace => ErrorKind::StorageFull,
        process::Error::BrokenPipe => ErrorKind::BrokenPipe,
        process::Error::Interrupted => ErrorKind::Interrupted,
        process::Error::Limit | process::Error::Other(_) => {
            return io::Error::other(err.to_string());
        }
    };
    kind.into()
}

/// Something to read.
pub struct Input(Box<dyn BufRead>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Input")
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

impl Input {
    pub fn of(source: impl Read + 'static) -> Self {
        Self(Box::new(BufReader::with_capacity(BUFFER_BYTES, source)))
    }

    pub fn stdin() -> Self {
        Self::of(Stream(process::stdin()))
    }

    /// The next line with its newline, if it has one.
    pub fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line);
        (read.is_ok() && !line.is_empty()).then_some(line)
    }

    /// Puts what comes before the next `end` into `line`, in place of what was there; whether there
    /// was anything, and whether `end` came.
    pub fn next_line(&mut self, end: u8, line: &mut Vec<u8>) -> Option<bool> {
        line.clear();
        let read = self.0.read_until(end, line);
        if read.is_err() || line.is_empty() {
            return None;
        }
        let ended = line.last() == Some(&end);
        line.truncate(line.len() - usize::from(ended));
        Some(ended)
    }

    /// All lines without their newlines.
    pub fn lines(mut self) -> impl Iterator<Item = Vec<u8>> {
        std::iter::from_fn(move || {
            let mut line = self.line()?;
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            Some(line)
        })
    }
}

/// Standard output in large pieces; it must be flushed.
pub fn output() -> BufWriter<Stream> {
    BufWriter::with_capacity(BUFFER_BYTES, Stream(process::stdout()))
}

/// Writes one text.
pub fn print(text: impl AsRef<[u8]>) -> Done {
    let mut out = output();
    out.write_all(text.as_ref())?;
    out.flush()?;
    Ok(0)
}

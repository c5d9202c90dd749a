//! Open file descriptions: what a process's streams and handles refer to, shared by all who hold
//! one, with one position.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::LogSink;
use super::pipe::{self, Reader, Writer};
use super::terminal::Terminal;
use crate::client::node_api::{BoxRead, BoxWrite};
use crate::node::files::{self, Device, File};

/// Bound: bytes of one read or of one unfinished write.
pub(super) const CHUNK_BYTES_MAX: usize = 64 * 1024;

pub(super) enum Description {
    File(OpenFile),
    PipeReader(Reader),
    PipeWriter(Writer),
    /// A stream from outside the container.
    Source(tokio::sync::Mutex<Source>),
    /// A stream to outside the container, with back-pressure.
    Sink(Sink),
    Log(LogSink),
    Terminal(Arc<Terminal>),
    /// Reads the end, takes everything.
    Null,
    Zero,
    /// Takes nothing: no space left.
    Full,
    Random,
}

/// A file and where its users are in it.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) position: Mutex<u64>,
    pub(super) append: bool,
}

pub(super) struct Source {
    stream: BoxRead,
    read: BytesMut,
    ended: bool,
}

pub(super) struct Sink {
    /// Held by the one who writes out.
    stream: tokio::sync::Mutex<BoxWrite>,
    /// Bound: [`CHUNK_BYTES_MAX`] for each of its users.
    unwritten: Mutex<BytesMut>,
    broken: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("broken pipe")]
    BrokenPipe,
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Description {
    pub(super) fn source(stream: BoxRead) -> Self {
        Self::Source(tokio::sync::Mutex::new(Source {
            stream,
            read: BytesMut::new(),
            ended: false,
        }))
    }

    pub(super) fn sink(stream: BoxWrite) -> Self {
        Self::Sink(Sink {
            stream: tokio::sync::Mutex::new(stream),
            unwritten: Mutex::default(),
            broken: AtomicBool::new(false),
        })
    }

    pub(super) fn file(file: File, append: bool) -> Self {
        Self::File(OpenFile { file, position: Mutex::new(0), append })
    }

    pub(super) fn terminal(&self) -> Option<&Arc<Terminal>> {
        if let Self::Terminal(terminal) = self { Some(terminal) } else { None }
    }

    /// The devices that stand for themselves; the others are a process's own streams.
    pub(super) fn device(device: Device) -> Option<Self> {
        match device {
            Device::Null => Some(Self::Null),
            Device::Zero => Some(Self::Zero),
            Device::Full => Some(Self::Full),
            Device::Random => Some(Self::Random),
            Device::Stdin | Device::Stdout | Device::Stderr | Device::Tty => None,
        }
    }

    /// `None` if there is nothing yet; empty at the end.
    pub(super) fn try_read(&self, len: usize) -> Result<Option<Bytes>, Error> {
        let len = len.min(CHUNK_BYTES_MAX);
        if len == 0 {
            return Ok(Some(Bytes::new()));
        }
        match self {
            Self::File(open) => open.read(len).map(Some),
            Self::PipeReader(reader) => Ok(reader.try_read(len)),
            Self::Source(source) => {
                Ok(source.try_lock().ok().and_then(|mut source| source.take(len)))
            }
            Self::Terminal(terminal) => Ok(terminal.try_read(len)),
            Self::Null => Ok(Some(Bytes::new())),
            Self::Zero | Self::Full => Ok(Some(Bytes::from(vec![0; len]))),
            Self::Random => random(len).map(Some),
            Self::PipeWriter(_) | Self::Sink(_) | Self::Log(_) => {
                Err(files::Error::BadDescriptor.into())
            }
        }
    }

    /// Until [`Description::try_read`] has an answer.
    pub(super) async fn readable(&self) {
        match self {
            Self::PipeReader(reader) => reader.ready().await,
            Self::Source(source) => source.lock().await.fill().await,
            Self::Terminal(terminal) => terminal.readable().await,
            _ => {}
        }
    }

    /// Waits for at least a byte; empty at the end.
    pub(super) async fn read(&self, len: usize) -> Result<Bytes, Error> {
        loop {
            if let Some(bytes) = self.try_read(len)? {
                return Ok(bytes);
            }
            self.readable().await;
        }
    }

    /// How many bytes a write may have that is to be taken at once; 0: wait.
    pub(super) fn room(&self) -> Result<usize, Error> {
        match self {
            Self::PipeWriter(writer) => writer.room().map_err(|pipe::Broken| Error::BrokenPipe),
            Self::Sink(sink) => sink.room(),
            Self::Terminal(terminal) => terminal.room(),
            Self::PipeReader(_) | Self::Source(_) => Err(files::Error::BadDescriptor.into()),
            _ => Ok(CHUNK_BYTES_MAX),
        }
    }

    /// Takes some of the bytes, without waiting.
    pub(super) fn try_write(&self, bytes: &[u8]) -> Result<usize, Error> {
        match self {
            Self::File(open) => open.write(bytes).map(|()| bytes.len()),
            Self::PipeWriter(writer) => {
                writer.try_write(bytes).map_err(|pipe::Broken| Error::BrokenPipe)
            }
            Self::Sink(sink) => match sink.room()? {
                0 => Ok(0),
                _ => sink.put(&bytes[..bytes.len().min(CHUNK_BYTES_MAX)]),
            },
            Self::Log(log) => {
                log(bytes);
                Ok(bytes.len())
            }
            Self::Terminal(terminal) => terminal.try_write(bytes),
            Self::Null | Self::Zero | Self::Random => Ok(bytes.len()),
            Self::Full => Err(files::Error::NoSpace.into()),
            Self::PipeReader(_) | Self::Source(_) => Err(files::Error::BadDescriptor.into()),
        }
    }

    /// Until there is room for `len` bytes; a sink is drained.
    pub(super) async fn writable(&self, len: usize) {
        match self {
            Self::PipeWriter(writer) => writer.ready(len).await,
            Self::Sink(sink) => sink.drain().await,
            Self::Terminal(terminal) => terminal.writable(len).await,
            _ => {}
        }
    }

    /// Takes bytes for which there was room, even if another user has filled it since: nobody may
    /// wait or lose bytes here.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::PipeWriter(writer) => writer.put(bytes).map_err(|pipe::Broken| Error::BrokenPipe),
            Self::Sink(sink) => sink.put(bytes).map(drop),
            Self::Terminal(terminal) => terminal.put(bytes),
            _ => self.try_write(bytes).map(drop),
        }
    }

    /// Waits until everything is taken; by a sink: written.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let taken = self.try_write(bytes)?;
            bytes = &bytes[taken..];
            if !bytes.is_empty() {
                self.writable(bytes.len()).await;
            }
        }
        self.flush().await;
        Ok(())
    }

    /// Writes out what a sink still holds.
    pub(super) async fn flush(&self) {
        match self {
            Self::Sink(sink) => sink.drain().await,
            Self::Terminal(terminal) => terminal.flush().await,
            _ => {}
        }
    }
}

impl OpenFile {
    fn read(&self, len: usize) -> Result<Bytes, Error> {
        let mut position = self.position.lock();
        let mut buffer = BytesMut::zeroed(len);
        let read = self.file.read_at(&mut buffer, *position)?;
        *position += read as u64;
        buffer.truncate(read);
        Ok(buffer.freeze())
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut position = self.position.lock();
        if self.append {
            *position = self.file.append(bytes)?;
        } else {
            self.file.write_at(bytes, *position)?;
            *position += bytes.len() as u64;
        }
        Ok(())
    }
}

impl Source {
    fn take(&mut self, len: usize) -> Option<Bytes> {
        if self.read.is_empty() {
            return self.ended.then(Bytes::new);
        }
        let len = len.min(self.read.len());
        Some(self.read.split_to(len).freeze())
    }

    /// A failing stream is an ended one: there is nobody left to tell.
    async fn fill(&mut self) {
        if !self.read.is_empty() || self.ended {
            return;
        }
        self.read.reserve(CHUNK_BYTES_MAX);
        let mut limited = (&mut self.stream).take(CHUNK_BYTES_MAX as u64);
        self.ended = !matches!(limited.read_buf(&mut self.read).await, Ok(1..));
    }
}

impl Sink {
    fn room(&self) -> Result<usize, Error> {
        if self.broken.load(Ordering::Acquire) {
            return Err(Error::BrokenPipe);
        }
        Ok(if self.unwritten.lock().is_empty() { CHUNK_BYTES_MAX } else { 0 })
    }

    fn put(&self, bytes: &[u8]) -> Result<usize, Error> {
        if self.broken.load(Ordering::Acquire) {
            return Err(Error::BrokenPipe);
        }
        self.unwritten.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// May be dropped at any point: what was written is gone from `unwritten`, no more and no less.
    async fn drain(&self) {
        let mut stream = self.stream.lock().await;
        while !self.broken.load(Ordering::Acquire) {
            let chunk = self.unwritten.lock().clone();
            let written = if chunk.is_empty() {
                stream.flush().await.map(|()| 0)
            } else {
                stream.write(&chunk).await
            };
            match written {
                Ok(0) if chunk.is_empty() => return,
                Ok(written @ 1..) => self.unwritten.lock().advance(written),
                Ok(0) | Err(_) => {
                    self.broken.store(true, Ordering::Release);
                    self.unwritten.lock().clear();
                }
            }
        }
    }
}

fn random(len: usize) -> Result<Bytes, Error> {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = vec![0; len];
    SystemRandom::new().fill(&mut bytes).map_err(|_| files::Error::Io)?;
    Ok(bytes.into())
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::PipeReader(_) => "PipeReader",
            Self::PipeWriter(_) => "PipeWriter",
            Self::Source(_) => "Source",
            Self::Sink(_) => "Sink",
            Self::Log(_) => "Log",
            Self::Terminal(_) => "Terminal",
            Self::Null => "Null",
            Self::Zero => "Zero",
            Self::Full => "Full",
            Self::Random => "Random",
        })
    }
}

//! Descriptions as WASI streams.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::super::description::{Description, Error};

pub(super) struct Stdin(pub(super) Arc<Description>);

pub(super) struct Stdout(pub(super) Arc<Description>);

/// A description as an input stream.
pub(super) struct Input(pub(super) Arc<Description>);

/// A description as an output stream.
pub(super) struct Output(pub(super) Arc<Description>);

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        self.0.terminal().is_some()
    }
}

impl IsTerminal for Stdout {
    fn is_terminal(&self) -> bool {
        self.0.terminal().is_some()
    }
}

impl StdinStream for Stdin {
    /// Nobody asks for it: WASI 0.3 is not linked.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Input(self.0.clone()))
    }
}

impl StdoutStream for Stdout {
    /// Nobody asks for it: WASI 0.3 is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Output(self.0.clone()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        self.0.readable().await;
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match self.0.try_read(size).map_err(stream_error)? {
            Some(bytes) if bytes.is_empty() && size > 0 => Err(StreamError::Closed),
            Some(bytes) => Ok(bytes),
            None => Ok(Bytes::new()),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            self.0.readable().await;
            return self.read(0);
        }
        let bytes = self.0.read(size).await.map_err(stream_error)?;
        if bytes.is_empty() { Err(StreamError::Closed) } else { Ok(bytes) }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        self.0.writable(1).await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.put(&bytes).map_err(stream_error)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.0.room().map_err(stream_error)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes).await.map_err(stream_error)
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        loop {
            match self.0.room().map_err(stream_error)? {
                0 => self.0.writable(1).await,
                room => return Ok(room),
            }
        }
    }
}

/// A closed stream is EPIPE to a guest's libc; other errors keep their reason for
/// `filesystem-error-code`.
pub(super) fn stream_error(error: Error) -> StreamError {
    match error {
        Error::BrokenPipe => StreamError::Closed,
        Error::File(error) => StreamError::LastOperationFailed(error.into()),
    }
}

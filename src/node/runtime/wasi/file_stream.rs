//! Streams over regular files, each with a position of its own; always ready.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::super::description::{CHUNK_BYTES_MAX, Error};
use super::stdio::stream_error;
use crate::node::files::File;

pub(super) struct FileInput {
    file: Arc<File>,
    position: u64,
}

pub(super) struct FileOutput {
    file: Arc<File>,
    /// `None`: always at the end.
    position: Option<u64>,
}

impl FileInput {
    pub(super) fn new(file: Arc<File>, position: u64) -> Self {
        Self { file, position }
    }
}

impl FileOutput {
    pub(super) fn new(file: Arc<File>, position: Option<u64>) -> Self {
        Self { file, position }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = vec![0; size.min(CHUNK_BYTES_MAX)];
        let read = self.file.read_at(&mut buffer, self.position);
        match read.map_err(|error| stream_error(Error::File(error)))? {
            0 => Err(StreamError::Closed),
            read => {
                self.position += read as u64;
                buffer.truncate(read);
                Ok(buffer.into())
            }
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let written = match &mut self.position {
            None => self.file.append(&bytes).map(drop),
            Some(position) => {
                self.file.write_at(&bytes, *position).map(|()| *position += bytes.len() as u64)
            }
        };
        written.map_err(|error| stream_error(Error::File(error)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    /// Where there is little room, so little that a guest knows what was written; where there is
    /// none, the write itself says so.
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(match self.file.room_at(self.position, CHUNK_BYTES_MAX) {
            0 => CHUNK_BYTES_MAX,
            room => room,
        })
    }
}

//! Between who packs or unpacks an archive, and blocks, and the connection, which must not be blocked.

use std::io::{self, Read, Write};

use tokio::sync::mpsc;

/// Bound: bytes of one piece of an archive, and of what kube holds of each stream.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Bound: pieces that wait to be sent, or to be unpacked.
pub(super) const CHUNKS_MAX: usize = 8;

/// An archive that comes in pieces.
pub(super) struct Chunks {
    chunk_rx: mpsc::Receiver<Vec<u8>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Chunks {
    pub(super) fn new(chunk_rx: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { chunk_rx, chunk: io::Cursor::default() }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.chunk.read(buffer)? {
                0 if !buffer.is_empty() => match self.chunk_rx.blocking_recv() {
                    Some(chunk) => self.chunk = io::Cursor::new(chunk),
                    None => return Ok(0),
                },
                read => return Ok(read),
            }
        }
    }
}

/// An archive that goes in pieces.
pub(super) struct Sender(mpsc::Sender<Vec<u8>>);

impl Sender {
    pub(super) fn new(chunk_tx: mpsc::Sender<Vec<u8>>) -> Self {
        Self(chunk_tx)
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(CHUNK_BYTES)];
        let sent = self.0.blocking_send(chunk.to_vec());
        sent.map(|()| chunk.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

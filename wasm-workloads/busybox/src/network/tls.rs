//! A connection, plain or with TLS, as programs read and write it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use sampan_network::tls::ClientConnection;
pub use sampan_network::tls::{Certificate, Error, Identity, Options, Problem, Session};

/// Bound: what is read from the socket at once, as much as a record of TLS and its head.
const INPUT_BYTES: usize = 17 << 10;

#[derive(Debug)]
pub enum Channel {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Channel {
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.socket,
        }
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a handshake came to nothing.
#[derive(Debug)]
pub enum HandshakeError {
    Tls(Error),
    Io(io::Error),
    /// The other side hung up without a word.
    Closed,
}

impl From<Error> for HandshakeError {
    fn from(error: Error) -> Self {
        Self::Tls(error)
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A client's TLS over a socket, whose time-outs are its own.
#[derive(Debug)]
pub struct TlsStream {
    socket: TcpStream,
    tls: ClientConnection,
    /// Read from the socket; TLS has not taken it from here on yet.
    unread: Vec<u8>,
}

impl TlsStream {
    pub fn open(name: &str, options: &Options, socket: TcpStream) -> Result<Self, Error> {
        // A name's last dot is none of the certificate's.
        let name = name.strip_suffix('.').unwrap_or(name);
        let tls = ClientConnection::open(name, options)?;
        Ok(Self { socket, tls, unread: Vec::new() })
    }

    /// Comes to terms with the server.
    pub fn handshake(&mut self) -> Result<Session, HandshakeError> {
        loop {
            self.send()?;
            if let Some(session) = self.tls.session() {
                return Ok(session);
            }
            match self.receive() {
                Ok(true) => {}
                Ok(false) => return Err(HandshakeError::Closed),
                Err(error) => {
                    // The server hears why, if it still listens.
                    let _ = self.send();
                    return Err(error);
                }
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let output = self.tls.output();
        if output.is_empty() { Ok(()) } else { self.socket.write_all(&output) }
    }

    /// Hands over what comes next; whether anything came.
    fn receive(&mut self) -> Result<bool, HandshakeError> {
        if self.unread.is_empty() {
            let mut buffer = vec![0; INPUT_BYTES];
            let count = self.socket.read(&mut buffer)?;
            if count == 0 {
                return Ok(false);
            }
            buffer.truncate(count);
            self.unread = buffer;
        }
        let taken = self.tls.input(&self.unread)?;
        self.unread.drain(..taken);
        Ok(true)
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(bytes) = self.tls.read(buffer.len()) {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                return Ok(bytes.len());
            }
            match self.receive() {
                // Keys may change, and are answered.
                Ok(true) => self.send()?,
                // Many servers hang up without TLS' goodbye. As curl, this minds it only where a page's
                // length is known, and falls short.
                Ok(false) => return Ok(0),
                Err(HandshakeError::Io(error)) => return Err(error),
                Err(HandshakeError::Tls(error)) => {
                    let _ = self.send();
                    return Err(io::Error::other(error.to_string()));
                }
                Err(HandshakeError::Closed) => return Ok(0),
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.tls.write(bytes);
        self.send()?;
        if taken == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WriteZero.into());
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.tls.close_output();
        // A server that has gone needs no goodbye.
        let _ = self.send();
    }
}

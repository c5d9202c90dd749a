//! SPDY's frames in a WebSocket: binary messages, whose boundaries mean nothing, read and written as
//! one stream of bytes.
//!
//! Upstream: KEP-4006, `k8s.io/client-go/tools/portforward/tunneling_connection.go`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::{Sink, Stream};
use http::request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::door::Door;
use super::pairs;
use crate::client::clock::Clock;
use crate::control_plane::apiserver::subresources::websocket;

/// Serves a client after its upgrade to a WebSocket, until it leaves.
pub(super) async fn serve(head: request::Parts, door: Door, clock: Clock) {
    if let Some(socket) = websocket::open(head).await {
        pairs::serve_on(Tunnel::new(socket), door, clock).await;
    }
}

#[derive(Debug)]
pub(super) struct Tunnel<T> {
    socket: WebSocketStream<T>,
    /// Of a message: what was not read yet.
    unread: Bytes,
    has_said_goodbye: bool,
}

impl<T> Tunnel<T> {
    pub(super) fn new(socket: WebSocketStream<T>) -> Self {
        Self { socket, unread: Bytes::new(), has_said_goodbye: false }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            let message = ready!(Pin::new(&mut self.socket).poll_next(cx));
            match message.transpose().map_err(broken)? {
                Some(Message::Binary(bytes)) => self.unread = bytes,
                Some(Message::Text(_)) => {
                    let text = "a message of text where bytes are expected";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                Some(Message::Close(_)) | None => return Poll::Ready(Ok(())),
                Some(_) => {}
            }
        }
        let length = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..length]);
        self.unread.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.socket).start_send(message).map_err(broken)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_said_goodbye {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
            Pin::new(&mut self.socket).start_send(websocket::goodbye()).map_err(broken)?;
            self.has_said_goodbye = true;
        }
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }
}

fn broken(err: Error) -> io::Error {
    match err {
        Error::Io(err) => err,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        err => io::Error::new(io::ErrorKind::InvalidData, err),
    }
}

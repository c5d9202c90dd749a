//! A command's streams in WebSocket frames: `v5.channel.k8s.io` and `v4.channel.k8s.io`.
//!
//! ```text
//! binary frame = channel, bytes      0 stdin, 1 stdout, 2 stderr, 3 how it ended (a Status),
//!                                    4 window size, 255 end of the channel that follows (v5)
//! ```
//!
//! Upstream: KEP-4006, `k8s.io/apimachinery/pkg/util/remotecommand/constants.go`.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{self, BoxStream, SplitStream};
use futures::{SinkExt, Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::ReaderStream;

use super::ending::ending;
use super::exec::Wanted;
use crate::client::node_api::{NodeError, Streams, TerminalSize};
use crate::control_plane::apiserver::body::Body;

/// Newest first.
pub(super) const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// Bound: bytes between the socket and the command, each way.
pub(super) const PIPE_BYTES_MAX: usize = 64 * 1024;

/// Bound: a client's frame; kubectl sends 32 KiB.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What the client's request for a WebSocket comes to.
#[derive(Debug, Clone)]
pub(super) struct Handshake {
    protocol: &'static str,
    accept: String,
}

impl Handshake {
    /// `None` if it is no WebSocket handshake, or speaks none of the subprotocols, the first of which
    /// is liked best.
    pub(super) fn of(headers: &HeaderMap, protocols: &[&'static str]) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if !text(header::UPGRADE)?.eq_ignore_ascii_case("websocket") {
            return None;
        }
        let key = text(header::SEC_WEBSOCKET_KEY)?;
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let offered: Vec<&str> = offered
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .collect();
        let protocol = *protocols.iter().find(|protocol| offered.contains(protocol))?;
        Some(Self { protocol, accept: accept(key) })
    }

    pub(super) fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// 101.
    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }
}

/// Upstream: RFC 6455, section 4.2.2.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    STANDARD.encode(digest)
}

/// The socket after our 101; `None` if the client did not go on.
pub(super) async fn open(head: request::Parts) -> Option<Socket> {
    let upgraded = match hyper::upgrade::on(Request::from_parts(head, ())).await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(err) => {
            tracing::debug!(%err, "The client did not go on after the upgrade");
            return None;
        }
    };
    Some(WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config())).await)
}

pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}

/// kubectl takes a close without a code for a broken connection.
pub(super) fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// Joins the client's socket with a command until the command has ended and its output is sent, or
/// the client has gone: then the command's future is dropped, which ends it.
pub(super) async fn serve(
    head: request::Parts,
    wanted: Wanted,
    run: impl AsyncFnOnce(Streams) -> Result<i32, NodeError>,
) {
    let Some(socket) = open(head).await else { return };
    let (mut sink, incoming) = socket.split();
    let (streams, input, output) = pipes(wanted);
    let mut output = output.map(|(channel, bytes)| Ok(frame(channel, &bytes)));
    let command = async {
        let (ended, sent) = tokio::join!(run(streams), sink.send_all(&mut output));
        sent?;
        let ended = serde_json::to_vec(&ending(ended)).map_err(io::Error::other)?;
        sink.send(frame(ERROR, &ended)).await?;
        sink.send(goodbye()).await
    };
    tokio::select! {
        sent = command => if let Err(err) = sent { tracing::debug!(%err, "The client left early"); },
        () = receive(incoming, input) => {}
    }
}

/// Our ends of what the client sends.
struct Input {
    stdin: Option<DuplexStream>,
    size_tx: Option<watch::Sender<TerminalSize>>,
}

/// The command's ends of its streams, and ours: where input goes, and where output comes from.
fn pipes(wanted: Wanted) -> (Streams, Input, BoxStream<'static, (u8, Bytes)>) {
    let pipe = |wanted: bool| wanted.then(|| tokio::io::duplex(PIPE_BYTES_MAX)).unzip();
    let (stdin, stdin_theirs) = pipe(wanted.stdin);
    let (stdout, stdout_theirs) = pipe(wanted.stdout);
    let (stderr, stderr_theirs) = pipe(wanted.stderr);
    let (size_tx, size_rx) = wanted.tty.then(|| watch::channel(TerminalSize::default())).unzip();
    let streams = Streams {
        stdin: stdin_theirs.map(|it| Box::new(it) as _),
        stdout: stdout_theirs.map(|it| Box::new(it) as _),
        stderr: stderr_theirs.map(|it| Box::new(it) as _),
        terminal: size_rx,
    };
    let output = stream::select(on_channel(STDOUT, stdout), on_channel(STDERR, stderr)).boxed();
    (streams, Input { stdin, size_tx }, output)
}

fn on_channel(channel: u8, pipe: Option<DuplexStream>) -> impl Stream<Item = (u8, Bytes)> {
    let chunks = pipe.map(|pipe| ReaderStream::with_capacity(pipe, PIPE_BYTES_MAX));
    stream::iter(chunks)
        .flatten()
        // A pipe in memory has no errors.
        .filter_map(move |chunk| std::future::ready(chunk.ok().map(|bytes| (channel, bytes))))
}

pub(super) fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut frame = BytesMut::with_capacity(1 + bytes.len());
    frame.put_u8(channel);
    frame.put_slice(bytes);
    Message::Binary(frame.freeze())
}

/// Carries what the client types, and its window's size; returns when the client has gone.
async fn receive(mut incoming: SplitStream<Socket>, mut input: Input) {
    while let Some(message) = incoming.next().await {
        match message {
            Ok(Message::Binary(frame)) => input.take(&frame).await,
            Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return,
            Ok(_) => {}
            Err(err) => return tracing::debug!(%err, "The client's connection broke"),
        }
    }
}

impl Input {
    async fn take(&mut self, frame: &[u8]) {
        match frame.split_first() {
            Some((&STDIN, bytes)) => {
                if let Some(pipe) = &mut self.stdin
                    && pipe.write_all(bytes).await.is_err()
                {
                    // The command reads no more; the client learns it from the command's end.
                    self.stdin = None;
                }
            }
            Some((&CLOSE, [STDIN])) => self.stdin = None,
            Some((&RESIZE, json)) => {
                // A client that sends something else keeps the size it had, as upstream.
                if let (Some(size_tx), Ok(size)) = (&self.size_tx, serde_json::from_slice(json)) {
                    size_tx.send_replace(size);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(headers: &[(&'static str, &'static str)]) -> Option<Handshake> {
        let pairs = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        Handshake::of(&pairs.collect(), &PROTOCOLS)
    }

    #[test]
    fn the_newest_common_protocol_is_taken() {
        let taken = handshake(&[
            ("upgrade", "WebSocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "v4.channel.k8s.io, v5.channel.k8s.io"),
        ])
        .unwrap();
        assert_eq!(taken.protocol, "v5.channel.k8s.io");
        // The example of RFC 6455, section 1.3.
        assert_eq!(taken.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn other_upgrades_are_not_websockets() {
        assert!(handshake(&[("upgrade", "SPDY/3.1")]).is_none());
        let unknown = [
            ("upgrade", "websocket"),
            ("sec-websocket-key", "x"),
            ("sec-websocket-protocol", "chat"),
        ];
        assert!(handshake(&unknown).is_none());
    }
}

//! Two WebSocket channels for each port, as clients in other languages open them.
//!
//! ```text
//! GET …/portforward?ports=80,443     frame = channel, bytes: 0 data, 1 error (80), 2 data, 3 error (443)
//! the first two bytes of each channel that we send are its port, lower byte first
//! ```
//!
//! A port has one connection, and the client cannot end its half of it: it closes the socket.
//! Upstream: `websocket.go` (`websocketStreamHandler`).

use std::pin::pin;

use bytes::BytesMut;
use futures::stream::{FuturesUnordered, SplitStream};
use futures::{SinkExt, StreamExt};
use http::request;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::door::Door;
use crate::control_plane::apiserver::subresources::websocket::{self, PIPE_BYTES_MAX, frame};

/// Bound: ports of one request; each has two channels, and a channel's number is one byte.
const PORTS_MAX: usize = 64;

/// Bound: bytes of a port's output in one frame.
const FRAME_BYTES: usize = 32 * 1024;

/// The ports that the query's `ports` name.
///
/// # Errors
/// In the words of `NewV4Options`.
pub(super) fn ports<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<u16>, String> {
    let mut ports = Vec::new();
    for value in values {
        if value.is_empty() {
            return Err("query parameter \"ports\" cannot be empty".to_owned());
        }
        for port in value.split(',') {
            match port.parse() {
                Ok(0) => return Err(format!("port {value:?} must be > 0")),
                Ok(port) => ports.push(port),
                Err(err) => return Err(format!("unable to parse {value:?} as a port: {err}")),
            }
        }
    }
    match ports.len() {
        0 => Err("query parameter \"ports\" is required".to_owned()),
        1..=PORTS_MAX => Ok(ports),
        _ => Err(format!("at most {PORTS_MAX} ports can be forwarded over one WebSocket")),
    }
}

/// Joins the client's channels with the Pod's ports until all have ended, or the client has gone.
pub(super) async fn serve(head: request::Parts, ports: &[u16], door: Door) {
    if let Some(socket) = websocket::open(head).await {
        serve_on(socket, ports, &door).await;
    }
}

pub(super) async fn serve_on<T>(socket: WebSocketStream<T>, ports: &[u16], door: &Door)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, incoming) = socket.split();
    // Bound: frames that wait for the socket, one for each port.
    let (frame_tx, mut frame_rx) = mpsc::channel(ports.len());
    let mut inputs = Vec::new();
    let mut forwards = FuturesUnordered::new();
    for (channel, port) in (0_u8..).step_by(2).zip(ports) {
        let (theirs, ours) = tokio::io::duplex(PIPE_BYTES_MAX);
        let (output, input) = tokio::io::split(ours);
        inputs.push(Some(input));
        forwards.push(forward(channel, *port, theirs, output, frame_tx.clone(), door));
    }
    drop(frame_tx);
    let sending = async {
        while let Some(frame) = frame_rx.recv().await {
            sink.send(frame).await?;
        }
        sink.send(websocket::goodbye()).await
    };
    let all = async { tokio::join!(sending, async { while forwards.next().await.is_some() {} }).0 };
    tokio::select! {
        sent = all => if let Err(err) = sent { tracing::debug!(%err, "The client left early"); },
        () = receive(incoming, inputs) => {}
    }
}

/// One port's connection, and its output as frames.
async fn forward(
    channel: u8,
    port: u16,
    theirs: DuplexStream,
    mut output: ReadHalf<DuplexStream>,
    frame_tx: mpsc::Sender<Message>,
    door: &Door,
) {
    // If the socket is closed, all of this is dropped.
    for channel in [channel, channel + 1] {
        let _ = frame_tx.send(frame(channel, &port.to_le_bytes())).await;
    }
    let mut back = pin!(async {
        let mut bytes = BytesMut::with_capacity(FRAME_BYTES);
        while let Ok(1..) = output.read_buf(&mut bytes).await {
            let _ = frame_tx.send(frame(channel, &bytes.split())).await;
            bytes.reserve(FRAME_BYTES);
        }
    });
    let forwarded = tokio::select! {
        biased;
        forwarded = door.forward(port, theirs, std::future::pending()) => forwarded,
        // Nothing more will come; that the client has more to say it could not tell us.
        () = &mut back => return,
    };
    match forwarded {
        Ok(()) => back.await,
        Err(text) => {
            let _ = frame_tx.send(frame(channel + 1, text.as_bytes())).await;
        }
    }
}

/// Carries what the client sends; returns when it has gone.
async fn receive<T>(
    mut incoming: SplitStream<WebSocketStream<T>>,
    mut inputs: Vec<Option<WriteHalf<DuplexStream>>>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = incoming.next().await {
        match message {
            Ok(Message::Binary(frame)) => take(&mut inputs, &frame).await,
            Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return,
            Ok(_) => {}
            Err(err) => return tracing::debug!(%err, "The client's connection broke"),
        }
    }
}

async fn take(inputs: &mut [Option<WriteHalf<DuplexStream>>], frame: &[u8]) {
    let Some((channel, bytes)) = frame.split_first() else { return };
    // Nothing is expected on the channels for errors.
    let place = channel.is_multiple_of(2).then(|| usize::from(channel / 2));
    let Some(input) = place.and_then(|place| inputs.get_mut(place)) else { return };
    if let Some(pipe) = input
        && pipe.write_all(bytes).await.is_err()
    {
        // That connection has ended; the others go on.
        *input = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_named_in_the_query() {
        let of = |values: &[&str]| ports(values.iter().copied());
        assert_eq!(of(&["80,443", "8080"]), Ok(vec![80, 443, 8080]));
        assert_eq!(of(&[]), Err("query parameter \"ports\" is required".to_owned()));
        assert_eq!(of(&[""]), Err("query parameter \"ports\" cannot be empty".to_owned()));
        assert_eq!(of(&["0"]), Err("port \"0\" must be > 0".to_owned()));
        assert!(of(&["80,x"]).unwrap_err().starts_with("unable to parse \"80,x\" as a port: "));
        let many: Vec<String> = (1..=65).map(|port: u16| port.to_string()).collect();
        assert!(of(&[&many.join(",")]).unwrap_err().starts_with("at most 64 ports"));
    }
}

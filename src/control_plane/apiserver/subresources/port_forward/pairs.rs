//! SPDY streams in pairs: for each connection an error stream and a data stream of the same request.
//!
//! Upstream: `httpstream.go` (`httpStreamHandler`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Request, request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::door::Door;
use crate::client::clock::Clock;
use crate::control_plane::spdy::{Headers, Incoming, Session, Stream};

/// A request's second stream must have come by then; the kubelet's default.
const STREAM_CREATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves a client after its upgrade to SPDY, until it leaves.
pub(super) async fn serve(head: request::Parts, door: Door, clock: Clock) {
    match hyper::upgrade::on(Request::from_parts(head, ())).await {
        Ok(upgraded) => serve_on(TokioIo::new(upgraded), door, clock).await,
        Err(err) => tracing::debug!(%err, "The client did not go on after the upgrade"),
    }
}

/// The same on any connection. When the client leaves, all its connections to the Pod are dropped.
pub(super) async fn serve_on(
    connection: impl AsyncRead + AsyncWrite + Send,
    door: Door,
    clock: Clock,
) {
    let (session, incoming) =
        Session::new(connection, clock.clone(), |headers| Role::of(headers).is_some());
    let mut session = pin!(session.run());
    let ended = tokio::select! {
        ended = session.as_mut() => ended,
        () = forward_all(incoming, &door, &clock) => session.await,
    };
    if let Err(err) = ended {
        tracing::debug!(%err, "The client's connection broke");
    }
}

/// What a stream is for, by its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Error,
    Data { port: u16 },
}

impl Role {
    /// `None` if the headers are not those of a forwarded port.
    fn of(headers: &Headers) -> Option<Self> {
        let port = headers.get("port")?.parse().ok().filter(|port| *port > 0)?;
        match headers.get("streamtype")? {
            "error" => Some(Self::Error),
            "data" => Some(Self::Data { port }),
            _ => None,
        }
    }
}

/// One of a pair that waits for the other.
#[derive(Debug)]
struct Half {
    role: Role,
    stream: Stream,
    since: Duration,
}

/// A request's two streams.
struct Pair {
    port: u16,
    error: Stream,
    data: Stream,
}

/// Forwards what the client opens, until it opens no more and all has ended.
async fn forward_all(mut incoming: Incoming, door: &Door, clock: &Clock) {
    let mut halves = Halves::default();
    let mut forwards = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !forwards.is_empty() {
        tokio::select! {
            stream = incoming.recv(), if is_open => match stream {
                Some(stream) => {
                    let pair = halves.take(stream, clock.monotonic()).await;
                    forwards.extend(pair.map(|pair| forward(pair, door)));
                }
                None => is_open = false,
            },
            Some(()) = forwards.next() => {}
            () = halves.timeout(clock) => halves.give_up(clock.monotonic()).await,
        }
    }
}

async fn forward(pair: Pair, door: &Door) {
    let Pair { port, mut error, data } = pair;
    let left = data.over();
    if let Err(text) = door.forward(port, data, left).await {
        tell(&mut error, &text).await;
    }
}

/// A client that has gone misses nothing.
async fn tell(error: &mut Stream, text: &str) {
    let _ = error.write_all(text.as_bytes()).await;
}

/// Streams without their counterparts, by request. As many as the session has streams at most.
#[derive(Debug, Default)]
struct Halves(HashMap<String, Half>);

impl Halves {
    /// The pair that the stream completes.
    async fn take(&mut self, stream: Stream, now: Duration) -> Option<Pair> {
        let role = Role::of(stream.headers())?;
        // Clients of Kubernetes 1.0 name no request and open one pair after the other.
        let request = stream.headers().get("requestid").unwrap_or_default().to_owned();
        let mut waiting = match self.0.entry(request) {
            Entry::Vacant(place) => {
                place.insert(Half { role, stream, since: now });
                return None;
            }
            Entry::Occupied(waiting) => waiting,
        };
        let (port, error, data) = match (waiting.get().role, role) {
            (Role::Error, Role::Data { port }) => (port, waiting.remove().stream, stream),
            (Role::Data { port }, Role::Error) => (port, stream, waiting.remove().stream),
            (Role::Error, Role::Error) => {
                let text = format!(
                    "error processing stream for request {}: error stream already assigned",
                    waiting.key()
                );
                tell(&mut waiting.get_mut().stream, &text).await;
                return None;
            }
            // There is nowhere to tell it; dropping the stream ends it.
            (Role::Data { .. }, Role::Data { .. }) => return None,
        };
        Some(Pair { port, error, data })
    }

    /// Waits until some half has waited long enough.
    fn timeout(&self, clock: &Clock) -> impl Future<Output = ()> + 'static {
        let oldest = self.0.values().map(|half| half.since).min();
        let clock = clock.clone();
        async move {
            match oldest {
                Some(since) => clock.sleep_until(since + STREAM_CREATION_TIMEOUT).await,
                None => std::future::pending().await,
            }
        }
    }

    async fn give_up(&mut self, now: Duration) {
        let late = |half: &Half| now >= half.since + STREAM_CREATION_TIMEOUT;
        for (request, mut half) in self.0.extract_if(|_, half| late(half)) {
            if half.role == Role::Error {
                let text = format!("(request={request}) timed out waiting for streams");
                tell(&mut half.stream, &text).await;
            }
        }
    }
}

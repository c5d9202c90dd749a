//! A command's streams over SPDY/3.1, for clients that do not speak WebSocket or fall back.
//!
//! ```text
//! the client opens, by the header `streamtype`:
//!     error, stdin?, stdout?, stderr?, resize? (v3 and newer, with a terminal)
//! the error stream ends with      v4: a Status      v3, v2: a text, if it failed      v1: nothing
//! ```
//!
//! Upstream: `k8s.io/kubelet/pkg/cri/streaming/remotecommand/httpstream.go`,
//! `k8s.io/apimachinery/pkg/util/httpstream`.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request};
use hyper_util::rt::TokioIo;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::ending::ending;
use super::exec::Wanted;
use crate::client::clock::Clock;
use crate::client::node_api::{NodeError, Streams, TerminalSize};
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::spdy::{Incoming, Session, Stream};

const PROTOCOL: &str = "SPDY/3.1";

const OFFERED: &str = "x-stream-protocol-version";
const ACCEPTED: &str = "x-accepted-stream-protocol-versions";

/// A client must have opened its streams by then; the kubelet's default.
const STREAM_CREATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Bound: window sizes in JSON that have not come to an end; one is about 30 bytes.
const SIZE_BYTES_MAX: usize = 1024;

/// What the streams mean. Newest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V1,
    V2,
    V3,
    V4,
}

impl Version {
    /// In the order in which they are told to a client that knows none of them.
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::V4, "v4.channel.k8s.io"),
        (Self::V3, "v3.channel.k8s.io"),
        (Self::V2, "v2.channel.k8s.io"),
        (Self::V1, "channel.k8s.io"),
    ];
}

/// Whether the client wants to speak SPDY.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let has = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.into_iter().any(|value| value.to_ascii_lowercase().contains(word))
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "spdy/3.1")
}

/// Of the protocols spoken here the one that the client likes best, and its name; or the answer that
/// refuses the client.
pub(super) fn negotiate<T: Copy>(
    headers: &HeaderMap,
    spoken: &[(T, &'static str)],
) -> Result<(T, &'static str), Box<Response<Body>>> {
    let offered = headers.get_all(OFFERED).iter().filter_map(|value| value.to_str().ok());
    let offered = offered.flat_map(|list| list.split(',')).map(str::trim);
    let offered: Vec<&str> = offered.filter(|name| !name.is_empty()).collect();
    if offered.is_empty() {
        let text = "unable to upgrade: X-Stream-Protocol-Version is required";
        return Err(Box::new(refusal(StatusCode::BAD_REQUEST, text)));
    }
    let known = |name: &&str| spoken.iter().find(|(_, known)| known == name).copied();
    offered.iter().find_map(known).ok_or_else(|| {
        let accepted: Vec<&str> = spoken.iter().map(|(_, name)| *name).collect();
        let text = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            offered.join(" "),
            accepted.join(" ")
        );
        let mut response = refusal(StatusCode::FORBIDDEN, &text);
        for (_, name) in spoken {
            response.headers_mut().append(ACCEPTED, HeaderValue::from_static(name));
        }
        Box::new(response)
    })
}

/// As Go's `http.Error` writes it.
fn refusal(code: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n").into_bytes()));
    *response.status_mut() = code;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// 101.
pub(super) fn response(protocol: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    headers.insert(OFFERED, HeaderValue::from_static(protocol));
    response
}

/// Joins the client's streams with a command until the command has ended and its output is sent,
/// or the client has gone: then the command's future is dropped, which ends it.
pub(super) async fn serve(
    head: request::Parts,
    version: Version,
    wanted: Wanted,
    clock: Clock,
    run: impl AsyncFnOnce(Streams) -> Result<i32, NodeError>,
) {
    match hyper::upgrade::on(Request::from_parts(head, ())).await {
        Ok(upgraded) => join(TokioIo::new(upgraded), version, wanted, clock, run).await,
        Err(err) => tracing::debug!(%err, "The client did not go on after the upgrade"),
    }
}

async fn join(
    connection: impl AsyncRead + AsyncWrite + Send,
    version: Version,
    wanted: Wanted,
    clock: Clock,
    run: impl AsyncFnOnce(Streams) -> Result<i32, NodeError>,
) {
    let (session, mut incoming) = Session::new(connection, clock.clone(), |_| true);
    let command = async {
        let opened = tokio::select! {
            opened = collect(&mut incoming, version, wanted) => opened?,
            () = clock.sleep(STREAM_CREATION_TIMEOUT) => {
                tracing::debug!("The client did not open its streams in time");
                return None;
            }
        };
        let ended = command(opened, version, wanted, run).await;
        // The session ends when nobody waits for streams.
        drop(incoming);
        ended
    };
    let mut session = std::pin::pin!(session.run());
    let ended = tokio::select! {
        ended = session.as_mut() => ended,
        _ = command => session.await,
    };
    if let Err(err) = ended {
        tracing::debug!(%err, "The client's connection broke");
    }
}

/// The streams that the client has opened.
#[derive(Default)]
struct Opened {
    error: Option<Stream>,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

/// Waits until as many streams have come as the client asked for; `None` if it goes before.
async fn collect(incoming: &mut Incoming, version: Version, wanted: Wanted) -> Option<Opened> {
    let resizes = wanted.tty && version >= Version::V3;
    let expected = [true, wanted.stdin, wanted.stdout, wanted.stderr, resizes];
    let mut missing = expected.into_iter().filter(|expected| *expected).count();
    let mut opened = Opened::default();
    while missing > 0 {
        let stream = incoming.recv().await?;
        let kind = stream.headers().get("streamtype").unwrap_or_default().to_owned();
        let place = match kind.as_str() {
            "error" => &mut opened.error,
            "stdin" => &mut opened.stdin,
            "stdout" => &mut opened.stdout,
            "stderr" => &mut opened.stderr,
            "resize" if version >= Version::V3 => &mut opened.resize,
            _ => {
                tracing::debug!(kind, "A stream of an unexpected type");
                continue;
            }
        };
        *place = Some(stream);
        missing -= 1;
    }
    Some(opened)
}

async fn command(
    opened: Opened,
    version: Version,
    wanted: Wanted,
    run: impl AsyncFnOnce(Streams) -> Result<i32, NodeError>,
) -> Option<()> {
    let Opened { mut error, stdin, stdout, stderr, resize } = opened;
    // Upstream: what kubelets of Kubernetes 1.0 did, and their clients expect.
    if let Some(error) = error.take_if(|_| version == Version::V1) {
        error.reset();
    }
    let (size_tx, size_rx) = wanted.tty.then(|| watch::channel(TerminalSize::default())).unzip();
    let streams = Streams {
        stdin: stdin.map(|it| Box::new(it) as _),
        stdout: stdout.map(|it| Box::new(it) as _),
        stderr: stderr.map(|it| Box::new(it) as _),
        terminal: size_rx,
    };
    let ended = tokio::select! {
        ended = run(streams) => ended,
        never = resizing(resize, size_tx) => match never {},
    };
    let last_words = last_words(version, &ending(ended));
    // A client that has gone misses nothing.
    error?.write_all(&last_words).await.ok()
}

/// What the error stream says at the end. Upstream: `v4WriteStatusFunc`, `v1WriteStatusFunc`.
fn last_words(version: Version, ending: &Status) -> Vec<u8> {
    if version >= Version::V4 {
        return serde_json::to_vec(ending).expect("a Status has only strings and numbers");
    }
    match ending.status.as_deref() {
        Some("Success") => Vec::new(),
        _ => ending.message.clone().unwrap_or_default().into_bytes(),
    }
}

/// Tells the terminal its window's size whenever the client does.
async fn resizing(
    stream: Option<Stream>,
    size_tx: Option<watch::Sender<TerminalSize>>,
) -> std::convert::Infallible {
    if let (Some(mut stream), Some(size_tx)) = (stream, size_tx) {
        let mut json = Vec::new();
        while json.len() < SIZE_BYTES_MAX && matches!(stream.read_buf(&mut json).await, Ok(1..)) {
            let (sizes, rest) = sizes(&json);
            if let Some(newest) = sizes.last() {
                size_tx.send_replace(*newest);
            }
            json = rest;
        }
        // The terminal keeps the size it has; its session goes on.
        std::future::pending::<()>().await;
    }
    std::future::pending().await
}

/// The sizes that have come whole, and what follows them.
fn sizes(json: &[u8]) -> (Vec<TerminalSize>, Vec<u8>) {
    let mut values = serde_json::Deserializer::from_slice(json).into_iter();
    let mut sizes = Vec::new();
    let mut end = 0;
    while let Some(Ok(size)) = values.next() {
        sizes.push(size);
        end = values.byte_offset();
    }
    (sizes, json[end..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(names: &'static [&'static str]) -> HeaderMap {
        names
            .iter()
            .map(|name| (OFFERED.parse().unwrap(), HeaderValue::from_static(name)))
            .collect()
    }

    #[test]
    fn the_clients_favourite_version_is_taken() {
        let of = |names| negotiate(&offering(names), &Version::ALL).ok().map(|(it, _)| it);
        assert_eq!(of(&["v5.channel.k8s.io", "v4.channel.k8s.io"]), Some(Version::V4));
        assert_eq!(of(&["v2.channel.k8s.io, v4.channel.k8s.io"]), Some(Version::V2));
        assert_eq!(of(&["channel.k8s.io"]), Some(Version::V1));
    }

    #[test]
    fn strangers_are_told_what_is_spoken_here() {
        let refused = *negotiate(&offering(&["v9.channel.k8s.io"]), &Version::ALL).unwrap_err();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(refused.headers().get_all(ACCEPTED).iter().count(), 4);
        let silent = *negotiate(&HeaderMap::new(), &Version::ALL).unwrap_err();
        assert_eq!(silent.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn old_versions_end_with_a_text() {
        let failed = ending(Ok(3));
        let text = b"command terminated with non-zero exit code: exit status 3";
        assert_eq!(last_words(Version::V3, &failed), text);
        assert!(last_words(Version::V2, &ending(Ok(0))).is_empty());
        assert!(last_words(Version::V4, &failed).starts_with(b"{"));
    }

    #[test]
    fn window_sizes_come_in_any_portions() {
        let (all, rest) = sizes(br#"{"Width":80,"Height":24} {"Width":100,"Height":50}{"Wid"#);
        assert_eq!(all.iter().map(|size| size.width).collect::<Vec<_>>(), [80, 100]);
        assert_eq!(rest, br#"{"Wid"#);
        assert!(sizes(b"nonsense").0.is_empty());
    }
}

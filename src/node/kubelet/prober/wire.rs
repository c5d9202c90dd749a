//! One request over one connection: HTTP/1.1 or HTTP/2, kept going by whoever waits for the answer. So a
//! probe that is given up leaves nothing behind.

use std::pin::pin;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::dial::Deadline;

/// Bound: bytes and fields of an answer's head.
const HEAD_BYTES_MAX: u32 = 64 << 10;
const HEAD_FIELDS_MAX: usize = 128;
/// Bound: what a connection of HTTP/2 does beside its request: hyper has itself, and the request's body.
const BESIDE_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// Sends the request and has `read` make something of the answer; `None` if the answer has not begun
/// by the deadline. How long `read` takes is its own business.
///
/// # Errors
/// hyper's: the connection, or what came over it.
pub(super) async fn exchange<T>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    version: Version,
    request: Request<Full<Bytes>>,
    deadline: &Deadline,
    read: impl AsyncFnOnce(Response<Incoming>) -> T,
) -> Option<Result<T, hyper::Error>> {
    let io = TokioIo::new(io);
    // Apart, since the larger one needs thirty kilobytes.
    match version {
        Version::Http1 => Box::pin(over_http1(io, request, deadline, read)).await,
        Version::Http2 => Box::pin(over_http2(io, request, deadline, read)).await,
    }
}

async fn over_http1<T>(
    io: TokioIo<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    request: Request<Full<Bytes>>,
    deadline: &Deadline,
    read: impl AsyncFnOnce(Response<Incoming>) -> T,
) -> Option<Result<T, hyper::Error>> {
    let handshake = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX as usize)
        .max_headers(HEAD_FIELDS_MAX)
        .handshake(io);
    let (mut sender, connection) = match deadline.allows(handshake).await? {
        Ok(both) => both,
        Err(error) => return Some(Err(error)),
    };
    let send = deadline.allows(sender.send_request(request));
    beside(answer(send, read), connection).await
}

async fn over_http2<T>(
    io: TokioIo<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    request: Request<Full<Bytes>>,
    deadline: &Deadline,
    read: impl AsyncFnOnce(Response<Incoming>) -> T,
) -> Option<Result<T, hyper::Error>> {
    let (executor, tasks) = Beside::new();
    let talk = async {
        let handshake =
            http2::Builder::new(executor).max_header_list_size(HEAD_BYTES_MAX).handshake(io);
        let (mut sender, connection) = match deadline.allows(handshake).await? {
            Ok(both) => both,
            Err(error) => return Some(Err(error)),
        };
        let send = deadline.allows(sender.send_request(request));
        beside(answer(send, read), connection).await
    };
    beside(talk, tasks).await
}

async fn answer<T>(
    send: impl Future<Output = Option<Result<Response<Incoming>, hyper::Error>>>,
    read: impl AsyncFnOnce(Response<Incoming>) -> T,
) -> Option<Result<T, hyper::Error>> {
    match send.await? {
        Ok(response) => Some(Ok(read(response).await)),
        Err(error) => Some(Err(error)),
    }
}

/// Goes on with both until the first has an answer.
async fn beside<T, U>(first: impl Future<Output = T>, other: impl Future<Output = U>) -> T {
    let (mut first, other) = (pin!(first), pin!(other));
    tokio::select! {
        biased;
        answer = &mut first => answer,
        _ = other => first.await,
    }
}

/// hyper's tasks, run by whoever waits for the answer.
#[derive(Clone)]
struct Beside(mpsc::Sender<BoxFuture<'static, ()>>);

impl Beside {
    fn new() -> (Self, impl Future<Output = ()>) {
        let (tasks_tx, mut tasks_rx) = mpsc::channel(BESIDE_MAX);
        let run = async move {
            let mut tasks = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some(task) = tasks_rx.recv() => tasks.push(task),
                    Some(()) = tasks.next() => {}
                    else => return,
                }
            }
        };
        (Self(tasks_tx), run)
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Beside {
    fn execute(&self, task: F) {
        // Beyond the bound the connection stands still, and the probe's time runs out.
        let _ = self.0.try_send(Box::pin(task));
    }
}

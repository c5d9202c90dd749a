//! Connections from outside: accepted, told apart, served until they end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::forward::{self, Client};
use super::start::Context;
use crate::client::accept;

/// Bound: a client that does not finish its handshake, or the head of a request, in this time is cut
/// off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bound: requests at once on one HTTP/2 connection.
const STREAMS_PER_CONNECTION_MAX: u32 = 128;
/// How often an idle HTTP/2 client must prove that it is there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Accepts until shutdown; with `tls`, every connection begins with its handshake. Connections at once
/// are bounded by the port's share of the host's sockets; the next one waits in the kernel's backlog.
pub(super) async fn accept(ctx: Arc<Context>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let connections = ctx.network.share_of_host_sockets();
    let stop = ctx.stop.clone();
    stop.run_until_cancelled(async {
        loop {
            let permit = connections.take().await;
            let (socket, peer) = accept::accept(&listener, &ctx.clock).await;
            let (ctx, tls) = (Arc::clone(&ctx), tls.clone());
            ctx.tasks.clone().spawn(async move {
                connection(ctx, socket, peer, tls).await;
                drop(permit);
            });
        }
    })
    .await;
}

async fn connection(
    ctx: Arc<Context>,
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
) {
    // Answers are written whole; waiting to fill packets only costs time.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let client = Client { address: peer, is_tls: tls.is_some() };
    let Some(tls) = tls else { return serve(ctx, socket, client, false).await };
    let handshake = tokio::select! {
        stream = tls.accept(socket) => stream,
        () = ctx.clock.sleep(HEAD_TIMEOUT) => return,
    };
    match handshake {
        Ok(stream) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve(ctx, stream, client, is_http2).await;
        }
        Err(error) => debug!(%peer, %error, "TLS handshake failed"),
    }
}

/// Serves one connection until it ends; on shutdown open requests finish first.
async fn serve<S>(ctx: Arc<Context>, stream: S, client: Client, is_http2: bool)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (tasks, stop) = (ctx.tasks.clone(), ctx.stop.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let ctx = Arc::clone(&ctx);
        async move { Ok::<_, std::convert::Infallible>(forward::answer(ctx, client, request).await) }
    });
    let stream = TokioIo::new(stream);
    let ended = if is_http2 {
        let connection = http2::Builder::new(Tracked(tasks))
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .serve_connection(stream, service);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(stream, service)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        debug!(peer = %client.address, %error, "Connection failed");
    }
}

/// Lets hyper's own tasks (one per HTTP/2 stream) be waited for.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

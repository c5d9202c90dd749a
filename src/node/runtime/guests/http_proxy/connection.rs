//! One connection: HTTP/1.1 or HTTP/2, told apart by how it begins.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;

use super::Server;
use super::request::{self, Download};
use super::wire::Wire;
use crate::node::network::Stream;
use crate::node::runtime::wasi::Ends;

/// How long a request's head may take, and how long a connection may wait for its next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Bound: bytes of a request's head (more is 431), and of what is read ahead of a body and of what waits
/// to be written.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The same on connections that begin while [`ROOMY_MAX`] others have as much: heads that never
/// end cost 16 MiB and, of as many connections as a Pod may have, 128 MiB, not 1 GiB.
const HEAD_BYTES_WHEN_MANY: usize = 8 * 1024;
pub(super) const ROOMY_MAX: usize = 256;
/// Bound: fields of a request's head.
const HEAD_FIELDS_MAX: usize = 128;
/// Bound: requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// Bound: bytes of a body that are read ahead of a guest, or wait to be sent, for each request over
/// HTTP/2; and read ahead, of all requests on one connection.
const STREAM_BYTES_MAX: u32 = 64 * 1024;
const CONNECTION_BYTES_MAX: u32 = 256 * 1024;
/// How often a client that is silent over HTTP/2 must prove that it is there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a connection of a Pod that drains, or a server that quits, may be silent before it is closed: a request that was
/// on its way when the Pod began to drain arrives before that, and gets its answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves until either side has had enough.
pub(super) async fn serve(server: Arc<Server>, stream: Stream) {
    let ends = Ends { client: stream.peer_address(), server: stream.local_address() };
    let clock = server.start.container.runtime.clock.clone();
    let roomy = server.roomy.try_acquire();
    let head_bytes_max = if roomy.is_ok() { HEAD_BYTES_MAX } else { HEAD_BYTES_WHEN_MANY };
    let mut wire = Wire::new(stream, clock.clone());
    let spoken = tokio::select! {
        is_http2 = wire.is_http2() => is_http2,
        () = clock.sleep(HEAD_TIMEOUT) => return,
    };
    let ended = match spoken {
        Ok(false) => http1(&server, wire, ends, head_bytes_max).await,
        Ok(true) => http2(&server, wire, ends).await,
        Err(_) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(client = %ends.client, %error, "Connection of a guest's client failed");
    }
}

async fn http1(
    server: &Arc<Server>,
    wire: Wire,
    ends: Ends,
    head_bytes_max: usize,
) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(answer(&server, ends, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(head_bytes_max)
        .max_headers(HEAD_FIELDS_MAX)
        .half_close(true)
        .serve_connection(wire, service);
    let mut connection = pin!(connection);
    let farewell = async {
        server.leaving().await;
        server.start.container.runtime.clock.sleep(FAREWELL).await;
    };
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = farewell => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Its answers say goodbye once the Pod drains.
async fn answer(
    server: &Arc<Server>,
    ends: Ends,
    request: Request<Incoming>,
) -> Response<Download> {
    let mut response = request::answer(server, ends, request).await;
    if server.is_leaving() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn http2(server: &Arc<Server>, wire: Wire, ends: Ends) -> hyper::Result<()> {
    let service = {
        let server = server.clone();
        service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(request::answer(&server, ends, request).await) }
        })
    };
    let connection = http2::Builder::new(Executor(server.clone()))
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_stream_window_size(STREAM_BYTES_MAX)
        .initial_connection_window_size(CONNECTION_BYTES_MAX)
        .max_send_buf_size(STREAM_BYTES_MAX as usize)
        .serve_connection(wire, service);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = server.leaving() => {}
    }
    // GOAWAY: requests that it crosses are answered still.
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// hyper's own tasks, one for each request over HTTP/2, end with the server.
#[derive(Clone)]
struct Executor(Arc<Server>);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.0.spawn(async move { drop(task.await) });
    }
}

//! The API server's clients in its own process: requests go straight to the router, without a
//! socket or TLS; upgrades (exec) go over a connection in memory, because they need one.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tower::Service;

use super::ApiServer;
use super::authentication::Peer;
use super::body::{self, Body, BoxError, RequestBody};
use super::listener::{self, Protocol};
use crate::client::{Answer, Transport};
use crate::control_plane::auth::Identity;

/// Bound: bytes under way in each direction of an in-memory connection.
const DUPLEX_BYTES_MAX: usize = 64 * 1024;

/// Carries one identity's requests; whoever holds it is believed.
#[derive(Clone)]
pub(super) struct InProcess {
    pub(super) server: ApiServer,
    pub(super) identity: Arc<Identity>,
}

impl Transport for InProcess {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Answer> {
        let answer = self.answer(request.map(Full::new));
        async move {
            let (head, body) = answer.await.into_parts();
            Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
        }
        .boxed()
    }
}

impl InProcess {
    fn answer<B>(&self, request: Request<B>) -> BoxFuture<'static, Response<Body>>
    where
        B: hyper::body::Body<Data = Bytes, Error: Error + Send + Sync + 'static> + Send + 'static,
    {
        let mut request = request.map(|body| body.map_err(body::boxed).boxed_unsync());
        request.extensions_mut().insert(Peer::Known(Arc::clone(&self.identity)));
        self.server.handle(request)
    }
}

impl Service<Request<kube::client::Body>> for InProcess {
    type Response = Response<RequestBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        if request.headers().contains_key(header::UPGRADE) {
            let peer = Peer::Known(Arc::clone(&self.identity));
            return upgradeable(self.server.clone(), peer, request).boxed();
        }
        self.answer(request).map(|answer| Ok(answer.map(boxed))).boxed()
    }
}

/// Sends the request over an HTTP/1.1 connection of its own.
async fn upgradeable(
    server: ApiServer,
    peer: Peer,
    mut request: Request<kube::client::Body>,
) -> Result<Response<RequestBody>, BoxError> {
    let (ours, theirs) = tokio::io::duplex(DUPLEX_BYTES_MAX);
    let tracker = server.tracker().clone();
    tracker.spawn(listener::serve(server, theirs, peer, Protocol::Http1));
    let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await?;
    tracker.spawn(connection.with_upgrades());
    request.headers_mut().entry(header::HOST).or_insert(header::HeaderValue::from_static("sampan"));
    let response = sender.send_request(request).await?;
    Ok(response.map(|body| body.map_err(body::boxed).boxed_unsync()))
}

fn boxed(body: Body) -> RequestBody {
    body.map_err(body::boxed).boxed_unsync()
}

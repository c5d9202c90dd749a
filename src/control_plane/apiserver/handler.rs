//! One request from its head to its answer: who asks, may they, what do they ask for.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, header, request};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tracing::{Instrument, debug_span, error};

use super::ApiServer;
use super::authentication::Peer;
use super::body::{Body, RequestBody};
use super::call::Call;
use super::negotiation::Output;
use super::query::Query;
use super::request_info::{RequestInfo, ResourceRequest};
use super::status::{self as answer, Failure, Outcome};
use super::{compression, paths, subresources, verbs};
use crate::api::status;
use crate::client::clock::whole_second;
use crate::control_plane::registry::Scope;

/// Bound: a larger body is refused; kube-apiserver's limit.
const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Bound: a body that takes longer to arrive is given up; kube-apiserver's request timeout.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

impl ApiServer {
    /// Answers one request, whatever happens.
    ///
    /// Boxed: what the verbs do is deep and many-armed, and connections should not carry it inline.
    pub(super) fn handle(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'static, Response<Body>> {
        let server = self.clone();
        async move { server.handle_boxed(request).await }.boxed()
    }

    async fn handle_boxed(&self, request: Request<RequestBody>) -> Response<Body> {
        let span = debug_span!("request", method = %request.method(), uri = %request.uri());
        let accepts_gzip = compression::is_accepted(request.headers());
        let answered = AssertUnwindSafe(self.answer(request)).catch_unwind().instrument(span).await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => answer::response(&failure),
            Err(_panic) => {
                // The panic hook has printed where; the client learns only that it happened.
                error!("A request handler panicked");
                answer::response(&status::internal_error("the server had an internal fault").into())
            }
        };
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&self.ids().uid()) {
            headers.insert("audit-id", id);
        }
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache, private"));
        if accepts_gzip { compression::compressed(response) } else { response }
    }

    async fn answer(&self, request: Request<RequestBody>) -> Outcome<Response<Body>> {
        let (head, body) = request.into_parts();
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let info = RequestInfo::parse(&head.method, head.uri.path(), &query);
        let peer = head.extensions.get::<Peer>().cloned().unwrap_or(Peer::Nobody);
        let identity = self.identify(&peer, &head.headers).await?;
        let identity = self.impersonated(identity, &head.headers)?;
        self.permit(&identity, &info)?;
        match info {
            RequestInfo::Path { path, .. } => paths::answer(self, &head, &path, &query),
            RequestInfo::Resource(request) => {
                let call = self.call(&head, query, request)?;
                let body = match head.method {
                    Method::GET | Method::HEAD => Bytes::new(),
                    _ => self.read(body).await?,
                };
                let call = Call { identity, body, ..call };
                dispatch(call, head).await
            }
        }
    }

    fn call(&self, head: &request::Parts, query: Query, request: ResourceRequest) -> Outcome<Call> {
        let found = self.resource(&request.group, &request.version, &request.resource);
        let resource = found.ok_or_else(status::path_not_found)?;
        let placed = match resource.scope() {
            Scope::Namespaced => {
                !request.namespace.is_empty()
                    || (request.name.is_none() && ["list", "watch"].contains(&request.verb))
            }
            Scope::Cluster => request.namespace.is_empty() || request.resource == "namespaces",
        };
        if !placed || !request.rest.is_empty() {
            return Err(status::path_not_found().into());
        }
        let output = if request.subresource.as_deref().is_some_and(subresources::is_stream) {
            Output::JSON
        } else {
            Output::negotiate(&head.headers, &query)?
        };
        let now = self.clock().now();
        Ok(Call {
            server: self.clone(),
            identity: Default::default(),
            request,
            resource,
            query,
            headers: head.headers.clone(),
            body: Bytes::new(),
            output,
            warnings: Vec::new(),
            now: whole_second(now),
        })
    }

    async fn read(&self, body: RequestBody) -> Outcome<Bytes> {
        tokio::select! {
            // Most bodies are there already: no timer for them.
            biased;
            read = collect(body) => read,
            () = self.clock().sleep(BODY_TIMEOUT) => {
                Err(status::timeout("the request's body did not arrive in time", 0).into())
            }
        }
    }
}

async fn collect(mut body: RequestBody) -> Outcome<Bytes> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|err| Failure::bad_request(format!("unable to read the request: {err}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > BODY_BYTES_MAX {
            let limit = format!("limit is {BODY_BYTES_MAX}");
            return Err(status::request_entity_too_large(limit).into());
        }
        if bytes.is_empty() && body.is_end_stream() {
            // The usual small body came in one piece: no copy.
            return Ok(data);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

async fn dispatch(call: Call, head: request::Parts) -> Outcome<Response<Body>> {
    match call.request.subresource {
        None => verbs::run(call).await,
        Some(_) => subresources::run(call, head).await,
    }
}

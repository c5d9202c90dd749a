//! One request's way: to a Pod of the Service that the table names, and its answer back.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tracing::debug;

use super::start::Context;
use super::table::{Backend, Port};
use crate::node::network::{PodNetwork, Stream};

pub(super) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Bound: how often a request that may be sent twice is tried; the Services' table leads to another
/// Pod each time.
const ATTEMPTS_MAX: usize = 3;
/// Bound: how long a connection to a Pod may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bound: how long a Pod may take to begin its answer, as ingress-nginx's `proxy-read-timeout`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Headers that are one connection's, not the request's (RFC 9110, section 7.6.1).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub address: SocketAddr,
    pub is_tls: bool,
}

/// Answers a request; failures are pages too.
pub(super) async fn answer(
    ctx: Arc<Context>,
    client: Client,
    request: Request<Incoming>,
) -> Response<Body> {
    let host = host_of(&request).to_owned();
    let name = without_port(&host);
    let path = request.uri().path().to_owned();
    let Some(backend) = ctx.table.read().find(name, &path).cloned() else {
        let text = format!("no Ingress has a rule for {name}{path}");
        return page(StatusCode::NOT_FOUND, &text);
    };
    match forward(&ctx, client, request, &host, &backend).await {
        Ok(response) => response,
        Err(Failure { status, text }) => {
            debug!(%host, %path, service = %backend.service, %text, "Not forwarded");
            page(status, &text)
        }
    }
}

struct Failure {
    status: StatusCode,
    text: String,
}

fn unavailable(text: impl Into<String>) -> Failure {
    Failure { status: StatusCode::SERVICE_UNAVAILABLE, text: text.into() }
}

fn page(status: StatusCode, text: &str) -> Response<Body> {
    let text = format!("{} {}\n{text}\n", status.as_u16(), status.canonical_reason().unwrap_or(""));
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// HTTP/2 says it in the URI, HTTP/1 in a header.
fn host_of<B>(request: &Request<B>) -> &str {
    let header = || request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    authority.or_else(header).unwrap_or_default()
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

async fn forward(
    ctx: &Arc<Context>,
    client: Client,
    mut request: Request<Incoming>,
    host: &str,
    backend: &Backend,
) -> Result<Response<Body>, Failure> {
    let upgrade = is_upgrade(request.headers()).then(|| hyper::upgrade::on(&mut request));
    // Only a request that has no effect of its own, and no body that is gone when it was sent, may be
    // sent again when a Pod ends under it.
    let may_repeat = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && request.body().is_end_stream()
        && upgrade.is_none();
    let (mut head, body) = request.into_parts();
    dress(&mut head, client, host, upgrade.is_some());
    let mut body = Some(body);
    let attempts = if may_repeat { ATTEMPTS_MAX } else { 1 };
    let mut last = unavailable("");
    for _ in 0..attempts {
        let stream = connect(ctx, backend).await?;
        let body = match body.take().filter(|_| !may_repeat) {
            Some(body) => body.boxed_unsync(),
            None => Empty::new().map_err(|never| match never {}).boxed_unsync(),
        };
        let outgoing = Request::from_parts(head.clone(), body);
        match exchange(ctx, stream, outgoing).await {
            Ok(response) => return Ok(finish(ctx, response, upgrade)),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let connection = headers.get(header::CONNECTION).and_then(|value| value.to_str().ok());
    headers.contains_key(header::UPGRADE)
        && connection.is_some_and(|value| value.to_ascii_lowercase().contains("upgrade"))
}

/// Makes the head one of HTTP/1.1 to a Pod, with what it should know of the client.
fn dress(head: &mut http::request::Parts, client: Client, host: &str, is_upgrade: bool) {
    let path = head.uri.path_and_query().cloned();
    head.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    head.version = Version::HTTP_11;
    let upgrade = head.headers.get(header::UPGRADE).cloned().filter(|_| is_upgrade);
    HOP_BY_HOP.iter().for_each(|name| drop(head.headers.remove(*name)));
    if let Some(upgrade) = upgrade {
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, upgrade);
    }
    let address = client.address.ip().to_string();
    let before = head.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let chain = before.map_or_else(|| address.clone(), |before| format!("{before}, {address}"));
    let protocol = if client.is_tls { "https" } else { "http" };
    let said: [(HeaderName, &str); 5] = [
        (header::HOST, host),
        (HeaderName::from_static("x-forwarded-for"), &chain),
        (HeaderName::from_static("x-forwarded-host"), host),
        (HeaderName::from_static("x-forwarded-proto"), protocol),
        (HeaderName::from_static("x-real-ip"), &address),
    ];
    for (name, value) in said {
        if let Ok(value) = HeaderValue::from_str(value) {
            head.headers.insert(name, value);
        }
    }
}

/// A connection to one of the Service's Pods, of its own for this request: in memory it costs less
/// than finding out whether an old one is still good.
async fn connect(ctx: &Arc<Context>, backend: &Backend) -> Result<Stream, Failure> {
    let service = &backend.service;
    let gateway = ctx.gateway().ok_or_else(|| unavailable("the Pods' network is not up yet"))?;
    let address = locate(ctx, &gateway, backend).await?;
    tokio::select! {
        connected = gateway.connect(None, address) => connected.map_err(|error| {
            unavailable(format!("no Pod of the Service {service} takes connections: {error}"))
        }),
        () = ctx.clock.sleep(CONNECT_TIMEOUT) => {
            Err(unavailable(format!("no Pod of the Service {service} answers")))
        }
    }
}

async fn locate(
    ctx: &Arc<Context>,
    gateway: &PodNetwork,
    backend: &Backend,
) -> Result<SocketAddr, Failure> {
    let key = &backend.service;
    let service = ctx.services.get(key);
    let spec = service.as_ref().and_then(|service| service.spec.as_ref());
    let spec = spec.ok_or_else(|| unavailable(format!("the Service {key} is not there")))?;
    let port = spec.ports.iter().flatten().find(|port| match &backend.port {
        Port::Number(number) => port.port == *number,
        Port::Name(name) => port.name.as_ref() == Some(name),
    });
    let port = port.ok_or_else(|| unavailable(format!("the Service {key} has no such port")))?;
    let number = |port: i32| u16::try_from(port).unwrap_or(0);
    let cluster_ip = spec.cluster_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    if let Some(ip) = cluster_ip {
        return Ok(SocketAddr::new(ip, number(port.port)));
    }
    // A headless Service's name leads to its Pods.
    let target = match &port.target_port {
        Some(IntOrString::Int(target)) => number(*target),
        Some(IntOrString::String(_)) => {
            return Err(unavailable(format!(
                "the Service {key} is headless and its port is a name: give it a ClusterIP"
            )));
        }
        None => number(port.port),
    };
    let name = format!("{}.{}.svc.{}", key.name, key.namespace, ctx.cluster_domain);
    let found = gateway.resolve(&name).await.ok().and_then(|found| found.into_iter().next());
    let ip = found.ok_or_else(|| unavailable(format!("no Pod of the Service {key} is ready")))?;
    Ok(SocketAddr::new(ip, target))
}

async fn exchange(
    ctx: &Arc<Context>,
    stream: Stream,
    request: Request<Body>,
) -> Result<Response<Incoming>, Failure> {
    let bad = |error: hyper::Error| Failure {
        status: StatusCode::BAD_GATEWAY,
        text: format!("the Pod ended the connection: {error}"),
    };
    let (mut sender, connection) =
        http1::handshake::<_, Body>(TokioIo::new(stream)).await.map_err(bad)?;
    ctx.tasks.spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            debug!(%error, "Connection to a Pod failed");
        }
    });
    tokio::select! {
        response = sender.send_request(request) => response.map_err(bad),
        () = ctx.clock.sleep(ANSWER_TIMEOUT) => Err(Failure {
            status: StatusCode::GATEWAY_TIMEOUT,
            text: format!("the Pod did not begin to answer within {} s", ANSWER_TIMEOUT.as_secs()),
        }),
    }
}

fn finish(
    ctx: &Arc<Context>,
    mut response: Response<Incoming>,
    upgrade: Option<hyper::upgrade::OnUpgrade>,
) -> Response<Body> {
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if let Some(ours) = upgrade.filter(|_| switched) {
        let theirs = hyper::upgrade::on(&mut response);
        let stop = ctx.stop.clone();
        ctx.tasks.spawn(async move {
            let Ok((ours, theirs)) = tokio::try_join!(ours, theirs) else { return };
            let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
            let copy = tokio::io::copy_bidirectional(&mut ours, &mut theirs);
            // Either side may end it at any time, and so may shutdown.
            let _ = stop.run_until_cancelled(copy).await;
        });
    } else {
        HOP_BY_HOP.iter().for_each(|name| drop(response.headers_mut().remove(*name)));
    }
    *response.version_mut() = Version::HTTP_11;
    response.map(BodyExt::boxed_unsync)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_told_who_asks_and_of_no_other_connection() {
        let request = Request::builder()
            .uri("https://a.example.org:8443/x?y=1")
            .header("connection", "keep-alive")
            .header("transfer-encoding", "chunked")
            .header("x-forwarded-for", "192.0.2.9")
            .body(())
            .unwrap();
        let (mut head, ()) = request.into_parts();
        let client = Client { address: "192.0.2.1:4000".parse().unwrap(), is_tls: true };
        dress(&mut head, client, "a.example.org:8443", false);
        assert_eq!(head.uri, "/x?y=1");
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        let mut headers = headers;
        headers.sort();
        assert_eq!(
            headers,
            [
                "host: a.example.org:8443",
                "x-forwarded-for: 192.0.2.9, 192.0.2.1",
                "x-forwarded-host: a.example.org:8443",
                "x-forwarded-proto: https",
                "x-real-ip: 192.0.2.1",
            ]
        );
    }

    #[test]
    fn a_host_is_told_from_its_port() {
        assert_eq!(without_port("a.b:8080"), "a.b");
        assert_eq!(without_port("a.b"), "a.b");
        assert_eq!(without_port("[::1]:8080"), "::1");
    }
}

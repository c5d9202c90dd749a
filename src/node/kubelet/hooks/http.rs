//! `httpGet`: any answer will do.
//!
//! Upstream: `runHTTPHandler` in `pkg/kubelet/lifecycle/handlers.go`, `pkg/probe/http/request.go`.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Hook;
use crate::node::network::Stream;

/// As upstream's kubelet calls itself.
const USER_AGENT: &str = "kube-lifecycle/1.33";

/// # Errors
/// Why there was no answer, in Go's words.
pub(super) async fn get(hook: &Hook, action: &HTTPGetAction) -> Result<(), String> {
    let port = port(&action.port, &hook.container)?;
    let named = action.host.clone().filter(|host| !host.is_empty());
    let host = named.unwrap_or_else(|| hook.network.address().to_string());
    let path = format!("/{}", action.path.as_deref().unwrap_or_default().trim_start_matches('/'));
    let wrap = |why: String| format!("Get \"http://{host}:{port}{path}\": {why}");
    let request = request(action, &host, port, &path).map_err(|error| wrap(error.to_string()))?;
    let stream = connect(hook, &host, port).await.map_err(wrap)?;
    ask(stream, request).await.map_err(wrap)
}

fn request(
    action: &HTTPGetAction,
    host: &str,
    port: u16,
    path: &str,
) -> Result<Request<Empty<Bytes>>, http::Error> {
    let mut request = Request::get(path)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())?;
    let headers = request.headers_mut();
    let given = action.http_headers.iter().flatten();
    for given in given.clone() {
        headers.remove(HeaderName::try_from(&given.name)?);
    }
    for given in given {
        headers.append(HeaderName::try_from(&given.name)?, HeaderValue::try_from(&given.value)?);
    }
    Ok(request)
}

async fn connect(hook: &Hook, host: &str, port: u16) -> Result<Stream, String> {
    let ip = match host.trim_matches(['[', ']']).parse() {
        Ok(ip) => ip,
        Err(_) => look_up(hook, host).await?,
    };
    let to = SocketAddr::new(ip, port);
    let connected = hook.network.connect(None, to).await;
    connected.map_err(|error| format!("dial tcp {to}: connect: {error}").to_lowercase())
}

async fn look_up(hook: &Hook, host: &str) -> Result<IpAddr, String> {
    let found = hook.network.resolve(host).await;
    let found = found.map_err(|error| format!("dial tcp: lookup {host}: {error}"))?;
    found.first().copied().ok_or_else(|| format!("dial tcp: lookup {host}: no such host"))
}

async fn ask(stream: Stream, request: Request<Empty<Bytes>>) -> Result<(), String> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let mut answer = pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = answer.as_mut() => answer,
        // It may have ended with the answer.
        _ = connection => answer.await,
    };
    answer.map(drop).map_err(|error| error.to_string())
}

/// By number, or by the name of one of the container's ports.
fn port(named: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match named {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let found = ports.find(|port| port.name.as_ref() == Some(name));
            let number = found.map(|port| port.container_port).or_else(|| name.parse().ok());
            number.ok_or_else(|| {
                format!("port {name:?} is none of container {}'s ports", container.name)
            })?
        }
    };
    u16::try_from(number).map_err(|_| format!("invalid port number: {number}"))
}

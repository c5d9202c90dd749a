//! What is not a resource: health, version, discovery, OpenAPI.

use http::{Response, StatusCode, request};
use serde_json::json;

use super::ApiServer;
use super::body::Body;
use super::negotiation::Encoding;
use super::query::Query;
use super::render;
use super::status::Outcome;
use crate::api::status;
use crate::telemetry::metrics;

/// The Kubernetes version whose API this is; kubectl warns if it is too far from its own.
const MAJOR: &str = "1";
const MINOR: &str = "33";
const GIT_VERSION: &str = concat!("v1.33.0+sampan-", env!("CARGO_PKG_VERSION"));

pub(super) fn answer(
    server: &ApiServer,
    head: &request::Parts,
    path: &str,
    query: &Query,
) -> Outcome<Response<Body>> {
    let path = path.trim_end_matches('/');
    match path {
        "/healthz" | "/livez" => Ok(health(path, query, &[("ping", true)])),
        "/readyz" => Ok(health(path, query, &[("ping", true), ("started", server.is_ready())])),
        "/version" => version(),
        "/metrics" => Ok(metrics(server)),
        _ => {
            let discovered = server.discovery().answer(path, &head.headers);
            let described = || server.openapi().answer(path, head.uri.query(), &head.headers);
            let found = discovered.or_else(described).ok_or_else(status::path_not_found)?;
            Ok(found.map(Body::from))
        }
    }
}

/// Upstream: `k8s.io/apiserver/pkg/server/healthz/healthz.go`.
fn health(path: &str, query: &Query, checks: &[(&str, bool)]) -> Response<Body> {
    let well = checks.iter().all(|(_, well)| *well);
    let code = if well { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    let text = if well && !query.flag("verbose") {
        "ok".to_owned()
    } else {
        let line = |(name, well): &(&str, bool)| {
            if *well {
                format!("[+]{name} ok\n")
            } else {
                format!("[-]{name} failed: reason withheld\n")
            }
        };
        let lines: String = checks.iter().map(line).collect();
        let verdict = if well { "passed" } else { "failed" };
        format!("{lines}{} check {verdict}\n", &path[1..])
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    render::content_type(&mut response, "text/plain; charset=utf-8");
    response
}

fn metrics(server: &ApiServer) -> Response<Body> {
    let mut response = Response::new(Body::from(server.metrics().text()));
    render::content_type(&mut response, metrics::CONTENT_TYPE);
    response
}

fn version() -> Outcome<Response<Body>> {
    let version = json!({
        "major": MAJOR,
        "minor": MINOR,
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none (Rust)",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, platform_arch()),
    });
    Ok(render::response(StatusCode::OK, Encoding::PrettyJson, render::json(&version)?))
}

/// Go's word for the architecture.
fn platform_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

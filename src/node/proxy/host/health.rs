//! How many endpoints a Service has on this node: what a balancer in front of several nodes asks at
//! the `healthCheckNodePort`.
//!
//! Upstream: `pkg/proxy/healthcheck/service_health.go`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::api::object::ObjectKey;
use crate::client::accept;
use crate::node::proxy::start::Context;
use crate::node::proxy::{endpoints, sync};

/// Bound: askers at once; the next one waits in the kernel's backlog.
const CONNECTIONS_MAX: usize = 64;
/// Bound: who does not ask in this time is cut off. Each connection is for one question.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers until the port is closed.
pub(super) async fn serve(ctx: Arc<Context>, listener: TcpListener, service: ObjectKey) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        let (socket, _) = accept::accept(&listener, &ctx.rooms.clock).await;
        let (ctx, service, stop) = (ctx.clone(), service.clone(), ctx.stop.clone());
        ctx.tasks.clone().spawn(async move {
            stop.run_until_cancelled(connection(&ctx, socket, &service)).await;
            drop(permit);
        });
    }
}

async fn connection(ctx: &Context, socket: TcpStream, service: &ObjectKey) {
    let answer = |_| async {
        let slices = ctx.rooms.endpoint_slices.list_in(&service.namespace);
        let slices = slices.iter().filter(|slice| sync::service_of(slice) == Some(&*service.name));
        Ok::<_, Infallible>(answer(service, endpoints::ready_on(slices, &ctx.site.node)))
    };
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service_fn(answer))
        .await;
    if let Err(error) = ended {
        debug!(%service, %error, "A health check broke");
    }
}

fn answer(service: &ObjectKey, local: usize) -> Response<Full<bytes::Bytes>> {
    let ObjectKey { namespace, name } = service;
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}},\n\t\
         \"localEndpoints\": {local},\n\t\"serviceProxyHealthy\": true\n}}"
    );
    let mut response = Response::new(Full::from(body));
    if local == 0 {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    headers.insert("x-content-type-options", http::HeaderValue::from_static("nosniff"));
    headers.insert("x-load-balancing-endpoint-weight", local.into());
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn a_node_without_endpoints_is_unavailable() {
        for (local, status) in [(2, 200), (0, 503)] {
            let answer = answer(&ObjectKey::new("n", "web"), local);
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["x-load-balancing-endpoint-weight"], *local.to_string());
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let expect = json!({
                "service": {"namespace": "n", "name": "web"},
                "localEndpoints": local, "serviceProxyHealthy": true,
            });
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expect);
        }
    }
}

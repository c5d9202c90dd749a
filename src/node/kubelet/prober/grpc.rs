//! `grpc`: a server says by `grpc.health.v1.Health/Check` that a service of its serves, without TLS.
//!
//! Upstream: `pkg/probe/grpc`, whose client is grpc-go.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::GRPCAction;
use percent_encoding::percent_decode_str;
use prost::Message;

use super::ask::{Answer, USER_AGENT};
use super::dial::{Deadline, Dialer};
use super::wire::{self, Version};
use super::words;

/// Bound: an answer's body; it says one number.
const BODY_BYTES_MAX: usize = 4 << 10;
/// grpc-go's client waits so long before it tries to connect once more.
const RECONNECT: Duration = Duration::from_secs(1);
/// Before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

const UNKNOWN: u32 = 2;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;

#[derive(Clone, PartialEq, Eq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// gRPC's own idea of an error.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    code: u32,
    message: String,
}

pub(super) async fn ask(
    dialer: &Dialer,
    action: &GRPCAction,
    port: u16,
    timeout: Duration,
    deadline: &Deadline,
) -> Answer {
    let (host, service) = (dialer.pod_host(), action.service.as_deref().unwrap_or_default());
    let within = words::duration(timeout);
    let connect = async {
        loop {
            match dialer.connect(&host, port, deadline).await {
                Ok(stream) => return stream,
                Err(_) => deadline.clock.sleep(RECONNECT).await,
            }
        }
    };
    let address = format!("{host}:{port}");
    let Some(stream) = deadline.allows(connect).await else {
        return Answer::Failure(format!(
            "timeout: failed to connect service {address:?} within {within}: context deadline exceeded"
        ));
    };
    let request = request(&address, service, timeout);
    let read = async |response| deadline.allows(read(response)).await;
    let checked = match wire::exchange(stream, Version::Http2, request, deadline, read).await {
        Some(Ok(Some(checked))) => checked,
        Some(Err(error)) => Err(Status {
            code: 14,
            message: format!("connection error: desc = \"{}\"", root_cause(&error)),
        }),
        None | Some(Ok(None)) => {
            let text = format!("timeout: health rpc did not complete within {within}");
            return Answer::Failure(text);
        }
    };
    judge(checked)
}

fn judge(checked: Result<i32, Status>) -> Answer {
    match checked {
        Ok(1) => Answer::Success,
        Ok(status) => {
            let named = match status {
                0 => "UNKNOWN".to_owned(),
                2 => "NOT_SERVING".to_owned(),
                3 => "SERVICE_UNKNOWN".to_owned(),
                other => other.to_string(),
            };
            Answer::Failure(format!("service unhealthy (responded with {named:?})"))
        }
        Err(Status { code: UNIMPLEMENTED, message }) => Answer::Failure(format!(
            "error: this server does not implement the grpc health protocol \
             (grpc.health.v1.Health): {message}"
        )),
        Err(Status { code, message }) => Answer::Failure(format!(
            "error: health rpc probe failed: rpc error: code = {} desc = {message}",
            code_name(code)
        )),
    }
}

fn request(address: &str, service: &str, timeout: Duration) -> Request<Full<Bytes>> {
    let message = HealthCheckRequest { service: service.to_owned() }.encode_to_vec();
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.put_slice(&message);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", USER_AGENT)
        .header("grpc-timeout", format!("{}m", timeout.as_millis()))
        .body(Full::new(body.freeze()));
    request.expect("an address and a port make a URI, and the rest is constant or a number")
}

/// The status that the server gives the service.
///
/// # Errors
/// The server's own, or what its answer comes to.
async fn read(response: Response<Incoming>) -> Result<i32, Status> {
    let (head, mut body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(of_http(head.status));
    }
    // All of an answer that fails may be in its head.
    if let Some(failed) = Status::of(&head.headers) {
        failed?;
    }
    let (mut data, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let broken = |error: hyper::Error| internal(&error.to_string());
        match frame.map_err(broken)?.into_data() {
            Ok(more) if data.len() + more.len() > BODY_BYTES_MAX => {
                return Err(internal("the answer is too long"));
            }
            Ok(more) => data.extend_from_slice(&more),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    match Status::of(&trailers) {
        Some(status) => status?,
        None => return Err(internal("server closed the stream without sending trailers")),
    }
    if data.len() < PREFIX_BYTES || data[0] != 0 {
        return Err(internal("cardinality violation: received no response message"));
    }
    data.advance(PREFIX_BYTES);
    let response = HealthCheckResponse::decode(data);
    response.map(|response| response.status).map_err(|error| internal(&error.to_string()))
}

fn internal(text: &str) -> Status {
    Status { code: INTERNAL, message: text.to_owned() }
}

impl Status {
    /// What headers or trailers say; `None` if they do not.
    fn of(headers: &HeaderMap) -> Option<Result<(), Self>> {
        let code = headers.get("grpc-status")?.to_str().ok().and_then(|code| code.parse().ok());
        let message = headers.get("grpc-message").map(|text| text.as_bytes()).unwrap_or_default();
        let message = String::from_utf8_lossy(message);
        let message = percent_decode_str(&message).decode_utf8_lossy().into_owned();
        Some(match code {
            Some(0) => Ok(()),
            code => Err(Self { code: code.unwrap_or(UNKNOWN), message }),
        })
    }
}

/// Upstream: grpc-go's `HTTPStatusConvTab`.
fn of_http(status: StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => UNIMPLEMENTED,
        429 | 502..=504 => 14,
        _ => UNKNOWN,
    };
    let (number, phrase) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
    let message = format!("unexpected HTTP status code received from server: {number} ({phrase})");
    Status { code, message }
}

fn code_name(code: u32) -> String {
    const NAMES: &[&str] = &[
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    let named = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    named.map_or_else(|| format!("Code({code})"), |name| (*name).to_owned())
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(checked: Result<i32, Status>, expect: &str) {
        assert_eq!(judge(checked), Answer::Failure(expect.to_owned()));
    }

    #[test]
    fn only_serving_is_well() {
        assert_eq!(judge(Ok(1)), Answer::Success);
        check(Ok(2), "service unhealthy (responded with \"NOT_SERVING\")");
        check(Ok(0), "service unhealthy (responded with \"UNKNOWN\")");
        let unknown = Status { code: 5, message: "unknown service".to_owned() };
        check(
            Err(unknown),
            "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
        );
        check(
            Err(of_http(StatusCode::NOT_FOUND)),
            "error: this server does not implement the grpc health protocol \
             (grpc.health.v1.Health): unexpected HTTP status code received from server: 404 \
             (Not Found)",
        );
    }

    #[test]
    fn a_status_is_read_from_headers() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            Status::of(&pairs.collect())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("grpc-status", "0")]), Some(Ok(())));
        let status = Status { code: 12, message: "unknown method x".to_owned() };
        assert_eq!(
            of(&[("grpc-status", "12"), ("grpc-message", "unknown%20method x")]),
            Some(Err(status))
        );
    }
}

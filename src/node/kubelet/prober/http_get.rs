//! `httpGet`: a server answers with a status from 200 to 399. Upstream: `pkg/probe/http`.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, HTTPHeader};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use super::ask::{Answer, Errored, USER_AGENT};
use super::dial::{self, Deadline, Dialer};
use super::tls;
use super::wire::{self, Version};
use crate::client::clock::Clock;
use crate::node::network::{Network, PodNetwork};

/// Bound: what is read of a body, as upstream's `maxRespBodyLength`.
const BODY_BYTES_MAX: usize = 10 << 10;
/// Bound: redirects that are followed, as Go's client.
const REDIRECTS_MAX: usize = 10;
/// How long a hook waits for its answer: a year.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a hook waits for its container's port: as long as a probe that comes at once.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);
/// As upstream calls itself in hooks.
const HOOK_AGENT: &str = "kube-lifecycle/1.33";
/// What is written otherwise in a path that a user gave.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    is_tls: bool,
    host: String,
    port: u16,
    /// With the query.
    path: String,
    /// As it is told.
    url: String,
}

/// Why a request came to nothing.
enum Trouble {
    /// No answer.
    Request(String),
    /// The answer began, and its body did not come.
    Body(String),
}

struct Answered {
    status: StatusCode,
    location: Option<String>,
    body: String,
}

/// # Errors
/// [`Errored`] if an answer begins and does not come to its end.
pub(super) async fn ask(
    dialer: &Dialer,
    action: &HTTPGetAction,
    port: u16,
    deadline: &Deadline,
) -> Result<Answer, Errored> {
    let mut place = Place::of(action, &dialer.pod_host(), port);
    let first_host = place.host.clone();
    let given = action.http_headers.as_deref().unwrap_or_default();
    let mut headers = match headers(given, USER_AGENT) {
        Ok(headers) => headers,
        Err(text) => return Ok(Answer::Failure(format!("Get {:?}: {text}", place.url))),
    };
    for followed in 0.. {
        let answered = match get(dialer, &place, &headers, deadline).await {
            Ok(answered) => answered,
            Err(Trouble::Request(text)) => {
                return Ok(Answer::Failure(format!("Get {:?}: {text}", place.url)));
            }
            Err(Trouble::Body(text)) => return Err(Errored::failure(text)),
        };
        let Some(location) = answered.location.as_ref().filter(|_| may_follow(answered.status))
        else {
            return Ok(judge(&answered));
        };
        let Some((next, is_relative)) = place.follow(location) else {
            let text = format!("failed to parse Location header {location:?}");
            return Ok(Answer::Failure(format!("Get {:?}: {text}", place.url)));
        };
        if next.host != first_host {
            return Ok(judge(&answered));
        }
        if followed + 1 >= REDIRECTS_MAX {
            let text = format!("Get {:?}: stopped after 10 redirects", next.url);
            return Ok(Answer::Failure(text));
        }
        if !is_relative {
            headers.remove(header::HOST);
        }
        place = next;
    }
    Ok(Answer::Success)
}

/// For a lifecycle hook: any answer will do, however long it takes. Answers with a text for an Event if a
/// server that was to speak TLS does not, and was asked without.
///
/// # Errors
/// Why there was no answer, in Go's words.
///
/// Upstream: `runHTTPHandler` in `pkg/kubelet/lifecycle/handlers.go`, which lets who asks wait; a hook is
/// given up with its container.
pub(in crate::node::kubelet) async fn hook(
    network: &Network,
    pod: &PodNetwork,
    container: &Container,
    action: &HTTPGetAction,
    clock: &Clock,
) -> Result<Option<String>, String> {
    let dialer = Dialer { network: network.clone(), pod: pod.clone(), is_on_host: false };
    let port = dial::port(&action.port, container)?;
    let deadline = Deadline { clock: clock.clone(), at: clock.monotonic() + NEVER };
    if action.host.as_deref().is_none_or(str::is_empty) {
        // A server that has just begun needs a moment. If it still does not listen then, the answer says so.
        let by = Deadline { clock: clock.clone(), at: clock.monotonic() + BEGINS_WITHIN };
        let _ = by.allows(dialer.pod.listening(port)).await;
    }
    let mut place = Place::of(action, &dialer.pod_host(), port);
    let given = action.http_headers.as_deref().unwrap_or_default();
    let mut headers = headers(given, HOOK_AGENT)?;
    let get = async |place: &Place, headers: &HeaderMap| {
        match get(&dialer, place, headers, &deadline).await {
            // Upstream reads no more of a body than is there.
            Ok(_) | Err(Trouble::Body(_)) => Ok(()),
            Err(Trouble::Request(text)) => Err(text),
        }
    };
    let error = match get(&place, &headers).await {
        Ok(()) => return Ok(None),
        Err(error) => format!("Get {:?}: {error}", place.url),
    };
    if !error.ends_with(tls::HTTP_RESPONSE) {
        return Err(error);
    }
    place.is_tls = false;
    headers.remove(header::AUTHORIZATION);
    get(&place, &headers).await.map_err(|_| error)?;
    let host = authority(&place.host, place.port);
    Ok(Some(format!(
        "request to HTTPS lifecycle hook {host} got HTTP response, retry with HTTP succeeded"
    )))
}

fn may_follow(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn judge(answered: &Answered) -> Answer {
    let Answered { status, body, .. } = answered;
    match status.as_u16() {
        200..300 => Answer::Success,
        300..400 => Answer::Warning(format!("Probe terminated redirects, Response body: {body}")),
        // Without the body, which may hold what is nobody's business.
        status => Answer::Failure(format!("HTTP probe failed with statuscode: {status}")),
    }
}

/// # Errors
/// In Go's words, for a value that no header can have.
///
/// Upstream: `pkg/probe/http/request.go`.
fn headers(given: &[HTTPHeader], agent: &'static str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for HTTPHeader { name, value } in given {
        let invalid = || format!("net/http: invalid header field value for {name:?}");
        let key: HeaderName = name.parse().map_err(|_| invalid())?;
        headers.append(key, HeaderValue::from_str(value).map_err(|_| invalid())?);
    }
    for (name, default) in [(header::USER_AGENT, agent), (header::ACCEPT, "*/*")] {
        match headers.get(&name) {
            None => drop(headers.insert(name, HeaderValue::from_static(default))),
            // Whoever wants none says so.
            Some(value) if value.is_empty() => drop(headers.remove(name)),
            Some(_) => {}
        }
    }
    if headers.get(header::HOST).is_some_and(HeaderValue::is_empty) {
        headers.remove(header::HOST);
    }
    Ok(headers)
}

impl Place {
    fn of(action: &HTTPGetAction, pod_host: &str, port: u16) -> Self {
        let is_tls = action.scheme.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("https"));
        let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(pod_host);
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let path = action.path.as_deref().unwrap_or_default();
        let path = path.split_once('#').map_or(path, |(path, _)| path);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{}", utf8_percent_encode(path, NOT_IN_PATHS));
        let scheme = if is_tls { "https" } else { "http" };
        let url = format!("{scheme}://{}{path}", authority(&host, port));
        Self { is_tls, host, port, path, url }
    }

    /// Where a redirect leads, and whether it is told in relation to this place.
    fn follow(&self, location: &str) -> Option<(Self, bool)> {
        let next = Url::parse(&self.url).ok()?.join(location).ok()?;
        let is_relative = Url::parse(location).is_err();
        let is_tls = match next.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let query = next.query().map_or_else(String::new, |query| format!("?{query}"));
        let place = Self {
            is_tls,
            host: next.host_str()?.trim_matches(['[', ']']).to_owned(),
            port: next.port_or_known_default()?,
            path: format!("{}{query}", next.path()),
            url: next.to_string(),
        };
        Some((place, is_relative))
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn get(
    dialer: &Dialer,
    place: &Place,
    headers: &HeaderMap,
    deadline: &Deadline,
) -> Result<Answered, Trouble> {
    let late = || {
        let text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        Trouble::Request(text.to_owned())
    };
    let stream = dialer.connect(&place.host, place.port, deadline).await;
    let stream = stream.map_err(|error| Trouble::Request(error.to_string()))?;
    let ends = (stream.local_address(), stream.peer_address());
    let request = |version| request(place, headers, version).map_err(Trouble::Request);
    let read = async |response| read(response, deadline).await;
    // The body's time runs out by itself; who has not begun to answer by then is too late.
    let exchanged = if place.is_tls {
        let tls =
            deadline.allows(Box::pin(tls::connect(&place.host, stream))).await.ok_or_else(late)?;
        let tls = tls.map_err(Trouble::Request)?;
        let is_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        let version = if is_http2 { Version::Http2 } else { Version::Http1 };
        wire::exchange(tls, version, request(version)?, deadline, read).await
    } else {
        wire::exchange(stream, Version::Http1, request(Version::Http1)?, deadline, read).await
    };
    match exchanged.ok_or_else(late)? {
        Ok(read) => read.map_err(Trouble::Body),
        Err(error) => Err(Trouble::Request(in_go(&error, ends))),
    }
}

/// # Errors
/// For a path that no request can have.
fn request(
    place: &Place,
    headers: &HeaderMap,
    version: Version,
) -> Result<Request<Full<Bytes>>, String> {
    let authority = authority(&place.host, place.port);
    let uri = match version {
        Version::Http1 => place.path.clone(),
        Version::Http2 => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            format!("https://{}{}", host.unwrap_or(&authority), place.path)
        }
    };
    let request = Request::get(uri).body(Full::default());
    let mut request = request.map_err(|error| error.to_string())?;
    *request.headers_mut() = headers.clone();
    match version {
        Version::Http1 => {
            let host = HeaderValue::from_str(&authority).map_err(|error| error.to_string())?;
            request.headers_mut().entry(header::HOST).or_insert(host);
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Version::Http2 => drop(request.headers_mut().remove(header::HOST)),
    }
    Ok(request)
}

/// # Errors
/// The body did not come, in Go's words.
async fn read(response: Response<Incoming>, deadline: &Deadline) -> Result<Answered, String> {
    let location = response.headers().get(header::LOCATION);
    let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let status = response.status();
    let mut body = response.into_body();
    let mut kept = Vec::new();
    while kept.len() < BODY_BYTES_MAX {
        let frame = deadline.allows(body.frame()).await.ok_or_else(|| {
            "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
                .to_owned()
        })?;
        match frame {
            None => break,
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                let room = BODY_BYTES_MAX - kept.len();
                kept.extend_from_slice(&data[..data.len().min(room)]);
            }
            Some(Err(_)) => return Err("unexpected EOF".to_owned()),
        }
    }
    let body = String::from_utf8_lossy(&kept).into_owned();
    Ok(Answered { status, location, body })
}

/// Why no answer came.
fn in_go(error: &hyper::Error, (local, remote): (SocketAddr, SocketAddr)) -> String {
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    if let Some(io) = causes.find_map(|cause| cause.downcast_ref::<std::io::Error>()) {
        return match io.kind() {
            std::io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
            std::io::ErrorKind::BrokenPipe => {
                format!("write tcp {local}->{remote}: write: broken pipe")
            }
            _ => format!("read tcp {local}->{remote}: read: {}", io.to_string().to_lowercase()),
        };
    }
    if error.is_parse() {
        return format!("net/http: HTTP/1.x transport connection broken: {error}");
    }
    // It closed the connection without an answer, or in the midst of one.
    "EOF".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn place(action: Value) -> Place {
        Place::of(&serde_json::from_value(action).unwrap(), "10.42.0.7", 8080)
    }

    #[test]
    fn a_place_is_the_pods_unless_another_is_named() {
        let check = |action: Value, url: &str| assert_eq!(place(action).url, url);
        check(json!({"port": 8080, "path": "/healthz"}), "http://10.42.0.7:8080/healthz");
        check(json!({"port": 8080, "path": "a b?c=d#e"}), "http://10.42.0.7:8080/a%20b?c=d");
        check(
            json!({"port": 8080, "path": "/", "scheme": "HTTPS", "host": "Example.com"}),
            "https://example.com:8080/",
        );
        check(json!({"port": 8080, "path": "/", "host": "::1"}), "http://[::1]:8080/");
    }

    #[test]
    fn redirects_are_told_in_relation_or_in_full() {
        let from = place(json!({"port": 8080, "path": "/a/b?c"}));
        let check = |location: &str, expect: Option<(&str, u16, &str, bool)>| {
            let to = from.follow(location);
            let to = to.as_ref().map(|(to, relative)| (&*to.host, to.port, &*to.path, *relative));
            assert_eq!(to, expect, "{location}");
        };
        check("/x?y", Some(("10.42.0.7", 8080, "/x?y", true)));
        check("../x", Some(("10.42.0.7", 8080, "/x", true)));
        check("http://10.42.0.7:81/", Some(("10.42.0.7", 81, "/", false)));
        check("https://other.example", Some(("other.example", 443, "/", false)));
        check("//other.example/x", Some(("other.example", 80, "/x", true)));
        check("mailto:x", None);
        check("http://[", None);
    }

    #[test]
    fn headers_are_those_of_kube_probe_unless_said_otherwise() {
        let with = |given: Value| {
            let given: Vec<HTTPHeader> = serde_json::from_value(given).unwrap();
            headers(&given, USER_AGENT).map(|headers| {
                let text =
                    |name| headers.get(name).map(|v: &HeaderValue| v.to_str().unwrap().to_owned());
                [text("user-agent"), text("accept"), text("host")]
            })
        };
        let own = ["kube-probe/1.33", "*/*"].map(|text| Some(text.to_owned()));
        assert_eq!(with(json!([])).unwrap(), [own[0].clone(), own[1].clone(), None]);
        let said = json!([{"name": "user-agent", "value": "me"}, {"name": "Accept", "value": ""},
            {"name": "Host", "value": "web"}]);
        assert_eq!(with(said).unwrap(), [Some("me".to_owned()), None, Some("web".to_owned())]);
        let bad = json!([{"name": "X-A", "value": "a\nb"}]);
        assert_eq!(with(bad).unwrap_err(), "net/http: invalid header field value for \"X-A\"");
    }

    #[test]
    fn a_status_is_judged_without_what_it_says() {
        let check = |status: u16, expect: Answer| {
            let status = StatusCode::from_u16(status).unwrap();
            let answered = Answered { status, location: None, body: "secret".to_owned() };
            assert_eq!(judge(&answered), expect);
        };
        check(204, Answer::Success);
        let text = "Probe terminated redirects, Response body: secret";
        check(304, Answer::Warning(text.to_owned()));
        check(500, Answer::Failure("HTTP probe failed with statuscode: 500".to_owned()));
    }
}

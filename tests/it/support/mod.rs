//! A control plane for one test.

use std::net::Ipv4Addr;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use sampan::client::clock::{Clock, Ids};
use sampan::control_plane::auth::Identity;
use sampan::control_plane::auth::pki::Pki;
use sampan::control_plane::{ControlPlane, Rooms, ServiceRanges, storage};
use serde_json::Value;
use tokio_util::task::TaskTracker;

/// A running control plane and its administrator's client.
pub(crate) struct Server {
    pub(crate) control_plane: ControlPlane,
    pub(crate) client: kube::Client,
    /// Stands still until a test moves it.
    pub(crate) clock: Clock,
}

pub(crate) async fn server() -> Server {
    let epoch: Timestamp = "2026-11-22T17:00:00Z".parse().unwrap();
    let clock = Clock::manual(epoch);
    let pki = Pki::ephemeral(&[], &clock).unwrap();
    let rooms = Rooms {
        storage: storage::memory(clock.clone(), &TaskTracker::new()),
        pki,
        clock: clock.clone(),
        ids: Ids::counting(),
        metrics: sampan::telemetry::Metrics::new(),
        ranges: ServiceRanges::default(),
        volumes_directory: "/var/lib/sampan/volumes".into(),
        served_at: Ipv4Addr::new(10, 42, 0, 1),
    };
    let control_plane = ControlPlane::start(rooms).await.unwrap();
    control_plane.ready().await;
    let client = control_plane.client(Identity::admin()).kube();
    Server { control_plane, client, clock }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The body, if the code is the expected one.
    #[track_caller]
    pub(crate) fn expect(&self, code: u16) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.code.as_u16(), code, "{text}");
        self.json()
    }

    /// The message of a Status.
    #[track_caller]
    pub(crate) fn message(&self, code: u16) -> String {
        self.expect(code)["message"].as_str().unwrap().to_owned()
    }
}

impl Server {
    /// Sends a request line such as `GET /api/v1/pods`, with headers `Name: value`.
    pub(crate) async fn send(
        &self,
        line: &str,
        headers: &[&str],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        send(&self.client, line, headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(&format!("DELETE {path}"), &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&format!("POST {path}"), &["Content-Type: application/json"], body.to_string())
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(&format!("PUT {path}"), &["Content-Type: application/json"], body.to_string())
            .await
    }
}

impl Server {
    /// The list at `path` as soon as it is as `wanted`; panics if that takes too long.
    #[track_caller]
    pub(crate) fn until(
        &self,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> impl Future<Output = Value> {
        /// Bound: no story of a test waits longer for one thing.
        const TIME_MAX: std::time::Duration = std::time::Duration::from_secs(20);
        let caller = std::panic::Location::caller();
        async move {
            let mut last = Value::Null;
            let found = tokio::time::timeout(TIME_MAX, async {
                loop {
                    last = self.get(path).await.expect(200);
                    if wanted(&last) {
                        break;
                    }
                    if path.contains("/events") {
                        // Recorders wait a moment before they write.
                        self.clock.advance(std::time::Duration::from_millis(20));
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let version = last["metadata"]["resourceVersion"].as_str().unwrap();
                    let and = if path.contains('?') { '&' } else { '?' };
                    let watch = format!("{path}{and}watch=1&resourceVersion={version}");
                    self.watch(&watch).await.next().await;
                }
            });
            assert!(found.await.is_ok(), "{caller}: {last:#}");
            last
        }
    }
}

/// A watch as it is received.
pub(crate) struct Events {
    body: Body,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event; panics if the watch ends instead.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let frame = self.body.frame().await.expect("the watch ended").unwrap();
            self.buffer.extend_from_slice(frame.data_ref().expect("data"));
        }
    }

    /// The next event's type and object name.
    pub(crate) async fn next_name(&mut self) -> (String, String) {
        let event = self.next().await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

impl Server {
    /// Begins a watch; `path` has the query.
    pub(crate) async fn watch(&self, path: &str) -> Events {
        watch(&self.client, path).await
    }
}

pub(crate) async fn watch(client: &kube::Client, path: &str) -> Events {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    Events { body: response.into_body(), buffer: Vec::new() }
}

pub(crate) async fn send(
    client: &kube::Client,
    line: &str,
    headers: &[&str],
    body: impl Into<Vec<u8>>,
) -> Answer {
    let (method, uri) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(uri);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body.into())).unwrap();
    let response = client.send(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect_bytes().await.unwrap().to_vec();
    Answer { code: head.status, headers: head.headers, bytes }
}

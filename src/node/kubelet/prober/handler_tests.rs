//! Servers of all sorts, asked over the Pods' network.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{GRPCAction, HTTPGetAction};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::task::TaskTracker;

use super::ask::{Answer, Errored};
use super::dial::{Deadline, Dialer};
use super::{grpc, http_get, tcp};
use crate::client::clock::Clock;
use crate::node::network::{Config, Member, Network, PodNetwork, Resolver};

struct World {
    clock: Clock,
    dialer: Dialer,
    tasks: TaskTracker,
    _node: PodNetwork,
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let network = Network::new(Config::default(), clock.clone());
        let join = |n: u8| {
            network.join(Member {
                address: Ipv4Addr::new(10, 42, 0, n),
                namespace: "default".to_owned(),
                name: format!("pod-{n}"),
                resolver: Resolver::default(),
            })
        };
        let (node, pod) = (join(1), join(2));
        let dialer = Dialer { network, pod, is_on_host: false };
        Self { clock, dialer, tasks: TaskTracker::new(), _node: node }
    }

    fn deadline(&self) -> Deadline {
        Deadline { clock: self.clock.clone(), at: self.clock.monotonic() + Duration::from_secs(1) }
    }

    /// Serves each connection to the Pod's port by what `serve` makes of it.
    fn serve<F: Future<Output = ()> + Send + 'static>(
        &self,
        port: u16,
        serve: impl Fn(crate::node::network::Stream) -> F + Send + 'static,
    ) {
        let listener = self.dialer.pod.listen(SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
        self.tasks.spawn(async move {
            while let Ok(stream) = listener.accept().await {
                serve(stream).await;
            }
        });
    }

    /// Answers each request with what `answer` says to its head.
    fn answer(&self, port: u16, answer: impl Fn(&str) -> String + Send + Sync + 'static) {
        let answer = Arc::new(answer);
        self.serve(port, move |stream| say(stream, answer.clone()));
    }

    async fn get(&self, action: Value) -> Result<Answer, Errored> {
        let mut action = action;
        action["port"] = json!(80);
        let action: HTTPGetAction = serde_json::from_value(action).unwrap();
        http_get::ask(&self.dialer, &action, 80, &self.deadline()).await
    }

    async fn check(&self, service: &str) -> Answer {
        let action = GRPCAction { port: 80, service: Some(service.to_owned()) };
        let timeout = Duration::from_secs(1);
        grpc::ask(&self.dialer, &action, 80, timeout, &self.deadline()).await
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: Arc<impl Fn(&str) -> String>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or(0) > 0 {}
    let head = String::from_utf8(head).unwrap();
    // Whoever has heard enough may be gone.
    let _ = stream.write_all(answer(&head).as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn hang(stream: crate::node::network::Stream) {
    std::future::pending::<()>().await;
    drop(stream);
}

fn status(line: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn failure(text: &str) -> Result<Answer, Errored> {
    Ok(Answer::Failure(text.to_owned()))
}

#[tokio::test]
async fn a_status_from_200_to_399_is_well() {
    let world = World::new();
    world.answer(80, |head| {
        let path = head.split(' ').nth(1).unwrap();
        let code = path.trim_start_matches('/');
        status(code, "", "said")
    });
    assert_eq!(world.get(json!({"path": "/200"})).await, Ok(Answer::Success));
    assert_eq!(world.get(json!({"path": "/299"})).await, Ok(Answer::Success));
    let text = "Probe terminated redirects, Response body: said";
    assert_eq!(world.get(json!({"path": "/302"})).await, Ok(Answer::Warning(text.to_owned())));
    for code in [400, 500, 503] {
        let expect = format!("HTTP probe failed with statuscode: {code}");
        assert_eq!(world.get(json!({"path": format!("/{code}")})).await, failure(&expect));
    }
}

#[tokio::test]
async fn the_request_says_who_asks_and_what_the_probe_says() {
    let world = World::new();
    world.answer(80, |head| {
        let expect = "GET /a?b HTTP/1.1\r\nx-own: 1\r\nuser-agent: kube-probe/1.33\r\naccept: */*\r\n\
                      host: 10.42.0.2:80\r\nconnection: close\r\n\r\n";
        if head == expect { status("200 OK", "", "") } else { status("400 Bad", "", head) }
    });
    let headers = json!([{"name": "X-Own", "value": "1"}]);
    let answer = world.get(json!({"path": "/a?b", "httpHeaders": headers})).await;
    assert_eq!(answer, Ok(Answer::Success));
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_host_only() {
    let world = World::new();
    world.answer(80, |head| match head.split(' ').nth(1).unwrap() {
        "/near" => status("302 Found", "Location: /bad\r\n", ""),
        "/port" => status("301 Moved", "Location: http://10.42.0.2:81/\r\n", ""),
        "/far" => status("302 Found", "Location: http://192.0.2.1/\r\n", "elsewhere"),
        "/loop" => status("302 Found", "Location: /loop\r\n", ""),
        _ => status("500 Bad", "", ""),
    });
    world.answer(81, |_| status("200 OK", "", ""));
    let bad = failure("HTTP probe failed with statuscode: 500");
    assert_eq!(world.get(json!({"path": "/near"})).await, bad);
    assert_eq!(world.get(json!({"path": "/port"})).await, Ok(Answer::Success));
    let text = "Probe terminated redirects, Response body: elsewhere";
    assert_eq!(world.get(json!({"path": "/far"})).await, Ok(Answer::Warning(text.to_owned())));
    let text = "Get \"http://10.42.0.2/loop\": stopped after 10 redirects";
    assert_eq!(world.get(json!({"path": "/loop"})).await, failure(text));
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_go_s_words() {
    let world = World::new();
    let get = || world.get(json!({"path": "/"}));
    let wrong = |text: &str| failure(&format!("Get \"http://10.42.0.2:80/\": {text}"));
    assert_eq!(get().await, wrong("dial tcp 10.42.0.2:80: connect: connection refused"));
    world.answer(80, |_| String::new());
    assert_eq!(get().await, wrong("EOF"));
    let world = World::new();
    world.answer(80, |_| "SSH-2.0-x\r\n".to_owned());
    let Ok(Answer::Failure(text)) = world.get(json!({"path": "/"})).await else { panic!() };
    let begin = "Get \"http://10.42.0.2:80/\": net/http: HTTP/1.x transport connection broken";
    assert!(text.starts_with(begin), "{text}");
    let host = json!({"path": "/", "host": "192.0.2.300"});
    let Ok(Answer::Failure(text)) = world.get(host).await else { panic!() };
    let text = text.strip_prefix("Get \"http://192.0.2.300:80/\": dial tcp: lookup 192.0.2.300");
    assert!(text.is_some());
}

#[tokio::test]
async fn a_server_that_hangs_has_its_time() {
    let world = World::new();
    world.serve(80, hang);
    let mut asked = std::pin::pin!(world.get(json!({"path": "/"})));
    assert!(futures::poll!(&mut asked).is_pending());
    world.clock.advance(Duration::from_secs(1));
    let text = "Get \"http://10.42.0.2:80/\": context deadline exceeded (Client.Timeout exceeded while \
                awaiting headers)";
    assert_eq!(asked.await, failure(text));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_nobody_s_failure() {
    let world = World::new();
    world.answer(80, |_| "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".to_owned());
    let answer = world.get(json!({"path": "/"})).await;
    assert_eq!(answer, Err(Errored::failure("unexpected EOF")));
    // A long one is not waited for.
    let world = World::new();
    let long = "x".repeat(20 << 10);
    world.answer(80, move |_| format!("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{long}"));
    assert_eq!(world.get(json!({"path": "/"})).await, Ok(Answer::Success));
}

#[tokio::test]
async fn https_needs_no_certificate_that_anybody_trusts() {
    let world = World::new();
    let made = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    world.serve(80, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(tls) = acceptor.accept(stream).await {
                say(tls, Arc::new(|_: &str| status("200 OK", "", ""))).await;
            }
        }
    });
    let https = json!({"path": "/", "scheme": "HTTPS"});
    assert_eq!(world.get(https.clone()).await, Ok(Answer::Success));
    let world = World::new();
    world.serve(80, async |mut stream| {
        stream.write_all(status("400 Bad", "", "").as_bytes()).await.unwrap();
        hang(stream).await;
    });
    let text = "Get \"https://10.42.0.2:80/\": http: server gave HTTP response to HTTPS client";
    assert_eq!(world.get(https).await, failure(text));
}

#[tokio::test]
async fn a_port_is_well_if_somebody_listens() {
    let world = World::new();
    let ask = async |host: &str| tcp::ask(&world.dialer, host, 80, &world.deadline()).await;
    let refused = "dial tcp 10.42.0.2:80: connect: connection refused".to_owned();
    assert_eq!(ask("10.42.0.2").await, Answer::Failure(refused));
    let unreachable = "dial tcp 10.42.0.9:80: connect: no route to host".to_owned();
    assert_eq!(ask("10.42.0.9").await, Answer::Failure(unreachable));
    world.serve(80, |_| std::future::ready(()));
    assert_eq!(ask("10.42.0.2").await, Answer::Success);
}

type Frames = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

/// `payments` serves, `orders` does not, `gone` is unknown; of `web` it is not even gRPC.
async fn health(request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    use http_body_util::BodyExt;
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert_eq!(request.headers()["grpc-timeout"], "1000m");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let service = String::from_utf8(body.slice(7..).to_vec()).unwrap();
    let message = |status: u8| Ok(Frame::data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status])));
    let trailers = |status: &'static str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(status));
        trailers.insert("grpc-message", HeaderValue::from_static("unknown%20service"));
        Ok(Frame::trailers(trailers))
    };
    let (code, frames) = match service.as_str() {
        "payments" => (200, vec![message(1), trailers("0")]),
        "orders" => (200, vec![message(2), trailers("0")]),
        "gone" => (200, vec![trailers("5")]),
        _ => (404, vec![]),
    };
    let body = StreamBody::new(stream::iter(frames));
    Ok(Response::builder().status(code).body(body).unwrap())
}

#[tokio::test]
async fn a_service_is_well_if_the_server_says_so() {
    let world = World::new();
    world.serve(80, |stream| async {
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service_fn(health))
            .await;
    });
    assert_eq!(world.check("payments").await, Answer::Success);
    let unhealthy = "service unhealthy (responded with \"NOT_SERVING\")".to_owned();
    assert_eq!(world.check("orders").await, Answer::Failure(unhealthy));
    let unknown =
        "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service";
    assert_eq!(world.check("gone").await, Answer::Failure(unknown.to_owned()));
    let Answer::Failure(text) = world.check("web").await else { panic!() };
    assert!(text.starts_with("error: this server does not implement the grpc health protocol"));
}

#[tokio::test]
async fn a_grpc_server_that_is_not_there_is_waited_for() {
    let world = World::new();
    let mut asked = std::pin::pin!(world.check(""));
    assert!(futures::poll!(&mut asked).is_pending());
    world.clock.advance(Duration::from_secs(1));
    let text =
        "timeout: failed to connect service \"10.42.0.2:80\" within 1s: context deadline exceeded";
    assert_eq!(asked.await, Answer::Failure(text.to_owned()));
    let world = World::new();
    world.serve(80, hang);
    let mut asked = std::pin::pin!(world.check(""));
    assert!(futures::poll!(&mut asked).is_pending());
    world.clock.advance(Duration::from_secs(1));
    let text = "timeout: health rpc did not complete within 1s";
    assert_eq!(asked.await, Answer::Failure(text.to_owned()));
}

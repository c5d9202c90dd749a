//! Components that serve wasi:http, on the Pod network, without a cluster around them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use sampan::client::clock::Clock;
use sampan::node::network::{Config, Member, Network, PodNetwork, Resolver};
use sampan::node::runtime::{Container, Exit, Http};
use tokio_util::task::TaskTracker;

use crate::containers::{Ran, image, start_in};
use crate::guests::programs;

/// A Pod with the test server in it, and another to come from.
struct Story {
    network: Network,
    pod: PodNetwork,
    client: PodNetwork,
    container: Arc<Container>,
    ran: Box<dyn FnOnce(i32) -> Ran>,
}

fn join(network: &Network, last: u8) -> PodNetwork {
    network.join(Member {
        address: [10, 42, 0, last].into(),
        namespace: "default".to_owned(),
        name: format!("pod-{last}"),
        resolver: Resolver { uses_cluster: true, ..Resolver::default() },
    })
}

async fn serve(http: Http) -> Story {
    let network = Network::new(Config::default(), Clock::system());
    let (pod, client) = (join(&network, 1), join(&network, 2));
    let (container, ran) = server(&pod, http, None).await;
    Story { network, pod, client, container: Arc::new(container), ran: Box::new(ran) }
}

async fn server(
    pod: &PodNetwork,
    http: Http,
    memory_bytes_max: Option<u64>,
) -> (Container, impl FnOnce(i32) -> Ran + use<>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("server.wasm");
    std::fs::write(&path, programs::component("server")).expect("it is written");
    let image = image(&format!("file://{}", path.display())).await;
    start_in(Some(pod.clone()), &image, &[], "", memory_bytes_max, http).await
}

type Sender = http1::SendRequest<Full<Bytes>>;

impl Story {
    async fn connect(&self) -> Sender {
        let address = SocketAddr::from((self.pod.address(), 80));
        let stream = self.client.connect(None, address).await.expect("somebody listens");
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        TaskTracker::new().spawn(connection);
        sender
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        get(&mut self.connect().await, path).await
    }

    /// Ends the container; what it printed.
    async fn end(self) -> Ran {
        self.container.kill(9);
        (self.ran)(self.container.wait().await.code)
    }
}

fn request(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder().uri(path).header("host", "web");
    request.body(Full::new(body.into())).unwrap()
}

async fn get(sender: &mut Sender, path: &str) -> (StatusCode, String) {
    sender.ready().await.expect("the connection is kept");
    text(sender.send_request(request(path, "")).await.unwrap()).await
}

async fn text(response: Response<Incoming>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn ok(text: &str) -> (StatusCode, String) {
    (StatusCode::OK, text.to_owned())
}

#[tokio::test]
async fn a_server_answers_on_port_80_over_connections_that_are_kept() {
    let story = serve(Http::default()).await;
    let mut sender = story.connect().await;
    for _ in 0..3 {
        assert_eq!(get(&mut sender, "/hello").await, ok("hello\n"));
    }
    assert_eq!(get(&mut sender, "/no").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&mut sender, "/request?a=b").await, ok("Method::Get web /request?a=b\n"));
    assert_eq!(get(&mut sender, "/print").await, ok("printed\n"));
    let ran = story.end().await;
    let expect = ("to stdout\n".to_owned(), "to stderr\n".to_owned(), 137);
    assert_eq!((ran.output, ran.errors, ran.code), expect);
}

#[tokio::test]
async fn http2_is_spoken_with_those_who_begin_with_it() {
    let story = serve(Http::default()).await;
    let address = SocketAddr::from((story.pod.address(), 80));
    let stream = story.client.connect(None, address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = handshake.unwrap();
    TaskTracker::new().spawn(connection);
    let ask = |path| {
        let mut sender = sender.clone();
        async move {
            let uri = format!("http://web{path}");
            let request = Request::builder().uri(uri).body(Full::new(Bytes::new())).unwrap();
            text(sender.send_request(request).await.unwrap()).await
        }
    };
    let both = tokio::join!(ask("/slow?20"), ask("/hello"));
    assert_eq!(both, (ok("slow\n"), ok("hello\n")));
    story.end().await;
}

#[tokio::test]
async fn bodies_are_streamed_both_ways() {
    let story = serve(Http::default()).await;
    let mut sender = story.connect().await;
    let long = "0123456789abcdef".repeat(1 << 16);
    let response = sender.send_request(request("/echo", long.clone())).await.unwrap();
    let (status, back) = text(response).await;
    assert!(status == StatusCode::OK && back == long, "{status} {}", back.len());
    let (_, big) = get(&mut sender, "/big?5000000").await;
    assert_eq!(big.len(), 5_000_000);
    assert_eq!(get(&mut sender, "/hello").await, ok("hello\n"));
    story.end().await;
}

#[tokio::test]
async fn what_goes_wrong_with_one_request_is_its_own_affair() {
    let story = serve(Http { reuse: Some(100), ..Http::default() }).await;
    let mut sender = story.connect().await;
    for path in ["/trap", "/silent", "/error", "/exit"] {
        let (status, _) = get(&mut sender, path).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
    assert_eq!(get(&mut sender, "/count").await, ok("1\n"));
    sender.ready().await.unwrap();
    let late = sender.send_request(request("/trap-late?20", "")).await.unwrap();
    assert_eq!(late.status(), StatusCode::OK);
    assert!(late.into_body().collect().await.is_err(), "half a body is no whole one");
    assert_eq!(story.get("/hello").await, ok("hello\n"));
    let errors = story.end().await.errors;
    for line in [
        "/server.wasm: GET /trap: wasm trap: wasm `unreachable` instruction executed\n",
        "/server.wasm: GET /silent: the guest ended without an answer\n",
        "/server.wasm: GET /error: the guest answered with an error: ",
        "/server.wasm: GET /exit: the guest exited with ",
        "/server.wasm: GET /trap-late: wasm trap: wasm `unreachable` instruction executed\n",
    ] {
        assert!(errors.contains(line), "{line:?} in {errors}");
    }
}

#[tokio::test]
async fn an_instance_answers_as_many_requests_as_it_may() {
    let story = serve(Http { reuse: Some(2), ..Http::default() }).await;
    let mut sender = story.connect().await;
    for expect in ["1\n", "2\n", "1\n"] {
        assert_eq!(get(&mut sender, "/count").await, ok(expect));
    }
    story.end().await;
    let story = serve(Http::default()).await;
    for _ in 0..2 {
        assert_eq!(story.get("/count").await, ok("1\n"));
    }
    story.end().await;
}

#[tokio::test]
async fn requests_are_answered_side_by_side_and_a_busy_one_dies_with_its_container() {
    let story = serve(Http::default()).await;
    let mut busy = story.connect().await;
    let busy = busy.send_request(request("/spin", ""));
    let (_, quick) = tokio::join!(story.get("/slow?50"), story.get("/hello"));
    assert_eq!(quick, ok("hello\n"));
    story.container.kill(15);
    let exit = story.container.wait().await;
    assert_eq!(exit, Exit { code: 143, oom_killed: false, message: None });
    assert!(busy.await.is_err());
}

#[tokio::test]
async fn all_instances_share_the_container_s_memory() {
    let network = Network::new(Config::default(), Clock::system());
    let pod = join(&network, 1);
    let (container, ran) = server(&pod, Http::default(), Some(48 << 20)).await;
    let story = Story {
        client: join(&network, 2),
        network,
        pod,
        container: Arc::new(container),
        ran: Box::new(ran),
    };
    assert_eq!(story.get("/memory?10000000").await, ok("10000000\n"));
    let mut sender = story.connect().await;
    // Whether 500 goes out before the connection ends is a matter of luck.
    drop(sender.send_request(request("/memory?60000000", "")).await);
    let exit = story.container.wait().await;
    assert!(exit.oom_killed && exit.code == 137, "{exit:?}");
}

#[tokio::test]
async fn a_port_that_another_container_of_the_pod_serves_is_refused_in_the_log() {
    let story = serve(Http { ports: vec![8080, 80], ..Http::default() }).await;
    assert_eq!(story.get("/hello").await, ok("hello\n"));
    let http = Http { ports: vec![8080], ..Http::default() };
    let (second, ran) = server(&story.pod, http, None).await;
    let ran = ran(second.wait().await.code);
    let text = "/server.wasm: cannot listen on port 8080: Address already in use: \
                another server of this Pod has the port\n";
    assert_eq!((ran.errors.as_str(), ran.code), (text, 1));
    story.end().await;
}

#[tokio::test]
async fn a_call_may_go_on_after_its_answer() {
    let story = serve(Http { reuse: Some(9), ..Http::default() }).await;
    let mut sender = story.connect().await;
    assert_eq!(get(&mut sender, "/afterwards?30").await, ok("answered\n"));
    // The instance is busy still: another one answers.
    assert_eq!(get(&mut sender, "/slow?100").await, ok("slow\n"));
    assert_eq!(story.end().await.output, "afterwards\n");
}

#[tokio::test]
async fn a_pod_that_drains_says_goodbye_and_loses_no_request() {
    let story = serve(Http::default()).await;
    let (mut busy, mut idle, mut late) =
        (story.connect().await, story.connect().await, story.connect().await);
    for sender in [&mut idle, &mut late] {
        assert_eq!(get(sender, "/hello").await, ok("hello\n"));
    }
    let under_way = busy.send_request(request("/slow?50", ""));
    story.pod.drain();
    let response = under_way.await.unwrap();
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(text(response).await, ok("slow\n"));
    // A request that was just being sent is answered, too, and so is a new connection.
    late.ready().await.unwrap();
    let response = late.send_request(request("/hello", "")).await.unwrap();
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(text(response).await, ok("hello\n"));
    assert_eq!(story.get("/hello").await, ok("hello\n"));
    drop(busy);
    let idle_pod = tokio::time::timeout(Duration::from_secs(10), story.pod.idle()).await;
    assert!(idle_pod.is_ok(), "the idle connection is closed");
    let closed = async {
        while !idle.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), closed).await.is_ok());
    let _ = &story.network;
    story.end().await;
}

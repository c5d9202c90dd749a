//! What a request to a server of wasi:http costs: to the Pod over memory, over a socket of the host's
//! that is handed to it as a NodePort does, and, in the same run, at `wasmtime serve` if `PEER` names
//! its program. Figures are printed, never asserted: see `benches/README.md` for how to read them.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run has nothing to say")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench measures time")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio as Streams};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use sampan::client::clock::Clock;
use sampan::node::files::Root;
use sampan::node::network::{self, Member, Network, PodNetwork, Resolver};
use sampan::node::runtime::{Config, Container, ContainerSpec, Http, Runtime, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[path = "../wasm-workloads/testing/host.rs"]
mod guests;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: web\r\n\r\n";
const BODY: &[u8] = b"\r\n\r\nhello\n";
/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(3);

fn main() {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(run());
}

async fn run() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = guests::component("server");
    std::fs::create_dir_all(directory.path().join("image")).unwrap();
    let program = directory.path().join("image/server.wasm");
    std::fs::write(&program, bytes).unwrap();
    let cache_directory = directory.path().join("cache");
    let runtime = Runtime::new(Config { cache_directory, instances_max: 1200 }, Clock::system());
    let runtime = runtime.unwrap();
    runtime.warm_up().await.unwrap();
    for (name, reuse) in [("an instance per request", 1), ("an instance per 128 requests", 128)] {
        let pod = Pod::start(&runtime, directory.path(), reuse).await;
        for connections in [1, 64] {
            let from = pod.client.clone();
            let address = pod.address;
            let connect = move || {
                let from = from.clone();
                async move { from.connect(None, address).await.unwrap() }
            };
            measure(&format!("{name}, memory"), connections, connect).await;
            let port = pod.node_port().await;
            let connect = move || async move { tcp(port).await };
            measure(&format!("{name}, handed over"), connections, connect).await;
        }
        pod.container.kill(9);
        pod.container.wait().await;
    }
    peer(&program).await;
    runtime.shutdown().await;
}

struct Pod {
    network: Network,
    address: SocketAddr,
    client: PodNetwork,
    container: Container,
}

impl Pod {
    async fn start(runtime: &Runtime, directory: &Path, reuse: u32) -> Self {
        let network = Network::new(network::Config::default(), Clock::system());
        let join = |last: u8| {
            network.join(Member {
                address: [10, 42, 0, last].into(),
                namespace: "default".to_owned(),
                name: format!("pod-{last}"),
                resolver: Resolver::default(),
            })
        };
        let (pod, client) = (join(1), join(2));
        let upper = directory.join(format!("upper-{reuse}"));
        std::fs::create_dir(&upper).unwrap();
        let open = |path: &Path| Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        let root = Root::new(Some(open(&directory.join("image"))), open(&upper));
        let spec = ContainerSpec {
            name: "bench".to_owned(),
            argv: vec!["/server.wasm".to_owned()],
            env: Vec::new(),
            working_dir: "/".to_owned(),
            root: Arc::new(root),
            tools: None,
            memory_bytes_max: None,
            cpu_millis_max: None,
            stdio: Stdio::default(),
            http: Http { reuse: Some(reuse), ..Http::default() },
        };
        let address = SocketAddr::from((pod.address(), 80));
        let container = runtime.sandbox("bench", Some(pod)).start(spec).await.unwrap();
        Self { network, address, client, container }
    }

    /// A port of the host's whose connections are handed to the Pod.
    async fn node_port(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap();
        let (network, endpoint) = (self.network.clone(), self.address);
        tokio::spawn(async move {
            while let Ok((socket, client)) = listener.accept().await {
                if let Err((error, _)) = network.hand_over(socket, endpoint, client) {
                    println!("handing over: {error}");
                }
            }
        });
        port
    }
}

async fn tcp(port: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(port).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// `wasmtime serve`, as it comes; its own defaults decide how often an instance is used.
async fn peer(program: &Path) {
    let Ok(peer) = std::env::var("PEER") else {
        println!("no peer: PEER=/path/to/wasmtime measures `wasmtime serve` beside it");
        return;
    };
    for (name, options) in [
        ("wasmtime serve", &[][..]),
        ("wasmtime serve, pooling", &["-O", "pooling-allocator=y"][..]),
        (
            "wasmtime serve, pooling, one request each",
            &["-O", "pooling-allocator=y", "--max-instance-reuse-count", "1"][..],
        ),
    ] {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut command = Command::new(&peer);
        command.args(["serve", "-S", "cli", "--addr", &port.to_string()]).args(options);
        command.arg(program).stdout(Streams::null()).stderr(Streams::null());
        let mut serving = Serving(command.spawn().unwrap());
        if !is_there(port, &mut serving).await {
            println!("{name}: it does not serve with {options:?}");
            continue;
        }
        for connections in [1, 64] {
            measure(name, connections, move || async move { tcp(port).await }).await;
        }
    }
}

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn is_there(port: SocketAddr, serving: &mut Serving) -> bool {
    for _ in 0..500 {
        if TcpStream::connect(port).await.is_ok() {
            return true;
        }
        if serving.0.try_wait().unwrap().is_some() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Requests one after another over each of so many connections.
async fn measure<S, F>(name: &str, connections: usize, connect: impl Fn() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = S>,
{
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut stream = connect().await;
        // Warm.
        ask(&mut stream).await;
        clients.push(stream);
    }
    let began = Instant::now();
    let tasks = clients.into_iter().map(|mut stream| {
        tokio::spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < SPAN {
                let asked = Instant::now();
                ask(&mut stream).await;
                times.push(asked.elapsed());
            }
            times
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort();
    let per_second = times.len() as f64 / began.elapsed().as_secs_f64();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{name:<46} {connections:>3} connections {per_second:>8.0}/s  p50 {:>9.1?}  p99 {:>9.1?}",
        at(50),
        at(99)
    );
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(BODY) {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the server has gone");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

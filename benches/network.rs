//! Bytes and round trips between two Pods: as the network carries them, and as guests see them who
//! know nothing but std's sockets; in the same run the same program as processes of the host's, over
//! the kernel's loopback. Figures are printed, never asserted: see `benches/README.md`.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run has nothing to say")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench measures time")]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as Streams};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use parking_lot::Mutex;
use sampan::client::clock::Clock;
use sampan::node::files::{Layer, Root};
use sampan::node::network::{self, Member, Network, PodNetwork, Resolver, Stream};
use sampan::node::runtime::{Config, Container, ContainerSpec, Http, Output, Runtime, Stdio};
use tokio::task::JoinSet;

#[path = "../wasm-workloads/testing/host.rs"]
mod guests;

const ROUNDS: usize = 5;
const MEBIBYTES: usize = 2048;
const TRIPS: usize = 100_000;
/// A round trip's bytes, each way.
const TRIP: usize = 64;
const CHUNK: usize = 64 * 1024;
const PORT: u16 = 8080;
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 3);

fn main() {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    threads.block_on(run());
}

async fn run() {
    let bench = Bench::new();
    let (mut carried, mut guests, mut kernel) = (Row::default(), Row::default(), Row::default());
    // In turns, so that what else the machine does meets all of them.
    for _ in 0..ROUNDS {
        let (bulk, trip) = (bench.carry().await, bench.carry_trips().await);
        carried.add(bulk, trip);
        let (bulk, trip) = (bench.guests_bulk().await, bench.guests_trips().await);
        guests.add(bulk, trip);
        let (bulk, trip) = tokio::task::spawn_blocking(kernel_bulk_and_trips).await.unwrap();
        kernel.add(bulk, trip);
    }
    carried.print("Pod to Pod, the network alone");
    guests.print("Pod to Pod, guests with std::net");
    kernel.print("processes with std::net, kernel's loopback");
    bench.runtime.shutdown().await;
}

/// What the rounds came to.
#[derive(Default)]
struct Row {
    bulks: Vec<Duration>,
    trips: Vec<Duration>,
}

impl Row {
    /// `bulk` is for all of [`MEBIBYTES`], `trip` for one of [`TRIPS`].
    fn add(&mut self, bulk: Duration, trip: Duration) {
        self.bulks.push(bulk);
        self.trips.push(trip);
    }

    fn print(&mut self, name: &str) {
        self.bulks.sort();
        self.trips.sort();
        let rate = |took: Duration| MEBIBYTES as f64 / 1024.0 / took.as_secs_f64();
        let (bulk, trip) = (self.bulks[ROUNDS / 2], self.trips[ROUNDS / 2]);
        let (best, quickest) = (rate(self.bulks[0]), self.trips[0]);
        println!(
            "{name:<44} {:>6.2} GiB/s (best {best:.2})   {TRIP} bytes to and fro {trip:>8.2?} (best {quickest:.2?})",
            rate(bulk)
        );
    }
}

struct Bench {
    runtime: Runtime,
    directory: tempfile::TempDir,
    client: PodNetwork,
    server: PodNetwork,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("image")).unwrap();
        let program = directory.path().join("image/sockets");
        std::fs::write(program, guests::component("sockets")).unwrap();
        let cache_directory = directory.path().join("cache");
        let config = Config { cache_directory, instances_max: 100 };
        let runtime = Runtime::new(config, Clock::system()).unwrap();
        let network = Network::new(network::Config::default(), Clock::system());
        let join = |address: Ipv4Addr, name: &str| {
            network.join(Member {
                address,
                namespace: "default".to_owned(),
                name: name.to_owned(),
                resolver: Resolver::default(),
            })
        };
        let client = join(Ipv4Addr::new(10, 42, 0, 2), "client");
        Self { runtime, directory, client, server: join(SERVER, "server") }
    }

    /// A connection's two ends; the first is the client's.
    async fn connected(&self) -> (Stream, Stream) {
        let address = SocketAddr::from((SERVER, PORT));
        let listener = self.server.listen(address).unwrap();
        let client = self.client.connect(None, address).await.unwrap();
        (client, listener.accept().await.unwrap())
    }

    async fn carry(&self) -> Duration {
        let (client, server) = self.connected().await;
        let chunk = Bytes::from(vec![0x5a; CHUNK]);
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            for _ in 0..MEBIBYTES * (1 << 20) / CHUNK {
                put(&client, chunk.clone()).await;
            }
        });
        let mut left = MEBIBYTES << 20;
        while left > 0 {
            left -= take(&server, CHUNK).await.len();
        }
        tasks.join_all().await;
        began.elapsed()
    }

    async fn carry_trips(&self) -> Duration {
        let (client, server) = self.connected().await;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            for _ in 0..TRIPS {
                let bytes = take(&server, TRIP).await;
                put(&server, bytes).await;
            }
        });
        let began = Instant::now();
        for _ in 0..TRIPS {
            put(&client, Bytes::from_static(&[1; TRIP])).await;
            let mut left = TRIP;
            while left > 0 {
                left -= take(&client, TRIP).await.len();
            }
        }
        let took = began.elapsed();
        tasks.join_all().await;
        took / TRIPS as u32
    }

    async fn guests_bulk(&self) -> Duration {
        let address = format!("{SERVER}:{PORT}");
        let (server, _) = self.start(&self.server, &["sink", &address]).await;
        let said = self.run(&["bulk", &address, &MEBIBYTES.to_string()]).await;
        server.wait().await;
        bulk(&said)
    }

    async fn guests_trips(&self) -> Duration {
        let address = format!("{SERVER}:{PORT}");
        let (server, _) = self.start(&self.server, &["echo", &address, "1"]).await;
        let said = self.run(&["pingpong", &address, &TRIPS.to_string(), &TRIP.to_string()]).await;
        server.wait().await;
        trip(&said)
    }

    /// Of the Pod that connects, to its end.
    async fn run(&self, argv: &[&str]) -> String {
        let (container, said) = self.start(&self.client, argv).await;
        assert_eq!(container.wait().await.code, 0, "{}", said.lock());
        let said = said.lock();
        said.clone()
    }

    /// A server that listens, or a client that has begun.
    async fn start(&self, pod: &PodNetwork, argv: &[&str]) -> (Container, Arc<Mutex<String>>) {
        let said = Arc::<Mutex<String>>::default();
        let log = |said: Arc<Mutex<String>>| {
            Output::Log(Arc::new(move |bytes: &[u8]| {
                said.lock().push_str(&String::from_utf8_lossy(bytes));
            }))
        };
        let (stdout, stderr) = (log(said.clone()), log(said.clone()));
        let spec = ContainerSpec {
            name: "bench".to_owned(),
            argv: ["/sockets"].iter().chain(argv).map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            working_dir: "/".to_owned(),
            root: self.root(),
            tools: None,
            memory_bytes_max: None,
            cpu_millis_max: None,
            stdio: Stdio { stdout, stderr, ..Stdio::default() },
            http: Http::default(),
        };
        let container = self.runtime.sandbox("bench", Some(pod.clone())).start(spec).await.unwrap();
        let is_client = std::ptr::eq(pod, &raw const self.client);
        while !is_client && !pod.listens(PORT) {
            tokio::task::yield_now().await;
        }
        (container, said)
    }

    fn root(&self) -> Arc<Root> {
        let upper = tempfile::tempdir_in(self.directory.path()).unwrap().keep();
        let open = |path: &Path| Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        let image = Layer::from(open(&self.directory.path().join("image")));
        Arc::new(Root::new(Some(Arc::new(image)), open(&upper)))
    }
}

async fn put(stream: &Stream, mut bytes: Bytes) {
    while !bytes.is_empty() {
        if stream.try_write(&mut bytes).unwrap() == 0 {
            stream.writable().await;
        }
    }
}

async fn take(stream: &Stream, max: usize) -> Bytes {
    loop {
        match stream.try_read(max).unwrap() {
            Some(bytes) => return bytes,
            None => stream.readable().await,
        }
    }
}

/// What `sockets bulk` prints: how many bytes the other side has counted, and nanoseconds.
fn bulk(said: &str) -> Duration {
    let (bytes, nanoseconds) = said.trim().split_once(' ').unwrap();
    assert_eq!(bytes.parse::<usize>().unwrap(), MEBIBYTES << 20);
    Duration::from_nanos(nanoseconds.parse().unwrap())
}

/// What `sockets pingpong` prints.
fn trip(said: &str) -> Duration {
    Duration::from_nanos(said.trim().parse().unwrap())
}

fn kernel_bulk_and_trips() -> (Duration, Duration) {
    let run = |server: &[&str], client: &dyn Fn(&str) -> Vec<String>| {
        let (mut server, address) = native_server(server);
        let client = Command::new(native()).args(client(&address)).output().unwrap();
        assert!(client.status.success(), "{client:?}");
        assert!(server.wait().unwrap().success());
        String::from_utf8(client.stdout).unwrap()
    };
    let mebibytes = MEBIBYTES.to_string();
    let said =
        run(&["sink"], &|address| vec!["bulk".to_owned(), address.to_owned(), mebibytes.clone()]);
    let bulk = bulk(&said);
    let said = run(&["echo"], &|address| {
        let address = address.to_owned();
        vec!["pingpong".to_owned(), address, TRIPS.to_string(), TRIP.to_string()]
    });
    (bulk, trip(&said))
}

fn native_server(act: &[&str]) -> (Child, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(native());
    command.args(act).args([&port.to_string(), "1"]).stdout(Streams::piped());
    let mut server = command.spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with("listening"), "{line}");
    // It prints on; nobody reads that, and it must not mind.
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    (server, port.to_string())
}

/// The guest's program, compiled for this machine.
fn native() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let build = || {
        let workloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-workloads");
        let target = workloads.join("target/native");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--quiet", "--locked", "--package", "sampan-testing"]);
        cargo.args(["--bin", "sockets", "--config", "profile.release.opt-level=3"]);
        let built = cargo.arg("--target-dir").arg(&target).current_dir(&workloads).status();
        assert!(built.unwrap().success());
        target.join("release/sockets")
    };
    BUILT.get_or_init(build).clone()
}

//! Guests, and clients from outside, that mean harm to the network: each is bounded, a server and a
//! client beside them go on, and nothing of them is left when they are gone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::time::Instant;

use crate::programs;
use crate::support::{Cluster, Following, Home, run};

const MIB: u64 = 1 << 20;
/// What one attacker may cost the node in memory: at most 32 MiB of buffers of either side, and what its
/// connections are: without optimisation 26 KiB for each request that is waited for.
const GROWTH_MAX: u64 = 384 * MIB;
/// What the same attack may cost more than the time before, once each of the C library's arenas has had
/// its turn: it keeps what was freed and uses it again. What leaks grows in every round.
const LEAK_MAX: u64 = 8 * MIB;
const ROUNDS_MAX: usize = 5;
/// Beside in-memory connections, which need none.
const FILES_MAX: usize = 64;

/// Stands for the address of a new sink.
const SINK: &str = "SINK";

/// A cluster with a server `web`, its well-behaved client `steady` and a wasi:http server `component`.
struct Stage<'a> {
    home: &'a Home,
    cluster: Cluster<'a>,
    program: String,
    steady: Following,
    calm: Fare,
    memory: u64,
    files: usize,
}

/// How the well-behaved client fares.
#[derive(Debug, Clone, Copy)]
struct Fare {
    failed: u64,
    median: Duration,
    worst: Duration,
}

impl Fare {
    /// From a line of `hostile steady`.
    fn of(line: &str) -> Self {
        let number = |name: &str| {
            let mut words = line.split_whitespace().skip_while(|word| *word != name);
            words.nth(1).unwrap().parse().unwrap()
        };
        let micros = |name| Duration::from_micros(number(name));
        Self { failed: number("steady:"), median: micros("median"), worst: micros("worst") }
    }
}

impl<'a> Stage<'a> {
    fn new(home: &'a Home, cluster: impl FnOnce(&'a Home, &[&str]) -> Cluster<'a>) -> Self {
        let program = home.file("hostile.wasm", programs::component("hostile"));
        let server = home.file("server.wasm", programs::component("server"));
        let cluster = cluster(home, &["--allow-images", home.path().to_str().unwrap()]);
        run_pod(home, &cluster, "web", "nginx", &[]);
        run_pod(home, &cluster, "component", &format!("file://{server}"), &[]);
        run_pod(home, &cluster, "dig", "busybox", &["sleep", "100000"]);
        for pod in ["web", "component", "dig"] {
            cluster.wait_for("condition=Ready", &format!("pod/{pod}"));
        }
        let to = format!("{}:80", ip(&cluster, "web"));
        run_pod(home, &cluster, "steady", &format!("file://{program}"), &["steady", &to]);
        cluster.wait_for("condition=Ready", "pod/steady");
        let steady = cluster.follow("logs -f steady");
        steady.line_with("steady:");
        let calm = Fare::of(&steady.line_with("steady:"));
        let (memory, files) = (cluster.resident_bytes(), cluster.open_files());
        Self { home, cluster, program, steady, calm, memory, files }
    }

    fn address(&self, pod: &str, port: u16) -> String {
        format!("{}:{port}", ip(&self.cluster, pod))
    }

    /// Begins an attack by a Pod of this name.
    fn attack(&self, name: &str, arguments: &[&str]) -> Following {
        run_pod(self.home, &self.cluster, name, &format!("file://{}", self.program), arguments);
        self.cluster.wait_for("condition=Ready", &format!("pod/{name}"));
        self.cluster.follow(&format!("logs -f {name}"))
    }

    /// A server that accepts all who come, reads so many bytes of each and no more. It holds what it has
    /// accepted until it ends.
    fn sink(&self, bytes: &str) -> String {
        self.attack("sink", &["swallow", "0.0.0.0:80", bytes]).line_with("listening");
        self.address("sink", 80)
    }

    /// The others go on while it lasts, and what it costs is bounded; answers that in bytes of memory.
    #[track_caller]
    fn check_beside(&self) -> u64 {
        self.steady.skip();
        // The first has begun before.
        self.steady.line_with("steady:");
        for _ in 0..2 {
            let fare = Fare::of(&self.steady.line_with("steady:"));
            assert_eq!(fare.failed, 0, "{fare:?}");
            // A machine that does other things, too, is forgiven some; who starves waits for seconds.
            let most = self.calm.median * 20 + Duration::from_millis(200);
            assert!(fare.median <= most, "{:?} became {fare:?}", self.calm);
            assert!(fare.worst < Duration::from_secs(3), "{fare:?}");
        }
        self.cluster.kubectl("get pods");
        let memory = self.cluster.resident_bytes().saturating_sub(self.memory);
        assert!(memory < GROWTH_MAX, "{} MiB more", memory / MIB);
        memory
    }

    /// The Pod ends when it is told to, and nothing of it is left.
    #[track_caller]
    fn end(&self, attacker: &str) {
        self.cluster.kubectl(&format!("delete pod {attacker} --timeout=20s"));
        let begin = Instant::now();
        while self.cluster.open_files() > self.files + FILES_MAX {
            let files = self.cluster.open_files();
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "{} files became {files}",
                self.files
            );
        }
    }

    /// An attack, from its first words to its last; answers what it said.
    #[track_caller]
    fn check(&self, arguments: &[&str], until: &str) -> String {
        self.measure(arguments, until).0
    }

    #[track_caller]
    fn measure(&self, arguments: &[&str], until: &str) -> (String, u64) {
        let attack = self.attack("attacker", arguments);
        let line = attack.line_with(until);
        let memory = self.check_beside();
        let files = self.cluster.open_files().saturating_sub(self.files);
        assert!(files < FILES_MAX, "{files} files more");
        self.end("attacker");
        (line, memory)
    }

    /// The same again and again costs no more. [`SINK`] is each time a new one, which reads so many bytes of
    /// each connection.
    #[track_caller]
    fn check_again(&self, bytes: &str, arguments: &[&str], until: &str) -> String {
        let attack = || {
            let sink = self.sink(bytes);
            let of_sink = |argument: &&str| {
                if *argument == SINK { sink.clone() } else { (*argument).to_owned() }
            };
            let arguments: Vec<String> = arguments.iter().map(of_sink).collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let measured = self.measure(&arguments, until);
            self.end("sink");
            measured
        };
        let (line, mut before) = attack();
        let mut growths = Vec::new();
        while growths.last().is_none_or(|growth| *growth >= LEAK_MAX) {
            assert!(growths.len() < ROUNDS_MAX, "each round left bytes: {growths:?}");
            let (_, after) = attack();
            growths.push(after.saturating_sub(before));
            before = after;
        }
        line
    }
}

fn run_pod(home: &Home, cluster: &Cluster<'_>, name: &str, image: &str, arguments: &[&str]) {
    let manifest = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": name, "image": image, "args": arguments}],
        },
    });
    let pod = home.file(&format!("{name}.json"), manifest.to_string());
    cluster.kubectl(&format!("apply -f {pod}"));
}

fn ip(cluster: &Cluster<'_>, pod: &str) -> String {
    cluster.kubectl(&format!("get pod {pod} -o jsonpath={{.status.podIP}}"))
}

/// What `hostile` hoarded, by its first word.
fn number(line: &str) -> usize {
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn who_scans_or_talks_nonsense_harms_nobody() {
    let home = Home::new();
    let stage = Stage::new(&home, Home::up_with);
    let scan = stage.check(&["scan", &stage.address("web", 1)], "scan 1:");
    assert!(scan.contains("\"ConnectionRefused\"") && scan.contains("\"open\""), "{scan}");
    let [web, component] = ["web", "component"].map(|pod| stage.address(pod, 80));
    let (api, dns) = ("10.43.0.1:443", "10.43.0.10:53");
    stage.check(&["garbage", &web, &component, api, dns], "garbage 64:");
    for to in [&web, &component, api] {
        stage.check(&["half", to], "half 1024");
    }
}

#[test]
fn who_floods_is_held_back() {
    let home = Home::new();
    let stage = Stage::new(&home, Home::up_with);
    stage.check_again("0", &["flood-tcp", SINK, "2000"], "flood 64:");
    // Large pieces of which all but a little is read.
    stage.check_again("250000", &["nibble", SINK, "2000"], " for 2 s");
    for to in [&stage.address("web", 9), &stage.address("component", 80), "10.43.0.10:53"] {
        stage.check(&["flood-udp", to], "flood 16384");
    }
    let flood = stage.attack("attacker", &["flood-dns", "10.43.0.10:53"]);
    flood.line_with("flood 16384");
    stage.check_beside();
    let found = stage.cluster.kubectl("exec dig -- nslookup kubernetes.default.svc.cluster.local");
    assert!(found.contains("10.43.0.1\n"), "{found}");
    stage.end("attacker");
}

#[test]
fn who_hoards_gets_an_error_and_goes_on() {
    let home = Home::new();
    let stage = Stage::new(&home, Home::up_with);
    // EMFILE, in WASI's numbers.
    const TOO_MANY: &str = "(os error 33)";
    // More than one process may have.
    let line = stage.check_again("0", &["connections", SINK, "100000"], "connections in");
    assert!((9_000..=10_000).contains(&number(&line)), "{line}");
    assert!(line.contains(TOO_MANY), "{line}");
    for what in ["listeners", "sockets"] {
        let line = stage.check(&[what, "100000"], &format!("{what} in"));
        assert!((9_000..=10_000).contains(&number(&line)), "{line}");
        assert!(line.contains(TOO_MANY), "{line}");
    }
    // The node's own servers are everybody's.
    for to in ["10.43.0.1:443", "10.43.0.10:53"] {
        let line = stage.check(&["connections", to, "1000"], "connections in");
        assert_eq!(number(&line), 64, "{line}");
    }
}

#[test]
fn requests_that_never_end_cost_little() {
    let home = Home::new();
    let stage = Stage::new(&home, Home::up_with);
    let component = stage.address("component", 80);
    stage.check_again("0", &["slowloris", &component, "9000"], "slowloris 2:");
    stage.check(&["heads", &component, "9000", "60000"], " for 2 s");
}

/// So many clients from outside that say nothing.
fn idle_clients(address: &str, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(address).unwrap()).collect()
}

/// Of those, the ones that were not turned away.
fn open_ones(clients: &mut Vec<TcpStream>) -> usize {
    clients.retain_mut(|client| {
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let answer = client.read(&mut [0; 1]).map_err(|error| error.kind());
        answer == Err(std::io::ErrorKind::WouldBlock)
    });
    clients.len()
}

fn page(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_full_node_port_leaves_room_for_others_and_the_api() {
    let home = Home::new();
    // Of 1,024 files half are sockets for Pods, and one port has at most half of those.
    let stage = Stage::new(&home, |home, arguments| home.up_with_files(1024, arguments));
    stage.sink("0");
    let port = |pod: &str| {
        stage.cluster.kubectl(&format!("expose pod {pod} --type=NodePort --port=80"));
        let port = format!("get service {pod} -o jsonpath={{.spec.ports[0].nodePort}}");
        format!("127.0.0.1:{}", stage.cluster.kubectl(&port))
    };
    let [web, sink] = ["web", "sink"].map(port);
    let served = || page(&web).is_ok_and(|page| page.starts_with("HTTP/1.1 200"));
    let begin = Instant::now();
    while !(served() && TcpStream::connect(&sink).is_ok()) {
        assert!(begin.elapsed() < Duration::from_secs(20), "the ports are not open");
    }
    // A server of its own protocol may let its clients idle for ever; a kernel would.
    let mut idle = idle_clients(&sink, 600);
    let open = open_ones(&mut idle);
    assert!((200..=256).contains(&open), "{open} of 600 are open");
    assert!(served(), "another port");
    stage.check_beside();
    // HTTP: a head that never ends is cut off, and until then it is counted, too.
    let mut slow = idle_clients(&web, 300);
    for client in &mut slow {
        // Some have been turned away.
        let _ = client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    }
    let open = open_ones(&mut slow);
    assert!((100..=128).contains(&open), "{open} of 300 are open");
    stage.check_beside();
    let files = stage.cluster.open_files();
    assert!(files < 700, "{files} files");
    drop((idle, slow));
    // It never looked whether its clients are there still.
    stage.end("sink");
    assert!(served());
    assert!(run(home.kubectl(&["get", "--raw", "/readyz"])).stdout.starts_with("ok"));
}

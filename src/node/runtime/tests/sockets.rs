//! std's sockets in guests, on a network of Pods.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use super::super::*;
use super::support::{Bench, guest};
use crate::api::object::ObjectKey;
use crate::client::clock::Clock;
use crate::node::network::{self, Member, Network, Records, Resolver, Rules};

static SOCKETS: LazyLock<Vec<u8>> = LazyLock::new(|| guest("sockets"));

/// A runtime and a network with two Pods.
struct Cluster {
    bench: Bench,
    network: Network,
    one: PodNetwork,
    two: PodNetwork,
}

impl Cluster {
    fn new() -> Self {
        let network = Network::new(network::Config::default(), Clock::system());
        let (one, two) = (join(&network, 2), join(&network, 3));
        let bench = Bench::new().file("bin/sockets", &SOCKETS);
        Self { bench, network, one, two }
    }

    /// What an act in the first Pod prints, if it ends well.
    async fn run(&self, args: &[&str]) -> String {
        let argv: Vec<&str> = ["sockets"].iter().chain(args).copied().collect();
        let (exit, printed) = self.bench.run_on(&self.one, &argv).await;
        assert_eq!(exit.code, 0, "{args:?}: {printed} {exit:?}");
        printed
    }
}

fn join(network: &Network, n: u8) -> PodNetwork {
    network.join(Member {
        address: Ipv4Addr::new(10, 42, 0, n),
        namespace: "default".to_owned(),
        name: format!("pod-{n}"),
        resolver: Resolver {
            uses_cluster: true,
            search: vec!["default.svc.cluster.local".to_owned()],
            ndots: 5,
            hosts: vec![(Ipv4Addr::LOCALHOST.into(), vec!["localhost".to_owned()])],
        },
    })
}

#[tokio::test]
async fn pods_talk_by_address_and_by_name() {
    let cluster = Cluster::new();
    let web = Records { addresses: vec![cluster.two.address()], ..Records::default() };
    cluster.network.names().apply([("web.default.svc.cluster.local".to_owned(), Some(web))]);
    let argv = ["sockets", "echo", "0.0.0.0:8080", "2"];
    let (server, log) = cluster.bench.start_on(&cluster.two, &argv).await;
    log.until("listening on 0.0.0.0:8080").await;
    let by_address = cluster.run(&["talk", "10.42.0.3:8080", "hello"]).await;
    assert_eq!(by_address, "10.42.0.3:8080 says hello\n");
    let by_name = cluster.run(&["talk", "web:8080", "again"]).await;
    assert_eq!(by_name, "10.42.0.3:8080 says again\n");
    assert_eq!(server.wait().await.code, 0);
    assert!(log.text().ends_with("from 10.42.0.2\nfrom 10.42.0.2\n"), "{}", log.text());
    assert_eq!(cluster.run(&["addresses"]).await, "10.42.0.2 true\n");
    cluster.bench.runtime.shutdown().await;
}

#[tokio::test]
async fn containers_of_a_pod_share_loopback() {
    let cluster = Cluster::new();
    let argv = ["sockets", "echo", "127.0.0.1:9000", "1"];
    let (server, log) = cluster.bench.start_on(&cluster.one, &argv).await;
    log.until("listening").await;
    let (_, refused) =
        cluster.bench.run_on(&cluster.two, &["sockets", "connect", "127.0.0.1:9000"]).await;
    assert_eq!(refused, "127.0.0.1:9000 ConnectionRefused\n");
    let answer = cluster.run(&["talk", "localhost:9000", "hi"]).await;
    assert_eq!(answer, "127.0.0.1:9000 says hi\n");
    server.wait().await;
    cluster.bench.runtime.shutdown().await;
}

#[tokio::test]
async fn errors_are_those_std_knows() {
    let cluster = Cluster::new();
    let expect = "10.42.0.3:1 ConnectionRefused\n10.42.0.9:80 HostUnreachable\n\
        169.254.169.254:80 PermissionDenied\n127.0.0.1:80 ConnectionRefused\n";
    let hosts = ["connect", "10.42.0.3:1", "10.42.0.9:80", "169.254.169.254:80", "127.0.0.1:80"];
    assert_eq!(cluster.run(&hosts).await, expect);
    let expect = "0.0.0.0:80 bound true\n127.0.0.1:80 AddrInUse\n10.42.0.3:81 AddrNotAvailable\n\
        0.0.0.0:0 bound true\nagain true\n";
    let locals = ["listen", "0.0.0.0:80", "127.0.0.1:80", "10.42.0.3:81", "0.0.0.0:0"];
    assert_eq!(cluster.run(&locals).await, expect);
    let options = cluster.run(&["options"]).await;
    assert_eq!(options, "true\ntrue 7\nErr(WouldBlock)\nErr(WouldBlock)\ntrue\n0\n");
    let names = cluster.run(&["resolve", "nobody.default.svc.cluster.local"]).await;
    assert!(names.starts_with("nobody.default.svc.cluster.local: failed to lookup"), "{names}");
    cluster.bench.runtime.shutdown().await;
}

#[tokio::test]
async fn a_killed_server_frees_its_port_and_hangs_up() {
    let cluster = Cluster::new();
    let argv = ["sockets", "echo", "0.0.0.0:8080"];
    let (server, log) = cluster.bench.start_on(&cluster.two, &argv).await;
    log.until("listening").await;
    let (client, talk) = cluster
        .bench
        .start_on(&cluster.one, &["sockets", "pingpong", "10.42.0.3:8080", "1000000000", "9"])
        .await;
    log.until("from").await;
    server.kill(9);
    assert_eq!(server.wait().await.code, 137);
    assert_eq!(client.wait().await.code, 1, "{}", talk.text());
    let refused = cluster.run(&["connect", "10.42.0.3:8080"]).await;
    assert_eq!(refused, "10.42.0.3:8080 ConnectionRefused\n");
    let argv = ["sockets", "leave-unread", "0.0.0.0:8080"];
    let (server, log) = cluster.bench.start_on(&cluster.two, &argv).await;
    log.until("listening").await;
    // wasi-libc does not ask a stream why it ended.
    assert_eq!(cluster.run(&["garbage", "10.42.0.3:8080"]).await, "BrokenPipe\n");
    assert_eq!(server.wait().await.code, 0);
    cluster.bench.runtime.shutdown().await;
}

#[tokio::test]
async fn a_flood_harms_only_its_own_pod() {
    let cluster = Cluster::new();
    let three = join(&cluster.network, 4);
    let (server, log) =
        cluster.bench.start_on(&cluster.two, &["sockets", "echo", "0.0.0.0:80", "1"]).await;
    log.until("listening").await;
    // The listener takes one connection only; the others wait in its backlog until that is full.
    let flood = cluster.run(&["flood", "10.42.0.3:80", "100000"]).await;
    assert!(flood.starts_with("129 open, then {\"TimedOut\": 99871"), "{flood}");
    assert_eq!(server.wait().await.code, 0);
    // One that listens and never accepts: to itself, by loopback.
    let listener = three.listen("0.0.0.0:81".parse().unwrap()).unwrap();
    let accept = async {
        let mut held = Vec::new();
        while held.len() < 10_000 {
            held.push(listener.accept().await.unwrap());
        }
        held
    };
    let argv = ["sockets", "flood", "10.42.0.4:81", "100000"];
    let (held, (exit, flood)) = tokio::join!(accept, cluster.bench.run_on(&cluster.one, &argv));
    assert_eq!(exit.code, 0);
    assert!(flood.starts_with("10000 open, then {"), "{flood}");
    drop(held);
    let refused = cluster.run(&["connect", "10.42.0.3:80"]).await;
    assert_eq!(refused, "10.42.0.3:80 ConnectionRefused\n");
    assert_eq!(three.inbound(), 0);
    cluster.bench.runtime.shutdown().await;
}

#[tokio::test]
async fn what_a_policy_swallows_is_never_heard_of() {
    let cluster = Cluster::new();
    let _listener = cluster.two.listen("0.0.0.0:80".parse().unwrap()).unwrap();
    let closed = Rules { ingress: Some(Vec::new()), egress: None };
    cluster.network.policies().apply([(ObjectKey::new("default", "pod-3"), Some(closed))]);
    assert_eq!(cluster.run(&["scan", "10.42.0.3:80", "0.1"]).await, "TimedOut\n");
    cluster.network.policies().apply([(ObjectKey::new("default", "pod-3"), None)]);
    assert_eq!(cluster.run(&["scan", "10.42.0.3:80", "0.1"]).await, "open\n");
    cluster.bench.runtime.shutdown().await;
}

#[tokio::test]
async fn datagrams_go_there_and_back() {
    let cluster = Cluster::new();
    let argv = ["sockets", "udp-echo", "0.0.0.0:53", "2"];
    let (server, log) = cluster.bench.start_on(&cluster.two, &argv).await;
    log.until("bound").await;
    let answers = cluster.run(&["udp", "10.42.0.3:53", "one", "two"]).await;
    assert_eq!(answers, "10.42.0.3:53 says one\nsays two\nSome(35)\n");
    server.wait().await;
    assert_eq!(log.text(), "bound\n3 from 10.42.0.2\n3 from 10.42.0.2\n");
    cluster.bench.runtime.shutdown().await;
}

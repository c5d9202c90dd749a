use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::api::object::ObjectKey;

fn key(n: u8) -> ObjectKey {
    ObjectKey::new("default", format!("pod-{n}"))
}

const CLOSED: Rules = Rules { ingress: Some(Vec::new()), egress: Some(Vec::new()) };

#[tokio::test]
async fn a_connection_that_policy_swallows_times_out() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let network = Network::new(Config::default(), clock.clone());
    let (one, two) = (join(&network, 2), join(&network, 3));
    let _listener = two.listen(any(80)).unwrap();
    network.policies().apply([(key(3), Some(CLOSED))]);
    let mut connect = std::pin::pin!(one.connect(None, at(3, 80)));
    assert!(futures::poll!(&mut connect).is_pending());
    clock.advance(Duration::from_secs(127));
    assert_eq!(connect.await.unwrap_err(), Error::TimedOut);
    // To itself a Pod always may talk.
    two.connect(None, at(3, 80)).await.unwrap();
    network.policies().apply([(key(3), None)]);
    one.connect(None, at(3, 80)).await.unwrap();
}

#[tokio::test]
async fn the_node_passes_and_its_name_server_is_a_pod_like_others() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let network = Network::new(Config::default(), clock.clone());
    let (node, pod) = (join(&network, 1), join(&network, 2));
    network.policies().apply([(key(2), Some(CLOSED))]);
    let (_kubelet, _pod) = (node.listen(any(443)).unwrap(), pod.listen(any(80)).unwrap());
    node.connect(None, at(2, 80)).await.unwrap();
    pod.connect(None, at(1, 443)).await.unwrap();
    let mut lookup = std::pin::pin!(pod.resolve("web.default.svc.cluster.local"));
    assert!(futures::poll!(&mut lookup).is_pending());
    clock.advance(Duration::from_secs(5));
    assert_eq!(lookup.await, Err(ResolveError::TryAgain));
    let dns = node.udp(any(53)).unwrap();
    let client = pod.udp(any(0)).unwrap();
    client.send(Bytes::from_static(b"?"), Some(at(1, 53))).unwrap();
    assert_eq!(dns.try_recv(), Ok(None));
    let server = Peer::Pods(Arc::new([Network::name_server().clone()].into()));
    let port = Port { protocol: Protocol::Udp, number: PortNumber::Range(53..=53) };
    let rule = Rule { peers: Some(vec![server]), ports: Some(vec![port]) };
    network.policies().apply([(key(2), Some(Rules { ingress: None, egress: Some(vec![rule]) }))]);
    client.send(Bytes::from_static(b"?"), Some(at(1, 53))).unwrap();
    let (_, from) = dns.try_recv().unwrap().unwrap();
    dns.send(Bytes::from_static(b"!"), Some(from)).unwrap();
    assert_eq!(client.try_recv().unwrap().unwrap().0, "!");
    let unknown = pod.resolve("web.default.svc.cluster.local").await;
    assert_eq!(unknown, Err(ResolveError::NotFound));
}

#[tokio::test]
async fn the_outside_passes_by_its_address() {
    let network = network();
    let pod = join(&network, 2);
    let block = "198.51.100.0/24".parse().unwrap();
    let rule = Rule { peers: Some(vec![Peer::Block { block, except: Vec::new() }]), ports: None };
    let rules = Rules { ingress: Some(vec![rule.clone()]), egress: Some(vec![rule]) };
    network.policies().apply([(key(2), Some(rules))]);
    let inward = |ip: &str| {
        let from = SocketAddr::new(ip.parse().unwrap(), 999);
        [Protocol::Tcp, Protocol::Udp].map(|protocol| network.admits(from, at(2, 80), protocol))
    };
    assert_eq!(inward("198.51.100.7"), [true, true]);
    assert_eq!(inward("203.0.113.7"), [false, false]);
    assert_eq!(inward("127.0.0.1"), [true, true], "the node itself");
    assert_eq!(inward("10.42.0.1"), [true, true], "and as Pods see it");
    let outward = |ip: &str| {
        network.allow_outside(&pod.0, SocketAddr::new(ip.parse().unwrap(), 80), Protocol::Tcp)
    };
    assert_eq!(outward("198.51.100.7").map(drop), Ok(()));
    assert_eq!(outward("192.0.2.7"), Err(Error::Dropped));
    assert_eq!(outward("169.254.169.254"), Err(Error::Denied));
}

#[tokio::test]
async fn pings_are_answered_by_what_is_there() {
    let network = network();
    let (one, _two, _three) = (join(&network, 2), join(&network, 3), join(&network, 4));
    let service = SocketAddr::from(([10, 43, 0, 9], 80));
    let door = Door { address: service, protocol: Protocol::Tcp };
    network.routes().apply([(door, Some(Route::default()))]);
    network.policies().apply([(key(4), Some(CLOSED))]);
    let ping =
        async |ip: &str| one.ping(ip.parse().unwrap(), 56, Duration::from_secs(5)).await.map(drop);
    for ip in ["10.42.0.3", "10.42.0.2", "127.0.0.1", "10.43.0.9"] {
        assert_eq!(ping(ip).await, Ok(()), "{ip}");
    }
    assert_eq!(ping("10.42.0.9").await, Err(PingError::Unreachable));
    assert_eq!(ping("10.43.0.8").await, Err(PingError::Unreachable));
    let swallowed = one.ping("10.42.0.4".parse().unwrap(), 56, Duration::from_millis(1)).await;
    assert_eq!(swallowed, Err(PingError::TimedOut));
    assert_eq!(ping("169.254.169.254").await, Err(PingError::Denied));
    assert_eq!(ping("192.0.2.1").await, Err(PingError::Unsupported));
    assert!(one.ping("10.42.0.3".parse().unwrap(), 0, Duration::from_secs(5)).await.is_ok());
    assert!(one.ping("10.42.0.3".parse().unwrap(), 1 << 30, Duration::from_secs(5)).await.is_ok());
}

#[tokio::test]
async fn the_nodes_probes_pass_policy_and_leave_a_pod_as_quiet_as_it_was() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let network = Network::new(Config::default(), clock.clone());
    assert_eq!(network.probe(at(2, 80)).await.unwrap_err(), Error::Down);
    let (_node, pod) = (join(&network, 1), join(&network, 2));
    network.policies().apply([(key(2), Some(CLOSED))]);
    assert_eq!(network.probe(at(2, 80)).await.unwrap_err(), Error::Refused);
    assert_eq!(network.probe(at(3, 80)).await.unwrap_err(), Error::HostUnreachable);
    let listener = pod.listen(any(80)).unwrap();
    clock.advance(Duration::from_secs(9));
    let probe = network.probe(at(2, 80)).await.unwrap();
    let seen = listener.accept().await.unwrap();
    assert_eq!(seen.peer_address().ip(), IpAddr::V4(network.gateway()));
    assert_eq!((pod.inbound(), pod.quiet_since()), (0, Some(Duration::ZERO)));
    drop((probe, seen));
    assert_eq!(pod.quiet_since(), Some(Duration::ZERO));
}

#[tokio::test]
async fn a_port_is_waited_for_until_somebody_listens_there() {
    let network = network();
    let pod = join(&network, 2);
    let _elsewhere = pod.listen(any(81)).unwrap();
    let mut listening = std::pin::pin!(pod.listening(80));
    assert!(futures::poll!(&mut listening).is_pending());
    let bound = pod.bind(any(80)).unwrap();
    assert!(futures::poll!(&mut listening).is_pending());
    bound.start();
    listening.await;
    pod.listening(80).await;
}

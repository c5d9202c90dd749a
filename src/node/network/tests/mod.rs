//! Pods that talk to each other, to Services and to the host.

mod datagrams;
mod rules;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use ipnet::Ipv4Net;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn network() -> Network {
    Network::new(Config::default(), Clock::system())
}

fn join(network: &Network, n: u8) -> PodNetwork {
    network.join(Member {
        address: Ipv4Addr::new(10, 42, 0, n),
        namespace: "default".to_owned(),
        name: format!("pod-{n}"),
        resolver: Resolver { uses_cluster: true, ..Resolver::default() },
    })
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

fn at(n: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 42, 0, n], port))
}

#[tokio::test]
async fn pods_talk_in_both_directions_and_say_goodbye() {
    let network = network();
    let (one, two) = (join(&network, 2), join(&network, 3));
    let listener = two.listen(any(80)).unwrap();
    let mut client = one.connect(None, at(3, 80)).await.unwrap();
    let mut server = listener.accept().await.unwrap();
    assert_eq!(client.peer_address(), at(3, 80));
    assert_eq!(server.peer_address(), client.local_address());
    assert_eq!(server.peer_address().ip(), IpAddr::V4(one.address()));
    client.write_all(b"ping").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"ping");
    server.write_all(b"pong").await.unwrap();
    drop(server);
    heard.clear();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"pong");
    assert_eq!(two.inbound(), 0);
    two.idle().await;
}

#[tokio::test]
async fn what_is_left_unread_resets_the_connection() {
    let network = network();
    let (one, two) = (join(&network, 2), join(&network, 3));
    let listener = two.listen(any(80)).unwrap();
    let client = one.connect(None, at(3, 80)).await.unwrap();
    let server = listener.accept().await.unwrap();
    client.try_write(&mut Bytes::from_static(b"unread")).unwrap();
    drop(server);
    assert_eq!(client.try_read(9), Err(Error::Reset));
    assert_eq!(client.try_write(&mut Bytes::from_static(b"x")), Err(Error::BrokenPipe));
}

#[tokio::test]
async fn errors_are_a_kernels() {
    let network = network();
    let (one, two) = (join(&network, 2), join(&network, 3));
    let refused = one.connect(None, at(3, 80)).await;
    assert_eq!(refused.unwrap_err(), Error::Refused);
    assert_eq!(one.connect(None, at(9, 80)).await.unwrap_err(), Error::HostUnreachable);
    let service = SocketAddr::from(([10, 43, 0, 9], 80));
    assert_eq!(one.connect(None, service).await.unwrap_err(), Error::HostUnreachable);
    let host = SocketAddr::from(([169, 254, 169, 254], 80));
    assert_eq!(one.connect(None, host).await.unwrap_err(), Error::Denied);
    let _listener = two.listen(any(80)).unwrap();
    assert_eq!(two.listen(at(3, 80)).unwrap_err(), Error::AddressInUse);
    assert_eq!(two.listen(at(2, 80)).unwrap_err(), Error::AddressNotAvailable);
    two.leave();
    assert_eq!(one.connect(None, at(3, 80)).await.unwrap_err(), Error::HostUnreachable);
    assert_eq!(two.listen(any(81)).unwrap_err(), Error::Down);
}

#[tokio::test]
async fn loopback_is_each_pods_own() {
    let network = network();
    let (one, two) = (join(&network, 2), join(&network, 3));
    let local = SocketAddr::from(([127, 0, 0, 1], 8080));
    let listener = one.listen(local).unwrap();
    assert_eq!(two.connect(None, local).await.unwrap_err(), Error::Refused);
    assert_eq!(two.connect(None, at(2, 8080)).await.unwrap_err(), Error::Refused);
    let client = one.connect(None, any(8080)).await.unwrap();
    assert_eq!(client.peer_address(), local);
    let server = listener.accept().await.unwrap();
    assert!(server.peer_address().ip().is_loopback());
    drop(listener);
    assert_eq!(one.connect(None, local).await.unwrap_err(), Error::Refused);
}

#[tokio::test]
async fn a_service_goes_round_those_that_have_gone() {
    let network = network();
    let client = join(&network, 2);
    let (three, four) = (join(&network, 3), join(&network, 4));
    let listeners = [three.listen(any(80)).unwrap(), four.listen(any(80)).unwrap()];
    let service = SocketAddr::from(([10, 43, 0, 9], 8080));
    let door = Door { address: service, protocol: Protocol::Tcp };
    let route = Route::new(vec![at(3, 80), at(4, 80)], None);
    network.routes().apply([(door, Some(route))]);
    for _ in 0..4 {
        let stream = client.connect(None, service).await.unwrap();
        assert_eq!(stream.peer_address(), service);
    }
    for listener in &listeners {
        assert!(listener.try_accept().unwrap().is_some());
        assert!(listener.try_accept().unwrap().is_some());
    }
    three.leave();
    for _ in 0..4 {
        client.connect(None, service).await.unwrap();
        assert!(listeners[1].try_accept().unwrap().is_some());
    }
    // All are gone; the proxy learns of a new one a moment later.
    four.leave();
    let five = join(&network, 5);
    let listener = five.listen(any(80)).unwrap();
    let (stream, ()) = tokio::join!(client.connect(None, service), async {
        tokio::task::yield_now().await;
        network.routes().apply([(door, Some(Route::new(vec![at(5, 80)], None)))]);
    });
    stream.unwrap();
    assert!(listener.try_accept().unwrap().is_some());
    network.routes().apply([(door, Some(Route::default()))]);
    assert_eq!(client.connect(None, service).await.unwrap_err(), Error::Refused);
}

#[tokio::test]
async fn a_service_waits_for_pods_that_begin_and_not_for_those_that_do_not_listen() {
    let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
    let network = Network::new(Config::default(), clock.clone());
    let (client, server) = (join(&network, 2), join(&network, 3));
    let service = SocketAddr::from(([10, 43, 0, 9], 8080));
    let door = Door { address: service, protocol: Protocol::Tcp };
    network.routes().apply([(door, Some(Route::new(vec![at(3, 80)], None)))]);
    let refused = |connected: Option<Result<Stream, Error>>| {
        assert_eq!(connected.expect("no waiting").unwrap_err(), Error::Refused);
    };
    // It has never listened: whoever comes waits, but all of them together for a second only.
    {
        let mut first = std::pin::pin!(client.connect(None, service));
        assert!(futures::poll!(&mut first).is_pending());
        clock.advance(Duration::from_millis(999));
        let mut second = std::pin::pin!(client.connect(None, service));
        assert!(futures::poll!(&mut second).is_pending());
        clock.advance(Duration::from_millis(1));
        assert_eq!(first.await.unwrap_err(), Error::Refused);
        assert_eq!(second.await.unwrap_err(), Error::Refused);
    }
    refused(client.connect(None, service).now_or_never());
    // It listens elsewhere, here, and then no more.
    let _elsewhere = server.listen(any(81)).unwrap();
    refused(client.connect(None, service).now_or_never());
    let listener = server.listen(any(80)).unwrap();
    client.connect(None, service).now_or_never().unwrap().unwrap();
    drop(listener);
    refused(client.connect(None, service).now_or_never());
    // It is ending: another one may come in its place.
    server.drain();
    let mut waiting = std::pin::pin!(client.connect(None, service));
    assert!(futures::poll!(&mut waiting).is_pending());
    let successor = join(&network, 4);
    network.routes().apply([(door, Some(Route::new(vec![at(4, 80)], None)))]);
    assert!(futures::poll!(&mut waiting).is_pending());
    let _listener = successor.listen(any(80)).unwrap();
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_full_backlog_and_a_full_account_harm_only_their_pod() {
    let network = network();
    let (one, two) = (join(&network, 2), join(&network, 3));
    let listener = two.listen(any(80)).unwrap();
    listener.set_backlog(2);
    let _streams =
        [one.connect(None, at(3, 80)).await.unwrap(), one.connect(None, at(3, 80)).await.unwrap()];
    assert_eq!(one.connect(None, at(3, 80)).await.unwrap_err(), Error::TimedOut);
    listener.set_backlog(BACKLOG_DEFAULT);
    let mut held = Vec::new();
    let error = loop {
        match one.connect(None, at(3, 80)).await {
            Ok(stream) => held.push((stream, listener.accept().await.unwrap())),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::TimedOut);
    assert_eq!(held.len(), CONNECTIONS_MAX - 3, "its listener and two that nobody accepted");
    held.clear();
    one.connect(None, at(3, 80)).await.unwrap();
}

#[tokio::test]
async fn one_pod_does_not_take_all_of_the_nodes_own_servers() {
    let network = network();
    let (node, one, two) = (join(&network, 1), join(&network, 2), join(&network, 3));
    let listener = node.listen(at(1, 443)).unwrap();
    let mut held = Vec::new();
    let error = loop {
        match one.connect(None, at(1, 443)).await {
            Ok(stream) => held.push((stream, listener.accept().await.unwrap())),
            Err(error) => break error,
        }
    };
    assert_eq!((error, held.len()), (Error::LimitReached, connections::CONNECTIONS_TO_NODE_MAX));
    two.connect(None, at(1, 443)).await.unwrap();
    held.pop();
    one.connect(None, at(1, 443)).await.unwrap();
}

#[tokio::test]
async fn listeners_count_as_sockets_do() {
    let network = network();
    let pod = join(&network, 2);
    let loopback = |n: usize| {
        let [_, _, high, low] = u32::try_from(n).unwrap().to_be_bytes();
        SocketAddr::from(([127, 1, high, low], 80))
    };
    let mut held: Vec<_> = (0..CONNECTIONS_MAX).map(|n| pod.listen(loopback(n)).unwrap()).collect();
    assert_eq!(pod.listen(any(81)).unwrap_err(), Error::LimitReached);
    assert_eq!(pod.udp(any(81)).unwrap_err(), Error::LimitReached);
    held.pop();
    pod.listen(any(81)).unwrap();
}

#[tokio::test]
async fn a_pod_whose_lookups_are_slow_waits_for_itself_only() {
    let network = network();
    let (one, two) = (join(&network, 2), join(&network, 3));
    let lookups: Vec<_> = std::iter::from_fn(|| one.begin_lookup()).collect();
    assert_eq!(lookups.len(), lookups::LOOKUPS_MAX / 2);
    assert!(two.begin_lookup().is_some());
    // The host's resolver knows the name by itself.
    let found = two.resolve("localhost").await.unwrap();
    assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    let waiting = one.resolve("localhost");
    let mut waiting = std::pin::pin!(waiting);
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    drop(lookups);
    waiting.await.unwrap();
}

#[tokio::test]
async fn names_are_the_clusters_first() {
    let network = network();
    let mut member = join(&network, 2).member().clone();
    member.resolver.search = vec!["default.svc.cluster.local".to_owned()];
    member.resolver.ndots = 5;
    member.resolver.hosts = vec![(Ipv4Addr::new(10, 42, 0, 2).into(), vec!["me".to_owned()])];
    let pod = network.join(member);
    let web = Records { addresses: vec![Ipv4Addr::new(10, 43, 0, 7)], ..Records::default() };
    network.names().apply([("web.default.svc.cluster.local".to_owned(), Some(web))]);
    let found: Vec<IpAddr> = vec![Ipv4Addr::new(10, 43, 0, 7).into()];
    assert_eq!(pod.resolve("web").await, Ok(found.clone()));
    assert_eq!(pod.resolve("web.default.svc.cluster.local.").await, Ok(found));
    assert_eq!(pod.resolve("me").await, Ok(vec![pod.address().into()]));
    assert_eq!(pod.resolve("10.1.2.3").await, Ok(vec!["10.1.2.3".parse().unwrap()]));
    let nobody = pod.resolve("nobody.default.svc.cluster.local").await;
    assert_eq!(nobody, Err(ResolveError::NotFound));
}

#[tokio::test]
async fn a_hosts_socket_is_handed_over() {
    let config =
        Config { pods: Ipv4Net::new_assert(Ipv4Addr::new(10, 42, 0, 0), 16), ..Config::default() };
    let network = Network::new(config, Clock::system());
    let pod = join(&network, 3);
    let outside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = outside.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(address), outside.accept());
    let (mut client, (socket, seen_from)) = (client.unwrap(), accepted.unwrap());
    let share = network.share_of_host_sockets();
    let socket = HostSocket { socket, permit: share.try_take().unwrap() };
    let (error, socket) = network.hand_over(socket, at(3, 80), seen_from, None).unwrap_err();
    assert_eq!(error, Error::Refused);
    let listener = pod.listen(any(80)).unwrap();
    network.hand_over(socket.unwrap(), at(3, 80), seen_from, None).unwrap();
    let server = listener.accept().await.unwrap();
    assert_eq!((server.local_address(), server.peer_address()), (at(3, 80), seen_from));
    assert_eq!(pod.inbound(), 1);
    client.write_all(b"hi").await.unwrap();
    server.readable().await;
    assert_eq!(server.try_read(9).unwrap().unwrap(), "hi");
    server.try_write(&mut Bytes::from_static(b"ho")).unwrap();
    server.finish();
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"ho");
    assert_eq!(share.held(), 1);
    drop((client, server));
    pod.idle().await;
    assert_eq!(share.held(), 0);
}

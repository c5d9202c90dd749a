use super::*;

fn text(datagram: (Bytes, SocketAddr)) -> (String, SocketAddr) {
    (String::from_utf8(datagram.0.to_vec()).unwrap(), datagram.1)
}

fn hi() -> Bytes {
    Bytes::from_static(b"hi")
}

#[tokio::test]
async fn they_go_there_and_back() {
    let network = network();
    let (one, two) = (join(&network, 2), join(&network, 3));
    let server = two.udp(any(53)).unwrap();
    let client = one.udp(any(0)).unwrap();
    client.send(hi(), Some(at(3, 53))).unwrap();
    let from = SocketAddr::new(one.address().into(), client.local_address().port());
    assert_eq!(text(server.recv().await.unwrap()), ("hi".to_owned(), from));
    server.send(Bytes::from_static(b"ho"), Some(from)).unwrap();
    assert_eq!(text(client.recv().await.unwrap()), ("ho".to_owned(), at(3, 53)));
    assert_eq!(two.udp(at(3, 53)).unwrap_err(), Error::AddressInUse);
    drop(server);
    let again = two.udp(at(3, 53)).unwrap();
    // A connected socket hears its peer only.
    client.connect(Some(at(9, 53)));
    again.send(hi(), Some(from)).unwrap();
    assert_eq!(client.try_recv(), Ok(None));
    let long = Bytes::from(vec![0; DATAGRAM_BYTES_MAX + 1]);
    assert_eq!(client.send(long, None), Err(Error::MessageTooLong));
    two.leave();
    assert_eq!(again.try_recv(), Err(Error::Down));
}

#[tokio::test]
async fn only_a_connected_socket_learns_that_nobody_listens() {
    let network = network();
    let (one, _two) = (join(&network, 2), join(&network, 3));
    let client = one.udp(any(0)).unwrap();
    client.send(hi(), Some(at(3, 53))).unwrap();
    assert_eq!(client.try_recv(), Ok(None));
    client.connect(Some(at(3, 53)));
    client.send(hi(), None).unwrap();
    assert_eq!(client.try_recv(), Err(Error::Refused));
    assert_eq!(client.try_recv(), Ok(None));
    client.connect(Some(at(9, 53)));
    client.send(hi(), None).unwrap();
    assert_eq!(client.send(hi(), None), Err(Error::HostUnreachable));
}

#[tokio::test]
async fn what_nobody_reads_is_bounded() {
    let network = network();
    let pod = join(&network, 2);
    let (server, client) = (pod.udp(any(53)).unwrap(), pod.udp(any(0)).unwrap());
    for _ in 0..10_000 {
        client.send(Bytes::from(vec![0; 1000]), Some(at(2, 53))).unwrap();
    }
    let mut received = 0;
    while server.try_recv().unwrap().is_some() {
        received += 1;
    }
    assert!((100..=200).contains(&received), "{received}");
}

#[tokio::test]
async fn a_flood_leaves_room_for_others_datagrams() {
    let network = network();
    let (flooder, other, server) = (join(&network, 2), join(&network, 3), join(&network, 4));
    let server = server.udp(any(53)).unwrap();
    let flood = flooder.udp(any(0)).unwrap();
    for _ in 0..10_000 {
        flood.send(Bytes::from(vec![0; 100]), Some(at(4, 53))).unwrap();
    }
    let question = other.udp(any(0)).unwrap();
    question.send(hi(), Some(at(4, 53))).unwrap();
    let heard = || server.try_recv().unwrap();
    let received: Vec<_> = std::iter::from_fn(heard).collect();
    assert!(received.len() > 300, "one sender has Linux' whole buffer: {}", received.len());
    assert_eq!(received.last().unwrap().0, hi());
}

#[tokio::test]
async fn a_service_answers_by_its_own_address_from_one_endpoint() {
    let network = network();
    let (client, two, three) = (join(&network, 2), join(&network, 3), join(&network, 4));
    let servers = [two.udp(any(53)).unwrap(), three.udp(any(53)).unwrap()];
    let service = SocketAddr::from(([10, 43, 0, 10], 53));
    let door = Door { address: service, protocol: Protocol::Udp };
    let route = |endpoints| Some(Route::new(endpoints, None));
    network.routes().apply([(door, route(vec![at(3, 53), at(4, 53)]))]);
    let socket = client.udp(any(0)).unwrap();
    socket.connect(Some(service));
    let asked =
        |server: &UdpSocket| std::iter::from_fn(|| server.try_recv().unwrap()).collect::<Vec<_>>();
    for _ in 0..4 {
        socket.send(hi(), None).unwrap();
    }
    let [first, second] = servers.each_ref().map(asked);
    assert_eq!(first.len().max(second.len()), 4, "all to one");
    let (chosen, (_, from)) = match first.first() {
        Some(datagram) => (0, datagram.clone()),
        None => (1, second[0].clone()),
    };
    servers[chosen].send(hi(), Some(from)).unwrap();
    assert_eq!(socket.recv().await.unwrap(), (hi(), service));
    // It moves when its endpoint has gone.
    let other = 1 - chosen;
    let address = [at(3, 53), at(4, 53)][other];
    network.routes().apply([(door, route(vec![address]))]);
    socket.send(hi(), None).unwrap();
    assert_eq!(asked(&servers[other]).len(), 1);
    network.routes().apply([(door, route(vec![]))]);
    socket.send(hi(), None).unwrap();
    assert_eq!(socket.try_recv(), Err(Error::Refused));
}

#[tokio::test]
async fn the_outside_is_asked_by_a_socket_of_the_hosts_and_only_answers_come_in() {
    let network = network();
    let pod = join(&network, 2);
    let socket = pod.udp(any(0)).unwrap();
    let host = SocketAddr::from(([127, 0, 0, 1], 9));
    assert_eq!(socket.send(hi(), Some(host)), Ok(()), "the Pod's own, where nobody listens");
    let metadata = SocketAddr::from(([169, 254, 169, 254], 80));
    assert_eq!(socket.send(hi(), Some(metadata)), Err(Error::Denied));
    // The way itself, with an address that a Pod may not reach.
    let outside = outside_udp::Outside::default();
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    outside.send(&pod.0, &hi(), address).unwrap();
    let mut buffer = [0; 9];
    let (_, from) = server.recv_from(&mut buffer).await.unwrap();
    stranger.send_to(b"spam", from).await.unwrap();
    server.send_to(b"answer", from).await.unwrap();
    let answer = loop {
        if let Some(answer) = outside.try_recv().unwrap() {
            break answer;
        }
        std::future::poll_fn(|cx| outside.poll_readable(cx)).await;
    };
    assert_eq!(answer, (Bytes::from_static(b"answer"), address));
}

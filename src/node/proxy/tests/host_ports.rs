//! Pods' own ports on the host, and health checks.

use super::*;
use crate::api::object::ObjectKey;

/// A Pod of this node that wants a port of the host's for its 8080.
fn asks(name: &str, ip: &str, protocol: &str, host_port: u16) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "sampan", "containers": [{"name": "c", "ports": [
            {"containerPort": 8080, "hostPort": host_port, "protocol": protocol},
        ]}]},
        "status": {"podIP": ip, "phase": "Running"},
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

#[tokio::test]
async fn a_pods_port_on_the_host_is_open_until_it_goes() {
    let mut stage = stage();
    let server = stage.pod(3);
    let listener = listen(&server);
    let port = free_port().await;
    stage.pods.apply(asks("a", "10.42.0.3", "TCP", port));
    let mut outside = dial(port).await;
    let served = listener.accept().await.unwrap();
    outside.write_all(b"hello").await.unwrap();
    served.readable().await;
    assert_eq!(served.try_read(9).unwrap().unwrap(), "hello");

    // A second one hears who has it, and has it next.
    let other = stage.pod(4);
    let other = listen(&other);
    stage.pods.apply(asks("b", "10.42.0.4", "TCP", port));
    let event = stage.written("/events").await;
    assert_eq!(event["involvedObject"]["name"], "b");
    let text = format!(
        "Cannot listen on 127.0.0.1:{port}: Pod default/a has that port; give the Pod another \
         hostPort"
    );
    assert_eq!((&event["reason"], &event["message"]), (&json!("FailedToListen"), &json!(text)));
    stage.pods.delete(&ObjectKey::new("default", "a"));
    server.leave();
    let _outside = loop {
        let stream = dial(port).await;
        if other.try_accept().unwrap().is_some() {
            break stream;
        }
        tokio::task::yield_now().await;
    };
    stage.pods.delete(&ObjectKey::new("default", "b"));
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stage.proxy.shutdown().await;
}

#[tokio::test]
async fn a_port_that_another_program_has_is_told_to_the_pod() {
    let mut stage = stage();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    stage.pods.apply(asks("a", "10.42.0.3", "TCP", port));
    let event = stage.written("/events").await;
    assert_eq!(event["involvedObject"]["kind"], "Pod");
    let text = format!(
        "Cannot listen on 127.0.0.1:{port}: another program has that port; stop it, or give the \
         Pod another hostPort"
    );
    assert_eq!(event["message"], text);
}

#[tokio::test]
async fn datagrams_reach_a_pods_port_on_the_host() {
    let stage = stage();
    let pod = stage.pod(3);
    let inside = pod.udp(SocketAddr::from(([0, 0, 0, 0], 8080))).unwrap();
    let outside = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = {
        let free = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        free.local_addr().unwrap().port()
    };
    stage.pods.apply(asks("a", "10.42.0.3", "UDP", port));
    // What comes before the port is open is lost, and may be told.
    let (bytes, client) = loop {
        let _ = outside.send_to(b"hello", ("127.0.0.1", port)).await;
        tokio::select! {
            received = inside.recv() => break received.unwrap(),
            () = tokio::task::yield_now() => {}
        }
    };
    assert_eq!(bytes, "hello");
    inside.send(Bytes::from_static(b"you too"), Some(client)).unwrap();
    let mut answer = [0; 9];
    let length = loop {
        if let Ok((length, _)) = outside.recv_from(&mut answer).await {
            break length;
        }
    };
    assert_eq!(&answer[..length], b"you too");
    stage.proxy.shutdown().await;
}

#[tokio::test]
async fn balancers_learn_how_many_endpoints_are_here() {
    let stage = stage();
    let port = free_port().await;
    let slice = |endpoints: Value| {
        let slice = json!({
            "metadata": {
                "name": "web-1", "namespace": "default",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "", "port": 8080}, {"name": "more", "port": 8081}],
        });
        stage.slices.apply(Arc::new(serde_json::from_value(slice).unwrap()));
    };
    let ask = async || {
        let mut stream = dial(port).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().to_owned();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        (status, body["localEndpoints"].as_u64().unwrap())
    };
    slice(json!([
        {"addresses": ["10.42.0.3"], "nodeName": "sampan"},
        {"addresses": ["10.42.0.4"], "nodeName": "sampan", "conditions": {"ready": false}},
        {"addresses": ["10.42.0.5"], "nodeName": "other"},
    ]));
    stage.service(
        1,
        &json!({
            "clusterIP": CLUSTER_IP, "type": "LoadBalancer", "externalTrafficPolicy": "Local",
            "healthCheckNodePort": port, "ports": [{"port": 80}],
        }),
    );
    assert_eq!(ask().await, ("200".to_owned(), 1));
    slice(json!([{"addresses": ["10.42.0.5"], "nodeName": "other"}]));
    assert_eq!(ask().await, ("503".to_owned(), 0));
    stage.proxy.shutdown().await;
}

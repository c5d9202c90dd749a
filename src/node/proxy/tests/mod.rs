//! The proxy with hand-made objects: what Pods and clients of the host come to see.

mod host_ports;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::client::cache::{self, Writer};
use crate::client::clock::Clock;
use crate::client::{Answer, ApiClient, Transport};
use crate::node::network::{self, Listener, Member, Network, PodNetwork, Resolver};
use crate::telemetry::Metrics;

struct Stage {
    proxy: Proxy,
    network: Network,
    services: Writer<Service>,
    slices: Writer<EndpointSlice>,
    deployments: Writer<Deployment>,
    pods: Writer<Pod>,
    metrics: Metrics,
    /// Path and body of what the proxy writes.
    writes_rx: mpsc::UnboundedReceiver<(String, Value)>,
}

fn stage() -> Stage {
    let (services, services_cache) = cache::cache();
    let (slices, slices_cache) = cache::cache();
    let (deployments, deployments_cache) = cache::cache();
    let (pods, pods_cache) = cache::cache();
    services.replace(Vec::new());
    slices.replace(Vec::new());
    deployments.replace(Vec::new());
    pods.replace(Vec::new());
    let metrics = Metrics::new();
    let network = Network::new(network::Config::default(), Clock::system());
    let (writes_tx, writes_rx) = mpsc::unbounded_channel();
    let echo = Echo(writes_tx);
    let answer = {
        let echo = echo.clone();
        tower::service_fn(move |request: Request<Body>| {
            let echo = echo.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let answer = echo.send(Request::from_parts(head, body)).await;
                answer.map(|answer| answer.map(Full::new))
            }
        })
    };
    let rooms = Rooms {
        client: ApiClient::new(kube::Client::new(answer, "default"), Arc::new(echo)),
        services: services_cache,
        endpoint_slices: slices_cache,
        deployments: deployments_cache,
        pods: pods_cache,
        namespaces: cache::cache().1,
        network_policies: cache::cache().1,
        metrics: metrics.clone(),
        network: network.clone(),
        clock: Clock::system(),
    };
    let config = Config { node: "sampan".to_owned(), address: Ipv4Addr::LOCALHOST.into() };
    let proxy = Proxy::start(config, rooms);
    Stage { proxy, network, services, slices, deployments, pods, metrics, writes_rx }
}

/// Notes every write, and answers what was sent.
#[derive(Clone)]
struct Echo(mpsc::UnboundedSender<(String, Value)>);

impl Transport for Echo {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Answer> {
        let body = serde_json::from_slice(request.body()).unwrap();
        self.0.send((request.uri().path().to_owned(), body)).unwrap();
        Box::pin(std::future::ready(Ok(Response::new(request.into_body()))))
    }
}

impl Stage {
    fn pod(&self, n: u8) -> PodNetwork {
        self.network.join(Member {
            address: Ipv4Addr::new(10, 42, 0, n),
            namespace: "default".to_owned(),
            name: format!("pod-{n}"),
            resolver: Resolver::default(),
        })
    }

    fn service(&self, revision: u64, spec: &Value) {
        let service = json!({
            "metadata": {
                "name": "web", "namespace": "default", "uid": "u",
                "resourceVersion": revision.to_string(),
            },
            "spec": spec,
        });
        self.services.apply(Arc::new(serde_json::from_value(service).unwrap()));
    }

    fn slice(&self, addresses: &[&str]) {
        let endpoints: Vec<_> = addresses.iter().map(|ip| json!({"addresses": [ip]})).collect();
        let slice = json!({
            "metadata": {
                "name": "web-1", "namespace": "default",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        });
        self.slices.apply(Arc::new(serde_json::from_value(slice).unwrap()));
    }
}

/// A port that was free a moment ago.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

fn listen(pod: &PodNetwork) -> Listener {
    pod.listen(SocketAddr::from(([0, 0, 0, 0], 8080))).unwrap()
}

/// Tries until somebody listens there.
async fn dial(port: u16) -> TcpStream {
    loop {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => return stream,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

const CLUSTER_IP: &str = "10.43.0.7";

fn door() -> SocketAddr {
    SocketAddr::new(CLUSTER_IP.parse().unwrap(), 80)
}

#[tokio::test]
async fn a_service_leads_pods_and_the_hosts_clients_to_its_endpoints() {
    let stage = stage();
    let (client, server) = (stage.pod(2), stage.pod(3));
    let listener = listen(&server);
    let counted = |what: &str, count: u8| {
        let line = format!(
            "sampan_service_connections_{what}{{namespace=\"default\",service=\"web\"}} {count}"
        );
        let text = stage.metrics.text();
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    };
    let node_port = free_port().await;
    let ports = json!([{"port": 80, "nodePort": node_port}]);
    stage.slice(&["10.42.0.3"]);
    stage.service(1, &json!({"clusterIP": CLUSTER_IP, "type": "NodePort", "ports": ports}));

    let mut outside = dial(node_port).await;
    let served = listener.accept().await.unwrap();
    assert_eq!(served.peer_address().ip(), Ipv4Addr::new(10, 42, 0, 1));
    outside.write_all(b"hello").await.unwrap();
    served.readable().await;
    assert_eq!(served.try_read(9).unwrap().unwrap(), "hello");
    let inside = client.connect(None, door()).await.unwrap();
    listener.accept().await.unwrap();
    counted("total", 2);
    counted("open", 2);
    drop((inside, served));
    counted("open", 0);
    let found = stage.network.names().get("web.default.svc.cluster.local").unwrap();
    assert_eq!(found.addresses, [CLUSTER_IP.parse::<Ipv4Addr>().unwrap()]);

    // Another Pod takes its place: new connections are its own.
    let other = stage.pod(4);
    let listener = listen(&other);
    server.leave();
    stage.slice(&["10.42.0.4"]);
    let _outside = dial(node_port).await;
    listener.accept().await.unwrap();

    // With the Service its doors go.
    stage.services.delete(&crate::api::object::ObjectKey::new("default", "web"));
    while TcpStream::connect(("127.0.0.1", node_port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let error = client.connect(None, door()).await.unwrap_err();
    assert_eq!(error, network::Error::HostUnreachable);
    assert!(stage.network.names().get("web.default.svc.cluster.local").is_none());
    assert!(!stage.metrics.text().contains("service=\"web\""));
    stage.proxy.shutdown().await;
}

#[tokio::test]
async fn a_client_of_nobody_is_reset_and_of_a_late_pod_waits() {
    let stage = stage();
    let node_port = free_port().await;
    let ports = json!([{"port": 80, "nodePort": node_port}]);
    stage.service(1, &json!({"clusterIP": CLUSTER_IP, "type": "NodePort", "ports": ports}));
    let mut outside = dial(node_port).await;
    assert_eq!(
        outside.read(&mut [0]).await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    let refused =
        "sampan_service_connections_refused_total{namespace=\"default\",service=\"web\"} 1";
    assert!(stage.metrics.text().lines().any(|line| line == refused));
    let pod = stage.pod(3);
    stage.slice(&["10.42.0.3"]);
    let route = || {
        stage
            .network
            .routes()
            .get(network::Door { address: door(), protocol: network::Protocol::Tcp })
    };
    while route().is_none_or(|route| route.endpoints.is_empty()) {
        tokio::task::yield_now().await;
    }
    let _outside = dial(node_port).await;
    tokio::task::yield_now().await;
    listen(&pod).accept().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_told_with_the_fix() {
    let mut stage = stage();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let ports = json!([{"port": 80, "nodePort": port}]);
    stage.service(1, &json!({"clusterIP": CLUSTER_IP, "type": "NodePort", "ports": ports}));
    let (path, event) = stage.writes_rx.recv().await.unwrap();
    assert_eq!(path, "/api/v1/namespaces/default/events");
    assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("FailedToListen")));
    let text = format!(
        "Cannot listen on 127.0.0.1:{port}: another program has that port; stop it, or give the \
         Service another nodePort"
    );
    assert_eq!(event["message"], text);
}

#[tokio::test]
async fn a_load_balancer_has_the_nodes_address_at_once() {
    let mut stage = stage();
    let ports = json!([{"port": 80, "nodePort": free_port().await}]);
    stage.service(1, &json!({"clusterIP": CLUSTER_IP, "type": "LoadBalancer", "ports": ports}));
    let (path, body) = loop {
        let (path, body) = stage.writes_rx.recv().await.unwrap();
        if !path.ends_with("/events") {
            break (path, body);
        }
    };
    assert_eq!(path, "/api/v1/namespaces/default/services/web/status");
    let ingress = &body["status"]["loadBalancer"]["ingress"];
    assert_eq!(ingress, &json!([{"ip": "127.0.0.1", "ipMode": "VIP"}]));
}

impl Stage {
    fn sleeper(&self, revision: u64, replicas: i32) {
        let deployment = json!({
            "metadata": {
                "name": "web", "namespace": "default", "resourceVersion": revision.to_string(),
                "annotations": {
                    "sampan.dev/scale-to-zero": "true", "sampan.dev/idle-seconds": "0",
                },
            },
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web", "tier": "front"}}},
            },
        });
        self.deployments.apply(Arc::new(serde_json::from_value(deployment).unwrap()));
    }

    async fn written(&mut self, to: &str) -> Value {
        loop {
            let (path, body) = self.writes_rx.recv().await.unwrap();
            if path.ends_with(to) {
                return body;
            }
        }
    }
}

#[tokio::test]
async fn a_connection_wakes_who_sleeps_and_gets_the_first_pod_that_listens() {
    let mut stage = stage();
    stage.service(
        1,
        &json!({
            "clusterIP": "10.43.0.7", "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": "http"}],
        }),
    );
    stage.sleeper(1, 0);
    let client = stage.pod(9);
    let door = SocketAddr::from(([10, 43, 0, 7], 80));
    let asleep = async {
        // Doors are opened, and bells hung, in the proxy's own time.
        loop {
            match client.connect(None, door).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let pods = &stage.pods;
    let network = stage.network.clone();
    let writes_rx = &mut stage.writes_rx;
    let woken = async {
        let (path, body) = loop {
            let write = writes_rx.recv().await.unwrap();
            if write.0.contains("deployments") {
                break write;
            }
        };
        assert_eq!(path, "/apis/apps/v1/namespaces/default/deployments/web");
        assert_eq!(body, json!({"spec": {"replicas": 1}}));
        let pod = json!({
            "metadata": {"name": "pod-3", "namespace": "default", "labels": {"app": "web"}},
            "spec": {"containers": [{
                "name": "c", "ports": [{"name": "http", "containerPort": 8080}],
            }]},
            "status": {"podIP": "10.42.0.3"},
        });
        pods.apply(Arc::new(serde_json::from_value(pod).unwrap()));
        let pod = network.join(Member {
            address: Ipv4Addr::new(10, 42, 0, 3),
            namespace: "default".to_owned(),
            name: "pod-3".to_owned(),
            resolver: Resolver::default(),
        });
        pod.listen(SocketAddr::from(([0, 0, 0, 0], 8080))).unwrap()
    };
    let (stream, listener) = tokio::join!(asleep, woken);
    let server = listener.accept().await.unwrap();
    assert_eq!(server.local_address(), SocketAddr::from(([10, 42, 0, 3], 8080)));
    let noted = stage.written("services/web").await;
    let text = noted["metadata"]["annotations"]["sampan.dev/cold-starts"].as_str().unwrap();
    assert!(text.starts_with("count=1 last="), "{text}");
    let count = "sampan_service_cold_start_seconds_count{namespace=\"default\",service=\"web\"} 1";
    assert!(stage.metrics.text().lines().any(|line| line == count));
    // Awake, and then nobody is connected any more.
    stage.sleeper(2, 1);
    drop((stream, server));
    let slept = stage.written("deployments/web").await;
    assert_eq!(slept["spec"], json!({"replicas": 0}));
    assert_eq!(slept["metadata"]["annotations"]["sampan.dev/awake-replicas"], "1");
    stage.proxy.shutdown().await;
}

/// 1,000 Services with 10 endpoints each: the figure is printed, never asserted.
#[tokio::test]
async fn a_thousand_services_change_together() {
    let stage = stage();
    let ip = |second, n: u32| Ipv4Addr::from_bits(u32::from_be_bytes([10, second, 1, 0]) + n);
    let door = |n| network::Door {
        address: SocketAddr::new(ip(43, n).into(), 80),
        protocol: network::Protocol::Tcp,
    };
    let slice = |n: u32, first: u32| {
        let endpoints: Vec<_> =
            (0..10).map(|k| json!({"addresses": [ip(42, first + n * 10 + k)]})).collect();
        let slice = json!({
            "metadata": {
                "name": format!("s{n}-1"), "namespace": "default",
                "labels": {"kubernetes.io/service-name": format!("s{n}")},
            },
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        });
        Arc::new(serde_json::from_value::<EndpointSlice>(slice).unwrap())
    };
    let service = |n| {
        let spec = json!({"clusterIP": ip(43, n), "ports": [{"port": 80}]});
        let metadata = json!({"name": format!("s{n}"), "namespace": "default"});
        let service = json!({"metadata": metadata, "spec": spec});
        Arc::new(serde_json::from_value::<Service>(service).unwrap())
    };
    stage.services.replace((0..1_000).map(service).collect());
    for first in [0, 10_000] {
        let slices: Vec<_> = (0..1_000).map(|n| slice(n, first)).collect();
        let wanted = SocketAddr::new(ip(42, first + 9_999).into(), 8080);
        let clock = Clock::system();
        slices.into_iter().for_each(|slice| stage.slices.apply(slice));
        let is_done = |n| {
            let route = stage.network.routes().get(door(n));
            route.is_some_and(|route| route.endpoints.len() == 10)
        };
        let last = || stage.network.routes().get(door(999));
        while last().is_none_or(|route| !route.endpoints.contains(&wanted)) {
            tokio::task::yield_now().await;
        }
        println!("1,000 Services changed in {:?}", clock.monotonic());
        assert!((0..1_000).all(is_done));
    }
}

//! kubectl port-forward, over WebSocket and over SPDY, to a Pod that echoes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;

use crate::support::{Cluster, Following, Home};

const ECHO: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: busybox
        command: [nc, -lk, -p, '80', -e, cat]
        ports: [{containerPort: 80, name: echo}]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {selector: {app: echo}, ports: [{port: 8080, targetPort: echo}]}
";

/// The Pod's name.
fn with_echo(home: &Home, cluster: &Cluster<'_>) -> String {
    let manifest = home.file("echo.yaml", ECHO);
    cluster.kubectl(&format!("apply -f {manifest}"));
    cluster.wait_for("condition=Available", "deployment/echo");
    cluster.kubectl("get pods -l app=echo -o name").trim().to_owned()
}

/// kubectl, and the port of this machine that it listens on.
fn forward(command: Command) -> (Following, u16) {
    let kubectl = Following::start(command);
    let line = kubectl.line_with("Forwarding from 127.0.0.1:");
    let port = line.trim_start_matches("Forwarding from 127.0.0.1:");
    let port = port.split(' ').next().unwrap().parse().unwrap();
    (kubectl, port)
}

/// Sends, finishes, and reads to the end.
fn ask(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut answer = Vec::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        stream.read_to_end(&mut answer).unwrap();
    });
    answer
}

#[track_caller]
fn carries(port: u16) {
    let large: Vec<u8> = (0..2_500_000_u32).flat_map(u32::to_le_bytes).collect();
    assert!(ask(port, &large) == large);
    thread::scope(|scope| {
        for n in 0..20_u8 {
            scope.spawn(move || assert!(ask(port, &vec![n; 100_000]) == vec![n; 100_000]));
        }
    });
}

#[test]
fn pods_services_and_deployments_are_forwarded() {
    let home = Home::new();
    let cluster = home.up();
    let pod = with_echo(&home, &cluster);
    let (_kubectl, port) = forward(cluster.command(&format!("port-forward {pod} :80")));
    carries(port);
    for target in ["svc/echo :8080", "deploy/echo :80"] {
        let (_kubectl, port) = forward(cluster.command(&format!("port-forward {target}")));
        assert_eq!(ask(port, b"hello"), b"hello");
    }
}

#[test]
fn spdy_clients_are_served_too() {
    let home = Home::new();
    let cluster = home.up();
    let pod = with_echo(&home, &cluster);
    let mut command = cluster.command(&format!("port-forward {pod} :80"));
    command.env("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false");
    let (_kubectl, port) = forward(command);
    carries(port);
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    let home = Home::new();
    let cluster = home.up();
    let pod = with_echo(&home, &cluster);
    let (kubectl, port) = forward(cluster.command(&format!("port-forward {pod} :81")));
    assert_eq!(ask(port, b""), b"");
    let told = kubectl.line_with("error forwarding port 81 to pod echo-");
    assert!(told.contains("connect: connection refused"), "{told}");
}

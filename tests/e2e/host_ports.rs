//! Pods' own ports on the host: `hostPort`, `hostNetwork`; and what balancers ask the node.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::proxy::{free_port, hear_soon, pause};
use crate::support::Home;

/// Says its name to everybody who connects.
fn says_its_name(name: &str, port: u16, more: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  {more}
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox
    command: [nc, -l, -k, -p, "8080", -e, hostname]
    ports: [{{containerPort: 8080, hostPort: {port}}}]
---
"#
    )
}

#[test]
fn a_port_of_the_hosts_is_one_pods_at_a_time() {
    let home = Home::new();
    let cluster = home.up();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let apply = |name: &str| {
        let file = format!("{name}.yaml");
        let file = home.file(&file, says_its_name(name, port, ""));
        cluster.kubectl(&format!("apply -f {file}"));
    };
    apply("first");
    cluster.wait_for("condition=Ready", "pod/first");
    assert_eq!(hear_soon(&address), "first\n");
    let described = cluster.kubectl("describe pod first");
    let line = format!("Host Port:     {port}/TCP");
    assert!(described.lines().any(|found| found.trim() == line), "{described}");

    apply("second");
    cluster.wait_for("condition=PodScheduled=false", "pod/second");
    let described = cluster.kubectl("describe pod second");
    let why = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod \
               ports. preemption: 0/1 nodes are available: 1 No preemption victims found for \
               incoming pod.";
    assert!(described.contains(why), "{described}");
    cluster.kubectl("delete pod first");
    cluster.wait_for("condition=Ready", "pod/second");
    assert_eq!(hear_soon(&address), "second\n");
}

#[test]
fn a_pod_on_the_hosts_network_gets_its_ports_and_is_told_so() {
    let home = Home::new();
    let cluster = home.up();
    let port = free_port();
    let pod = says_its_name("web", port, "hostNetwork: true")
        .replace("\"8080\"", &format!("\"{port}\""))
        .replace(
            &format!("containerPort: 8080, hostPort: {port}"),
            &format!("containerPort: {port}"),
        );
    cluster.kubectl(&format!("apply -f {}", home.file("web.yaml", &pod)));
    cluster.wait_for("condition=Ready", "pod/web");
    assert_eq!(hear_soon(&format!("127.0.0.1:{port}")), "web\n");
    let told = cluster.kubectl("get events --field-selector reason=HostNetworkNotShared");
    assert!(told.contains("opened at 127.0.0.1, and nothing else"), "{told}");
}

#[test]
fn a_balancer_learns_whether_this_node_has_endpoints() {
    let home = Home::new();
    let cluster = home.up();
    let service = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"
    .replace("port: 80,", &format!("port: {},", free_port()));
    cluster.kubectl(&format!("apply -f {}", home.file("service.yaml", &service)));
    let port = cluster.kubectl("get service web -o jsonpath={.spec.healthCheckNodePort}");
    let address = format!("127.0.0.1:{port}");
    health_soon(&address, "503 Service Unavailable", 0);
    let pod = says_its_name("web", free_port(), "");
    cluster.kubectl(&format!("apply -f {}", home.file("web.yaml", &pod)));
    let health = health_soon(&address, "200 OK", 1);
    assert!(health.contains("x-load-balancing-endpoint-weight: 1\r\n"), "{health}");
}

/// What the node says of its endpoints, once it is this.
#[track_caller]
fn health_soon(address: &str, status: &str, endpoints: usize) -> String {
    let mut heard = Err(std::io::ErrorKind::NotConnected.into());
    for _ in 0..200 {
        heard = health(address);
        if let Ok(health) = &heard
            && health.starts_with(&format!("HTTP/1.1 {status}\r\n"))
            && health.contains(&format!("\"localEndpoints\": {endpoints},"))
        {
            return health.clone();
        }
        pause();
    }
    panic!("not {status}: {heard:?}");
}

fn health(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

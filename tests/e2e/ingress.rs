//! Ingresses: HTTP from outside, by host and path, to a Service's Pods.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Cluster, Home};

const MANIFEST: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    command:
    - sh
    - -c
    - |
      while true; do printf 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n' | nc -l -p 8080; done
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - host: web.example.org
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
      - {path: /gone, pathType: Prefix, backend: {service: {name: gone, port: {number: 80}}}}
"#;

/// The whole answer to a GET.
fn get(port: &str, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn served_at(cluster: &Cluster<'_>) -> String {
    cluster.wait_for("jsonpath={.status.loadBalancer.ingress[0].ip}=127.0.0.1", "ingress/web");
    cluster.kubectl("get ingress web -o jsonpath={.status.loadBalancer.ingress[0].ports[0].port}")
}

#[test]
fn requests_go_where_the_rules_send_them() {
    let home = Home::new();
    let cluster = home.up_with(&["--ingress-http=127.0.0.1:0"]);
    let manifest = home.file("web.yaml", MANIFEST);
    cluster.kubectl(&format!("apply -f {manifest}"));
    cluster.wait_for("condition=Ready", "pod/web");
    let port = served_at(&cluster);
    let answer = get(&port, "web.example.org", "/any/where");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello\n"), "{answer}");
    let answer = get(&port, "web.example.org", "/gone/x");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("default/gone"), "{answer}");
    let answer = get(&port, "other.example.org", "/");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let table = cluster.kubectl("get ingress web --no-headers");
    let columns: Vec<&str> = table.split_whitespace().collect();
    assert_eq!(columns[1..5], ["sampan", "web.example.org", "127.0.0.1", "80"], "{table}");
    let told = cluster.kubectl("describe ingress web");
    assert!(told.contains(&format!("Served at http://127.0.0.1:{port}")), "{told}");
    assert!(told.contains("web:http (10.42.0."), "{told}");
    // Without its Pod the Service has nobody to answer.
    cluster.kubectl("delete pod web");
    let answer = get(&port, "web.example.org", "/");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    cluster.kubectl("delete ingress web");
    assert!(get(&port, "web.example.org", "/").starts_with("HTTP/1.1 404 "));
}

#[test]
fn ingresses_are_made_and_mistakes_refused_by_kubectl() {
    let home = Home::new();
    let cluster = home.up_with(&["--ingress-http=127.0.0.1:0"]);
    let classes = cluster.kubectl("get ingressclass --no-headers");
    assert!(classes.starts_with("sampan") && classes.contains("sampan.dev/ingress"), "{classes}");
    cluster.kubectl("create ingress other --class=nginx --rule=a.b/*=web:80");
    let shown = cluster.kubectl("get ingress other --no-headers");
    let columns: Vec<&str> = shown.split_whitespace().collect();
    // Another controller's: nobody serves it here.
    assert_eq!(columns[1..4], ["nginx", "a.b", "80"], "{shown}");
    let refusal = cluster.refused("create ingress bad --rule=10.0.0.1/=web:80");
    assert!(refusal.contains("must be a DNS name, not an IP address"), "{refusal}");
}

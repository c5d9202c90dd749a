//! Ingresses: HTTP from outside, by host and path, to a Service's Pods.

use crate::support::{Cluster, Home, outside};

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

fn get(port: &str, host: &str, path: &str) -> String {
    outside::get(&format!("127.0.0.1:{port}"), host, path).unwrap()
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
    // Its server does not listen from the start, nor between two connections.
    let mut answers = (0..5_000).map(|_| get(&port, "web.example.org", "/any/where"));
    let answer = answers.find(|answer| answer.starts_with("HTTP/1.1 200 OK")).unwrap();
    assert!(answer.ends_with("hello\n"), "{answer}");
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
    cluster.kubectl(
        "create ingress full --class=sampan --annotation=a=b --default-backend=rest:http \
         --rule=foo.example.org/*=web:8080,tls=secret --rule=foo.example.org/exact=web:named",
    );
    cluster.wait_for("jsonpath={.status.loadBalancer.ingress[0].ip}", "ingress/full");
    let told = cluster.kubectl("describe ingress full");
    let (told, _) = told.split_once("Events:").unwrap();
    let missing = |service: &str| format!("(<error: services \"{service}\" not found>)");
    let lines: Vec<Vec<&str>> =
        told.lines().map(|line| line.split_whitespace().collect()).collect();
    for expect in [
        "Name: full".to_owned(),
        "Labels: <none>".to_owned(),
        "Namespace: default".to_owned(),
        "Address: 127.0.0.1".to_owned(),
        "Ingress Class: sampan".to_owned(),
        format!("Default backend: rest:http {}", missing("rest")),
        "secret terminates foo.example.org".to_owned(),
        "Host Path Backends".to_owned(),
        format!("/ web:8080 {}", missing("web")),
        format!("/exact web:named {}", missing("web")),
        "Annotations: a: b".to_owned(),
    ] {
        assert!(lines.iter().any(|line| line.join(" ") == expect), "{expect}\n{told}");
    }
    let shown = cluster.kubectl("get ingress full --no-headers");
    assert!(shown.contains("foo.example.org") && shown.contains("80, 443"), "{shown}");
    let types = "get ingress full -o jsonpath={.spec.rules[*].http.paths[*].pathType}";
    assert_eq!(cluster.kubectl(types), "Prefix Exact");
    let refusal = cluster.refused("create ingress bad --rule=foo.example.org/web");
    assert!(refusal.contains("should be in format host/path=svcname:svcport"), "{refusal}");
    let refusal = cluster.refused("create ingress bad --rule=10.0.0.1/=web:80");
    assert!(refusal.contains("must be a DNS name, not an IP address"), "{refusal}");
}

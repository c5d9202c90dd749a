//! Services, as Pods and the host's clients meet them.

use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::support::outside::{Load, connect};
use crate::support::{Cluster, Home};

/// Says its name to everybody who connects.
const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: busybox, command: [nc, -l, -k, -p, "8080", -e, hostname]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: hello, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers: [{name: main, image: busybox, command: [sleep, "100000"]}]
"#;

#[track_caller]
fn start(home: &Home, cluster: &Cluster<'_>) {
    cluster.kubectl(&format!("apply -f {}", home.file("web.yaml", WEB)));
    cluster.kubectl("rollout status deployment/web --timeout=30s");
    cluster.wait_for("condition=Ready", "pod/client");
}

/// What a port of this machine says to a new connection.
fn hear(address: &str) -> std::io::Result<String> {
    let mut stream = connect(address)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.is_empty() {
        true => Err(std::io::ErrorKind::UnexpectedEof.into()),
        false => Ok(text),
    }
}

/// The same, once somebody is there.
#[track_caller]
pub(crate) fn hear_soon(address: &str) -> String {
    let mut last = None;
    for _ in 0..200 {
        match hear(address) {
            Ok(text) => return text,
            Err(error) => last = Some(error),
        }
        pause();
    }
    panic!("nobody answers at {address}: {last:?}");
}

/// Between two looks at something that another process is about to change.
#[expect(clippy::disallowed_methods, reason = "other processes tell nothing of their changes")]
pub(crate) fn pause() {
    thread::sleep(Duration::from_millis(50));
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_service_is_reached_by_name_by_address_and_from_the_host() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    let pod = cluster.kubectl("get pods -l app=web -o jsonpath={.items[0].metadata.name}");
    let address = cluster.kubectl("get service web -o jsonpath={.spec.clusterIP}");
    for name in ["web", "web.default", "web.default.svc.cluster.local", &address] {
        let said = cluster.kubectl(&format!("exec client -- nc -w 5 {name} 80"));
        assert_eq!(said.trim(), pod, "{name}");
    }
    let port = cluster.node_port("web");
    assert_eq!(hear_soon(&format!("127.0.0.1:{port}")).trim(), pod);

    // From another namespace, by the longer name only.
    cluster.kubectl("create namespace other");
    cluster.kubectl("run -n other client --image=busybox -- sleep 100000");
    cluster.wait_for("condition=Ready", "-n other pod/client");
    let said = cluster.kubectl("exec -n other client -- nc -w 5 web.default 80");
    assert_eq!(said.trim(), pod);
    cluster.refused("exec -n other client -- nc -w 5 web 80");

    // The API server is there, too.
    cluster.kubectl("exec client -- nc -z kubernetes.default 443");

    cluster.kubectl("delete service web");
    let gone = || TcpStream::connect(("127.0.0.1", port)).is_err();
    assert!(
        (0..200).any(|_| gone() || {
            pause();
            false
        }),
        "port {port} is still open"
    );
    cluster.refused("exec client -- nc -w 5 web 80");
}

#[test]
fn names_of_all_kinds_are_answered() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    cluster
        .kubectl("create service externalname alias --external-name=web.default.svc.cluster.local");
    let headless = home.file(
        "headless.yaml",
        r#"
apiVersion: v1
kind: Service
metadata: {name: bare}
spec:
  clusterIP: None
  selector: {app: web}
  ports: [{name: hello, port: 8080}]
"#,
    );
    cluster.kubectl(&format!("apply -f {headless}"));
    let pod_ip = cluster.kubectl("get pods -l app=web -o jsonpath={.items[0].status.podIP}");
    let address = cluster.kubectl("get service web -o jsonpath={.spec.clusterIP}");
    let dashed = pod_ip.replace('.', "-");
    let lookup = |what: &str| {
        for _ in 0..100 {
            let answer = cluster.run(&format!("exec client -- nslookup {what}"));
            if answer.code == 0 {
                return answer.stdout;
            }
            pause();
        }
        panic!("{what} is not found")
    };
    assert!(lookup("-type=a web.default.svc.cluster.local").contains(&address));
    assert!(lookup("-type=a bare.default.svc.cluster.local").contains(&pod_ip));
    let endpoint = format!("{dashed}.bare.default.svc.cluster.local");
    let said = lookup("-type=srv _hello._tcp.bare.default.svc.cluster.local");
    assert!(said.contains(&endpoint) && said.contains("8080"), "{said}");
    assert!(lookup(&pod_ip).contains(&endpoint));
    assert!(lookup(&format!("-type=a {dashed}.default.pod.cluster.local")).contains(&pod_ip));
    assert!(lookup("-type=a alias.default.svc.cluster.local").contains(&address));
    let missing = cluster.run("exec client -- nslookup no.default.svc.cluster.local");
    assert!(missing.code != 0 && missing.all().contains("NXDOMAIN"), "{}", missing.all());
}

#[test]
fn load_balancers_have_an_address_at_once() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    let port = free_port();
    let expose = |name: &str| {
        cluster.kubectl(&format!(
            "expose deployment web --type=LoadBalancer --name={name} --port={port} --target-port=8080"
        ));
        let ip = "jsonpath={.status.loadBalancer.ingress[0].ip}";
        cluster.wait_for(ip, &format!("service/{name}"));
        cluster.kubectl(&format!("get service {name} -o {ip}"))
    };
    let first = expose("first");
    assert_eq!(first, "127.0.0.1");
    hear_soon(&format!("{first}:{port}"));
    let row = cluster.kubectl("get service first --no-headers");
    assert!(row.contains("127.0.0.1"), "{row}");
    let second = expose("second");
    if cfg!(target_os = "linux") {
        assert_eq!(second, "127.0.0.2");
        hear_soon(&format!("{second}:{port}"));
    }
}

#[test]
fn a_taken_port_is_told_and_taken_when_it_is_free() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    let taken = (30_000..32_767).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let taken = taken.unwrap();
    let port = taken.local_addr().unwrap().port();
    cluster.kubectl(&format!(
        "create service nodeport late --tcp=80:8080 --node-port={port} --save-config"
    ));
    cluster.kubectl("set selector service late app=web");
    let events = cluster.follow("get events --watch");
    events.line_with(&format!("Cannot listen on 127.0.0.1:{port}: another program has that port"));
    drop(taken);
    hear_soon(&format!("127.0.0.1:{port}"));
}

#[test]
fn a_service_without_a_selector_leads_where_its_author_says() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    let pod_ip = cluster.kubectl("get pods -l app=web -o jsonpath={.items[0].status.podIP}");
    let slice = home.file(
        "slice.yaml",
        format!(
            r#"
apiVersion: v1
kind: Service
metadata: {{name: own}}
spec:
  type: NodePort
  sessionAffinity: ClientIP
  ports: [{{name: plain, port: 80}}, {{name: api, port: 6443, targetPort: 6443}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: own-1, labels: {{kubernetes.io/service-name: own}}}}
addressType: IPv4
endpoints: [{{addresses: ["{pod_ip}"]}}]
ports: [{{name: plain, port: 8080}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: own-2, labels: {{kubernetes.io/service-name: own}}}}
addressType: IPv4
endpoints: [{{addresses: ["10.42.0.1"]}}]
ports: [{{name: api, port: 6443}}]
"#
        ),
    );
    cluster.kubectl(&format!("apply -f {slice}"));
    let said = cluster.kubectl("exec client -- nc -w 5 own 80");
    assert!(said.starts_with("web-"), "{said}");
    // What the API server serves inside, with a certificate for its names: reached from outside here.
    let port = cluster.kubectl("get service own -o jsonpath={.spec.ports[1].nodePort}");
    let version = cluster.kubectl(&format!("--server https://127.0.0.1:{port} get --raw /version"));
    assert!(version.contains("gitVersion"), "{version}");
}

#[test]
fn datagrams_reach_a_service_from_the_host() {
    let home = Home::new();
    let cluster = home.up();
    let echo = home.file(
        "echo.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: echo, labels: {app: echo}}
spec:
  containers: [{name: main, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [netexec, --udp-port=9000]}]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  type: NodePort
  selector: {app: echo}
  ports: [{port: 9000, protocol: UDP}]
"#,
    );
    cluster.kubectl(&format!("apply -f {echo}"));
    cluster.wait_for("condition=Ready", "pod/echo");
    let port = cluster.node_port("echo");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 16];
    let answered = (0..200).any(|_| {
        // It may not be there yet.
        let _ = socket.send(b"echo hello");
        matches!(socket.recv(&mut buffer), Ok(count) if &buffer[..count] == b"hello")
    });
    assert!(answered);
}

#[test]
fn rolling_a_deployment_loses_no_connection() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    let address = format!("127.0.0.1:{}", cluster.node_port("web"));
    hear_soon(&address);
    let load = Load::of(4, || {
        let address = address.clone();
        move || hear(&address).map(drop)
    });
    for _ in 0..20 {
        // Not twice in one second, says kubectl.
        while cluster.run("rollout restart deployment/web").code != 0 {
            pause();
        }
        cluster.kubectl("rollout status deployment/web --timeout=60s");
    }
    let (answered, failures) = load.end();
    assert!(failures.is_empty(), "{answered} were answered, not: {failures:#?}");
    assert!(answered > 100, "{answered}");
}

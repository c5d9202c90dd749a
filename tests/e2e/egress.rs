//! What Pods reach of what lies outside the cluster: never this machine, unless that is granted.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

use crate::support::outside::connect as connect_from_here;
use crate::support::{Answer, Cluster, Home, run};

const CLIENT: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [netexec]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: client}, ports: [{port: 80, targetPort: 8080}]}
"#;

/// How often somebody tries what is about to become so.
const TRIES_MAX: usize = 100;

#[track_caller]
fn start(home: &Home, cluster: &Cluster<'_>) {
    cluster.kubectl(&format!("apply -f {}", home.file("client.yaml", CLIENT)));
    cluster.wait_for("condition=Ready", "pod/client");
}

/// An address of this machine's own that is not loopback, if it has one: where it would send from.
/// Nothing is sent.
fn machine_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("198.51.100.1:9").ok()?;
    let ip = socket.local_addr().unwrap().ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// What agnhost says when it connects: nothing, if it can.
fn connect(cluster: &Cluster<'_>, to: &str) -> String {
    let answer = cluster.run(&format!("exec client -- /agnhost connect --timeout=5s {to}"));
    let said = answer.stderr.lines().next().unwrap_or_default().to_owned();
    assert_eq!(answer.code == 0, said.is_empty(), "{}", answer.all());
    said
}

fn nc(cluster: &Cluster<'_>, to: &str) -> Answer {
    let (host, port) = to.rsplit_once(':').unwrap();
    cluster.run(&format!("exec client -- nc -w 5 {host} {port}"))
}

#[test]
fn this_machine_is_out_of_reach_in_any_form() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = |host: &str| connect(&cluster, &format!("{host}:{port}"));

    // These are the Pod's own, where nobody listens.
    for host in
        ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "127.9.9.9", "[::1]"]
    {
        assert_eq!(said(host), "REFUSED", "{host}");
    }
    // These WASI lets nobody connect to.
    for host in ["0.0.0.0", "0", "[::]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]"] {
        let said = said(host);
        assert!(said.starts_with("OTHER: ") && said.contains("Invalid argument"), "{host}: {said}");
    }
    let ours = machine_address().map(|ip| ip.to_string());
    let answers_for_it = ["169.254.169.254", "169.254.1.1", "[fe80::1]", "[fd00:ec2::254]"];
    for host in answers_for_it.into_iter().chain(ours.as_deref()) {
        let said = said(host);
        assert!(
            said.starts_with("OTHER: ") && said.ends_with("permission denied"),
            "{host}: {said}"
        );
    }
    // The node, as Pods know it, where nobody has granted anything.
    assert_eq!(said("host.sampan.internal"), "REFUSED");
    let fetched =
        cluster.run("exec client -- wget -T 5 -qO- http://169.254.169.254/latest/meta-data");
    assert!(fetched.stderr.contains("Permission denied"), "{}", fetched.all());
    // Nor by a Service that somebody points there.
    if let Some(ip) = &ours {
        let endpoints = home.file(
            "endpoints.yaml",
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: sly}}\nspec: {{ports: [{{port: {port}}}]}}\n---\n\
                 apiVersion: v1\nkind: Endpoints\nmetadata: {{name: sly}}\n\
                 subsets: [{{addresses: [{{ip: {ip}}}], ports: [{{port: {port}}}]}}]\n"
            ),
        );
        cluster.kubectl(&format!("apply -f {endpoints}"));
        let mut last = String::new();
        let is_denied = (0..TRIES_MAX).any(|_| {
            last = said("sly");
            assert!(!last.is_empty(), "it was let through");
            last.ends_with("permission denied")
        });
        assert!(is_denied, "{last}");
    }
    listener.set_nonblocking(true).unwrap();
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn with_egress_denied_only_the_cluster_is_reached() {
    let home = Home::new();
    let cluster = home.up_with(&["--egress=deny"]);
    start(&home, &cluster);
    for to in ["198.51.100.7:80", "[2001:db8::1]:80", "127.0.0.1:9"] {
        let said = connect(&cluster, to);
        let expect = if to.starts_with("127.") { "REFUSED" } else { "permission denied" };
        assert!(said.ends_with(expect), "{to}: {said}");
    }
    let fetched = cluster.run("exec client -- wget -T 5 -qO- http://198.51.100.7/");
    let expect = "wget: can't connect to remote host (198.51.100.7): Permission denied";
    assert!(fetched.stderr.contains(expect), "{}", fetched.all());
    let datagram = cluster.run("exec client -- sh -c 'echo x | nc -u -w 1 198.51.100.7 9'");
    assert!(datagram.code != 0, "{}", datagram.all());
    let pinged = cluster.run("exec client -- ping -c 1 198.51.100.7");
    assert!(pinged.stderr.contains("Operation not permitted"), "{}", pinged.all());
    // Names are part of what lies outside.
    let found = cluster.run("exec client -- nslookup example.org");
    assert!(found.code == 1 && found.all().contains("NXDOMAIN"), "{}", found.all());

    assert_eq!(cluster.kubectl("exec client -- wget -T 20 -qO- http://web/hostname"), "client");
    cluster.kubectl("exec client -- nc -z -w 20 kubernetes.default 443");
    let server = "exec client -- nslookup kube-dns.kube-system.svc.cluster.local";
    assert!(cluster.kubectl(server).contains("10.43.0.10"));
}

/// Greets everybody who connects, until the test ends.
fn greet(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Who only looks if somebody is there does not stay to hear it.
            let _ = stream.and_then(|mut stream| stream.write_all(b"hello from the host\n"));
        }
    });
}

const GREETING: &str = "hello from the host\n";

#[test]
fn what_is_granted_of_this_machine_is_reached() {
    let home = Home::new();
    let bind = |ip: IpAddr| {
        let listener = TcpListener::bind(SocketAddr::new(ip, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        greet(listener);
        port
    };
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (granted, closed) = (bind(loopback), bind(loopback));
    let mut grants =
        vec!["--egress=deny".to_owned(), format!("--egress-grant=127.0.0.1:{granted}")];
    // A machine without any network is to be tested on, too.
    let ours = machine_address().map(|ip| (ip, bind(ip), bind(ip)));
    grants.extend(ours.map(|(ip, granted, _)| format!("--egress-grant={ip}:{granted}")));
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let echo_port = echo.local_addr().unwrap().port();
    grants.push(format!("--egress-grant=127.0.0.1:{echo_port}"));
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((count, from)) = echo.recv_from(&mut buffer) {
            echo.send_to(&buffer[..count], from).unwrap();
        }
    });
    let cluster = home.up_with(&grants.iter().map(String::as_str).collect::<Vec<_>>());
    start(&home, &cluster);

    let host = format!("host.sampan.internal:{granted}");
    for to in [host.as_str(), &format!("10.42.0.1:{granted}")] {
        assert_eq!(nc(&cluster, to).stdout, GREETING, "{to}");
    }
    // The Pod's own loopback stays its own, and what is not granted closed.
    assert_eq!(connect(&cluster, &format!("127.0.0.1:{granted}")), "REFUSED");
    assert_eq!(connect(&cluster, &format!("host.sampan.internal:{closed}")), "REFUSED");
    let said = cluster.run_words(&[
        "exec",
        "client",
        "--",
        "sh",
        "-c",
        &format!("echo ahoy | nc -u -w 2 host.sampan.internal {echo_port}"),
    ]);
    assert_eq!(said.stdout, "ahoy\n", "{}", said.all());
    if let Some((ip, granted, closed)) = ours {
        assert_eq!(nc(&cluster, &format!("{ip}:{granted}")).stdout, GREETING);
        assert!(connect(&cluster, &format!("{ip}:{closed}")).ends_with("permission denied"));
    }

    // As Services: another name for it, and an address of its own.
    let endpoints = |name: &str, ip: &str, port: u16| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
             spec: {{type: NodePort, ports: [{{port: 5432, targetPort: {port}}}]}}\n---\n\
             apiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}}}\n\
             subsets: [{{addresses: [{{ip: {ip}}}], ports: [{{port: {port}}}]}}]\n"
        )
    };
    let mut services = endpoints("db", "10.42.0.1", granted);
    services += &ours
        .map_or_else(String::new, |(ip, granted, _)| endpoints("near", &ip.to_string(), granted));
    cluster.kubectl(&format!("apply -f {}", home.file("services.yaml", services)));
    cluster.kubectl("create service externalname alias --external-name=host.sampan.internal");
    let alias = format!("alias:{granted}");
    let by_name = ["db:5432", "near:5432", &alias];
    for to in by_name.into_iter().filter(|to| ours.is_some() || !to.starts_with("near")) {
        let is_heard = (0..TRIES_MAX).any(|_| nc(&cluster, to).stdout == GREETING);
        assert!(is_heard, "{to}: {}", nc(&cluster, to).all());
    }

    let mut stream = connect_from_here(&format!("127.0.0.1:{}", cluster.node_port("db"))).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, GREETING);

    // Policies are about it as about everything that is no Pod.
    let policy = home.file(
        "policy.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\n\
         spec: {podSelector: {}, policyTypes: [Egress]}\n",
    );
    cluster.kubectl(&format!("apply -f {policy}"));
    let node = format!("10.42.0.1:{granted}");
    let is_denied = (0..TRIES_MAX).any(|_| connect(&cluster, &node) == "TIMEOUT");
    assert!(is_denied, "{}", connect(&cluster, &node));
    cluster.kubectl(
        "patch networkpolicy deny --type=merge \
         -p {\"spec\":{\"egress\":[{\"to\":[{\"ipBlock\":{\"cidr\":\"10.42.0.1/32\"}}]}]}}",
    );
    let is_allowed = (0..TRIES_MAX).any(|_| connect(&cluster, &node).is_empty());
    assert!(is_allowed, "{}", connect(&cluster, &node));
}

#[test]
fn a_grant_that_cannot_work_is_refused() {
    let home = Home::new();
    let refused = |grant: &str, code: i32, text: &str| {
        let answer = run(home.sampan(&["up", "--ephemeral", &format!("--egress-grant={grant}")]));
        assert!(answer.code == code && answer.stderr.contains(text), "{grant}: {}", answer.all());
    };
    refused(
        "db.example.org:5432",
        2,
        "give an address or a network, and a port if only one is meant",
    );
    refused("127.0.0.1", 2, "this machine's own address needs a port, such as 127.0.0.1:5432");
    refused("127.0.0.0/8", 2, "addresses of the machine itself are granted one by one");
    refused("192.0.2.1:99999", 2, "\"99999\" is not a port: give a number from 1 to 65535");
    refused("10.42.0.7:80", 1, "it is in the cluster's own network 10.42.0.0/16");
    refused("10.1.0.0/16", 1, "Pods reach what is outside without it");
    refused("127.0.0.1:6443", 1, "that port is the API server's");
}

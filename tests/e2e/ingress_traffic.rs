//! What passes through an Ingress: upgrades, long bodies, slow ones, rollouts, changed certificates.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::outside::{ANSWER_TIME_MAX, Load, connect, get};
use crate::support::{Cluster, Home};

/// How often somebody tries what is about to become so.
const TRIES_MAX: usize = 5000;

/// Servers of one line each: one switches protocols and echoes, one answers in two pieces and waits
/// for the client between them, one counts what it is sent, one sends much.
const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: lines, labels: {app: lines}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox
    command:
    - sh
    - -c
    - |
      head='while read -r line && [ "$line" != "$(printf "\r")" ]; do case $line in Content-Length:*|content-length:*) n=${line#*: }; esac; done; n=${n%?}'
      cat > /switch <<END
      $head
      printf 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'
      exec cat
      END
      cat > /talk <<END
      $head
      printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n'
      while read -r line; do case \$line in go*) break;; esac; done
      printf '5\r\nlast\n\r\n0\r\n\r\n'
      END
      cat > /count <<END
      $head
      sum=\$(head -c \$n | sha256sum | cut -d ' ' -f 1)
      printf 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 64\r\n\r\n%s' \$sum
      END
      cat > /much <<END
      $head
      printf 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'
      seq 1000000
      END
      nc -lk -p 8001 -e sh /switch &
      nc -lk -p 8002 -e sh /talk &
      nc -lk -p 8003 -e sh /count &
      exec nc -lk -p 8004 -e sh /much
---
apiVersion: v1
kind: Service
metadata: {name: lines}
spec:
  selector: {app: lines}
  ports:
  - {name: switch, port: 8001}
  - {name: talk, port: 8002}
  - {name: count, port: 8003}
  - {name: much, port: 8004}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: lines}
spec:
  rules:
  - http:
      paths:
      - {path: /switch, pathType: Prefix, backend: {service: {name: lines, port: {name: switch}}}}
      - {path: /talk, pathType: Prefix, backend: {service: {name: lines, port: {name: talk}}}}
      - {path: /count, pathType: Prefix, backend: {service: {name: lines, port: {name: count}}}}
      - {path: /much, pathType: Prefix, backend: {service: {name: lines, port: {name: much}}}}
"#;

fn address_of(cluster: &Cluster<'_>, ingress: &str, index: usize) -> String {
    let entry = format!("status.loadBalancer.ingress[0].ports[{index}].port");
    cluster.wait_for(&format!("jsonpath={{.{entry}}}"), &format!("ingress/{ingress}"));
    let port = cluster.kubectl(&format!("get ingress {ingress} -o jsonpath={{.{entry}}}"));
    format!("127.0.0.1:{port}")
}

fn up(home: &Home) -> Cluster<'_> {
    home.up_with(&["--ingress-http=127.0.0.1:0", "--ingress-https=127.0.0.1:0"])
}

/// Reads on until `text` has come.
#[track_caller]
fn read_until(stream: &mut impl Read, text: &str) -> String {
    let mut read = Vec::new();
    while !read.windows(text.len()).any(|window| window == text.as_bytes()) {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "no {text:?} in {:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&bytes[..count]);
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn upgrades_and_bodies_of_any_size_pass() {
    let home = Home::new();
    let cluster = up(&home);
    cluster.kubectl(&format!("apply -f {}", home.file("lines.yaml", PODS)));
    cluster.wait_for("condition=Ready", "pod/lines");
    let address = address_of(&cluster, "lines", 0);
    // A port of a Pod that listens elsewhere already refuses at once: all of them are waited for.
    let wait = "for port in 8001 8002 8003 8004; do until nc -z 127.0.0.1 $port; do :; done; done";
    let listen = cluster.run_words(&["exec", "lines", "--", "timeout", "40", "sh", "-c", wait]);
    assert_eq!(listen.code, 0, "{}", listen.all());

    let mut stream = connect(&address).unwrap();
    let request = "GET /switch HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: echo\r\n"), "{head}");
    // Each waits for the other: nothing is held back.
    for word in ["hello", "and again"] {
        stream.write_all(word.as_bytes()).unwrap();
        assert_eq!(read_until(&mut stream, word), word);
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);

    // Neither side waits for the end of what the other says.
    let mut stream = connect(&address).unwrap();
    let request = "POST /talk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    read_until(&mut stream, "6\r\nfirst\n\r\n");
    stream.write_all(b"3\r\ngo\n\r\n0\r\n\r\n").unwrap();
    assert_eq!(read_until(&mut stream, "0\r\n\r\n"), "5\r\nlast\n\r\n0\r\n\r\n");

    let body: Vec<u8> = (0..1_500_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut stream = connect(&address).unwrap();
    let request =
        format!("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &body);
    let sum: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(read_until(&mut stream, &sum).starts_with("HTTP/1.1 200 "));

    let much = get(&address, "x", "/much").unwrap();
    let (_, much) = much.split_once("\r\n\r\n").unwrap();
    let expect: String = (1..=1_000_000).map(|number| format!("{number}\n")).collect();
    assert!(dechunked(much) == expect, "{} bytes came", much.len());
}

/// A chunked body without its chunks' lengths.
fn dechunked(mut body: &str) -> String {
    let mut text = String::new();
    loop {
        let (length, rest) = body.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return text;
        }
        text.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
}

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [netexec]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  tls: [{hosts: [web.example.org], secretName: cert}]
  rules:
  - host: web.example.org
    http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
"#;

#[track_caller]
fn start_web(home: &Home, cluster: &Cluster<'_>) {
    cluster.kubectl(&format!("apply -f {}", home.file("web.yaml", WEB)));
    cluster.kubectl("rollout status deployment/web --timeout=30s");
}

/// One more request over a connection that is kept.
fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /hostname HTTP/1.1\r\nHost: web.example.org\r\n\r\n")?;
    let mut answer = String::new();
    while !is_whole(&answer) {
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => answer += &String::from_utf8_lossy(&bytes[..count]),
        }
    }
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(io::Error::other(answer)) }
}

fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() == length.unwrap().parse::<usize>().unwrap()
}

#[test]
fn rolling_a_deployment_loses_no_request() {
    let home = Home::new();
    let cluster = up(&home);
    start_web(&home, &cluster);
    let address = address_of(&cluster, "web", 0);
    let host = "web.example.org";
    let is_there = || get(&address, host, "/").is_ok_and(|answer| answer.contains(" 200 "));
    assert!((0..TRIES_MAX).any(|_| is_there()), "{:?}", get(&address, host, "/"));

    let kept = Load::of(2, || {
        let mut stream = connect(&address).unwrap();
        move || ask(&mut stream)
    });
    let fresh = Load::of(2, || {
        let address = address.clone();
        move || match get(&address, host, "/hostname")? {
            answer if answer.starts_with("HTTP/1.1 200 ") => Ok(()),
            answer => Err(io::Error::other(answer)),
        }
    });
    for _ in 0..5 {
        // Not twice in one second, says kubectl.
        let restarts =
            (0..TRIES_MAX).any(|_| cluster.run("rollout restart deployment/web").code == 0);
        assert!(restarts);
        cluster.kubectl("rollout status deployment/web --timeout=50s");
    }
    for load in [kept, fresh] {
        let (answered, failures) = load.end();
        assert!(failures.is_empty(), "{answered} were answered, not: {failures:#?}");
        assert!(answered > 50, "{answered}");
    }

    // To zero and away: each says what is missing.
    let told = |text: &str| {
        let mut last = String::new();
        let is_told = (0..TRIES_MAX).any(|_| {
            last = get(&address, host, "/").unwrap();
            last.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && last.contains(text)
        });
        assert!(is_told, "{last}");
    };
    cluster.kubectl("scale deployment/web --replicas=0");
    told("\r\n\r\n503 Service Unavailable\nno Pod of the Service default/web takes connections");
    cluster.kubectl("delete service web");
    told("\r\n\r\n503 Service Unavailable\nthe Service default/web is not there\n");
}

/// The answer to a GET of one who trusts this certificate only.
fn get_trusting(address: &str, certificate: &CertificateDer<'static>) -> io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.with_root_certificates(roots);
    let name = ServerName::try_from("web.example.org").map_err(io::Error::other)?;
    let client = ClientConnection::new(Arc::new(config.with_no_client_auth()), name)
        .map_err(io::Error::other)?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    let mut stream = StreamOwned::new(client, stream);
    stream.write_all(
        b"GET /header?key=X-Forwarded-Proto HTTP/1.1\r\nHost: web.example.org\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_certificate_that_changes_is_served_from_then_on() {
    let home = Home::new();
    let cluster = up(&home);
    start_web(&home, &cluster);
    let events = cluster.follow("get events --watch");
    events.line_with("TLS is not served: the Secret default/cert is not there");
    let address = address_of(&cluster, "web", 1);
    let pairs = [0, 1].map(|_| {
        let names = vec!["web.example.org".to_owned()];
        rcgen::generate_simple_self_signed(names).unwrap()
    });
    let secret = |pair: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        let certificate = home.file("tls.crt", pair.cert.pem());
        let key = home.file("tls.key", pair.signing_key.serialize_pem());
        let line = format!(
            "create secret tls cert --cert={certificate} --key={key} --dry-run=client -o yaml"
        );
        let manifest = home.file("secret.yaml", cluster.kubectl(&line));
        cluster.kubectl(&format!("apply -f {manifest}"));
    };
    for (pair, other) in [(&pairs[0], &pairs[1]), (&pairs[1], &pairs[0])] {
        secret(pair);
        let mut last = None;
        let is_served = (0..TRIES_MAX).any(|_| {
            let answer = get_trusting(&address, pair.cert.der());
            let is_it = answer.as_ref().is_ok_and(|answer| answer.ends_with("\r\n\r\nhttps"));
            last = Some(answer);
            is_it
        });
        assert!(is_served, "{last:?}");
        let refused = get_trusting(&address, other.cert.der()).unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
    }
}

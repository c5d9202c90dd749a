//! A real server on loopback, asked by real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::*;

/// A server in a thread of its own; its exit code comes through the channel.
struct Running {
    http: SocketAddr,
    udp: SocketAddr,
    ended: Receiver<u8>,
}

fn start() -> Running {
    let (ready, is_ready) = channel();
    let (end, ended) = channel();
    thread::spawn(move || {
        let mut server = Server::default();
        let started = Instant::now();
        let http = server.http(0, move |request| answer(request, started, true)).unwrap();
        let any = (Ipv4Addr::UNSPECIFIED, 0);
        let udp = server.udp(any, |bytes, peer| datagram(bytes, &peer.to_string())).unwrap();
        ready.send((http, udp)).unwrap();
        let _ = end.send(server.run().unwrap());
    });
    let (http, udp) = is_ready.recv().unwrap();
    Running { http: ([127, 0, 0, 1], http).into(), udp: ([127, 0, 0, 1], udp).into(), ended }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Status and body.
    fn get(&self, target: &str) -> (u16, String) {
        let mut stream = self.connect();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nX-Key: v\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        (status, text.split_once("\r\n\r\n").unwrap_or_default().1.to_owned())
    }

    fn check(&self, target: &str, status: u16, body: &str) {
        assert_eq!(self.get(target), (status, body.to_owned()), "{target}");
    }

    fn send(&self, text: &str) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.send_to(text.as_bytes(), self.udp).unwrap();
        let mut bytes = [0; 2048];
        let (length, _) = socket.recv_from(&mut bytes).unwrap();
        let mine = socket.local_addr().unwrap().to_string();
        String::from_utf8_lossy(&bytes[..length]).replace(&mine, "ME")
    }
}

#[test]
fn questions_are_answered_as_upstream_answers_them() {
    let server = start();
    server.check("/echo?msg=a%20b", 200, "a b");
    server.check("/echo?msg=x&code=503", 503, "x");
    server.check(
        "/echo?msg=x&code=y",
        200,
        "argument 'code' must be an integer or empty, got \"y\"\n",
    );
    server.check("/hostname", 200, &hostname());
    server.check("/hostName", 200, &hostname());
    server.check("/header?key=X-Key", 200, "v");
    server.check("/healthz", 200, "");
    server.check(
        "/redirect?location=/echo%3Fmsg=x&code=307",
        307,
        "<a href=\"/echo?msg=x\">Temporary Redirect</a>.\n\n",
    );
    assert!(server.get("/clientip").1.starts_with("127.0.0.1:"));
    assert!(server.get("/anything").1.starts_with("NOW: 2"));
    assert_eq!(server.get("/upload").0, 501);
}

#[test]
fn datagrams_are_answered() {
    let server = start();
    assert_eq!(server.send("hostname\n"), hostname().to_lowercase());
    assert_eq!(server.send("echo Some Text"), "some text");
    assert_eq!(server.send("clientip"), "ME");
}

#[test]
fn a_slow_client_keeps_nobody_waiting() {
    let server = start();
    let mut slow = server.connect();
    slow.write_all(b"GET /echo?msg=slow HTTP/1.1\r\n").unwrap();
    server.check("/echo?msg=fast", 200, "fast");
    slow.write_all(b"Connection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    slow.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("slow"), "{text}");
}

#[test]
fn several_requests_come_over_one_connection() {
    let server = start();
    let mut stream = server.connect();
    stream.write_all(b"GET /echo?msg=1 HTTP/1.1\r\n\r\nGET /echo?msg=2 HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("\r\n\r\n1HTTP/1.1 200 OK"), "{text}");
    assert!(text.ends_with("\r\n\r\n2"), "{text}");
}

#[test]
fn it_dials_others_and_itself() {
    let server = start();
    let (http, udp) = (server.http.port(), server.udp.port());
    let dial = |rest: &str| server.get(&format!("/dial?host=127.0.0.1&{rest}"));
    assert_eq!(
        dial(&format!("port={http}&request=echo?msg=x&tries=2")),
        (200, "{\"responses\":[\"x\",\"x\"]}".to_owned())
    );
    assert_eq!(
        dial(&format!("port={udp}&request=echo%20y&protocol=udp")),
        (200, "{\"responses\":[\"y\"]}".to_owned())
    );
    assert_eq!(dial("port=1").0, 400);
    assert_eq!(dial("port=1&request=x&protocol=q").0, 400);
    let refused = dial("port=1&request=x").1;
    assert!(
        refused.starts_with("{\"errors\":[\"Get \\\"http://127.0.0.1:1/x\\\": dial tcp"),
        "{refused}"
    );
    assert!(refused.contains("connection refused"), "{refused}");
}

#[test]
fn commands_are_run_beside_other_requests() {
    let server = start();
    let http = server.http;
    let slow = thread::spawn(move || {
        let mut stream = TcpStream::connect(http).unwrap();
        write!(stream, "GET /shell?cmd=read%20x HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    server.check("/shell?cmd=echo%20a%3B%20echo%20b%20%3E%262", 200, "{\"output\":\"a\\nb\\n\"}");
    server.check("/shell?shellCommand=exit%203", 200, "{\"error\":\"exit status 3\"}");
    assert!(slow.join().unwrap().contains("exit status 1"));
}

#[test]
fn it_exits_as_it_is_told() {
    let server = start();
    server.check(
        "/exit?code=x",
        200,
        "argument 'code' must be an integer [0-127] or empty, got \"x\"\n",
    );
    server.check("/exit?code=3&timeout=5s&wait=10ms", 200, "");
    assert_eq!(server.ended.recv_timeout(Duration::from_secs(10)), Ok(3));
    let server = start();
    server.connect().write_all(b"GET /shutdown HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(server.ended.recv_timeout(Duration::from_secs(10)), Ok(0));
}

#[test]
fn garbage_harms_nobody() {
    let server = start();
    for garbage in [&b"\x00\xff\r\n\r\n"[..], b"GET / HTTP/9\r\n\r\n", b"\r\n\r\n"] {
        let mut stream = server.connect();
        stream.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 "), "{garbage:?}");
    }
    server.check("/echo?msg=well", 200, "well");
}

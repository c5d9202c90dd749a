//! A name server that knows a few names, asked by both.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::thread;

use crate::server::closed_port;
use crate::{agree, ours};

/// Serves the same answers over UDP and TCP; `127.0.0.1:PORT`.
fn start() -> String {
    let (socket, listener) = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()) {
            break (socket, listener);
        }
    };
    let place = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = [0; 1000];
        loop {
            let (n, peer) = socket.recv_from(&mut buffer).unwrap();
            if let Some(reply) = answer(&buffer[..n], false) {
                socket.send_to(&reply, peer).unwrap();
            }
        }
    });
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut length) = (stream.unwrap(), [0; 2]);
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).unwrap();
            let reply = answer(&question, true).unwrap();
            stream.write_all(&[&(reply.len() as u16).to_be_bytes()[..], &reply].concat()).unwrap();
        }
    });
    place
}

fn name(text: &str) -> Vec<u8> {
    let label = |label: &str| [&[label.len() as u8][..], label.as_bytes()].concat();
    let mut bytes: Vec<u8> =
        text.split('.').filter(|part| !part.is_empty()).flat_map(label).collect();
    bytes.push(0);
    bytes
}

fn answer(question: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let mut labels: Vec<String> = Vec::new();
    let mut at = 12;
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8(question[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let asked = labels.join(".");
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let numbers =
        |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let mut flags: u16 = 0x8580;
    let records: Vec<(String, u16, Vec<u8>)> = match (asked.as_str(), kind) {
        ("silent.x", _) => return None,
        ("trouble.x", _) => {
            flags |= 2;
            vec![]
        }
        ("forbidden.x", _) => {
            flags |= 5;
            vec![]
        }
        ("web.x", 1) => vec![(asked.clone(), 1, vec![10, 43, 0, 9])],
        ("web.x", _) => vec![],
        ("pods.x", 1) => (2..4).map(|n| (asked.clone(), 1, vec![10, 42, 0, n])).collect(),
        ("pods.x", 28) => vec![(asked.clone(), 28, Ipv6Addr::LOCALHOST.octets().to_vec())],
        ("long.x", 1) if !tcp => {
            flags |= 0x200;
            vec![]
        }
        ("long.x", 1) => (0..100).map(|n| (asked.clone(), 1, vec![10, 42, 1, n])).collect(),
        ("alias.x", 1) => {
            vec![(asked.clone(), 5, name("web.x")), ("web.x".to_owned(), 1, vec![10, 43, 0, 9])]
        }
        ("alias.x", 5) => vec![(asked.clone(), 5, name("web.x"))],
        ("_http._tcp.web.x", 33) => {
            vec![(asked.clone(), 33, [numbers(&[0, 100, 80]), name("web.x")].concat())]
        }
        ("9.0.43.10.in-addr.arpa", 12) => vec![(asked.clone(), 12, name("web.x"))],
        ("foreign.x", kind) => {
            flags &= !0x400;
            match kind {
                1 => vec![(asked.clone(), 1, vec![1, 2, 3, 4])],
                16 => vec![(asked.clone(), 16, b"\x05v=1 a".to_vec())],
                15 => vec![(asked.clone(), 15, [numbers(&[10]), name("mail.x")].concat())],
                2 => vec![(asked.clone(), 2, name("ns.x"))],
                6 => {
                    let rest = numbers(&[0, 1, 0, 2, 0, 3, 0, 4, 0, 5]);
                    vec![(asked.clone(), 6, [name("ns.x"), name("admin.x"), rest].concat())]
                }
                _ => vec![],
            }
        }
        _ => {
            flags |= 3;
            vec![]
        }
    };
    let mut reply = question[..2].to_vec();
    reply.extend(numbers(&[flags, 1, records.len() as u16, 0, 0]));
    reply.extend(&question[12..at + 5]);
    for (owner, kind, data) in records {
        reply.extend(name(&owner));
        reply.extend(numbers(&[kind, 1, 0, 30, data.len() as u16]));
        reply.extend(data);
    }
    Some(reply)
}

#[test]
fn answers_are_told_as_debians_does() {
    let server = start();
    for words in [
        &["web.x"][..],
        &["pods.x"],
        &["alias.x"],
        &["10.43.0.9"],
        &["-type=a", "pods.x"],
        &["-type=aaaa", "pods.x"],
        &["-type=cname", "alias.x"],
        &["-type=srv", "_http._tcp.web.x"],
        &["-type=ptr", "9.0.43.10.in-addr.arpa"],
        &["-type=txt", "foreign.x"],
        &["-type=mx", "foreign.x"],
        &["-type=ns", "foreign.x"],
        &["-type=soa", "foreign.x"],
        &["-q=a", "foreign.x"],
        &["nosuch.x"],
        &["trouble.x"],
        &["forbidden.x"],
    ] {
        agree(&[&["nslookup"], words, &[server.as_str()]].concat());
    }
}

#[test]
fn failures_are_told_in_debians_words() {
    agree(&["nslookup", "x.x", &format!("127.0.0.1:{}", closed_port())]);
    agree(&["nslookup", "-type=foo", "x"]);
    agree(&["nslookup", "x", "nosuch.invalid"]);
    agree(&["nslookup", "silent.x", &start()]);
}

#[test]
fn what_does_not_fit_comes_over_tcp() {
    let ran = ours(&["nslookup", "-type=a", "long.x", &start()]);
    assert_eq!((ran.code, ran.stdout.matches("Address: 10.42.1.").count()), (Some(0), 100));
}

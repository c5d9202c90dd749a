use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use super::answer::{Verdict, Zone, answer};
use super::message::{Answer, Query};
use crate::node::network::{Names, Records, ServiceRecord};

fn zone() -> Zone {
    let net = |second| Ipv4Net::new_assert(Ipv4Addr::new(10, second, 0, 0), 16);
    Zone { domain: "cluster.local".to_owned(), networks: vec![net(42), net(43)] }
}

fn names() -> Names {
    let names = Names::default();
    let ip = |n| Ipv4Addr::new(10, 42, 0, n);
    let at = |addresses| Records { addresses, ..Records::default() };
    let served = |target: &str| ServiceRecord { port: 8080, target: target.to_owned() };
    let services = vec![served("a.db.n.svc.cluster.local"), served("b.db.n.svc.cluster.local")];
    let alias = |to: &str| Records { alias: Some(to.to_owned()), ..Records::default() };
    let pointers = vec!["a.db.n.svc.cluster.local".to_owned()];
    names.apply([
        ("db.n.svc.cluster.local".to_owned(), Some(at(vec![ip(2), ip(3)]))),
        ("a.db.n.svc.cluster.local".to_owned(), Some(at(vec![ip(2)]))),
        ("b.db.n.svc.cluster.local".to_owned(), Some(at(vec![ip(3)]))),
        (
            "_http._tcp.db.n.svc.cluster.local".to_owned(),
            Some(Records { services, ..Records::default() }),
        ),
        ("out.n.svc.cluster.local".to_owned(), Some(alias("example.com"))),
        ("in.n.svc.cluster.local".to_owned(), Some(alias("a.db.n.svc.cluster.local"))),
        ("2.0.42.10.in-addr.arpa".to_owned(), Some(Records { pointers, ..Records::default() })),
        ("many.n.svc.cluster.local".to_owned(), Some(at((0..200).map(ip).collect()))),
    ]);
    names
}

fn question(name: &str, kind: TYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(4);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).unwrap();
    packet.questions.push(Question::new(name, kind.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().unwrap()
}

/// The code, then each record of the answer, the authority (`; …`) and the rest (`+ …`).
fn shown(bytes: &[u8]) -> String {
    let packet = Packet::parse(bytes).unwrap();
    let mut text = format!("{:?}", packet.rcode());
    let parts =
        [("", &packet.answers), ("; ", &packet.name_servers), ("+ ", &packet.additional_records)];
    for (mark, records) in parts {
        for record in records {
            let data = match &record.rdata {
                RData::A(a) => Ipv4Addr::from(a.address).to_string(),
                RData::CNAME(name) => format!("-> {}", name.0),
                RData::PTR(name) => format!("is {}", name.0),
                RData::SRV(srv) => format!("{} {}:{}", srv.weight, srv.target, srv.port),
                RData::SOA(soa) => format!("SOA {}", soa.mname),
                RData::NS(ns) => format!("NS {}", ns.0),
                RData::TXT(_) => "TXT".to_owned(),
                other => format!("{other:?}"),
            };
            text += &format!("\n{mark}{} {data}", record.name);
        }
    }
    text
}

fn ask(name: &str, kind: TYPE) -> Verdict {
    let query = Query::parse(&question(name, kind)).unwrap();
    answer(&query, &names(), &zone())
}

#[track_caller]
fn check(name: &str, kind: TYPE, expect: &str) {
    let query = Query::parse(&question(name, kind)).unwrap();
    match ask(name, kind) {
        Verdict::Answered(answer) => assert_eq!(shown(&query.datagram(&answer)), expect),
        Verdict::Outside { name, .. } => assert_eq!(format!("outside {name}"), expect),
    }
}

const SOA: &str = "\n; cluster.local SOA ns.dns.cluster.local";

#[test]
fn services_have_addresses_ports_and_names() {
    check(
        "DB.n.svc.Cluster.Local",
        TYPE::A,
        "NoError\ndb.n.svc.cluster.local 10.42.0.2\ndb.n.svc.cluster.local 10.42.0.3",
    );
    check(
        "_http._tcp.db.n.svc.cluster.local",
        TYPE::SRV,
        "NoError\n_http._tcp.db.n.svc.cluster.local 50 a.db.n.svc.cluster.local:8080\n\
         _http._tcp.db.n.svc.cluster.local 50 b.db.n.svc.cluster.local:8080\n\
         + a.db.n.svc.cluster.local 10.42.0.2\n+ b.db.n.svc.cluster.local 10.42.0.3",
    );
    check(
        "2.0.42.10.in-addr.arpa",
        TYPE::PTR,
        "NoError\n2.0.42.10.in-addr.arpa is a.db.n.svc.cluster.local",
    );
    check(
        "10-42-0-9.n.pod.cluster.local",
        TYPE::A,
        "NoError\n10-42-0-9.n.pod.cluster.local 10.42.0.9",
    );
}

#[test]
fn what_is_not_there_is_told_from_what_has_no_such_record() {
    check("db.n.svc.cluster.local", TYPE::AAAA, &format!("NoError{SOA}"));
    check("no.n.svc.cluster.local", TYPE::A, &format!("NameError{SOA}"));
    check("svc.cluster.local", TYPE::A, &format!("NoError{SOA}"));
    check("10-42-0.n.pod.cluster.local", TYPE::A, &format!("NameError{SOA}"));
    check("7.0.42.10.in-addr.arpa", TYPE::PTR, "NameError");
    check("example.com", TYPE::A, "outside example.com");
    check("7.0.0.8.in-addr.arpa", TYPE::PTR, "outside 7.0.0.8.in-addr.arpa");
    check("notcluster.local", TYPE::A, "outside notcluster.local");
}

#[test]
fn the_zone_says_who_it_is() {
    check(
        "cluster.local",
        TYPE::NS,
        "NoError\ncluster.local NS kube-dns.kube-system.svc.cluster.local",
    );
    check("cluster.local", TYPE::SOA, "NoError\ncluster.local SOA ns.dns.cluster.local");
    check("dns-version.cluster.local", TYPE::TXT, "NoError\ndns-version.cluster.local TXT");
}

#[test]
fn aliases_are_followed_inside_and_outside() {
    check(
        "in.n.svc.cluster.local",
        TYPE::A,
        "NoError\nin.n.svc.cluster.local -> a.db.n.svc.cluster.local\n\
         a.db.n.svc.cluster.local 10.42.0.2",
    );
    check(
        "out.n.svc.cluster.local",
        TYPE::CNAME,
        "NoError\nout.n.svc.cluster.local -> example.com",
    );
    let Verdict::Outside { name, answer } = ask("out.n.svc.cluster.local", TYPE::A) else {
        panic!("it leads outside")
    };
    assert_eq!((name.as_str(), answer.records.len()), ("example.com", 1));
}

#[test]
fn a_long_answer_is_cut_to_what_the_client_takes() {
    let bytes = question("many.n.svc.cluster.local", TYPE::A);
    let query = Query::parse(&bytes).unwrap();
    let Verdict::Answered(answer) = answer(&query, &names(), &zone()) else { panic!() };
    let cut = query.datagram(&answer);
    let packet = Packet::parse(&cut).unwrap();
    assert!(cut.len() <= 512 && packet.has_flags(PacketFlag::TRUNCATION));
    assert!(!packet.answers.is_empty());
    let whole = query.reply(&answer, 65_535);
    let packet = Packet::parse(&whole).unwrap();
    assert!(packet.answers.len() == 200 && !packet.has_flags(PacketFlag::TRUNCATION));
    // With EDNS0 the client takes more.
    let mut packet = Packet::parse(&bytes).unwrap();
    *packet.opt_mut() =
        Some(simple_dns::rdata::OPT { opt_codes: Vec::new(), udp_packet_size: 4096, version: 0 });
    let query = Query::parse(&packet.build_bytes_vec().unwrap()).unwrap();
    let reply = query.datagram(&answer);
    let packet = Packet::parse(&reply).unwrap();
    assert!(packet.answers.len() == 200 && packet.opt().is_some());
}

#[test]
fn garbage_is_refused_or_ignored() {
    let code = |bytes: &[u8]| {
        let reply = Query::parse(bytes).unwrap_err()?;
        Some(Packet::parse(&reply).unwrap().rcode())
    };
    let fine = question("db.n.svc.cluster.local", TYPE::A);
    let with = |at: usize, byte: u8| {
        let mut bytes = fine.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(code(&[]), None);
    assert_eq!(code(&fine[..11]), None);
    assert_eq!(code(&with(2, 0x80)), None, "another's answer");
    assert_eq!(code(&with(2, 0x28)), Some(RCODE::NotImplemented));
    assert_eq!(code(&with(5, 2)), Some(RCODE::FormatError), "two questions");
    assert_eq!(code(&with(6, 0xff)), Some(RCODE::FormatError), "65,280 answers");
    assert_eq!(code(&fine[..20]), Some(RCODE::FormatError));
    assert_eq!(code(&with(12, 0xc0)), Some(RCODE::FormatError), "a name that points nowhere");
}

#[test]
fn transfers_and_other_classes_are_refused() {
    let mut packet = Packet::new_query(4);
    let name = Name::new("cluster.local").unwrap();
    packet.questions.push(Question::new(name, simple_dns::QTYPE::AXFR, CLASS::IN.into(), false));
    let reply = Query::parse(&packet.build_bytes_vec().unwrap()).unwrap_err().unwrap();
    assert_eq!(Packet::parse(&reply).unwrap().rcode(), RCODE::Refused);
    let failed = Answer::failed(RCODE::ServerFailure);
    assert!(!failed.is_authoritative);
}

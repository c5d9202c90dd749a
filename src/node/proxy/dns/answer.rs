//! What is answered from the cluster's own names. Pure.

use std::net::Ipv4Addr;

use simple_dns::{QTYPE, RCODE, TYPE};

use super::message::{Answer, Data, Query, Record};
use crate::node::network::{Names, Records, reverse_name};

/// For how long the cluster's answers hold, in seconds; CoreDNS' default.
pub(super) const TTL_SECONDS: u32 = 5;
/// Bound: aliases followed for one question.
const ALIASES_MAX: usize = 8;
/// Of the schema of names, as the specification has it.
const SCHEMA_VERSION: &str = "1.1.0";
const REVERSE_ZONE: &str = "in-addr.arpa";

/// What the table says of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Answered(Answer),
    /// Addresses of `name`, which is not one of the cluster's, are to be added; `answer` has the
    /// aliases that lead there.
    Outside {
        name: String,
        answer: Answer,
    },
}

/// The cluster's own zone.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    /// `cluster.local`
    pub(super) domain: String,
    /// Of the Pods and of the Services.
    pub(super) networks: Vec<ipnet::Ipv4Net>,
}

/// Answers a question from the table.
pub(super) fn answer(query: &Query, names: &Names, zone: &Zone) -> Verdict {
    let mut answer = Answer { is_authoritative: true, ..Answer::failed(RCODE::NoError) };
    let mut name = query.name.clone();
    for _ in 0..ALIASES_MAX {
        let Some(records) = names.lookup(&name, &zone.domain) else { break };
        let Some(alias) = &records.alias else {
            zone.fill(&mut answer, query, &name, &records, names);
            return Verdict::Answered(answer);
        };
        answer.records.push(record(&name, Data::Cname(alias.clone())));
        if query.kind == QTYPE::TYPE(TYPE::CNAME) {
            return Verdict::Answered(answer);
        }
        name = alias.clone();
    }
    if zone.has(&name) {
        zone.deny(&mut answer, query, &name);
        return Verdict::Answered(answer);
    }
    if zone.is_reverse_of_ours(&name) {
        answer.code = RCODE::NameError;
        return Verdict::Answered(answer);
    }
    answer.is_authoritative = !answer.records.is_empty();
    Verdict::Outside { name, answer }
}

/// The weight of one of so many SRV records, as CoreDNS divides a hundred among them.
fn share(count: usize) -> u16 {
    u16::try_from(count).map_or(1, |count| (100 / count.max(1)).max(1))
}

fn record(name: &str, data: Data) -> Record {
    Record { name: name.to_owned(), ttl_seconds: TTL_SECONDS, data }
}

impl Zone {
    /// Adds the records of the type asked for, and what leads on from them.
    fn fill(
        &self,
        answer: &mut Answer,
        query: &Query,
        name: &str,
        records: &Records,
        names: &Names,
    ) {
        let mut found = Vec::new();
        if query.is_for(TYPE::A) {
            let mut ips = records.addresses.clone();
            let turn = query.turn() % ips.len().max(1);
            ips.rotate_left(turn);
            found.extend(ips.into_iter().map(|ip| record(name, Data::A(ip))));
        }
        if query.is_for(TYPE::PTR) {
            let pointers = records.pointers.iter().cloned();
            found.extend(pointers.map(|target| record(name, Data::Ptr(target))));
        }
        if query.is_for(TYPE::SRV) {
            let weight = share(records.services.len());
            for service in &records.services {
                found.push(record(name, Data::Srv { weight, service: service.clone() }));
                let target = names.lookup(&service.target, &self.domain);
                let ips = target.map(|target| target.addresses.clone()).unwrap_or_default();
                let known = |ip: Ipv4Addr| record(&service.target, Data::A(ip));
                let new = ips.into_iter().map(known);
                let new: Vec<_> = new.filter(|one| !answer.additional.contains(one)).collect();
                answer.additional.extend(new);
            }
        }
        if found.is_empty() {
            answer.authority.push(self.start());
        }
        answer.records.append(&mut found);
    }

    /// For a name of the zone that no record is kept for.
    fn deny(&self, answer: &mut Answer, query: &Query, name: &str) {
        let is_own = name == self.domain;
        let stem = name.strip_suffix(&self.domain).unwrap_or_default().trim_end_matches('.');
        let found = match stem {
            "" if query.is_for(TYPE::NS) => Some(record(name, Data::Ns(self.server()))),
            "" if query.is_for(TYPE::SOA) => Some(self.start()),
            "dns-version" if query.is_for(TYPE::TXT) => {
                Some(record(name, Data::Txt(SCHEMA_VERSION)))
            }
            _ => None,
        };
        if let Some(found) = found {
            answer.records.push(found);
            return;
        }
        // Other names are below these.
        if !is_own && !matches!(stem, "svc" | "pod" | "dns-version") {
            answer.code = RCODE::NameError;
        }
        answer.authority.push(self.start());
    }

    fn has(&self, name: &str) -> bool {
        name.strip_suffix(&self.domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    fn is_reverse_of_ours(&self, name: &str) -> bool {
        let Some(labels) = name.strip_suffix(REVERSE_ZONE) else { return false };
        let mut parts = labels.split_terminator('.').rev().map(str::parse::<u8>);
        let mut octets = [0; 4];
        for octet in &mut octets {
            let Some(Ok(part)) = parts.next() else { return false };
            *octet = part;
        }
        let ip = Ipv4Addr::from(octets);
        reverse_name(ip) == name && self.networks.iter().any(|network| network.contains(&ip))
    }

    fn server(&self) -> String {
        format!("kube-dns.kube-system.svc.{}", self.domain)
    }

    fn start(&self) -> Record {
        let soa = Data::Soa {
            server: format!("ns.dns.{}", self.domain),
            contact: format!("hostmaster.{}", self.domain),
            minimum_seconds: TTL_SECONDS,
        };
        record(&self.domain, soa)
    }
}

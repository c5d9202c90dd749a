//! Questions and answers on the wire. RFC 1035, RFC 6891 (EDNS0).

use std::net::{Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::{AAAA, CNAME, NS, OPT, PTR, RData, SOA, SRV, TXT};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};

use crate::node::network::ServiceRecord;

/// Without EDNS0 a datagram has at most so many bytes.
const UDP_BYTES_DEFAULT: u16 = 512;
/// The largest datagram that we send or say to take, whatever the client would take.
pub(super) const UDP_BYTES_MAX: u16 = 4096;
/// A message's header.
const HEADER_BYTES: usize = 12;
/// Bound: records of a query beside its question (EDNS0, a signature). Their number is checked before
/// anything is parsed, for room is made for as many as the header says.
const EXTRAS_MAX: u16 = 4;

/// A question we can answer.
#[derive(Debug, Clone)]
pub(super) struct Query {
    id: u16,
    wants_recursion: bool,
    question: Question<'static>,
    /// Lower case, without the last dot.
    pub(super) name: String,
    pub(super) kind: QTYPE,
    /// What the client takes as a datagram, if it speaks EDNS0.
    edns_bytes: Option<u16>,
}

impl Query {
    /// # Errors
    /// With the answer to something that is no question of ours; with nothing if there is to be no
    /// answer, as to another's answer.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Err(None) };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (flags, counts) = (word(2), [word(4), word(6), word(8), word(10)]);
        if flags & 0x8000 != 0 {
            return Err(None);
        }
        let refuse = |code| Err(Some(error(header, code)));
        if flags & 0x7800 != 0 {
            return refuse(RCODE::NotImplemented);
        }
        if counts[0] != 1 || counts[1..].iter().any(|count| *count > EXTRAS_MAX) {
            return refuse(RCODE::FormatError);
        }
        let Ok(packet) = Packet::parse(bytes) else { return refuse(RCODE::FormatError) };
        let Some(question) = packet.questions.first() else { return refuse(RCODE::FormatError) };
        let query = Self {
            id: packet.id(),
            wants_recursion: packet.has_flags(PacketFlag::RECURSION_DESIRED),
            question: question.clone().into_owned(),
            name: question.qname.to_string().to_ascii_lowercase(),
            kind: question.qtype,
            edns_bytes: packet.opt().map(|opt| opt.udp_packet_size),
        };
        if packet.opt().is_some_and(|opt| opt.version != 0) {
            return Err(Some(query.reply(&Answer::failed(RCODE::BADVERS), usize::MAX)));
        }
        let is_internet = matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
        if !is_internet || matches!(question.qtype, QTYPE::AXFR | QTYPE::IXFR) {
            return Err(Some(query.reply(&Answer::failed(RCODE::Refused), usize::MAX)));
        }
        Ok(query)
    }

    /// Whether records of the type are asked for.
    pub(super) fn is_for(&self, kind: TYPE) -> bool {
        self.kind == QTYPE::TYPE(kind) || self.kind == QTYPE::ANY
    }

    /// Differs from query to query, to spread clients over several addresses.
    pub(super) fn turn(&self) -> usize {
        usize::from(self.id)
    }

    /// What fits a datagram to this client.
    pub(super) fn datagram(&self, answer: &Answer) -> Vec<u8> {
        let bytes = self.edns_bytes.unwrap_or(UDP_BYTES_DEFAULT);
        self.reply(answer, bytes.clamp(UDP_BYTES_DEFAULT, UDP_BYTES_MAX).into())
    }

    /// The answer in at most `bytes_max` bytes: what leads on goes first, then the answer itself is
    /// cut, and the client told to ask again by TCP.
    pub(super) fn reply(&self, answer: &Answer, bytes_max: usize) -> Vec<u8> {
        let whole = self.encode(answer, false);
        if whole.len() <= bytes_max {
            return whole;
        }
        let mut cut = Answer { additional: Vec::new(), ..answer.clone() };
        let mut bytes = self.encode(&cut, false);
        while bytes.len() > bytes_max && !cut.records.is_empty() {
            cut.records.truncate(cut.records.len() / 2);
            bytes = self.encode(&cut, true);
        }
        bytes
    }

    fn encode(&self, answer: &Answer, is_cut: bool) -> Vec<u8> {
        let mut packet = Packet::new_reply(self.id);
        packet.set_flags(PacketFlag::RECURSION_AVAILABLE);
        if self.wants_recursion {
            packet.set_flags(PacketFlag::RECURSION_DESIRED);
        }
        if answer.is_authoritative {
            packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        }
        if is_cut {
            packet.set_flags(PacketFlag::TRUNCATION);
        }
        *packet.rcode_mut() = answer.code;
        *packet.opt_mut() = self.edns_bytes.map(|_| OPT {
            opt_codes: Vec::new(),
            udp_packet_size: UDP_BYTES_MAX,
            version: 0,
        });
        packet.questions.push(self.question.clone());
        packet.answers = resource_records(&answer.records);
        packet.name_servers = resource_records(&answer.authority);
        packet.additional_records = resource_records(&answer.additional);
        // Fails only for names that are too long, which resource_records has left out.
        packet.build_bytes_vec_compressed().unwrap_or_default()
    }
}

/// An error without anything of the query but its id.
fn error(header: &[u8; HEADER_BYTES], code: RCODE) -> Vec<u8> {
    let code = u8::try_from(code as u16).unwrap_or(u8::MAX) & 0x0f;
    // A response, with the query's opcode and its wish for recursion.
    let flags = [0x80 | (header[2] & 0x79), 0x80 | code];
    [&header[..2], &flags, &[0; 8]].concat()
}

/// What a question is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: RCODE,
    pub(super) is_authoritative: bool,
    pub(super) records: Vec<Record>,
    pub(super) authority: Vec<Record>,
    pub(super) additional: Vec<Record>,
}

impl Answer {
    pub(super) fn failed(code: RCODE) -> Self {
        Self {
            code,
            is_authoritative: false,
            records: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) ttl_seconds: u32,
    pub(super) data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(String),
    Srv {
        weight: u16,
        service: ServiceRecord,
    },
    Ptr(String),
    Ns(String),
    Txt(&'static str),
    /// The start of the zone: its server, and for how long it may be remembered that a name is not
    /// there.
    Soa {
        server: String,
        contact: String,
        minimum_seconds: u32,
    },
}

/// Without those whose names are no names.
fn resource_records(records: &[Record]) -> Vec<ResourceRecord<'_>> {
    let record = |record| resource_record(record).ok();
    records.iter().filter_map(record).collect()
}

fn resource_record(record: &Record) -> Result<ResourceRecord<'_>, simple_dns::SimpleDnsError> {
    let data = match &record.data {
        Data::A(ip) => RData::A((*ip).into()),
        Data::Aaaa(ip) => RData::AAAA(AAAA::from(*ip)),
        Data::Cname(name) => RData::CNAME(CNAME(Name::new(name)?)),
        Data::Srv { weight, service } => RData::SRV(SRV {
            priority: 0,
            weight: *weight,
            port: service.port,
            target: Name::new(&service.target)?,
        }),
        Data::Ptr(name) => RData::PTR(PTR(Name::new(name)?)),
        Data::Ns(name) => RData::NS(NS(Name::new(name)?)),
        Data::Txt(text) => RData::TXT(TXT::new().with_string(text)?),
        Data::Soa { server, contact, minimum_seconds } => RData::SOA(SOA {
            mname: Name::new(server)?,
            rname: Name::new(contact)?,
            serial: 1,
            refresh: 7200,
            retry: 1800,
            expire: 86400,
            minimum: *minimum_seconds,
        }),
    };
    Ok(ResourceRecord::new(Name::new(&record.name)?, CLASS::IN, record.ttl_seconds, data))
}

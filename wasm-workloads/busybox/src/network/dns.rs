//! Messages of the domain name system (RFC 1035), as a client writes and reads them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER_BYTES: usize = 12;

/// Bound: pointers in one name; a name cannot have more parts.
const JUMPS_MAX: usize = 127;

/// Kinds of records that clients ask for, as they name them.
pub const TYPES: &[(&str, u16)] = &[
    ("a", 1),
    ("ns", 2),
    ("cname", 5),
    ("soa", 6),
    ("ptr", 12),
    ("mx", 15),
    ("txt", 16),
    ("aaaa", 28),
    ("srv", 33),
    ("any", 255),
];

pub const A: u16 = 1;
pub const PTR: u16 = 12;
pub const AAAA: u16 = 28;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub id: u16,
    /// The rest did not fit: ask over TCP.
    pub truncated: bool,
    pub authoritative: bool,
    /// 0 is success.
    pub code: u8,
    pub records: Vec<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub name: String,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    Address(IpAddr),
    Alias(String),
    NameServer(String),
    Pointer(String),
    Mail {
        preference: u16,
        exchange: String,
    },
    Text(String),
    Service {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Authority {
        origin: String,
        mail: String,
        numbers: [u32; 5],
    },
    /// By its number.
    Other(u16),
}

impl Reply {
    /// What the code stands for.
    pub fn failure(&self) -> &'static str {
        match self.code {
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            7 => "YXRRSET",
            8 => "NXRRSET",
            9 => "NOTAUTH",
            10 => "NOTZONE",
            _ => "UNKNOWN",
        }
    }
}

/// A question; nothing if the name cannot be one.
pub fn question(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    message.extend(id.to_be_bytes());
    // A question that wants recursion; one of them, and nothing else.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > 253 {
        return None;
    }
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    Some(message)
}

/// The name under which an address has its name.
pub fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let mut name = String::new();
            for byte in address.octets().iter().rev() {
                name += &format!("{:x}.{:x}.", byte & 15, byte >> 4);
            }
            name + "ip6.arpa"
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed message")
    }
}

/// Reads an answer.
pub fn parse(message: &[u8]) -> Result<Reply, Malformed> {
    let mut at = Reader { message, at: 0 };
    let id = at.number()?;
    let flags = at.number()?;
    let (questions, answers) = (at.number()?, at.number()?);
    at.take(4)?;
    for _ in 0..questions {
        at.name()?;
        at.take(4)?;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        match at.record() {
            Ok(record) => records.push(record),
            // What is cut off is asked for again.
            Err(_) if flags & 0x200 != 0 => break,
            Err(malformed) => return Err(malformed),
        }
    }
    if flags & 0x8000 == 0 {
        return Err(Malformed);
    }
    Ok(Reply {
        id,
        truncated: flags & 0x200 != 0,
        authoritative: flags & 0x400 != 0,
        code: (flags & 15) as u8,
        records,
    })
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        let bytes = self.message.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn number(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn long(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A name, whose end may be a pointer to another place.
    fn name(&mut self) -> Result<String, Malformed> {
        let mut labels: Vec<String> = Vec::new();
        let mut after = None;
        let mut jumps = 0;
        loop {
            let [length] = self.array()?;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.take(length.into())?;
                    labels.push(String::from_utf8_lossy(label).into_owned());
                }
                192.. => {
                    let [low] = self.array()?;
                    after.get_or_insert(self.at);
                    self.at = usize::from(length & 63) << 8 | usize::from(low);
                    jumps += 1;
                }
                _ => return Err(Malformed),
            }
            if jumps > JUMPS_MAX || labels.len() > JUMPS_MAX {
                return Err(Malformed);
            }
        }
        self.at = after.unwrap_or(self.at);
        Ok(labels.join("."))
    }

    fn record(&mut self) -> Result<Record, Malformed> {
        let name = self.name()?;
        let kind = self.number()?;
        self.take(6)?;
        let length: usize = self.number()?.into();
        let end = self.at + length;
        if end > self.message.len() {
            return Err(Malformed);
        }
        let data = self.data(kind, end)?;
        self.at = end;
        Ok(Record { name, data })
    }

    fn data(&mut self, kind: u16, end: usize) -> Result<Data, Malformed> {
        Ok(match kind {
            A => Data::Address(Ipv4Addr::from(self.array::<4>()?).into()),
            AAAA => Data::Address(Ipv6Addr::from(self.array::<16>()?).into()),
            2 => Data::NameServer(self.name()?),
            5 => Data::Alias(self.name()?),
            6 => {
                let (origin, mail) = (self.name()?, self.name()?);
                let mut numbers = [0; 5];
                for number in &mut numbers {
                    *number = self.long()?;
                }
                Data::Authority { origin, mail, numbers }
            }
            PTR => Data::Pointer(self.name()?),
            15 => Data::Mail { preference: self.number()?, exchange: self.name()? },
            16 => {
                let mut text = String::new();
                while self.at < end {
                    let [length] = self.array()?;
                    text += &String::from_utf8_lossy(self.take(length.into())?);
                }
                Data::Text(text)
            }
            33 => Data::Service {
                priority: self.number()?,
                weight: self.number()?,
                port: self.number()?,
                target: self.name()?,
            },
            other => Data::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to `web.x`, flags and records given.
    fn answer(flags: [u8; 2], count: u8, records: &[u8]) -> Vec<u8> {
        let mut message = question(7, "web.x", A).unwrap();
        message[2..4].copy_from_slice(&flags);
        message[7] = count;
        message.extend(records);
        message
    }

    #[test]
    fn questions_are_written() {
        let expect = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03web\x01x\0\0\x1c\0\x01";
        assert_eq!(question(7, "web.x.", AAAA).unwrap(), expect);
        assert_eq!(question(7, ".", 2).unwrap()[12..], [0, 0, 2, 0, 1]);
        for bad in ["a..b", &"a".repeat(64), &"a.".repeat(200), ".a"] {
            assert_eq!(question(7, bad, A), None, "{bad}");
        }
    }

    #[test]
    fn answers_are_read() {
        let records = b"\xc0\x0c\0\x05\0\x01\0\0\0\x1e\0\x05\x02hi\xc0\x10\xc0\x23\0\x01\0\x01\0\0\0\x1e\0\x04\x0a\x2b\0\x09";
        let reply = parse(&answer([0x84, 0], 2, records)).unwrap();
        assert!(reply.authoritative && !reply.truncated && reply.id == 7 && reply.code == 0);
        let name = |name: &str, data| Record { name: name.to_owned(), data };
        let address = Data::Address(IpAddr::from([10, 43, 0, 9]));
        let expect = [name("web.x", Data::Alias("hi.x".to_owned())), name("hi.x", address)];
        assert_eq!(reply.records, expect);
        let cut = parse(&answer([0x82, 3], 2, &records[..20])).unwrap();
        assert!(cut.truncated && cut.records.len() == 1 && cut.failure() == "NXDOMAIN");
    }

    #[test]
    fn malformed_answers_end_nobody() {
        let round = b"\xc0\x17\0\x01\0\x01\0\0\0\x1e\0\x04\x0a\x2b\0\x09";
        assert_eq!(parse(&answer([0x80, 0], 1, round)), Err(Malformed));
        let far = b"\xff\xff\0\x01\0\x01\0\0\0\x1e\0\x04\x0a\x2b\0\x09";
        assert_eq!(parse(&answer([0x80, 0], 1, far)), Err(Malformed));
        let whole = answer([0x84, 0], 1, b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\x0a\x2b\0\x09");
        assert!(parse(&whole).is_ok());
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Err(Malformed), "{end}");
        }
        assert_eq!(parse(&question(7, "x", A).unwrap()), Err(Malformed), "a question");
    }

    #[test]
    fn addresses_have_names() {
        assert_eq!(reverse(IpAddr::from([10, 43, 0, 9])), "9.0.43.10.in-addr.arpa");
        let name = reverse(IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert!(name.starts_with("1.0.0.0.") && name.ends_with(".0.0.ip6.arpa"), "{name}");
        assert_eq!(name.len(), 64 + 8);
    }
}

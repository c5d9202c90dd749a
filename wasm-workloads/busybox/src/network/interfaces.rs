//! `ip`, `ifconfig`, `hostname -i`: the interfaces of a Pod, which are two. What a kernel would count
//! there nobody counts, so it is not shown.

use std::net::{IpAddr, Ipv4Addr};

use super::{Family, addresses};
use crate::call::{Call, Done, Failure, print};

struct Interface {
    name: &'static str,
    flags: &'static str,
    /// As `ip` and as `ifconfig` name what is below it.
    link: &'static str,
    encapsulation: &'static str,
    /// With the bits of its network.
    addresses: Vec<(IpAddr, u8)>,
}

/// The loopback, and the Pod's own if its name leads to an address.
fn interfaces() -> Vec<Interface> {
    let mut found = vec![Interface {
        name: "lo",
        flags: "LOOPBACK,UP,LOWER_UP",
        link: "loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00",
        encapsulation: "Local Loopback",
        addresses: vec![(Ipv4Addr::LOCALHOST.into(), 8)],
    }];
    let own = own_addresses(&crate::system::host());
    if !own.is_empty() {
        found.push(Interface {
            name: "eth0",
            flags: "POINTOPOINT,UP,LOWER_UP",
            link: "none",
            encapsulation: "UNSPEC",
            addresses: own.into_iter().map(|address| (address, bits(address))).collect(),
        });
    }
    found
}

/// An address of its own: behind it is no network that others share, as with many CNI plugins.
fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn own_addresses(host: &str) -> Vec<IpAddr> {
    let found = addresses(host, Family::Any);
    found.into_iter().filter(|address| !address.is_loopback()).collect()
}

/// `hostname -i`
pub fn host_addresses(host: &str) -> Result<String, Failure> {
    let found = addresses(host, Family::Any);
    if found.is_empty() {
        return Err(Failure::Message(format!("{host}: Unknown host")));
    }
    Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

pub fn ip(call: &Call) -> Done {
    let mut words = call.arguments().iter().map(String::as_str).peekable();
    let (mut family, mut one_line) = (Family::Any, false);
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        match option {
            "-4" => family = Family::V4,
            "-6" => family = Family::V6,
            "-o" | "-oneline" => one_line = true,
            "-f" | "-family" => {
                family = match words.next() {
                    Some("inet") => Family::V4,
                    Some("inet6") => Family::V6,
                    _ => return Err(Failure::usage()),
                }
            }
            _ => return Err(Failure::usage()),
        }
    }
    let object = words.next().ok_or_else(Failure::usage)?;
    if words.peek().is_some_and(|word| is_change(word)) {
        return Err(Failure::Message("RTNETLINK answers: Operation not permitted".to_owned()));
    }
    let device = words.find(|word| !matches!(*word, "show" | "list" | "ls" | "sh" | "dev"));
    let all = interfaces();
    let is_wanted = |one: &&Interface| device.is_none_or(|device| device == one.name);
    if let Some(device) = device.filter(|_| !all.iter().any(|one| is_wanted(&one))) {
        return Err(Failure::Message(format!("can't find device '{device}'")));
    }
    let numbered = all.iter().enumerate().filter(|(_, one)| is_wanted(one));
    let is = |name: &str| !object.is_empty() && name.starts_with(object);
    let text: String = if is("address") {
        numbered.map(|(at, one)| one.addresses(at + 1, family, one_line)).collect()
    } else if is("link") {
        numbered.map(|(at, one)| one.link(at + 1)).collect()
    } else if is("route") {
        routes(&all, family)
    } else {
        return Err(Failure::usage());
    };
    print(text)
}

/// Nothing can be changed from inside.
fn is_change(word: &str) -> bool {
    ["add", "del", "delete", "set", "change", "replace", "append", "flush"].contains(&word)
}

impl Interface {
    fn link(&self, number: usize) -> String {
        let Self { name, flags, link, .. } = self;
        format!("{number}: {name}: <{flags}> mtu 65536 qdisc noqueue\n    link/{link}\n")
    }

    fn addresses(&self, number: usize, family: Family, one_line: bool) -> String {
        let wanted: Vec<_> = self.addresses.iter().filter(|(ip, _)| family.has(*ip)).collect();
        if wanted.is_empty() && family != Family::Any {
            return String::new();
        }
        let mut text = if one_line { String::new() } else { self.link(number) };
        for (ip, bits) in wanted {
            let kind = if ip.is_ipv4() { "inet" } else { "inet6" };
            let scope = if ip.is_loopback() { "host" } else { "global" };
            let name = if ip.is_ipv4() { self.name } else { "" };
            let line = format!("{kind} {ip}/{bits} scope {scope} {name}");
            text += &match one_line {
                true => format!(
                    "{number}: {:<6} {line}\\       valid_lft forever preferred_lft forever\n",
                    self.name
                ),
                false => format!("    {line}\n       valid_lft forever preferred_lft forever\n"),
            };
        }
        text
    }

    fn configuration(&self) -> String {
        let mut text = format!("{:<10}Link encap:{}  \n", self.name, self.encapsulation);
        for (ip, bits) in &self.addresses {
            text += &match ip {
                IpAddr::V4(ip) => {
                    let mask = Ipv4Addr::from(u32::MAX << (32 - bits));
                    format!("          inet addr:{ip}  Mask:{mask}\n")
                }
                IpAddr::V6(ip) => format!("          inet6 addr: {ip}/{bits} Scope:Global\n"),
            };
        }
        let flags = self.flags.replace("LOWER_UP", "RUNNING").replace(',', " ");
        text + &format!("          {flags}  MTU:65536  Metric:1\n\n")
    }
}

fn routes(all: &[Interface], family: Family) -> String {
    let own = all.iter().find(|one| one.name == "eth0");
    match own {
        Some(_) if family != Family::V6 => "default dev eth0 scope link \n".to_owned(),
        _ => String::new(),
    }
}

pub fn ifconfig(call: &Call) -> Done {
    let options = call.options("a")?;
    let all = interfaces();
    match options.operands.as_slice() {
        [] => print(all.iter().rev().map(Interface::configuration).collect::<String>()),
        [name] => match all.iter().find(|one| one.name == name) {
            Some(one) => print(one.configuration()),
            None => {
                let why = "error fetching interface information: Device not found";
                Err(Failure::Message(format!("{name}: {why}")))
            }
        },
        _ => Err(Failure::Message(
            "nothing can be changed from inside: Operation not permitted".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eth0() -> Interface {
        let addresses = vec![(IpAddr::from([10, 42, 0, 7]), 32)];
        let (flags, link, encapsulation) = ("UP", "none", "UNSPEC");
        Interface { name: "eth0", flags, link, encapsulation, addresses }
    }

    #[test]
    fn addresses_are_found_by_scripts() {
        let text = eth0().addresses(2, Family::Any, false);
        assert!(text.contains("\n    inet 10.42.0.7/32 scope global eth0\n"), "{text}");
        let line = eth0().addresses(2, Family::V4, true);
        assert_eq!(line.split_whitespace().nth(3), Some("10.42.0.7/32"));
        assert_eq!(eth0().addresses(2, Family::V6, false), "");
        let text = eth0().configuration();
        assert!(text.contains("inet addr:10.42.0.7  Mask:255.255.255.255\n"), "{text}");
    }
}

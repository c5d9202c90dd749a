//! What Pods may reach outside the cluster: given by flags, refused where it could not work.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::Flags;
use crate::control_plane::API_SERVER_PORT;
use crate::node::network::{DNS_PORT, Egress, EgressDefault, Grant, is_nobodys, is_of_machine};

/// Ports of the node's address among the Pods' that are taken, and by whom.
const TAKEN: &[(u16, &str)] = &[(DNS_PORT, "the DNS server"), (API_SERVER_PORT, "the API server")];

/// What `--egress` and `--egress-grant` come to in a cluster with these networks.
pub(super) fn choose(flags: &Flags, pods: Ipv4Net, services: Ipv4Net) -> Result<Egress, Error> {
    let grants = &flags.egress_grants;
    for (index, &grant) in grants.iter().enumerate() {
        let ours = [pods, services].into_iter().find(|net| IpNet::V4(*net).contains(&grant.net));
        if let Some(net) = ours {
            return Err(Error::Inside { grant: text(grant), net });
        }
        if flags.egress == EgressDefault::Allow && !grant.is_one_address() {
            return Err(Error::Idle { grant: text(grant) });
        }
        let Some(port) = grant.loopback_port() else { continue };
        if let Some((_, whose)) = TAKEN.iter().find(|(taken, _)| *taken == port) {
            return Err(Error::Taken { grant: text(grant), whose });
        }
        let is_rival = |other: &&Grant| other.loopback_port() == Some(port) && **other != grant;
        if let Some(&other) = grants[..index].iter().find(is_rival) {
            return Err(Error::Twice { grant: text(grant), other: text(other) });
        }
    }
    Ok(Egress { default: flags.egress, grants: grants.clone() })
}

/// Reads `ADDR[:PORT]`: an address or a network (`10.1.0.0/16`), and a port; IPv6 before a port in
/// brackets.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_grant(given: &str) -> Result<Grant, String> {
    let (net, port) = split(given);
    let address = net.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    let net = address.or_else(|_| net.parse::<IpNet>()).map_err(|_| {
        "give an address or a network, and a port if only one is meant, such as \
         192.168.1.5:5432, 10.1.0.0/16 or [fd00::7]:443"
            .to_owned()
    })?;
    let port = port.map(parse_port).transpose()?;
    let grant = Grant { net, port };
    if net != net.trunc() {
        return Err(format!("it has bits behind its prefix; {} is meant?", net.trunc()));
    }
    if !grant.is_one_address() {
        return match is_of_machine(net.addr()) {
            true => Err("addresses of the machine itself are granted one by one".to_owned()),
            false => Ok(grant),
        };
    }
    if is_nobodys(net.addr()) {
        return Err("it is nobody's address".to_owned());
    }
    if net.addr().is_loopback() && port.is_none() {
        let example = text(Grant { port: Some(5432), ..grant });
        return Err(format!("this machine's own address needs a port, such as {example}"));
    }
    Ok(grant)
}

fn split(given: &str) -> (&str, Option<&str>) {
    if let Some((net, rest)) = given.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        // What follows without a colon is told as a bad port.
        return (net, rest.strip_prefix(':').or_else(|| (!rest.is_empty()).then_some(rest)));
    }
    match given.split_once(':') {
        Some((net, port)) if !port.contains(':') => (net, Some(port)),
        _ => (given, None),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("{text:?} is not a port: give a number from 1 to 65535"))
}

/// As it would be written.
fn text(grant: Grant) -> String {
    let net = match grant.is_one_address() {
        true => grant.net.addr().to_string(),
        false => grant.net.to_string(),
    };
    match grant.port {
        Some(port) if net.contains(':') => format!("[{net}]:{port}"),
        Some(port) => format!("{net}:{port}"),
        None => net,
    }
}

/// A grant that could not work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "use --egress-grant {grant}: it is in the cluster's own network {net}, which needs no grant"
    )]
    Inside { grant: String, net: Ipv4Net },
    /// Whoever writes it may take it for all that is allowed.
    #[error(
        "use --egress-grant {grant}: Pods reach what is outside without it; with --egress deny they \
         reach that only"
    )]
    Idle { grant: String },
    #[error(
        "use --egress-grant {grant}: Pods find the host's loopback at the node's address, where \
         that port is {whose}'s; let the program listen on another port"
    )]
    Taken { grant: String, whose: &'static str },
    #[error(
        "use --egress-grant {grant}: Pods would find it at the same port as {other}; let one of the \
         programs listen on another port"
    )]
    Twice { grant: String, other: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expect: Result<(&str, Option<u16>), &str>) {
        let grant = parse_grant(given).map(|grant| (grant.net.to_string(), grant.port));
        let expect = expect.map(|(net, port)| (net.to_owned(), port));
        assert_eq!(grant, expect.map_err(str::to_owned), "{given}");
    }

    #[test]
    fn a_grant_is_an_address_or_a_network_and_a_port() {
        check("192.168.1.5", Ok(("192.168.1.5/32", None)));
        check("192.168.1.5:5432", Ok(("192.168.1.5/32", Some(5432))));
        check("127.0.0.1:5432", Ok(("127.0.0.1/32", Some(5432))));
        check("10.1.0.0/16", Ok(("10.1.0.0/16", None)));
        check("0.0.0.0/0:443", Ok(("0.0.0.0/0", Some(443))));
        check("169.254.169.254:80", Ok(("169.254.169.254/32", Some(80))));
        check("fd00::7", Ok(("fd00::7/128", None)));
        check("[fd00::7]:443", Ok(("fd00::7/128", Some(443))));
        check("[fd00::/8]:443", Ok(("fd00::/8", Some(443))));
        check("[::1]:80", Ok(("::1/128", Some(80))));
        check("::ffff:192.0.2.1", Ok(("192.0.2.1/32", None)));
    }

    #[test]
    fn what_is_no_grant_is_told() {
        let usage = "give an address or a network, and a port if only one is meant, such as \
                     192.168.1.5:5432, 10.1.0.0/16 or [fd00::7]:443";
        for text in ["", "db.example.org:5432", "10.1.0.0/33", "[::1", "1.2.3"] {
            check(text, Err(usage));
        }
        let port = "is not a port: give a number from 1 to 65535";
        check("192.0.2.1:0", Err(&format!("\"0\" {port}")));
        check("192.0.2.1:https", Err(&format!("\"https\" {port}")));
        check("[fd00::7]x", Err(&format!("\"x\" {port}")));
        check("10.1.2.0/16", Err("it has bits behind its prefix; 10.1.0.0/16 is meant?"));
        check("0.0.0.0:80", Err("it is nobody's address"));
        check("127.0.0.0/8:80", Err("addresses of the machine itself are granted one by one"));
        let loopback = "this machine's own address needs a port, such as";
        check("127.0.0.1", Err(&format!("{loopback} 127.0.0.1:5432")));
        check("::1", Err(&format!("{loopback} [::1]:5432")));
    }

    #[track_caller]
    fn choice(egress: EgressDefault, grants: &[&str]) -> Result<(), String> {
        let egress_grants = grants.iter().map(|grant| parse_grant(grant).unwrap()).collect();
        let flags = Flags { egress, egress_grants, ..Flags::default() };
        let (pods, services) = ("10.42.0.0/16".parse().unwrap(), "10.43.0.0/16".parse().unwrap());
        choose(&flags, pods, services).map(drop).map_err(|err| err.to_string())
    }

    #[test]
    fn grants_that_could_not_work_are_refused() {
        let fine = ["127.0.0.1:80", "127.0.0.1:80", "192.0.2.1:80", "10.0.0.0/8"];
        assert_eq!(choice(EgressDefault::Deny, &fine), Ok(()));
        assert_eq!(choice(EgressDefault::Allow, &fine[..3]), Ok(()));
        let told = |grants: &[&str], text: &str| {
            let said = choice(EgressDefault::Allow, grants).unwrap_err();
            assert!(said.contains(text), "{said}");
        };
        told(&fine, "use --egress-grant 10.0.0.0/8: Pods reach what is outside without it");
        told(&["10.43.0.7:80"], "10.43.0.7:80: it is in the cluster's own network 10.43.0.0/16");
        told(&["127.0.0.1:6443"], "the API server's");
        told(
            &["127.0.0.1:80", "[::1]:80"],
            "[::1]:80: Pods would find it at the same port as 127.0.0.1:80;",
        );
    }
}

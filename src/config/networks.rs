//! The networks inside the cluster: given by flags, refused where they could not work.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

use super::{Flags, POD_CIDR_DEFAULT};
use crate::control_plane::ServiceRanges;

/// A node's Pods come from blocks of 256 addresses, and a cluster has at least one node.
const POD_PREFIX_MAX: u8 = 24;
/// The eleventh address is DNS's.
const SERVICE_PREFIX_MAX: u8 = 28;
/// No network of this size can be meant: it would hide a good part of the Internet.
const PREFIX_MIN: u8 = 8;

/// Networks that mean something else to every program.
const RESERVED: &[(Ipv4Net, &str)] = &[
    (Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8), "no network"),
    (Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8), "every machine's own"),
    (Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16), "a link's own"),
    (Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3), "for groups and experiments"),
];

/// The Pods' network and the Services' ranges.
pub(super) fn choose(
    flags: &Flags,
    node_address: IpAddr,
) -> Result<(Ipv4Net, ServiceRanges), Error> {
    let default = ServiceRanges::default();
    let pods = flags.pod_cidr.unwrap_or(POD_CIDR_DEFAULT);
    let services = flags.service_cidr.unwrap_or(default.cluster_ips);
    check("--pod-cidr", pods, POD_PREFIX_MAX, node_address)?;
    check("--service-cidr", services, SERVICE_PREFIX_MAX, node_address)?;
    if pods.contains(&services) || services.contains(&pods) {
        return Err(Error::Overlap { pods, services });
    }
    let node_ports = flags.node_ports.clone().unwrap_or(default.node_ports);
    Ok((pods, ServiceRanges { cluster_ips: services, node_ports }))
}

fn check(flag: &'static str, net: Ipv4Net, prefix_max: u8, node: IpAddr) -> Result<(), Error> {
    let overlaps = |other: &Ipv4Net| other.contains(&net) || net.contains(other);
    let reserved = RESERVED.iter().find(|(other, _)| overlaps(other));
    if net != net.trunc() {
        return Err(Error::HostBits { flag, net });
    }
    if !(PREFIX_MIN..=prefix_max).contains(&net.prefix_len()) {
        return Err(Error::Size { flag, net, prefix_max });
    }
    if let Some((reserved, what)) = reserved {
        return Err(Error::Reserved { flag, net, reserved: *reserved, what });
    }
    match node {
        IpAddr::V4(node) if net.contains(&node) => Err(Error::Node { flag, net, node }),
        _ => Ok(()),
    }
}

/// Reads `FIRST-LAST`.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let usage = || "give the first and the last port, such as 30000-32767".to_owned();
    let (first, last) = text.split_once('-').ok_or_else(usage)?;
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        (Some(_), Some(_)) => Err("the first port is larger than the last".to_owned()),
        _ => Err(usage()),
    }
}

/// A network that could not work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("use {flag} {net}: it has bits behind its prefix; {trunc} is meant?", trunc = net.trunc())]
    HostBits { flag: &'static str, net: Ipv4Net },
    #[error("use {flag} {net}: its prefix must be between /{PREFIX_MIN} and /{prefix_max}")]
    Size { flag: &'static str, net: Ipv4Net, prefix_max: u8 },
    #[error("use {flag} {net}: {reserved} is {what}; take a private network such as 10.44.0.0/16")]
    Reserved { flag: &'static str, net: Ipv4Net, reserved: Ipv4Net, what: &'static str },
    #[error("use {flag} {net}: the node's own address {node} is in it; change one of the two")]
    Node { flag: &'static str, net: Ipv4Net, node: Ipv4Addr },
    #[error("use --pod-cidr {pods} and --service-cidr {services}: they overlap")]
    Overlap { pods: Ipv4Net, services: Ipv4Net },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pods: &str, services: &str, expect: Result<(), &str>) {
        let flags = Flags {
            pod_cidr: Some(pods.parse().unwrap()),
            service_cidr: Some(services.parse().unwrap()),
            ..Flags::default()
        };
        let node = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5));
        let chosen = choose(&flags, node).map(drop).map_err(|err| err.to_string());
        assert_eq!(chosen, expect.map_err(str::to_owned));
    }

    #[test]
    fn networks_that_cannot_work_are_refused() {
        check("10.50.0.0/16", "10.51.0.0/20", Ok(()));
        check(
            "10.50.0.0/16",
            "10.50.3.0/24",
            Err("use --pod-cidr 10.50.0.0/16 and --service-cidr 10.50.3.0/24: they overlap"),
        );
        check(
            "10.50.0.1/16",
            "10.51.0.0/16",
            Err(
                "use --pod-cidr 10.50.0.1/16: it has bits behind its prefix; 10.50.0.0/16 is meant?",
            ),
        );
        check(
            "10.50.0.0/16",
            "10.51.0.0/30",
            Err("use --service-cidr 10.51.0.0/30: its prefix must be between /8 and /28"),
        );
        check(
            "169.254.0.0/16",
            "10.51.0.0/16",
            Err(
                "use --pod-cidr 169.254.0.0/16: 169.254.0.0/16 is a link's own; take a private network such as 10.44.0.0/16",
            ),
        );
        check(
            "192.168.0.0/16",
            "10.51.0.0/16",
            Err(
                "use --pod-cidr 192.168.0.0/16: the node's own address 192.168.1.5 is in it; change one of the two",
            ),
        );
    }

    #[test]
    fn a_range_of_ports_has_two_ends() {
        assert_eq!(parse_port_range("30000-32767"), Ok(30_000..=32_767));
        assert!(parse_port_range("30000").unwrap_err().contains("such as"));
        assert!(parse_port_range("0-10").is_err());
        assert!(parse_port_range("9-8").unwrap_err().contains("larger"));
    }
}

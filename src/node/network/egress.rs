//! Which addresses outside the cluster Pods may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::Error;
use super::outside::is_of_host;

/// What was chosen by `--egress` and `--egress-grant`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    pub default: EgressDefault,
    pub grants: Vec<Grant>,
}

/// Whether Pods may reach what nobody has spoken of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EgressDefault {
    #[default]
    Allow,
    Deny,
}

/// Lets Pods reach what is closed otherwise.
///
/// A single address may be any: the host's own, too, and a metadata server's. One of the host's
/// loopback (which has a port) is reached at [`super::Network::gateway`], for a Pod's loopback is its
/// own. A larger network stands for what is outside only: of it, the host's own addresses,
/// link-local ones and metadata servers stay closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    pub net: IpNet,
    /// `None`: all.
    pub port: Option<u16>,
}

/// Addresses that clouds answer with the machine's own credentials, beside link-local ones.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

impl Egress {
    /// Whether a Pod may reach the address. Without a grant never the host itself, whatever the name
    /// or form of its address, nor what answers for the machine (link-local, metadata).
    ///
    /// # Errors
    /// [`Error::NetworkUnreachable`] for what is nobody's address, [`Error::Denied`].
    pub fn check(&self, to: SocketAddr) -> Result<(), Error> {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        if is_nobodys(to.ip()) {
            return Err(Error::NetworkUnreachable);
        }
        let mut grants = self.grants.iter().filter(|grant| grant.covers(to)).peekable();
        let is_closed = self.default == EgressDefault::Deny && grants.peek().is_none();
        if grants.any(|grant| grant.is_one_address()) {
            return Ok(());
        }
        // Asked last: whether an address is the host's own costs a call into the kernel.
        if is_closed || is_of_machine(to.ip()) || is_of_host(to.ip()) != Some(false) {
            return Err(Error::Denied);
        }
        Ok(())
    }

    /// The address of the host's loopback that is granted under this port.
    pub(super) fn loopback(&self, port: u16) -> Option<SocketAddr> {
        let grant = self.grants.iter().find(|grant| grant.loopback_port() == Some(port))?;
        Some(SocketAddr::new(grant.net.addr(), port))
    }
}

impl Grant {
    /// The port of the host's loopback that this is about, if it is.
    pub fn loopback_port(self) -> Option<u16> {
        self.port.filter(|_| self.net.addr().is_loopback())
    }

    pub fn is_one_address(self) -> bool {
        self.net.prefix_len() == self.net.max_prefix_len()
    }

    fn covers(self, to: SocketAddr) -> bool {
        self.net.contains(&to.ip()) && self.port.is_none_or(|port| port == to.port())
    }
}

/// Whether no program could be meant by the address.
pub fn is_nobodys(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[0] == 0);
    ip.is_unspecified() || ip.is_multicast() || is_broadcast
}

/// Whether it means this machine, wherever it is used, or answers for it.
pub fn is_of_machine(ip: IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    ip.is_loopback() || is_link_local || METADATA.contains(&ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(egress: &Egress, ip: &str, port: u16) -> Result<(), Error> {
        egress.check(SocketAddr::new(ip.parse().unwrap(), port))
    }

    fn grants(default: EgressDefault, grants: &[(&str, Option<u16>)]) -> Egress {
        let grant = |&(net, port): &(&str, _)| Grant { net: net.parse().unwrap(), port };
        Egress { default, grants: grants.iter().map(grant).collect() }
    }

    const OF_MACHINE: &[&str] = &[
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
    ];

    #[test]
    fn the_host_itself_is_not_reached() {
        let egress = Egress::default();
        for ip in OF_MACHINE {
            assert_eq!(check(&egress, ip, 80), Err(Error::Denied), "{ip}");
        }
        for ip in ["0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "224.0.0.1", "ff02::1"] {
            assert_eq!(check(&egress, ip, 80), Err(Error::NetworkUnreachable), "{ip}");
        }
        assert_eq!(check(&egress, "198.51.100.7", 80), Ok(()));
        let deny = grants(EgressDefault::Deny, &[]);
        assert_eq!(check(&deny, "198.51.100.7", 80), Err(Error::Denied));
    }

    #[test]
    fn a_grant_of_one_address_opens_that_port_of_it() {
        let granted = [("169.254.169.254/32", Some(80)), ("100.100.100.200/32", None)];
        for default in [EgressDefault::Allow, EgressDefault::Deny] {
            let egress = grants(default, &granted);
            assert_eq!(check(&egress, "169.254.169.254", 80), Ok(()));
            assert_eq!(check(&egress, "::ffff:169.254.169.254", 80), Ok(()));
            assert_eq!(check(&egress, "169.254.169.254", 81), Err(Error::Denied));
            assert_eq!(check(&egress, "100.100.100.200", 9), Ok(()));
            assert_eq!(check(&egress, "fe80::1", 80), Err(Error::Denied));
        }
    }

    #[test]
    fn a_grant_of_a_network_opens_nothing_of_the_machine() {
        let egress = grants(EgressDefault::Deny, &[("0.0.0.0/0", Some(443)), ("::/0", Some(443))]);
        assert_eq!(check(&egress, "198.51.100.7", 443), Ok(()));
        assert_eq!(check(&egress, "198.51.100.7", 80), Err(Error::Denied));
        for ip in OF_MACHINE {
            assert_eq!(check(&egress, ip, 443), Err(Error::Denied), "{ip}");
        }
        assert_eq!(check(&egress, "224.0.0.1", 443), Err(Error::NetworkUnreachable));
    }

    #[test]
    fn loopback_is_found_by_its_port() {
        let granted = [("127.0.0.1/32", Some(5432)), ("::1/128", Some(80)), ("192.0.2.1/32", None)];
        let egress = grants(EgressDefault::Allow, &granted);
        assert_eq!(egress.loopback(5432), Some("127.0.0.1:5432".parse().unwrap()));
        assert_eq!(egress.loopback(80), Some("[::1]:80".parse().unwrap()));
        assert_eq!(egress.loopback(9), None);
    }
}

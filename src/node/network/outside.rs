//! What lies outside the cluster: which of it a Pod may reach, and how.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::TcpStream;

use super::Error;
use crate::client::clock::Clock;

/// Whether Pods may reach what lies outside the cluster (`--egress`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Egress {
    #[default]
    Allow,
    Deny,
}

/// Addresses that clouds answer with the machine's own credentials, beside link-local ones.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

impl Egress {
    /// Whether a Pod may reach the address. Never the host itself, whatever the name or form of its
    /// address, nor what answers for the machine (link-local, metadata).
    ///
    /// # Errors
    /// [`Error::NetworkUnreachable`] for what is nobody's address, [`Error::Denied`].
    pub fn check(self, ip: IpAddr) -> Result<(), Error> {
        let ip = ip.to_canonical();
        if ip.is_unspecified() || ip.is_multicast() || is_broadcast(ip) {
            return Err(Error::NetworkUnreachable);
        }
        let is_ours = ip.is_loopback() || is_link_local(ip) || METADATA.contains(&ip);
        if self == Self::Deny || is_ours || is_of_host(ip) {
            return Err(Error::Denied);
        }
        Ok(())
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[0] == 0)
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Whether the address is one of the host's own: only those can be bound. Asked anew each time, for
/// interfaces come and go.
pub(super) fn is_of_host(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// Connects to an address that [`Egress::check`] has let pass.
///
/// # Errors
/// The kernel's; [`Error::TimedOut`] after `timeout`.
pub(super) async fn connect(
    remote: SocketAddr,
    timeout: Duration,
    clock: &Clock,
) -> Result<TcpStream, Error> {
    tokio::select! {
        connected = TcpStream::connect(remote) => Ok(connected?),
        () = clock.sleep_until(clock.monotonic() + timeout) => Err(Error::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_itself_is_never_reached() {
        let check = |ip: &str| Egress::Allow.check(ip.parse().unwrap());
        for ip in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
        ] {
            assert_eq!(check(ip), Err(Error::Denied), "{ip}");
        }
        for ip in ["0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "224.0.0.1", "ff02::1"] {
            assert_eq!(check(ip), Err(Error::NetworkUnreachable), "{ip}");
        }
        assert_eq!(check("192.0.2.7"), Ok(()));
        assert_eq!(Egress::Deny.check("192.0.2.7".parse().unwrap()), Err(Error::Denied));
    }
}

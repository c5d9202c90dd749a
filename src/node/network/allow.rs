//! Who may talk with whom: NetworkPolicies, and the rules for what lies outside.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use super::outside::is_of_host;
use super::pod::Pod;
use super::policy::{Asked, Party};
use super::{Error, Network, Protocol};
use crate::api::object::ObjectKey;

/// Where the node's name server listens.
pub const DNS_PORT: u16 = 53;

/// Where an address leads that is no door's.
pub(super) enum Place {
    /// To a Pod, if one has it.
    Pods(Ipv4Addr),
    /// A Service's, but nobody has opened the door.
    Closed,
    Outside(SocketAddr),
}

static NAME_SERVER: LazyLock<ObjectKey> =
    LazyLock::new(|| ObjectKey::new("kube-system", "kube-dns"));

impl Network {
    /// The node's own address among the Pods': the first of their network. Traffic from and to the
    /// node is not a policy's business, its name server excepted.
    pub fn gateway(&self) -> Ipv4Addr {
        let pods = self.0.config.pods;
        Ipv4Addr::from_bits(pods.network().to_bits() + 1)
    }

    /// As which Pod policies see the cluster's name server, in front of which `kube-dns` stands.
    pub fn name_server() -> &'static ObjectKey {
        &NAME_SERVER
    }

    /// Whether policy lets one Pod talk to another.
    ///
    /// # Errors
    /// [`Error::Dropped`]
    pub(super) fn allow(
        &self,
        from: &Pod,
        to: &Pod,
        port: u16,
        protocol: Protocol,
    ) -> Result<(), Error> {
        self.decide(from, to, Asked::Port(protocol, port))
    }

    pub(super) fn decide(&self, from: &Pod, to: &Pod, asked: Asked) -> Result<(), Error> {
        let is_dns = matches!(asked, Asked::Port(_, DNS_PORT));
        let receiver = match self.is_gateway(to) {
            true if is_dns => self.name_server_party(),
            true => return Ok(()),
            false => to.party(),
        };
        let is_free = std::ptr::eq(from, to) || self.is_gateway(from);
        if is_free || self.0.policies.allow(from.party(), receiver, asked) {
            Ok(())
        } else {
            Err(Error::Dropped)
        }
    }

    pub(super) fn place(&self, to: SocketAddr) -> Place {
        match to.ip() {
            IpAddr::V4(ip) if self.is_of_pods(ip) && self.granted_at(to).is_none() => {
                Place::Pods(ip)
            }
            IpAddr::V4(ip) if self.is_of_services(ip) => Place::Closed,
            _ => Place::Outside(to),
        }
    }

    /// Whether an address that is no door's leads to a socket of the host's.
    pub fn is_outside(&self, to: SocketAddr) -> bool {
        matches!(self.place(to), Place::Outside(_))
    }

    /// The port of the host's loopback that Pods find at the node's address.
    pub(super) fn granted_at(&self, to: SocketAddr) -> Option<SocketAddr> {
        let is_node = to.ip() == IpAddr::V4(self.gateway());
        is_node.then(|| self.0.config.egress.loopback(to.port())).flatten()
    }

    /// As Pods know an address outside: the reverse of what [`Network::allow_outside`] answers.
    pub(super) fn known_as(&self, from: SocketAddr) -> SocketAddr {
        let node = SocketAddr::new(self.gateway().into(), from.port());
        if from.ip().is_loopback() { node } else { from }
    }

    /// The address on the host's side, if the Pod may reach it.
    ///
    /// # Errors
    /// [`Error::Dropped`] by policy, or as [`super::Egress::check`] says.
    pub(super) fn allow_outside(
        &self,
        from: &Pod,
        to: SocketAddr,
        protocol: Protocol,
    ) -> Result<SocketAddr, Error> {
        let beyond = self.granted_at(to).unwrap_or(to);
        self.0.config.egress.check(beyond)?;
        let party = Party { pod: None, ip: to.ip() };
        let asked = Asked::Port(protocol, to.port());
        let is_free = self.is_gateway(from) || self.0.policies.allow(from.party(), party, asked);
        if is_free { Ok(beyond) } else { Err(Error::Dropped) }
    }

    /// Whether what comes to the host `from` this address may go on to an endpoint; what is the node's
    /// own always may.
    pub fn admits(&self, from: SocketAddr, endpoint: SocketAddr, protocol: Protocol) -> bool {
        let Place::Pods(ip) = self.place(endpoint) else { return true };
        let asked = Asked::Port(protocol, endpoint.port());
        self.pod(ip).is_none_or(|pod| self.admits_to(&pod, from, asked))
    }

    pub(super) fn admits_to(&self, pod: &Pod, from: SocketAddr, asked: Asked) -> bool {
        let party = Party { pod: None, ip: from.ip().to_canonical() };
        let is_node =
            || party.ip == IpAddr::V4(self.gateway()) || is_of_host(party.ip) == Some(true);
        // Asked last: whether an address is the host's own costs a call into the kernel.
        self.0.policies.allow(party, pod.party(), asked) || is_node()
    }

    /// Whether a Pod's questions reach the name server.
    pub(super) fn allow_lookup(&self, pod: &Pod) -> bool {
        let asked = Asked::Port(Protocol::Udp, DNS_PORT);
        let to = self.name_server_party();
        self.is_gateway(pod) || self.0.policies.allow(pod.party(), to, asked)
    }

    fn name_server_party(&self) -> Party<'static> {
        Party { pod: Some(&NAME_SERVER), ip: IpAddr::V4(self.gateway()) }
    }

    pub(super) fn is_gateway(&self, pod: &Pod) -> bool {
        pod.member.address == self.gateway()
    }
}

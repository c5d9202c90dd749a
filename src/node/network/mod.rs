//! The Pods' network, without a kernel: addresses, connections, Services' doors, names. It moves
//! bytes and does not know who runs.
//!
//! Enter by [`Network::join`], which answers a Pod's [`PodNetwork`]. The proxy writes
//! [`Network::routes`] and [`Network::names`]; a connection goes
//!
//! ```text
//! PodNetwork::connect ─┬─ own address, loopback ──────────────────────┐
//!                      ├─ a Pod's address ── policy ──────────────────┼─> Listener::accept
//!                      ├─ a Service's door ── Routes ── endpoint ─────┘   (two pipes in memory)
//!                      └─ elsewhere ── Egress ── a socket of the host's
//! ```

mod address_book;
mod allow;
mod bell;
mod buffered;
mod connect;
mod connections;
mod egress;
mod error;
mod fair;
mod host_sockets;
mod listener;
mod lookups;
mod names;
mod outside;
mod outside_udp;
mod passage;
mod ping;
mod pipe;
mod pod;
mod policy;
mod ports;
mod probe;
mod routes;
mod stream;
mod udp;
mod wakers;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ipnet::Ipv4Net;
use parking_lot::RwLock;

pub use self::address_book::AddressBook;
pub use self::allow::DNS_PORT;
pub use self::bell::{Bell, Bells};
use self::buffered::Buffered;
pub use self::buffered::Reserved;
pub use self::connections::CONNECTIONS_MAX;
pub use self::egress::{Egress, EgressDefault, Grant, is_nobodys, is_of_machine};
pub use self::error::Error;
use self::fair::Pool;
pub use self::fair::{Permit, Share};
pub use self::host_sockets::{HostSocket, host_sockets_max};
pub use self::listener::{BACKLOG_DEFAULT, Listener};
pub use self::lookups::Lookup;
pub use self::names::{Names, Records, ResolveError, Resolver, ServiceRecord, reverse_name};
pub use self::passage::Passage;
pub use self::ping::PingError;
use self::pod::Pod;
pub use self::pod::{Member, PodNetwork};
pub use self::policy::{Peer, Policies, Port, PortNumber, Rule, Rules};
pub use self::routes::{Door, Protocol, Route, Routes};
pub use self::stream::Stream;
pub use self::udp::UdpSocket;
use crate::client::clock::Clock;

/// The longest datagram of UDP over IPv4, in bytes.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// The node as Pods know it: [`Network::gateway`]. Others say `host.minikube.internal`.
const HOST_NAME: &str = "host.sampan.internal";

#[derive(Debug, Clone)]
pub struct Config {
    pub pods: Ipv4Net,
    pub services: Ipv4Net,
    pub cluster_domain: String,
    pub egress: Egress,
    /// Sockets of the host's for all Pods' connections with the outside, NodePorts' included; see
    /// [`host_sockets_max`].
    pub host_sockets: usize,
}

impl Config {
    /// Where kube-dns answers: the tenth address for Services.
    pub fn dns_address(&self) -> Ipv4Addr {
        let first = u32::from(self.services.network());
        Ipv4Addr::from(first.saturating_add(10))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pods: Ipv4Net::new_assert(Ipv4Addr::new(10, 42, 0, 0), 16),
            services: Ipv4Net::new_assert(Ipv4Addr::new(10, 43, 0, 0), 16),
            cluster_domain: "cluster.local".to_owned(),
            egress: Egress::default(),
            host_sockets: host_sockets_max(None),
        }
    }
}

/// The node's part of the Pod network. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Network(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    clock: Clock,
    pods: RwLock<HashMap<Ipv4Addr, Arc<Pod>>>,
    routes: Routes,
    names: Names,
    bells: Bells,
    policies: Policies,
    /// Of [`Config::host_sockets`].
    host_sockets: Arc<Pool>,
    /// Questions to the host's resolver.
    lookups: Arc<Pool>,
    buffered: Arc<Buffered>,
}

impl Network {
    pub fn new(config: Config, clock: Clock) -> Self {
        let network = Self(Arc::new(Inner {
            host_sockets: Pool::new(config.host_sockets),
            lookups: Pool::new(lookups::LOOKUPS_MAX),
            config,
            clock,
            pods: RwLock::default(),
            routes: Routes::default(),
            names: Names::default(),
            bells: Bells::default(),
            policies: Policies::default(),
            buffered: Buffered::of_node(),
        }));
        let host = Records { addresses: vec![network.gateway()], ..Records::default() };
        network.names().apply([(HOST_NAME.to_owned(), Some(host))]);
        network
    }

    /// Puts a Pod on the network; who had its address before is off it.
    pub fn join(&self, member: Member) -> PodNetwork {
        let address = member.address;
        let pod = Arc::new(Pod::new(self.clone(), member));
        let before = self.0.pods.write().insert(address, pod.clone());
        if let Some(before) = before {
            PodNetwork(before).leave();
        }
        PodNetwork(pod)
    }

    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub fn routes(&self) -> &Routes {
        &self.0.routes
    }

    pub fn names(&self) -> &Names {
        &self.0.names
    }

    /// The doors of Services that sleep when nobody comes.
    pub fn bells(&self) -> &Bells {
        &self.0.bells
    }

    /// Whose place on the network is as asked for, if anybody's.
    pub fn find(&self, is_it: impl Fn(&PodNetwork) -> bool) -> Option<PodNetwork> {
        let pods = self.0.pods.read();
        pods.values().map(|pod| PodNetwork(pod.clone())).find(is_it)
    }

    pub fn policies(&self) -> &Policies {
        &self.0.policies
    }

    /// The Pod at an address.
    pub fn member(&self, address: Ipv4Addr) -> Option<PodNetwork> {
        self.pod(address).map(PodNetwork)
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn pod(&self, address: Ipv4Addr) -> Option<Arc<Pod>> {
        self.0.pods.read().get(&address).cloned()
    }

    /// Whether a Pod at this address is ending.
    fn is_draining(&self, endpoint: SocketAddr) -> bool {
        match endpoint.ip() {
            IpAddr::V4(ip) => self.0.pods.read().get(&ip).is_some_and(|pod| pod.is_draining()),
            IpAddr::V6(_) => false,
        }
    }

    fn is_of_pods(&self, ip: Ipv4Addr) -> bool {
        self.0.config.pods.contains(&ip)
    }

    fn is_of_services(&self, ip: Ipv4Addr) -> bool {
        self.0.config.services.contains(&ip)
    }

    fn forget(&self, pod: &Arc<Pod>) {
        let mut pods = self.0.pods.write();
        if pods.get(&pod.member.address).is_some_and(|there| Arc::ptr_eq(there, pod)) {
            pods.remove(&pod.member.address);
        }
    }
}

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
mod listener;
mod names;
mod outside;
mod outside_udp;
mod passage;
mod ping;
mod pipe;
mod pod;
mod policy;
mod ports;
mod routes;
mod stream;
mod udp;
mod wakers;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use parking_lot::RwLock;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

pub use self::address_book::AddressBook;
pub use self::allow::DNS_PORT;
pub use self::bell::{Bell, Bells};
use self::buffered::Buffered;
pub use self::connections::CONNECTIONS_MAX;
pub use self::egress::{Egress, EgressDefault, Grant, is_nobodys, is_of_machine};
pub use self::error::Error;
pub use self::listener::{BACKLOG_DEFAULT, Listener};
use self::names::Found;
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
use crate::telemetry::OpenConnection;

/// The longest datagram of UDP over IPv4, in bytes.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Sockets of the host's for connections to the outside, of all Pods and of each: they are the
/// process's file descriptors, which the API server needs too.
const HOST_SOCKETS_MAX: usize = 4096;
const HOST_SOCKETS_OF_POD_MAX: usize = 1024;
/// How long a program's resolver waits for an answer that a policy holds back; resolv.conf's default.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// The node as Pods know it: [`Network::gateway`]. Others say `host.minikube.internal`.
const HOST_NAME: &str = "host.sampan.internal";

#[derive(Debug, Clone)]
pub struct Config {
    pub pods: Ipv4Net,
    pub services: Ipv4Net,
    pub cluster_domain: String,
    pub egress: Egress,
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
    /// Sockets of the host's that Pods may still open.
    host_sockets: Arc<Semaphore>,
    buffered: Arc<Buffered>,
}

impl Network {
    pub fn new(config: Config, clock: Clock) -> Self {
        let network = Self(Arc::new(Inner {
            config,
            clock,
            pods: RwLock::default(),
            routes: Routes::default(),
            names: Names::default(),
            bells: Bells::default(),
            policies: Policies::default(),
            host_sockets: Arc::new(Semaphore::new(HOST_SOCKETS_MAX)),
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

    /// Hands a connection that the host accepted (a NodePort's) to the Pod that listens at
    /// `endpoint`: the socket itself, so that nothing is copied on the way. `seen_from` is the client
    /// as the Pod sees it, `counted` the account of the Service it came to.
    ///
    /// # Errors
    /// With the socket back, for another endpoint: [`Error::Refused`], [`Error::HostUnreachable`],
    /// [`Error::TimedOut`], [`Error::LimitReached`], [`Error::Denied`].
    pub fn hand_over(
        &self,
        socket: TcpStream,
        endpoint: SocketAddr,
        seen_from: SocketAddr,
        counted: Option<OpenConnection>,
    ) -> Result<(), (Error, Option<TcpStream>)> {
        let pod = match endpoint.ip() {
            IpAddr::V4(ip) => self.pod(ip),
            IpAddr::V6(_) => None,
        };
        let Some(pod) = pod else { return Err((Error::HostUnreachable, Some(socket))) };
        if let Err(error) = self.allow_from_outside(seen_from, &pod, endpoint.port()) {
            return Err((error, Some(socket)));
        }
        if !pod.listens(endpoint) {
            return Err((Error::Refused, Some(socket)));
        }
        let slot = match pod.open(true) {
            Ok(slot) => slot,
            Err(error) => return Err((error, Some(socket))),
        };
        let stream = Stream::host(socket, endpoint, seen_from, vec![slot]).counted(counted);
        pod.deliver(endpoint, stream).map_err(|(error, stream)| (error, stream.into_host()))
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

    async fn resolve(&self, pod: &Pod, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let resolver = &pod.member.resolver;
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let in_hosts = resolver.in_hosts(name.trim_end_matches('.'));
        if !in_hosts.is_empty() {
            return Ok(in_hosts);
        }
        if !self.allow_lookup(pod) {
            self.clock().sleep(LOOKUP_MAX).await;
            return Err(ResolveError::TryAgain);
        }
        let candidates =
            if resolver.uses_cluster { resolver.candidates(name) } else { vec![name.to_owned()] };
        for candidate in candidates {
            let found = match resolver.uses_cluster {
                true => self.names().find(&candidate, &self.0.config.cluster_domain),
                false => Found::Unknown,
            };
            match found {
                Found::Addresses(addresses) if !addresses.is_empty() => return Ok(addresses),
                Found::Elsewhere(name) => return self.resolve_outside(&name).await,
                // With a search domain appended it is nobody's name.
                Found::Unknown if candidate == name.trim_end_matches('.') => {
                    return self.resolve_outside(&candidate).await;
                }
                Found::Addresses(_) | Found::Nowhere | Found::Unknown => {}
            }
        }
        Err(ResolveError::NotFound)
    }

    /// By the host's resolver.
    ///
    /// # Errors
    /// [`ResolveError::NotFound`] where egress is denied, too: names are part of what lies outside.
    pub async fn resolve_outside(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if self.0.config.egress.default == EgressDefault::Deny {
            return Err(ResolveError::NotFound);
        }
        let found = tokio::net::lookup_host((name, 0)).await;
        let found = found.map_err(|_| ResolveError::NotFound)?;
        let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        addresses.dedup();
        // IPv4 first: Pods have no IPv6 address of their own.
        addresses.sort_by_key(IpAddr::is_ipv6);
        if addresses.is_empty() { Err(ResolveError::NotFound) } else { Ok(addresses) }
    }
}

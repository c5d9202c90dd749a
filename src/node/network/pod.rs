//! One Pod's place on the network: its addresses, its ports, its connections. Shared by its
//! containers, which reach each other by loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::buffered::Buffered;
use super::connections::{
    CONNECTIONS_MAX, CONNECTIONS_OF_NODE_MAX, CONNECTIONS_TO_NODE_MAX, Connections, Slot,
};
use super::fair::{Permit, Share};
use super::listener::Backlog;
use super::policy::Party;
use super::ports::Ports;
use super::udp::{Inbox, UdpSocket};
use super::{Error, Listener, Network, Stream};
use crate::api::object::ObjectKey;

/// Ports that are chosen for whoever asks for port 0; Linux' default range.
const EPHEMERAL_PORTS: std::ops::Range<u16> = 32768..61000;

/// Who a Pod is on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub address: Ipv4Addr,
    pub namespace: String,
    /// The Pod's name.
    pub name: String,
    pub resolver: super::Resolver,
}

/// A Pod's network. Cheap to clone; the Pod leaves the network by [`PodNetwork::leave`].
#[derive(Debug, Clone)]
pub struct PodNetwork(pub(super) Arc<Pod>);

#[derive(Debug)]
pub(super) struct Pod {
    pub(super) network: Network,
    pub(super) member: Member,
    /// The Pod object's.
    key: ObjectKey,
    pub(super) listeners: Ports<Backlog>,
    pub(super) datagrams: Ports<Inbox>,
    pub(super) connections: Arc<Connections>,
    /// Those of `connections` that lead to the node's own servers.
    to_node: Arc<Connections>,
    host_sockets: Arc<Share>,
    pub(super) lookups: Arc<Share>,
    pub(super) buffered: Arc<Buffered>,
    next_port: AtomicU16,
    draining: CancellationToken,
    /// Whether one of its sockets has listened, at any port.
    has_listened: AtomicBool,
    /// One of its sockets has begun to listen.
    pub(super) listens_anew: Notify,
    /// When a connection through a Service first found that none had, on the monotonic clock.
    awaited_since: OnceLock<Duration>,
    left: AtomicBool,
}

impl PodNetwork {
    pub fn address(&self) -> Ipv4Addr {
        self.0.member.address
    }

    pub fn member(&self) -> &Member {
        &self.0.member
    }

    /// Takes an address and port of the Pod for a socket that is to listen, or to connect from there:
    /// one of its addresses (its own, loopback, or all of a family); port 0 chooses one. Like on Linux
    /// with `SO_REUSEADDR`, an address that no socket holds may be taken at once.
    ///
    /// # Errors
    /// [`Error::AddressInUse`], [`Error::AddressNotAvailable`], [`Error::LimitReached`],
    /// [`Error::Down`].
    pub fn bind(&self, local: SocketAddr) -> Result<Listener, Error> {
        self.0.check_local(local.ip())?;
        let slot = self.0.open(false)?;
        let backlog = Arc::<Backlog>::default();
        let local = self.0.listeners.take(local, self.0.ephemeral_ports(), backlog.clone())?;
        Ok(Listener::new(local, backlog, Arc::downgrade(&self.0), slot))
    }

    /// The same, and accepts connections.
    ///
    /// # Errors
    /// As [`PodNetwork::bind`].
    pub fn listen(&self, local: SocketAddr) -> Result<Listener, Error> {
        let listener = self.bind(local)?;
        listener.start();
        Ok(listener)
    }

    /// A socket for datagrams, bound to one of the Pod's addresses; port 0 chooses one.
    ///
    /// # Errors
    /// As [`PodNetwork::bind`].
    pub fn udp(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        UdpSocket::bind(&self.0, local)
    }

    /// Opens a connection: to loopback, another Pod, a Service, or the outside. `local` is where it is
    /// to come from, if the caller has bound it; port 0 chooses one.
    ///
    /// # Errors
    /// As a kernel's: [`Error::Refused`] if nobody listens, [`Error::HostUnreachable`] if no Pod has the
    /// address, [`Error::TimedOut`], [`Error::Denied`] by policy.
    pub async fn connect(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<Stream, Error> {
        super::connect::connect(&self.0, local, remote).await
    }

    /// From now on Services prefer other Pods, and the servers that the host runs for the Pod say
    /// goodbye with their next answer. Connections are still taken: who knows the Pod's address, or
    /// was sent here a moment ago, is not turned away.
    pub fn drain(&self) {
        self.0.draining.cancel();
        self.0.network.routes().changed();
    }

    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }

    /// Waits for [`PodNetwork::drain`].
    pub async fn draining(&self) {
        self.0.draining.cancelled().await;
    }

    /// Waits until nobody is connected to the Pod.
    pub async fn idle(&self) {
        self.0.connections.idle().await;
    }

    /// Waits until nobody is connected to the Pod, and from that moment refuses those who would be:
    /// no connection is taken that would end with the Pod at once.
    pub async fn retire(&self) {
        while !self.0.connections.retire() {
            self.0.connections.idle().await;
        }
    }

    /// Since when nobody is connected to the Pod, on the monotonic clock; `None` if somebody is.
    pub fn quiet_since(&self) -> Option<Duration> {
        self.0.connections.quiet_since()
    }

    /// Whether somebody accepts connections at this port of the Pod's own address.
    pub fn listens(&self, port: u16) -> bool {
        self.0.listens(SocketAddr::new(self.0.member.address.into(), port))
    }

    /// Connections that others have opened to the Pod and that are still open.
    pub fn inbound(&self) -> usize {
        self.0.connections.inbound()
    }

    /// Takes the Pod off the network: nobody reaches it any more, and it reaches nobody. What its
    /// guests still hold open ends with them.
    pub fn leave(&self) {
        self.0.left.store(true, Ordering::Release);
        self.0.network.forget(&self.0);
        self.0.listeners.clear().iter().for_each(|backlog| backlog.close());
        self.0.datagrams.clear().iter().for_each(|inbox| inbox.close());
    }
}

impl Pod {
    pub(super) fn new(network: Network, member: Member) -> Self {
        let account = |max| Arc::new(Connections::new(network.clock().clone(), max));
        let is_node = member.address == network.gateway();
        let connections_max = if is_node { CONNECTIONS_OF_NODE_MAX } else { CONNECTIONS_MAX };
        Self {
            buffered: Buffered::of_pod(&network.0.buffered),
            connections: account(connections_max),
            to_node: account(CONNECTIONS_TO_NODE_MAX),
            host_sockets: network.0.host_sockets.share(),
            lookups: network.0.lookups.share(),
            network,
            key: ObjectKey::new(&member.namespace, &member.name),
            member,
            listeners: Ports::default(),
            datagrams: Ports::default(),
            next_port: AtomicU16::new(EPHEMERAL_PORTS.start),
            draining: CancellationToken::new(),
            has_listened: AtomicBool::new(false),
            listens_anew: Notify::new(),
            awaited_since: OnceLock::new(),
            left: AtomicBool::new(false),
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// One of its sockets listens.
    pub(super) fn began_to_listen(&self) {
        self.has_listened.store(true, Ordering::Release);
        self.listens_anew.notify_waiters();
        // A connection to a Service may be waiting for just this.
        self.network.routes().changed();
    }

    /// Since when connections wait for a Pod that has not listened yet: from the first of them on, on
    /// the monotonic clock. `None` if it has listened.
    pub(super) fn awaited_since(&self) -> Option<Duration> {
        let now = || self.network.clock().monotonic();
        (!self.has_listened.load(Ordering::Acquire)).then(|| *self.awaited_since.get_or_init(now))
    }

    /// As policies see it.
    pub(super) fn party(&self) -> Party<'_> {
        Party { pod: Some(&self.key), ip: IpAddr::V4(self.member.address) }
    }

    /// Whether packets to this address come back to the Pod itself.
    pub(super) fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || ip.is_unspecified() || ip == IpAddr::V4(self.member.address)
    }

    /// # Errors
    /// If a socket of this Pod cannot be bound to the address.
    pub(super) fn check_local(&self, ip: IpAddr) -> Result<(), Error> {
        if self.left.load(Ordering::Acquire) {
            return Err(Error::Down);
        }
        if self.is_own(ip) { Ok(()) } else { Err(Error::AddressNotAvailable) }
    }

    /// The address that a connection to `remote` comes from.
    pub(super) fn source(&self, remote: IpAddr) -> SocketAddr {
        SocketAddr::new(self.source_ip(remote), self.next_port())
    }

    pub(super) fn source_ip(&self, remote: IpAddr) -> IpAddr {
        match remote {
            IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            _ => self.member.address.into(),
        }
    }

    /// The next port of the ephemeral range; one may be in use by an older connection to elsewhere.
    pub(super) fn next_port(&self) -> u16 {
        let step = |port: u16| match port.wrapping_add(1) {
            next if EPHEMERAL_PORTS.contains(&next) => next,
            _ => EPHEMERAL_PORTS.start,
        };
        let next = self
            .next_port
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |port| Some(step(port)));
        next.unwrap_or(EPHEMERAL_PORTS.start)
    }

    /// Each of the range once.
    pub(super) fn ephemeral_ports(&self) -> impl Iterator<Item = u16> {
        EPHEMERAL_PORTS.map(|_| self.next_port())
    }

    /// A socket of the host's may be opened for this Pod.
    ///
    /// # Errors
    /// [`Error::LimitReached`]
    pub(super) fn host_socket(&self) -> Result<Permit, Error> {
        self.host_sockets.try_take().ok_or(Error::LimitReached)
    }

    pub(super) fn open(&self, is_inbound: bool) -> Result<Slot, Error> {
        self.connections.open(is_inbound)
    }

    /// The slots of this Pod for a connection that it opens to another.
    pub(super) fn open_to(&self, other: &Self) -> Result<Vec<Slot>, Error> {
        let mut slots = vec![self.open(false)?];
        if self.network.is_gateway(other) && !self.network.is_gateway(self) {
            slots.push(self.to_node.open(false)?);
        }
        Ok(slots)
    }

    /// Hands a new connection to whoever listens at `to`.
    ///
    /// # Errors
    /// [`Error::Refused`] if nobody does, [`Error::TimedOut`] if its backlog is full.
    #[expect(clippy::result_large_err, reason = "the connection comes back, for another endpoint")]
    pub(super) fn deliver(&self, to: SocketAddr, stream: Stream) -> Result<(), (Error, Stream)> {
        match self.listeners.at(to) {
            Some(backlog) => backlog.push(stream),
            None => Err((Error::Refused, stream)),
        }
    }

    /// Whether somebody listens at `to`.
    pub(super) fn listens(&self, to: SocketAddr) -> bool {
        self.listeners.at(to).is_some_and(|backlog| backlog.is_listening())
    }
}

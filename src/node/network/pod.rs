//! One Pod's place on the network: its addresses, its ports, its connections. Shared by its
//! containers, which reach each other by loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::buffered::Buffered;
use super::connections::{Connections, Slot};
use super::listener::Backlog;
use super::policy::Party;
use super::ports::Ports;
use super::udp::{Inbox, UdpSocket};
use super::{Error, HOST_SOCKETS_OF_POD_MAX, Listener, Network, Stream};
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
    host_sockets: Arc<Semaphore>,
    pub(super) buffered: Arc<Buffered>,
    next_port: AtomicU16,
    draining: CancellationToken,
    /// Whether one of its sockets has listened, at any port.
    has_listened: AtomicBool,
    /// When a connection through a Service first found that none had, on the monotonic clock.
    awaited_since: OnceLock<Duration>,
    left: AtomicBool,
}

/// Held by a socket of the host's.
#[derive(Debug)]
pub(super) struct HostPermit(
    #[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit,
    #[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit,
);

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
    /// [`Error::AddressInUse`], [`Error::AddressNotAvailable`], [`Error::Down`].
    pub fn bind(&self, local: SocketAddr) -> Result<Listener, Error> {
        self.0.check_local(local.ip())?;
        let backlog = Arc::<Backlog>::default();
        let local = self.0.listeners.take(local, self.0.ephemeral_ports(), backlog.clone())?;
        Ok(Listener::new(local, backlog, Arc::downgrade(&self.0)))
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
    /// As [`PodNetwork::bind`], and [`Error::LimitReached`].
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

    /// A name's addresses, as a program's resolver would find them.
    ///
    /// # Errors
    /// See [`super::ResolveError`].
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, super::ResolveError> {
        self.0.network.resolve(&self.0, name).await
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
        let clock = network.clock().clone();
        Self {
            buffered: Buffered::of_pod(&network.0.buffered),
            network,
            key: ObjectKey::new(&member.namespace, &member.name),
            host_sockets: Arc::new(Semaphore::new(HOST_SOCKETS_OF_POD_MAX)),
            member,
            listeners: Ports::default(),
            datagrams: Ports::default(),
            connections: Arc::new(Connections::new(clock)),
            next_port: AtomicU16::new(EPHEMERAL_PORTS.start),
            draining: CancellationToken::new(),
            has_listened: AtomicBool::new(false),
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
    pub(super) fn host_socket(&self) -> Result<HostPermit, Error> {
        let take = |permits: &Arc<Semaphore>| permits.clone().try_acquire_owned();
        let of_pod = take(&self.host_sockets).map_err(|_| Error::LimitReached)?;
        let of_node = take(&self.network.0.host_sockets).map_err(|_| Error::LimitReached)?;
        Ok(HostPermit(of_pod, of_node))
    }

    pub(super) fn open(&self, is_inbound: bool) -> Result<Slot, Error> {
        self.connections.open(is_inbound)
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

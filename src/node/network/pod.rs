//! One Pod's place on the network: its addresses, its ports, its connections. Shared by its
//! containers, which reach each other by loopback.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use parking_lot::Mutex;

use super::connections::{Connections, Slot};
use super::listener::Backlog;
use super::{Error, Listener, Network, Stream};

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
    listeners: Mutex<HashMap<u16, Vec<Bound>>>,
    pub(super) connections: Arc<Connections>,
    next_port: AtomicU16,
    draining: AtomicBool,
    left: AtomicBool,
}

#[derive(Debug)]
struct Bound {
    address: IpAddr,
    backlog: Arc<Backlog>,
}

impl PodNetwork {
    pub fn address(&self) -> Ipv4Addr {
        self.0.member.address
    }

    pub fn member(&self) -> &Member {
        &self.0.member
    }

    /// Accepts connections to one of the Pod's addresses (its own, loopback, or all of a family); port
    /// 0 chooses one. Like on Linux with `SO_REUSEADDR`, an address that is not in use may be taken
    /// at once.
    ///
    /// # Errors
    /// [`Error::AddressInUse`], [`Error::AddressNotAvailable`], [`Error::Down`].
    pub fn listen(&self, local: SocketAddr) -> Result<Listener, Error> {
        self.0.check_local(local.ip())?;
        let mut listeners = self.0.listeners.lock();
        let port = match local.port() {
            0 => self.0.free_port(|port| !listeners.contains_key(&port))?,
            port => port,
        };
        let taken = listeners.get(&port).into_iter().flatten();
        if taken.into_iter().any(|bound| overlap(bound.address, local.ip())) {
            return Err(Error::AddressInUse);
        }
        let listener = Listener::new(SocketAddr::new(local.ip(), port), Arc::downgrade(&self.0));
        let bound = Bound { address: local.ip(), backlog: listener.backlog.clone() };
        listeners.entry(port).or_default().push(bound);
        Ok(listener)
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
        self.0.network.resolve(&self.0.member.resolver, name).await
    }

    /// From now on Services prefer other Pods, and the servers that the host runs for the Pod say
    /// goodbye with their next answer. Connections are still taken: who knows the Pod's address, or
    /// was sent here a moment ago, is not turned away.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
        self.0.network.routes().changed();
    }

    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Waits until nobody is connected to the Pod.
    pub async fn idle(&self) {
        self.0.connections.idle().await;
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
        let listeners = std::mem::take(&mut *self.0.listeners.lock());
        listeners.into_values().flatten().for_each(|bound| bound.backlog.close());
    }
}

impl Pod {
    pub(super) fn new(network: Network, member: Member) -> Self {
        Self {
            network,
            member,
            listeners: Mutex::default(),
            connections: Arc::default(),
            next_port: AtomicU16::new(EPHEMERAL_PORTS.start),
            draining: AtomicBool::new(false),
            left: AtomicBool::new(false),
        }
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
        let ip = match remote {
            IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            _ => IpAddr::V4(self.member.address),
        };
        SocketAddr::new(ip, self.next_port())
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

    /// # Errors
    /// [`Error::AddressInUse`] if the whole range is.
    pub(super) fn free_port(&self, is_free: impl Fn(u16) -> bool) -> Result<u16, Error> {
        let mut ports = EPHEMERAL_PORTS.map(|_| self.next_port());
        ports.find(|port| is_free(*port)).ok_or(Error::AddressInUse)
    }

    pub(super) fn open(&self, is_inbound: bool) -> Result<Slot, Error> {
        self.connections.open(is_inbound)
    }

    /// Hands a new connection to whoever listens at `to`.
    ///
    /// # Errors
    /// [`Error::Refused`] if nobody does, [`Error::TimedOut`] if its backlog is full.
    pub(super) fn deliver(&self, to: SocketAddr, stream: Stream) -> Result<(), (Error, Stream)> {
        let backlog = self.listener(to);
        match backlog {
            Some(backlog) => backlog.push(stream),
            None => Err((Error::Refused, stream)),
        }
    }

    /// Whether somebody listens at `to`.
    pub(super) fn listens(&self, to: SocketAddr) -> bool {
        self.listener(to).is_some()
    }

    fn listener(&self, to: SocketAddr) -> Option<Arc<Backlog>> {
        let listeners = self.listeners.lock();
        let mut bound = listeners.get(&to.port())?.iter();
        bound.find(|bound| overlap(bound.address, to.ip())).map(|bound| bound.backlog.clone())
    }

    pub(super) fn forget_listener(&self, port: u16, backlog: &Arc<Backlog>) {
        let mut listeners = self.listeners.lock();
        if let Some(bound) = listeners.get_mut(&port) {
            bound.retain(|bound| !Arc::ptr_eq(&bound.backlog, backlog));
            if bound.is_empty() {
                listeners.remove(&port);
            }
        }
    }
}

/// Whether sockets bound to these addresses would get each other's packets. As WASI has it, a socket
/// is of one family only.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
        && (one == other || one.is_unspecified() || other.is_unspecified())
}

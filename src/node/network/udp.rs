//! Datagrams: between Pods, through Services' doors, and by a socket of the host's to the outside.
//! What finds no room is lost, as everywhere.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::allow::Place;
use super::buffered::Buffered;
use super::connections::Slot;
use super::outside_udp::Outside;
use super::pod::Pod;
use super::routes::{Door, Protocol};
use super::wakers::Wakers;
use super::{DATAGRAM_BYTES_MAX, Error, connect};

/// Bytes that wait in one socket; later datagrams are lost. Who has sent some of them sends more only
/// while more is free than that: one sender fills half, Linux' default receive buffer, and a flood
/// leaves room for others' questions.
const INBOX_BYTES_MAX: usize = 2 * 208 * 1024;
/// What a datagram costs beside its bytes, so that many empty ones are bounded too.
const DATAGRAM_COST: usize = 256;
/// How long a socket stays with a Service's endpoint after its last datagram to it; Linux'
/// `nf_conntrack_udp_timeout_stream`.
const FLOW_STAY: Duration = Duration::from_secs(120);
/// Doors and outside addresses that one socket remembers; then those not used for long are
/// forgotten, and at last all.
pub(super) const FLOWS_MAX: usize = 1024;

/// A Pod's socket for datagrams; its port is free again when it is dropped.
#[derive(Debug)]
pub struct UdpSocket {
    pod: Arc<Pod>,
    local: SocketAddr,
    inbox: Arc<Inbox>,
    peer: Mutex<Option<SocketAddr>>,
    flows: Mutex<HashMap<SocketAddr, Flow>>,
    outside: Outside,
    /// The Pod's account of open sockets.
    _slot: Slot,
}

/// Which endpoint stands for a door, for this socket.
#[derive(Debug, Clone, Copy)]
struct Flow {
    endpoint: SocketAddr,
    used: Duration,
}

/// What waits to be received.
#[derive(Debug)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Of the Pod that receives.
    account: Arc<Buffered>,
    waiting: VecDeque<(Bytes, SocketAddr)>,
    held: usize,
    /// The same by sender. Bound: those of whom something waits.
    senders: HashMap<IpAddr, usize>,
    /// What became of a datagram sent earlier, for a connected socket.
    error: Option<Error>,
    closed: bool,
    readers: Wakers,
}

impl UdpSocket {
    pub(super) fn bind(pod: &Arc<Pod>, local: SocketAddr) -> Result<Self, Error> {
        pod.check_local(local.ip())?;
        let slot = pod.open(false)?;
        let inbox = Arc::new(Inbox::new(pod.buffered.clone()));
        let local = pod.datagrams.take(local, pod.ephemeral_ports(), inbox.clone())?;
        Ok(Self {
            pod: pod.clone(),
            local,
            inbox,
            peer: Mutex::default(),
            flows: Mutex::default(),
            outside: Outside::default(),
            _slot: slot,
        })
    }

    /// With the port that was asked for or found; of a connected socket, with the address its
    /// datagrams come from.
    pub fn local_address(&self) -> SocketAddr {
        match *self.peer.lock() {
            Some(peer) => self.source(peer.ip()),
            None => self.local,
        }
    }

    pub fn peer_address(&self) -> Option<SocketAddr> {
        *self.peer.lock()
    }

    /// From now on datagrams go to `peer`, unless another address is named, and come from it only;
    /// `None` undoes it.
    pub fn connect(&self, peer: Option<SocketAddr>) {
        *self.peer.lock() = peer.map(connect::own);
        self.inbox.0.lock().error = None;
    }

    /// Sends a datagram to an address, or to the peer.
    ///
    /// # Errors
    /// [`Error::MessageTooLong`]; [`Error::AddressNotAvailable`] without any address;
    /// [`Error::Denied`] for the outside; [`Error::Down`]. That nobody listens there is told to a
    /// connected socket only, by its next call: [`Error::Refused`], [`Error::HostUnreachable`].
    pub fn send(&self, bytes: Bytes, to: Option<SocketAddr>) -> Result<(), Error> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(Error::MessageTooLong);
        }
        self.pod.check_local(self.local.ip())?;
        self.inbox.take_error()?;
        let peer = self.peer_address();
        let to = to.map(connect::own).or(peer).ok_or(Error::AddressNotAvailable)?;
        match self.route(bytes, to) {
            // As ICMP would say later, to whoever is connected.
            Err(error @ (Error::Refused | Error::HostUnreachable)) => {
                if peer == Some(to) {
                    self.inbox.fail(error);
                }
                Ok(())
            }
            // Dropped on the way.
            Err(Error::TimedOut | Error::Dropped) => Ok(()),
            answer => answer,
        }
    }

    /// A datagram and where it came from; `None` if none waits.
    ///
    /// # Errors
    /// What became of one sent earlier, as [`UdpSocket::send`] says; [`Error::Down`].
    pub fn try_recv(&self) -> Result<Option<(Bytes, SocketAddr)>, Error> {
        loop {
            let Some((bytes, from)) = self.inbox.take()? else { break };
            let from = self.seen_as(from);
            if self.is_heard(from) {
                return Ok(Some((bytes, from)));
            }
        }
        while let Some((bytes, from)) = self.outside.try_recv()? {
            let from = self.seen_as(self.pod.network.known_as(from));
            if self.is_heard(from) {
                return Ok(Some((bytes, from)));
            }
        }
        Ok(None)
    }

    /// Ready when [`UdpSocket::try_recv`] would answer something (it may still be `None` once).
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let inbox = self.inbox.poll_readable(cx);
        let outside = self.outside.poll_readable(cx);
        if inbox.is_ready() || outside.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// As [`UdpSocket::try_recv`].
    pub async fn recv(&self) -> Result<(Bytes, SocketAddr), Error> {
        loop {
            if let Some(datagram) = self.try_recv()? {
                return Ok(datagram);
            }
            std::future::poll_fn(|cx| self.poll_readable(cx)).await;
        }
    }

    fn route(&self, bytes: Bytes, to: SocketAddr) -> Result<(), Error> {
        let network = &self.pod.network;
        if self.pod.is_own(to.ip()) && network.granted_at(to).is_none() {
            return self.deliver(&self.pod, bytes, to);
        }
        let to = self.endpoint(to)?;
        match network.place(to) {
            Place::Pods(ip) => {
                let pod = network.pod(ip).ok_or(Error::HostUnreachable)?;
                self.deliver(&pod, bytes, to)
            }
            Place::Closed => Err(Error::HostUnreachable),
            Place::Outside(to) => {
                let beyond = network.allow_outside(&self.pod, to, Protocol::Udp)?;
                self.outside.send(&self.pod, &bytes, beyond)
            }
        }
    }

    fn deliver(&self, pod: &Arc<Pod>, bytes: Bytes, to: SocketAddr) -> Result<(), Error> {
        self.pod.network.allow(&self.pod, pod, to.port(), Protocol::Udp)?;
        let inbox = pod.datagrams.at(to).ok_or(Error::Refused)?;
        inbox.put(bytes, self.source(to.ip()));
        Ok(())
    }

    /// Where a datagram to this address really goes: of a Service's door, to the same endpoint as
    /// the one before, while it is there.
    fn endpoint(&self, to: SocketAddr) -> Result<SocketAddr, Error> {
        let network = &self.pod.network;
        let door = Door { address: to, protocol: Protocol::Udp };
        let Some(route) = network.routes().get(door) else { return Ok(to) };
        let now = network.clock().monotonic();
        let mut flows = self.flows.lock();
        if let Some(flow) = flows.get_mut(&to)
            && now.saturating_sub(flow.used) < FLOW_STAY
            && route.endpoints.contains(&flow.endpoint)
        {
            flow.used = now;
            return Ok(flow.endpoint);
        }
        let client = self.source(to.ip()).ip();
        let mut passage = network.enter(door, client).ok_or(Error::HostUnreachable)?;
        let endpoint = passage.try_next().ok_or(Error::Refused)?;
        passage.arrived(endpoint);
        if flows.len() >= FLOWS_MAX {
            flows.retain(|_, flow| now.saturating_sub(flow.used) < FLOW_STAY);
            if flows.len() >= FLOWS_MAX {
                flows.clear();
            }
        }
        flows.insert(to, Flow { endpoint, used: now });
        Ok(endpoint)
    }

    /// An endpoint's answer comes from the door.
    fn seen_as(&self, from: SocketAddr) -> SocketAddr {
        let flows = self.flows.lock();
        let through = flows.iter().filter(|(_, flow)| flow.endpoint == from);
        through.max_by_key(|(_, flow)| flow.used).map_or(from, |(door, _)| *door)
    }

    fn is_heard(&self, from: SocketAddr) -> bool {
        self.peer.lock().is_none_or(|peer| peer == from)
    }

    /// Where what is sent to `remote` comes from.
    fn source(&self, remote: IpAddr) -> SocketAddr {
        let ip = match self.local.ip() {
            ip if ip.is_unspecified() => self.pod.source_ip(remote),
            ip => ip,
        };
        SocketAddr::new(ip, self.local.port())
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.pod.datagrams.free(self.local.port(), &self.inbox);
    }
}

impl Inbox {
    fn new(account: Arc<Buffered>) -> Self {
        Self(Mutex::new(State {
            account,
            waiting: VecDeque::new(),
            held: 0,
            senders: HashMap::new(),
            error: None,
            closed: false,
            readers: Wakers::default(),
        }))
    }

    fn put(&self, bytes: Bytes, from: SocketAddr) {
        let mut state = self.0.lock();
        let cost = bytes.len() + DATAGRAM_COST;
        let of_sender = state.senders.get(&from.ip()).copied().unwrap_or_default();
        let free = INBOX_BYTES_MAX - state.held;
        if state.closed || of_sender + cost > free || state.account.is_short() {
            return;
        }
        state.held += cost;
        state.senders.insert(from.ip(), of_sender + cost);
        state.account.add(cost);
        state.waiting.push_back((bytes, from));
        let woken = state.readers.take();
        drop(state);
        drop(woken);
    }

    fn take(&self) -> Result<Option<(Bytes, SocketAddr)>, Error> {
        let mut state = self.0.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        match state.waiting.pop_front() {
            Some((bytes, from)) => {
                let cost = bytes.len() + DATAGRAM_COST;
                state.held -= cost;
                if let Entry::Occupied(mut held) = state.senders.entry(from.ip()) {
                    *held.get_mut() -= cost;
                    if *held.get() == 0 {
                        held.remove();
                    }
                }
                state.account.remove(cost);
                Ok(Some((bytes, from)))
            }
            None if state.closed => Err(Error::Down),
            None => Ok(None),
        }
    }

    fn take_error(&self) -> Result<(), Error> {
        self.0.lock().error.take().map_or(Ok(()), Err)
    }

    fn fail(&self, error: Error) {
        let mut state = self.0.lock();
        state.error = Some(error);
        let woken = state.readers.take();
        drop(state);
        drop(woken);
    }

    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let woken = state.readers.take();
        drop(state);
        drop(woken);
    }

    fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.closed || state.error.is_some() || !state.waiting.is_empty() {
            return Poll::Ready(());
        }
        state.readers.register(cx);
        Poll::Pending
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.account.remove(self.held);
    }
}

//! wasi:sockets/udp and udp-create-socket.

use std::future::poll_fn;
use std::sync::{Arc, Weak};

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Network,
};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    self, IncomingDatagram, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket;
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, subscribe};

use super::{address, socket_error};
use crate::node::network::{PodNetwork, UdpSocket};
use crate::node::runtime::process::Process;

/// Datagrams of one call.
const DATAGRAMS_MAX: usize = 16;
/// Bytes of one call's datagrams, the last one not counted.
const CALL_BYTES_MAX: usize = 64 * 1024;
const BUFFER_BYTES: std::ops::RangeInclusive<u64> = 4 * 1024..=4 * 1024 * 1024;

type Socket = Resource<udp::UdpSocket>;
type Streams = (Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>);

struct GuestSocket {
    network: PodNetwork,
    family: IpAddressFamily,
    state: State,
    /// The streams that are open now.
    streams: Weak<()>,
    /// Remembered; in memory nothing hops.
    hop_limit: u8,
    receive_buffer: u64,
    send_buffer: u64,
}

enum State {
    New,
    Binding(Arc<UdpSocket>),
    Bound(Arc<UdpSocket>),
}

struct Incoming {
    socket: Arc<UdpSocket>,
    _open: Arc<()>,
}

struct Outgoing {
    socket: Arc<UdpSocket>,
    family: IpAddressFamily,
    /// What the last check has allowed.
    permits: usize,
    _open: Arc<()>,
}

impl GuestSocket {
    fn bound(&self) -> SocketResult<&Arc<UdpSocket>> {
        match &self.state {
            State::Bound(socket) => Ok(socket),
            State::New | State::Binding(_) => Err(ErrorCode::InvalidState.into()),
        }
    }
}

impl Process {
    fn udp(&self, socket: &Socket) -> SocketResult<&GuestSocket> {
        Ok(self.table.get(&ours(socket))?)
    }

    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for 0.
    fn set_udp(
        &mut self,
        socket: &Socket,
        value: u64,
        write: impl FnOnce(&mut GuestSocket, u64),
    ) -> SocketResult<()> {
        if value == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        write(self.table.get_mut(&ours(socket))?, value);
        Ok(())
    }
}

impl udp_create_socket::Host for Process {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        let socket = GuestSocket {
            network: self.network()?,
            family,
            state: State::New,
            streams: Weak::new(),
            hop_limit: 64,
            receive_buffer: 208 * 1024,
            send_buffer: 208 * 1024,
        };
        Ok(Resource::new_own(self.open_socket(socket)?))
    }
}

impl udp::Host for Process {}

impl udp::HostUdpSocket for Process {
    async fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check(&network)?;
        let socket = self.table.get_mut(&ours(&socket))?;
        match socket.state {
            State::New => {}
            State::Binding(_) => return Err(ErrorCode::ConcurrencyConflict.into()),
            State::Bound(_) => return Err(ErrorCode::InvalidState.into()),
        }
        let local = address::local(local, socket.family)?;
        let bound = socket.network.udp(local).map_err(socket_error)?;
        socket.state = State::Binding(Arc::new(bound));
        Ok(())
    }

    fn finish_bind(&mut self, socket: Socket) -> SocketResult<()> {
        let socket = self.table.get_mut(&ours(&socket))?;
        let State::Binding(bound) = &socket.state else {
            return Err(ErrorCode::NotInProgress.into());
        };
        socket.state = State::Bound(bound.clone());
        Ok(())
    }

    async fn stream(
        &mut self,
        socket: Socket,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<Streams> {
        let socket = self.table.get_mut(&ours(&socket))?;
        if socket.streams.strong_count() > 0 {
            return Err(SocketError::trap(wasmtime::format_err!(
                "the socket's earlier streams are still open"
            )));
        }
        let family = socket.family;
        let remote = remote.map(|remote| address::remote(remote, family)).transpose()?;
        let bound = socket.bound()?.clone();
        bound.connect(remote);
        let open = Arc::new(());
        socket.streams = Arc::downgrade(&open);
        let incoming = Incoming { socket: bound.clone(), _open: open.clone() };
        let incoming = self.table.push(incoming)?;
        let outgoing = Outgoing { socket: bound, family, permits: 0, _open: open };
        let outgoing = self.table.push(outgoing)?;
        Ok((Resource::new_own(incoming.rep()), Resource::new_own(outgoing.rep())))
    }

    fn local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(self.udp(&socket)?.bound()?.local_address().into())
    }

    fn remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        let peer = self.udp(&socket)?.bound()?.peer_address();
        Ok(peer.ok_or(ErrorCode::InvalidState)?.into())
    }

    fn address_family(&mut self, socket: Socket) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&ours(&socket))?.family)
    }

    fn unicast_hop_limit(&mut self, socket: Socket) -> SocketResult<u8> {
        Ok(self.udp(&socket)?.hop_limit)
    }

    fn set_unicast_hop_limit(&mut self, socket: Socket, value: u8) -> SocketResult<()> {
        self.set_udp(&socket, value.into(), |socket, _| socket.hop_limit = value)
    }

    fn receive_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
        Ok(self.udp(&socket)?.receive_buffer)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.set_udp(&socket, value, |socket, value| socket.receive_buffer = buffer(value))
    }

    fn send_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
        Ok(self.udp(&socket)?.send_buffer)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.set_udp(&socket, value, |socket, value| socket.send_buffer = buffer(value))
    }

    fn subscribe(&mut self, socket: Socket) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, ours(&socket))
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        self.close_socket::<GuestSocket>(socket.rep())
    }
}

impl udp::HostIncomingDatagramStream for Process {
    fn receive(
        &mut self,
        stream: Resource<IncomingDatagramStream>,
        max: u64,
    ) -> SocketResult<Vec<IncomingDatagram>> {
        let stream = self.table.get(&Resource::<Incoming>::new_borrow(stream.rep()))?;
        let max = usize::try_from(max).unwrap_or(usize::MAX).min(DATAGRAMS_MAX);
        let (mut datagrams, mut bytes) = (Vec::new(), 0);
        while datagrams.len() < max && bytes < CALL_BYTES_MAX {
            match stream.socket.try_recv() {
                Ok(None) => break,
                Ok(Some((data, from))) => {
                    bytes += data.len();
                    let data = data.into();
                    datagrams.push(IncomingDatagram { data, remote_address: from.into() });
                }
                Err(error) if datagrams.is_empty() => return Err(socket_error(error)),
                // Told once more, if it lasts.
                Err(_) => break,
            }
        }
        Ok(datagrams)
    }

    fn subscribe(
        &mut self,
        stream: Resource<IncomingDatagramStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, Resource::<Incoming>::new_borrow(stream.rep()))
    }

    fn drop(&mut self, stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Incoming>::new_own(stream.rep()))?;
        Ok(())
    }
}

impl udp::HostOutgoingDatagramStream for Process {
    /// There is always room: what nobody takes is lost.
    fn check_send(&mut self, stream: Resource<OutgoingDatagramStream>) -> SocketResult<u64> {
        let stream = Resource::<Outgoing>::new_borrow(stream.rep());
        self.table.get_mut(&stream)?.permits = DATAGRAMS_MAX;
        Ok(DATAGRAMS_MAX as u64)
    }

    fn send(
        &mut self,
        stream: Resource<OutgoingDatagramStream>,
        datagrams: Vec<OutgoingDatagram>,
    ) -> SocketResult<u64> {
        let stream = Resource::<Outgoing>::new_borrow(stream.rep());
        let stream = self.table.get_mut(&stream)?;
        if datagrams.len() > std::mem::take(&mut stream.permits) && !datagrams.is_empty() {
            return Err(SocketError::trap(wasmtime::format_err!(
                "more datagrams than check-send has allowed"
            )));
        }
        let mut sent = 0;
        for datagram in datagrams {
            match stream.send(datagram) {
                Ok(()) => sent += 1,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    fn subscribe(
        &mut self,
        stream: Resource<OutgoingDatagramStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, Resource::<Outgoing>::new_borrow(stream.rep()))
    }

    async fn drop(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Outgoing>::new_own(stream.rep()))?;
        Ok(())
    }
}

impl Outgoing {
    fn send(&self, datagram: OutgoingDatagram) -> SocketResult<()> {
        let OutgoingDatagram { data, remote_address } = datagram;
        let to = remote_address.map(|to| address::remote(to, self.family)).transpose()?;
        let is_clear = match (to, self.socket.peer_address()) {
            (Some(to), Some(peer)) => to == peer,
            (None, None) => false,
            _ => true,
        };
        if !is_clear {
            return Err(ErrorCode::InvalidArgument.into());
        }
        self.socket.send(data.into(), to).map_err(socket_error)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestSocket {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        poll_fn(|cx| self.socket.poll_readable(cx)).await;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        // A guest that sends without end must let others run.
        tokio::task::yield_now().await;
    }
}

fn ours(socket: &Socket) -> Resource<GuestSocket> {
    Resource::new_borrow(socket.rep())
}

fn buffer(value: u64) -> u64 {
    value.clamp(*BUFFER_BYTES.start(), *BUFFER_BYTES.end())
}

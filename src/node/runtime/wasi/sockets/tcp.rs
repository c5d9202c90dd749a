//! wasi:sockets/tcp and tcp-create-socket.

use std::sync::Arc;
use std::task::{Context, Waker};

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Network,
};
use wasmtime_wasi::p2::bindings::sockets::tcp::{self, ShutdownType};
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, SocketResult, subscribe};

use super::stream::{Connection, Input, Output};
use super::tcp_socket::{Options, State, TcpSocket};
use super::{SOCKETS_MAX, address};
use crate::node::runtime::process::Process;

/// What a socket's buffers may be set to, in bytes; the network's own are of one size.
const BUFFER_BYTES: std::ops::RangeInclusive<u64> = 4 * 1024..=4 * 1024 * 1024;
/// Linux' greatest keep-alive times (in nanoseconds) and count; more is taken for the greatest.
const KEEP_ALIVE_MAX: u64 = 32_767 * 1_000_000_000;
const KEEP_ALIVE_MIN: u64 = 1_000_000_000;
const KEEP_ALIVE_COUNT_MAX: u32 = 127;

type Socket = Resource<tcp::TcpSocket>;
type Ends = (Resource<DynInputStream>, Resource<DynOutputStream>);

impl Process {
    fn tcp(&self, socket: &Socket) -> SocketResult<&TcpSocket> {
        Ok(self.table.get(&ours(socket))?)
    }

    fn tcp_mut(&mut self, socket: &Socket) -> SocketResult<&mut TcpSocket> {
        Ok(self.table.get_mut(&ours(socket))?)
    }

    fn push_ends(&mut self, connection: Arc<Connection>) -> SocketResult<Ends> {
        let input: DynInputStream = Box::new(Input(connection.clone()));
        let input = self.table.push(input)?;
        let output: DynOutputStream = Box::new(Output(connection));
        let output = self.table.push(output)?;
        Ok((input, output))
    }

    /// Reads a setting; one that is connecting or has failed has none.
    fn option<T>(&self, socket: &Socket, read: impl FnOnce(&Options) -> T) -> SocketResult<T> {
        let socket = self.tcp(socket)?;
        match socket.state {
            State::Connecting(_) | State::Closed => Err(ErrorCode::InvalidState.into()),
            _ => Ok(read(&socket.options)),
        }
    }

    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for 0.
    fn set_option<T: Into<u64>>(
        &mut self,
        socket: &Socket,
        value: T,
        write: impl FnOnce(&mut Options, u64),
    ) -> SocketResult<()> {
        let value = value.into();
        if value == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        self.option(socket, |_| ())?;
        write(&mut self.tcp_mut(socket)?.options, value);
        Ok(())
    }
}

impl tcp_create_socket::Host for Process {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        let socket = TcpSocket::new(self.network()?, family);
        Ok(Resource::new_own(self.open_socket(socket)?))
    }
}

impl tcp::Host for Process {}

impl tcp::HostTcpSocket for Process {
    async fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check(&network)?;
        let socket = self.tcp_mut(&socket)?;
        socket.start_bind(address::local(local, socket.family)?)
    }

    fn finish_bind(&mut self, socket: Socket) -> SocketResult<()> {
        self.tcp_mut(&socket)?.finish_bind()
    }

    fn start_connect(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check(&network)?;
        let socket = self.tcp_mut(&socket)?;
        socket.start_connect(address::remote(remote, socket.family)?)
    }

    fn finish_connect(&mut self, socket: Socket) -> SocketResult<Ends> {
        let container = self.container.clone();
        let mut cx = Context::from_waker(Waker::noop());
        let connection = self.tcp_mut(&socket)?.finish_connect(&mut cx, container)?;
        self.push_ends(connection)
    }

    async fn start_listen(&mut self, socket: Socket) -> SocketResult<()> {
        self.tcp_mut(&socket)?.start_listen()
    }

    fn finish_listen(&mut self, socket: Socket) -> SocketResult<()> {
        self.tcp_mut(&socket)?.finish_listen()
    }

    fn accept(
        &mut self,
        socket: Socket,
    ) -> SocketResult<(Socket, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        if self.sockets >= SOCKETS_MAX {
            return Err(ErrorCode::NewSocketLimit.into());
        }
        let container = self.container.clone();
        let listening = self.tcp(&socket)?;
        let connection = Connection::new(listening.accept()?, container);
        let accepted = listening.accepted(connection.clone());
        let accepted = self.open_socket(accepted)?;
        let (input, output) = self.push_ends(connection)?;
        Ok((Resource::new_own(accepted), input, output))
    }

    fn local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp(&socket)?.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp(&socket)?.connection()?.stream().peer_address().into())
    }

    fn is_listening(&mut self, socket: Socket) -> wasmtime::Result<bool> {
        let socket = self.table.get(&ours(&socket))?;
        Ok(matches!(socket.state, State::Listening(_)))
    }

    fn address_family(&mut self, socket: Socket) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&ours(&socket))?.family)
    }

    fn set_listen_backlog_size(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.tcp_mut(&socket)?.set_backlog(value)
    }

    fn keep_alive_enabled(&mut self, socket: Socket) -> SocketResult<bool> {
        self.option(&socket, |options| options.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, socket: Socket, value: bool) -> SocketResult<()> {
        self.option(&socket, |_| ())?;
        self.tcp_mut(&socket)?.options.keep_alive = value;
        Ok(())
    }

    fn keep_alive_idle_time(&mut self, socket: Socket) -> SocketResult<u64> {
        self.option(&socket, |options| options.keep_alive_idle)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.set_option(&socket, value, |options, value| {
            options.keep_alive_idle = value.clamp(KEEP_ALIVE_MIN, KEEP_ALIVE_MAX);
        })
    }

    fn keep_alive_interval(&mut self, socket: Socket) -> SocketResult<u64> {
        self.option(&socket, |options| options.keep_alive_interval)
    }

    fn set_keep_alive_interval(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.set_option(&socket, value, |options, value| {
            options.keep_alive_interval = value.clamp(KEEP_ALIVE_MIN, KEEP_ALIVE_MAX);
        })
    }

    fn keep_alive_count(&mut self, socket: Socket) -> SocketResult<u32> {
        self.option(&socket, |options| options.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, socket: Socket, value: u32) -> SocketResult<()> {
        self.set_option(&socket, value, |options, _| {
            options.keep_alive_count = value.min(KEEP_ALIVE_COUNT_MAX);
        })
    }

    fn hop_limit(&mut self, socket: Socket) -> SocketResult<u8> {
        self.option(&socket, |options| options.hop_limit)
    }

    fn set_hop_limit(&mut self, socket: Socket, value: u8) -> SocketResult<()> {
        self.set_option(&socket, value, |options, _| options.hop_limit = value)
    }

    fn receive_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
        self.option(&socket, |options| options.receive_buffer)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.set_option(&socket, value, |options, value| options.receive_buffer = buffer(value))
    }

    fn send_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
        self.option(&socket, |options| options.send_buffer)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.set_option(&socket, value, |options, value| options.send_buffer = buffer(value))
    }

    fn subscribe(&mut self, socket: Socket) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, ours(&socket))
    }

    fn shutdown(&mut self, socket: Socket, how: ShutdownType) -> SocketResult<()> {
        let connection = self.tcp(&socket)?.connection()?;
        if matches!(how, ShutdownType::Receive | ShutdownType::Both) {
            connection.stop_reading();
        }
        if matches!(how, ShutdownType::Send | ShutdownType::Both) {
            connection.stop_writing();
        }
        Ok(())
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        self.close_socket::<TcpSocket>(socket.rep())
    }
}

fn ours(socket: &Socket) -> Resource<TcpSocket> {
    Resource::new_borrow(socket.rep())
}

fn buffer(value: u64) -> u64 {
    value.clamp(*BUFFER_BYTES.start(), *BUFFER_BYTES.end())
}

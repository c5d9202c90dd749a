//! wasi:sockets over the Pod's network.
//!
//! As in `filesystem`, the bindings are wasmtime-wasi's and name its own socket types; ours stand in
//! the table under the same numbers, and no value of theirs is ever made.

mod address;
mod lookup;
mod stream;
mod tcp;
mod tcp_socket;
mod udp;

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode};
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network, ip_name_lookup, tcp as tcp_wit, tcp_create_socket, udp as udp_wit,
    udp_create_socket,
};
use wasmtime_wasi::p2::{SocketError, SocketResult};

use super::super::process::Process;
use crate::node::network::{Error, PodNetwork};

/// Sockets of a process, with up to six resources each: a socket, two streams and what waits for them.
const SOCKETS_MAX: usize = 10_000;

/// What a guest holds as its network.
struct Instance;

pub(super) fn add_to_linker(linker: &mut Linker<Process>) -> wasmtime::Result<()> {
    type Data = HasSelf<Process>;
    let mut options = network::LinkOptions::default();
    options.network_error_code(true);
    network::add_to_linker::<Process, Data>(linker, &options, |process| process)?;
    instance_network::add_to_linker::<Process, Data>(linker, |process| process)?;
    tcp_wit::add_to_linker::<Process, Data>(linker, |process| process)?;
    tcp_create_socket::add_to_linker::<Process, Data>(linker, |process| process)?;
    udp_wit::add_to_linker::<Process, Data>(linker, |process| process)?;
    udp_create_socket::add_to_linker::<Process, Data>(linker, |process| process)?;
    ip_name_lookup::add_to_linker::<Process, Data>(linker, |process| process)
}

impl Process {
    /// The Pod's network; a guest without one may not have any sockets.
    fn network(&self) -> SocketResult<PodNetwork> {
        self.container.network.clone().ok_or_else(|| ErrorCode::AccessDenied.into())
    }

    /// # Errors
    /// [`ErrorCode::NewSocketLimit`]
    fn open_socket<T: Send + 'static>(&mut self, socket: T) -> SocketResult<u32> {
        if self.sockets >= SOCKETS_MAX {
            return Err(ErrorCode::NewSocketLimit.into());
        }
        let socket = self.table.push(socket).map_err(|_| ErrorCode::NewSocketLimit)?;
        self.sockets += 1;
        Ok(socket.rep())
    }

    fn close_socket<T: Send + 'static>(&mut self, rep: u32) -> wasmtime::Result<()> {
        self.table.delete(Resource::<T>::new_own(rep))?;
        self.sockets -= 1;
        Ok(())
    }

    fn check(&self, network: &Resource<network::Network>) -> SocketResult<()> {
        self.table.get(&Resource::<Instance>::new_borrow(network.rep()))?;
        Ok(())
    }
}

impl instance_network::Host for Process {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<network::Network>> {
        Ok(Resource::new_own(self.table.push(Instance)?.rep()))
    }
}

impl network::Host for Process {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<Error>().copied().map(code))
    }
}

impl network::HostNetwork for Process {
    fn drop(&mut self, network: Resource<network::Network>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Instance>::new_own(network.rep()))?;
        Ok(())
    }
}

fn code(error: Error) -> ErrorCode {
    match error {
        Error::Refused => ErrorCode::ConnectionRefused,
        Error::Reset => ErrorCode::ConnectionReset,
        Error::BrokenPipe => ErrorCode::ConnectionAborted,
        Error::TimedOut | Error::Dropped => ErrorCode::Timeout,
        Error::AddressInUse => ErrorCode::AddressInUse,
        Error::AddressNotAvailable => ErrorCode::AddressNotBindable,
        Error::HostUnreachable | Error::NetworkUnreachable | Error::Down => {
            ErrorCode::RemoteUnreachable
        }
        Error::Denied => ErrorCode::AccessDenied,
        Error::LimitReached => ErrorCode::NewSocketLimit,
        Error::MessageTooLong => ErrorCode::DatagramTooLarge,
    }
}

fn socket_error(error: Error) -> SocketError {
    code(error).into()
}

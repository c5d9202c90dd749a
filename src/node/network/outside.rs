//! What lies outside the cluster: which of it is this machine, and how the rest is reached.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::TcpStream;

use super::Error;
use crate::client::clock::Clock;

/// Whether the address is one of the host's own: only those can be bound. Asked anew each time, for
/// interfaces come and go. `None`: the kernel does not say, having no socket to spare, say.
pub(super) fn is_of_host(ip: IpAddr) -> Option<bool> {
    match UdpSocket::bind(SocketAddr::new(ip, 0)) {
        Ok(_) => Some(true),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Some(false),
        Err(_) => None,
    }
}

/// Connects to an address that [`super::Egress::check`] has let pass.
///
/// # Errors
/// The kernel's; [`Error::TimedOut`] after `timeout`.
pub(super) async fn connect(
    remote: SocketAddr,
    timeout: Duration,
    clock: &Clock,
) -> Result<TcpStream, Error> {
    tokio::select! {
        connected = TcpStream::connect(remote) => Ok(connected?),
        () = clock.sleep_until(clock.monotonic() + timeout) => Err(Error::TimedOut),
    }
}

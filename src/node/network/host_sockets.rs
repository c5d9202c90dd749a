//! Sockets of the host's that serve Pods: those they open to the outside, and those that NodePorts,
//! load balancers and Ingresses accept. Each is a file descriptor of this process, which the API server
//! and the Pods' files need, too.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;

use super::fair::{Permit, Share};
use super::policy::Asked;
use super::{Error, Network, Protocol, Stream};
use crate::telemetry::OpenConnection;

/// Of these many files that a process may open anywhere.
const OPEN_FILES_DEFAULT: u64 = 8192;
/// Above it memory is the bound: the kernel keeps some KiB for each socket.
const SOCKETS_MAX: u64 = 32 * 1024;

/// How many sockets Pods may have of `open_files`, the most files that this process may hold open
/// (`RLIMIT_NOFILE`), if there is a known limit: half. The other half is the API server's and files'.
pub fn host_sockets_max(open_files: Option<u64>) -> usize {
    let half = open_files.unwrap_or(OPEN_FILES_DEFAULT) / 2;
    usize::try_from(half.min(SOCKETS_MAX)).unwrap_or(usize::MAX)
}

/// A connection that the host accepted, and the right to keep it.
#[derive(Debug)]
pub struct HostSocket {
    pub socket: TcpStream,
    pub permit: Permit,
}

impl Network {
    /// A part of the host's sockets for one who accepts connections for Pods. A Pod's part for what it
    /// opens itself is its own.
    pub fn share_of_host_sockets(&self) -> Arc<Share> {
        self.0.host_sockets.share()
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
        socket: HostSocket,
        endpoint: SocketAddr,
        seen_from: SocketAddr,
        counted: Option<OpenConnection>,
    ) -> Result<(), (Error, Option<HostSocket>)> {
        let pod = match endpoint.ip() {
            IpAddr::V4(ip) => self.pod(ip),
            IpAddr::V6(_) => None,
        };
        let Some(pod) = pod else { return Err((Error::HostUnreachable, Some(socket))) };
        let asked = Asked::Port(Protocol::Tcp, endpoint.port());
        if !self.admits_to(&pod, seen_from, asked) {
            return Err((Error::Dropped, Some(socket)));
        }
        if !pod.listens(endpoint) {
            return Err((Error::Refused, Some(socket)));
        }
        let slot = match pod.open(true) {
            Ok(slot) => slot,
            Err(error) => return Err((error, Some(socket))),
        };
        let stream = Stream::host(socket, endpoint, seen_from, vec![slot], &pod.buffered);
        let stream = stream.counted(counted);
        pod.deliver(endpoint, stream).map_err(|(error, stream)| (error, stream.into_host()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_may_be_sockets_of_pods() {
        assert_eq!(host_sockets_max(None), 4096);
        assert_eq!(host_sockets_max(Some(256)), 128);
        assert_eq!(host_sockets_max(Some(1024)), 512);
        assert_eq!(host_sockets_max(Some(1 << 20)), 32 * 1024);
    }
}

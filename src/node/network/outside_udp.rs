//! Datagrams to the outside: a socket of the host's behind a Pod's, which lets in answers only.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::fair::Permit;
use super::pod::Pod;
use super::udp::FLOWS_MAX;
use super::{DATAGRAM_BYTES_MAX, Error};

/// How long answers are let in after the last datagram to an address; Linux'
/// `nf_conntrack_udp_timeout_stream`.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Strangers' datagrams thrown away in one call.
const STRANGERS_MAX: usize = 64;

/// Made when it is first needed, one for each family.
#[derive(Debug, Default)]
pub(super) struct Outside {
    v4: OnceLock<Socket>,
    v6: OnceLock<Socket>,
}

#[derive(Debug)]
struct Socket {
    socket: tokio::net::UdpSocket,
    /// Who was sent something, and when. Bound: [`FLOWS_MAX`].
    asked: Mutex<HashMap<SocketAddr, Duration>>,
    _permit: Permit,
}

impl Outside {
    /// Sends what the rules for the outside have let pass; without room for it, it is lost.
    ///
    /// # Errors
    /// The kernel's, and [`Error::LimitReached`].
    pub(super) fn send(&self, pod: &Pod, bytes: &Bytes, to: SocketAddr) -> Result<(), Error> {
        let (place, any): (_, IpAddr) = match to {
            SocketAddr::V4(_) => (&self.v4, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (&self.v6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let socket = match place.get() {
            Some(socket) => socket,
            None => {
                let made = Socket::new(any, pod.host_socket()?)?;
                place.get_or_init(|| made)
            }
        };
        socket.remember(to, pod.network.clock().monotonic());
        // Not tokio's: it has not heard from the kernel yet that a new socket is ready.
        match socket2::SockRef::from(&socket.socket).send_to(bytes, &to.into()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            sent => sent.map(drop).map_err(Error::from),
        }
    }

    pub(super) fn try_recv(&self) -> Result<Option<(Bytes, SocketAddr)>, Error> {
        for socket in self.sockets() {
            if let Some(datagram) = socket.try_recv()? {
                return Ok(Some(datagram));
            }
        }
        Ok(None)
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut answer = Poll::Pending;
        for socket in self.sockets() {
            if socket.socket.poll_recv_ready(cx).is_ready() {
                answer = Poll::Ready(());
            }
        }
        answer
    }

    fn sockets(&self) -> impl Iterator<Item = &Socket> {
        [&self.v4, &self.v6].into_iter().filter_map(OnceLock::get)
    }
}

impl Socket {
    fn new(any: IpAddr, permit: Permit) -> Result<Self, Error> {
        let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        Ok(Self { socket, asked: Mutex::default(), _permit: permit })
    }

    fn remember(&self, to: SocketAddr, now: Duration) {
        let mut asked = self.asked.lock();
        if asked.len() >= FLOWS_MAX && !asked.contains_key(&to) {
            asked.retain(|_, since| now.saturating_sub(*since) < ANSWER_MAX);
            if asked.len() >= FLOWS_MAX {
                asked.clear();
            }
        }
        asked.insert(to, now);
    }

    fn try_recv(&self) -> Result<Option<(Bytes, SocketAddr)>, Error> {
        for _ in 0..STRANGERS_MAX {
            let mut buffer = BytesMut::with_capacity(DATAGRAM_BYTES_MAX);
            match self.socket.try_recv_buf_from(&mut buffer) {
                Ok((_, from)) if self.asked.lock().contains_key(&from) => {
                    // Few are as long as the longest.
                    return Ok(Some((Bytes::copy_from_slice(&buffer), from)));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

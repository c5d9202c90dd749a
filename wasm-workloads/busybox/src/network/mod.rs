//! Programs that use the network: the Pod's, by wasi:sockets. A guest has one thread: it waits for a
//! socket with a limit, or looks at sockets and input in turn.

pub mod curl;
mod dns;
mod http;
pub mod interfaces;
pub mod nc;
pub mod nslookup;
pub mod ping;
pub mod telnet;
mod tls;
pub mod wget;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::call::Failure;

/// Which addresses of a name are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    #[default]
    Any,
    V4,
    V6,
}

impl Family {
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// The addresses of a name, in the resolver's order; none if it has none.
pub fn addresses(host: &str, family: Family) -> Vec<IpAddr> {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found: Vec<IpAddr> = match literal.parse() {
        Ok(address) => vec![address],
        // Without a port there is nothing else that can be wrong.
        Err(_) => (host, 0)
            .to_socket_addrs()
            .map(|found| found.map(|found| found.ip()).collect())
            .unwrap_or_default(),
    };
    let mut seen = Vec::new();
    for address in found.into_iter().filter(|address| family.has(*address)) {
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen
}

/// The same, as most programs complain.
pub fn resolve(host: &str, family: Family) -> Result<Vec<IpAddr>, Failure> {
    let found = addresses(host, family);
    if found.is_empty() {
        return Err(Failure::Message(format!("bad address '{host}'")));
    }
    Ok(found)
}

pub fn port(text: &str) -> Result<u16, Failure> {
    let number = text.parse::<u16>().ok().filter(|_| !text.starts_with('+'));
    number.ok_or_else(|| Failure::Message(format!("bad port '{text}'")))
}

/// Connects to the first of the addresses that answers; the last one's failure otherwise.
pub fn connect(
    addresses: &[IpAddr],
    port: u16,
    limit: Limit,
) -> Result<TcpStream, (SocketAddr, io::Error)> {
    let mut failed = None;
    for address in addresses {
        let to = SocketAddr::new(*address, port);
        let connected = match limit.left() {
            None => TcpStream::connect(to),
            Some(left) if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
            Some(left) => TcpStream::connect_timeout(&to, left),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(err) => failed = Some((to, err)),
        }
    }
    let nobody = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port);
    Err(failed.unwrap_or_else(|| (nobody, io::ErrorKind::AddrNotAvailable.into())))
}

/// A connection could not be made, as busybox words it.
pub fn refusal((to, err): &(SocketAddr, io::Error)) -> Failure {
    let why = crate::call::reason(err);
    Failure::Message(format!("can't connect to remote host ({}): {why}", to.ip()))
}

/// A moment by which something has to be done, if any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limit(Option<Instant>);

impl Limit {
    pub fn after(time: Option<Duration>) -> Self {
        // A time too long for the clock is none.
        Self(time.and_then(|time| Instant::now().checked_add(time)))
    }

    pub fn sooner(self, other: Self) -> Self {
        Self([self.0, other.0].into_iter().flatten().min())
    }

    /// Nothing without a limit, zero when it has passed.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    pub fn has_passed(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

/// Whether a read or write with a limit ended by it: systems differ in the word.
pub fn is_timeout(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// How soon a silent datagram socket is looked at again: at first, and at most.
const LOOK: Duration = Duration::from_micros(100);
const LOOK_MAX: Duration = Duration::from_millis(10);

/// The next datagram and who sent it, if it comes in time. wasi-libc knows no time limits for datagram
/// sockets: this looks again and again.
pub fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    limit: Limit,
) -> io::Result<Option<(usize, SocketAddr)>> {
    socket.set_nonblocking(true)?;
    let mut pause = LOOK;
    let received = loop {
        match socket.recv_from(buffer) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) if is_timeout(&err) => {
                let left = limit.left().unwrap_or(LOOK_MAX);
                if left.is_zero() {
                    break Ok(None);
                }
                thread::sleep(pause.min(left));
                pause = (pause * 2).min(LOOK_MAX);
            }
            received => break received.map(Some),
        }
    };
    socket.set_nonblocking(false)?;
    received
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_are() {
        assert_eq!(addresses("10.42.0.7", Family::Any), [IpAddr::from([10, 42, 0, 7])]);
        assert_eq!(addresses("[::1]", Family::V6).len(), 1);
        assert!(addresses("::1", Family::V4).is_empty());
        assert!(addresses("not a name", Family::Any).is_empty());
    }

    #[test]
    fn ports_are_numbers() {
        assert_eq!(port("80").unwrap(), 80);
        for bad in ["70000", "http", "", "-1", "+1"] {
            assert!(matches!(port(bad), Err(Failure::Message(text)) if text.contains(bad)));
        }
    }

    #[test]
    fn the_sooner_limit_counts() {
        let (none, long) = (Limit::default(), Limit::after(Some(Duration::from_secs(3600))));
        assert!(none.left().is_none() && none.sooner(long).left().is_some());
        let past = Limit::after(Some(Duration::ZERO));
        assert!(past.sooner(long).has_passed() && !long.has_passed());
        assert!(Limit::after(Some(Duration::MAX)).left().is_none());
    }
}

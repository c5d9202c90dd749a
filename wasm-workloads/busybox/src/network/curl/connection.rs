//! Connections, one at a time, kept as long as they serve.

use std::io::{self, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::options::Config;
use super::trace::Trace;
use super::{Failure, REFUSED, TIMED_OUT, UNRESOLVED, UNSENT};
use crate::call::reason;
use crate::network::http::Url;
use crate::network::{Limit, addresses, connect, is_timeout};
use crate::stream::BUFFER_BYTES;

/// As curl's, without `--connect-timeout`.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub struct Connection {
    pub number: usize,
    host: String,
    port: u16,
    pub peer: SocketAddr,
    pub local: Option<SocketAddr>,
    pub reader: BufReader<TcpStream>,
}

/// When a page's parts were done, from its beginning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    pub resolved: Duration,
    pub connected: Duration,
}

impl Connection {
    pub fn serves(&self, url: &Url) -> bool {
        self.host == url.host && self.port == url.port_or_default()
    }

    pub fn open(
        config: &Config,
        url: &Url,
        limit: Limit,
        number: usize,
        trace: &mut Trace<'_>,
    ) -> Result<(Self, Times), (Failure, Times)> {
        let began = Instant::now();
        let (host, port) = (bare(&url.host), url.port_or_default());
        let mut times = Times::default();
        let found = find(config, host, port, trace);
        times.resolved = began.elapsed();
        if found.is_empty() {
            let failure = Failure::new(UNRESOLVED, format!("Could not resolve host: {host}"));
            trace.say(&failure.text);
            trace.say(&format!("Closing connection {number}"));
            return Err((failure, times));
        }
        let connect_limit = Limit::after(Some(config.connect_time_max.unwrap_or(CONNECT_TIME_MAX)));
        match reach(&found, port, limit.sooner(connect_limit), trace) {
            Ok((stream, peer)) => {
                times.connected = began.elapsed();
                trace.say(&format!("Connected to {host} ({}) port {port} (#{number})", peer.ip()));
                // Small requests are not held back; where that cannot be asked for, they may be.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().ok();
                let reader = BufReader::with_capacity(BUFFER_BYTES, stream);
                let host = url.host.clone();
                Ok((Self { number, host, port, peer, local, reader }, times))
            }
            Err((to, err)) => {
                let waited = began.elapsed().as_millis();
                let failure = unreached(host, port, waited, limit.has_passed(), &err);
                if !is_timeout(&err) {
                    let why = reason(&err);
                    trace.say(&format!("connect to {} port {port} failed: {why}", to.ip()));
                }
                trace.say(&failure.text);
                trace.say(&format!("Closing connection {number}"));
                Err((failure, times))
            }
        }
    }

    /// Every read and write ends at the limit.
    pub fn set_limit(&self, limit: Limit) -> Result<(), Failure> {
        let left = limit.left().map(|left| left.max(Duration::from_millis(1)));
        let stream = self.reader.get_ref();
        let set = stream.set_read_timeout(left).and_then(|()| stream.set_write_timeout(left));
        set.map_err(|err| Failure::new(UNSENT, reason(&err)))
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn find(config: &Config, host: &str, port: u16, trace: &mut Trace<'_>) -> Vec<IpAddr> {
    let given = config.resolved.iter().rev();
    let mut given = given.filter(|one| one.port == port && (one.host == host || one.host == "*"));
    match given.next() {
        Some(given) => {
            trace.say(&format!("Hostname {host} was found in DNS cache"));
            given.addresses.clone()
        }
        None => addresses(host, config.family),
    }
}

fn reach(
    found: &[IpAddr],
    port: u16,
    limit: Limit,
    trace: &mut Trace<'_>,
) -> Result<(TcpStream, SocketAddr), (SocketAddr, io::Error)> {
    let mut failed = None;
    for address in found {
        let to = SocketAddr::new(*address, port);
        trace.say(&format!("  Trying {to}..."));
        match connect(&[*address], port, limit) {
            Ok(stream) => return Ok((stream, to)),
            Err(failure) => failed = Some(failure),
        }
    }
    let nobody = SocketAddr::from(([0, 0, 0, 0], port));
    Err(failed.unwrap_or_else(|| (nobody, io::ErrorKind::AddrNotAvailable.into())))
}

fn unreached(host: &str, port: u16, waited: u128, out_of_time: bool, err: &io::Error) -> Failure {
    if out_of_time {
        return Failure::new(
            TIMED_OUT,
            format!("Connection timed out after {waited} milliseconds"),
        );
    }
    let (code, why) = match is_timeout(err) {
        true => (TIMED_OUT, "Timeout was reached"),
        false => (REFUSED, "Couldn't connect to server"),
    };
    Failure::new(code, format!("Failed to connect to {host} port {port} after {waited} ms: {why}"))
}

//! Connections, one at a time, kept as long as they serve.

use std::io::{self, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::options::Config;
use super::route::Redirected;
use super::trace::Trace;
use super::{Failure, REFUSED, TIMED_OUT, UNRESOLVED, UNSENT};
use crate::call::{Call, reason};
use crate::network::http::{Scheme, Url};
use crate::network::tls::{Channel, Problem};
use crate::network::{Limit, addresses, connect, is_timeout};
use crate::stream::BUFFER_BYTES;

/// As curl's, without `--connect-timeout`.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub struct Connection {
    pub number: usize,
    /// The page it was opened for.
    url: Url,
    pub peer: SocketAddr,
    pub local: Option<SocketAddr>,
    pub reader: BufReader<Channel>,
    /// What is wrong with the server's certificate, and does not matter to the user.
    pub problem: Option<Problem>,
}

/// When a page's parts were done, from its beginning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    pub resolved: Duration,
    pub connected: Duration,
    /// With TLS.
    pub secured: Duration,
}

impl Connection {
    pub fn serves(&self, url: &Url) -> bool {
        self.url.same_origin(url)
    }

    pub fn open(
        call: &Call,
        config: &Config,
        url: &Url,
        limit: Limit,
        number: usize,
        trace: &mut Trace<'_>,
    ) -> Result<(Self, Times), (Failure, Times)> {
        let mut times = Times::default();
        match Self::reach(call, config, url, limit, number, &mut times, trace) {
            Ok(connection) => Ok((connection, times)),
            Err(failure) => {
                trace.say(&failure.text);
                trace.say(&format!("Closing connection {number}"));
                Err((failure, times))
            }
        }
    }

    fn reach(
        call: &Call,
        config: &Config,
        url: &Url,
        limit: Limit,
        number: usize,
        times: &mut Times,
        trace: &mut Trace<'_>,
    ) -> Result<Self, Failure> {
        let began = Instant::now();
        let (host, port) = destination(config, url, trace);
        let found = find(config, &host, port, trace);
        times.resolved = began.elapsed();
        if found.is_empty() {
            return Err(Failure::new(UNRESOLVED, format!("Could not resolve host: {host}")));
        }
        let connect_limit = Limit::after(Some(config.connect_time_max.unwrap_or(CONNECT_TIME_MAX)));
        let sooner = limit.sooner(connect_limit);
        let reached = reach(&found, port, sooner, trace);
        let (socket, peer) = reached.map_err(|(to, err)| {
            if !is_timeout(&err) {
                let why = reason(&err);
                trace.say(&format!("connect to {} port {port} failed: {why}", to.ip()));
            }
            unreached(&host, port, began.elapsed().as_millis(), limit.has_passed(), &err)
        })?;
        times.connected = began.elapsed();
        trace.say(&format!("Connected to {host} ({}) port {port} (#{number})", peer.ip()));
        // Small requests are not held back; where that cannot be asked for, they may be.
        let _ = socket.set_nodelay(true);
        let local = socket.local_addr().ok();
        let (channel, problem) = if url.scheme == Scheme::Https {
            set_limit(&socket, sooner)?;
            let over = || match limit.has_passed() {
                true => {
                    let waited = began.elapsed().as_millis();
                    format!("Connection timed out after {waited} milliseconds")
                }
                false => "SSL connection timeout".to_owned(),
            };
            let trust = &config.trust;
            let (stream, session) = trust.secure(call, url.bare_host(), socket, over, trace)?;
            times.secured = began.elapsed();
            (Channel::Tls(Box::new(stream)), session.problem)
        } else {
            (Channel::Plain(socket), None)
        };
        let reader = BufReader::with_capacity(BUFFER_BYTES, channel);
        Ok(Self { number, url: url.clone(), peer, local, reader, problem })
    }

    /// Every read and write ends at the limit.
    pub fn set_limit(&self, limit: Limit) -> Result<(), Failure> {
        set_limit(self.reader.get_ref().socket(), limit)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }
}

fn set_limit(socket: &TcpStream, limit: Limit) -> Result<(), Failure> {
    let left = limit.left().map(|left| left.max(Duration::from_millis(1)));
    let set = socket.set_read_timeout(left).and_then(|()| socket.set_write_timeout(left));
    set.map_err(|err| Failure::new(UNSENT, reason(&err)))
}

/// Where a page's connection leads: elsewhere, with `--connect-to`.
fn destination(config: &Config, url: &Url, trace: &mut Trace<'_>) -> (String, u16) {
    let (host, port) = (url.bare_host(), url.port_or_default());
    let is_meant = |one: &&Redirected| {
        one.host.as_deref().is_none_or(|name| name.eq_ignore_ascii_case(host))
            && one.port.is_none_or(|number| number == port)
    };
    let Some(led) = config.redirected.iter().find(is_meant) else {
        return (host.to_owned(), port);
    };
    if let Some(host) = &led.to_host {
        trace.say(&format!("Connecting to hostname: {host}"));
    }
    if let Some(port) = led.to_port {
        trace.say(&format!("Connecting to port: {port}"));
    }
    (led.to_host.clone().unwrap_or_else(|| host.to_owned()), led.to_port.unwrap_or(port))
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

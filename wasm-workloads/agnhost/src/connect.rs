//! `connect`: tries a connection, and says in one word what came of it. Upstream:
//! `test/images/agnhost/connect/connect.go`.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use crate::poll::{Interest, poll};
use crate::server::plain;
use crate::{Done, Flags};

/// Without `--timeout`, as long as a kernel tries.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(130);

pub(crate) fn run(arguments: &[String]) -> Done {
    let flags = Flags::parse(
        arguments,
        &[("timeout", "", "0s"), ("protocol", "", "tcp"), ("udp-data", "", "hostname")],
    )?;
    let [to] = &flags.rest[..] else {
        return Err(format!("accepts 1 arg(s), received {}", flags.rest.len()));
    };
    let timeout = flags.duration("timeout")?;
    let outcome = match flags.text("protocol") {
        "" | "tcp" => tcp(to, timeout),
        "udp" => udp(to, timeout, flags.text("udp-data")),
        "sctp" => Err("OTHER: sctp is not supported by sampan's agnhost".to_owned()),
        _ => Err("Unsupported protocol".to_owned()),
    };
    match outcome {
        Ok(()) => Ok(0),
        Err(text) => {
            eprintln!("{text}");
            Ok(1)
        }
    }
}

fn address(to: &str) -> Result<SocketAddr, String> {
    let (host, port) = to
        .rsplit_once(':')
        .ok_or_else(|| format!("UNKNOWN: address {to}: missing port in address"))?;
    let port = port.parse::<u16>().map_err(|_| format!("DNS: lookup tcp/{port}: unknown port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = (host, port).to_socket_addrs().map(|mut found| found.next());
    match found {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(format!("DNS: lookup {host}: no such host")),
        Err(error) => Err(format!("DNS: lookup {host}: {error}")),
    }
}

fn tcp(to: &str, timeout: Duration) -> Result<(), String> {
    let address = address(to)?;
    let timeout = if timeout.is_zero() { TIMEOUT_DEFAULT } else { timeout };
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "TIMEOUT".to_owned(),
        ErrorKind::ConnectionRefused => "REFUSED".to_owned(),
        _ => format!("OTHER: dial tcp {address}: connect: {}", plain(&error)),
    };
    TcpStream::connect_timeout(&address, timeout).map(drop).map_err(failed)
}

fn udp(to: &str, timeout: Duration, data: &str) -> Result<(), String> {
    let address = address(to).map_err(|text| text.replacen("UNKNOWN", "DNS", 1))?;
    let other = |error: io::Error| format!("OTHER: {}", plain(&error));
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("TIMEOUT: read udp ->{address}: i/o timeout")
        }
        ErrorKind::ConnectionRefused => {
            format!("REFUSED: read udp ->{address}: read: connection refused")
        }
        _ => format!("UNKNOWN: {}", plain(&error)),
    };
    let any: SocketAddr =
        if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).map_err(other)?;
    socket.connect(address).map_err(other)?;
    socket.send(format!("{data}\n").as_bytes()).map_err(failed)?;
    // WASI's sockets have no time-out of their own.
    let answered = poll(&[Interest::read(&socket)], (!timeout.is_zero()).then_some(timeout));
    if answered.map_err(other)? == [false] {
        return Err(failed(ErrorKind::TimedOut.into()));
    }
    match socket.recv(&mut [0; 1024]).map_err(failed)? {
        0 => Err("OTHER: No data received from the server. Cannot guarantee the server received the request.".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn outcomes_have_their_words() {
        let second = Duration::from_secs(1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().to_string();
        assert_eq!(tcp(&here, second), Ok(()));
        drop(listener);
        assert_eq!(tcp(&here, second).unwrap_err(), "REFUSED");
        assert!(udp(&here, second, "x").unwrap_err().starts_with("REFUSED: "));
        assert!(tcp("nowhere.invalid:80", second).unwrap_err().starts_with("DNS: "));
        assert!(tcp("a", second).unwrap_err().starts_with("UNKNOWN: address a: missing port"));
    }

    #[test]
    fn a_datagram_must_be_answered() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = server.local_addr().unwrap().to_string();
        let wait = Duration::from_millis(20);
        assert!(udp(&here, wait, "x").unwrap_err().starts_with("TIMEOUT: "));
    }
}

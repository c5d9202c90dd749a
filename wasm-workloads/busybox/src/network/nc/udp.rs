//! `nc -u`.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use sampan_process::{self as process};

use crate::call::{Done, Failure, reason};
use crate::network::{Limit, receive};

/// Bound: what one datagram holds.
const DATAGRAM_BYTES_MAX: usize = 65507;

/// How long a closed port has to say so.
const PROBE: Duration = Duration::from_secs(1);

/// How long to wait for the input before the socket is looked at, and for the socket alone.
const LOOK_MS: u32 = 10;
const LOOK: Duration = Duration::from_secs(1);

/// A socket that talks with this one only.
pub fn socket(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(socket)
}

/// Whether somebody may be there: who says nothing may be.
pub fn probe(socket: &UdpSocket, wait: Option<Duration>) -> io::Result<()> {
    socket.send(b"X")?;
    let limit = Limit::after(Some(wait.unwrap_or(PROBE)));
    receive(socket, &mut [0; 1], limit).map(|_| ())
}

/// Waits for the first datagram, and talks with whoever sent it.
pub fn listen(at: SocketAddr, wait: Option<Duration>, verbose: bool) -> Done {
    let failed = |what: &str, err: &io::Error| Failure::Message(format!("{what}: {}", reason(err)));
    let socket = UdpSocket::bind(at).map_err(|err| failed("bind", &err))?;
    if verbose {
        eprintln!("listening on {} ...", socket.local_addr().unwrap_or(at));
    }
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let received = receive(&socket, &mut buffer, Limit::after(wait));
    let received = received.map_err(|err| failed("recv", &err))?;
    let (n, peer) = received.ok_or_else(|| Failure::Message("timeout".to_owned()))?;
    socket.connect(peer).map_err(|err| failed("connect", &err))?;
    if verbose {
        eprintln!("connect from {peer}");
    }
    talk(&socket, wait, Some(&buffer[..n]))
}

/// Each piece of input is a datagram, and each datagram output. After the end of the input it goes
/// on until nothing comes for `wait`.
pub fn talk(socket: &UdpSocket, wait: Option<Duration>, first: Option<&[u8]>) -> Done {
    let (input, output) = (process::stdin(), process::stdout());
    let write = |bytes: &[u8]| {
        output.write(bytes).map_err(|err| match err {
            process::Error::BrokenPipe => Failure::Output(ErrorKind::BrokenPipe.into()),
            err => Failure::Message(format!("write error: {err}")),
        })
    };
    write(first.unwrap_or_default())?;
    let broken = |err: io::Error| Failure::Message(reason(&err));
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let (mut input_ended, mut silent) = (false, Limit::after(wait));
    loop {
        if !input_ended && input.wait_readable(LOOK_MS).unwrap_or(true) {
            let bytes = input.read(DATAGRAM_BYTES_MAX as u32);
            let bytes = bytes.map_err(|err| Failure::Message(format!("read error: {err}")))?;
            input_ended = bytes.is_empty();
            if !input_ended {
                socket.send(&bytes).map_err(broken)?;
            }
            silent = Limit::after(wait);
        }
        if input_ended && silent.has_passed() {
            return Ok(0);
        }
        // While there is input, it is what is waited for.
        let look =
            Limit::after(Some(if input_ended { LOOK } else { Duration::ZERO })).sooner(silent);
        if let Some((n, _)) = receive(socket, &mut buffer, look).map_err(broken)? {
            write(&buffer[..n])?;
            silent = Limit::after(wait);
        }
    }
}

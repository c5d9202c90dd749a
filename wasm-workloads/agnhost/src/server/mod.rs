//! One loop over all sockets of a server: connections, datagrams, and what takes longer.
//!
//! ```text
//! accept ──> reading ──> answered ──> writing ──> reading … or closed
//!               │                        ^
//!               └── a job (a delay, a command, a dial) ──┘
//! ```

mod connection;
mod http;
mod http2;

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use connection::{Connection, State};
pub(crate) use http::{Reply, Request, decoded};
pub(crate) use http2::Called;

use crate::poll::{self, Interest};

/// Bound: open connections; others wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// Bound: how long a connection may be silent in the middle of a request, or between two.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// How often a job is asked that no socket wakes.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// What a request is answered with.
pub(crate) enum Answer {
    Reply(Reply),
    /// The reply, and then the program ends.
    Exit(Reply, u8),
    /// The program ends at once.
    ExitNow(u8),
    /// The connection ends without a reply.
    Disconnect,
    /// It comes later.
    Job(Box<dyn Job>),
}

/// An answer that takes time.
pub(crate) trait Job {
    /// Goes on without waiting; the answer, if it is there.
    fn step(&mut self, now: Instant) -> Option<Answer>;
}

/// An answer after a while.
pub(crate) struct Later {
    pub(crate) at: Instant,
    pub(crate) answer: Option<Answer>,
}

impl Job for Later {
    fn step(&mut self, now: Instant) -> Option<Answer> {
        if now < self.at { None } else { self.answer.take() }
    }
}

type HttpService = Box<dyn FnMut(&Request) -> Answer>;
type GrpcService = Box<dyn FnMut(&[u8]) -> Called>;
type UdpService = Box<dyn FnMut(&[u8], SocketAddr) -> Option<Vec<u8>>>;

enum Service {
    Http(HttpService),
    /// Messages of one method's calls.
    Grpc(GrpcService),
    /// These bytes, and the end.
    Text(Vec<u8>, fn(SocketAddr)),
}

/// Sockets and what they are for.
#[derive(Default)]
pub(crate) struct Server {
    listeners: Vec<(TcpListener, Service)>,
    datagrams: Vec<(UdpSocket, UdpService)>,
    connections: Vec<Connection>,
}

impl Server {
    pub(crate) fn http(
        &mut self,
        port: u16,
        service: impl FnMut(&Request) -> Answer + 'static,
    ) -> Result<u16, String> {
        self.listen(port, Service::Http(Box::new(service)))
    }

    pub(crate) fn grpc(
        &mut self,
        port: u16,
        service: impl FnMut(&[u8]) -> Called + 'static,
    ) -> Result<u16, String> {
        self.listen(port, Service::Grpc(Box::new(service)))
    }

    /// `seen` is told of each client.
    pub(crate) fn text(
        &mut self,
        port: u16,
        text: String,
        seen: fn(SocketAddr),
    ) -> Result<u16, String> {
        self.listen(port, Service::Text(text.into_bytes(), seen))
    }

    fn listen(&mut self, port: u16, service: Service) -> Result<u16, String> {
        let failed = |error: io::Error| format!("listen tcp :{port}: bind: {}", plain(&error));
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        self.listeners.push((listener, service));
        Ok(port)
    }

    pub(crate) fn udp(
        &mut self,
        address: (Ipv4Addr, u16),
        service: impl FnMut(&[u8], SocketAddr) -> Option<Vec<u8>> + 'static,
    ) -> Result<u16, String> {
        let failed =
            |error: io::Error| format!("listen udp :{}: bind: {}", address.1, plain(&error));
        let socket = UdpSocket::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let port = socket.local_addr().map_err(failed)?.port();
        self.datagrams.push((socket, Box::new(service)));
        Ok(port)
    }

    /// Serves until an answer ends the program; answers its exit code.
    ///
    /// # Errors
    /// The system cannot wait for sockets.
    pub(crate) fn run(&mut self) -> Result<u8, String> {
        loop {
            if let Some(code) = self.turn(None)? {
                return Ok(code);
            }
        }
    }

    /// Waits until something can go on, at most so long, and lets all go on that can.
    pub(crate) fn turn(&mut self, at_most: Option<Duration>) -> Result<Option<u8>, String> {
        let now = Instant::now();
        let interests = self.interests();
        let times = [at_most, self.next_time(now)];
        let ready = match poll::poll(&interests, times.into_iter().flatten().min()) {
            Ok(ready) => ready,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(None),
            Err(error) => return Err(format!("poll: {error}")),
        };
        let is_ready = |fd| interests.iter().zip(&ready).any(|(it, ready)| it.fd == fd && *ready);
        let now = Instant::now();
        self.answer_datagrams(is_ready);
        for connection in &mut self.connections {
            let socket_is_ready = is_ready(connection.stream.as_raw_fd());
            let service = &mut self.listeners[connection.listener].1;
            if let Some(code) = connection.step(socket_is_ready, service, now) {
                return Ok(Some(code));
            }
        }
        self.connections.retain(|connection| !connection.is_over(now));
        self.accept(is_ready, now);
        Ok(None)
    }

    fn interests(&self) -> Vec<Interest> {
        let mut interests: Vec<Interest> =
            self.datagrams.iter().map(|(socket, _)| Interest::read(socket)).collect();
        if self.connections.len() < CONNECTIONS_MAX {
            interests.extend(self.listeners.iter().map(|(listener, _)| Interest::read(listener)));
        }
        interests.extend(self.connections.iter().filter_map(Connection::interest));
        interests
    }

    fn next_time(&self, now: Instant) -> Option<Duration> {
        let jobs =
            self.connections.iter().any(|connection| matches!(connection.state, State::Job(..)));
        let idle = self.connections.iter().map(|connection| connection.idle_until());
        let idle = idle.min().map(|until| until.saturating_duration_since(now));
        [jobs.then_some(ASK_EVERY), idle].into_iter().flatten().min()
    }

    fn answer_datagrams(&mut self, is_ready: impl Fn(i32) -> bool) {
        let mut bytes = [0; 2048];
        for (socket, service) in &mut self.datagrams {
            if !is_ready(socket.as_raw_fd()) {
                continue;
            }
            // A client's trouble is its own.
            if let Ok((length, peer)) = socket.recv_from(&mut bytes)
                && let Some(answer) = service(&bytes[..length], peer)
            {
                let _ = socket.send_to(&answer, peer);
            }
        }
    }

    fn accept(&mut self, is_ready: impl Fn(i32) -> bool, now: Instant) {
        for (index, (listener, service)) in self.listeners.iter().enumerate() {
            if !is_ready(listener.as_raw_fd()) {
                continue;
            }
            let Ok((stream, peer)) = listener.accept() else { continue };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let mut connection = Connection::new(stream, peer, index, now);
            if let Service::Text(text, seen) = service {
                seen(peer);
                connection.say_and_close(text.clone());
            }
            self.connections.push(connection);
        }
    }
}

/// An error as Go words it.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "address already in use".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        ErrorKind::HostUnreachable => "no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "i/o timeout".to_owned(),
        _ => error.to_string(),
    }
}

//! `/dial`: requests to another server, whose answers are the answer. The other may be this one, so
//! nothing here waits.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use crate::clock::log;
use crate::json;
use crate::server::{Answer, Job, Reply, Request, plain};

/// As upstream, for each request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bound: requests in one dial.
const TRIES_MAX: usize = 10_000;
/// Bound: an answer that is taken in.
const ANSWER_BYTES_MAX: usize = 1 << 20;

struct Dial {
    request: String,
    address: SocketAddr,
    udp: bool,
    left: usize,
    exchange: Option<(Exchange, Instant)>,
    responses: Vec<String>,
    errors: Vec<String>,
    /// The last request was answered, and not with nothing.
    answered: bool,
}

enum Exchange {
    Http(TcpStream, Vec<u8>),
    Udp(UdpSocket),
}

pub(super) fn dial(request: &Request) -> Answer {
    match Dial::of(request) {
        Ok(dial) => Answer::Job(Box::new(dial)),
        Err(text) => Answer::Reply(Reply::error(400, &text)),
    }
}

impl Dial {
    fn of(request: &Request) -> Result<Self, String> {
        let value = |name: &str| request.value(name);
        let (host, port, what) = (value("host"), value("port"), value("request"));
        let (protocol, tries) = (value("protocol"), value("tries"));
        log(&format!(
            "GET /dial?host={host}&protocol={protocol}&port={port}&request={what}&tries={tries}"
        ));
        let left = if tries.is_empty() { Ok(1) } else { tries.parse::<usize>() };
        let left = left.map_err(|error| format!("tries parameter is invalid. {error}"))?;
        if what.is_empty() {
            return Err("request parameter not specified. <nil>".to_owned());
        }
        let udp = match protocol.to_ascii_lowercase().as_str() {
            "" | "http" => false,
            "udp" => true,
            _ => return Err(format!("unsupported protocol. {protocol}")),
        };
        let invalid = |why: String| format!("host and/or port param are invalid. {why}");
        let number = port.parse::<u16>().map_err(|_| invalid(format!("unknown port {port}")))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, number).to_socket_addrs();
        let address = found.map_err(|error| invalid(format!("lookup {host}: {error}")))?.next();
        let address = address.ok_or_else(|| invalid(format!("lookup {host}: no such host")))?;
        Ok(Self {
            request: what,
            address,
            udp,
            left: left.min(TRIES_MAX),
            exchange: None,
            responses: Vec::new(),
            errors: Vec::new(),
            answered: false,
        })
    }

    fn begin(&self) -> Result<Exchange, String> {
        if self.udp {
            let failed = |error| format!("udp dial failed. err:{}", plain(&error));
            let any: SocketAddr = match self.address {
                SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
            };
            let socket = UdpSocket::bind(any).map_err(failed)?;
            socket.connect(self.address).map_err(failed)?;
            socket.set_nonblocking(true).map_err(failed)?;
            let sent = socket.send(self.request.as_bytes());
            sent.map_err(|error| format!("udp connection write failed. err:{}", plain(&error)))?;
            return Ok(Exchange::Udp(socket));
        }
        let url = format!("http://{}/{}", self.address, self.request);
        let failed = |error: std::io::Error| {
            format!("Get \"{url}\": dial tcp {}: connect: {}", self.address, plain(&error))
        };
        let mut stream = TcpStream::connect_timeout(&self.address, TIMEOUT).map_err(failed)?;
        let head = format!(
            "GET /{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Go-http-client/1.1\r\nConnection: close\r\n\r\n",
            self.request.replace([' ', '\r', '\n'], "%20"),
            self.address
        );
        stream.write_all(head.as_bytes()).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        Ok(Exchange::Http(stream, Vec::new()))
    }

    /// Goes on with the exchange; its end, if that has come.
    fn advance(&mut self, now: Instant) -> Option<Result<String, String>> {
        let (exchange, until) = self.exchange.as_mut()?;
        let ended = match exchange {
            Exchange::Http(stream, bytes) => read_answer(stream, bytes),
            Exchange::Udp(socket) => read_datagram(socket),
        };
        match ended {
            None if now >= *until => Some(Err(match exchange {
                Exchange::Http(..) => format!(
                    "Get \"http://{}/{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                    self.address, self.request
                ),
                Exchange::Udp(_) => {
                    let to = self.address;
                    format!(
                        "reading from udp connection failed. err:'read udp ->{to}: i/o timeout'"
                    )
                }
            })),
            other => other,
        }
    }
}

impl Job for Dial {
    fn step(&mut self, now: Instant) -> Option<Answer> {
        loop {
            if self.exchange.is_none() {
                if self.left == 0 {
                    return Some(Answer::Reply(self.reply()));
                }
                self.left -= 1;
                match self.begin() {
                    Ok(exchange) => self.exchange = Some((exchange, now + TIMEOUT)),
                    Err(error) => self.count(Err(error)),
                }
            }
            let ended = self.advance(now);
            if self.exchange.is_some() {
                let ended = ended?;
                self.exchange = None;
                self.count(ended);
            }
        }
    }
}

impl Dial {
    fn count(&mut self, ended: Result<String, String>) {
        self.answered = matches!(&ended, Ok(text) if !text.is_empty());
        match ended {
            Ok(text) => self.responses.push(text),
            Err(error) => self.errors.push(error),
        }
    }

    fn reply(&self) -> Reply {
        let mut entries = Vec::new();
        if !self.errors.is_empty() {
            entries.push(("errors", json::list(&self.errors)));
        }
        if self.answered {
            entries.push(("responses", json::list(&self.responses)));
        }
        Reply::text(json::object(&entries))
    }
}

fn read_datagram(socket: &UdpSocket) -> Option<Result<String, String>> {
    let mut bytes = [0; 2048];
    match socket.recv(&mut bytes) {
        Ok(length) => Some(Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => {
            Some(Err(format!("reading from udp connection failed. err:'{}'", plain(&error))))
        }
    }
}

/// The body, when the other side has ended the connection or said how long it is.
fn read_answer(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Result<String, String>> {
    let mut piece = [0; 8192];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Some(body(bytes, true).ok_or_else(|| "EOF".to_owned())),
            Ok(length) if bytes.len() < ANSWER_BYTES_MAX => {
                bytes.extend_from_slice(&piece[..length])
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return body(bytes, false).map(Ok);
            }
            Err(error) => return Some(Err(plain(&error))),
        }
    }
}

/// Of a whole answer; at the end of the connection, whatever there is.
fn body(bytes: &[u8], at_end: bool) -> Option<String> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let rest = &bytes[end + 4..];
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length = header("content-length:").and_then(|length| length.parse::<usize>().ok());
    let body = match length {
        _ if header("transfer-encoding:") == Some("chunked") => {
            dechunked(rest).or_else(|| at_end.then(|| rest.to_vec()))?
        }
        Some(length) if rest.len() >= length => rest[..length].to_vec(),
        _ if at_end => rest.to_vec(),
        _ => return None,
    };
    Some(String::from_utf8_lossy(&body).into_owned())
}

fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 2 + size + 2..)?;
    }
}

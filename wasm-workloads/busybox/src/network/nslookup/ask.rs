//! Questions to a server and their answers: by UDP, and by TCP what does not fit.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::network::dns::{self, Malformed, Reply};
use crate::network::{self, Limit};

/// How often a silent server is asked, and how long it has each time; as busybox.
const TRIES: usize = 2;
const PATIENCE: Duration = Duration::from_millis(2500);

/// Bound: a server that has trouble is asked again so often, at once.
const FAILURES_MAX: usize = 3;

/// Bound: what one datagram can hold.
const REPLY_BYTES_MAX: usize = 65535;

const SERVER_FAILURE: u8 = 2;

#[derive(Debug)]
pub struct Question {
    id: u16,
    message: Vec<u8>,
}

impl Question {
    /// Nothing if the name cannot be one.
    pub fn new(name: &str, kind: u16) -> Option<Self> {
        // Good enough to tell answers apart; nobody else hears them in a Pod's network.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = (time.subsec_nanos() as u16).wrapping_mul(31).wrapping_add(kind);
        Some(Self { id, message: dns::question(id, name, kind)? })
    }
}

#[derive(Debug)]
pub struct Answer {
    pub reply: Result<Reply, Malformed>,
    pub time: Duration,
}

/// Asks one question after the other; nothing if the server is silent.
///
/// # Errors
/// Nobody listens there, or it cannot be reached.
pub fn ask(server: SocketAddr, questions: &[Question]) -> io::Result<Option<Vec<Answer>>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    let mut answers = Vec::new();
    for question in questions {
        match ask_one(&socket, server, question)? {
            Some(answer) => answers.push(answer),
            None => return Ok(None),
        }
    }
    Ok(Some(answers))
}

fn ask_one(
    socket: &UdpSocket,
    server: SocketAddr,
    question: &Question,
) -> io::Result<Option<Answer>> {
    let began = Instant::now();
    let (mut silences, mut failures) = (0, 0);
    while silences < TRIES {
        socket.send(&question.message)?;
        let Some(reply) = receive(socket, question.id)? else {
            silences += 1;
            continue;
        };
        let reply = match reply {
            Ok(reply) if reply.truncated => ask_by_tcp(server, question)?,
            reply => reply,
        };
        if reply.as_ref().is_ok_and(|reply| reply.code == SERVER_FAILURE) && failures < FAILURES_MAX
        {
            failures += 1;
            continue;
        }
        return Ok(Some(Answer { reply, time: began.elapsed() }));
    }
    Ok(None)
}

/// The answer to this question, among what comes.
fn receive(socket: &UdpSocket, id: u16) -> io::Result<Option<Result<Reply, Malformed>>> {
    let limit = Limit::after(Some(PATIENCE));
    let mut buffer = vec![0; REPLY_BYTES_MAX];
    while let Some((n, _)) = network::receive(socket, &mut buffer, limit)? {
        if buffer[..n].starts_with(&id.to_be_bytes()) {
            return Ok(Some(dns::parse(&buffer[..n])));
        }
    }
    Ok(None)
}

fn ask_by_tcp(server: SocketAddr, question: &Question) -> io::Result<Result<Reply, Malformed>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    exchange(&mut stream, &question.message).map(|reply| dns::parse(&reply))
}

/// One question and its answer, each after its length (RFC 1035, section 4.2.2).
fn exchange(stream: &mut (impl Read + Write), message: &[u8]) -> io::Result<Vec<u8>> {
    let length = (message.len() as u16).to_be_bytes();
    stream.write_all(&[&length, message].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

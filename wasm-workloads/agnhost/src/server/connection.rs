//! One connection's way through the loop.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::http::{Parsed, Reply, Request, parse};
use super::http2::Session;
use super::{Answer, IDLE_MAX, Job, Service};
use crate::poll::Interest;

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    peer: SocketAddr,
    /// Which of the server's listeners it came to.
    pub(super) listener: usize,
    pub(super) state: State,
    input: Vec<u8>,
    /// The client says no more; what it said is still answered.
    input_ended: bool,
    /// Of HTTP/2.
    session: Session,
    last: Instant,
}

pub(super) enum State {
    Reading,
    Job(Box<dyn Job>, Request),
    Writing {
        bytes: Vec<u8>,
        written: usize,
        then: Then,
    },
    /// Nothing more is said; what the client still sends is read away, so that it sees our last
    /// words and not a reset.
    Ending,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Read,
    Close,
    Exit(u8),
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, listener: usize, now: Instant) -> Self {
        Self {
            stream,
            peer,
            listener,
            state: State::Reading,
            input: Vec::new(),
            input_ended: false,
            session: Session::default(),
            last: now,
        }
    }

    pub(super) fn say_and_close(&mut self, bytes: Vec<u8>) {
        self.state = State::Writing { bytes, written: 0, then: Then::Close };
    }

    pub(super) fn interest(&self) -> Option<Interest> {
        match self.state {
            State::Reading | State::Ending => Some(Interest::read(&self.stream)),
            State::Writing { .. } => Some(Interest::write(&self.stream)),
            State::Job(..) | State::Over => None,
        }
    }

    pub(super) fn idle_until(&self) -> Instant {
        self.last + IDLE_MAX
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        let waits = !matches!(self.state, State::Job(..));
        matches!(self.state, State::Over) || (waits && now >= self.idle_until())
    }

    /// Goes on as far as it can; answers the exit code if that ends the program.
    pub(super) fn step(
        &mut self,
        is_ready: bool,
        service: &mut Service,
        now: Instant,
    ) -> Option<u8> {
        if is_ready {
            self.last = now;
            match self.state {
                State::Reading => self.read(),
                State::Ending => self.read_away(),
                _ => {}
            }
        }
        loop {
            match &mut self.state {
                State::Reading => {
                    if !self.take_request(service) {
                        if self.input_ended {
                            self.state = State::Over;
                        }
                        return None;
                    }
                }
                State::Job(job, request) => {
                    let answer = job.step(now)?;
                    let request = request.clone();
                    self.last = now;
                    if let Some(code) = self.answer(answer, &request) {
                        return Some(code);
                    }
                }
                State::Writing { .. } => match self.write() {
                    Some(Then::Exit(code)) => return Some(code),
                    Some(Then::Close) => {
                        let _ = self.stream.shutdown(std::net::Shutdown::Write);
                        self.state = State::Ending;
                        return None;
                    }
                    Some(Then::Read) => self.state = State::Reading,
                    None => return None,
                },
                State::Ending | State::Over => return None,
            }
        }
    }

    fn read(&mut self) {
        let mut bytes = [0; 8192];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => break self.input_ended = true,
                Ok(length) => self.input.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break self.state = State::Over,
            }
            if length_is_enough(self.input.len()) {
                break;
            }
        }
    }

    fn read_away(&mut self) {
        let mut bytes = [0; 8192];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.state = State::Over,
            Err(error) if error.kind() != ErrorKind::WouldBlock => self.state = State::Over,
            _ => {}
        }
    }

    /// Answers the next request, if it is whole.
    fn take_request(&mut self, service: &mut Service) -> bool {
        if self.input.is_empty() {
            return false;
        }
        let service = match service {
            Service::Http(service) => service,
            Service::Grpc(service) => {
                match self.session.feed(&mut self.input, service) {
                    Ok(bytes) if bytes.is_empty() => return false,
                    Ok(bytes) => {
                        self.state = State::Writing { bytes, written: 0, then: Then::Read };
                    }
                    Err(_) => self.state = State::Over,
                }
                return true;
            }
            Service::Text(..) => return false,
        };
        match parse(&self.input, self.peer) {
            Parsed::More => false,
            Parsed::Bad(status) => {
                let asked = Request {
                    method: "GET".to_owned(),
                    target: String::new(),
                    peer: self.peer,
                    headers: Vec::new(),
                    body: Vec::new(),
                    keep: false,
                };
                self.input.clear();
                self.answer(Answer::Reply(Reply::of(status, "refused")), &asked);
                true
            }
            Parsed::Request(request, length) => {
                self.input.drain(..length);
                match service(&request) {
                    Answer::ExitNow(code) => {
                        self.state = State::Writing {
                            bytes: Vec::new(),
                            written: 0,
                            then: Then::Exit(code),
                        };
                    }
                    answer => drop(self.answer(answer, &request)),
                }
                true
            }
        }
    }

    fn answer(&mut self, answer: Answer, request: &Request) -> Option<u8> {
        let (reply, then) = match answer {
            Answer::ExitNow(code) => return Some(code),
            Answer::Disconnect => {
                self.state = State::Over;
                return None;
            }
            Answer::Job(job) => {
                self.state = State::Job(job, request.clone());
                return None;
            }
            Answer::Reply(reply) => (reply, if request.keep { Then::Read } else { Then::Close }),
            Answer::Exit(reply, code) => (reply, Then::Exit(code)),
        };
        self.state = State::Writing { bytes: reply.bytes(request), written: 0, then };
        None
    }

    /// What comes next, once all is written.
    fn write(&mut self) -> Option<Then> {
        let State::Writing { bytes, written, then } = &mut self.state else { return None };
        while *written < bytes.len() {
            match self.stream.write(&bytes[*written..]) {
                Ok(0) => break,
                Ok(length) => *written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    let then = *then;
                    self.state = State::Over;
                    return matches!(then, Then::Exit(_)).then_some(then);
                }
            }
        }
        Some(*then)
    }
}

/// Bound: what is taken in before a request is looked for; the largest is smaller.
fn length_is_enough(length: usize) -> bool {
    length > 2 << 20
}

//! Passes bytes between a connection and two handles, with one thread and without losing any.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use sampan_process::{self as process, Handle};

use crate::call::{Done, Failure};
use crate::network::Limit;
use crate::stream::BUFFER_BYTES;

/// How long to wait for the input before the connection is looked at again: at first, and at most.
/// A conversation is answered at once, and silence costs next to nothing.
const TICK_MS: u32 = 1;
const TICK_MS_MAX: u32 = 20;

/// Who hears what the connection says.
#[derive(Debug)]
pub enum Program {
    /// nc's own output: the end of the connection is the end of nc.
    Own(Handle),
    /// A program's input: closed when the connection ends, and the program goes on.
    Started(Option<Handle>),
}

impl Program {
    /// Whether it still listens.
    fn hear(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        match self {
            Self::Own(output) => {
                let failed = |err: process::Error| match err {
                    process::Error::BrokenPipe => Failure::Output(ErrorKind::BrokenPipe.into()),
                    err => Failure::Message(format!("write error: {err}")),
                };
                output.write(bytes).map_err(failed)?;
                Ok(true)
            }
            Self::Started(Some(input)) => Ok(input.write(bytes).is_ok()),
            Self::Started(None) => Ok(false),
        }
    }
}

#[derive(Debug)]
pub struct Relay {
    /// How long the connection may be silent once the input has ended.
    pub wait: Option<Duration>,
    /// Sends a line at a time, with this much time between them.
    pub line_interval: Option<Duration>,
}

/// What is on its way.
#[derive(Debug, Default)]
struct State {
    unsent: Vec<u8>,
    input_ended: bool,
    /// nc's own output has heard everything: what is at hand is still sent, and that is all.
    peer_ended: bool,
    tick_ms: u32,
}

impl Relay {
    /// Until both sides have ended, or nobody listens any more.
    pub fn run(&self, stream: &TcpStream, input: Option<&Handle>, program: &mut Program) -> Done {
        let broken = |err: std::io::Error| Failure::Message(crate::call::reason(&err));
        stream.set_nonblocking(true).map_err(broken)?;
        let mut state = State { input_ended: input.is_none(), ..State::default() };
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let heard = match state.peer_ended {
                true => Heard::Nothing,
                false => receive(stream, program, &mut buffer)?,
            };
            state.peer_ended |= heard == Heard::End && matches!(program, Program::Own(_));
            let sent = match self.send(stream, &mut state) {
                // It does not listen either.
                Err(_) if state.peer_ended => return Ok(0),
                sent => sent.map_err(broken)?,
            };
            if heard == Heard::Bytes || sent {
                state.tick_ms = 0;
            }
            match input.filter(|_| !state.input_ended && state.unsent.is_empty()) {
                Some(input) if state.peer_ended && !input.wait_readable(0).unwrap_or(false) => {
                    return Ok(0);
                }
                Some(input) => {
                    self.take_input(stream, input, &mut state)?;
                    if state.input_ended && matches!(program, Program::Started(_)) {
                        // What the program did not care to read must not cost the peer its answer.
                        while matches!((&*stream).read(&mut buffer), Ok(1..)) {}
                        return Ok(0);
                    }
                }
                None if state.input_ended && state.unsent.is_empty() => {
                    stream.set_nonblocking(false).map_err(broken)?;
                    return self.hear_out(stream, program, &mut buffer);
                }
                None => std::thread::sleep(state.pause()),
            }
        }
    }

    /// Waits a moment for the input.
    fn take_input(
        &self,
        stream: &TcpStream,
        input: &Handle,
        state: &mut State,
    ) -> Result<(), Failure> {
        let tick_ms = state.pause().as_millis() as u32;
        match input.wait_readable(tick_ms) {
            Ok(true) => {}
            Ok(false) | Err(process::Error::Interrupted) => return Ok(()),
            Err(err) => return Err(Failure::Message(err.to_string())),
        }
        let bytes = match input.read(BUFFER_BYTES as u32) {
            Ok(bytes) => bytes,
            Err(process::Error::Interrupted) => return Ok(()),
            Err(err) => return Err(Failure::Message(format!("read error: {err}"))),
        };
        if bytes.is_empty() {
            state.input_ended = true;
            // The peer may have gone already.
            let _ = stream.shutdown(Shutdown::Write);
        }
        state.unsent = bytes;
        state.tick_ms = 0;
        Ok(())
    }

    /// Sends what it can without waiting; whether that was anything.
    fn send(&self, stream: &TcpStream, state: &mut State) -> std::io::Result<bool> {
        let mut any = false;
        while !state.unsent.is_empty() {
            let line = state.unsent.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let length = self.line_interval.and(line).unwrap_or(state.unsent.len());
            match (&*stream).write(&state.unsent[..length]) {
                Ok(n) => {
                    state.unsent.drain(..n);
                    any = true;
                    if let Some(interval) = self.line_interval {
                        std::thread::sleep(interval);
                    }
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        Ok(any)
    }

    /// What the peer still says when nothing is left to be sent.
    fn hear_out(&self, mut stream: &TcpStream, program: &mut Program, buffer: &mut [u8]) -> Done {
        loop {
            // A wait that the clock cannot hold is none.
            let _ = stream.set_read_timeout(Limit::after(self.wait).left());
            match stream.read(buffer) {
                Ok(0) => return Ok(0),
                Ok(n) if program.hear(&buffer[..n])? => {}
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                // Silent for too long, or gone: with nothing more to say that is no failure.
                Ok(_) | Err(_) => return Ok(0),
            }
        }
    }
}

impl State {
    /// The time to wait now; the next is longer.
    fn pause(&mut self) -> Duration {
        let now = self.tick_ms;
        self.tick_ms = (now * 2).clamp(TICK_MS, TICK_MS_MAX);
        Duration::from_millis(now.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Bytes,
    End,
}

/// What is there of the peer's words.
fn receive(
    mut stream: &TcpStream,
    program: &mut Program,
    buffer: &mut [u8],
) -> Result<Heard, Failure> {
    if matches!(program, Program::Started(None)) {
        return Ok(Heard::Nothing);
    }
    let ended = match stream.read(buffer) {
        Ok(0) => true,
        Ok(n) => !program.hear(&buffer[..n])?,
        Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            return Ok(Heard::Nothing);
        }
        // The peer broke off: as busybox, without a word.
        Err(_) => true,
    };
    if !ended {
        return Ok(Heard::Bytes);
    }
    if let Program::Started(input) = program {
        *input = None;
    }
    Ok(Heard::End)
}

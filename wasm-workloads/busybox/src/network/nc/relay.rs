//! Passes bytes between a connection and two handles, with one thread and without losing any.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use sampan_process::{self as process, Handle};

use crate::call::{Done, Failure};
use crate::network::{Limit, is_timeout};
use crate::stream::BUFFER_BYTES;

/// How long to wait for one side before the other is looked at: at first, and at most.
/// A conversation is answered at once, and silence costs next to nothing.
const TICK_MS: u32 = 1;
const TICK_MS_MAX: u32 = 20;

/// How long the input may be silent once the peer has ended its side.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a program is given at once: much less than a pipe holds, so that it can be heard in between.
const PROGRAM_BYTES: usize = 16 << 10;

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

/// Where the next bytes are expected: that side is waited for, the other only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Side {
    #[default]
    Peer,
    Input,
}

/// What is on its way.
#[derive(Debug, Default)]
struct State {
    unsent: Vec<u8>,
    input_ended: bool,
    /// nc's own output has heard everything; until when more input is waited for.
    peer_ended: Option<Limit>,
    expected: Side,
    tick_ms: u32,
}

impl Relay {
    /// Until both sides have ended, or nobody listens any more.
    pub fn run(&self, stream: &TcpStream, input: Option<&Handle>, program: &mut Program) -> Done {
        let broken = |err: std::io::Error| Failure::Message(crate::call::reason(&err));
        let mut state = State { input_ended: input.is_none(), ..State::default() };
        let is_own = matches!(program, Program::Own(_));
        let mut buffer = vec![0; if is_own { BUFFER_BYTES } else { PROGRAM_BYTES }];
        loop {
            match self.send(stream, &mut state) {
                // It does not listen either.
                Err(_) if state.peer_ended.is_some() => return Ok(0),
                sent => sent.map_err(broken)?,
            }
            if state.input_ended && state.unsent.is_empty() {
                return self.hear_out(stream, program, &mut buffer);
            }
            if state.listens(is_own) {
                let wait = state.wait(Side::Peer);
                let heard = receive(stream, program, &mut buffer, wait)?;
                state.expect(Side::Peer, heard == Heard::Bytes);
                if heard == Heard::End && is_own {
                    state.peer_ended = Some(self.patience());
                }
                if heard == Heard::End {
                    state.expected = Side::Input;
                }
            }
            let Some(input) = input.filter(|_| !state.input_ended && state.unsent.is_empty())
            else {
                continue;
            };
            if state.gives_up(input) {
                return Ok(0);
            }
            self.take_input(stream, input, &mut state)?;
            if state.input_ended && !is_own {
                // What the program did not care to read must not cost the peer its answer.
                stream.set_nonblocking(true).map_err(broken)?;
                while matches!((&*stream).read(&mut buffer), Ok(1..)) {}
                return Ok(0);
            }
        }
    }

    /// How long the input may be silent once the peer has ended.
    fn patience(&self) -> Limit {
        Limit::after(Some(self.wait.unwrap_or(PATIENCE)))
    }

    /// Waits a moment for the input.
    fn take_input(
        &self,
        stream: &TcpStream,
        input: &Handle,
        state: &mut State,
    ) -> Result<(), Failure> {
        let wait = state.wait(Side::Input);
        match input.wait_readable(wait.as_millis() as u32) {
            Ok(true) => {}
            Ok(false) | Err(process::Error::Interrupted) => {
                state.expect(Side::Input, false);
                return Ok(());
            }
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
        state.expect(Side::Input, true);
        state.peer_ended = state.peer_ended.map(|_| self.patience());
        Ok(())
    }

    /// Sends what it can while the peer takes it at once, or nearly.
    fn send(&self, mut stream: &TcpStream, state: &mut State) -> std::io::Result<()> {
        if state.unsent.is_empty() {
            return Ok(());
        }
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(Duration::from_millis(TICK_MS.into())))?;
        let mut sent = 0;
        while sent < state.unsent.len() {
            let left = &state.unsent[sent..];
            let line = left.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let length = self.line_interval.and(line).unwrap_or(left.len());
            match stream.write(&left[..length]) {
                Ok(n) => {
                    sent += n;
                    if let Some(interval) = self.line_interval {
                        std::thread::sleep(interval);
                    }
                }
                Err(err) if is_timeout(&err) => break,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        state.unsent.drain(..sent);
        Ok(())
    }

    /// What the peer still says when nothing is left to be sent.
    fn hear_out(&self, mut stream: &TcpStream, program: &mut Program, buffer: &mut [u8]) -> Done {
        stream.set_nonblocking(false)?;
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
    /// Whether the peer is heard now. A program is not given more before all that it said is sent:
    /// who waits for it to read cannot hear what it says, and it may be waiting for that.
    fn listens(&self, is_own: bool) -> bool {
        self.peer_ended.is_none() && (is_own || self.unsent.is_empty())
    }

    /// Whether nobody is there any more: a keyboard has nothing to say to a peer that has ended,
    /// and another input has some time.
    fn gives_up(&self, input: &Handle) -> bool {
        self.peer_ended.is_some_and(|limit| input.is_terminal() || limit.has_passed())
    }

    /// How long to wait for a side.
    fn wait(&self, side: Side) -> Duration {
        let has_nothing_else = self.unsent.is_empty() && side == self.expected;
        Duration::from_millis(if has_nothing_else { self.tick_ms.into() } else { 0 })
    }

    /// Whoever has said something is expected to go on; where all are silent each wait is longer.
    fn expect(&mut self, side: Side, said: bool) {
        if said {
            (self.expected, self.tick_ms) = (side, TICK_MS);
        } else if side == self.expected {
            self.tick_ms = (self.tick_ms * 2).clamp(TICK_MS, TICK_MS_MAX);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Bytes,
    End,
}

/// What is there of the peer's words, or comes in time.
fn receive(
    mut stream: &TcpStream,
    program: &mut Program,
    buffer: &mut [u8],
    wait: Duration,
) -> Result<Heard, Failure> {
    if matches!(program, Program::Started(None)) {
        return Ok(Heard::Nothing);
    }
    stream.set_nonblocking(wait.is_zero())?;
    if !wait.is_zero() {
        stream.set_read_timeout(Some(wait))?;
    }
    let ended = match stream.read(buffer) {
        Ok(0) => true,
        Ok(n) => !program.hear(&buffer[..n])?,
        Err(err) if is_timeout(&err) || err.kind() == ErrorKind::Interrupted => {
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

//! `telnet`, for trying out a port: lines go out as they are typed, what comes is shown. Options
//! that a telnet server would negotiate are refused.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use sampan_process::{self as process};

use super::{Family, Limit, connect, port, refusal, resolve};
use crate::call::{Call, Done, Failure, print, reason};
use crate::stream::BUFFER_BYTES;

const PORT: u16 = 23;

/// How long to wait for the keyboard before the server is heard.
const TICK_MS: u32 = 10;

const COMMAND: u8 = 255;
const WILL: u8 = 251;
const DO: u8 = 253;

pub fn telnet(call: &Call) -> Done {
    let options = call.options("al:")?;
    let (host, number) = match options.operands.as_slice() {
        [host] => (host, PORT),
        [host, number] => (host, port(number)?),
        _ => return Err(Failure::usage()),
    };
    let addresses = resolve(host, Family::Any)?;
    let stream =
        connect(&addresses, number, Limit::default()).map_err(|failed| refusal(&failed))?;
    print(format!("Connected to {host}\n"))?;
    talk(&stream).map_err(|err| Failure::Message(reason(&err)))
}

fn talk(mut stream: &TcpStream) -> std::io::Result<u8> {
    let (input, output) = (process::stdin(), process::stdout());
    let mut listener = Listener::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        stream.set_nonblocking(true)?;
        let heard = stream.read(&mut buffer);
        stream.set_nonblocking(false)?;
        match heard {
            Ok(0) => {
                eprintln!("Connection closed by foreign host");
                return Ok(1);
            }
            Ok(n) => {
                let (shown, replies) = listener.hear(&buffer[..n]);
                if output.write(&shown).is_err() {
                    return Ok(1);
                }
                stream.write_all(&replies)?;
            }
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                if input.wait_readable(TICK_MS).unwrap_or(true) {
                    let typed = input.read(BUFFER_BYTES as u32).unwrap_or_default();
                    if typed.is_empty() {
                        return Ok(0);
                    }
                    stream.write_all(&spoken(&typed))?;
                }
            }
            Err(err) => return Err(err),
        }
    }
}

/// Lines end with return and newline on the wire, and what looks like a command is doubled.
fn spoken(typed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(typed.len() + 2);
    for byte in typed {
        match *byte {
            b'\n' => bytes.extend(b"\r\n"),
            COMMAND => bytes.extend([COMMAND, COMMAND]),
            byte => bytes.push(byte),
        }
    }
    bytes
}

/// Takes commands out of what comes (RFC 854).
#[derive(Debug, Default)]
struct Listener {
    /// A command that is not whole yet.
    begun: Vec<u8>,
}

impl Listener {
    /// What is to be shown, and what to be answered.
    fn hear(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut shown, mut replies) = (Vec::new(), Vec::new());
        for byte in bytes {
            match (self.begun.as_slice(), *byte) {
                ([], COMMAND) => self.begun.push(COMMAND),
                ([], byte) => shown.push(byte),
                ([COMMAND], COMMAND) => {
                    shown.push(COMMAND);
                    self.begun.clear();
                }
                ([COMMAND], 251..=254) => self.begun.push(*byte),
                // Of the others none matters here.
                ([COMMAND], _) => self.begun.clear(),
                ([COMMAND, verb], option) => {
                    // What the server will do it may not, what we are to do we do not.
                    match *verb {
                        WILL => replies.extend([COMMAND, 254, option]),
                        DO => replies.extend([COMMAND, 252, option]),
                        _ => {}
                    }
                    self.begun.clear();
                }
                _ => self.begun.clear(),
            }
        }
        (shown, replies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_refused_and_not_shown() {
        let mut listener = Listener::default();
        let (shown, replies) = listener.hear(b"a\xff\xfd\x18\xff\xfb\x01b\xff\xff\xff");
        assert_eq!((&shown[..], &replies[..]), (&b"ab\xff"[..], &b"\xff\xfc\x18\xff\xfe\x01"[..]));
        assert_eq!(listener.hear(b"\xfe\x01c").0, b"c");
        assert_eq!(spoken(b"x\n\xff"), b"x\r\n\xff\xff");
    }
}

//! HTTP/2, as much of it as answers gRPC's short calls: frames from what has come so far, frames to send.
//! Which method is called is not read, since that needs HPACK: a server of this kind has one.

use std::collections::BTreeMap;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bound: a frame, as the protocol has it unless told otherwise.
const FRAME_BYTES_MAX: usize = 16 << 10;
/// Bound: a call's message.
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// Bound: calls at once of a connection; said in our settings.
const CALLS_MAX: u32 = 64;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// The answer to a call: a message, or gRPC's code and text of what is wrong.
pub(crate) type Called = Result<Vec<u8>, (u8, &'static str)>;

/// The connection cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

#[derive(Debug, Default)]
pub(super) struct Session {
    has_begun: bool,
    /// What has come of each call.
    calls: BTreeMap<u32, Vec<u8>>,
    output: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Session {
    /// Takes all whole frames off `input`; answers what is to be sent.
    pub(super) fn feed(
        &mut self,
        input: &mut Vec<u8>,
        call: &mut dyn FnMut(&[u8]) -> Called,
    ) -> Result<Vec<u8>, Broken> {
        if !self.has_begun {
            let begin = &input[..input.len().min(PREFACE.len())];
            if !PREFACE.starts_with(begin) {
                return Err(Broken);
            }
            if begin.len() < PREFACE.len() {
                return Ok(Vec::new());
            }
            input.drain(..PREFACE.len());
            self.has_begun = true;
            let calls_at_once = [&[0, 3][..], &CALLS_MAX.to_be_bytes()].concat();
            self.send(SETTINGS, 0, 0, &calls_at_once);
        }
        while let Some(head) = Head::read(input)? {
            let Some(payload) = input.get(9..9 + head.length) else { break };
            let payload = payload.to_vec();
            input.drain(..9 + head.length);
            self.take(head, &payload, call)?;
        }
        Ok(std::mem::take(&mut self.output))
    }

    fn take(
        &mut self,
        head: Head,
        payload: &[u8],
        call: &mut dyn FnMut(&[u8]) -> Called,
    ) -> Result<(), Broken> {
        let Head { kind, flags, stream, .. } = head;
        match kind {
            SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, payload),
            GOAWAY => return Err(Broken),
            RST_STREAM => drop(self.calls.remove(&stream)),
            HEADERS => {
                if stream % 2 == 0 || self.calls.len() >= CALLS_MAX as usize {
                    return Err(Broken);
                }
                self.calls.insert(stream, Vec::new());
                if flags & END_STREAM != 0 {
                    self.answer(stream, call);
                }
            }
            DATA => {
                let body = unpadded(payload, flags)?;
                let Some(message) = self.calls.get_mut(&stream) else { return Ok(()) };
                message.extend_from_slice(body);
                if message.len() > MESSAGE_BYTES_MAX {
                    return Err(Broken);
                }
                if !payload.is_empty() {
                    let taken = u32::try_from(payload.len()).map_err(|_| Broken)?;
                    self.send(WINDOW_UPDATE, 0, 0, &taken.to_be_bytes());
                }
                if flags & END_STREAM != 0 {
                    self.answer(stream, call);
                }
            }
            // Names and settings that change nothing here.
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, stream: u32, call: &mut dyn FnMut(&[u8]) -> Called) {
        let asked = self.calls.remove(&stream).unwrap_or_default();
        let called = match asked.split_at_checked(5) {
            Some(([0, ..], message)) => call(message),
            _ => Err((13, "the message has no beginning, or is compressed")),
        };
        // `:status: 200` is the eighth of HPACK's own table.
        let mut names = vec![0x88];
        field(&mut names, "content-type", "application/grpc");
        match called {
            Ok(message) => {
                self.send(HEADERS, END_HEADERS, stream, &names);
                let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
                let message = [&[0][..], &length.to_be_bytes(), &message].concat();
                self.send(DATA, 0, stream, &message);
                let mut trailers = Vec::new();
                field(&mut trailers, "grpc-status", "0");
                self.send(HEADERS, END_HEADERS | END_STREAM, stream, &trailers);
            }
            Err((code, text)) => {
                field(&mut names, "grpc-status", &code.to_string());
                field(&mut names, "grpc-message", text);
                self.send(HEADERS, END_HEADERS | END_STREAM, stream, &names);
            }
        }
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.output.extend_from_slice(&length[1..]);
        self.output.extend_from_slice(&[kind, flags]);
        self.output.extend_from_slice(&stream.to_be_bytes());
        self.output.extend_from_slice(payload);
    }
}

impl Head {
    /// `None` if it is not whole yet.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        let Some((head, _)) = bytes.split_first_chunk::<9>() else { return Ok(None) };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let (kind, flags) = (head[3], head[4]);
        // A head that goes on in more frames is longer than any that is written here.
        let goes_on = kind == CONTINUATION || kind == HEADERS && flags & END_HEADERS == 0;
        if length > FRAME_BYTES_MAX || goes_on {
            return Err(Broken);
        }
        Ok(Some(Self { length, kind, flags, stream }))
    }
}

fn unpadded(payload: &[u8], flags: u8) -> Result<&[u8], Broken> {
    if flags & PADDED == 0 {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(Broken)?;
    let length = rest.len().checked_sub(usize::from(*padding)).ok_or(Broken)?;
    Ok(&rest[..length])
}

/// A header field as HPACK writes one that it does not remember; both texts are shorter than 127 bytes.
fn field(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.push(text.len() as u8);
        block.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream][..], payload].concat()
    }

    fn doubled(message: &[u8]) -> Called {
        match message {
            [] => Err((5, "nothing there")),
            message => Ok(message.repeat(2)),
        }
    }

    /// What comes of these bytes, however they are cut up.
    fn fed(bytes: &[u8], cut: usize) -> Result<Vec<u8>, Broken> {
        let (mut session, mut input, mut output) = (Session::default(), Vec::new(), Vec::new());
        for part in bytes.chunks(cut) {
            input.extend_from_slice(part);
            output.extend(session.feed(&mut input, &mut doubled)?);
        }
        Ok(output)
    }

    #[test]
    fn a_call_is_answered_however_it_comes() {
        let call = [
            PREFACE.to_vec(),
            frame(SETTINGS, 0, 0, &[]),
            frame(HEADERS, END_HEADERS, 1, &[0x83]),
            frame(DATA, PADDED | END_STREAM, 1, &[2, 0, 0, 0, 0, 1, b'x', 0, 0]),
        ]
        .concat();
        let whole = fed(&call, call.len()).unwrap();
        let begin = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 64]);
        assert!(whole.starts_with(&begin));
        let message = frame(DATA, 0, 1, &[0, 0, 0, 0, 2, b'x', b'x']);
        assert!(whole.windows(message.len()).any(|window| window == message));
        assert!(whole.ends_with(b"\x0bgrpc-status\x010"));
        for cut in [1, 7, 30] {
            assert_eq!(fed(&call, cut).as_ref(), Ok(&whole));
        }
    }

    #[test]
    fn what_is_wrong_with_a_call_is_said_in_its_head() {
        let call = [
            PREFACE.to_vec(),
            frame(HEADERS, END_HEADERS, 1, &[0x83]),
            frame(DATA, END_STREAM, 1, &[0, 0, 0, 0, 0]),
        ];
        let output = fed(&call.concat(), 1000).unwrap();
        assert!(output.ends_with(b"\x0bgrpc-status\x015\x00\x0cgrpc-message\x0dnothing there"));
    }

    #[test]
    fn what_is_no_http_2_breaks_the_connection() {
        assert_eq!(fed(b"GET / HTTP/1.1\r\n", 3), Err(Broken));
        let after = |frame: Vec<u8>| fed(&[PREFACE.to_vec(), frame].concat(), 1000);
        assert_eq!(after(vec![1, 0, 0, 0, 0, 0, 0, 0, 0]), Err(Broken));
        assert_eq!(after(frame(DATA, PADDED, 1, &[])), Err(Broken));
        assert_eq!(after(frame(HEADERS, 0, 1, &[])), Err(Broken));
        assert_eq!(after(frame(HEADERS, END_HEADERS, 2, &[])), Err(Broken));
        assert!(
            after(frame(PING, 0, 0, &[1; 8])).unwrap().ends_with(&frame(PING, ACK, 0, &[1; 8]))
        );
    }
}

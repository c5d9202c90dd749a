//! Keys out of what a terminal sends.

use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character; neither a control character nor one of the keys below.
    Char(char),
    /// With the control key, by its lower-case letter.
    Control(char),
    Enter,
    Tab,
    Backspace,
    Escape,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Insert,
    Delete,
    /// A sequence that means nothing here.
    Unknown,
}

/// What was read and is not a key yet.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: VecDeque<u8>,
}

impl Decoder {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// What is there may be the beginning of a key that is still on its way.
    pub fn is_incomplete(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next key; `None` if its rest is missing. With `at_end` nothing more is waited for: an
    /// escape alone is the escape key.
    pub fn next(&mut self, at_end: bool) -> Option<Key> {
        let bytes = self.bytes.make_contiguous();
        let (key, taken) = match decode(bytes) {
            Some(found) => found,
            None if at_end && !bytes.is_empty() => alone(bytes),
            None => return None,
        };
        self.bytes.drain(..taken);
        Some(key)
    }
}

/// A beginning whose rest does not come.
fn alone(bytes: &[u8]) -> (Key, usize) {
    match bytes {
        [0x1b, ..] => (Key::Escape, 1),
        _ => (Key::Unknown, 1),
    }
}

fn decode(bytes: &[u8]) -> Option<(Key, usize)> {
    match bytes {
        [] | [0x1b] => None,
        [0x1b, b'[', rest @ ..] => {
            let (key, taken) = control_sequence(rest)?;
            Some((key, taken + 2))
        }
        [0x1b, b'O', rest @ ..] => Some((named(*rest.first()?), 3)),
        [0x1b, ..] => Some((Key::Escape, 1)),
        [b'\r' | b'\n', ..] => Some((Key::Enter, 1)),
        [b'\t', ..] => Some((Key::Tab, 1)),
        [0x7f | 0x08, ..] => Some((Key::Backspace, 1)),
        [byte @ 0..0x20, ..] => Some((Key::Control((byte | 0x60) as char), 1)),
        _ => character(bytes),
    }
}

/// What follows `ESC [`: parameters, then a final letter.
fn control_sequence(bytes: &[u8]) -> Option<(Key, usize)> {
    let end = bytes.iter().position(|byte| (0x40..0x7f).contains(byte))?;
    let parameters = &bytes[..end];
    let number = parameters.split(|byte| *byte == b';').next().unwrap_or_default();
    let key = match (bytes[end], number) {
        (b'~', b"1" | b"7") => Key::Home,
        (b'~', b"2") => Key::Insert,
        (b'~', b"3") => Key::Delete,
        (b'~', b"4" | b"8") => Key::End,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        (letter, _) => named(letter),
    };
    Some((key, end + 1))
}

fn named(letter: u8) -> Key {
    match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        _ => Key::Unknown,
    }
}

fn character(bytes: &[u8]) -> Option<(Key, usize)> {
    let length = match bytes[0] {
        0..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return Some((Key::Unknown, 1)),
    };
    let sound = bytes.iter().skip(1).take(length - 1).all(|byte| byte & 0xc0 == 0x80);
    if !sound {
        return Some((Key::Unknown, 1));
    }
    let text = bytes.get(..length)?;
    let c = std::str::from_utf8(text).ok().and_then(|text| text.chars().next());
    Some((c.map_or(Key::Unknown, Key::Char), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: &[Key]) {
        // In one piece, and byte by byte: a sequence may come torn.
        for piece in [bytes.len().max(1), 1] {
            let mut decoder = Decoder::default();
            let mut keys = Vec::new();
            for bytes in bytes.chunks(piece) {
                decoder.feed(bytes);
                keys.extend(std::iter::from_fn(|| decoder.next(false)));
            }
            keys.extend(std::iter::from_fn(|| decoder.next(true)));
            assert_eq!(keys, expect, "{bytes:?} by {piece}");
        }
    }

    #[test]
    fn characters_and_control_keys() {
        check(
            b"a\r\t\x7f\x03",
            &[Key::Char('a'), Key::Enter, Key::Tab, Key::Backspace, Key::Control('c')],
        );
        check("ä漢".as_bytes(), &[Key::Char('ä'), Key::Char('漢')]);
        check(b"\xff\xc3a", &[Key::Unknown, Key::Unknown, Key::Char('a')]);
    }

    #[test]
    fn sequences_of_several_terminals() {
        check(b"\x1b[A\x1bOB\x1b[5~\x1b[1;5C", &[Key::Up, Key::Down, Key::PageUp, Key::Right]);
        check(b"\x1b[3~x", &[Key::Delete, Key::Char('x')]);
        check(b"\x1b[99~", &[Key::Unknown]);
    }

    #[test]
    fn an_escape_alone_is_a_key() {
        check(b"\x1b", &[Key::Escape]);
        check(b"\x1bj", &[Key::Escape, Key::Char('j')]);
        check(b"\x1b\x1b[A", &[Key::Escape, Key::Up]);
    }
}

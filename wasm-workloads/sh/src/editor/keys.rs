//! The bytes of a terminal's keyboard as keys.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Char(char),
    /// With Ctrl; an upper-case letter or one of `@[\]^_`.
    Control(char),
    /// With Alt, or after Escape.
    Alt(char),
    Enter,
    Tab,
    Backspace,
    AltBackspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    /// What comes until [`Key::PasteEnd`] is text, whatever keys it looks like.
    PasteStart,
    PasteEnd,
}

/// Bound: longer parameters of an escape sequence are not kept; none that is known comes near.
const PARAMETERS_MAX: usize = 16;

/// Takes keys out of a stream of bytes. Sequences that are not known are swallowed whole.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// Of a character or of a sequence's parameters.
    bytes: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// In a character of several bytes.
    Character,
    Escape,
    /// After `ESC [`.
    Sequence,
    /// After `ESC O`.
    Single,
    /// After `ESC [ [`: one letter.
    Console,
    /// After `ESC ]` and the like, up to BEL or `ESC \`.
    String,
    StringEscape,
}

impl Decoder {
    /// Takes a byte; the key that it completes.
    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        match self.state {
            State::Ground => self.ground(byte),
            State::Character => self.character(byte),
            State::Escape => self.escape(byte),
            State::Sequence => self.sequence(byte),
            State::Single => self.end(cursor_key(byte, false)),
            State::Console => self.end(None),
            State::String => {
                match byte {
                    0x07 => self.state = State::Ground,
                    0x1b => self.state = State::StringEscape,
                    _ => {}
                }
                None
            }
            State::StringEscape => {
                self.state = if byte == b'\\' { State::Ground } else { State::String };
                None
            }
        }
    }

    /// Whether a key is half read.
    pub fn is_within(&self) -> bool {
        self.state != State::Ground
    }

    fn end(&mut self, key: Option<Key>) -> Option<Key> {
        self.state = State::Ground;
        self.bytes.clear();
        key
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'\r' | b'\n' => Some(Key::Enter),
            b'\t' => Some(Key::Tab),
            0x08 | 0x7f => Some(Key::Backspace),
            0x1b => {
                self.state = State::Escape;
                None
            }
            0..0x20 => Some(Key::Control(char::from(byte + b'@'))),
            0x20..0x7f => Some(Key::Char(char::from(byte))),
            _ => {
                self.bytes.push(byte);
                self.state = State::Character;
                None
            }
        }
    }

    fn character(&mut self, byte: u8) -> Option<Key> {
        if byte & 0xc0 != 0x80 {
            // The character was cut off.
            self.end(None);
            return self.ground(byte);
        }
        self.bytes.push(byte);
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => {
                let key = text.chars().next().map(Key::Char);
                self.end(key)
            }
            Err(err) if err.error_len().is_none() => None,
            Err(_) => self.end(None),
        }
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        self.state = match byte {
            b'[' => State::Sequence,
            b'O' => State::Single,
            b']' | b'P' | b'X' | b'^' | b'_' => State::String,
            0x1b => State::Escape,
            0x08 | 0x7f => return self.end(Some(Key::AltBackspace)),
            0x20..0x7f => return self.end(Some(Key::Alt(char::from(byte)))),
            _ => {
                self.end(None);
                return self.ground(byte);
            }
        };
        None
    }

    fn sequence(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'[' if self.bytes.is_empty() => {
                self.state = State::Console;
                None
            }
            0x20..0x40 => {
                if self.bytes.len() < PARAMETERS_MAX {
                    self.bytes.push(byte);
                }
                None
            }
            0x40..0x7f => {
                let key = sequence_key(&self.bytes, byte);
                self.end(key)
            }
            _ => {
                self.end(None);
                self.ground(byte)
            }
        }
    }
}

fn sequence_key(parameters: &[u8], last: u8) -> Option<Key> {
    let text = std::str::from_utf8(parameters).ok()?;
    let (first, modifier) = text.split_once(';').unwrap_or((text, ""));
    if last != b'~' {
        return cursor_key(last, matches!(modifier, "3" | "5"));
    }
    Some(match first {
        "1" | "7" => Key::Home,
        "4" | "8" => Key::End,
        "3" => Key::Delete,
        "200" => Key::PasteStart,
        "201" => Key::PasteEnd,
        _ => return None,
    })
}

fn cursor_key(last: u8, words: bool) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' if words => Key::WordRight,
        b'D' if words => Key::WordLeft,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: &[Key]) {
        let mut decoder = Decoder::default();
        let keys: Vec<_> = bytes.iter().filter_map(|byte| decoder.feed(*byte)).collect();
        assert_eq!(keys, expect, "{bytes:?}");
        assert!(!decoder.is_within());
    }

    #[test]
    fn keys_are_told_apart() {
        check(
            b"a\r\t\x7f\x08",
            &[Key::Char('a'), Key::Enter, Key::Tab, Key::Backspace, Key::Backspace],
        );
        check(b"\x03\x12", &[Key::Control('C'), Key::Control('R')]);
        check("é日🦀".as_bytes(), &[Key::Char('é'), Key::Char('日'), Key::Char('🦀')]);
        check(
            b"\x1b[A\x1bOB\x1b[3~\x1b[H\x1b[4~",
            &[Key::Up, Key::Down, Key::Delete, Key::Home, Key::End],
        );
        check(
            b"\x1b[1;5C\x1b[1;3D\x1bb\x1b\x7f",
            &[Key::WordRight, Key::WordLeft, Key::Alt('b'), Key::AltBackspace],
        );
        check(b"\x1b[200~x\x1b[201~", &[Key::PasteStart, Key::Char('x'), Key::PasteEnd]);
    }

    #[test]
    fn unknown_sequences_are_swallowed() {
        check(b"\x1b[15~\x1b[[A\x1bOP\x1b[24;80R\x1b[?1;2cz", &[Key::Char('z')]);
        check(b"\x1b]0;title\x07a\x1bP1$r\x1b\\b", &[Key::Char('a'), Key::Char('b')]);
        check(b"\xc3a\xffb", &[Key::Char('a'), Key::Char('b')]);
        check(b"\x1b[99999999999999999999999~c", &[Key::Char('c')]);
    }
}

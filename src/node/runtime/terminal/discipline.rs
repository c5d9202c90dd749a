//! The line discipline: what a terminal makes of keys and of output. Pure; as Linux's N_TTY with
//! the modes that `stty sane` sets, so far as there are modes.
//!
//! Upstream: `drivers/tty/n_tty.c`, termios(3).

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::signals::{INTERRUPT, QUIT};

/// Bound: bytes of a line that is being edited, as Linux's; more is refused with a bell.
const LINE_BYTES_MAX: usize = 4095;
/// Bound: bytes that were typed and not read, above which the keyboard waits.
const UNREAD_BYTES_MAX: usize = 64 * 1024;

const BELL: u8 = 7;
const END_OF_INPUT: u8 = ctrl(b'D');
const INTERRUPT_KEY: u8 = ctrl(b'C');
const QUIT_KEY: u8 = 28;
const SUSPEND_KEY: u8 = ctrl(b'Z');
const ERASE: [u8; 2] = [127, ctrl(b'H')];
const ERASE_WORD: u8 = ctrl(b'W');
const ERASE_LINE: u8 = ctrl(b'U');
const REPRINT: u8 = ctrl(b'R');
const LITERAL_NEXT: u8 = ctrl(b'V');
const TAB_STOP: usize = 8;

const fn ctrl(letter: u8) -> u8 {
    letter & 0x1f
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::runtime) struct Modes {
    /// Lines are edited here; without, keys are read as they come.
    pub(in crate::node::runtime) canonical: bool,
    pub(in crate::node::runtime) echo: bool,
    pub(in crate::node::runtime) signals: bool,
    pub(in crate::node::runtime) return_is_newline: bool,
    pub(in crate::node::runtime) newline_returns: bool,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            canonical: true,
            echo: true,
            signals: true,
            return_is_newline: true,
            newline_returns: true,
        }
    }
}

/// What keys come to, beside what can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// To be shown.
    pub(super) echo: Vec<u8>,
    /// For the foreground group.
    pub(super) signals: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Discipline {
    modes: Modes,
    /// What is being edited.
    line: Vec<u8>,
    /// What can be read: lines, or keys of raw mode; an empty one is an end of the input.
    ready: VecDeque<Vec<u8>>,
    literal_next: bool,
    /// Nothing more will be typed.
    ended: bool,
    /// Where the cursor is, as far as bytes tell.
    column: usize,
    /// Where the edited line began.
    line_column: usize,
}

impl Discipline {
    pub(super) fn modes(&self) -> Modes {
        self.modes
    }

    /// What was being edited can be read as it is.
    pub(super) fn set_modes(&mut self, modes: Modes) {
        self.modes = modes;
        if !modes.canonical && !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.ready.push_back(line);
        }
    }

    pub(super) fn type_in(&mut self, keys: &[u8]) -> Typed {
        let mut typed = Typed::default();
        for key in keys {
            self.key(*key, &mut typed);
        }
        typed
    }

    /// The keyboard is gone.
    pub(super) fn end_input(&mut self) {
        self.ended = true;
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.ready.push_back(line);
        }
    }

    pub(super) fn flush_input(&mut self) {
        self.line.clear();
        self.ready.clear();
        self.literal_next = false;
    }

    /// Whether more may be typed.
    pub(super) fn has_room(&self) -> bool {
        self.ready.iter().map(|chunk| chunk.len().max(1)).sum::<usize>() < UNREAD_BYTES_MAX
    }

    #[cfg(test)]
    pub(super) fn has_unread(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn is_readable(&self) -> bool {
        self.ended || !self.ready.is_empty()
    }

    /// `None` if there is nothing yet; empty at an end. Of lines, at most one.
    pub(super) fn read(&mut self, len: usize) -> Option<Bytes> {
        let Some(chunk) = self.ready.front_mut() else {
            return self.ended.then(Bytes::new);
        };
        if chunk.len() > len {
            return Some(chunk.drain(..len).collect());
        }
        let mut read = std::mem::take(chunk);
        self.ready.pop_front();
        while !self.modes.canonical
            && let Some(next) = self.ready.front()
            && read.len() + next.len() <= len
        {
            read.extend(self.ready.pop_front().unwrap_or_default());
        }
        Some(read.into())
    }

    /// Output as the terminal is to get it.
    pub(super) fn show(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len() + bytes.len() / 16);
        for byte in bytes {
            if *byte == b'\n' && self.modes.newline_returns {
                shown.push(b'\r');
                self.column = 0;
            }
            self.column = column_after(self.column, *byte);
            shown.push(*byte);
        }
        shown
    }

    fn key(&mut self, key: u8, typed: &mut Typed) {
        if std::mem::take(&mut self.literal_next) {
            return self.insert(key, typed);
        }
        if self.modes.signals && self.signal(key, typed) {
            return;
        }
        let key = if key == b'\r' && self.modes.return_is_newline { b'\n' } else { key };
        if !self.modes.canonical {
            return self.insert(key, typed);
        }
        match key {
            b'\n' => {
                self.line.push(b'\n');
                self.echo(b"\n", typed);
                self.end_line();
            }
            END_OF_INPUT => self.end_line(),
            LITERAL_NEXT => {
                self.literal_next = true;
                self.echo(b"^\x08", typed);
            }
            ERASE_LINE => self.erase(0, typed),
            ERASE_WORD => self.erase(self.word_start(), typed),
            REPRINT => {
                self.echo(b"^R\n", typed);
                let line: Vec<u8> = self.line.iter().flat_map(|byte| visible(*byte)).collect();
                self.line_column = self.column;
                self.echo(&line, typed);
            }
            key if ERASE.contains(&key) => self.erase(self.last_start(), typed),
            key => self.insert(key, typed),
        }
    }

    /// Whether the key is one that signals. There is no stopping: ^Z is shown and does nothing.
    fn signal(&mut self, key: u8, typed: &mut Typed) -> bool {
        let signal = match key {
            INTERRUPT_KEY => Some(INTERRUPT),
            QUIT_KEY => Some(QUIT),
            SUSPEND_KEY if self.modes.canonical => None,
            _ => return false,
        };
        self.echo(&visible(key), typed);
        if let Some(signal) = signal {
            self.flush_input();
            typed.signals.push(signal);
        }
        true
    }

    fn insert(&mut self, key: u8, typed: &mut Typed) {
        if !self.modes.canonical {
            match self.ready.back_mut().filter(|chunk| !chunk.is_empty()) {
                Some(chunk) => chunk.push(key),
                None => self.ready.push_back(vec![key]),
            }
            return self.echo(&visible(key), typed);
        }
        if self.line.len() >= LINE_BYTES_MAX {
            typed.echo.push(BELL);
            return;
        }
        if self.line.is_empty() {
            self.line_column = self.column;
        }
        self.line.push(key);
        self.echo(&visible(key), typed);
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.ready.push_back(line);
    }

    /// Shortens the edited line to `len` bytes.
    fn erase(&mut self, len: usize, typed: &mut Typed) {
        let width = |line: &[u8]| {
            let bytes = line.iter().flat_map(|byte| visible(*byte));
            bytes.fold(self.line_column, column_after) - self.line_column + wide_in(line)
        };
        let columns = width(&self.line).saturating_sub(width(&self.line[..len]));
        self.line.truncate(len);
        for _ in 0..columns {
            self.echo(b"\x08 \x08", typed);
        }
    }

    /// Where the last character begins.
    fn last_start(&self) -> usize {
        self.line.iter().rposition(|byte| !is_continuation(*byte)).unwrap_or(0)
    }

    /// Where the last word begins.
    fn word_start(&self) -> usize {
        let is_space = |byte: &u8| byte.is_ascii_whitespace();
        let word_end = self.line.iter().rposition(|byte| !is_space(byte)).map_or(0, |at| at + 1);
        self.line[..word_end].iter().rposition(is_space).map_or(0, |at| at + 1)
    }

    fn echo(&mut self, bytes: &[u8], typed: &mut Typed) {
        if self.modes.echo {
            let shown = self.show(bytes);
            typed.echo.extend(shown);
        }
    }
}

/// Control characters as `^X`.
fn visible(byte: u8) -> Vec<u8> {
    match byte {
        b'\t' | b'\n' => vec![byte],
        0..32 => vec![b'^', byte + 64],
        127 => b"^?".to_vec(),
        _ => vec![byte],
    }
}

fn column_after(column: usize, byte: u8) -> usize {
    match byte {
        b'\r' => 0,
        8 => column.saturating_sub(1),
        b'\t' => column / TAB_STOP * TAB_STOP + TAB_STOP,
        0..32 => column,
        _ if is_continuation(byte) => column,
        _ => column + 1,
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Columns that characters of double width take beyond one each.
fn wide_in(line: &[u8]) -> usize {
    String::from_utf8_lossy(line).chars().filter(|c| is_wide(*c)).count()
}

/// East Asian wide characters and emoji, by the blocks they are in.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0x33ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xa000..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60
        | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd)
}

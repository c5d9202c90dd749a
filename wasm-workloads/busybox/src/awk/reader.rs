//! Reads records.

use std::io::{self, Read};
use std::rc::Rc;

use sampan_regexp::{Captures, Regexp};

use crate::stream::Input;

/// What is between records: RS.
#[derive(Debug, Clone)]
pub enum Separator {
    Byte(u8),
    /// Empty lines; a line's end is then also between fields.
    Paragraph,
    Regexp(Rc<Regexp>),
}

#[derive(Debug)]
pub struct Reader {
    input: Input,
    /// Read, but not yet part of a record (regular expressions look ahead).
    ahead: Vec<u8>,
    ended: bool,
}

/// How much is read at a time where a regular expression must see it whole.
const CHUNK_BYTES: usize = 64 << 10;

impl Reader {
    pub fn new(input: Input) -> Self {
        Self { input, ahead: Vec::new(), ended: false }
    }

    /// Puts the next record into `record` and what ended it into `end`; false if there is none.
    pub fn next(
        &mut self,
        separator: &Separator,
        record: &mut Vec<u8>,
        end: &mut Vec<u8>,
    ) -> io::Result<bool> {
        record.clear();
        end.clear();
        if !self.ahead.is_empty() && !matches!(separator, Separator::Regexp(_)) {
            // RS was changed: what was read ahead comes first.
            let ahead = std::mem::take(&mut self.ahead);
            let rest = std::mem::replace(&mut self.input, Input::of(io::empty()));
            self.input = Input::of(io::Cursor::new(ahead).chain(rest));
        }
        match separator {
            Separator::Byte(byte) => {
                let ended = self.input.next_line(*byte, record);
                end.extend((ended == Some(true)).then_some(*byte));
                Ok(ended.is_some())
            }
            Separator::Paragraph => Ok(self.paragraph(record, end)),
            Separator::Regexp(regexp) => self.until(regexp, record, end),
        }
    }

    fn paragraph(&mut self, record: &mut Vec<u8>, end: &mut Vec<u8>) -> bool {
        let mut line = Vec::new();
        while self.input.next_line(b'\n', &mut line).is_some() {
            match (line.is_empty(), record.is_empty()) {
                (true, true) => {}
                (true, false) => {
                    end.extend(b"\n\n");
                    return true;
                }
                (false, first) => {
                    if !first {
                        record.push(b'\n');
                    }
                    record.extend_from_slice(&line);
                }
            }
        }
        !record.is_empty()
    }

    fn until(
        &mut self,
        regexp: &Regexp,
        record: &mut Vec<u8>,
        end: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let mut captures = Captures::default();
        loop {
            let found = regexp.find_at(&self.ahead, 0, &mut captures).map_err(io::Error::other)?;
            if found {
                let (start, stop) = captures.whole();
                // What ends with the buffer could go on.
                if stop > start && (stop < self.ahead.len() || self.ended) {
                    record.extend_from_slice(&self.ahead[..start]);
                    end.extend_from_slice(&self.ahead[start..stop]);
                    self.ahead.drain(..stop);
                    return Ok(true);
                }
            }
            if self.ended {
                std::mem::swap(record, &mut self.ahead);
                return Ok(!record.is_empty());
            }
            let read = (&mut self.input).take(CHUNK_BYTES as u64).read_to_end(&mut self.ahead)?;
            self.ended = read == 0;
        }
    }
}

//! The lines of all files, one after the other, and whether there is another one.

use crate::call::{Call, reason};
use crate::stream::Input;

use super::output::Output;
use crate::call::Failure;

pub struct Lines<'a> {
    call: &'a Call,
    /// Still to be opened, the next one last.
    names: Vec<String>,
    open: Option<Input>,
    end: u8,
    /// Read ahead, to know the last line: its text, and whether it ended.
    next: Vec<u8>,
    next_state: Option<bool>,
    looked: bool,
    /// The current file's name.
    pub name: String,
    next_name: String,
    /// Whether a file could not be read.
    pub failed: bool,
}

impl<'a> Lines<'a> {
    pub fn new(call: &'a Call, mut names: Vec<String>, end: u8) -> Self {
        names.reverse();
        Self {
            call,
            names,
            open: None,
            end,
            next: Vec::new(),
            next_state: None,
            looked: false,
            name: "-".to_owned(),
            next_name: String::new(),
            failed: false,
        }
    }

    /// Looks for the next line.
    fn look(&mut self) {
        self.looked = true;
        loop {
            if let Some(input) = &mut self.open {
                self.next_state = input.next_line(self.end, &mut self.next);
                if self.next_state.is_some() {
                    return;
                }
                self.open = None;
            }
            let Some(name) = self.names.pop() else {
                self.next_state = None;
                return;
            };
            match self.call.try_open(&name) {
                Ok(input) => (self.open, self.next_name) = (Some(input), name),
                Err(err) => {
                    self.call.complain(&format!("{name}: {}", reason(&err)));
                    self.failed = true;
                }
            }
        }
    }

    /// Puts the next line into `line`; whether it had its end. None: there is no more.
    pub fn next(&mut self, line: &mut Vec<u8>) -> Option<bool> {
        if !self.looked {
            self.look();
        }
        let ended = self.next_state?;
        std::mem::swap(line, &mut self.next);
        if self.name != self.next_name {
            self.name.clone_from(&self.next_name);
        }
        // Only a regular end is looked for: a terminal's next line is not waited for in vain.
        self.looked = false;
        Some(ended)
    }

    /// Whether the line that was read last is the last one.
    pub fn is_last(&mut self) -> bool {
        if !self.looked {
            self.look();
        }
        self.next_state.is_none()
    }

    /// Passes on what was not read.
    pub fn rest(&mut self, out: &mut Output) -> Result<(), Failure> {
        let mut line = Vec::new();
        while let Some(ended) = self.next(&mut line) {
            out.line(&line, self.end, ended)?;
        }
        Ok(())
    }
}

#[cfg(test)]
impl<'a> Lines<'a> {
    pub fn of_text(call: &'a Call, text: &str) -> Self {
        let mut lines = Self::new(call, Vec::new(), b'\n');
        lines.open = Some(Input::of(std::io::Cursor::new(text.to_owned())));
        lines
    }
}

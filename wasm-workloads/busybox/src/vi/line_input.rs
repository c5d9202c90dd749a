//! The line typed after `:`, `/` or `?`.

use super::command::{Command, Motion, Over, Verb};
use super::editor::{Editor, Mode, Request};
use super::search::Search;
use crate::screen::Key;

#[derive(Debug, PartialEq, Eq)]
pub struct LineInput {
    pub prefix: char,
    pub text: Vec<char>,
    /// What operates up to what is found.
    operator: Option<Command>,
}

impl LineInput {
    pub fn new(prefix: char, operator: Option<Command>) -> Self {
        Self { prefix, text: Vec::new(), operator }
    }
}

impl Editor {
    pub(super) fn line_key(&mut self, key: Key) -> Option<Request> {
        let Mode::Line(input) = &mut self.mode else { return None };
        match key {
            Key::Char(c) => input.text.push(c),
            Key::Tab => input.text.push('\t'),
            Key::Control('u') => input.text.clear(),
            Key::Control('w') => {
                let is_blank = |c: &char| c.is_whitespace();
                while input.text.pop_if(|c| is_blank(c)).is_some() {}
                while input.text.pop_if(|c| !is_blank(c)).is_some() {}
            }
            // Erased beyond its beginning, it is given up.
            Key::Backspace if input.text.pop().is_none() => self.mode = Mode::Normal,
            Key::Escape | Key::Control('c') => self.mode = Mode::Normal,
            Key::Enter => return self.enter_line(),
            _ => {}
        }
        None
    }

    fn enter_line(&mut self) -> Option<Request> {
        let Mode::Line(input) = std::mem::replace(&mut self.mode, Mode::Normal) else {
            return None;
        };
        let text: String = input.text.iter().collect();
        if input.prefix == ':' {
            return self.ex(&text);
        }
        let forward = input.prefix == '/';
        let found = Search::new(&text, forward, self.options.ignore_case, self.search.as_ref());
        match found {
            Ok(search) => self.search = Some(search),
            Err(why) => {
                self.message = why;
                return None;
            }
        }
        let motion = Motion { key: 'n', argument: '\0' };
        match input.operator {
            Some(Command { register, count, verb: Verb::Operate(operator, _) }) => {
                self.operate(operator, Over::Motion(motion), count, register);
            }
            _ => self.go(motion, None),
        }
        None
    }
}

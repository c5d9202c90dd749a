//! Insert and replace mode.

use super::buffer::{Line, Place};
use super::command;
use super::editor::{Editor, Insertion, Mode};
use super::motion;
use crate::screen::Key;

impl Editor {
    /// `i`, `a`, `I`, `A`, `o`, `O` and `R`.
    pub(super) fn start_insert(&mut self, key: char, count: usize) {
        self.mark_change();
        let Place { line, column } = self.cursor;
        let text = self.buffer.line(line);
        match key {
            'a' => self.cursor.column = (column + 1).min(text.len()),
            'A' => self.cursor.column = text.len(),
            'I' => self.cursor.column = text.iter().take_while(|c| c.is_whitespace()).count(),
            'o' | 'O' => {
                let at = if key == 'o' { line + 1 } else { line };
                let indent = self.indentation(line);
                self.cursor = Place::new(at, indent.len());
                self.buffer.replace(at, 0, vec![indent]);
            }
            _ => {}
        }
        self.begin_insert(count, key == 'o' || key == 'O');
        if key == 'R' {
            self.mode = Mode::Replace;
        }
    }

    pub(super) fn begin_insert(&mut self, count: usize, by_line: bool) {
        self.mode = Mode::Insert;
        self.insertion = Insertion { count, keys: Vec::new(), by_line };
    }

    pub(super) fn insert_key(&mut self, key: Key) {
        match key {
            Key::Escape | Key::Control('c' | '[') => return self.end_insert(),
            Key::Up
            | Key::Down
            | Key::Left
            | Key::Right
            | Key::Home
            | Key::End
            | Key::PageUp
            | Key::PageDown => {
                // What was typed before is not repeated at another place.
                self.insertion = Insertion { count: 1, ..Insertion::default() };
                return self.move_inserting(key);
            }
            key => self.insertion.keys.push(key),
        }
        self.type_key(key);
        self.want_here();
    }

    fn end_insert(&mut self) {
        let Insertion { count, keys, by_line } = std::mem::take(&mut self.insertion);
        for _ in 1..count {
            if by_line {
                self.cursor.column = self.buffer.line(self.cursor.line).len();
                self.type_key(Key::Enter);
            }
            for key in &keys {
                self.type_key(*key);
            }
        }
        self.mode = Mode::Normal;
        self.cursor.column = self.cursor.column.saturating_sub(1);
        self.want_here();
    }

    fn move_inserting(&mut self, key: Key) {
        match key {
            Key::Right => {
                let end = self.buffer.line(self.cursor.line).len();
                self.cursor.column = (self.cursor.column + 1).min(end);
                self.want_here();
            }
            Key::End => {
                self.cursor.column = self.buffer.line(self.cursor.line).len();
                self.wanted = usize::MAX;
            }
            key => {
                let key = command::letter(key).unwrap_or('h');
                self.go(command::Motion { key, argument: '\0' }, None);
            }
        }
    }

    fn type_key(&mut self, key: Key) {
        let Place { line, column } = self.cursor;
        match key {
            Key::Char(c) => self.type_character(c),
            Key::Tab if self.options.expand_tab => {
                let at = motion::column_of(self.buffer.line(line), column);
                for _ in 0..self.options.shift - at % self.options.shift {
                    self.type_character(' ');
                }
            }
            Key::Tab => self.type_character('\t'),
            Key::Enter => {
                let indent = self.indentation(line);
                self.cursor = self.buffer.insert(self.cursor, &[Line::new(), indent]);
            }
            Key::Backspace if self.mode == Mode::Replace => {
                self.cursor.column = column.saturating_sub(1);
            }
            Key::Backspace if column == 0 => self.join_back(),
            Key::Backspace => self.erase_from(column - 1),
            Key::Delete if column < self.buffer.line(line).len() => {
                self.buffer.delete(self.cursor, Place::new(line, column + 1));
            }
            Key::Control('w') => {
                let start = motion::word_back(&self.buffer, self.cursor, false);
                self.erase_from(if start.line == line { start.column } else { 0 });
            }
            Key::Control('u') => self.erase_from(0),
            _ => {}
        }
    }

    fn type_character(&mut self, c: char) {
        let Place { line, column } = self.cursor;
        if self.mode == Mode::Replace && column < self.buffer.line(line).len() {
            self.buffer.delete(self.cursor, Place::new(line, column + 1));
        }
        self.cursor = self.buffer.insert(self.cursor, &[vec![c]]);
    }

    fn erase_from(&mut self, column: usize) {
        let start = Place::new(self.cursor.line, column);
        self.buffer.delete(start, self.cursor);
        self.cursor = start;
    }

    /// The line's beginning is erased: it becomes part of the one above.
    fn join_back(&mut self) {
        let Some(above) = self.cursor.line.checked_sub(1) else { return };
        let end = Place::new(above, self.buffer.line(above).len());
        self.buffer.delete(end, self.cursor);
        self.cursor = end;
    }
}

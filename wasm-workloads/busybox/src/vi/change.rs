//! What operators and commands change.

use super::buffer::{Line, Place};
use super::command::Over;
use super::editor::{Editor, Register};
use super::motion::{self, Extent};

/// What an operator works on.
#[derive(Debug, Clone, Copy)]
enum Range {
    /// From a place to before another.
    Text(Place, Place),
    /// Both among them.
    Lines(usize, usize),
}

impl Editor {
    pub(super) fn operate(
        &mut self,
        operator: char,
        over: Over,
        count: Option<usize>,
        register: Option<char>,
    ) {
        let Some(range) = self.range(operator, over, count) else {
            // `C` and `s` on an empty line still begin to insert.
            if operator == 'c' && self.buffer.line(self.cursor.line).is_empty() {
                self.mark_change();
                self.begin_insert(1, false);
            }
            return;
        };
        if operator != 'y' {
            self.mark_change();
        }
        match operator {
            '<' | '>' => {
                let (first, last) = self.lines_of(range);
                self.shift(first, last, operator == '>');
                self.cursor = self.to_line(first).place;
            }
            'y' => {
                self.keep(register, self.taken(range));
                self.cursor = match range {
                    Range::Text(from, _) => from,
                    // Copying lines downwards leaves the cursor in its column.
                    Range::Lines(first, _) if first == self.cursor.line => self.cursor,
                    Range::Lines(first, _) => Place::new(first, self.cursor.column),
                };
            }
            _ => self.remove(operator == 'c', range, register),
        }
        if operator != 'y' || matches!(range, Range::Text(..)) {
            self.want_here();
        }
    }

    fn remove(&mut self, change: bool, range: Range, register: Option<char>) {
        self.keep(register, self.taken(range));
        match range {
            Range::Text(from, to) => {
                self.buffer.delete(from, to);
                self.cursor = from;
            }
            Range::Lines(first, last) if change => {
                let line = self.indentation(first);
                self.cursor = Place::new(first, line.len());
                self.buffer.replace(first, last + 1 - first, vec![line]);
            }
            Range::Lines(first, last) => {
                self.delete_lines(first, last);
            }
        }
        if change {
            self.begin_insert(1, false);
        }
    }

    /// Both among them; the cursor comes to what follows.
    pub(super) fn delete_lines(&mut self, first: usize, last: usize) {
        self.buffer.replace(first, last + 1 - first, Vec::new());
        self.cursor = self.to_line(first.min(self.buffer.last())).place;
    }

    /// The blanks that a new line begins with.
    pub(super) fn indentation(&self, line: usize) -> Line {
        let line = self.buffer.line(line).iter();
        line.take_while(|c| self.options.auto_indent && c.is_whitespace()).copied().collect()
    }

    fn taken(&self, range: Range) -> Register {
        match range {
            Range::Text(from, to) => {
                Register { lines: self.buffer.slice(from, to), linewise: false }
            }
            Range::Lines(first, last) => {
                Register { lines: self.buffer.lines()[first..=last].to_vec(), linewise: true }
            }
        }
    }

    fn lines_of(&self, range: Range) -> (usize, usize) {
        match range {
            Range::Text(from, to) => (from.line, to.line),
            Range::Lines(first, last) => (first, last),
        }
    }

    fn range(&mut self, operator: char, over: Over, count: Option<usize>) -> Option<Range> {
        let line = self.cursor.line;
        let motion = match over {
            Over::Lines => {
                let last = line + count.unwrap_or(1) - 1;
                return Some(Range::Lines(line, last.min(self.buffer.last())));
            }
            Over::Object { around, of } => {
                let (from, to) = motion::object(&self.buffer, self.cursor, of, around)?;
                return Some(Range::Text(from, to));
            }
            Over::Motion(motion) => motion,
        };
        let target = self.target(motion, count, Some(operator))?;
        let (from, mut to) = (self.cursor.min(target.place), self.cursor.max(target.place));
        match target.extent {
            Extent::Lines => return Some(Range::Lines(from.line, to.line)),
            Extent::Inclusive => to.column += 1,
            // Up to the start of a line is up to the end of the one before; whole lines, if it
            // begins with one.
            Extent::Exclusive if to.line > from.line && to.column == 0 => {
                let start = self.buffer.line(from.line);
                if start.iter().take(from.column).all(|c| c.is_whitespace()) {
                    return Some(Range::Lines(from.line, to.line - 1));
                }
                to = Place::new(to.line - 1, self.buffer.line(to.line - 1).len());
            }
            Extent::Exclusive => {}
        }
        Some(Range::Text(from, to))
    }

    /// Moves lines by a shift to the right or left; empty ones stay.
    pub(super) fn shift(&mut self, first: usize, last: usize, right: bool) {
        let width = self.options.shift;
        let shifted = |line: &Line| {
            let blanks = line.iter().take_while(|c| c.is_whitespace()).count();
            if blanks == line.len() && right {
                return line.clone();
            }
            let column = motion::column_of(line, blanks);
            let column = if right { column + width } else { column.saturating_sub(width) };
            let tabs = if self.options.expand_tab { 0 } else { column / crate::screen::text::TAB };
            let spaces = column - tabs * crate::screen::text::TAB;
            let indent = std::iter::repeat_n('\t', tabs).chain(std::iter::repeat_n(' ', spaces));
            indent.chain(line[blanks..].iter().copied()).collect()
        };
        let lines = self.buffer.lines()[first..=last].iter().map(shifted).collect();
        self.buffer.replace(first, last + 1 - first, lines);
    }

    /// `p` and `P`
    pub(super) fn put(&mut self, before: bool, count: usize, register: Option<char>) {
        let Some(Register { lines, linewise }) = self.register(register).cloned() else {
            "Nothing in register".clone_into(&mut self.message);
            return;
        };
        self.mark_change();
        let Place { line, column } = self.cursor;
        if linewise {
            let at = if before { line } else { line + 1 };
            let many = std::iter::repeat_n(lines, count).flatten().collect();
            self.buffer.replace(at, 0, many);
            self.cursor = self.to_line(at).place;
        } else {
            let empty = self.buffer.line(line).is_empty();
            let start = Place::new(line, column + usize::from(!before && !empty));
            let mut end = start;
            for _ in 0..count {
                end = self.buffer.insert(end, &lines);
            }
            // On the last character put in; of several lines, on the first.
            self.cursor = if lines.len() > 1 {
                start
            } else {
                Place::new(end.line, end.column.saturating_sub(1))
            };
        }
        self.want_here();
    }

    /// `J`, so many times: a space between, unless there is one or a bracket closes.
    pub(super) fn join(&mut self, times: usize) {
        for _ in 0..times {
            let at = self.cursor.line;
            if at == self.buffer.last() {
                break;
            }
            self.mark_change();
            let mut line = self.buffer.line(at).to_vec();
            let next = self.buffer.line(at + 1);
            let next = &next[next.iter().take_while(|c| c.is_whitespace()).count()..];
            let end = line.len();
            let spaced = line.last().is_none_or(|c| c.is_whitespace());
            if !spaced && !next.is_empty() && next[0] != ')' {
                line.push(' ');
            }
            line.extend(next);
            self.buffer.replace(at, 2, vec![line]);
            self.cursor.column = end;
        }
    }

    /// `r`
    pub(super) fn replace_characters(&mut self, by: char, count: usize) {
        let Place { line, column } = self.cursor;
        let mut text = self.buffer.line(line).to_vec();
        if column + count > text.len() {
            return;
        }
        self.mark_change();
        if by == '\n' {
            let rest = text.split_off(column + count);
            text.truncate(column);
            self.buffer.replace(line, 1, vec![text, rest]);
            self.cursor = Place::new(line + 1, 0);
            return;
        }
        text[column..column + count].fill(by);
        self.buffer.replace(line, 1, vec![text]);
        self.cursor.column = column + count - 1;
    }

    /// `~`
    pub(super) fn swap_case(&mut self, count: usize) {
        let Place { line, column } = self.cursor;
        let mut text = self.buffer.line(line).to_vec();
        let end = (column + count).min(text.len());
        if column >= end {
            return;
        }
        self.mark_change();
        for c in &mut text[column..end] {
            // A character whose other case is several stays.
            let mut other: Box<dyn Iterator<Item = char>> = if c.is_lowercase() {
                Box::new(c.to_uppercase())
            } else {
                Box::new(c.to_lowercase())
            };
            if let (Some(swapped), None) = (other.next(), other.next()) {
                *c = swapped;
            }
        }
        self.buffer.replace(line, 1, vec![text]);
        self.cursor.column = end;
        self.settle();
        self.want_here();
    }
}

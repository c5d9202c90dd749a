//! Motions that depend on the cursor, the screen or an operator.

use super::buffer::Place;
use super::editor::Editor;
use super::motion::{self, Extent, Target};

impl Editor {
    /// Motions within the text.
    pub(super) fn in_text(
        &self,
        key: char,
        count: Option<usize>,
        operator: Option<char>,
    ) -> Option<Target> {
        let (at, n) = (self.cursor, count.unwrap_or(1));
        let line = self.buffer.line(at.line);
        let here = |column| Some(exclusive(Place::new(at.line, column)));
        match key {
            'h' => {
                (at.column > 0).then(|| exclusive(Place::new(at.line, at.column.saturating_sub(n))))
            }
            'l' => {
                let end = line.len().saturating_sub(usize::from(operator.is_none()));
                (at.column < end).then(|| exclusive(Place::new(at.line, (at.column + n).min(end))))
            }
            '0' => here(0),
            '^' => here(motion::first_in(line)),
            '|' => here(motion::at_column(line, n - 1)),
            '$' => Some(self.line_end(n)),
            'w' | 'W' => Some(self.word(key == 'W', n, operator)),
            'e' | 'E' => Some(inclusive(
                self.times(n, |buffer, at| motion::word_end(buffer, at, key == 'E')),
            )),
            'b' | 'B' => Some(exclusive(
                self.times(n, |buffer, at| motion::word_back(buffer, at, key == 'B')),
            )),
            '{' | '}' => Some(exclusive(
                self.times(n, |buffer, at| motion::paragraph(buffer, at, key == '}')),
            )),
            '%' => motion::matching(&self.buffer, at).map(inclusive),
            _ => self.by_lines(key, count),
        }
    }

    fn by_lines(&self, key: char, count: Option<usize>) -> Option<Target> {
        let (line, last, n) = (self.cursor.line, self.buffer.last(), count.unwrap_or(1));
        let up = || (line > 0).then(|| line.saturating_sub(n));
        let down = || (line < last).then(|| (line + n).min(last));
        match key {
            'j' => self.same_column(down()?),
            'k' => self.same_column(up()?),
            '+' => Some(self.to_line(down()?)),
            '-' => Some(self.to_line(up()?)),
            '_' => Some(self.to_line((line + n - 1).min(last))),
            'G' => Some(self.to_line(count.map_or(last, |n| (n - 1).min(last)))),
            'g' => Some(self.to_line((n - 1).min(last))),
            _ => None,
        }
    }

    fn times(&self, n: usize, step: impl Fn(&super::buffer::Buffer, Place) -> Place) -> Place {
        let mut at = self.cursor;
        for _ in 0..n {
            let next = step(&self.buffer, at);
            if next == at {
                break;
            }
            at = next;
        }
        at
    }

    /// The first character of a line that is no blank.
    pub(super) fn to_line(&self, line: usize) -> Target {
        let column = motion::first_in(self.buffer.line(line));
        Target { place: Place::new(line, column), extent: Extent::Lines }
    }

    fn same_column(&self, line: usize) -> Option<Target> {
        let text = self.buffer.line(line);
        let column = motion::at_column(text, self.wanted).min(text.len().saturating_sub(1));
        Some(Target { place: Place::new(line, column), extent: Extent::Lines })
    }

    fn line_end(&self, count: usize) -> Target {
        let line = (self.cursor.line + count - 1).min(self.buffer.last());
        match self.buffer.line(line).len() {
            0 => exclusive(Place::new(line, 0)),
            len => inclusive(Place::new(line, len - 1)),
        }
    }

    /// `cw` changes to the word's end, and `dw` of a line's last word leaves the line's end alone.
    fn word(&self, big: bool, count: usize, operator: Option<char>) -> Target {
        let on_blank = self.buffer.at(self.cursor).is_none_or(char::is_whitespace);
        if operator == Some('c') && !on_blank {
            return exclusive(self.change_end(big, count));
        }
        let place = self.times(count, |buffer, at| motion::word(buffer, at, big));
        let before = self.buffer.line(place.line);
        let only_blanks = before.iter().take(place.column).all(|c| c.is_whitespace());
        if operator.is_some() && place.line > self.cursor.line && only_blanks {
            let line = place.line - 1;
            return exclusive(Place::new(line, self.buffer.line(line).len()));
        }
        exclusive(place)
    }

    /// After the end of this word, or of a later one.
    fn change_end(&self, big: bool, count: usize) -> Place {
        let object = motion::object(&self.buffer, self.cursor, if big { 'W' } else { 'w' }, false);
        let Some((_, mut end)) = object else { return self.cursor };
        for _ in 1..count {
            let last = Place::new(end.line, end.column.saturating_sub(1));
            end = motion::word_end(&self.buffer, last, big);
            end.column += 1;
        }
        end
    }

    /// Motions by what is on the screen.
    pub(super) fn by_screen(&mut self, key: char, n: usize) -> Option<Target> {
        let rows = self.size.rows;
        let bottom = (self.top + rows - 1).min(self.buffer.last());
        let line = match key {
            'H' => (self.top + n - 1).min(bottom),
            'M' => self.top + (bottom - self.top) / 2,
            'L' => bottom.saturating_sub(n - 1).max(self.top),
            _ => return self.page(key, n),
        };
        Some(self.to_line(line))
    }

    /// `^F`, `^B`, `^D`, `^U`
    fn page(&mut self, key: char, n: usize) -> Option<Target> {
        let rows = self.size.rows;
        let (down, step) = match key {
            '\x06' => (true, rows.saturating_sub(2).max(1) * n),
            '\x02' => (false, rows.saturating_sub(2).max(1) * n),
            _ => (key == '\x04', (rows / 2).max(1)),
        };
        let last = self.buffer.last();
        let line = if down {
            self.top = (self.top + step).min(last);
            (self.cursor.line + step).min(last)
        } else {
            self.top = self.top.saturating_sub(step);
            self.cursor.line.saturating_sub(step)
        };
        Some(self.to_line(line))
    }

    /// `^E`, `^Y`: the text moves, the cursor only if it must.
    pub(super) fn scroll(&mut self, down: bool, n: usize) {
        self.top =
            if down { (self.top + n).min(self.buffer.last()) } else { self.top.saturating_sub(n) };
        let bottom = (self.top + self.size.rows - 1).min(self.buffer.last());
        self.cursor.line = self.cursor.line.clamp(self.top, bottom);
    }

    /// `z` and where the cursor's line is to be: at the top, in the middle, at the bottom.
    pub(super) fn place_line(&mut self, at: char) {
        let above = match at {
            '.' | 'z' => self.size.rows / 2,
            '-' | 'b' => self.size.rows - 1,
            _ => 0,
        };
        self.top = self.cursor.line.saturating_sub(above);
    }
}

fn exclusive(place: Place) -> Target {
    Target { place, extent: Extent::Exclusive }
}

fn inclusive(place: Place) -> Target {
    Target { place, extent: Extent::Inclusive }
}

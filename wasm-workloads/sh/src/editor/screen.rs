//! What the terminal shows of a prompt and a line, and the fewest bytes that change it to what it
//! is to show next.

use crate::width::width;

/// Of the window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// From the start of the prompt's last line.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    row: usize,
    column: usize,
}

/// A character as it is shown, with what combines with it and what switches its colour.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    text: String,
    start: Place,
    /// The column may be that beyond the last.
    end: Place,
}

#[derive(Debug, Default, Clone)]
struct Frame {
    cells: Vec<Cell>,
    /// So many cells are of the prompt.
    prompt: usize,
    cursor: Place,
}

#[derive(Debug)]
pub struct Screen {
    size: Size,
    shown: Frame,
    /// What `shown` was made of: terminals lay it out anew when their width changes.
    content: Option<Content>,
    /// The first row of the line that is shown, when it has more than the window.
    top: usize,
}

#[derive(Debug)]
struct Content {
    prompt: String,
    text: Vec<char>,
    cursor: usize,
}

impl Screen {
    pub fn new(size: Size) -> Self {
        Self { size, shown: Frame::default(), content: None, top: 0 }
    }

    /// Shows a prompt and a line, the cursor before its character `cursor`.
    ///
    /// In the prompt, `\u{1}` and `\u{2}` are around what takes no place, and colours take none.
    pub fn draw(&mut self, prompt: &str, text: &[char], cursor: usize, size: Size) -> String {
        let mut out = String::new();
        if size != self.size {
            self.resize(size, &mut out);
        }
        if let (None, Some((leading, _))) = (&self.content, prompt.rsplit_once('\n')) {
            // Printed once: what changes is below.
            out.extend(leading.chars().filter(|c| !matches!(c, '\u{1}' | '\u{2}')));
            out.push_str("\r\n");
        }
        let content = Content { prompt: prompt.to_owned(), text: text.to_vec(), cursor };
        let frame = Frame::of(&content, size, &mut self.top);
        self.shown.change_to(&frame, size, &mut out);
        self.shown = frame;
        self.content = Some(content);
        out
    }

    /// Leaves the line: the cursor goes below it, and the next [`Screen::draw`] starts there.
    pub fn leave(&mut self, mark: &str) -> String {
        let Some(Content { prompt, text, .. }) = self.content.take() else { return String::new() };
        let mut out = if prompt.contains('\n') {
            // Not its first lines again.
            let last = prompt.rsplit('\n').next().unwrap_or_default();
            self.draw(last, &text, text.len(), self.size)
        } else {
            self.draw(&prompt, &text, text.len(), self.size)
        };
        out.push_str(mark);
        // A line that fills its last row has gone to the next one already.
        if !mark.is_empty() || self.shown.end().column < self.size.columns {
            out.push_str("\r\n");
        }
        *self = Self::new(self.size);
        out
    }

    /// The window is empty, and the next [`Screen::draw`] starts at its top.
    pub fn clear(&mut self) -> &'static str {
        *self = Self::new(self.size);
        "\x1b[H\x1b[2J"
    }

    /// Goes to where the line starts in a window of another size, and clears from there.
    fn resize(&mut self, size: Size, out: &mut String) {
        self.size = size;
        let Some(content) = &self.content else { return };
        let row = Frame::of(content, size, &mut self.top).cursor.row;
        go(Place { row, column: 1 }, Place::default(), out);
        out.push_str("\x1b[J");
        self.shown = Frame::default();
    }
}

impl Cell {
    /// Something that is not in any frame.
    fn nothing() -> Self {
        Self { text: String::new(), start: Place::default(), end: Place::default() }
    }
}

impl Frame {
    /// The rows from `top` on, which is moved so that the cursor is in one of them.
    fn of(content: &Content, size: Size, top: &mut usize) -> Self {
        let columns = size.columns;
        let mut frame = Self::default();
        frame.lay_prompt(content.prompt.rsplit('\n').next().unwrap_or_default(), columns);
        frame.prompt = frame.cells.len();
        for (n, c) in content.text.iter().enumerate() {
            let start = frame.lay(*c, columns);
            if n == content.cursor {
                frame.cursor = start;
            }
        }
        if content.cursor >= content.text.len() {
            frame.cursor = frame.end().wrapped(columns);
        }
        frame.within(size, top)
    }

    fn lay_prompt(&mut self, prompt: &str, columns: usize) {
        let mut hidden = String::new();
        let mut marked = false;
        let mut chars = prompt.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\u{1}' => marked = true,
                '\u{2}' => marked = false,
                '\u{1b}' => {
                    hidden.push(c);
                    let sequence = chars.next_if_eq(&'[').inspect(|c| hidden.push(*c)).is_some();
                    for c in chars.by_ref() {
                        hidden.push(c);
                        if !sequence || matches!(c, '@'..='~') {
                            break;
                        }
                    }
                }
                c if marked || c == '\r' || c == '\u{7}' => hidden.push(c),
                c => {
                    self.lay(c, columns);
                    if let Some(cell) = self.cells.last_mut() {
                        cell.text.insert_str(0, &std::mem::take(&mut hidden));
                    }
                }
            }
        }
        if self.cells.is_empty() {
            self.cells.push(Cell::nothing());
        }
        if let Some(cell) = self.cells.last_mut() {
            cell.text.push_str(&hidden);
        }
    }

    /// Adds a character at the end; where it starts.
    fn lay(&mut self, c: char, columns: usize) -> Place {
        let end = self.end();
        if c == '\n' {
            let next = Place { row: end.row + 1, column: 0 };
            self.cells.push(Cell { text: "\n".to_owned(), start: end, end: next });
            return end.clamped(columns);
        }
        let wide = width(c);
        if let (0, Some(cell)) = (wide, self.cells.last_mut()) {
            cell.text.push(c);
            return end;
        }
        let start =
            if end.column + wide > columns { Place { row: end.row + 1, column: 0 } } else { end };
        let text = match u32::from(c) {
            code @ 0..0x20 => format!("^{}", char::from(code as u8 + b'@')),
            0x7f => "^?".to_owned(),
            _ => c.to_string(),
        };
        self.cells.push(Cell { text, start, end: Place { column: start.column + wide, ..start } });
        start
    }

    fn end(&self) -> Place {
        self.cells.last().map_or(Place::default(), |cell| cell.end)
    }

    fn within(mut self, size: Size, top: &mut usize) -> Self {
        let rows = self.end().wrapped(size.columns).row + 1;
        let lowest = (self.cursor.row + 1).saturating_sub(size.rows);
        *top = (*top).clamp(lowest, self.cursor.row).min(rows.saturating_sub(size.rows));
        let (first, after) = (*top, *top + size.rows);
        if first == 0 && rows <= after {
            return self;
        }
        // The newline at the end of the last row would push the first one out.
        let shown = |cell: &Cell| cell.start.row >= first && cell.end.row < after;
        self.prompt = self.cells[..self.prompt].iter().filter(|cell| shown(cell)).count();
        self.cells.retain(shown);
        for cell in &mut self.cells {
            cell.start.row -= first;
            cell.end.row -= first;
        }
        self.cursor.row -= first;
        self
    }

    /// Writes what makes the terminal show `next` instead of this.
    fn change_to(&self, next: &Self, size: Size, out: &mut String) {
        let columns = size.columns;
        let pairs = self.cells.iter().zip(&next.cells);
        let mut same = pairs.take_while(|(shown, next)| shown == next).count();
        if same < self.prompt.max(next.prompt) {
            // Colours hold from one character to the next.
            same = 0;
        }
        let mut at = self.cursor;
        if same < next.cells.len() || same < self.cells.len() {
            go(at, next.start_of(same, columns), out);
            next.write_from(same, columns, out);
            at = next.end();
            if at.column == columns && at.row + 1 == size.rows {
                // Below the window's last row there is more of the line.
                out.push('\r');
                at.column = 0;
            } else {
                if at.column == columns {
                    // The terminal goes to the next row with the next character only.
                    out.push_str(" \r");
                    at = at.wrapped(columns);
                }
                if self.end().wrapped(columns) > at {
                    out.push_str("\x1b[J");
                }
            }
        }
        go(at, next.cursor, out);
    }

    /// Where the cursor is to be before a cell is written: a newline is written at the end of a
    /// full row, anything else on the next.
    fn start_of(&self, cell: usize, columns: usize) -> Place {
        let Some(before) = self.cells[..cell].last() else { return Place::default() };
        match self.cells.get(cell) {
            Some(next) if next.text == "\n" => before.end.clamped(columns),
            _ => before.end.wrapped(columns),
        }
    }

    fn write_from(&self, first: usize, columns: usize, out: &mut String) {
        let mut end = self.cells[..first].last().map_or(Place::default(), |cell| cell.end);
        for cell in &self.cells[first..] {
            let newline = cell.text == "\n";
            // A wide character does not begin in the last column.
            let early = cell.start.row > end.row && end.column < columns;
            if (newline || early) && end.column < columns {
                out.push_str("\x1b[K");
            }
            out.push_str(if newline || early { "\r\n" } else { "" });
            out.push_str(if newline { "" } else { &cell.text });
            end = cell.end;
        }
    }
}

impl Place {
    /// The same, or the start of the next row if this is beyond the last column.
    fn wrapped(self, columns: usize) -> Self {
        if self.column < columns { self } else { Self { row: self.row + 1, column: 0 } }
    }

    /// The same, or the last column if this is beyond.
    fn clamped(self, columns: usize) -> Self {
        Self { column: self.column.min(columns - 1), ..self }
    }
}

/// Moves the cursor.
fn go(from: Place, to: Place, out: &mut String) {
    let mut step = |count: usize, letter: char| match count {
        0 => {}
        1 => out.extend(['\x1b', '[', letter]),
        count => *out += &format!("\x1b[{count}{letter}"),
    };
    step(from.row.saturating_sub(to.row), 'A');
    step(to.row.saturating_sub(from.row), 'B');
    match from.column.saturating_sub(to.column) {
        0 => step(to.column - from.column, 'C'),
        _ if to.column == 0 => out.push('\r'),
        back @ 1..=3 => out.push_str(&"\x08".repeat(back)),
        back => step(back, 'D'),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Terminal;
    use super::*;

    /// Draws lines one after the other; after each, the terminal must show what it shows when the
    /// line is drawn afresh.
    fn check(prompt: &str, size: Size, lines: &[(&str, usize)]) {
        let mut terminal = Terminal::new(size);
        let mut screen = Screen::new(size);
        for (line, cursor) in lines {
            let text: Vec<char> = line.chars().collect();
            terminal.write(&screen.draw(prompt, &text, *cursor, size));
            let mut fresh = Terminal::new(size);
            let mut afresh = Screen { top: screen.top, ..Screen::new(size) };
            fresh.write(&afresh.draw(prompt, &text, *cursor, size));
            assert_eq!(terminal.shown(), fresh.shown(), "{line:?} at {cursor} in {size:?}");
        }
    }

    const SMALL: Size = Size { columns: 10, rows: 6 };

    #[test]
    fn a_line_wraps_over_rows() {
        let mut terminal = Terminal::new(SMALL);
        let text: Vec<char> = "0123456789abc".chars().collect();
        terminal.write(&Screen::new(SMALL).draw("/ # ", &text, 6, SMALL));
        assert_eq!(terminal.shown(), "/ # 012345\n|6789abc");
        let mut terminal = Terminal::new(SMALL);
        terminal.write(&Screen::new(SMALL).draw(
            "a\n\u{1}\x1b[1m\u{2}$\x1b[0m ",
            &text[..8],
            8,
            SMALL,
        ));
        assert_eq!(terminal.shown(), "a\n$ 01234567\n|");
    }

    #[test]
    fn little_is_written() {
        let mut screen = Screen::new(SMALL);
        let mut draw = |line: &str, cursor| {
            screen.draw("$ ", &line.chars().collect::<Vec<_>>(), cursor, SMALL)
        };
        assert_eq!(draw("", 0), "$ ");
        assert_eq!(draw("a", 1), "a");
        assert_eq!(draw("ab", 2), "b");
        assert_eq!(draw("ab", 1), "\x08");
        assert_eq!(draw("axb", 2), "xb\x08");
        assert_eq!(draw("ax", 2), "\x1b[J");
        assert_eq!(draw("a", 1), "\x08\x1b[J");
        assert_eq!(draw("a1234567", 8), "1234567 \r");
        assert_eq!(draw("a1234567", 0), "\x1b[A\x1b[2C");
    }

    #[test]
    fn changes_come_to_the_same_as_a_fresh_line() {
        let lines: &[(&str, usize)] = &[
            ("", 0),
            ("12345678", 8),
            ("1234567", 7),
            ("12345678", 3),
            ("12345678", 8),
            ("123456789", 9),
            ("1234567日本", 9),
            ("12345678日本", 2),
            ("日12345678日本", 0),
            ("12345678\nabc", 9),
            ("12345678\nabc", 8),
            ("1234567\nabc", 4),
            ("1\n\n2345678901", 3),
            ("12", 1),
            ("e\u{301}x\t\u{7f}", 2),
            ("", 0),
        ];
        for columns in 4..14 {
            check("$ ", Size { columns, rows: 8 }, lines);
            check("\x1b[32m/tmp\x1b[0m # ", Size { columns, rows: 9 }, lines);
            check("", Size { columns, rows: 8 }, lines);
        }
    }

    #[test]
    fn any_edits_come_to_the_same_as_a_fresh_line() {
        // A small generator: the same numbers each time.
        let mut state = 7_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for round in 0..200 {
            let size = Size { columns: 4 + random(9) as usize, rows: 3 + random(4) as usize };
            let mut line = String::new();
            let mut lines = Vec::new();
            for _ in 0..40 {
                let count = line.chars().count() as u32;
                let at = random(count + 1);
                let start = line.char_indices().nth(at as usize).map_or(line.len(), |(at, _)| at);
                match random(8) {
                    0 if start < line.len() => line.truncate(start),
                    1 if start < line.len() => {
                        line.remove(start);
                    }
                    2 => line.insert(start, '日'),
                    3 => line.insert(start, '\n'),
                    _ => line.insert_str(start, ["a", "bc", "def"][random(3) as usize]),
                }
                let count = line.chars().count() as u32;
                lines.push((line.clone(), random(count + 1) as usize));
            }
            let lines: Vec<_> = lines.iter().map(|(line, at)| (line.as_str(), *at)).collect();
            check(if round % 2 == 0 { "$ " } else { "日 # " }, size, &lines);
        }
    }

    #[test]
    fn a_line_longer_than_the_window_shows_where_the_cursor_is() {
        let size = Size { columns: 5, rows: 2 };
        let text: Vec<char> = "abcdefghijklm".chars().collect();
        let (mut terminal, mut screen) = (Terminal::new(size), Screen::new(size));
        terminal.write(&screen.draw("$ ", &text, 13, size));
        assert_eq!(terminal.shown(), "ijklm\n|");
        terminal.write(&screen.draw("$ ", &text, 0, size));
        assert_eq!(terminal.shown(), "$ |abc\ndefgh");
        terminal.write(&screen.leave(""));
        assert_eq!(terminal.shown(), "ijklm\n|");
    }

    #[test]
    fn another_width_is_another_layout() {
        let text: Vec<char> = "0123456789abcdef".chars().collect();
        let (mut terminal, mut screen) = (Terminal::new(SMALL), Screen::new(SMALL));
        terminal.write(&screen.draw("$ ", &text, 16, SMALL));
        let wide = Size { columns: 30, rows: 6 };
        let mut terminal = Terminal::new(wide);
        // As a terminal lays it out anew: one row, and the cursor at its end.
        terminal.write("$ 0123456789abcdef");
        terminal.write(&screen.draw("$ ", &text, 16, wide));
        assert_eq!(terminal.shown(), "$ 0123456789abcdef|");
        let mut terminal = Terminal::new(SMALL);
        terminal.write("before\r\n$ 0123456789abcdef");
        terminal.write(&screen.draw("$ ", &text, 16, SMALL));
        assert_eq!(terminal.shown(), "before\n$ 01234567\n89abcdef|");
    }

    #[test]
    fn leaving_a_line_goes_below_it() {
        let check = |line: &str, mark: &str, expect: &str| {
            let text: Vec<char> = line.chars().collect();
            let (mut terminal, mut screen) = (Terminal::new(SMALL), Screen::new(SMALL));
            terminal.write(&screen.draw("x\n$ ", &text, 0, SMALL));
            terminal.write(&screen.leave(mark));
            assert_eq!(terminal.shown(), expect);
        };
        check("ab", "", "x\n$ ab\n|");
        check("ab", "^C", "x\n$ ab^C\n|");
        check("12345678", "", "x\n$ 12345678\n|");
        check("0123456789", "", "x\n$ 01234567\n89\n|");
    }
}

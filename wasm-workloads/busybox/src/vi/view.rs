//! What the editor shows.

use super::editor::{Editor, Mode};
use super::motion;
use crate::screen::{Frame, Size, text};

impl Editor {
    /// The screen's size, the last line of which is the status's.
    pub fn resize(&mut self, size: Size) {
        self.size = Size { rows: size.rows.saturating_sub(1).max(1), columns: size.columns };
    }

    /// The whole screen; what is shown of the text follows the cursor.
    pub fn frame(&mut self) -> Frame {
        let gutter = self.gutter();
        let columns = self.size.columns.saturating_sub(gutter).max(1);
        self.follow(columns);
        let mut lines: Vec<String> =
            (self.top..self.top + self.size.rows).map(|at| self.row(at, gutter, columns)).collect();
        let cursor = match &self.mode {
            Mode::Line(input) => {
                let typed: String = std::iter::once(&input.prefix).chain(&input.text).collect();
                let width = text::columns(&typed).min(self.size.columns - 1);
                lines.push(text::fit(&typed, self.size.columns));
                (self.size.rows, width)
            }
            _ => {
                let status =
                    if self.message.is_empty() { self.status() } else { self.message.clone() };
                lines.push(text::fit(&status, self.size.columns));
                let column = self.column_shown();
                (self.cursor.line - self.top, gutter + column - self.left)
            }
        };
        Frame { lines, cursor: Some(cursor) }
    }

    /// Where the cursor is in its line: on a tab at its end, as there it is typed on.
    fn column_shown(&self) -> usize {
        let line = self.buffer.line(self.cursor.line);
        let column = motion::column_of(line, self.cursor.column);
        match line.get(self.cursor.column) {
            Some('\t') if self.mode == Mode::Normal => column + text::width('\t', column) - 1,
            _ => column,
        }
    }

    fn gutter(&self) -> usize {
        if !self.options.number {
            return 0;
        }
        self.buffer.len().to_string().len().max(3) + 1
    }

    fn follow(&mut self, columns: usize) {
        let (line, rows) = (self.cursor.line, self.size.rows);
        if line < self.top || line >= self.top + rows {
            // Far away it comes to the middle.
            let near = line + rows >= self.top && line < self.top + 2 * rows;
            self.top = match (near, line < self.top) {
                (true, true) => line,
                (true, false) => line + 1 - rows,
                (false, _) => line.saturating_sub(rows / 2),
            };
        }
        let column = self.column_shown();
        if column < self.left || column >= self.left + columns {
            self.left = if column < columns { 0 } else { column + 1 - columns / 2 };
        }
    }

    fn row(&self, at: usize, gutter: usize, columns: usize) -> String {
        if at >= self.buffer.len() {
            return "~".to_owned();
        }
        let mut out = if gutter > 0 {
            format!("{:>width$} ", at + 1, width = gutter - 1)
        } else {
            String::new()
        };
        let mut column = 0;
        for c in self.buffer.line(at) {
            let width = text::width(*c, column);
            if column >= self.left + columns {
                break;
            }
            let end = column + width;
            if column >= self.left && end <= self.left + columns {
                text::push(&mut out, *c, column);
            } else {
                // Half of a wide character or of a tab is blank.
                let visible = end.min(self.left + columns).saturating_sub(column.max(self.left));
                out.extend(std::iter::repeat_n(' ', visible));
            }
            column = end;
        }
        out
    }

    /// Mode, name and place, as busybox shows them.
    pub fn status(&self) -> String {
        let mode = match self.mode {
            Mode::Insert => 'I',
            Mode::Replace => 'R',
            _ => '-',
        };
        let name = self.name.as_deref().unwrap_or("No file");
        let read_only = if self.read_only { " [Readonly]" } else { "" };
        let modified = if self.buffer.is_modified() { " [Modified]" } else { "" };
        let (line, lines) = (self.cursor.line + 1, self.buffer.len());
        format!("{mode} {name}{read_only}{modified} {line}/{lines} {}%", line * 100 / lines)
    }
}

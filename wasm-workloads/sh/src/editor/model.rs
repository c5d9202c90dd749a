//! A terminal's screen, as far as the editor's tests need one.

use super::screen::Size;
use crate::width::width;

pub struct Terminal {
    size: Size,
    /// What each column shows; the right half of a wide character is empty.
    rows: Vec<Vec<String>>,
    row: usize,
    column: usize,
    /// The last column was written: the next character goes to the next row first.
    full: bool,
}

impl Terminal {
    pub fn new(size: Size) -> Self {
        let rows = vec![vec![" ".to_owned(); size.columns]; size.rows];
        Self { size, rows, row: 0, column: 0, full: false }
    }

    pub fn write(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.go(self.row, 0),
                '\n' => self.line_feed(),
                '\u{8}' => self.go(self.row, self.column.saturating_sub(1)),
                '\u{1b}' => {
                    assert_eq!(chars.next(), Some('['), "a sequence that the model does not know");
                    let parameters: String =
                        chars.clone().take_while(|c| !c.is_ascii_alphabetic()).collect();
                    let last = chars.nth(parameters.len()).unwrap();
                    self.sequence(&parameters, last);
                }
                c if width(c) == 0 => {
                    let column = self.column.saturating_sub(usize::from(!self.full));
                    self.rows[self.row][column].push(c);
                }
                c => self.put(c),
            }
        }
    }

    fn sequence(&mut self, parameters: &str, last: char) {
        let count = parameters.parse().unwrap_or(1);
        match last {
            'A' => self.go(self.row.saturating_sub(count), self.column),
            'B' => self.go(self.row + count, self.column),
            'C' => self.go(self.row, self.column + count),
            'D' => self.go(self.row, self.column.saturating_sub(count)),
            'K' => self.rows[self.row][self.column..].fill(" ".to_owned()),
            'J' => {
                self.rows[self.row][self.column..].fill(" ".to_owned());
                self.rows[self.row + 1..].iter_mut().for_each(|row| row.fill(" ".to_owned()));
            }
            'm' => {}
            last => panic!("a sequence that the model does not know: {parameters}{last}"),
        }
    }

    fn go(&mut self, row: usize, column: usize) {
        self.row = row.min(self.size.rows - 1);
        self.column = column.min(self.size.columns - 1);
        self.full = false;
    }

    fn line_feed(&mut self) {
        if self.row + 1 == self.size.rows {
            self.rows.remove(0);
            self.rows.push(vec![" ".to_owned(); self.size.columns]);
        } else {
            self.row += 1;
        }
        self.full = false;
    }

    fn put(&mut self, c: char) {
        let width = width(c);
        if self.full || self.column + width > self.size.columns {
            self.line_feed();
            self.column = 0;
        }
        self.rows[self.row][self.column] = c.to_string();
        if width == 2 {
            self.rows[self.row][self.column + 1].clear();
        }
        self.full = self.column + width == self.size.columns;
        self.column = (self.column + width).min(self.size.columns - 1);
    }

    /// The rows without blanks at their ends, `|` at the cursor.
    pub fn shown(&self) -> String {
        let row = |(n, row): (usize, &Vec<String>)| {
            let mut cells = row.clone();
            let blank = |cells: &[String]| cells.last().is_some_and(|cell| cell == " ");
            if n == self.row {
                cells.insert(self.column + usize::from(self.full), "|".to_owned());
            }
            while blank(&cells) {
                cells.pop();
            }
            cells.concat()
        };
        let rows: Vec<String> = self.rows.iter().enumerate().map(row).collect();
        rows.join("\n").trim_end_matches('\n').to_owned()
    }
}

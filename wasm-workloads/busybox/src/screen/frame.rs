//! A picture of the whole screen, and what to send so that the terminal shows it.

use std::fmt::Write;

/// What the screen shall show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// From the top; each fits into the screen's width and may hold colours. Missing ones are empty.
    pub lines: Vec<String>,
    /// Row and column of the cursor, from 0; without, it is hidden.
    pub cursor: Option<(usize, usize)>,
}

/// What turns the screen from `before`, if that is known, into `after`: only rows that differ.
pub fn difference(before: Option<&Frame>, after: &Frame, rows: usize) -> String {
    let mut out = String::from("\x1b[?25l");
    if before.is_none() {
        out.push_str("\x1b[m\x1b[2J");
    }
    let line = |frame: &Frame, row: usize| frame.lines.get(row).cloned().unwrap_or_default();
    for row in 0..rows {
        let now = line(after, row);
        if before.map_or_else(String::new, |before| line(before, row)) != now {
            // Cleared before it is written: a full line leaves the cursor on its last character.
            let _ = write!(out, "\x1b[{};1H\x1b[m\x1b[K{now}\x1b[m", row + 1);
        }
    }
    if let Some((row, column)) = after.cursor {
        let _ = write!(out, "\x1b[{};{}H\x1b[?25h", row + 1, column + 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_differ_are_written() {
        let frame = |lines: &[&str]| Frame {
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            cursor: Some((0, 0)),
        };
        let first = frame(&["one", "two"]);
        assert_eq!(
            difference(None, &first, 3),
            "\x1b[?25l\x1b[m\x1b[2J\x1b[1;1H\x1b[m\x1b[Kone\x1b[m\x1b[2;1H\x1b[m\x1b[Ktwo\x1b[m\x1b[1;1H\x1b[?25h"
        );
        assert_eq!(
            difference(Some(&first), &frame(&["one"]), 3),
            "\x1b[?25l\x1b[2;1H\x1b[m\x1b[K\x1b[m\x1b[1;1H\x1b[?25h"
        );
    }
}

//! A line as rows of the screen.

use crate::screen::text;

/// How lines are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Cut instead of wrapped.
    pub chop: bool,
    pub numbers: bool,
}

/// The rows that a line takes on a screen so wide; colours go on from one to the next, other
/// control sequences are shown as text.
pub fn rows(line: &str, number: usize, style: Style, columns: usize) -> Vec<String> {
    let mut row = if style.numbers { format!("{number:>7} ") } else { String::new() };
    let gutter = row.len();
    let width = columns.saturating_sub(gutter).max(2);
    let (mut rows, mut column, mut colour) = (Vec::new(), 0, String::new());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(sequence) = colour_sequence(rest) {
            row += sequence;
            colour = if is_plain(sequence) { String::new() } else { colour + sequence };
            rest = &rest[sequence.len()..];
            continue;
        }
        let takes = text::width(c, column);
        if column + takes > width {
            if style.chop {
                break;
            }
            rows.push(std::mem::replace(&mut row, " ".repeat(gutter) + &colour));
            column = 0;
            continue;
        }
        text::push(&mut row, c, column);
        column += takes;
        rest = &rest[c.len_utf8()..];
    }
    rows.push(row);
    rows
}

/// Bound: a sequence that sets colours is no longer than this.
const SEQUENCE_MAX: usize = 32;

/// The sequence at the beginning of a text that sets colours.
fn colour_sequence(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end =
        parameters.bytes().take(SEQUENCE_MAX).position(|byte| !b"0123456789;:".contains(&byte))?;
    (parameters.as_bytes()[end] == b'm').then(|| &text[..end + 3])
}

fn is_plain(sequence: &str) -> bool {
    matches!(sequence, "\x1b[m" | "\x1b[0m")
}

/// The line without what only colours it, to search in.
pub fn plain(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(c) = rest.chars().next() {
        match colour_sequence(rest) {
            Some(sequence) => rest = &rest[sequence.len()..],
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, style: Style, expect: &[&str]) {
        assert_eq!(rows(line, 7, style, 10), expect, "{line:?}");
    }

    #[test]
    fn lines_are_wrapped_or_cut() {
        let chop = Style { chop: true, ..Style::default() };
        check("", Style::default(), &[""]);
        check("0123456789", Style::default(), &["0123456789"]);
        check("0123456789ab", Style::default(), &["0123456789", "ab"]);
        check("0123456789ab", chop, &["0123456789"]);
        check("012345678漢", Style::default(), &["012345678", "漢"]);
        check("abc", Style { numbers: true, ..Style::default() }, &["      7 ab", "        c"]);
    }

    #[test]
    fn colours_go_on_and_other_sequences_are_text() {
        check(
            "\x1b[31m0123456789a\x1b[mb",
            Style::default(),
            &["\x1b[31m0123456789", "\x1b[31ma\x1b[mb"],
        );
        check("\x1b[2Jx", Style::default(), &["^[[2Jx"]);
        assert_eq!(plain("\x1b[1;31mred\x1b[m \x1b[2J"), "red \x1b[2J");
    }
}

//! How wide text is on a terminal, and what is shown for what has no picture.

/// Columns between tab stops.
pub const TAB: usize = 8;

/// The columns that a character takes when it comes at `column`.
pub fn width(c: char, column: usize) -> usize {
    if c == '\t' { TAB - column % TAB } else { sampan_sh::width::width(c) }
}

/// Adds what is shown for a character at `column`: a tab as spaces, a control character as `^X`.
pub fn push(out: &mut String, c: char, column: usize) {
    match c {
        '\t' => out.extend(std::iter::repeat_n(' ', width(c, column))),
        '\0'..='\x1f' | '\x7f' => out.extend(['^', char::from(c as u8 ^ 0x40)]),
        '\u{80}'..='\u{9f}' => out.push('?'),
        c => out.push(c),
    }
}

/// The beginning of a text that fits into so many columns, as it is shown.
pub fn fit(text: &str, columns: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for c in text.chars() {
        let width = width(c, column);
        if column + width > columns {
            break;
        }
        push(&mut out, c, column);
        column += width;
    }
    out
}

/// The columns of a text that begins at the left.
pub fn columns(text: &str) -> usize {
    text.chars().fold(0, |column, c| column + width(c, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_a_terminal() {
        assert_eq!(columns("abc"), 3);
        assert_eq!(columns("a\tb"), 9);
        assert_eq!(columns("漢字😀"), 6);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(columns("\x1b["), 3);
    }

    #[test]
    fn what_does_not_fit_is_cut_before_it() {
        assert_eq!(fit("a漢b", 2), "a");
        assert_eq!(fit("a漢b", 3), "a漢");
        assert_eq!(fit("\x07x", 3), "^Gx");
        assert_eq!(fit("\tx", 8), "        ");
    }
}

//! How wide text is on a terminal, and what is shown for what has no picture.

/// Columns between tab stops.
pub const TAB: usize = 8;

/// Wide in a terminal: East Asian wide and full-width characters and pictures, in ranges.
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115f),
    (0x231a, 0x231b),
    (0x23e9, 0x23ec),
    (0x2614, 0x2615),
    (0x2648, 0x2653),
    (0x26a1, 0x26a1),
    (0x2705, 0x2705),
    (0x2728, 0x2728),
    (0x274c, 0x274c),
    (0x2753, 0x2755),
    (0x2795, 0x2797),
    (0x2b50, 0x2b50),
    (0x2e80, 0x303e),
    (0x3041, 0xa4cf),
    (0xa960, 0xa97c),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff00, 0xff60),
    (0xffe0, 0xffe6),
    (0x1f18e, 0x1f18e),
    (0x1f191, 0x1f19a),
    (0x1f200, 0x1f320),
    (0x1f32d, 0x1f64f),
    (0x1f680, 0x1f6ff),
    (0x1f7e0, 0x1f7eb),
    (0x1f90c, 0x1f9ff),
    (0x1fa70, 0x1faff),
    (0x20000, 0x3fffd),
];

/// Combining marks, joiners and variation selectors: no width of their own.
const ZERO: &[(u32, u32)] = &[
    (0x0300, 0x036f),
    (0x0483, 0x0489),
    (0x0591, 0x05bd),
    (0x0610, 0x061a),
    (0x064b, 0x065f),
    (0x0900, 0x0902),
    (0x0e34, 0x0e3a),
    (0x0e47, 0x0e4e),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x200b, 0x200f),
    (0x202a, 0x202e),
    (0x2060, 0x2064),
    (0x20d0, 0x20ff),
    (0x302a, 0x302d),
    (0xfe00, 0xfe0f),
    (0xfe20, 0xfe2f),
    (0xfeff, 0xfeff),
    (0x1f3fb, 0x1f3ff),
    (0xe0100, 0xe01ef),
];

fn within(ranges: &[(u32, u32)], c: char) -> bool {
    let c = u32::from(c);
    let at = ranges.partition_point(|(_, last)| *last < c);
    ranges.get(at).is_some_and(|(first, _)| *first <= c)
}

/// The columns that a character takes when it comes at `column`.
pub fn width(c: char, column: usize) -> usize {
    match c {
        ' '..='~' => 1,
        '\t' => TAB - column % TAB,
        '\0'..='\x1f' | '\x7f' => 2,
        '\u{80}'..='\u{9f}' => 1,
        c if within(ZERO, c) => 0,
        c if within(WIDE, c) => 2,
        _ => 1,
    }
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
    fn the_ranges_are_sorted() {
        for ranges in [WIDE, ZERO] {
            assert!(ranges.is_sorted_by(|one, other| one.1 < other.0));
        }
    }

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

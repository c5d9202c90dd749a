//! How many columns a character takes on a terminal: for the line editor here, and for the programs
//! that fill a screen.

/// Combining marks, joiners and variation selectors: drawn over the character before.
const COMBINING: &[(u32, u32)] = &[
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

/// East Asian wide and full-width characters, and emoji.
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
    (0x2757, 0x2757),
    (0x2795, 0x2797),
    (0x2b50, 0x2b50),
    (0x2e80, 0x303e),
    (0x3041, 0x3247),
    (0x3250, 0xa4cf),
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

/// Columns on the screen; a control character is shown as `^X`.
pub fn width(c: char) -> usize {
    let code = u32::from(c);
    match code {
        0..0x20 | 0x7f => 2,
        0x20..0x300 => 1,
        _ if within(COMBINING, code) => 0,
        _ if within(WIDE, code) => 2,
        _ => 1,
    }
}

/// Columns of a text.
pub fn text_width(text: &str) -> usize {
    text.chars().map(width).sum()
}

fn within(ranges: &[(u32, u32)], code: u32) -> bool {
    let after = ranges.partition_point(|(_, last)| *last < code);
    ranges.get(after).is_some_and(|(first, _)| *first <= code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        for table in [COMBINING, WIDE] {
            assert!(table.is_sorted_by(|one, other| one.1 < other.0));
        }
    }

    #[test]
    fn characters_have_their_columns() {
        let check = |text: &str, expect: usize| assert_eq!(text_width(text), expect, "{text}");
        check("abc", 3);
        check("äß", 2);
        check("e\u{301}", 1);
        check("日本", 4);
        check("한글", 4);
        check("🦀", 2);
        check("\u{3}", 2);
    }
}

//! The line being edited, and its cursor.

use crate::width::width;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Line {
    text: Vec<char>,
    /// At most the text's length.
    cursor: usize,
}

impl Line {
    pub fn text(&self) -> &[char] {
        &self.text
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn before_cursor(&self) -> String {
        self.text[..self.cursor].iter().collect()
    }

    pub fn after_cursor(&self) -> Option<char> {
        self.text.get(self.cursor).copied()
    }

    /// Another text, with the cursor at its end.
    pub fn set(&mut self, text: &str) {
        self.text = text.chars().collect();
        self.cursor = self.text.len();
    }

    pub fn insert(&mut self, text: &str) {
        let inserted: Vec<char> = text.chars().collect();
        let after = self.cursor + inserted.len();
        self.text.splice(self.cursor..self.cursor, inserted);
        self.cursor = after;
    }

    pub fn go(&mut self, to: usize) {
        self.cursor = to.min(self.text.len());
    }

    /// The place before the character left of the cursor and what combines with it.
    pub fn left(&self) -> usize {
        let visible = |at: &usize| width(self.text[*at]) > 0;
        (0..self.cursor).rev().find(visible).unwrap_or(0)
    }

    pub fn right(&self) -> usize {
        let visible = |at: &usize| width(self.text[*at]) > 0;
        (self.cursor + 1..self.text.len()).find(visible).unwrap_or(self.text.len())
    }

    /// The start of the word of letters and digits at or before the cursor.
    pub fn word_left(&self) -> usize {
        self.back(|c| !c.is_alphanumeric(), char::is_alphanumeric)
    }

    /// The start of what stands between blanks.
    pub fn blank_left(&self) -> usize {
        self.back(char::is_whitespace, |c| !c.is_whitespace())
    }

    fn back(&self, skip: fn(char) -> bool, pass: fn(char) -> bool) -> usize {
        let mut at = self.cursor;
        for class in [skip, pass] {
            while at > 0 && class(self.text[at - 1]) {
                at -= 1;
            }
        }
        at
    }

    pub fn word_right(&self) -> usize {
        let mut at = self.cursor;
        for alphanumeric in [false, true] {
            while at < self.text.len() && self.text[at].is_alphanumeric() == alphanumeric {
                at += 1;
            }
        }
        at
    }

    /// Takes out what is between the cursor and another place.
    pub fn cut(&mut self, to: usize) -> String {
        let (start, end) = (self.cursor.min(to), self.cursor.max(to).min(self.text.len()));
        self.cursor = start;
        self.text.drain(start..end).collect()
    }

    /// Swaps the characters around the cursor, or the last two.
    pub fn transpose(&mut self) -> bool {
        let at = self.cursor.min(self.text.len().saturating_sub(1));
        let swaps = self.cursor > 0 && self.text.len() > 1;
        if swaps {
            self.text.swap(at - 1, at);
            self.cursor = at + 1;
        }
        swaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let mut line = Line::default();
        line.set(text);
        line
    }

    #[test]
    fn words_have_ends() {
        let mut line = line("cat /etc/my-file.txt  ");
        assert_eq!((line.word_left(), line.blank_left()), (17, 4));
        line.go(4);
        assert_eq!((line.word_left(), line.word_right()), (0, 8));
        line.go(0);
        assert_eq!((line.word_left(), line.left()), (0, 0));
    }

    #[test]
    fn a_character_goes_with_what_combines_with_it() {
        let mut line = line("ae\u{301}b");
        line.go(line.left());
        assert_eq!(line.cursor(), 3);
        line.go(line.left());
        assert_eq!((line.cursor(), line.right()), (1, 3));
        assert_eq!(line.cut(3), "e\u{301}");
        assert_eq!(line.text(), ['a', 'b']);
    }

    #[test]
    fn characters_are_swapped() {
        let check = |text: &str, cursor: usize, expect: &str, after: usize| {
            let mut line = line(text);
            line.go(cursor);
            line.transpose();
            assert_eq!(
                (line.text().iter().collect::<String>().as_str(), line.cursor()),
                (expect, after)
            );
        };
        check("abc", 3, "acb", 3);
        check("abc", 1, "bac", 2);
        check("abc", 0, "abc", 0);
        check("a", 1, "a", 1);
        check("", 0, "", 0);
    }
}

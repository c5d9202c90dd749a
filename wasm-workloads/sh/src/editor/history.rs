//! Lines that were entered.

use std::collections::VecDeque;

/// Bound: of a session, and of what is read from the history file.
const ENTRIES_MAX: usize = 1000;
/// Bound: of all entries together; a pasted script must not fill a small guest.
const BYTES_MAX: usize = 256 << 10;

#[derive(Debug, Default)]
pub struct History {
    entries: VecDeque<String>,
    bytes: usize,
    /// So many older entries have been dropped.
    dropped: usize,
}

impl History {
    /// Adds a line, unless it is empty or the same as the one before; whether it did.
    pub fn push(&mut self, line: &str) -> bool {
        let repeats = self.entries.back().is_some_and(|last| last == line);
        if repeats || line.trim().is_empty() || line.len() > BYTES_MAX {
            return false;
        }
        self.bytes += line.len();
        self.entries.push_back(line.to_owned());
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            self.bytes -= self.entries.pop_front().map_or(0, |entry| entry.len());
            self.dropped += 1;
        }
        true
    }

    /// The entry so many lines ago; 1 is the last.
    pub fn back(&self, lines: usize) -> Option<&str> {
        let at = self.entries.len().checked_sub(lines)?;
        self.entries.get(at).map(String::as_str)
    }

    /// The entry of a number that [`History::numbered`] shows.
    pub fn entry(&self, number: usize) -> Option<&str> {
        let at = number.checked_sub(self.dropped + 1)?;
        self.entries.get(at).map(String::as_str)
    }

    /// How many lines ago the latest entry was that `found` holds for, beginning `from` lines ago.
    pub fn find(&self, from: usize, found: impl Fn(&str) -> bool) -> Option<usize> {
        (from.max(1)..=self.entries.len()).find(|lines| self.back(*lines).is_some_and(&found))
    }

    /// Entries with their numbers, oldest first.
    pub fn numbered(&self) -> impl ExactSizeIterator<Item = (usize, &str)> {
        let first = self.dropped + 1;
        self.entries.iter().enumerate().map(move |(n, entry)| (first + n, entry.as_str()))
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_empty_lines_are_not_kept() {
        let mut history = History::default();
        let kept = ["a", "a", "", " ", "b", "a"].map(|line| history.push(line));
        assert_eq!(kept, [true, false, false, false, true, true]);
        assert_eq!(history.back(1), Some("a"));
        assert_eq!(history.back(3), Some("a"));
        assert_eq!((history.back(4), history.back(0)), (None, None));
        assert_eq!(history.find(2, |entry| entry == "a"), Some(3));
    }

    #[test]
    fn old_entries_go_and_numbers_stay() {
        let mut history = History::default();
        for n in 1..=ENTRIES_MAX + 5 {
            history.push(&format!("line {n}"));
        }
        assert_eq!(history.numbered().next(), Some((6, "line 6")));
        assert_eq!((history.entry(6), history.entry(5)), (Some("line 6"), None));
        history.push(&"x".repeat(BYTES_MAX));
        assert_eq!(history.numbered().len(), 1);
    }
}

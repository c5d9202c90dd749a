//! What each key does.

use super::History;
use super::keys::Key;
use super::line::Line;

/// What a key comes to, beside what it did to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Continue,
    /// There is nothing to do for it.
    Bell,
    Accept,
    /// ^C: the line is dropped.
    Interrupt,
    /// ^D on an empty line.
    End,
    ClearScreen,
    /// Tab; to be listed when it is pressed again.
    Complete {
        list: bool,
    },
}

#[derive(Debug, Default)]
pub struct Editor {
    line: Line,
    /// What ^Y puts back.
    killed: String,
    /// The last key killed: the next kill joins what it killed.
    killing: bool,
    /// So many lines ago is the one that is shown; 0 is the new one, kept in `draft` meanwhile.
    shown: usize,
    draft: String,
    search: Option<Search>,
    pasting: bool,
    /// The last key was Tab, and it found nothing to add.
    stuck: bool,
}

/// ^R
#[derive(Debug)]
struct Search {
    pattern: String,
    /// How many lines ago the match is.
    lines: usize,
    failed: bool,
    before: Line,
}

impl Editor {
    /// Makes ready for another line.
    pub fn clear(&mut self) {
        *self = Self { killed: std::mem::take(&mut self.killed), ..Self::default() };
    }

    pub fn line(&self) -> &Line {
        &self.line
    }

    /// What stands before the line instead of the prompt, during a search.
    pub fn search_prompt(&self) -> Option<String> {
        let search = self.search.as_ref()?;
        let failed = if search.failed { "failed " } else { "" };
        Some(format!("({failed}reverse-i-search)`{}': ", search.pattern))
    }

    /// Inserts what a completion added; nothing means that Tab shall list what there is.
    pub fn complete(&mut self, text: &str) {
        self.line.insert(text);
        self.stuck = text.is_empty();
    }

    pub fn press(&mut self, key: Key, history: &History) -> Outcome {
        if self.pasting {
            return self.paste(key);
        }
        if self.search.is_some()
            && let Some(outcome) = self.search_key(key, history)
        {
            return outcome;
        }
        let (killing, stuck) = (self.killing, self.stuck);
        (self.killing, self.stuck) = (false, false);
        match key {
            Key::Char(c) => self.insert(c),
            Key::Enter => return Outcome::Accept,
            Key::Tab => return Outcome::Complete { list: stuck },
            Key::PasteStart => self.pasting = true,
            Key::Control('C') => return Outcome::Interrupt,
            Key::Control('D') if self.line.text().is_empty() => return Outcome::End,
            Key::Control('L') => return Outcome::ClearScreen,
            Key::Up | Key::Control('P') => return self.recall(history, self.shown + 1),
            Key::Down | Key::Control('N') => {
                return self
                    .shown
                    .checked_sub(1)
                    .map_or(Outcome::Bell, |at| self.recall(history, at));
            }
            Key::Control('R') => self.start_search(),
            Key::Control('T') if self.line.transpose() => {}
            Key::Control('Y') => self.line.insert(&self.killed),
            key => return self.move_or_cut(key, killing),
        }
        Outcome::Continue
    }

    fn insert(&mut self, c: char) {
        self.line.insert(c.encode_utf8(&mut [0; 4]));
    }

    fn paste(&mut self, key: Key) -> Outcome {
        match key {
            Key::PasteEnd => self.pasting = false,
            Key::Char(c) => self.insert(c),
            Key::Enter => self.insert('\n'),
            Key::Tab => self.insert('\t'),
            _ => {}
        }
        Outcome::Continue
    }

    fn move_or_cut(&mut self, key: Key, killing: bool) -> Outcome {
        let line = &self.line;
        let (here, end) = (line.cursor(), line.text().len());
        let target = match key {
            Key::Left | Key::Control('B') => line.left(),
            Key::Right | Key::Control('F') => line.right(),
            Key::Home | Key::Control('A') => 0,
            Key::End | Key::Control('E') => end,
            Key::WordLeft | Key::Alt('b') => line.word_left(),
            Key::WordRight | Key::Alt('f') => line.word_right(),
            _ => return self.cut(key, killing),
        };
        self.line.go(target);
        if target == here && matches!(key, Key::Left | Key::Right) {
            return Outcome::Bell;
        }
        Outcome::Continue
    }

    fn cut(&mut self, key: Key, killing: bool) -> Outcome {
        let line = &self.line;
        let to = match key {
            Key::Backspace => line.left(),
            Key::Delete | Key::Control('D') => line.right(),
            Key::Control('W') => line.blank_left(),
            Key::AltBackspace => line.word_left(),
            Key::Alt('d') => line.word_right(),
            Key::Control('U') => 0,
            Key::Control('K') => line.text().len(),
            // Among them ^Z: nothing can be stopped here.
            _ => return Outcome::Continue,
        };
        let backwards = to < line.cursor();
        if to == line.cursor() {
            return Outcome::Bell;
        }
        let text = self.line.cut(to);
        if matches!(key, Key::Backspace | Key::Delete | Key::Control('D')) {
            return Outcome::Continue;
        }
        self.killing = true;
        self.killed = match (killing, backwards) {
            (false, _) => text,
            (true, true) => text + &self.killed,
            (true, false) => std::mem::take(&mut self.killed) + &text,
        };
        Outcome::Continue
    }

    /// Shows the line of so many lines ago.
    fn recall(&mut self, history: &History, lines: usize) -> Outcome {
        let Some(entry) = history.back(lines).or((lines == 0).then_some(&self.draft)) else {
            return Outcome::Bell;
        };
        let entry = entry.to_owned();
        if self.shown == 0 {
            self.draft = self.line.text().iter().collect();
        }
        self.shown = lines;
        self.line.set(&entry);
        Outcome::Continue
    }

    fn start_search(&mut self) {
        let before = self.line.clone();
        self.search = Some(Search { pattern: String::new(), lines: 0, failed: false, before });
    }

    /// A key during a search; nothing if it ends the search and is to be done then.
    fn search_key(&mut self, key: Key, history: &History) -> Option<Outcome> {
        let search = self.search.as_mut()?;
        let from = match key {
            Key::Control('R') => search.lines + 1,
            Key::Char(c) => {
                search.pattern.push(c);
                search.lines.max(1)
            }
            Key::Backspace => {
                search.pattern.pop();
                1
            }
            Key::Control('G') => {
                self.line = self.search.take()?.before;
                return Some(Outcome::Continue);
            }
            _ => {
                self.shown = search.lines;
                self.draft = search.before.text().iter().collect();
                self.search = None;
                return None;
            }
        };
        let found = history.find(from, |entry| entry.contains(&search.pattern));
        search.failed = found.is_none() && !search.pattern.is_empty();
        let Some(lines) = found.filter(|_| !search.pattern.is_empty()) else {
            return Some(if search.failed { Outcome::Bell } else { Outcome::Continue });
        };
        search.lines = lines;
        let entry = history.back(lines)?;
        let at = entry.find(&search.pattern).map_or(0, |at| entry[..at].chars().count());
        self.line.set(entry);
        self.line.go(at);
        Some(Outcome::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        ["ls /etc", "echo one", "echo two"].iter().for_each(|line| {
            history.push(line);
        });
        history
    }

    /// The line, with `|` at the cursor, and what the last key came to.
    fn type_in(editor: &mut Editor, keys: &str) -> (String, Outcome) {
        let (mut decoder, history) = (Decoder::default(), history());
        let mut outcome = Outcome::Continue;
        for key in keys.bytes().filter_map(|byte| decoder.feed(byte)) {
            outcome = editor.press(key, &history);
        }
        let mut text: String = editor.line.before_cursor() + "|";
        text.extend(&editor.line.text()[editor.line.cursor()..]);
        (text, outcome)
    }

    fn check(keys: &str, expect: &str) {
        assert_eq!(type_in(&mut Editor::default(), keys).0, expect, "{keys:?}");
    }

    #[test]
    fn lines_are_edited() {
        check("echo x\x7f\x08y", "echoy|");
        check("abc\x02\x02X", "aX|bc");
        check("abc\x01X\x05Y", "XabcY|");
        check("abc\x1b[D\x1b[D\x1b[3~", "a|c");
        check("abc\x01\x04", "|bc");
        check("one two three\x17\x17", "one |");
        check("one two three\x17\x17\x19", "one two three|");
        check("one two\x01\x0b\x19\x19", "one twoone two|");
        check("one two\x02\x15", "|o");
        check("a/b c/d\x1bb\x1bb\x1bd", "a/b |/d");
        check("ab\x14", "ba|");
        check("größe\x7f\x7fx", "gröx|");
        check("x\x1a\x1b[15~y", "xy|");
    }

    #[test]
    fn history_is_recalled_and_the_draft_kept() {
        check("dra\x1b[A", "echo two|");
        check("dra\x10\x10\x10\x10", "ls /etc|");
        check("dra\x1b[A\x1b[A\x1b[B", "echo two|");
        check("dra\x1b[A\x1b[B", "dra|");
        check("\x1b[A\x7f\x7f\x7fok", "echo ok|");
    }

    #[test]
    fn history_is_searched() {
        check("\x12ec", "|echo two");
        check("\x12ec\x12", "|echo one");
        check("\x12one\x05!", "echo one!|");
        check("dra\x12one\x07", "dra|");
        check("\x12etc\x10", "ls /|etc");
        let mut editor = Editor::default();
        assert_eq!(type_in(&mut editor, "\x12nope").1, Outcome::Bell);
        let prompt = editor.search_prompt();
        assert_eq!(prompt.as_deref(), Some("(failed reverse-i-search)`nope': "));
        assert_eq!(
            type_in(&mut editor, "\x7f\x7f\x7f\x7fetc\r"),
            ("ls /|etc".to_owned(), Outcome::Accept)
        );
    }

    #[test]
    fn keys_beyond_the_line_are_answered() {
        let outcome = |keys| type_in(&mut Editor::default(), keys).1;
        assert_eq!(outcome("a\r"), Outcome::Accept);
        assert_eq!(outcome("a\x03"), Outcome::Interrupt);
        assert_eq!(outcome("\x04"), Outcome::End);
        assert_eq!(outcome("a\x04"), Outcome::Bell);
        assert_eq!(outcome("\x0c"), Outcome::ClearScreen);
        assert_eq!(outcome("\x7f"), Outcome::Bell);
        assert_eq!(outcome("\x1b[B"), Outcome::Bell);
    }

    #[test]
    fn a_second_tab_lists() {
        let mut editor = Editor::default();
        assert_eq!(type_in(&mut editor, "a\t").1, Outcome::Complete { list: false });
        editor.complete("");
        assert_eq!(type_in(&mut editor, "\t").1, Outcome::Complete { list: true });
        editor.complete("bc ");
        assert_eq!(type_in(&mut editor, "\t").1, Outcome::Complete { list: false });
    }

    #[test]
    fn what_is_pasted_is_text() {
        check("\x1b[200~a\tb\n\x03c\x1b[201~d", "a\tb\ncd|");
    }
}

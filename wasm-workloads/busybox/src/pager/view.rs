//! What is shown of a text, and how keys move it.

use sampan_regexp::{Regexp, Syntax};

use super::rows::{Style, plain, rows};
use crate::screen::{Frame, Key, Size, text};

/// Lines that come when they are asked for.
pub trait Lines {
    /// Reads until there are more than so many lines, or no more come.
    fn fetch(&mut self, count: usize) -> &[String];
    /// All that will come has come.
    fn is_whole(&self) -> bool;
}

#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Stay,
    Quit,
    /// Another file: by so many.
    File(isize),
}

pub struct View<L> {
    pub lines: L,
    pub style: Style,
    pub size: Size,
    pub fold: bool,
    /// Shown at the bottom when nothing else is.
    pub prompt: String,
    /// The first line shown, and how many of its rows are above the screen.
    top: usize,
    skipped: usize,
    message: String,
    /// A number or `Z`, `:` before a command.
    typed: String,
    /// What is typed after `/` or `?`.
    input: Option<(char, String)>,
    search: Option<(Regexp, bool)>,
}

impl<L: Lines> View<L> {
    pub fn new(lines: L, size: Size, prompt: String) -> Self {
        Self {
            lines,
            style: Style::default(),
            size,
            fold: false,
            prompt,
            top: 0,
            skipped: 0,
            message: String::new(),
            typed: String::new(),
            input: None,
            search: None,
        }
    }

    fn page(&self) -> usize {
        self.size.rows.saturating_sub(1).max(1)
    }

    fn rows_of(&mut self, at: usize) -> Option<Vec<String>> {
        let line = self.lines.fetch(at).get(at)?;
        Some(rows(line, at + 1, self.style, self.size.columns))
    }

    /// The rows on the screen; fewer at the text's end.
    fn shown(&mut self) -> (Vec<String>, usize) {
        let (mut out, mut at) = (Vec::new(), self.top);
        let wanted = self.page() + self.skipped;
        while out.len() < wanted {
            let Some(rows) = self.rows_of(at) else { break };
            out.extend(rows);
            at += 1;
        }
        let skipped = self.skipped.min(out.len());
        out.drain(..skipped);
        out.truncate(self.page());
        (out, at)
    }

    /// Whether the text's end is on the screen.
    pub fn is_at_end(&mut self) -> bool {
        let (rows, next) = self.shown();
        let more = self.lines.fetch(next).len() > next;
        let last = self.rows_of(next.saturating_sub(1)).and_then(|mut rows| rows.pop());
        !more && (rows.len() < self.page() || rows.last() == last.as_ref())
    }

    pub fn frame(&mut self) -> Frame {
        let (mut lines, next) = self.shown();
        lines.resize(self.page(), "~".to_owned());
        let is_at_end = self.is_at_end();
        let total = self.lines.fetch(0).len().max(1);
        let bottom = match &self.input {
            Some((sign, typed)) => format!("{sign}{typed}"),
            None if !self.typed.is_empty() => format!(":{}", self.typed.trim_start_matches(':')),
            None if !self.message.is_empty() => format!("\x1b[7m{}\x1b[m", self.message),
            None if is_at_end => "\x1b[7m(END)\x1b[m".to_owned(),
            None if self.top == 0 && self.skipped == 0 && !self.prompt.is_empty() => {
                format!("\x1b[7m{}\x1b[m", text::fit(&self.prompt, self.size.columns))
            }
            None if self.lines.is_whole() => {
                format!(":\x1b[2m {}%\x1b[m", next.min(total) * 100 / total)
            }
            None => ":".to_owned(),
        };
        let typed = self.input.as_ref().map_or(0, |(_, typed)| text::columns(typed) + 1);
        lines.push(bottom);
        Frame { cursor: Some((lines.len() - 1, typed.min(self.size.columns - 1))), lines }
    }

    fn down(&mut self, rows: usize) {
        for _ in 0..rows {
            if self.is_at_end() {
                return;
            }
            let height = self.rows_of(self.top).map_or(1, |rows| rows.len());
            self.skipped += 1;
            if self.skipped >= height {
                (self.top, self.skipped) = (self.top + 1, 0);
            }
        }
    }

    fn up(&mut self, rows: usize) {
        for _ in 0..rows {
            if self.skipped > 0 {
                self.skipped -= 1;
            } else if self.top > 0 {
                self.top -= 1;
                self.skipped = self.rows_of(self.top).map_or(0, |rows| rows.len() - 1);
            }
        }
    }

    fn go_to_line(&mut self, line: usize) {
        (self.top, self.skipped) = (0, 0);
        let last = self.lines.fetch(line).len().saturating_sub(1);
        self.top = line.min(last);
        // The last page stays full.
        if self.is_at_end() {
            self.go_to_end();
        }
    }

    pub fn go_to_end(&mut self) {
        let count = self.lines.fetch(usize::MAX).len();
        (self.top, self.skipped) = (count, 0);
        self.up(self.page());
    }

    /// The screen has another size now: rows are others.
    pub fn resize(&mut self, size: Size) {
        (self.size, self.skipped) = (size, 0);
    }

    pub fn press(&mut self, key: Key) -> Next {
        self.message.clear();
        if self.input.is_some() {
            self.type_key(key);
            return Next::Stay;
        }
        let typed = std::mem::take(&mut self.typed);
        match (typed.as_str(), key) {
            ("Z", Key::Char('Z')) | (":", Key::Char('q' | 'Q')) => return Next::Quit,
            (":", Key::Char('n')) => return Next::File(1),
            (":", Key::Char('p')) => return Next::File(-1),
            ("-", Key::Char('S')) => self.style.chop = !self.style.chop,
            ("-", Key::Char('N')) => self.style.numbers = !self.style.numbers,
            ("-", Key::Char('I' | 'i')) => self.fold = !self.fold,
            (_, Key::Char(c @ ('Z' | ':' | '-'))) => self.typed = c.to_string(),
            (number, Key::Char(c @ '0'..='9')) if number.len() < 9 => {
                self.typed = format!("{number}{c}");
            }
            (number, key) => return self.command(key, number.parse().ok()),
        }
        Next::Stay
    }

    fn command(&mut self, key: Key, count: Option<usize>) -> Next {
        let n = count.unwrap_or(1);
        let (page, half) = (self.page(), (self.page() / 2).max(1));
        match key {
            Key::Char('q' | 'Q') | Key::Control('c') => return Next::Quit,
            Key::Char(' ' | 'f') | Key::Control('f' | 'v') | Key::PageDown => {
                self.down(count.unwrap_or(page));
            }
            Key::Char('b') | Key::Control('b') | Key::PageUp => self.up(count.unwrap_or(page)),
            Key::Char('d') | Key::Control('d') => self.down(count.unwrap_or(half)),
            Key::Char('u') | Key::Control('u') => self.up(count.unwrap_or(half)),
            Key::Char('j' | 'e') | Key::Enter | Key::Down | Key::Control('e' | 'n') => self.down(n),
            Key::Char('k' | 'y') | Key::Up | Key::Control('y' | 'p') => self.up(n),
            Key::Char('g' | '<') | Key::Home => self.go_to_line(n - 1),
            Key::Char('G' | '>') | Key::End => match count {
                Some(line) => self.go_to_line(line.saturating_sub(1)),
                None => self.go_to_end(),
            },
            Key::Char('p' | '%') => {
                let lines = self.lines.fetch(usize::MAX).len();
                self.go_to_line(lines * count.unwrap_or(0).min(100) / 100);
            }
            Key::Char(sign @ ('/' | '?')) => self.input = Some((sign, String::new())),
            Key::Char('n') => self.again(false),
            Key::Char('N') => self.again(true),
            Key::Char('=') | Key::Control('g') => {
                let lines = self.lines.fetch(0).len();
                let whole = if self.lines.is_whole() { "" } else { " or more" };
                self.message = format!("{} line {} of {lines}{whole}", self.prompt, self.top + 1);
            }
            Key::Char('h' | 'H') => {
                "SPACE b d u j k: move  g G: ends  / ? n N: search  -S -N: show  q: quit"
                    .clone_into(&mut self.message);
            }
            _ => {}
        }
        Next::Stay
    }

    fn type_key(&mut self, key: Key) {
        let Some((sign, typed)) = &mut self.input else { return };
        match key {
            Key::Char(c) => typed.push(c),
            Key::Backspace if typed.pop().is_none() => self.input = None,
            Key::Control('u') => typed.clear(),
            Key::Escape | Key::Control('c') => self.input = None,
            Key::Enter => {
                let (forward, typed) = (*sign == '/', std::mem::take(typed));
                self.input = None;
                self.seek(&typed, forward);
            }
            _ => {}
        }
    }

    fn seek(&mut self, pattern: &str, forward: bool) {
        if pattern.is_empty() {
            if let Some((_, way)) = &mut self.search {
                *way = forward;
            }
        } else {
            let syntax = Syntax { extended: true, fold: self.fold, ..Syntax::default() };
            match Regexp::new(pattern, syntax) {
                Ok(regexp) => self.search = Some((regexp, forward)),
                Err(why) => {
                    why.clone_into(&mut self.message);
                    return;
                }
            }
        }
        self.again(false);
    }

    /// The next line that matches, to the top.
    fn again(&mut self, reverse: bool) {
        let Some((regexp, forward)) = &self.search else {
            "No previous regular expression".clone_into(&mut self.message);
            return;
        };
        let is_match = |line: &String| regexp.is_match(plain(line).as_bytes()).unwrap_or(false);
        let found = if *forward != reverse {
            let mut at = self.top + 1;
            loop {
                match self.lines.fetch(at).get(at) {
                    None => break None,
                    Some(line) if is_match(line) => break Some(at),
                    Some(_) => at += 1,
                }
            }
        } else {
            self.lines.fetch(self.top)[..self.top].iter().rposition(is_match)
        };
        match found {
            Some(line) => (self.top, self.skipped) = (line, 0),
            None => "Pattern not found".clone_into(&mut self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given(Vec<String>);

    impl Lines for Given {
        fn fetch(&mut self, _: usize) -> &[String] {
            &self.0
        }

        fn is_whole(&self) -> bool {
            true
        }
    }

    fn view() -> View<Given> {
        let lines = (1..=20).map(|n| if n == 3 { "3 wide line".to_owned() } else { n.to_string() });
        View::new(Given(lines.collect()), Size { rows: 5, columns: 8 }, "x".to_owned())
    }

    /// The keys, then the first and the last row of text and the bottom line.
    #[track_caller]
    fn check(keys: &str, expect: [&str; 3]) {
        let mut view = view();
        for c in keys.chars() {
            view.press(if c == '⏎' { Key::Enter } else { Key::Char(c) });
        }
        let frame = view.frame();
        let bottom = frame.lines[4].replace("\x1b[7m", "").replace("\x1b[m", "");
        let bottom = bottom.replace("\x1b[2m", "");
        assert_eq!([&*frame.lines[0], &*frame.lines[3], &*bottom], expect, "{keys}");
    }

    #[test]
    fn keys_move_by_rows_pages_and_matches() {
        check("", ["1", "ine", "x"]);
        check("j", ["2", "4", ": 20%"]);
        check("jjj", ["ine", "6", ": 30%"]);
        check("jjjk", ["3 wide l", "5", ": 25%"]);
        check(" ", ["4", "7", ": 35%"]);
        check(" b", ["1", "ine", "x"]);
        check("G", ["17", "20", "(END)"]);
        check("G ", ["17", "20", "(END)"]);
        check("Gg", ["1", "ine", "x"]);
        check("10g", ["10", "13", ": 65%"]);
        check("/1⏎", ["10", "13", ": 65%"]);
        check("/1⏎n", ["11", "14", ": 70%"]);
        check("/1⏎nN", ["10", "13", ": 65%"]);
        check("G?wide⏎", ["3 wide l", "5", ": 25%"]);
        check("/none⏎", ["1", "ine", "Pattern not found"]);
        check("/ab", ["1", "ine", "/ab"]);
        check("-S", ["1", "4", "x"]);
    }

    #[test]
    fn it_ends_when_told_to() {
        assert_eq!(view().press(Key::Char('q')), Next::Quit);
        let mut view = view();
        assert_eq!(view.press(Key::Char('Z')), Next::Stay);
        assert_eq!(view.press(Key::Char('Z')), Next::Quit);
    }
}

//! `/`, `?`, `n`, `N`, `*` and `#`.

use std::rc::Rc;

use sampan_regexp::{Captures, Regexp, Syntax};

use super::buffer::{Buffer, Place};
use super::editor::Editor;
use super::motion::{Extent, Target};

/// What `n` looks for.
#[derive(Debug, Clone)]
pub struct Search {
    pattern: String,
    regex: Rc<Regexp>,
    forward: bool,
}

impl Search {
    /// A basic regular expression, up to an unescaped delimiter; an empty one is the last one.
    pub fn new(
        text: &str,
        forward: bool,
        ignore_case: bool,
        last: Option<&Self>,
    ) -> Result<Self, String> {
        let delimiter = if forward { '/' } else { '?' };
        let (pattern, _) = until(text, delimiter);
        if pattern.is_empty() {
            let last = last.cloned().ok_or("No previous search")?;
            return Ok(Self { forward, ..last });
        }
        let regex = Regexp::new(&pattern, Syntax { fold: ignore_case, ..Syntax::default() })?;
        Ok(Self { pattern, regex: Rc::new(regex), forward })
    }

    /// Where it matches a line next, from a byte on. What takes too long to match does not match.
    pub fn find(&self, text: &str, from: usize, captures: &mut Captures) -> bool {
        self.regex.find_at(text.as_bytes(), from, captures).unwrap_or(false)
    }
}

/// The text before an unescaped delimiter, where `\` before it is dropped, and what follows it.
pub fn until(text: &str, delimiter: char) -> (String, Option<&str>) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == delimiter {
            return (out, Some(&text[at + c.len_utf8()..]));
        }
        match (c, chars.clone().next()) {
            ('\\', Some((_, next))) => {
                chars.next();
                if next != delimiter {
                    out.push('\\');
                }
                out.push(next);
            }
            _ => out.push(c),
        }
    }
    (out, None)
}

/// Where matches begin in a line, as characters' numbers.
fn matches(line: &[char], search: &Search) -> Vec<usize> {
    let text: String = line.iter().collect();
    let (mut found, mut from, mut captures) = (Vec::new(), 0, Captures::default());
    while from <= text.len() && search.find(&text, from, &mut captures) {
        let (start, end) = captures.whole();
        found.push(text[..start].chars().count());
        from = if end > start { end } else { after(&text, end) };
    }
    found
}

/// The byte after the character at this one.
pub fn after(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

/// The next match, around the text's end if need be, and whether it was passed.
fn next(buffer: &Buffer, from: Place, search: &Search, forward: bool) -> Option<(Place, bool)> {
    let lines = buffer.len();
    // The cursor's line comes first and last.
    (0..=lines).find_map(|step| {
        let offset = if forward { step } else { 2 * lines - step };
        let line = (from.line + offset) % lines;
        let fits = |column: &usize| match (step, forward) {
            (0, true) => *column > from.column,
            (0, false) => *column < from.column,
            _ => true,
        };
        let found = matches(buffer.line(line), search).into_iter().filter(fits);
        let column = if forward { found.min() } else { found.max() }?;
        let place = Place::new(line, column);
        let passed = if forward { place <= from } else { place >= from };
        Some((place, passed))
    })
}

impl Editor {
    /// `n`, or `N` the other way round.
    pub(super) fn seek(&mut self, reverse: bool, count: usize) -> Option<Target> {
        let Some(search) = self.search.clone() else {
            "No previous search".clone_into(&mut self.message);
            return None;
        };
        let forward = search.forward != reverse;
        let mut place = self.cursor;
        for _ in 0..count {
            let Some((found, passed)) = next(&self.buffer, place, &search, forward) else {
                self.message = format!("Pattern not found: {}", search.pattern);
                return None;
            };
            place = found;
            if passed {
                let end =
                    if forward { "BOTTOM, continuing at TOP" } else { "TOP, continuing at BOTTOM" };
                self.message = format!("search hit {end}");
            }
        }
        Some(Target { place, extent: Extent::Exclusive })
    }

    /// `*` and `#`: the word under or after the cursor.
    pub(super) fn seek_word(&mut self, forward: bool, count: usize) -> Option<Target> {
        let line = self.buffer.line(self.cursor.line);
        let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
        let inside = (self.cursor.column..line.len()).find(|at| is_word(&line[*at]))?;
        let start = (0..inside).rev().find(|at| !is_word(&line[*at])).map_or(0, |at| at + 1);
        let word: String = line[start..].iter().take_while(|c| is_word(c)).collect();
        // From the word's beginning, backwards does not find it again.
        self.cursor.column = start;
        let pattern = format!("\\<{word}\\>");
        self.search = Search::new(&pattern, forward, self.options.ignore_case, None).ok();
        self.seek(false, count)
    }
}

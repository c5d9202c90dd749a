//! Where motions lead, over a text that does not change.

use super::buffer::{Buffer, Place};
use crate::screen::text;

/// Where a motion ends, and what an operator over it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub place: Place,
    pub extent: Extent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Up to the target.
    Exclusive,
    /// And the character there.
    Inclusive,
    Lines,
}

impl Place {
    pub fn new(line: usize, column: usize) -> Self {
        Self { line, column }
    }
}

/// The first character that is no blank, or the last one.
pub fn first_in(line: &[char]) -> usize {
    let blanks = line.iter().take_while(|c| c.is_whitespace()).count();
    if blanks == line.len() { blanks.saturating_sub(1) } else { blanks }
}

/// The column on the screen where a character begins.
pub fn column_of(line: &[char], at: usize) -> usize {
    line.iter().take(at).fold(0, |column, c| column + text::width(*c, column))
}

/// The character at a column of the screen, or the line's end.
pub fn at_column(line: &[char], column: usize) -> usize {
    let mut end = 0;
    for (at, c) in line.iter().enumerate() {
        end += text::width(*c, end);
        if end > column {
            return at;
        }
    }
    line.len()
}

/// What a character belongs to: blanks, words, or signs; big words know only blanks.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Class {
    Blank,
    Word,
    Sign,
}

fn class(c: Option<char>, big: bool) -> Class {
    match c {
        None => Class::Blank,
        Some(c) if c.is_whitespace() => Class::Blank,
        Some(c) if big || c.is_alphanumeric() || c == '_' => Class::Word,
        Some(_) => Class::Sign,
    }
}

/// The next place, a line's end among them; `None` at the end of the text.
fn after(buffer: &Buffer, at: Place) -> Option<Place> {
    if at.column < buffer.line(at.line).len() {
        return Some(Place::new(at.line, at.column + 1));
    }
    (at.line < buffer.last()).then(|| Place::new(at.line + 1, 0))
}

fn before(buffer: &Buffer, at: Place) -> Option<Place> {
    if at.column > 0 {
        return Some(Place::new(at.line, at.column - 1));
    }
    let line = at.line.checked_sub(1)?;
    Some(Place::new(line, buffer.line(line).len()))
}

/// An empty line counts as a word.
fn is_empty_line(buffer: &Buffer, at: Place) -> bool {
    at.column == 0 && buffer.line(at.line).is_empty()
}

/// `w`
pub fn word(buffer: &Buffer, from: Place, big: bool) -> Place {
    let start = class(buffer.at(from), big);
    let mut at = from;
    while start != Class::Blank && class(buffer.at(at), big) == start {
        let Some(next) = after(buffer, at) else { return at };
        at = next;
    }
    if at == from {
        at = after(buffer, at).unwrap_or(at);
    }
    while class(buffer.at(at), big) == Class::Blank && !is_empty_line(buffer, at) {
        let Some(next) = after(buffer, at) else { return at };
        at = next;
    }
    at
}

/// `e`
pub fn word_end(buffer: &Buffer, from: Place, big: bool) -> Place {
    let Some(mut at) = after(buffer, from) else { return from };
    while class(buffer.at(at), big) == Class::Blank {
        let Some(next) = after(buffer, at) else { return at };
        at = next;
    }
    let start = class(buffer.at(at), big);
    while let Some(next) = after(buffer, at).filter(|at| class(buffer.at(*at), big) == start) {
        at = next;
    }
    at
}

/// `b`
pub fn word_back(buffer: &Buffer, from: Place, big: bool) -> Place {
    let Some(mut at) = before(buffer, from) else { return from };
    while class(buffer.at(at), big) == Class::Blank && !is_empty_line(buffer, at) {
        let Some(next) = before(buffer, at) else { return at };
        at = next;
    }
    let start = class(buffer.at(at), big);
    while let Some(next) = before(buffer, at).filter(|at| class(buffer.at(*at), big) == start) {
        if start == Class::Blank {
            break;
        }
        at = next;
    }
    at
}

/// `f`, `F`, `t` and `T`. Repeated, `t` does not stay where it is.
pub fn find(
    line: &[char],
    from: usize,
    key: char,
    sought: char,
    count: usize,
    again: bool,
) -> Option<usize> {
    let skip = usize::from(again && "tT".contains(key) && count == 1);
    let found = if key.is_lowercase() {
        let places = (from + 1 + skip..line.len()).filter(|at| line[*at] == sought);
        places.take(count).nth(count - 1)
    } else {
        let places = (0..from.saturating_sub(skip)).rev().filter(|at| line[*at] == sought);
        places.take(count).nth(count - 1)
    };
    found.map(|at| match key {
        't' => at - 1,
        'T' => at + 1,
        _ => at,
    })
}

/// `}` and `{`: the next empty line, or an end of the text.
pub fn paragraph(buffer: &Buffer, from: Place, forward: bool) -> Place {
    let empty = |line: &usize| buffer.line(*line).is_empty();
    if forward {
        let text = (from.line..buffer.len()).find(|line| !empty(line)).unwrap_or(buffer.last());
        let end = || Place::new(buffer.last(), buffer.line(buffer.last()).len());
        (text..buffer.len()).find(empty).map_or_else(end, |line| Place::new(line, 0))
    } else {
        let text = (0..from.line).rev().find(|line| !empty(line)).unwrap_or(0);
        (0..text).rev().find(empty).map_or_else(Place::default, |line| Place::new(line, 0))
    }
}

const PAIRS: [(char, char); 3] = [('(', ')'), ('[', ']'), ('{', '}')];

/// `%`: the bracket that goes with the first one at or after the cursor.
pub fn matching(buffer: &Buffer, from: Place) -> Option<Place> {
    let is_bracket = |c: char| PAIRS.iter().any(|(open, close)| c == *open || c == *close);
    let line = buffer.line(from.line);
    let column = (from.column..line.len()).find(|at| is_bracket(line[*at]))?;
    let start = Place::new(from.line, column);
    let here = buffer.at(start)?;
    let (open, close) = PAIRS.into_iter().find(|(open, close)| here == *open || here == *close)?;
    if here == open {
        enclosing(buffer, start, (open, close), true)
    } else {
        enclosing(buffer, start, (close, open), false)
    }
}

/// The partner of the bracket at `from` in one direction; `pair.0` is the kind found at `from`.
fn enclosing(buffer: &Buffer, from: Place, pair: (char, char), forward: bool) -> Option<Place> {
    let (mut at, mut depth) = (from, 1_usize);
    loop {
        at = if forward { after(buffer, at) } else { before(buffer, at) }?;
        match buffer.at(at) {
            Some(c) if c == pair.0 => depth += 1,
            Some(c) if c == pair.1 => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// What `iw`, `a"`, `i(` and so on cover: from a place to before another.
pub fn object(buffer: &Buffer, at: Place, of: char, around: bool) -> Option<(Place, Place)> {
    match of {
        'w' | 'W' => Some(word_object(buffer, at, of == 'W', around)),
        '"' | '\'' | '`' => quoted(buffer.line(at.line), at.column, of, around)
            .map(|(from, to)| (Place::new(at.line, from), Place::new(at.line, to))),
        _ => {
            let of = if of == 'b' {
                '('
            } else if of == 'B' {
                '{'
            } else {
                of
            };
            let pair = PAIRS.into_iter().find(|(open, close)| of == *open || of == *close)?;
            bracketed(buffer, at, pair, around)
        }
    }
}

fn word_object(buffer: &Buffer, at: Place, big: bool, around: bool) -> (Place, Place) {
    let line = buffer.line(at.line);
    let of = |column: usize| class(line.get(column).copied(), big);
    let same = |column: usize, kind| column < line.len() && of(column) == kind;
    let kind = of(at.column);
    let (mut from, mut to) = (at.column, at.column);
    while from > 0 && of(from - 1) == kind {
        from -= 1;
    }
    while same(to, kind) {
        to += 1;
    }
    if around {
        let blanks = to;
        while same(to, Class::Blank) {
            to += 1;
        }
        while to == blanks && from > 0 && of(from - 1) == Class::Blank {
            from -= 1;
        }
    }
    (Place::new(at.line, from), Place::new(at.line, to))
}

fn quoted(line: &[char], column: usize, quote: char, around: bool) -> Option<(usize, usize)> {
    let quotes: Vec<usize> = (0..line.len()).filter(|at| line[*at] == quote).collect();
    let pair = quotes.chunks_exact(2).find(|pair| column <= pair[1])?;
    Some(if around { (pair[0], pair[1] + 1) } else { (pair[0] + 1, pair[1]) })
}

fn bracketed(
    buffer: &Buffer,
    at: Place,
    (open, close): (char, char),
    around: bool,
) -> Option<(Place, Place)> {
    let from = if buffer.at(at) == Some(open) {
        at
    } else {
        // From the closing bracket itself, the search begins before it.
        enclosing(buffer, at, (close, open), false)?
    };
    let to = enclosing(buffer, from, (open, close), true)?;
    let next = |place: Place| Place::new(place.line, place.column + 1);
    Some(if around { (from, next(to)) } else { (next(from), to) })
}

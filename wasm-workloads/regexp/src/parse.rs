//! Reads an expression into a tree.

use crate::Syntax;
use crate::set::Set;

#[derive(Debug, Clone)]
pub enum Tree {
    Empty,
    Char(char),
    /// `.`
    Any,
    Set(Set),
    Assert(Assertion),
    /// `\1` …
    Same(usize),
    /// Numbered from 1.
    Group(usize, Box<Tree>),
    Sequence(Vec<Tree>),
    Either(Vec<Tree>),
    Repeat {
        what: Box<Tree>,
        least: u32,
        most: Option<u32>,
    },
}

/// What must hold between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assertion {
    Start,
    End,
    Boundary,
    NoBoundary,
    WordStart,
    WordEnd,
}

/// What is still to be read.
#[derive(Debug)]
pub struct Cursor<'a> {
    pub rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    pub fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What comes before `end`, which is read too.
    pub fn until(&mut self, end: &str) -> Option<&'a str> {
        let (text, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(text)
    }
}

pub fn parse<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    syntax: Syntax,
) -> Result<Tree, &'static str> {
    let mut groups = 0;
    let mut trees = Vec::new();
    for text in texts {
        let mut parser =
            Parser { cursor: Cursor { rest: text }, syntax, before: groups, groups, depth: 0 };
        trees.push(parser.either()?);
        if !parser.cursor.rest.is_empty() {
            return Err("Unmatched ) or \\)");
        }
        groups = parser.groups;
    }
    Ok(one_or(trees, Tree::Either))
}

pub fn literals<'a>(texts: impl IntoIterator<Item = &'a str>) -> Tree {
    let literal = |text: &str| one_or(text.chars().map(Tree::Char).collect(), Tree::Sequence);
    one_or(texts.into_iter().map(literal).collect(), Tree::Either)
}

fn one_or(mut trees: Vec<Tree>, join: fn(Vec<Tree>) -> Tree) -> Tree {
    match trees.len() {
        0 => Tree::Empty,
        1 => trees.remove(0),
        _ => join(trees),
    }
}

/// Groups within groups: deeper than anyone writes, and far from the end of the stack.
const DEPTH_MAX: u32 = 200;

/// As glibc's `RE_DUP_MAX`.
const REPEAT_MAX: u32 = 32767;

struct Parser<'a> {
    cursor: Cursor<'a>,
    syntax: Syntax,
    /// Groups of the expressions before this one.
    before: usize,
    groups: usize,
    depth: u32,
}

impl Parser<'_> {
    fn sees(&self, basic: &str, extended: &str) -> bool {
        let token = if self.syntax.extended { extended } else { basic };
        self.cursor.rest.starts_with(token)
    }

    fn eat(&mut self, basic: &str, extended: &str) -> bool {
        let token = if self.syntax.extended { extended } else { basic };
        self.cursor.eat(token)
    }

    fn either(&mut self) -> Result<Tree, &'static str> {
        let mut branches = vec![self.sequence()?];
        while self.eat("\\|", "|") {
            branches.push(self.sequence()?);
        }
        Ok(one_or(branches, Tree::Either))
    }

    fn sequence(&mut self) -> Result<Tree, &'static str> {
        let mut parts: Vec<Tree> = Vec::new();
        // Where operators of a basic expression are characters: at the start, and after `^`.
        let mut fresh = true;
        while !self.cursor.rest.is_empty() && !self.sees("\\|", "|") {
            // Without a group to close, an extended expression's `)` is a character.
            if self.sees("\\)", ")") && (self.depth > 0 || !self.syntax.extended) {
                break;
            }
            let part = match self.repetition(fresh)? {
                Some((least, most)) => {
                    let what = Box::new(parts.pop().unwrap_or(Tree::Empty));
                    Tree::Repeat { what, least, most }
                }
                None => self.atom(fresh)?,
            };
            fresh = matches!(part, Tree::Assert(Assertion::Start));
            parts.push(part);
        }
        Ok(one_or(parts, Tree::Sequence))
    }

    /// `*` and its like, if one is there.
    fn repetition(&mut self, fresh: bool) -> Result<Option<(u32, Option<u32>)>, &'static str> {
        let extended = self.syntax.extended;
        if fresh && !extended && self.sees("*", "*") {
            return Ok(None);
        }
        let before = self.cursor.rest;
        let found = if self.cursor.eat("*") {
            (0, None)
        } else if self.eat("\\+", "+") {
            (1, None)
        } else if self.eat("\\?", "?") {
            (0, Some(1))
        } else if self.eat("\\{", "{") {
            match self.interval() {
                Some(interval) => interval,
                None if extended => {
                    self.cursor.rest = before;
                    return Ok(None);
                }
                None => return Err("Invalid content of \\{\\}"),
            }
        } else {
            return Ok(None);
        };
        if fresh {
            return Err("Invalid preceding regular expression");
        }
        match found {
            (_, Some(most)) if most > REPEAT_MAX => Err("Regular expression too big"),
            (least, Some(most)) if least > most => Err("Invalid content of \\{\\}"),
            (least, _) if least > REPEAT_MAX => Err("Regular expression too big"),
            found => Ok(Some(found)),
        }
    }

    /// `2,3}`
    fn interval(&mut self) -> Option<(u32, Option<u32>)> {
        let inner = self.cursor.until(if self.syntax.extended { "}" } else { "\\}" })?;
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| text.parse().unwrap_or(u32::MAX))
        };
        match inner.split_once(',') {
            None => number(inner).map(|n| (n, Some(n))),
            Some(("", most)) => number(most).map(|most| (0, Some(most))),
            Some((least, "")) => number(least).map(|least| (least, None)),
            Some((least, most)) => number(least).zip(number(most).map(Some)),
        }
    }

    fn atom(&mut self, fresh: bool) -> Result<Tree, &'static str> {
        if self.eat("\\(", "(") {
            return self.group();
        }
        let extended = self.syntax.extended;
        match self.cursor.next() {
            Some('\\') => self.escaped(),
            Some('[') => {
                Ok(Tree::Set(Set::bracket(&mut self.cursor, self.syntax.bracket_escapes)?))
            }
            Some('.') => Ok(Tree::Any),
            Some('^') if extended || fresh => Ok(Tree::Assert(Assertion::Start)),
            Some('$') if extended || self.at_end() => Ok(Tree::Assert(Assertion::End)),
            Some(c) => Ok(Tree::Char(c)),
            None => Ok(Tree::Empty),
        }
    }

    fn at_end(&self) -> bool {
        let rest = self.cursor.rest;
        rest.is_empty() || rest.starts_with("\\)") || rest.starts_with("\\|")
    }

    fn group(&mut self) -> Result<Tree, &'static str> {
        self.groups += 1;
        let number = self.groups;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("Regular expression too big");
        }
        let inner = self.either()?;
        self.depth -= 1;
        if !self.eat("\\)", ")") {
            return Err("Unmatched ( or \\(");
        }
        Ok(Tree::Group(number, Box::new(inner)))
    }

    fn escaped(&mut self) -> Result<Tree, &'static str> {
        let set = |name: &str| Set::class(name).unwrap_or_default();
        Ok(match self.cursor.next().ok_or("Trailing backslash")? {
            'w' => Tree::Set(Set::word()),
            'W' => Tree::Set(Set::word().negate()),
            's' => Tree::Set(set("space")),
            'S' => Tree::Set(set("space").negate()),
            'b' => Tree::Assert(Assertion::Boundary),
            'B' => Tree::Assert(Assertion::NoBoundary),
            '<' => Tree::Assert(Assertion::WordStart),
            '>' => Tree::Assert(Assertion::WordEnd),
            '`' => Tree::Assert(Assertion::Start),
            '\'' => Tree::Assert(Assertion::End),
            digit @ '1'..='9' => {
                let group = self.before + digit as usize - '0' as usize;
                if group > self.groups {
                    return Err("Invalid back reference");
                }
                Tree::Same(group)
            }
            c => Tree::Char(c),
        })
    }
}

//! POSIX's regular expressions, basic and extended, with GNU's additions (`\w \W \s \S \b \B \< \>`,
//! `\+ \? \|` in basic ones), for `grep`, `sed`, `awk` and `expr`.
//!
//! Of our own because Perl's family, which the public crates are, decides otherwise: there the first
//! alternative wins, here the longest (`echo abcd | sed -E 's/a|abc/X/'` is `Xd`); they have no
//! `\1`, and read UTF-8 only, while a line may be any bytes. A byte that is no UTF-8 is a character
//! that only `.` and `[^…]` match.
//!
//! [`parse`] reads an expression, [`compile`] makes a program of it, [`search`] runs it. Time and
//! memory are bounded: see [`search`].

mod compile;
mod parse;
mod search;
mod set;

use std::cell::RefCell;
use std::fmt;

use compile::Program;
use search::Scratch;

/// How an expression is written and meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Syntax {
    /// `grep -E`, not `grep`.
    pub extended: bool,
    /// Upper and lower case are one.
    pub fold: bool,
    /// A backslash escapes in brackets too, as awk has it.
    pub bracket_escapes: bool,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Regexp {
    program: Program,
    /// Kept from one search to the next, for its memory.
    scratch: RefCell<Scratch>,
}

/// Where a match and its groups lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    slots: Vec<Option<usize>>,
}

impl Captures {
    /// The group's first byte and the one after its last; 0 is the whole match.
    pub fn get(&self, group: usize) -> Option<(usize, usize)> {
        let slot = |n| self.slots.get(n).copied().flatten();
        slot(2 * group).zip(slot(2 * group + 1))
    }

    /// The whole match.
    ///
    /// # Panics
    /// Nothing was found.
    pub fn whole(&self) -> (usize, usize) {
        self.get(0).expect("a match was found")
    }
}

/// A search would take more than its bounds allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooComplex;

impl fmt::Display for TooComplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("regular expression too complex for this line")
    }
}

impl std::error::Error for TooComplex {}

impl Regexp {
    /// # Errors
    /// It is none; in the words of the C library.
    pub fn new(text: &str, syntax: Syntax) -> Result<Self, &'static str> {
        Self::any_of([text], syntax)
    }

    /// What any of these matches; each may have groups, counted through.
    ///
    /// # Errors
    /// One is none.
    pub fn any_of<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        syntax: Syntax,
    ) -> Result<Self, &'static str> {
        let tree = parse::parse(texts, syntax)?;
        Self::of(&tree, syntax.fold)
    }

    /// What matches these strings as they are.
    ///
    /// # Errors
    /// They are too many.
    pub fn literals<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        fold: bool,
    ) -> Result<Self, &'static str> {
        Self::of(&parse::literals(texts), fold)
    }

    fn of(tree: &parse::Tree, fold: bool) -> Result<Self, &'static str> {
        Ok(Self { program: compile::compile(tree, fold)?, scratch: RefCell::default() })
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.program.groups
    }

    /// # Errors
    /// [`TooComplex`]
    pub fn is_match(&self, text: &[u8]) -> Result<bool, TooComplex> {
        let mut scratch = self.scratch.borrow_mut();
        search::find(&self.program, &mut scratch, text, 0, true).map(|found| found.is_some())
    }

    /// The leftmost match that begins at `from` or later, and of these the longest. What is before
    /// `from` is still seen: `^` holds only at 0.
    ///
    /// # Errors
    /// [`TooComplex`]
    pub fn find_at(
        &self,
        text: &[u8],
        from: usize,
        captures: &mut Captures,
    ) -> Result<bool, TooComplex> {
        let mut scratch = self.scratch.borrow_mut();
        let found = search::find(&self.program, &mut scratch, text, from, false)?;
        let Some((start, end)) = found else { return Ok(false) };
        captures.slots.clear();
        captures.slots.extend([Some(start), Some(end)]);
        captures.slots.extend_from_slice(scratch.best());
        Ok(true)
    }
}

#[cfg(test)]
mod tests;

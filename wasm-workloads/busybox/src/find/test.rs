//! What may hold of a file.

use std::cmp::Ordering;
use std::fs::{self, Metadata};
use std::time::SystemTime;

use sampan_regexp::{Captures, Regexp, Syntax};

use crate::attributes::{self, Kind};
use crate::call::{Call, Failure, reason};
use crate::names;

#[derive(Debug)]
pub enum Test {
    Name(Pattern),
    Path(Pattern),
    Regexp(Box<Regexp>),
    Kind(char),
    Empty,
    /// In bytes.
    Size(Ordering, u64),
    /// Seconds since it changed: of a number of units, fewer, or more.
    Age(Ordering, u64, u64),
    Newer(SystemTime),
    Same(String),
    Rights(Mask),
    Always(bool),
}

/// Of the shell.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    fold: bool,
}

impl Pattern {
    fn new(text: &str, fold: bool) -> Self {
        Self { text: if fold { text.to_lowercase() } else { text.to_owned() }, fold }
    }

    fn holds(&self, name: &str) -> bool {
        if self.fold {
            return sampan_sh::matches(&self.text, &name.to_lowercase());
        }
        sampan_sh::matches(&self.text, name)
    }
}

/// Rights that must be there: exactly these, all of them, or any.
#[derive(Debug)]
pub enum Mask {
    Exactly(u32),
    All(u32),
    Any(u32),
}

/// A test, if `word` names one; `value` gives the words that belong to it.
///
/// # Errors
/// Such a word is missing or wrong.
pub fn parse<'a>(
    call: &Call,
    word: &str,
    value: &mut impl FnMut() -> Result<&'a str, Failure>,
) -> Result<Option<Test>, Failure> {
    Ok(Some(match word {
        "-name" | "-iname" => Test::Name(Pattern::new(value()?, word == "-iname")),
        "-path" | "-wholename" | "-ipath" => Test::Path(Pattern::new(value()?, word == "-ipath")),
        "-regex" => {
            let regexp = Regexp::new(value()?, Syntax::default());
            Test::Regexp(Box::new(
                regexp.map_err(|why| Failure::Message(format!("bad regex: {why}")))?,
            ))
        }
        "-type" => Test::Kind(kind(value()?)?),
        "-empty" => Test::Empty,
        "-size" => size(value()?)?,
        "-mtime" | "-atime" | "-ctime" => age(value()?, 86400)?,
        "-mmin" | "-amin" | "-cmin" => age(value()?, 60)?,
        "-newer" => {
            let name = value()?;
            let fail = |err| Failure::Message(format!("can't stat '{name}': {}", reason(&err)));
            Test::Newer(attributes::modified(&fs::metadata(call.path(name)).map_err(fail)?))
        }
        "-samefile" => Test::Same(call.path(value()?)),
        "-perm" => Test::Rights(mask(value()?)?),
        // All that is shown belongs to root, and may be run.
        "-user" => Test::Always(root("user", value()?)?),
        "-group" => Test::Always(root("group", value()?)?),
        "-executable" | "-true" => Test::Always(true),
        "-false" => Test::Always(false),
        _ => return Ok(None),
    }))
}

fn kind(text: &str) -> Result<char, Failure> {
    let wrong = || Failure::Message(format!("invalid argument '{text}' to '-type'"));
    let mut letters = text.chars();
    let letter = letters.next().filter(|letter| "fdlbcsp".contains(*letter));
    letter.filter(|_| letters.next().is_none()).ok_or_else(wrong)
}

/// `+N`, `-N` or `N`; the rest is left to read.
fn compared(text: &str) -> (Ordering, &str) {
    match text.as_bytes().first() {
        Some(b'+') => (Ordering::Greater, &text[1..]),
        Some(b'-') => (Ordering::Less, &text[1..]),
        _ => (Ordering::Equal, text),
    }
}

fn invalid(text: &str) -> Failure {
    Failure::Message(format!("invalid number '{text}'"))
}

/// In pieces of 512 bytes, or as a letter says. A size is not rounded, as in busybox.
fn size(text: &str) -> Result<Test, Failure> {
    let (order, rest) = compared(text);
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &rest[digits.len()..] {
        "c" => 1,
        "w" => 2,
        "" | "b" => 512,
        "k" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return Err(invalid(rest)),
    };
    let bytes =
        number(digits).ok().and_then(|n| n.checked_mul(unit)).ok_or_else(|| invalid(rest))?;
    Ok(Test::Size(order, bytes))
}

fn number(text: &str) -> Result<u64, Failure> {
    text.parse().ok().filter(|_| !text.starts_with('+')).ok_or_else(|| invalid(text))
}

fn age(text: &str, unit: u64) -> Result<Test, Failure> {
    let (order, rest) = compared(text);
    Ok(Test::Age(order, number(rest)?, unit))
}

fn root(what: &str, name: &str) -> Result<bool, Failure> {
    match (name, name.parse::<u32>()) {
        ("root", _) => Ok(true),
        (_, Ok(number)) => Ok(number == 0),
        _ => Err(Failure::Message(format!("unknown {what} {name}"))),
    }
}

/// Octal, or as `u+x,go+r`.
fn mask(text: &str) -> Result<Mask, Failure> {
    let (kind, rest): (fn(u32) -> Mask, _) = match text.as_bytes().first() {
        Some(b'-') => (Mask::All, &text[1..]),
        Some(b'+' | b'/') => (Mask::Any, &text[1..]),
        _ => (Mask::Exactly, text),
    };
    let octal = u32::from_str_radix(rest, 8).ok().filter(|rights| *rights <= 0o7777);
    let wrong = || Failure::Message(format!("invalid mode '{text}'"));
    let rights = octal.or_else(|| symbolic(rest)).ok_or_else(wrong)?;
    Ok(kind(rights))
}

fn symbolic(text: &str) -> Option<u32> {
    text.split(',').try_fold(0, |all, clause| {
        let letters = clause.trim_start_matches(['u', 'g', 'o', 'a']);
        let who = &clause[..clause.len() - letters.len()];
        let rights =
            letters.trim_start_matches(['+', '=']).chars().try_fold(0_u32, |all, letter| {
                let bit = [('r', 4_u32), ('w', 2), ('x', 1)]
                    .iter()
                    .find(|(known, _)| *known == letter)?
                    .1;
                Some(all | bit)
            })?;
        let everyone = who.is_empty() || who.contains('a');
        let class =
            |letter, shift| if everyone || who.contains(letter) { rights << shift } else { 0 };
        Some(all | class('u', 6) | class('g', 3) | class('o', 0))
    })
}

impl Test {
    pub fn holds(&self, name: &str, path: &str, metadata: &Metadata) -> bool {
        match self {
            Self::Name(pattern) => pattern.holds(names::last(name)),
            Self::Path(pattern) => pattern.holds(name),
            Self::Regexp(regexp) => is_whole(regexp, name.as_bytes()),
            Self::Kind('f') => Kind::of(metadata) == Kind::File,
            Self::Kind(letter) => Kind::of(metadata).letter() == *letter,
            Self::Empty if metadata.is_dir() => {
                names::entries(path).is_ok_and(|entries| entries.is_empty())
            }
            Self::Empty => metadata.is_file() && metadata.len() == 0,
            Self::Size(order, bytes) => metadata.len().cmp(bytes) == *order,
            Self::Age(order, count, unit) => {
                let age = SystemTime::now().duration_since(attributes::modified(metadata));
                (age.unwrap_or_default().as_secs() / unit).cmp(count) == *order
            }
            Self::Newer(time) => attributes::modified(metadata) > *time,
            Self::Same(other) => !metadata.is_symlink() && names::same(path, other),
            Self::Rights(mask) => {
                mask.holds(Kind::of(metadata).rights_at(path, !metadata.is_symlink()))
            }
            Self::Always(holds) => *holds,
        }
    }
}

/// Whether it matches all of a name: the longest match is what is found.
fn is_whole(regexp: &Regexp, name: &[u8]) -> bool {
    let mut captures = Captures::default();
    regexp.find_at(name, 0, &mut captures) == Ok(true) && captures.whole() == (0, name.len())
}

impl Mask {
    fn holds(&self, rights: u32) -> bool {
        match self {
            Self::Exactly(wanted) => rights == *wanted,
            Self::All(wanted) => rights & wanted == *wanted,
            Self::Any(wanted) => *wanted == 0 || rights & wanted != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_compared_as_asked() {
        let check = |text: &str, expect: Option<bool>| {
            assert_eq!(mask(text).ok().map(|mask| mask.holds(0o644)), expect, "{text}");
        };
        check("644", Some(true));
        check("600", Some(false));
        check("-600", Some(true));
        check("-u+x", Some(false));
        check("/111", Some(false));
        check("/u+w,a+x", Some(true));
        check("zz", None);
    }

    #[test]
    fn sizes_have_units() {
        let check = |text: &str, expect: Option<(Ordering, u64)>| {
            let read = size(text).ok().and_then(|test| match test {
                Test::Size(order, bytes) => Some((order, bytes)),
                _ => None,
            });
            assert_eq!(read, expect, "{text}");
        };
        check("2", Some((Ordering::Equal, 1024)));
        check("+3c", Some((Ordering::Greater, 3)));
        check("-1k", Some((Ordering::Less, 1024)));
        check("q", None);
        check("++1", None);
    }
}

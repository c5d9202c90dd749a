//! Runs a program over a text, trying its ways in order and coming back from those that fail.
//!
//! Without back-references no fork is taken twice at one place, so that the time is bounded by the
//! product of the expression's and the text's lengths. With them there is no such bound in theory
//! (the problem is NP-complete), so there is one in steps.

use crate::TooComplex;
use crate::compile::{Program, Step};
use crate::parse::Assertion;

/// What a search needs to remember.
#[derive(Debug, Default)]
pub struct Scratch {
    waiting: Vec<Job>,
    slots: Vec<Option<usize>>,
    best: Vec<Option<usize>>,
    /// A bit for each fork at each place from `base` on.
    seen: Vec<u64>,
    base: usize,
    steps: u64,
}

#[derive(Debug)]
enum Job {
    Go { step: usize, at: usize },
    Restore { slot: usize, old: Option<usize> },
}

/// Bound: 64 MiB; enough for a simple expression on a line of 100 MB.
const SEEN_WORDS_MAX: usize = 8 << 20;

/// Bound: about a second.
const STEPS_MAX: u64 = 50_000_000;

impl Scratch {
    /// The groups of the match found last.
    pub fn best(&self) -> &[Option<usize>] {
        &self.best
    }

    /// Whether this fork was taken here before; from now on it was.
    fn is_seen(&mut self, program: &Program, number: usize, at: usize) -> Result<bool, TooComplex> {
        let bit = (at - self.base) * program.splits + number;
        let (word, mask) = (bit / 64, 1 << (bit % 64));
        if word >= self.seen.len() {
            if word >= SEEN_WORDS_MAX {
                return Err(TooComplex);
            }
            self.seen.resize(word + 1, 0);
        }
        let known = self.seen[word] & mask != 0;
        self.seen[word] |= mask;
        Ok(known)
    }
}

/// Start and end of the leftmost, longest match from `from` on; of any leftmost one if `any` will do.
pub fn find(
    program: &Program,
    scratch: &mut Scratch,
    text: &[u8],
    from: usize,
    any: bool,
) -> Result<Option<(usize, usize)>, TooComplex> {
    scratch.seen.clear();
    scratch.base = from;
    scratch.steps = 0;
    let mut start = from;
    while let Some(at) = candidate(program, text, start) {
        if program.is_literal {
            let length = program.prefix.as_ref().map_or(0, |prefix| prefix.needle().len());
            scratch.best.clear();
            return Ok(Some((at, at + length)));
        }
        if let Some(end) = run(program, scratch, text, at, any)? {
            return Ok(Some((at, end)));
        }
        start = at + 1;
        if scratch.seen.is_empty() {
            scratch.base = start;
        }
    }
    Ok(None)
}

/// The next place where a match may begin.
fn candidate(program: &Program, text: &[u8], start: usize) -> Option<usize> {
    if start > text.len() || (program.anchored && start > 0) {
        return None;
    }
    if program.anchored {
        return Some(start);
    }
    let rest = &text[start..];
    let ahead = match (&program.prefix, &program.first) {
        (Some(prefix), _) => prefix.find(rest)?,
        (None, Some(first)) => rest.iter().position(|byte| first[usize::from(*byte)])?,
        // Between the bytes of one character nothing begins.
        (None, None) => rest.iter().position(|byte| byte & 0xc0 != 0x80).unwrap_or(rest.len()),
    };
    Some(start + ahead)
}

/// The longest match that begins at `start`.
fn run(
    program: &Program,
    scratch: &mut Scratch,
    text: &[u8],
    start: usize,
    any: bool,
) -> Result<Option<usize>, TooComplex> {
    scratch.waiting.clear();
    scratch.slots.clear();
    scratch.slots.resize(program.slots, None);
    scratch.waiting.push(Job::Go { step: 0, at: start });
    let mut longest = None;
    while let Some(job) = scratch.waiting.pop() {
        let end = match job {
            Job::Restore { slot, old } => {
                scratch.slots[slot] = old;
                continue;
            }
            Job::Go { step, at } => follow(program, scratch, text, step, at)?,
        };
        if end.is_some() && end > longest {
            longest = end;
            scratch.best.clear();
            scratch.best.extend_from_slice(&scratch.slots[..2 * program.groups]);
            if any || longest == Some(text.len()) {
                break;
            }
        }
    }
    Ok(longest)
}

/// Follows one way until it matches, fails, or has been gone before.
fn follow(
    program: &Program,
    scratch: &mut Scratch,
    text: &[u8],
    mut step: usize,
    mut at: usize,
) -> Result<Option<usize>, TooComplex> {
    loop {
        if program.has_same {
            scratch.steps += 1;
            if scratch.steps > STEPS_MAX {
                return Err(TooComplex);
            }
        }
        let goes_on = match &program.steps[step] {
            Step::Byte(byte) => {
                let same = text.get(at) == Some(byte);
                at += 1;
                same
            }
            Step::Any => {
                let (_, length) = decode(&text[at..]);
                at += length;
                length > 0
            }
            Step::Set(set) => {
                let (c, length) = decode(&text[at..]);
                at += length;
                length > 0 && set.holds(c)
            }
            Step::Assert(assertion) => holds(*assertion, text, at),
            Step::Same(group) => match same(program, scratch, text, *group, at) {
                Some(length) => {
                    at += length;
                    true
                }
                None => false,
            },
            Step::Save(slot) => {
                let old = scratch.slots[*slot].replace(at);
                if !scratch.waiting.is_empty() {
                    scratch.waiting.push(Job::Restore { slot: *slot, old });
                }
                true
            }
            Step::Moved(slot) => scratch.slots[*slot] != Some(at),
            Step::Go(target) => {
                step = *target;
                continue;
            }
            Step::Split { number, first, second } => {
                if !program.has_same && scratch.is_seen(program, *number, at)? {
                    return Ok(None);
                }
                scratch.waiting.push(Job::Go { step: *second, at });
                step = *first;
                continue;
            }
            Step::Match => return Ok(Some(at)),
        };
        if !goes_on {
            return Ok(None);
        }
        step += 1;
    }
}

/// How long the text of a group is, if it is here again.
fn same(
    program: &Program,
    scratch: &Scratch,
    text: &[u8],
    group: usize,
    at: usize,
) -> Option<usize> {
    let slot = |n: usize| scratch.slots.get(n).copied().flatten();
    let (start, end) = slot(2 * (group - 1)).zip(slot(2 * (group - 1) + 1))?;
    let known = &text[start..end];
    let here = text.get(at..at + known.len())?;
    let is_same = if program.fold { here.eq_ignore_ascii_case(known) } else { here == known };
    is_same.then_some(known.len())
}

/// The first character and its length; a byte that is none is one of length 1.
fn decode(text: &[u8]) -> (Option<char>, usize) {
    let Some(first) = text.first() else { return (None, 0) };
    let length = match first {
        0..0x80 => return (Some(char::from(*first)), 1),
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return (None, 1),
    };
    let c = text.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()?.chars().next());
    (c, if c.is_some() { length } else { 1 })
}

fn holds(assertion: Assertion, text: &[u8], at: usize) -> bool {
    // Of what is not ASCII all is taken for letters.
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let before = at.checked_sub(1).and_then(|at| text.get(at)).is_some_and(is_word);
    let after = text.get(at).is_some_and(is_word);
    match assertion {
        Assertion::Start => at == 0,
        Assertion::End => at == text.len(),
        Assertion::Boundary => before != after,
        Assertion::NoBoundary => before == after,
        Assertion::WordStart => !before && after,
        Assertion::WordEnd => before && !after,
    }
}

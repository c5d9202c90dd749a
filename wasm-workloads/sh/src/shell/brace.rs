//! Brace expansion: `{a,b}` and `{1..9}` make several words of one, before anything else.

use std::borrow::Cow;
use std::slice;

use crate::syntax::{Piece, Word};

/// Of nested braces and sequences no more words are made: `{1..999999999}` would take all memory.
const WORDS_MAX: usize = 1 << 16;

/// A word's pieces one by one: an unquoted character, or something that braces go around.
#[derive(Debug, Clone, PartialEq)]
enum Atom {
    Char(char),
    Piece(Piece),
}

/// The words that `word` stands for; itself, if there are no braces in it.
pub(super) fn expand(word: &Word) -> Cow<'_, [Word]> {
    let braced = |piece: &Piece| matches!(piece, Piece::Literal(text) if text.contains('{'));
    if !word.0.iter().any(braced) {
        return Cow::Borrowed(slice::from_ref(word));
    }
    let atoms: Vec<Atom> = word.0.iter().flat_map(atoms).collect();
    alternatives(&atoms).into_iter().map(|atoms| Word(pieces(atoms))).collect()
}

fn atoms(piece: &Piece) -> Vec<Atom> {
    match piece {
        Piece::Literal(text) => text.chars().map(Atom::Char).collect(),
        piece => vec![Atom::Piece(piece.clone())],
    }
}

fn pieces(atoms: Vec<Atom>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for atom in atoms {
        match (atom, pieces.last_mut()) {
            (Atom::Char(c), Some(Piece::Literal(text))) => text.push(c),
            (Atom::Char(c), _) => pieces.push(Piece::Literal(c.into())),
            (Atom::Piece(piece), _) => pieces.push(piece),
        }
    }
    pieces
}

fn alternatives(atoms: &[Atom]) -> Vec<Vec<Atom>> {
    for (at, _) in atoms.iter().enumerate().filter(|(_, atom)| **atom == Atom::Char('{')) {
        let Some((parts, end)) = parts(&atoms[at + 1..]) else { continue };
        let Some(choices) = choices(&parts) else { continue };
        let rest = alternatives(&atoms[at + 1 + end..]);
        if choices.len().saturating_mul(rest.len()) > WORDS_MAX {
            continue;
        }
        let words = choices.iter().flat_map(|choice| {
            rest.iter().map(|rest| [&atoms[..at], choice.as_slice(), rest.as_slice()].concat())
        });
        return words.collect();
    }
    vec![atoms.to_vec()]
}

/// The parts between a brace and its end at commas, and how long all that is; the brace is taken.
fn parts(atoms: &[Atom]) -> Option<(Vec<&[Atom]>, usize)> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (n, atom) in atoms.iter().enumerate() {
        match atom {
            Atom::Char('{') => depth += 1,
            Atom::Char('}') if depth == 0 => {
                parts.push(&atoms[start..n]);
                return Some((parts, n + 1));
            }
            Atom::Char('}') => depth -= 1,
            Atom::Char(',') if depth == 0 => {
                parts.push(&atoms[start..n]);
                start = n + 1;
            }
            _ => {}
        }
    }
    None
}

fn choices(parts: &[&[Atom]]) -> Option<Vec<Vec<Atom>>> {
    match parts {
        [one] => sequence(one),
        parts => Some(parts.iter().flat_map(|part| alternatives(part)).collect()),
    }
}

/// `first..last` or `first..last..step`, numbers or letters.
fn sequence(atoms: &[Atom]) -> Option<Vec<Vec<Atom>>> {
    let chars = atoms.iter().map(|atom| match atom {
        Atom::Char(c) => Some(*c),
        Atom::Piece(_) => None,
    });
    let text: String = chars.collect::<Option<_>>()?;
    let mut bounds = text.split("..");
    let (first, last, step) = (bounds.next()?, bounds.next()?, bounds.next());
    if bounds.next().is_some() {
        return None;
    }
    let step: i64 = step.map_or(Some(1), |step| step.parse().ok())?;
    let words = match (first.parse::<i64>(), last.parse::<i64>()) {
        (Ok(from), Ok(to)) => {
            let width = padded(first).max(padded(last));
            count(from, to, step)?.map(|n| pad(n, width)).collect()
        }
        _ => letters(first, last, step)?,
    };
    Some(words.iter().map(|word: &String| word.chars().map(Atom::Char).collect()).collect())
}

fn letters(first: &str, last: &str, step: i64) -> Option<Vec<String>> {
    let letter = |text: &str| {
        let c = text.chars().next().filter(char::is_ascii_alphabetic)?;
        (text.len() == 1).then_some(i64::from(u32::from(c)))
    };
    let numbers = count(letter(first)?, letter(last)?, step)?;
    Some(numbers.filter_map(|n| char::from_u32(n as u32)).map(String::from).collect())
}

/// Both ends included; `None` if it is too long. The sign of the step does not matter.
fn count(from: i64, to: i64, step: i64) -> Option<impl Iterator<Item = i64>> {
    let step = step.unsigned_abs().max(1);
    let length = from.abs_diff(to) / step + 1;
    let length = usize::try_from(length).ok().filter(|length| *length <= WORDS_MAX)?;
    let up = from <= to;
    Some((0..length as u64).map(move |n| {
        let distance = (n * step) as i64;
        if up { from.wrapping_add(distance) } else { from.wrapping_sub(distance) }
    }))
}

/// The width that `007` asks for; 0 for a number without zeros before it.
fn padded(text: &str) -> usize {
    let digits = text.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') { text.len() } else { 0 }
}

fn pad(n: i64, width: usize) -> String {
    if n < 0 {
        format!("-{:0>1$}", n.unsigned_abs(), width.saturating_sub(1))
    } else {
        format!("{n:0>width$}")
    }
}

//! The `s` command.

use sampan_regexp::{Captures, Regexp, TooComplex};

use super::script::{Case, Piece, Substitution};

/// Puts the line with its matches replaced into `out`; whether there was one.
pub fn substitute(
    how: &Substitution,
    regexp: &Regexp,
    line: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, TooComplex> {
    out.clear();
    let mut captures = Captures::default();
    let (mut copied, mut from, mut count, mut replaced) = (0, 0, 0, false);
    while regexp.find_at(line, from, &mut captures)? {
        let (start, end) = captures.whole();
        // Nothing right behind a match is not another one.
        let is_new = end > start || start > copied || copied == 0 && count == 0;
        if is_new {
            count += 1;
            if count >= how.nth {
                out.extend_from_slice(&line[copied..start]);
                replace(&how.pieces, line, &captures, out);
                replaced = true;
                copied = end;
            }
        }
        if replaced && !how.all {
            break;
        }
        from = if end > start { end } else { end + 1 };
        if end > start && copied < end {
            // A match that is not replaced: nothing right behind it counts either.
            out.extend_from_slice(&line[copied..end]);
            copied = end;
        }
    }
    out.extend_from_slice(&line[copied..]);
    Ok(replaced)
}

fn replace(pieces: &[Piece], line: &[u8], captures: &Captures, out: &mut Vec<u8>) {
    let (mut lasting, mut once) = (Case::End, None);
    for piece in pieces {
        let text = match piece {
            Piece::Case(case @ (Case::UpperOne | Case::LowerOne)) => {
                once = Some(*case);
                continue;
            }
            Piece::Case(case) => {
                lasting = *case;
                continue;
            }
            Piece::Text(text) => text,
            Piece::Group(group) => {
                captures.get(*group).map_or(&[][..], |(from, to)| &line[from..to])
            }
        };
        if text.is_empty() {
            continue;
        }
        match (lasting, once.take()) {
            (Case::End, None) => out.extend_from_slice(text),
            (lasting, once) => out.extend(cased(text, lasting, once)),
        }
    }
}

fn cased(text: &[u8], lasting: Case, once: Option<Case>) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let change = |text: &str, case| match case {
        Case::Upper | Case::UpperOne => text.to_uppercase(),
        Case::Lower | Case::LowerOne => text.to_lowercase(),
        Case::End => text.to_owned(),
    };
    let first = text.chars().next().map_or(0, char::len_utf8);
    let (first, rest) = text.split_at(first);
    (change(first, once.unwrap_or(lasting)) + &change(rest, lasting)).into_bytes()
}

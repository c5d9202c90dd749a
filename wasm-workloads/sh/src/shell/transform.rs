//! What operators make of a parameter's value: pure functions on its characters.

use crate::pattern::{self, Char};

pub(super) fn remove_prefix(chars: &[char], pattern: &[Char], longest: bool) -> String {
    let mut ends: Vec<usize> = (0..=chars.len()).collect();
    if longest {
        ends.reverse();
    }
    let end = ends.into_iter().find(|end| pattern::matches(pattern, &chars[..*end]));
    chars[end.unwrap_or(0)..].iter().collect()
}

pub(super) fn remove_suffix(chars: &[char], pattern: &[Char], longest: bool) -> String {
    let mut starts: Vec<usize> = (0..=chars.len()).collect();
    if !longest {
        starts.reverse();
    }
    let start = starts.into_iter().find(|start| pattern::matches(pattern, &chars[*start..]));
    chars[..start.unwrap_or(chars.len())].iter().collect()
}

/// The first or all characters that match; an empty pattern matches any.
pub(super) fn change_case(chars: &[char], pattern: &[Char], upper: bool, all: bool) -> String {
    let mut changed = String::new();
    for (n, c) in chars.iter().enumerate() {
        let wanted = pattern.is_empty() || pattern::matches(pattern, &[*c]);
        match (wanted && (all || n == 0), upper) {
            (true, true) => changed.extend(c.to_uppercase()),
            (true, false) => changed.extend(c.to_lowercase()),
            (false, _) => changed.push(*c),
        }
    }
    changed
}

/// Replaces the longest match at each place, or at the first; `#` and `%` hold it to an end.
pub(super) fn replace(chars: &[char], pattern: &[Char], replacement: &str, all: bool) -> String {
    let (pattern, at_start, at_end) = match pattern {
        [('#', false), rest @ ..] if !all => (rest, true, false),
        [('%', false), rest @ ..] if !all => (rest, false, true),
        whole => (whole, false, false),
    };
    if pattern.is_empty() && !at_start && !at_end {
        return chars.iter().collect();
    }
    let (mut replaced, mut at) = (String::new(), 0);
    while at <= chars.len() {
        let mut ends = (at..=chars.len()).rev().filter(|end| !at_end || *end == chars.len());
        let end = ends.find(|end| pattern::matches(pattern, &chars[at..*end]));
        match end.filter(|end| *end > at || at_start || at_end) {
            Some(end) => {
                replaced.push_str(replacement);
                at = end;
                if !all {
                    break;
                }
            }
            None if at_start => break,
            None => {
                replaced.extend(chars.get(at));
                at += 1;
            }
        }
    }
    replaced.extend(chars.get(at..).unwrap_or_default());
    replaced
}

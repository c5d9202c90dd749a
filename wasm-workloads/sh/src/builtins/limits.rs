//! `umask`, `ulimit`, `times`: what a guest has instead of a Unix process's limits.

use super::fault;
use super::output::print;
use crate::shell::{Ran, Shell};

/// WASI files have no modes: a mask is remembered and means nothing.
pub(super) fn umask(shell: &mut Shell, words: &[String]) -> Ran {
    let mut arguments = words[1..].iter();
    let mut argument = arguments.next().map(String::as_str);
    let symbolic = argument == Some("-S");
    if symbolic {
        argument = arguments.next().map(String::as_str);
    }
    let Some(mode) = argument else {
        let text = if symbolic { in_letters(shell.umask) } else { format!("{:04o}", shell.umask) };
        return print(shell, format!("{text}\n").as_bytes());
    };
    let mask = if mode.starts_with(|c: char| c.is_ascii_digit()) {
        u32::from_str_radix(mode, 8).ok().filter(|mask| *mask <= 0o777)
    } else {
        from_letters(shell.umask, mode)
    };
    match mask {
        Some(mask) => shell.umask = mask,
        None => return fault(shell, "umask", &format!("illegal mode: {mode}")),
    }
    Ok(0)
}

const WHO: [(char, u32); 3] = [('u', 6), ('g', 3), ('o', 0)];
const WHAT: [(char, u32); 3] = [('r', 4), ('w', 2), ('x', 1)];

fn in_letters(mask: u32) -> String {
    let of = |(who, shift): &(char, u32)| {
        let granted = !(mask >> shift) & 7;
        let letters = WHAT.iter().filter(|(_, bit)| granted & bit != 0).map(|(letter, _)| letter);
        format!("{who}={}", letters.collect::<String>())
    };
    WHO.iter().map(of).collect::<Vec<_>>().join(",")
}

/// `u=rwx,g-w,o=`: what is granted, so that the mask is its opposite.
fn from_letters(mask: u32, text: &str) -> Option<u32> {
    let mut granted = !mask & 0o777;
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let (who, rest) = clause.split_at(at);
        let who = if who.is_empty() || who == "a" { "ugo" } else { who };
        let bits = rest[1..].chars().try_fold(0, |bits, letter| {
            WHAT.iter().find(|(known, _)| *known == letter).map(|(_, bit)| bits | bit)
        })?;
        for letter in who.chars() {
            let (_, shift) = WHO.iter().find(|(known, _)| *known == letter)?;
            granted = match &rest[..1] {
                "+" => granted | bits << shift,
                "-" => granted & !(bits << shift),
                _ => granted & !(7 << shift) | bits << shift,
            };
        }
    }
    Some(!granted & 0o777)
}

/// Limits belong to the container, not to a process; what may be asked is answered, and what would
/// set one is refused.
pub(super) fn ulimit(shell: &mut Shell, words: &[String]) -> Ran {
    let (letters, value) = match words.get(1).and_then(|word| word.strip_prefix('-')) {
        Some(letters) => (letters, words.get(2)),
        None => ("f", words.get(1)),
    };
    if let Some(unknown) = letters.chars().find(|letter| !"HSacdflmnpstvw".contains(*letter)) {
        return fault(shell, "ulimit", &format!("illegal option -{unknown}"));
    }
    if value.is_some_and(|value| value != "unlimited") {
        let why = "limits are the container's (resources.limits of the Pod)";
        return fault(shell, "ulimit", why).or(Ok(1));
    }
    print(shell, b"unlimited\n")
}

/// The time of this shell and of its children is not counted apart: the container's is.
pub(super) fn times(shell: &mut Shell, _words: &[String]) -> Ran {
    let elapsed = shell.elapsed().as_millis();
    let (minutes, seconds, rest) = (elapsed / 60_000, elapsed / 1000 % 60, elapsed % 1000);
    print(shell, format!("{minutes}m{seconds}.{rest:03}s 0m0.000s\n0m0.000s 0m0.000s\n").as_bytes())
}

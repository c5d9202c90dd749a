//! `chmod`, `chown`, `chgrp`. WASI has neither modes nor owners: arguments and files are checked, so
//! that scripts find their mistakes, and nothing changes. What would take from a container's only
//! user what it can do fails: a script may rely on it.

use std::fs;

use crate::attributes::{Kind, rights_text};
use crate::call::{Call, Done, Failure, Options, reason};

pub fn chmod(call: &Call) -> Done {
    // `-w` is a mode, and the letters of options are none of rights.
    let mut arguments = call.arguments().to_vec();
    let is_mode = |word: &String| word.starts_with('-') && word[1..].starts_with(is_letter);
    let mut leading = arguments.iter().take_while(|word| word.starts_with('-'));
    let mode = leading.position(is_mode).map(|at| arguments.remove(at));
    let mut options = call.options_of(arguments, "Rcvf")?;
    options.operands.splice(0..0, mode);
    let [mode, names @ ..] = options.operands.as_slice() else { return Err(Failure::usage()) };
    let change = Change::parse(mode)?;
    each(call, &options, names, |name, kind| {
        if change.takes(kind) {
            return Err(format!("{name}: {NO_MODES}"));
        }
        if options.has('v') {
            let rights = kind.rights();
            println!("mode of '{name}' retained as {rights:04o} ({})", rights_text(rights));
        }
        Ok(())
    })
}

/// Why a file keeps its owner's rights.
pub const NO_MODES: &str = "WASI has no modes: rights cannot be taken away";

fn is_letter(c: char) -> bool {
    "rwxXst".contains(c)
}

/// What `chmod`'s first argument asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// All rights, in octal.
    Exact(u32),
    /// For the owner: `+`, `-` or `=`, and the letters after it.
    Owner(Vec<(char, String)>),
}

impl Change {
    /// # Errors
    /// It is neither an octal number nor clauses as `u+x,go=`.
    pub fn parse(mode: &str) -> Result<Self, Failure> {
        let invalid = || Failure::Message(format!("invalid mode '{mode}'"));
        if mode.starts_with(|c: char| c.is_ascii_digit()) {
            let rights = u32::from_str_radix(mode, 8).ok().filter(|rights| *rights <= 0o7777);
            return rights.map(Self::Exact).ok_or_else(invalid);
        }
        let mut steps = Vec::new();
        for clause in mode.split(',') {
            let actions = clause.trim_start_matches(['u', 'g', 'o', 'a']);
            let who = &clause[..clause.len() - actions.len()];
            let mut rest = actions.chars().peekable();
            if rest.peek().is_none() {
                return Err(invalid());
            }
            while let Some(sign) = rest.next() {
                let mut letters = String::new();
                while let Some(letter) = rest.next_if(|c| is_letter(*c) || "ugo".contains(*c)) {
                    letters.push(letter);
                }
                if !"+-=".contains(sign) {
                    return Err(invalid());
                }
                if who.is_empty() || who.contains(['u', 'a']) {
                    steps.push((sign, letters));
                }
            }
        }
        Ok(Self::Owner(steps))
    }

    /// Whether the owner would lose what it is shown to have. There is nobody else in a container, so
    /// that what others may do does not matter.
    pub fn takes(&self, kind: Kind) -> bool {
        let before = kind.rights() >> 6 & 7;
        let after = match self {
            Self::Exact(rights) => rights >> 6 & 7,
            Self::Owner(steps) => steps.iter().fold(before, |rights, (sign, letters)| {
                let named = letters.chars().fold(0, |all, letter| all | bits(letter, kind));
                match sign {
                    '+' => rights | named,
                    '-' => rights & !named,
                    _ => named,
                }
            }),
        };
        before & !after != 0
    }
}

fn bits(letter: char, kind: Kind) -> u32 {
    match letter {
        'r' => 4,
        'w' => 2,
        'x' => 1,
        'X' => u32::from(kind == Kind::Directory),
        'u' => kind.rights() >> 6 & 7,
        'g' => kind.rights() >> 3 & 7,
        'o' => kind.rights() & 7,
        _ => 0,
    }
}

pub fn chown(call: &Call) -> Done {
    let options = call.options("RhLHPcvf")?;
    let [owner, names @ ..] = options.operands.as_slice() else { return Err(Failure::usage()) };
    let (user, group) = owner.split_once([':', '.']).unwrap_or((owner, ""));
    known("user", user)?;
    known("group", group)?;
    each(call, &options, names, |_, _| Ok(()))
}

pub fn chgrp(call: &Call) -> Done {
    let options = call.options("RhLHPcvf")?;
    let [group, names @ ..] = options.operands.as_slice() else { return Err(Failure::usage()) };
    known("group", group)?;
    each(call, &options, names, |_, _| Ok(()))
}

/// `root` is all that has a name.
fn known(what: &str, name: &str) -> Result<(), Failure> {
    if matches!(name, "" | "root") || name.parse::<u32>().is_ok() {
        return Ok(());
    }
    Err(Failure::Message(format!("unknown {what} {name}")))
}

/// Looks at each file, with `-R` at all in it; complains of what is not there or goes wrong.
fn each(
    call: &Call,
    options: &Options,
    names: &[String],
    act: impl Fn(&str, Kind) -> Result<(), String>,
) -> Done {
    if names.is_empty() {
        return Err(Failure::usage());
    }
    let mut code = 0;
    let mut waiting: Vec<String> = names.iter().rev().cloned().collect();
    while let Some(name) = waiting.pop() {
        let path = call.path(&name);
        let found = if options.has('R') || options.has('h') {
            fs::symlink_metadata(&path)
        } else {
            fs::metadata(&path)
        };
        let acted = match &found {
            Ok(metadata) => act(&name, Kind::of(metadata)),
            Err(err) => Err(format!("{name}: {}", reason(err))),
        };
        if let Err(why) = acted {
            call.complain(&why);
            code = 1;
        }
        if options.has('R') && found.is_ok_and(|metadata| metadata.is_dir()) {
            let entries = crate::names::entries(&path).unwrap_or_default();
            let below = entries.iter().rev().map(|entry| format!("{name}/{entry}"));
            waiting.extend(below);
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_owner_loses_cannot_be() {
        let check = |mode: &str, kind, expect: Option<bool>| {
            let takes = Change::parse(mode).ok().map(|change| change.takes(kind));
            assert_eq!(takes, expect, "{mode}");
        };
        for mode in
            ["+x", "a+rx", "755", "644", "0600", "go-rwx", "u=rw,go=", "-x", "u+x,g-w", "+t"]
        {
            check(mode, Kind::File, Some(false));
        }
        for mode in ["000", "444", "-w", "u-r", "a=r", "a=", "=x"] {
            check(mode, Kind::File, Some(true));
        }
        check("-x", Kind::Directory, Some(true));
        check("u=rwX", Kind::Directory, Some(false));
        check("644", Kind::Directory, Some(true));
        for mode in ["", "9", "77777", "zz", "u", "u+q", "x+", "8+x"] {
            check(mode, Kind::File, None);
        }
    }
}

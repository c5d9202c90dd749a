//! `chmod`, `chown`, `chgrp`. WASI has neither modes nor owners. Modes are kept by the host and mean
//! nothing to a container's only user: what would take from it what it can do fails, for a script
//! may rely on it. Of owners only the arguments are checked, so that scripts find their mistakes.

use std::fs;

use sampan_process::system;

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
        let path = call.path(name);
        let before = kind.rights_at(&path, kind != Kind::Link);
        let after = if kind == Kind::Link { before } else { change.of(before, kind) };
        if after != before {
            system::set_mode(&path, after).map_err(|err| format!("{name}: {err}"))?;
        }
        match options.has('v') {
            true if after == before => {
                println!("mode of '{name}' retained as {before:04o} ({})", rights_text(before));
            }
            true => println!(
                "mode of '{name}' changed from {before:04o} ({}) to {after:04o} ({})",
                rights_text(before),
                rights_text(after)
            ),
            false => {}
        }
        Ok(())
    })
}

/// Why a file keeps its owner's rights.
pub const NO_MODES: &str = "WASI knows no modes: the owner's rights cannot be taken away";

fn is_letter(c: char) -> bool {
    "rwxXst".contains(c)
}

/// What `chmod`'s first argument asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// All rights, in octal.
    Exact(u32),
    /// Whose rights, as a mask; `+`, `-` or `=`; and the letters after it.
    Clauses(Vec<(u32, char, String)>),
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
                let whose = |letter, mask| if who.contains(letter) { mask } else { 0 };
                let everyone = who.is_empty() || who.contains('a');
                let mask = whose('u', 0o700) | whose('g', 0o070) | whose('o', 0o007);
                steps.push((if everyone { 0o777 } else { mask }, sign, letters));
            }
        }
        Ok(Self::Clauses(steps))
    }

    /// Whether the owner would lose what it is shown to have. There is nobody else in a container, so
    /// that what others may do does not matter.
    pub fn takes(&self, kind: Kind) -> bool {
        let before = kind.rights();
        before & !self.of(before, kind) & 0o700 != 0
    }

    /// What comes of these rights.
    fn of(&self, before: u32, kind: Kind) -> u32 {
        let steps = match self {
            Self::Exact(rights) => return *rights,
            Self::Clauses(steps) => steps,
        };
        steps.iter().fold(before, |rights, (mask, sign, letters)| {
            let named = letters.chars().fold(0, |all, letter| all | bits(letter, rights, kind));
            let named = (named * 0o111) & mask;
            match sign {
                '+' => rights | named,
                '-' => rights & !named,
                _ => rights & !mask | named,
            }
        })
    }
}

/// Of one of the three.
fn bits(letter: char, rights: u32, kind: Kind) -> u32 {
    match letter {
        'r' => 4,
        'w' => 2,
        'x' => 1,
        'X' => u32::from(kind == Kind::Directory || rights & 0o111 != 0),
        'u' => rights >> 6 & 7,
        'g' => rights >> 3 & 7,
        'o' => rights & 7,
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
    fn clauses_say_whose_rights_change() {
        let check = |mode: &str, before, after| {
            assert_eq!(
                Change::parse(mode).expect("a mode").of(before, Kind::File),
                after,
                "{mode}"
            );
        };
        check("0751", 0o644, 0o751);
        check("+x", 0o644, 0o755);
        check("u+x,go-r", 0o644, 0o700);
        check("go=u", 0o640, 0o666);
        check("a=rX", 0o744, 0o555);
        check("g=", 0o674, 0o604);
    }

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

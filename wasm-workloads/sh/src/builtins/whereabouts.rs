//! Where the shell is, and where programs are: `cd`, `pwd`, `command`, `type`, `hash`.

use std::fs;

use super::fault;
use crate::shell::{Ran, Shell};

pub(super) fn cd(shell: &mut Shell, words: &[String]) -> Ran {
    let mut arguments = words[1..].iter().map(String::as_str);
    let target = arguments.find(|word| !matches!(*word, "-L" | "-P" | "--"));
    let variable =
        |shell: &Shell, name: &str| shell.variables.get(name).unwrap_or_default().to_owned();
    let (name, announce) = match target {
        None => (variable(shell, "HOME"), false),
        Some("-") => (variable(shell, "OLDPWD"), true),
        Some(name) => (name.to_owned(), false),
    };
    let through = through_cdpath(shell, &name);
    let announce = announce || through.is_some();
    let path = through.unwrap_or_else(|| normal(&shell.absolute(&name)));
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return fault(shell, "cd", &format!("can't cd to {name}: Not a directory")),
        Err(_) => {
            return fault(shell, "cd", &format!("can't cd to {name}: No such file or directory"));
        }
    }
    let before = std::mem::replace(&mut shell.directory, path.clone());
    shell.variables.set_quietly("OLDPWD", before);
    shell.variables.set_quietly("PWD", path.clone());
    for name in ["PWD", "OLDPWD"] {
        shell.variables.entry_mut(name).exported = true;
    }
    if announce { super::output::print(shell, format!("{path}\n").as_bytes()) } else { Ok(0) }
}

/// Where a relative name is found by `CDPATH`, if that is elsewhere than here.
fn through_cdpath(shell: &Shell, name: &str) -> Option<String> {
    let dotted = name.split('/').next().is_some_and(|first| first == "." || first == "..");
    if name.starts_with('/') || dotted || name.is_empty() {
        return None;
    }
    let bases = shell.variables.get("CDPATH")?.split(':').filter(|base| !base.is_empty());
    let paths = bases.map(|base| normal(&shell.absolute(&format!("{base}/{name}"))));
    paths.into_iter().find(|path| fs::metadata(path).is_ok_and(|found| found.is_dir()))
}

/// An absolute path without `.`, `..` and doubled slashes, as the user sees it.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

pub(super) fn pwd(shell: &mut Shell, _words: &[String]) -> Ran {
    super::output::print(shell, format!("{}\n", shell.directory).as_bytes())
}

pub(super) fn command(shell: &mut Shell, words: &[String]) -> Ran {
    match words.get(1).map(String::as_str) {
        // As busybox: of several names the first.
        Some("-v") => describe(shell, &words[2..words.len().min(3)], short),
        Some("-V") => describe(shell, &words[2..words.len().min(3)], long),
        Some("-p" | "--") => run(shell, &words[2..]),
        _ => run(shell, &words[1..]),
    }
}

fn run(shell: &mut Shell, words: &[String]) -> Ran {
    let Some(name) = words.first() else { return Ok(0) };
    match super::find(name) {
        Some(builtin) => match (builtin.run)(shell, words) {
            // A fault does not end the shell here, whatever the builtin is.
            Err(crate::shell::Unwind::Error(status)) => Ok(status),
            ran => ran,
        },
        None => Ok(shell.run_program(words)),
    }
}

/// A builtin even where a function has its name.
pub(super) fn builtin(shell: &mut Shell, words: &[String]) -> Ran {
    match words.get(1).map(|name| (name, super::find(name))) {
        None => Ok(0),
        Some((_, Some(_))) => run(shell, &words[1..]),
        Some((name, None)) => {
            shell.complain_as("builtin", &format!("{name}: not a shell builtin"));
            Ok(1)
        }
    }
}

pub(super) fn type_(shell: &mut Shell, words: &[String]) -> Ran {
    describe(shell, &words[1..], long)
}

type Describe = fn(&mut Shell, &str) -> Option<String>;

fn describe(shell: &mut Shell, names: &[String], describe: Describe) -> Ran {
    let (mut lines, mut status) = (String::new(), 0);
    for name in names {
        match describe(shell, name) {
            Some(line) => lines += &format!("{line}\n"),
            None => status = 127,
        }
        if lines.ends_with(": not found\n") {
            status = 127;
        }
    }
    let written = super::output::print(shell, lines.as_bytes())?;
    Ok(if written == 0 { status } else { written })
}

fn short(shell: &mut Shell, name: &str) -> Option<String> {
    if let Some(text) = shell.aliases.borrow().get(name) {
        return Some(format!("alias {name}={}", crate::shell::quote(text)));
    }
    let own = shell.functions.contains_key(name) || super::find(name).is_some() || is_keyword(name);
    if own { Some(name.to_owned()) } else { shell.find_program(name) }
}

fn long(shell: &mut Shell, name: &str) -> Option<String> {
    if is_keyword(name) {
        return Some(format!("{name} is a shell keyword"));
    }
    if let Some(text) = shell.aliases.borrow().get(name) {
        return Some(format!("{name} is an alias for {text}"));
    }
    if shell.functions.contains_key(name) {
        return Some(format!("{name} is a function"));
    }
    if let Some(builtin) = super::find(name) {
        let special = if builtin.special { "special " } else { "" };
        return Some(format!("{name} is a {special}shell builtin"));
    }
    let path = shell.find_program(name);
    Some(path.map_or_else(|| format!("{name}: not found"), |path| format!("{name} is {path}")))
}

fn is_keyword(name: &str) -> bool {
    crate::syntax::RESERVED.contains(&name)
}

pub(super) fn hash(shell: &mut Shell, words: &[String]) -> Ran {
    for name in &words[1..] {
        if name != "-r" && shell.find_program(name).is_none() {
            shell.complain_as("hash", &format!("{name}: not found"));
            return Ok(1);
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_normal() {
        let check = |path: &str, expect: &str| assert_eq!(normal(path), expect);
        check("/", "/");
        check("/a/./b//c/../d/", "/a/b/d");
        check("/../..", "/");
    }
}

//! What changes where the shell goes on: `exit`, `return`, `break`, `eval`, `.`, `exec`, `trap`.

use super::{fault, number};
use crate::shell::{Ran, Shell, Unwind, quote, signals};

pub(super) fn exit(shell: &mut Shell, words: &[String]) -> Ran {
    let status = status(shell, words)?;
    Err(Unwind::Exit(status))
}

pub(super) fn return_(shell: &mut Shell, words: &[String]) -> Ran {
    let status = status(shell, words)?;
    // Outside of a function or a sourced file it ends the script.
    Err(Unwind::Return(status))
}

fn status(shell: &Shell, words: &[String]) -> Ran {
    match words.get(1) {
        Some(text) => match number(shell, &words[0], text)? {
            status @ 0.. => Ok(status & 0xff),
            _ => fault(shell, &words[0], &format!("Illegal number: {text}")),
        },
        None => Ok(shell.status),
    }
}

pub(super) fn break_loop(shell: &mut Shell, words: &[String]) -> Ran {
    let levels = levels(shell, words)?;
    if levels == 0 { Ok(0) } else { Err(Unwind::Break(levels)) }
}

pub(super) fn continue_loop(shell: &mut Shell, words: &[String]) -> Ran {
    let levels = levels(shell, words)?;
    if levels == 0 { Ok(0) } else { Err(Unwind::Continue(levels)) }
}

/// How many loops: at most those there are; none outside of any.
fn levels(shell: &Shell, words: &[String]) -> Result<u32, Unwind> {
    let Some(text) = words.get(1) else { return Ok(shell.loops.min(1)) };
    match number(shell, &words[0], text)? {
        1.. => Ok(text.parse().unwrap_or(u32::MAX).min(shell.loops)),
        _ => fault(shell, &words[0], &format!("Illegal number: {text}")).map(|_| 0),
    }
}

pub(super) fn eval(shell: &mut Shell, words: &[String]) -> Ran {
    let line = shell.line;
    shell.run_text(&words[1..].join(" "), line)
}

pub(super) fn source(shell: &mut Shell, words: &[String]) -> Ran {
    let Some(name) = words.get(1) else { return Ok(0) };
    let path = if name.contains('/') {
        name.clone()
    } else {
        shell.find_program(name).unwrap_or_else(|| name.clone())
    };
    let text = match shell.source_file(&path) {
        Ok(text) => text,
        Err(err) => return fault(shell, &words[0], &format!("can't open '{name}': {err}")),
    };
    let arguments = (words.len() > 2).then(|| words[2..].to_vec());
    let positional = arguments.map(|arguments| std::mem::replace(&mut shell.positional, arguments));
    let ran = shell.run_text(&text, 1);
    if let Some(positional) = positional {
        shell.positional = positional;
    }
    match ran {
        Err(Unwind::Return(status)) => Ok(status),
        ran => ran,
    }
}

/// A process cannot become another program here: it waits for it and ends with it.
pub(super) fn exec(shell: &mut Shell, words: &[String]) -> Ran {
    let Some(name) = words.get(1) else { return Ok(0) };
    if shell.find_program(name).is_none() {
        shell.complain_as("exec", &format!("{name}: not found"));
        return Err(Unwind::Exit(127));
    }
    shell.traps.remove("EXIT");
    Err(Unwind::Exit(shell.run_program(&words[1..])))
}

pub(super) fn trap(shell: &mut Shell, words: &[String]) -> Ran {
    let arguments = match words.get(1).map(String::as_str) {
        Some("--") => &words[2..],
        Some("-p") if words.len() == 2 => &[],
        _ => &words[1..],
    };
    let Some(action) = arguments.first() else {
        let lines =
            shell.traps.iter().map(|(name, action)| format!("trap -- {} {name}\n", quote(action)));
        let lines: String = lines.collect();
        return super::output::print(shell, lines.as_bytes());
    };
    // A number alone, or first, is a signal to be put back.
    let resets = action == "-" || arguments.len() == 1 || action.parse::<u8>().is_ok();
    let names = if action == "-" || !resets { &arguments[1..] } else { arguments };
    let mut status = 0;
    for name in names {
        let known = if name == signals::ERR { Some(signals::ERR) } else { named(name) };
        match known {
            Some(known) => shell.set_trap(known, (!resets).then(|| action.clone())),
            None => {
                shell.complain_as("trap", &format!("{name}: invalid signal specification"));
                status = 1;
            }
        }
    }
    Ok(status)
}

fn named(name: &str) -> Option<&'static str> {
    signals::signal(name).map(|(_, name)| name)
}

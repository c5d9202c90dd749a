//! `export`, `readonly`, `local`, `unset`, `shift`, `let`.

use super::{fault, number};
use crate::shell::{Ran, Shell, Variable, quote};
use crate::syntax::is_name;

pub(super) fn export(shell: &mut Shell, words: &[String]) -> Ran {
    mark(shell, words, |variable| &mut variable.exported)
}

pub(super) fn readonly(shell: &mut Shell, words: &[String]) -> Ran {
    mark(shell, words, |variable| &mut variable.read_only)
}

fn mark(shell: &mut Shell, words: &[String], field: fn(&mut Variable) -> &mut bool) -> Ran {
    let mut on = true;
    let mut names = Vec::new();
    for word in &words[1..] {
        match word.as_str() {
            "-n" => on = false,
            "-p" | "--" => {}
            name => names.push(name),
        }
    }
    if names.is_empty() {
        let marked = |variable: &Variable| *field(&mut variable.clone());
        let lines = shell.variables.iter().filter(|(_, variable)| marked(variable)).map(
            |(name, variable)| {
                let value = variable.value.as_ref().map(|value| format!("={}", quote(value)));
                format!("{} {name}{}\n", words[0], value.unwrap_or_default())
            },
        );
        let lines: String = lines.collect();
        return super::output::print(shell, lines.as_bytes());
    }
    for word in names {
        let name = assign_if_given(shell, &words[0], word)?;
        *field(shell.variables.entry_mut(&name)) = on;
    }
    Ok(0)
}

/// Does `name=value`; the name.
fn assign_if_given(
    shell: &mut Shell,
    builtin: &str,
    word: &str,
) -> Result<String, crate::shell::Unwind> {
    let (name, value) =
        word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    if !is_name(name) {
        fault(shell, builtin, &format!("{name}: bad variable name"))?;
    }
    if let Some(value) = value {
        shell
            .assign(name, value.to_owned())
            .or_else(|message| fault(shell, builtin, &message).map(|_| ()))?;
    }
    Ok(name.to_owned())
}

pub(super) fn local(shell: &mut Shell, words: &[String]) -> Ran {
    if shell.calls.is_empty() {
        return fault(shell, "local", "not in a function");
    }
    for word in &words[1..] {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name).to_owned();
        let before = shell.variables.entry(&name).cloned();
        if let Some(locals) = shell.calls.last_mut()
            && !locals.iter().any(|(known, _)| *known == name)
        {
            locals.push((name, before));
        }
        assign_if_given(shell, "local", word)?;
    }
    Ok(0)
}

pub(super) fn unset(shell: &mut Shell, words: &[String]) -> Ran {
    let (mut functions, mut names) = (false, Vec::new());
    for word in &words[1..] {
        match word.as_str() {
            "-f" => functions = true,
            "-v" | "--" => functions = false,
            name => names.push(name),
        }
    }
    for name in names {
        if functions {
            shell.functions.remove(name);
        } else if !is_name(name) {
            return fault(shell, "unset", &format!("{name}: bad variable name"));
        } else if let Err(message) = shell.variables.unset(name) {
            return fault(shell, "unset", &message);
        } else if name == "PATH" {
            let _ = shell.assign("PATH", String::new());
            let _ = shell.variables.unset("PATH");
        }
    }
    Ok(0)
}

pub(super) fn shift(shell: &mut Shell, words: &[String]) -> Ran {
    let count = match words.get(1) {
        Some(text) => number(shell, "shift", text)?,
        None => 1,
    };
    let Ok(count) = usize::try_from(count) else {
        return fault(shell, "shift", &format!("Illegal number: {count}"));
    };
    if count > shell.positional.len() {
        return Ok(1);
    }
    shell.positional.drain(..count);
    Ok(0)
}

pub(super) fn let_(shell: &mut Shell, words: &[String]) -> Ran {
    let mut value = 0;
    for word in &words[1..] {
        value = shell.calculate_text(word)?;
    }
    Ok(i32::from(value == 0))
}

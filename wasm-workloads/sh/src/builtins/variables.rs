//! `export`, `readonly`, `local`, `unset`, `shift`, `let`.

use super::{fault, number};
use crate::shell::{Ran, Shell, Unwind, Variable};
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
                let value = variable.value.as_ref().map(|value| format!("={}", value.quoted()));
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
fn assign_if_given(shell: &mut Shell, builtin: &str, word: &str) -> Result<String, Unwind> {
    let (name, value) =
        word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    let (name, before) = match (name.strip_suffix('+'), value) {
        (Some(name), Some(_)) => (name, shell.value(name).unwrap_or_default()),
        _ => (name, String::new()),
    };
    if !is_name(name) {
        fault(shell, builtin, &format!("{name}: bad variable name"))?;
    }
    if let Some(value) = value {
        shell
            .assign(name, before + value)
            .or_else(|message| fault(shell, builtin, &message).map(|_| ()))?;
    }
    Ok(name.to_owned())
}

pub(super) fn local(shell: &mut Shell, words: &[String]) -> Ran {
    if shell.calls.is_empty() {
        return fault(shell, "local", "not in a function");
    }
    for word in &words[1..] {
        match word.as_str() {
            "-" => {}
            word if word.starts_with('-') => return declare(shell, words),
            word => make_local(shell, "local", word)?,
        }
    }
    Ok(0)
}

fn make_local(shell: &mut Shell, builtin: &str, word: &str) -> Result<(), Unwind> {
    let name = word.split_once('=').map_or(word, |(name, _)| name).trim_end_matches('+').to_owned();
    let before = shell.variables.entry(&name).cloned();
    if let Some(call) = shell.calls.last_mut()
        && !call.locals.iter().any(|(known, _)| *known == name)
    {
        let exported = before.as_ref().is_some_and(|variable| variable.exported);
        call.locals.push((name.clone(), before));
        // Unset, but still exported if it was.
        let _ = shell.variables.unset(&name);
        shell.variables.entry_mut(&name).exported = exported;
    }
    assign_if_given(shell, builtin, word).map(|_| ())
}

/// Also `typeset`: of bash's letters those that mean something without bash's types.
pub(super) fn declare(shell: &mut Shell, words: &[String]) -> Ran {
    let (mut letters, mut names) = (String::new(), Vec::new());
    for word in &words[1..] {
        match word.strip_prefix(['-', '+']).filter(|rest| !rest.is_empty() && names.is_empty()) {
            Some("-") => {}
            Some(more) if word.starts_with('-') => letters += more,
            Some(_) => {}
            None => names.push(word.as_str()),
        }
    }
    if let Some(unknown) = letters.chars().find(|letter| !"arxpfFg".contains(*letter)) {
        let why = match unknown {
            'A' => "associative arrays are not supported".to_owned(),
            unknown => format!("illegal option -{unknown}"),
        };
        return fault(shell, &words[0], &why);
    }
    let has = |letter| letters.contains(letter);
    if has('f') || has('F') {
        return list_functions(shell, &names, has('F'));
    }
    if has('p') || names.is_empty() {
        return list_declared(shell, &words[0], &names);
    }
    for word in names {
        if shell.calls.is_empty() || has('g') {
            assign_if_given(shell, &words[0], word)?;
        } else {
            make_local(shell, &words[0], word)?;
        }
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        if has('a') && shell.variables.array(name).is_none() && !word.contains('=') {
            let set = shell.variables.set_array(name, Default::default());
            set.or_else(|message| fault(shell, &words[0], &message).map(|_| ()))?;
        }
        let variable = shell.variables.entry_mut(name);
        variable.exported |= has('x');
        variable.read_only |= has('r');
    }
    Ok(0)
}

fn list_functions(shell: &Shell, names: &[&str], names_only: bool) -> Ran {
    let mut text = String::new();
    for (name, function) in &shell.functions {
        if names.is_empty() || names.contains(&name.as_str()) {
            text += &match (names_only, names.is_empty()) {
                (true, true) => format!("declare -f {name}\n"),
                (true, false) => format!("{name}\n"),
                (false, _) => format!("{}\n", function.source.text),
            };
        }
    }
    let missing = names.iter().any(|name| !shell.functions.contains_key(*name));
    super::output::print(shell, text.as_bytes())?;
    Ok(i32::from(missing))
}

fn list_declared(shell: &Shell, builtin: &str, names: &[&str]) -> Ran {
    let mut text = String::new();
    for (name, variable) in shell.variables.iter() {
        if names.is_empty() || names.contains(&name.as_str()) {
            text += &variable.declaration(name);
        }
    }
    super::output::print(shell, text.as_bytes())?;
    match names.iter().find(|name| shell.variables.entry(name).is_none()) {
        Some(name) => fault(shell, builtin, &format!("{name}: not found")).or(Ok(1)),
        None => Ok(0),
    }
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
        } else if let Some((name, index)) =
            name.strip_suffix(']').and_then(|name| name.split_once('['))
        {
            unset_element(shell, name, index)?;
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

fn unset_element(shell: &mut Shell, name: &str, index: &str) -> Result<(), Unwind> {
    if index == "@" || index == "*" {
        return shell.variables.unset(name).or_else(|message| shell.fail(&message));
    }
    let at = shell.calculate_text(index)?;
    let end = shell.variables.array(name).and_then(|array| array.last_key_value());
    let at = if at < 0 { at + end.map_or(0, |(last, _)| *last as i64 + 1) } else { at };
    match usize::try_from(at) {
        Ok(at) => {
            let unset = shell.variables.unset_element(name, at);
            unset.or_else(|message| shell.fail(&message))
        }
        Err(_) => shell.fail(&format!("{name}: bad array subscript")),
    }
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

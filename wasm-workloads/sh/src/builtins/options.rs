//! `set`, `umask`, `getopts`.

use super::fault;
use crate::shell::options::{LETTERS, NAMES};
use crate::shell::{Ran, Shell};
use crate::syntax::is_name;

pub(super) fn set(shell: &mut Shell, words: &[String]) -> Ran {
    if words.len() == 1 {
        let lines = shell.variables.iter().filter_map(|(name, variable)| {
            variable.value.as_ref().map(|value| format!("{name}={}\n", value.quoted()))
        });
        let lines: String = lines.collect();
        return super::output::print(shell, lines.as_bytes());
    }
    if let Some(positional) = set_options(shell, &words[1..])? {
        shell.positional = positional;
    }
    Ok(0)
}

/// Takes options as `set` and `sh` have them; the arguments after them, if there are any or `--`
/// says so.
pub fn set_options(
    shell: &mut Shell,
    arguments: &[String],
) -> Result<Option<Vec<String>>, crate::shell::Unwind> {
    let mut rest = arguments.iter();
    while let Some(word) = rest.clone().next() {
        let on = word.starts_with('-');
        if word == "--" || word == "-" {
            rest.next();
            return Ok(Some(rest.cloned().collect()));
        }
        let Some(letters) = word.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty())
        else {
            break;
        };
        rest.next();
        for letter in letters.chars() {
            if letter == 'o' {
                match rest.next() {
                    Some(name) => named(shell, name, on)?,
                    None => list(shell, on),
                }
            } else if LETTERS.contains(letter) {
                shell.options.change(letter, on);
            } else {
                fault(shell, "set", &format!("illegal option -{letter}"))?;
            }
        }
    }
    Ok((rest.len() > 0).then(|| rest.cloned().collect()))
}

fn named(shell: &mut Shell, name: &str, on: bool) -> Result<(), crate::shell::Unwind> {
    if !shell.options.change_named(name, on) {
        fault(shell, "set", &format!("illegal option -o {name}"))?;
    }
    Ok(())
}

fn list(shell: &Shell, readable: bool) {
    let lines = NAMES.iter().map(|(name, letter)| match (readable, shell.options.has(*letter)) {
        (true, on) => format!("{name:<16}{}\n", if on { "on" } else { "off" }),
        (false, on) => format!("set {}o {name}\n", if on { '-' } else { '+' }),
    });
    let _ = shell.write(1, lines.collect::<String>().as_bytes());
}

pub(super) fn getopts(shell: &mut Shell, words: &[String]) -> Ran {
    let [_, letters, name, given @ ..] = words else {
        return fault(shell, "getopts", "usage: getopts optstring var [arg]");
    };
    if !is_name(name) {
        return fault(shell, "getopts", &format!("{name}: bad variable name"));
    }
    let arguments = if given.is_empty() { shell.positional.clone() } else { given.to_vec() };
    let index =
        shell.variables.get("OPTIND").and_then(|text| text.parse().ok()).unwrap_or(1_usize).max(1);
    let found = next_option(letters, &arguments, index, shell.options_index);
    let silent = letters.starts_with(':');
    if let Found::Bad(letter) | Found::Missing(letter) = &found
        && !silent
    {
        let message = match &found {
            Found::Bad(_) => format!("Illegal option -{letter}\n"),
            _ => format!("No arg for -{letter} option\n"),
        };
        let _ = shell.write(2, message.as_bytes());
    }
    let (value, argument, next, within) = match found {
        Found::End(index) => ("?".to_owned(), None, index, 0),
        Found::Option { letter, argument, index, within } => {
            (letter.to_string(), argument, index, within)
        }
        Found::Bad(letter) => {
            let (next, within) = after(&arguments, index, shell.options_index);
            ("?".to_owned(), silent.then(|| letter.to_string()), next, within)
        }
        Found::Missing(letter) => {
            let value = if silent { ":" } else { "?" };
            (value.to_owned(), silent.then(|| letter.to_string()), index + 1, 0)
        }
    };
    let ended = value == "?"
        && within == 0
        && matches!(next_option(letters, &arguments, index, shell.options_index), Found::End(_));
    shell.variables.set_quietly("OPTIND", next.to_string());
    match argument {
        Some(argument) => shell.variables.set_quietly("OPTARG", argument),
        None => {
            let _ = shell.variables.unset("OPTARG");
        }
    }
    shell.options_index = within;
    shell.assign(name, value).or_else(|message| shell.fail(&message))?;
    Ok(i32::from(ended))
}

enum Found {
    End(usize),
    Option { letter: char, argument: Option<String>, index: usize, within: usize },
    Bad(char),
    Missing(char),
}

/// The option at `index` (from 1), `within` letters into it.
fn next_option(letters: &str, arguments: &[String], index: usize, within: usize) -> Found {
    let Some(word) = arguments.get(index - 1) else { return Found::End(index) };
    if word == "--" {
        return Found::End(index + 1);
    }
    let Some(options) = word.strip_prefix('-').filter(|options| !options.is_empty()) else {
        return Found::End(index);
    };
    let Some(letter) = options.chars().nth(within) else { return Found::End(index) };
    let Some(at) = letters.find(letter).filter(|_| letter != ':') else {
        return Found::Bad(letter);
    };
    if !letters[at + letter.len_utf8()..].starts_with(':') {
        let (index, within) = after(arguments, index, within);
        return Found::Option { letter, argument: None, index, within };
    }
    let rest: String = options.chars().skip(within + 1).collect();
    if !rest.is_empty() {
        return Found::Option { letter, argument: Some(rest), index: index + 1, within: 0 };
    }
    match arguments.get(index) {
        Some(argument) => {
            Found::Option { letter, argument: Some(argument.clone()), index: index + 2, within: 0 }
        }
        None => Found::Missing(letter),
    }
}

/// Where the next option is.
fn after(arguments: &[String], index: usize, within: usize) -> (usize, usize) {
    let letters = arguments.get(index - 1).map_or(0, |word| word.chars().count().saturating_sub(1));
    if within + 1 < letters { (index, within + 1) } else { (index + 1, 0) }
}

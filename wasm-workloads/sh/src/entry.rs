//! How the shell is called, and where its commands come from.

use sampan_process as process;

use crate::builtins::set_options;
use crate::shell::{Ran, Shell, Unwind};
use crate::syntax::Parser;

/// Runs a shell; its exit code.
pub fn main(arguments: Vec<String>) -> u8 {
    let name = arguments.first().cloned().unwrap_or_else(|| "sh".to_owned());
    let mut shell = Shell::new(name);
    let ran = match process::state() {
        Some(state) => shell.continue_from(&state),
        None => from_arguments(&mut shell, arguments.get(1..).unwrap_or_default()),
    };
    shell.finish(ran) as u8
}

fn from_arguments(shell: &mut Shell, arguments: &[String]) -> Ran {
    let Some(call) = call(shell, arguments) else { return Err(Unwind::Exit(2)) };
    match call {
        // Lines of a command are counted from 0, as busybox does.
        Call::Command(text) => shell.run_text(&text, 0),
        Call::Script(path) => {
            let text = match shell.source_file(&path) {
                Ok(text) => text,
                Err(err) => {
                    shell.complain(&format!("can't open '{path}': {err}"));
                    return Err(Unwind::Exit(2));
                }
            };
            shell.name = path;
            shell.in_script = true;
            shell.run_text(&text, 1)
        }
        Call::StandardInput => {
            shell.interactive |= shell.is_terminal(0) && shell.is_terminal(2);
            read_commands(shell)
        }
    }
}

enum Call {
    Command(String),
    Script(String),
    StandardInput,
}

/// What the arguments ask for; `None` after a message.
fn call(shell: &mut Shell, arguments: &[String]) -> Option<Call> {
    let (mut command, mut standard_input) = (false, false);
    let mut rest = arguments;
    while let Some((word, after)) = rest.split_first() {
        if word == "--" {
            rest = after;
            break;
        }
        let Some(letters) = word.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty())
        else {
            break;
        };
        rest = after;
        if letters == "o" {
            let option = rest.first().cloned().into_iter();
            set_options(shell, &[word.clone()].into_iter().chain(option).collect::<Vec<_>>())
                .ok()?;
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        for letter in letters.chars() {
            match letter {
                'c' => command = true,
                's' => standard_input = true,
                'i' => shell.interactive = true,
                // A login shell has no profile to read.
                'l' => {}
                letter if "efnxvCabum".contains(letter) => {
                    shell.options.change(letter, word.starts_with('-'));
                }
                letter => {
                    shell.complain(&format!("illegal option -{letter}"));
                    return None;
                }
            }
        }
    }
    let mut rest = rest.iter().cloned();
    if command {
        let Some(text) = rest.next() else {
            shell.complain("-c requires an argument");
            return None;
        };
        shell.options.change('c', true);
        shell.name = rest.next().unwrap_or_else(|| shell.name.clone());
        shell.positional = rest.collect();
        return Some(Call::Command(text));
    }
    let script = if standard_input { None } else { rest.next() };
    shell.positional = rest.collect();
    Some(script.map_or(Call::StandardInput, Call::Script))
}

/// Runs commands from standard input as they are read; what follows one belongs to it.
fn read_commands(shell: &mut Shell) -> Ran {
    let (mut text, mut line, mut status) = (String::new(), 1, 0);
    loop {
        prompt(shell, text.is_empty());
        let more = shell.read_line();
        let ended = more.is_empty();
        text.push_str(&more);
        if ended && text.is_empty() {
            return Ok(status);
        }
        if text.ends_with("\\\n") && !ended {
            continue;
        }
        let mut parser = Parser::new(&text, line).with_aliases(&shell.aliases);
        let parsed = parser.next_line();
        let waits = parser.is_waiting();
        line = if ended { line } else { parser.line() };
        match parsed {
            Err(err) if err.incomplete && !ended => {
                line -= text.matches('\n').count().min(line as usize - 1) as u32;
                continue;
            }
            Ok(Some(_)) if waits && !ended => {
                line -= text.matches('\n').count().min(line as usize - 1) as u32;
                continue;
            }
            Err(err) => {
                shell.line = err.line;
                let _ = shell.fail::<()>(&err.to_string());
                status = 2;
                shell.status = 2;
                if !shell.interactive {
                    return Err(Unwind::Error(2));
                }
            }
            Ok(None) => {}
            Ok(Some(list)) => match shell.run_list(&list) {
                Ok(ran) => status = ran,
                Err(Unwind::Error(ran)) if shell.interactive => {
                    status = ran;
                    shell.status = ran;
                }
                Err(unwind) => return Err(unwind),
            },
        }
        text.clear();
    }
}

fn prompt(shell: &mut Shell, first: bool) {
    if !shell.interactive {
        return;
    }
    let prompt = shell.variables.get(if first { "PS1" } else { "PS2" }).unwrap_or("$ ").to_owned();
    let home = shell.variables.get("HOME").unwrap_or_default().to_owned();
    let directory = match shell.directory.strip_prefix(&home) {
        Some(rest) if home.len() > 1 && (rest.is_empty() || rest.starts_with('/')) => {
            format!("~{rest}")
        }
        _ => shell.directory.clone(),
    };
    let host = shell.variables.get("HOSTNAME").unwrap_or("localhost").to_owned();
    let prompt = prompt
        .replace("\\w", &directory)
        .replace("\\$", "#")
        .replace("\\h", &host)
        .replace("\\u", "root");
    let prompt = shell.expand_prompt(&prompt);
    let _ = shell.write(2, prompt.as_bytes());
}

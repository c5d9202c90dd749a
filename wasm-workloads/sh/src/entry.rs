//! How the shell is called, and where its commands come from.

use sampan_process as process;

use crate::builtins::set_options;
use crate::interactive::Entered;
use crate::shell::{INTERRUPTED, Ran, Shell, Unwind};
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
    let (mut text, mut line) = (String::new(), 1);
    if shell.interactive {
        let ran = shell.start_session();
        recover(shell, ran)?;
    }
    let mut status = shell.status;
    loop {
        if text.is_empty() {
            shell.tell_of_jobs();
        }
        let ended = match shell.enter_line(text.is_empty()) {
            Entered::Line(more) => {
                text.push_str(&more);
                false
            }
            Entered::Interrupted => {
                text.clear();
                (status, shell.status) = (INTERRUPTED, INTERRUPTED);
                continue;
            }
            Entered::End if text.is_empty() => return Ok(status),
            Entered::End => true,
            Entered::TimedOut => {
                let _ = shell.write(2, b"\x07timed out waiting for input: auto-logout\n");
                return Ok(status);
            }
        };
        if text.ends_with("\\\n") && !ended {
            continue;
        }
        let mut parser = Parser::new(&text, line).with_aliases(&shell.aliases);
        let parsed = parser.next_line();
        let waits = parser.is_waiting();
        line = if ended { line } else { parser.line() };
        let incomplete = match &parsed {
            Err(err) => err.incomplete,
            Ok(list) => list.is_some() && waits,
        };
        if incomplete && !ended {
            line -= text.matches('\n').count().min(line as usize - 1) as u32;
            continue;
        }
        shell.remember(&text);
        let ran = match parsed {
            Ok(None) => Ok(status),
            Ok(Some(list)) => shell.run_list(&list),
            Err(err) => {
                shell.line = err.line;
                shell.fail(&err.to_string())
            }
        };
        status = recover(shell, ran)?;
        text.clear();
    }
}

/// An interactive shell goes on after a fault, and after ^C.
fn recover(shell: &mut Shell, ran: Ran) -> Ran {
    let status = match ran {
        Err(Unwind::Error(status)) if shell.interactive => status,
        Err(Unwind::Interrupt) => {
            // The terminal has shown ^C only.
            let _ = shell.write(2, b"\n");
            INTERRUPTED
        }
        ran => return ran,
    };
    shell.status = status;
    Ok(status)
}

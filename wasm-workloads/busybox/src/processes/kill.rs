//! `kill` and `killall`.

use sampan_process::signals::TERMINATE;
use sampan_process::{self as process, system};

use super::{short_name, signal_names};
use crate::call::{Call, Done, Failure, print};

/// Takes `-9`, `-KILL`, `-s KILL` or `-n 9` away from the front of the arguments.
pub(super) fn take_signal(arguments: &mut Vec<String>) -> Result<u8, Failure> {
    let bad = |name: &str| Failure::Message(format!("bad signal name '{name}'"));
    let Some(word) = arguments.first().and_then(|word| word.strip_prefix('-')) else {
        return Ok(TERMINATE);
    };
    let (name, words) = match word {
        "-" | "" => return Ok(TERMINATE),
        "s" | "n" => (arguments.get(1).cloned().ok_or_else(Failure::usage)?, 2),
        word => (word.to_owned(), 1),
    };
    let signal = signal_names::number(&name).ok_or_else(|| bad(&name))?;
    arguments.drain(..words);
    Ok(signal)
}

/// `-l`, for both.
pub(super) fn listed(arguments: &[String]) -> Option<Done> {
    let (first, rest) = arguments.split_first()?;
    (first == "-l").then(|| match signal_names::list(rest) {
        Ok(text) => print(text),
        Err(word) => Err(Failure::Message(format!("unknown signal '{word}'"))),
    })
}

fn nobody() -> Failure {
    Failure::Message("you need to specify whom to kill".to_owned())
}

pub fn kill(call: &Call) -> Done {
    let mut arguments = call.arguments().to_vec();
    if let Some(done) = listed(&arguments) {
        return done;
    }
    let signal = take_signal(&mut arguments)?;
    if arguments.first().is_some_and(|word| word == "--") {
        arguments.remove(0);
    }
    if arguments.is_empty() {
        return Err(nobody());
    }
    let mut code = 0;
    for word in &arguments {
        let Ok(target) = word.parse::<i32>() else {
            call.complain(&format!("invalid number '{word}'"));
            code = 1;
            continue;
        };
        if !send(target, signal) {
            call.complain(&format!("can't kill pid {target}: No such process"));
            code = 1;
        }
    }
    Ok(code)
}

/// As the system call: 0 is the own group, -1 everyone but oneself.
fn send(target: i32, signal: u8) -> bool {
    match target {
        0 => system::kill(-(process::group() as i32), signal),
        -1 => {
            let others = system::processes();
            let others = others.iter().filter(|other| ![1, process::pid()].contains(&other.pid));
            others.filter(|other| system::kill(other.pid as i32, signal)).count() > 0
        }
        target => system::kill(target, signal),
    }
}

pub fn killall(call: &Call) -> Done {
    let mut arguments = call.arguments().to_vec();
    if let Some(done) = listed(&arguments) {
        return done;
    }
    let quiet = arguments.first().is_some_and(|word| word == "-q");
    if quiet {
        arguments.remove(0);
    }
    let signal = take_signal(&mut arguments)?;
    if arguments.is_empty() {
        return Err(nobody());
    }
    let processes = system::processes();
    let mut code = 0;
    for name in &arguments {
        let named = processes
            .iter()
            .filter(|other| other.pid != process::pid() && short_name(other) == name);
        if named.filter(|other| system::kill(other.pid as i32, signal)).count() == 0 {
            code = 1;
            if !quiet {
                call.complain(&format!("{name}: no process killed"));
            }
        }
    }
    Ok(code)
}

//! Background processes: `wait`, `kill`, `jobs`.

use sampan_process::{self as process, system};

use super::number;
use crate::shell::signals::{SIGNALS, signal};
use crate::shell::{Ran, Shell, Unwind};

pub(super) fn wait(shell: &mut Shell, words: &[String]) -> Ran {
    match words.get(1).map(String::as_str) {
        None => wait_for_all(shell),
        Some("-n") => match shell.wait_for_any() {
            Some(at) => Ok(shell.jobs.remove(at).status.unwrap_or(0)),
            None => Ok(127),
        },
        Some(_) => {
            let mut status = 0;
            for word in &words[1..] {
                status = match find(shell, "wait", word)? {
                    Some(at) => wait_for(shell, at)?,
                    None => 127,
                };
            }
            Ok(status)
        }
    }
}

/// A signal's trap ends the wait; the jobs that go on stay.
fn wait_for_all(shell: &mut Shell) -> Ran {
    while !shell.jobs.is_empty() {
        let status = wait_for(shell, 0)?;
        if status > 128 && shell.jobs.first().is_some_and(|job| job.status.is_none()) {
            return Ok(status);
        }
    }
    Ok(0)
}

fn wait_for(shell: &mut Shell, at: usize) -> Ran {
    let status = shell.wait_for_job(at)?;
    if shell.jobs.get(at).is_some_and(|job| job.status.is_some()) {
        shell.jobs.remove(at);
    }
    Ok(status)
}

/// A job by its process or by `%n`.
fn find(shell: &Shell, builtin: &str, word: &str) -> Result<Option<usize>, Unwind> {
    if let Some(n) = word.strip_prefix('%') {
        let at = match n {
            "" | "%" | "+" => shell.jobs.len().checked_sub(1),
            "-" => shell.jobs.len().checked_sub(2),
            n => shell.jobs.iter().position(|job| n.parse() == Ok(job.number)),
        };
        return Ok(at.filter(|at| *at < shell.jobs.len()));
    }
    if builtin == "kill" && word.parse::<i32>().is_err() {
        super::output::complain(shell, &format!("invalid number '{word}'"));
        return Err(Unwind::Error(1));
    }
    let pid = number(shell, builtin, word)?;
    Ok(shell.jobs.iter().position(|job| i64::from(job.child.pid()) == i64::from(pid)))
}

pub(super) fn jobs(shell: &mut Shell, _words: &[String]) -> Ran {
    for job in &mut shell.jobs {
        job.ended();
    }
    let lines: String = (0..shell.jobs.len()).rev().map(|at| shell.describe_job(at)).collect();
    let _ = shell.write(1, lines.as_bytes());
    shell.jobs.retain(|job| job.status.is_none());
    Ok(0)
}

/// `fg`: waits for a job as for a command.
pub(super) fn foreground(shell: &mut Shell, words: &[String]) -> Ran {
    let Some(at) = one(shell, words)? else { return Ok(2) };
    let job = shell.jobs.remove(at);
    super::output::print(shell, format!("{}\n", job.text).as_bytes())?;
    Ok(shell.wait_in_foreground(job))
}

/// `bg`: jobs cannot be stopped here, so that all of them run.
pub(super) fn background(shell: &mut Shell, words: &[String]) -> Ran {
    let Some(at) = one(shell, words)? else { return Ok(2) };
    let job = &shell.jobs[at];
    super::output::print(shell, format!("[{}] {}\n", job.number, job.text).as_bytes())
}

/// The job of an argument, or the last; nothing after a message.
fn one(shell: &mut Shell, words: &[String]) -> Result<Option<usize>, Unwind> {
    shell.jobs.retain_mut(|job| job.ended().is_none());
    let word = words.get(1).map_or("%", String::as_str);
    let job = find(shell, &words[0], word)?;
    if job.is_none() {
        let missing = match words.get(1) {
            Some(word) => format!("{word}: no such job"),
            None => "No current job".to_owned(),
        };
        shell.complain_as(&words[0], &missing);
    }
    Ok(job)
}

pub(super) fn kill(shell: &mut Shell, words: &[String]) -> Ran {
    let mut arguments = &words[1..];
    let mut number = 15;
    if let Some(option) = arguments.first().and_then(|word| word.strip_prefix('-')) {
        arguments = &arguments[1..];
        if option == "l" {
            return list_signals(shell, arguments);
        }
        let mut name = option;
        if let ("s" | "n", Some((first, rest))) = (option, arguments.split_first()) {
            (name, arguments) = (first, rest);
        }
        match signal(name) {
            _ if option == "-" => {}
            Some((n, _)) => number = n,
            None => {
                super::output::complain(shell, &format!("bad signal name '{name}'"));
                return Ok(1);
            }
        }
    }
    if arguments.is_empty() {
        super::output::complain(shell, "you need to specify whom to kill");
        return Ok(1);
    }
    let mut status = 0;
    for word in arguments {
        status = status.max(kill_one(shell, word, number)?);
    }
    Ok(status)
}

/// All signals, or the names of numbers (an exit status too) and the numbers of names.
fn list_signals(shell: &mut Shell, words: &[String]) -> Ran {
    let mut text = String::new();
    for word in words {
        let number = word.parse::<u32>().ok();
        let found = number.map_or_else(|| signal(word), |n| signal(&(n & 0x7f).to_string()));
        text += &match (number, found) {
            (Some(_), Some((_, name))) => format!("{name}\n"),
            (None, Some((number, _))) => format!("{number}\n"),
            (_, None) => {
                super::output::complain(shell, &format!("unknown signal '{word}'"));
                return Ok(1);
            }
        };
    }
    if words.is_empty() {
        text = SIGNALS[1..].iter().map(|(n, name)| format!("{n:2}) {name}\n")).collect();
    }
    super::output::print(shell, text.as_bytes())
}

fn kill_one(shell: &mut Shell, word: &str, signal: u8) -> Ran {
    let target = match find(shell, "kill", word) {
        Ok(Some(at)) if shell.jobs[at].ended().is_none() => {
            let job = &shell.jobs[at];
            let whole = job.grouped && word.starts_with('%');
            job.child.pid() as i32 * if whole { -1 } else { 1 }
        }
        Ok(None) if word == "0" => -(process::group() as i32),
        Ok(None) => match word.parse() {
            Ok(pid) if pid == process::pid() as i32 => return shell.signal_self(signal),
            Ok(pid) => pid,
            Err(_) => 0,
        },
        Ok(Some(_)) => 0,
        Err(_) => return Ok(1),
    };
    if target != 0 && system::kill(target, signal) {
        return Ok(0);
    }
    super::output::complain(shell, &format!("can't kill pid {word}: No such process"));
    Ok(1)
}

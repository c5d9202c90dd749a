//! Background processes: `wait`, `kill`, `jobs`.

use super::number;
use crate::shell::{Job, Ran, Shell, Unwind};

/// Signals by number; what ends a guest ends it at once, whatever its name.
const SIGNALS: &[(u8, &str)] = &[
    (0, "EXIT"),
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (4, "ILL"),
    (5, "TRAP"),
    (6, "ABRT"),
    (8, "FPE"),
    (9, "KILL"),
    (10, "USR1"),
    (11, "SEGV"),
    (12, "USR2"),
    (13, "PIPE"),
    (14, "ALRM"),
    (15, "TERM"),
    (17, "CHLD"),
    (18, "CONT"),
    (19, "STOP"),
    (20, "TSTP"),
    (28, "WINCH"),
];

/// The name of a signal, by its number or its name with or without `SIG`.
pub(super) fn signal_name(text: &str) -> Option<&'static str> {
    signal(text).map(|(_, name)| name)
}

fn signal(text: &str) -> Option<(u8, &'static str)> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = SIGNALS.iter().find(|(n, known)| *known == name || text.parse() == Ok(*n));
    found.copied()
}

impl Job {
    /// Its exit status, once it has ended.
    fn ended(&mut self) -> Option<i32> {
        self.status = self.status.or_else(|| self.child.try_wait());
        self.status
    }

    fn wait(&mut self) -> i32 {
        *self.status.get_or_insert_with(|| self.child.wait())
    }
}

pub(super) fn wait(shell: &mut Shell, words: &[String]) -> Ran {
    if words.len() == 1 {
        for mut job in std::mem::take(&mut shell.jobs) {
            job.wait();
        }
        return Ok(0);
    }
    let mut status = 0;
    for word in &words[1..] {
        status = match find(shell, "wait", word)? {
            Some(at) => shell.jobs.remove(at).wait(),
            None => 127,
        };
    }
    Ok(status)
}

/// A job by its process or by `%n`.
fn find(shell: &Shell, builtin: &str, word: &str) -> Result<Option<usize>, Unwind> {
    if let Some(n) = word.strip_prefix('%') {
        let last = shell.jobs.len().checked_sub(1);
        let at = if matches!(n, "" | "%" | "+") {
            last
        } else {
            n.parse::<usize>().ok().and_then(|n| n.checked_sub(1))
        };
        return Ok(at.filter(|at| *at < shell.jobs.len()));
    }
    let pid = number(shell, builtin, word)?;
    Ok(shell.jobs.iter().position(|job| i64::from(job.child.pid()) == i64::from(pid)))
}

pub(super) fn jobs(shell: &mut Shell, _words: &[String]) -> Ran {
    let mut lines = String::new();
    for (n, job) in shell.jobs.iter_mut().enumerate() {
        let state = match job.ended() {
            None => "Running".to_owned(),
            Some(0) => "Done".to_owned(),
            Some(status) => format!("Done({status})"),
        };
        lines += &format!("[{}]   {state:<26} {}\n", n + 1, job.text);
    }
    let _ = shell.write(1, lines.as_bytes());
    shell.jobs.retain(|job| job.status.is_none());
    Ok(0)
}

pub(super) fn kill(shell: &mut Shell, words: &[String]) -> Ran {
    let mut arguments = &words[1..];
    let mut number = 15;
    if let Some(option) = arguments.first().and_then(|word| word.strip_prefix('-')) {
        arguments = &arguments[1..];
        if option == "l" {
            let names = SIGNALS[1..].iter().map(|(n, name)| format!("{n:2}) {name}\n"));
            let _ = shell.write(1, names.collect::<String>().as_bytes());
            return Ok(0);
        }
        let mut name = option;
        if let ("s", Some((first, rest))) = (option, arguments.split_first()) {
            (name, arguments) = (first, rest);
        }
        match signal(name) {
            _ if option == "-" => {}
            Some((n, _)) => number = n,
            None => {
                shell.complain(&format!("bad signal name '{name}'"));
                return Ok(1);
            }
        }
    }
    let mut status = 0;
    for word in arguments {
        status = status.max(kill_one(shell, word, number)?);
    }
    Ok(status)
}

fn kill_one(shell: &mut Shell, word: &str, signal: u8) -> Ran {
    if word == shell.pid.to_string() || word == "0" {
        // A signal that does nothing to a guest unless it is caught.
        let harmless = matches!(signal, 0 | 17 | 18 | 28);
        return if harmless { Ok(0) } else { Err(Unwind::Exit(128 + i32::from(signal))) };
    }
    if !word.starts_with('%') && word.parse::<i32>().is_err() {
        shell.complain(&format!("invalid number '{word}'"));
        return Ok(1);
    }
    let job = find(shell, "kill", word)?.and_then(|at| shell.jobs.get_mut(at));
    match job.map(|job| (job.ended(), job)) {
        Some((None, job)) => {
            if signal != 0 {
                job.child.kill(signal);
            }
            Ok(0)
        }
        _ => {
            shell.complain(&format!("can't kill pid {word}: No such process"));
            Ok(1)
        }
    }
}

//! Traps: what a signal, the end of the shell or a failure has it do.

use std::time::Duration;

use sampan_process::signals::{self, Disposition};

use super::{INTERRUPTED, Ran, Shell, Unwind};
use crate::interactive::own_disposition;

/// Signals by number; 0 is the shell's own end.
pub const SIGNALS: &[(u8, &str)] = &[
    (0, "EXIT"),
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (4, "ILL"),
    (5, "TRAP"),
    (6, "ABRT"),
    (7, "BUS"),
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
    (21, "TTIN"),
    (22, "TTOU"),
    (28, "WINCH"),
];

/// The trap of bash's that is no signal: a command failed where `set -e` would end the shell.
pub const ERR: &str = "ERR";

/// A signal by its number or its name, with or without `SIG`.
pub fn signal(text: &str) -> Option<(u8, &'static str)> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS.iter().find(|(n, known)| *known == name || text.parse() == Ok(*n)).copied()
}

fn name(number: u8) -> Option<&'static str> {
    SIGNALS.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

/// Signals that do nothing to a process that does not catch them.
fn is_harmless(number: u8) -> bool {
    matches!(number, 0 | 17..=22 | 28)
}

impl Shell {
    /// `None` puts the signal back to what it does by itself.
    pub fn set_trap(&mut self, name: &str, action: Option<String>) {
        let own = ["INT", "QUIT", "TERM"].contains(&name) && self.session.is_some();
        if let Some((number @ 1.., _)) = signal(name) {
            let disposition = match &action {
                None if own => own_disposition(number),
                None => Disposition::Default,
                Some(action) if action.is_empty() => Disposition::Ignore,
                Some(_) => Disposition::Catch,
            };
            signals::handle(number, disposition);
        }
        match action {
            Some(action) => self.traps.insert(name.to_owned(), action),
            None => self.traps.remove(name),
        };
    }

    /// Runs the traps of the signals that have come; the last of them, or ^C, as 128 and its number.
    pub fn run_traps(&mut self) -> Result<Option<i32>, Unwind> {
        let mut last = None;
        while let Some(number) = self.take_signal() {
            last = Some(128 + i32::from(number));
            if let Some(name) = name(number) {
                self.run_trap(name)?;
            }
        }
        Ok(if self.interrupted { Some(INTERRUPTED) } else { last })
    }

    fn take_signal(&mut self) -> Option<u8> {
        self.is_interrupted();
        if self.sent.is_empty() { None } else { Some(self.sent.remove(0)) }
    }

    /// Takes the signals that came, for their traps; whether ^C is to end what the shell does. A
    /// shell that someone sits at is not ended by the others that it catches.
    pub fn is_interrupted(&mut self) -> bool {
        if self.session.is_some() || !self.traps.is_empty() {
            while let Some(number) = signals::take() {
                if name(number).is_some_and(|name| self.traps.contains_key(name)) {
                    self.sent.push(number);
                } else {
                    self.interrupted |= number == signals::INTERRUPT;
                }
            }
        }
        self.interrupted
    }

    /// A trap leaves `$?` as it was.
    pub(super) fn run_trap(&mut self, name: &str) -> Result<(), Unwind> {
        let Some(action) = self.traps.get(name).filter(|action| !action.is_empty()).cloned() else {
            return Ok(());
        };
        let (status, line) = (self.status, self.line);
        let ran = self.run_text(&action, line);
        (self.status, self.line) = (status, line);
        ran.map(|_| ())
    }

    /// A signal that this shell sends itself takes effect before the next command.
    pub fn signal_self(&mut self, number: u8) -> Ran {
        match name(number).and_then(|name| self.traps.get(name)) {
            Some(action) if action.is_empty() && number != signals::KILL => Ok(0),
            Some(_) if number != signals::KILL => {
                self.sent.push(number);
                Ok(0)
            }
            _ if is_harmless(number) => Ok(0),
            _ => {
                // A signal's end is not an exit.
                self.traps.remove("EXIT");
                Err(Unwind::Exit(128 + i32::from(number)))
            }
        }
    }

    /// Waits for a job unless a caught signal comes first: then its trap is run, and the status
    /// tells of it.
    pub fn wait_for_job(&mut self, at: usize) -> Ran {
        if let Some(status) = self.jobs[at].ended() {
            return Ok(status);
        }
        loop {
            if let Some(status) = self.jobs[at].child.wait_or_signal() {
                self.jobs[at].status = Some(status);
                return Ok(status);
            }
            if let Some(status) = self.run_traps()? {
                return Ok(status);
            }
        }
    }

    /// Waits for whichever job ends first; its place. There is nothing to wait for several
    /// processes by, so that they are asked in turns.
    pub fn wait_for_any(&mut self) -> Option<usize> {
        const TURN: Duration = Duration::from_millis(5);
        if self.jobs.is_empty() {
            return None;
        }
        loop {
            if let Some(at) = self.jobs.iter_mut().position(|job| job.ended().is_some()) {
                return Some(at);
            }
            if self.is_interrupted() {
                return None;
            }
            std::thread::sleep(TURN);
        }
    }
}

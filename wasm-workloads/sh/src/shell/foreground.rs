//! Jobs of a shell that someone sits at: process groups, who the terminal's signals reach, and what
//! ^C does to the shell itself.

use sampan_process::{Error, Handle, signals, system};

use super::{Job, Shell, Unwind};

/// 128 and the signal of ^C.
pub const INTERRUPTED: i32 = 130;

impl Shell {
    /// The process group of a new job: one of its own, if this shell controls jobs.
    pub(super) fn job_group(&self) -> Option<u32> {
        self.session.as_ref().filter(|session| session.controls_jobs()).map(|_| 0)
    }

    /// A process of a job was started that this shell is to wait for; the group of the next ones.
    pub(super) fn bring_forward(&mut self, group: Option<u32>, pid: u32) -> Option<u32> {
        let leader = group.map(|group| if group == 0 { pid } else { group })?;
        if let Some(session) = self.session.as_ref().filter(|_| group == Some(0)) {
            session.give_terminal(leader);
        }
        // ^C came while the terminal was still the shell's: it was meant for the job.
        if self.is_interrupted() {
            system::kill(-(leader as i32), signals::INTERRUPT);
        }
        Some(leader)
    }

    /// A job that this shell waited for has ended with these statuses.
    pub(super) fn end_foreground(&mut self, statuses: &[i32]) {
        let Some(session) = &mut self.session else { return };
        let killed = statuses.iter().find(|status| **status > 128).copied();
        session.take_terminal(killed.is_some());
        if statuses.contains(&INTERRUPTED) {
            self.interrupted = true;
        } else if let Some(word) = killed.and_then(signal_word) {
            let _ = self.write(2, format!("{word}\n").as_bytes());
        }
    }

    /// Waits for a background job as for one in the foreground.
    pub fn wait_in_foreground(&mut self, mut job: Job) -> i32 {
        let group = self.job_group();
        self.bring_forward(group, job.child.pid());
        let status = job.wait();
        self.end_foreground(&[status]);
        status
    }

    /// Between commands: ^C ends all of them.
    pub fn check_signals(&mut self) -> Result<(), Unwind> {
        if self.is_interrupted() {
            self.interrupted = false;
            return Err(Unwind::Interrupt);
        }
        Ok(())
    }

    /// All of it, up to the end or to ^C.
    pub(super) fn read_all(&mut self, handle: &Handle) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            match handle.read(65536) {
                Ok(chunk) if !chunk.is_empty() => bytes.extend(chunk),
                Err(Error::Interrupted) if !self.is_interrupted() => {}
                _ => return bytes,
            }
        }
    }

    /// Says which background jobs have ended since it was last said.
    pub fn tell_of_jobs(&mut self) {
        if self.session.is_none() {
            return;
        }
        let ended: Vec<usize> =
            (0..self.jobs.len()).rev().filter(|at| self.jobs[*at].ended().is_some()).collect();
        let lines: String = ended.iter().map(|at| self.describe_job(*at)).collect();
        let _ = self.write(2, lines.as_bytes());
        self.jobs.retain(|job| job.status.is_none());
    }

    /// `[1]+  Running                    sleep 100`
    pub fn describe_job(&self, at: usize) -> String {
        let job = &self.jobs[at];
        let mark = match self.jobs.len() - at {
            1 => '+',
            2 => '-',
            _ => ' ',
        };
        let state = match job.status {
            None => "Running".to_owned(),
            Some(0) => "Done".to_owned(),
            Some(status) => {
                signal_word(status).map_or_else(|| format!("Done({status})"), str::to_owned)
            }
        };
        format!("[{}]{mark}  {state:<27}{}\n", job.number, job.text)
    }
}

impl Job {
    pub fn wait(&mut self) -> i32 {
        *self.status.get_or_insert_with(|| self.child.wait())
    }
}

/// What ended a process, in the C library's words.
fn signal_word(status: i32) -> Option<&'static str> {
    Some(match status - 128 {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        6 => "Aborted",
        9 => "Killed",
        11 => "Segmentation fault",
        15 => "Terminated",
        _ => return None,
    })
}

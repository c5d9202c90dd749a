//! Pipelines, subshells, substitutions and background jobs: everything that is a process of its own.

use std::cell::RefCell;
use std::rc::Rc;

use sampan_process::{self as process, Child, Command as Spawn, Handle, SpawnError};

use super::{Ran, Shell, Stream, Unwind};
use crate::builtins;
use crate::syntax::{
    Command, Item, Kind, List, Operator, Parser, Piece, RedirectKind, Simple, Source, Word,
};

/// A background process.
#[derive(Debug)]
pub struct Job {
    /// As `%1`.
    pub number: u32,
    pub child: Child,
    /// It is a process group of its own.
    pub grouped: bool,
    pub text: String,
    /// Its end has been asked for by `wait`.
    pub status: Option<i32>,
}

impl Job {
    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.status = self.status.or_else(|| self.child.try_wait());
        self.status
    }
}

/// A stage that has been set going, or is still to be done by this shell.
enum Stage {
    Child(Child),
    /// It did not start; this is its status.
    Failed(i32),
    /// A builtin that only writes: done here, once all readers run.
    Here {
        words: Vec<String>,
        stdout: Handle,
    },
}

impl Shell {
    /// `(…)`
    pub(super) fn run_subshell(&mut self, command: &Command) -> Ran {
        let group = self.job_group();
        let (stdin, stdout, stderr) = (self.handle(0), self.handle(1), self.handle(2));
        let child = match self.start_shell(&command.source, &stdin, &stdout, &stderr, group) {
            Ok(child) => child,
            Err(status) => return Ok(status),
        };
        self.bring_forward(group, child.pid());
        let status = child.wait();
        self.end_foreground(&[status]);
        Ok(status)
    }

    /// `a | b | …`; the status of the last one.
    pub(super) fn run_stages(&mut self, stages: &[Rc<Command>]) -> Ran {
        let mut running = Vec::new();
        let mut input = self.handle(0);
        let mut group = self.job_group();
        for (n, command) in stages.iter().enumerate() {
            let last = n + 1 == stages.len();
            let (next, output) = if last {
                (process::null(), self.handle(1))
            } else {
                process::pipe().or_else(|err| self.fail(&format!("pipe: {err}")))?
            };
            let stage = self.start_stage(command, &input, output, n == 0, group);
            if let Stage::Child(child) = &stage {
                group = self.bring_forward(group, child.pid());
            }
            running.push(stage);
            input = next;
        }
        drop(input);
        let here: Vec<usize> =
            (0..running.len()).filter(|n| matches!(running[*n], Stage::Here { .. })).collect();
        for n in here {
            if let Stage::Here { words, stdout } =
                std::mem::replace(&mut running[n], Stage::Failed(0))
            {
                running[n] = Stage::Failed(self.run_here(&words, stdout));
            }
        }
        let statuses: Vec<i32> = running
            .iter()
            .map(|stage| match stage {
                Stage::Child(child) => child.wait(),
                Stage::Failed(status) => *status,
                Stage::Here { .. } => 0,
            })
            .collect();
        self.pipe_status.clone_from(&statuses);
        self.end_foreground(&statuses);
        let failed = statuses.iter().rev().find(|status| **status != 0);
        let last = statuses.last().copied().unwrap_or(0);
        Ok(if self.options.pipefail() { failed.copied().unwrap_or(0) } else { last })
    }

    fn start_stage(
        &mut self,
        command: &Command,
        stdin: &Handle,
        stdout: Handle,
        first: bool,
        group: Option<u32>,
    ) -> Stage {
        if let Some(simple) = plain(command)
            && let Ok(words) = self.expand_words(&simple.words)
            && let Some(name) = words.first()
            && !self.functions.contains_key(name)
        {
            match builtins::find(name) {
                // The first reads nothing of the pipe, so it may write while the others read.
                Some(builtin) if builtin.only_writes && first => {
                    return Stage::Here { words, stdout };
                }
                Some(_) => {}
                None => {
                    let started = self.start(&words, stdin, &stdout, &self.handle(2), group);
                    return match started {
                        Ok(child) => Stage::Child(child),
                        Err(err) => Stage::Failed(self.report(&err)),
                    };
                }
            }
        }
        let stderr = self.handle(2);
        self.start_shell(&command.source, stdin, &stdout, &stderr, group)
            .map_or_else(Stage::Failed, Stage::Child)
    }

    fn run_here(&mut self, words: &[String], stdout: Handle) -> i32 {
        let Some(builtin) = builtins::find(&words[0]) else { return 127 };
        let mut saved = Vec::new();
        self.set_stream(1, Some(Stream::Handle(stdout)), &mut saved);
        let ran = self.run_builtin(builtin, words);
        self.restore(saved);
        status_of(ran)
    }

    /// Another shell that continues this one with `source`; an error is reported, and its status.
    pub(super) fn start_shell(
        &self,
        source: &Source,
        stdin: &Handle,
        stdout: &Handle,
        stderr: &Handle,
        group: Option<u32>,
    ) -> Result<Child, i32> {
        let command = Spawn {
            program: process::own_program(),
            args: vec![self.program.clone()],
            env: self.variables.environment(),
            cwd: self.directory.clone(),
            state: Some(self.hand_over(source)),
            others: self.other_handles(),
            group,
        };
        process::spawn(command, stdin, stdout, stderr).map_err(|err| {
            let why = match err {
                SpawnError::Limit => "Resource temporarily unavailable".to_owned(),
                SpawnError::NotFound => format!("{} not found", process::own_program()),
                SpawnError::NotExecutable(why) | SpawnError::Other(why) => why,
            };
            self.complain(&format!("can't fork: {why}"));
            2
        })
    }

    /// `list &`
    pub(super) fn run_background(&mut self, item: &Item) -> i32 {
        // Nothing can be stopped for reading the terminal in the background.
        let stdin = process::null();
        let group = self.job_group();
        let (stdout, stderr) = (self.handle(1), self.handle(2));
        let words = match item.first.stages.as_slice() {
            [command] if item.rest.is_empty() && !item.first.negated => {
                plain(command).and_then(|simple| self.expand_words(&simple.words).ok())
            }
            _ => None,
        };
        let program = words.filter(|words| {
            words.first().is_some_and(|name| {
                !self.functions.contains_key(name) && builtins::find(name).is_none()
            })
        });
        let started = match program {
            Some(words) => {
                let started = self.start(&words, &stdin, &stdout, &stderr, group);
                started.map_err(|err| self.report(&err))
            }
            None => self.start_shell(&item.source, &stdin, &stdout, &stderr, group),
        };
        match started {
            Ok(child) => {
                self.last_background = Some(child.pid());
                self.add_job(child, &item.source.text);
                0
            }
            Err(status) => status,
        }
    }

    fn add_job(&mut self, child: Child, text: &str) {
        let is_free = |number: &u32| self.jobs.iter().all(|job| job.number != *number);
        let number = (1..).find(is_free).unwrap_or(u32::MAX);
        let grouped = self.job_group().is_some();
        if self.session.is_some() {
            let _ = self.write(2, format!("[{number}] {}\n", child.pid()).as_bytes());
        }
        self.jobs.push(Job { number, child, grouped, text: text.to_owned(), status: None });
    }

    /// The output of `$(…)`, without the newlines at its end.
    pub(super) fn substitute(&mut self, source: &Rc<str>) -> Result<String, Unwind> {
        let (bytes, status) = match Parser::new(source, self.line).next_line() {
            Ok(None) => (Vec::new(), 0),
            Ok(Some(list)) => self.substitute_one(&list, source)?,
            // The shell that runs it reports the fault.
            Err(_) => self.output_of_shell(source)?,
        };
        self.substitution = Some(status);
        self.check_signals()?;
        let mut text = String::from_utf8_lossy(&bytes).replace('\0', "");
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }

    /// A single plain command needs no shell around it.
    fn substitute_one(&mut self, list: &List, source: &Rc<str>) -> Result<(Vec<u8>, i32), Unwind> {
        if let Some(read) = self.read_file(list) {
            return read;
        }
        let simple = match list.0.as_slice() {
            [item] if item.rest.is_empty() && !item.background && !item.first.negated => {
                match item.first.stages.as_slice() {
                    // The list is only the first line of the source.
                    [command] if *item.source.text == *source.trim() => plain(command),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some(simple) = simple.filter(|_| !self.options.has('x')) else {
            return self.output_of_shell(source);
        };
        // What fails in expansion ends the subshell, not this one.
        let words = match self.expand_words(&simple.words) {
            Ok(words) => words,
            Err(Unwind::Exit(status) | Unwind::Error(status)) => return Ok((Vec::new(), status)),
            Err(_) => return Ok((Vec::new(), 0)),
        };
        let Some(name) = words.first() else { return Ok((Vec::new(), 0)) };
        match builtins::find(name) {
            _ if self.functions.contains_key(name) => self.output_of_shell(source),
            Some(builtin) if builtin.only_writes => Ok(self.captured(builtin, &words)),
            Some(_) => self.output_of_shell(source),
            None => {
                let (read, write) =
                    process::pipe().or_else(|err| self.fail(&format!("pipe: {err}")))?;
                let started = self.start(&words, &self.handle(0), &write, &self.handle(2), None);
                drop(write);
                Ok(match started {
                    Ok(child) => (self.read_all(&read), child.wait()),
                    Err(err) => (Vec::new(), self.report(&err)),
                })
            }
        }
    }

    /// `$(<file)`: what is in it.
    fn read_file(&mut self, list: &List) -> Option<Result<(Vec<u8>, i32), Unwind>> {
        let [item] = list.0.as_slice() else { return None };
        let [command] = item.first.stages.as_slice() else { return None };
        let (Kind::Simple(simple), [redirect]) = (&command.kind, command.redirects.as_slice())
        else {
            return None;
        };
        let bare = simple.words.is_empty() && simple.assignments.is_empty();
        if !bare || !item.rest.is_empty() || !matches!(redirect.kind, RedirectKind::Read(_)) {
            return None;
        }
        let saved = match self.redirect(&command.redirects) {
            Ok(Ok(saved)) => saved,
            Ok(Err(())) => return Some(Ok((Vec::new(), 1))),
            Err(unwind) => return Some(Err(unwind)),
        };
        let bytes = self.read_all(&self.handle(redirect.fd));
        self.restore(saved);
        Some(Ok((bytes, 0)))
    }

    fn captured(&mut self, builtin: &builtins::Builtin, words: &[String]) -> (Vec<u8>, i32) {
        let buffer = Rc::new(RefCell::new(Vec::new()));
        let mut saved = Vec::new();
        self.set_stream(1, Some(Stream::Capture(Rc::clone(&buffer))), &mut saved);
        let ran = self.run_builtin(builtin, words);
        self.restore(saved);
        (buffer.take(), status_of(ran))
    }

    fn output_of_shell(&mut self, source: &Rc<str>) -> Result<(Vec<u8>, i32), Unwind> {
        let source = Source { text: Rc::clone(source), late: Vec::new() };
        let (read, write) = process::pipe().or_else(|err| self.fail(&format!("pipe: {err}")))?;
        let child = self.start_shell(&source, &self.handle(0), &write, &self.handle(2), None);
        drop(write);
        Ok(match child {
            Ok(child) => (self.read_all(&read), child.wait()),
            Err(status) => (Vec::new(), status),
        })
    }
}

impl Shell {
    /// A file to read what `<(…)` writes. There are no names for pipes here, so that it is written
    /// to its end first; `>(…)` cannot be had so.
    pub(super) fn process_file(
        &mut self,
        source: &Rc<str>,
        writes: bool,
    ) -> Result<String, Unwind> {
        if writes {
            return self.fail("process substitution >(…) is not supported: pipe into the command");
        }
        let (bytes, _) = self.output_of_shell(source)?;
        let path = super::redirect::temporary_path();
        let written = process::open(&path, process::OpenMode::WriteNew)
            .and_then(|handle| handle.write(&bytes));
        written.or_else(|err| self.fail(&format!("can't create {path}: {err}")))?;
        self.process_files.push(path.clone());
        Ok(path)
    }
}

/// The status of a builtin that ran in a process's stead: its end is not this shell's.
fn status_of(ran: Ran) -> i32 {
    match ran {
        Ok(status) | Err(Unwind::Exit(status) | Unwind::Error(status)) => status,
        Err(_) => 2,
    }
}

/// A simple command that this shell may expand in a subshell's stead: words only, and none of them
/// changes the shell.
fn plain(command: &Command) -> Option<&Simple> {
    let Kind::Simple(simple) = &command.kind else { return None };
    let words = command.redirects.is_empty() && simple.assignments.is_empty();
    (words && simple.words.iter().all(is_pure)).then_some(simple)
}

fn is_pure(word: &Word) -> bool {
    word.0.iter().all(|piece| match piece {
        Piece::Literal(_) | Piece::Quoted(_) | Piece::Command { .. } => true,
        // It may assign, or start something.
        Piece::Arithmetic { .. } | Piece::Process { .. } => false,
        Piece::Parameter { parameter, .. }
            if parameter.index.is_some() || parameter.name == "BASHPID" =>
        {
            false
        }
        Piece::Parameter { operator, .. } => match operator {
            Operator::Value | Operator::Length => true,
            Operator::Default { word, .. } | Operator::Alternative { word, .. } => is_pure(word),
            Operator::RemovePrefix { pattern, .. } | Operator::RemoveSuffix { pattern, .. } => {
                is_pure(pattern)
            }
            Operator::Replace { pattern, replacement, .. } => {
                is_pure(pattern) && is_pure(replacement)
            }
            Operator::Assign { .. }
            | Operator::Error { .. }
            | Operator::Substring { .. }
            | Operator::Case { .. }
            | Operator::Transform(_)
            | Operator::Names
            | Operator::Indices
            | Operator::Bad => false,
        },
    })
}

//! Running commands in this process.

use sampan_process::OpenMode;

use super::variables::Variable;
use super::{Call, Function, INTERRUPTED, Ran, Shell, Unwind, signals};
use crate::builtins;
use crate::syntax::{Assignment, Command, Connector, Item, Kind, List, Parser, Pipeline, Simple};

/// Functions in functions: deeper ones would exhaust a guest's stack.
const CALLS_MAX: usize = 200;

impl Shell {
    /// Runs a script's text; the status of its last command.
    pub fn run_text(&mut self, text: &str, line: u32) -> Ran {
        self.run_parsed(Parser::new(text, line).with_aliases(&self.aliases))
    }

    pub(super) fn run_parsed(&mut self, mut parser: Parser) -> Ran {
        let mut status = 0;
        loop {
            let parsed = parser.next_line();
            let taken = parser.taken();
            if self.options.has('v') {
                let _ = self.write(2, taken.as_bytes());
            }
            match parsed {
                Ok(Some(_)) if self.options.has('n') && !self.interactive => {}
                Ok(Some(list)) => status = self.run_list(&list)?,
                Ok(None) => return Ok(status),
                Err(err) => {
                    self.line = err.line;
                    return self.fail(&err.to_string());
                }
            }
        }
    }

    pub fn run_list(&mut self, list: &List) -> Ran {
        let mut status = 0;
        for item in &list.0 {
            if self.options.has('n') && !self.interactive {
                break;
            }
            status = if item.background { self.run_background(item) } else { self.run_item(item)? };
            self.status = status;
            self.run_traps()?;
        }
        Ok(status)
    }

    pub(super) fn run_item(&mut self, item: &Item) -> Ran {
        let last = item.rest.len();
        let mut status = self.run_pipeline(&item.first, last > 0)?;
        for (n, (connector, pipeline)) in item.rest.iter().enumerate() {
            if (*connector == Connector::And) == (status == 0) {
                status = self.run_pipeline(pipeline, n + 1 < last)?;
            }
        }
        Ok(status)
    }

    /// A condition does not end the shell under `set -e`, nor does a negated pipeline.
    fn run_pipeline(&mut self, pipeline: &Pipeline, condition: bool) -> Ran {
        let unchecked = condition || pipeline.negated;
        self.unchecked += u32::from(unchecked);
        let ran = match pipeline.stages.as_slice() {
            [command] => {
                let ran = self.run_command(command);
                self.pipe_status.clear();
                self.pipe_status.extend(ran.as_ref().ok());
                ran
            }
            stages => self.run_stages(stages),
        };
        self.unchecked -= u32::from(unchecked);
        let mut status = ran?;
        self.check_signals()?;
        if pipeline.negated {
            status = i32::from(status == 0);
        }
        self.status = status;
        let compound =
            matches!(pipeline.stages.as_slice(), [command] if is_transparent(&command.kind));
        if status != 0 && !unchecked && !compound && self.unchecked == 0 {
            self.run_trap(signals::ERR)?;
            if self.options.has('e') {
                return Err(Unwind::Exit(status));
            }
        }
        Ok(status)
    }

    pub(super) fn run_command(&mut self, command: &Command) -> Ran {
        let files = self.process_files.len();
        let ran = self.run_kind(command);
        for path in self.process_files.drain(files..) {
            // The command may have removed it.
            let _ = std::fs::remove_file(path);
        }
        ran
    }

    fn run_kind(&mut self, command: &Command) -> Ran {
        self.line = command.line;
        if let Kind::Simple(simple) = &command.kind {
            return self.run_simple(simple, command);
        }
        if matches!(command.kind, Kind::Subshell(_)) && !std::mem::take(&mut self.is_subshell) {
            // Its redirections are in its source: the subshell makes them.
            return self.run_subshell(command);
        }
        let Ok(saved) = self.redirect(&command.redirects)? else { return Ok(1) };
        let ran = self.run_compound(&command.kind, command);
        self.restore(saved);
        ran
    }

    fn run_simple(&mut self, simple: &Simple, command: &Command) -> Ran {
        self.substitution = None;
        let words = self.expand_words(&simple.words)?;
        let Some(name) = words.first() else { return self.run_assignments(simple, command) };
        let function = self.functions.get(name).cloned();
        let builtin = if function.is_some() { None } else { builtins::find(name) };
        let Ok(saved) = self.redirect(&command.redirects)? else {
            // A special builtin's redirections are part of the shell's own life.
            let special = builtin.is_some_and(|builtin| builtin.special && name != "exec");
            return if special { Err(Unwind::Error(2)) } else { Ok(1) };
        };
        let special = builtin.is_some_and(|builtin| builtin.special);
        let before = match self.assign_for(simple, special) {
            Ok(before) => before,
            Err(unwind) => {
                self.restore(saved);
                return Err(unwind);
            }
        };
        self.trace(&simple.assignments, &words);
        self.last_argument = words.last().cloned().unwrap_or_default();
        let ran = match (function, builtin) {
            (Some(function), _) => self.call(&function, &words),
            (None, Some(builtin)) => self.run_declaring(builtin, &words, simple),
            (None, None) => Ok(self.run_program(&words)),
        };
        for (name, variable) in before.into_iter().rev() {
            self.variables.restore(name, variable);
        }
        // `exec` with redirections only makes them last.
        if name == "exec" && words.len() == 1 {
            drop(saved);
        } else {
            self.restore(saved);
        }
        ran
    }

    /// A builtin with arrays among its arguments: marked first, then filled; `readonly` the other
    /// way round.
    fn run_declaring(
        &mut self,
        builtin: &builtins::Builtin,
        words: &[String],
        simple: &Simple,
    ) -> Ran {
        let read_only = words[0] == "readonly" || words.iter().any(|word| word == "-r");
        let arrays = || simple.declared.iter();
        if read_only {
            arrays().try_for_each(|array| self.make_assignment(array))?;
            return self.run_builtin(builtin, words);
        }
        let status = self.run_builtin(builtin, words)?;
        arrays().try_for_each(|array| self.make_assignment(array))?;
        Ok(status)
    }

    pub(super) fn run_builtin(&mut self, builtin: &builtins::Builtin, words: &[String]) -> Ran {
        match (builtin.run)(self, words) {
            // A fault in a regular builtin is a failed command.
            Err(Unwind::Error(status)) if !builtin.special => Ok(status),
            ran => ran,
        }
    }

    fn run_assignments(&mut self, simple: &Simple, command: &Command) -> Ran {
        for assignment in &simple.assignments {
            self.make_assignment(assignment)?;
        }
        self.trace(&simple.assignments, &[]);
        let Ok(saved) = self.redirect(&command.redirects)? else { return Ok(1) };
        self.restore(saved);
        Ok(self.substitution.take().unwrap_or(0))
    }

    /// Assignments before a command hold while it runs; before a special builtin they stay.
    fn assign_for(
        &mut self,
        simple: &Simple,
        special: bool,
    ) -> Result<Vec<(String, Option<Variable>)>, Unwind> {
        let mut before = Vec::new();
        for assignment in &simple.assignments {
            let name = &assignment.name;
            if !special {
                before.push((name.clone(), self.variables.entry(name).cloned()));
            }
            self.make_assignment(assignment)?;
            if !special {
                self.variables.entry_mut(name).exported = true;
            }
        }
        Ok(before)
    }

    fn call(&mut self, function: &Function, words: &[String]) -> Ran {
        if self.calls.len() >= CALLS_MAX {
            return self.fail("functions nested too deeply");
        }
        let positional = std::mem::replace(&mut self.positional, words[1..].to_vec());
        let loops = std::mem::take(&mut self.loops);
        self.calls.push(Call { name: words[0].clone(), locals: Vec::new() });
        let ran = self.run_command(&function.body);
        for (name, variable) in self.calls.pop().unwrap_or_default().locals.into_iter().rev() {
            self.variables.restore(name, variable);
        }
        self.loops = loops;
        self.positional = positional;
        match ran {
            Err(Unwind::Return(status)) => Ok(status),
            // There is no loop around the call.
            Err(Unwind::Break(_) | Unwind::Continue(_)) => Ok(0),
            ran => ran,
        }
    }

    /// `set -x`
    fn trace(&mut self, assignments: &[Assignment], words: &[String]) {
        if !self.options.has('x') {
            return;
        }
        let prefix = self.variables.get("PS4").unwrap_or("+ ").to_owned();
        let mut line = self.expand_prompt(&prefix);
        let values = assignments.iter().map(|Assignment { name, .. }| {
            let value = self.variables.get(name).unwrap_or_default();
            if value.is_empty() {
                format!("{name}=")
            } else {
                format!("{name}={}", quote_if_needed(value))
            }
        });
        let words = words.iter().map(|word| quote_if_needed(word));
        line.push_str(&values.chain(words).collect::<Vec<_>>().join(" "));
        line.push('\n');
        let _ = self.write(2, line.as_bytes());
    }

    /// `. file`
    pub fn source_file(&mut self, path: &str) -> Result<String, sampan_process::Error> {
        let handle = sampan_process::open(&self.absolute(path), OpenMode::Read)?;
        let mut bytes = Vec::new();
        loop {
            let chunk = handle.read(65536)?;
            if chunk.is_empty() {
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            bytes.extend(chunk);
        }
    }

    /// `trap … EXIT`; the shell's last status.
    pub fn finish(&mut self, ran: Ran) -> i32 {
        let mut status = match ran {
            Ok(status)
            | Err(Unwind::Return(status) | Unwind::Exit(status) | Unwind::Error(status)) => status,
            Err(Unwind::Break(_) | Unwind::Continue(_)) => 0,
            Err(Unwind::Interrupt) => INTERRUPTED,
        };
        if let Some(action) = self.traps.remove("EXIT").filter(|action| !action.is_empty()) {
            self.status = status;
            if let Err(Unwind::Exit(other)) = self.run_text(&action, self.line) {
                status = other;
            }
        }
        status
    }
}

/// Commands whose own commands have been checked for `set -e` already.
fn is_transparent(kind: &Kind) -> bool {
    !matches!(kind, Kind::Simple(_) | Kind::Subshell(_))
}

/// Quoted, so that a shell reads the same word again.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn quote_if_needed(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+:.,/%@]".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quote(text) }
}

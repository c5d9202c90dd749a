//! Running commands in this process.

use std::rc::Rc;

use sampan_process::OpenMode;

use super::{Function, Ran, Shell, Unwind};
use crate::builtins;
use crate::pattern;
use crate::syntax::{Arm, Command, Connector, Item, Kind, List, Parser, Pipeline, Simple, Word};

/// Functions in functions: deeper ones would exhaust a guest's stack.
const CALLS_MAX: usize = 200;

impl Shell {
    /// Runs a script's text; the status of its last command.
    pub fn run_text(&mut self, text: &str, line: u32) -> Ran {
        self.run_parsed(Parser::new(text, line))
    }

    pub(super) fn run_parsed(&mut self, mut parser: Parser<'_>) -> Ran {
        let mut status = 0;
        loop {
            match parser.next_line() {
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
            status = if item.background { self.run_background(item) } else { self.run_item(item)? };
            self.status = status;
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
            [command] => self.run_command(command),
            stages => self.run_stages(stages),
        };
        self.unchecked -= u32::from(unchecked);
        let mut status = ran?;
        if pipeline.negated {
            status = i32::from(status == 0);
        }
        self.status = status;
        let compound =
            matches!(pipeline.stages.as_slice(), [command] if is_transparent(&command.kind));
        if status != 0 && !unchecked && !compound && self.unchecked == 0 && self.options.has('e') {
            return Err(Unwind::Exit(status));
        }
        Ok(status)
    }

    pub(super) fn run_command(&mut self, command: &Command) -> Ran {
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

    fn run_compound(&mut self, kind: &Kind, command: &Command) -> Ran {
        match kind {
            Kind::Simple(_) => Ok(0),
            Kind::Group(list) | Kind::Subshell(list) => self.run_list(list),
            Kind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    if self.run_condition(condition)? == 0 {
                        return self.run_list(body);
                    }
                }
                otherwise.as_ref().map_or(Ok(0), |list| self.run_list(list))
            }
            Kind::Loop { until, condition, body } => self.run_loop(*until, condition, body),
            Kind::For { name, words, body } => self.run_for(name, words.as_deref(), body),
            Kind::Case { subject, arms } => self.run_case(subject, arms),
            Kind::Function { name, body } => {
                let function = Function { body: Rc::clone(body), source: command.source.clone() };
                self.functions.insert(name.clone(), Rc::new(function));
                Ok(0)
            }
        }
    }

    fn run_condition(&mut self, condition: &List) -> Ran {
        self.unchecked += 1;
        let ran = self.run_list(condition);
        self.unchecked -= 1;
        ran
    }

    fn run_loop(&mut self, until: bool, condition: &List, body: &List) -> Ran {
        let mut status = 0;
        self.loops += 1;
        let ended = loop {
            let ran = match self.run_condition(condition) {
                Ok(held) if (held == 0) == until => break Ok(status),
                Ok(_) => self.run_list(body),
                Err(unwind) => Err(unwind),
            };
            match after_turn(ran) {
                Ok(Some(ran)) => status = ran,
                Ok(None) => break Ok(0),
                Err(unwind) => break Err(unwind),
            }
        };
        self.loops -= 1;
        ended
    }

    fn run_for(&mut self, name: &str, words: Option<&[Word]>, body: &List) -> Ran {
        let values = match words {
            Some(words) => self.expand_words(words)?,
            None => self.positional.clone(),
        };
        let mut status = 0;
        self.loops += 1;
        let mut ended = Ok(());
        for value in values {
            if let Err(message) = self.assign(name, value) {
                ended = self.fail(&message);
                break;
            }
            match after_turn(self.run_list(body)) {
                Ok(Some(ran)) => status = ran,
                Ok(None) => {
                    status = 0;
                    break;
                }
                Err(unwind) => {
                    ended = Err(unwind);
                    break;
                }
            }
        }
        self.loops -= 1;
        ended.map(|()| status)
    }

    fn run_case(&mut self, subject: &Word, arms: &[Arm]) -> Ran {
        let subject: Vec<char> = self.expand_text(subject)?.chars().collect();
        let (mut status, mut falling) = (0, false);
        for arm in arms {
            let mut matched = falling;
            for pattern in &arm.patterns {
                let pattern = if matched { break } else { self.expand_pattern(pattern)? };
                matched = pattern::matches(&pattern, &subject);
            }
            if matched {
                status = self.run_list(&arm.body)?;
                falling = arm.falls_through;
                if !falling {
                    break;
                }
            }
        }
        Ok(status)
    }

    fn run_simple(&mut self, simple: &Simple, command: &Command) -> Ran {
        self.substitution = None;
        let words = self.expand_words(&simple.words)?;
        let Some(name) = words.first() else { return self.run_assignments(simple, command) };
        let function = self.functions.get(name).cloned();
        let builtin = if function.is_some() { None } else { builtins::find(name) };
        let Ok(saved) = self.redirect(&command.redirects)? else { return Ok(1) };
        let special = builtin.is_some_and(|builtin| builtin.special);
        let before = match self.assign_for(simple, special) {
            Ok(before) => before,
            Err(unwind) => {
                self.restore(saved);
                return Err(unwind);
            }
        };
        self.trace(&simple.assignments, &words);
        let ran = match (function, builtin) {
            (Some(function), _) => self.call(&function, &words),
            (None, Some(builtin)) => self.run_builtin(builtin, &words),
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

    pub(super) fn run_builtin(&mut self, builtin: &builtins::Builtin, words: &[String]) -> Ran {
        match (builtin.run)(self, words) {
            // A fault in a regular builtin is a failed command.
            Err(Unwind::Error(status)) if !builtin.special => Ok(status),
            ran => ran,
        }
    }

    fn run_assignments(&mut self, simple: &Simple, command: &Command) -> Ran {
        for (name, word) in &simple.assignments {
            let value = self.expand_text(word)?;
            self.assign(name, value).or_else(|message| self.fail(&message))?;
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
    ) -> Result<Vec<(String, Option<super::Variable>)>, Unwind> {
        let mut before = Vec::new();
        for (name, word) in &simple.assignments {
            let value = self.expand_text(word)?;
            if !special {
                before.push((name.clone(), self.variables.entry(name).cloned()));
            }
            self.assign(name, value).or_else(|message| self.fail(&message))?;
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
        self.calls.push(Vec::new());
        let ran = self.run_command(&function.body);
        for (name, variable) in self.calls.pop().unwrap_or_default().into_iter().rev() {
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
    fn trace(&mut self, assignments: &[(String, Word)], words: &[String]) {
        if !self.options.has('x') {
            return;
        }
        let prefix = self.variables.get("PS4").unwrap_or("+ ").to_owned();
        let mut line = self.expand_prompt(&prefix);
        let values = assignments.iter().map(|(name, _)| {
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

/// What a turn of a loop means for the loop: its status, its end, or that of more than it.
fn after_turn(ran: Ran) -> Result<Option<i32>, Unwind> {
    match ran {
        Ok(status) => Ok(Some(status)),
        Err(Unwind::Continue(1)) => Ok(Some(0)),
        Err(Unwind::Continue(n)) => Err(Unwind::Continue(n - 1)),
        Err(Unwind::Break(1)) => Ok(None),
        Err(Unwind::Break(n)) => Err(Unwind::Break(n - 1)),
        Err(unwind) => Err(unwind),
    }
}

/// Quoted, so that a shell reads the same word again.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn quote_if_needed(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+:.,/%@]".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quote(text) }
}

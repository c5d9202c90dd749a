//! Compound commands: loops, branches, groups.

use std::rc::Rc;

use super::{Function, Ran, Shell, Unwind};
use crate::pattern;
use crate::syntax::{Arm, Command, Kind, List, Then, Word};

impl Shell {
    pub(super) fn run_compound(&mut self, kind: &Kind, command: &Command) -> Ran {
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
            Kind::Count { start, while_, step, body } => self.run_count(start, while_, step, body),
            Kind::Select { name, words, body } => self.run_select(name, words.as_deref(), body),
            Kind::Case { subject, arms } => self.run_case(subject, arms),
            Kind::Arithmetic(expression) => {
                // A fault in it is a failed command, as in bash.
                match self.calculate(expression) {
                    Err(Unwind::Error(_)) => Ok(1),
                    value => Ok(i32::from(value? == 0)),
                }
            }
            Kind::Condition(condition) => {
                Ok(self.condition(condition)?.map_or(2, |holds| i32::from(!holds)))
            }
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

    /// Runs turns of a loop until `turn` answers `None`; the status of the last one.
    fn run_turns(
        &mut self,
        body: &List,
        mut turn: impl FnMut(&mut Self) -> Result<bool, Unwind>,
    ) -> Ran {
        let mut status = 0;
        self.loops += 1;
        let ended = loop {
            let ran = match turn(self) {
                Ok(false) => break Ok(status),
                Ok(true) => self.run_list(body),
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

    fn run_loop(&mut self, until: bool, condition: &List, body: &List) -> Ran {
        self.run_turns(body, |shell| Ok((shell.run_condition(condition)? == 0) != until))
    }

    fn run_for(&mut self, name: &str, words: Option<&[Word]>, body: &List) -> Ran {
        let mut values = self.loop_values(words)?.into_iter();
        self.run_turns(body, |shell| match values.next() {
            Some(value) => {
                shell.assign(name, value).or_else(|message| shell.fail(&message))?;
                Ok(true)
            }
            None => Ok(false),
        })
    }

    fn loop_values(&mut self, words: Option<&[Word]>) -> Result<Vec<String>, Unwind> {
        match words {
            Some(words) => self.expand_words(words),
            None => Ok(self.positional.clone()),
        }
    }

    fn run_count(&mut self, start: &Word, while_: &Word, step: &Word, body: &List) -> Ran {
        self.calculate(start)?;
        let mut first = true;
        self.run_turns(body, |shell| {
            if !std::mem::take(&mut first) {
                shell.calculate(step)?;
            }
            Ok(while_.0.is_empty() || shell.calculate(while_)? != 0)
        })
    }

    fn run_select(&mut self, name: &str, words: Option<&[Word]>, body: &List) -> Ran {
        let values = self.loop_values(words)?;
        if values.is_empty() {
            return Ok(0);
        }
        let mut shown = false;
        self.run_turns(body, |shell| {
            let Some(reply) = shell.choose(&values, &mut shown) else { return Ok(false) };
            let n = reply.trim().parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let chosen = n.and_then(|n| values.get(n)).cloned().unwrap_or_default();
            shell.assign("REPLY", reply).or_else(|message| shell.fail(&message))?;
            shell.assign(name, chosen).or_else(|message| shell.fail(&message))?;
            Ok(true)
        })
    }

    /// Shows a menu, again after an empty answer; the answer, or `None` at the end of the input.
    fn choose(&mut self, values: &[String], shown: &mut bool) -> Option<String> {
        loop {
            if !std::mem::replace(shown, true) {
                let _ = self.write(2, menu(values).as_bytes());
            }
            let prompt = self.variables.get("PS3").unwrap_or("#? ").to_owned();
            let _ = self.write(2, prompt.as_bytes());
            let line = self.read_line();
            if line.is_empty() {
                let _ = self.write(1, b"\n");
                return None;
            }
            if line != "\n" {
                return Some(line.trim_end_matches('\n').to_owned());
            }
            *shown = false;
        }
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
                falling = arm.then == Then::NextBody;
                if arm.then == Then::End {
                    break;
                }
            }
        }
        Ok(status)
    }
}

/// How wide a menu may be.
const COLUMNS: usize = 80;

/// Numbered values, in as many columns as fit; a single row of them stands as a column.
fn menu(values: &[String]) -> String {
    let digits = values.len().to_string().len();
    let widest = values.iter().map(|value| value.chars().count()).max().unwrap_or(0);
    let width = digits + widest + 4;
    let columns = (COLUMNS / width).max(1);
    let rows = values.len().div_ceil(columns);
    let rows = if rows == 1 { values.len() } else { rows };
    let mut text = String::new();
    for row in 0..rows {
        for n in (row..values.len()).step_by(rows) {
            let entry = format!("{:>digits$}) {}", n + 1, values[n]);
            let last = n + rows >= values.len();
            text += &if last { entry } else { format!("{entry:<width$}") };
        }
        text.push('\n');
    }
    text
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

//! Runs statements, and the whole program.

use std::io::Write;

use super::machine::{Machine, Slot, Stop, failed};
use super::program::{Expression, Pattern, Redirect, Rule, Statement, special};
use super::value::Value;

/// Where to go on after a statement.
pub enum Flow {
    On,
    Break,
    Continue,
    Return(Value),
}

impl Machine<'_> {
    /// BEGIN, every record, END.
    pub fn run(&mut self) -> Result<(), Stop> {
        let program = self.program;
        let begun = program.begin.iter().try_for_each(|block| self.block(block).map(|_| ()));
        // `exit` skips what is left, but for END; there it ends everything.
        if !is_exit(begun)? && (!program.rules.is_empty() || !program.end.is_empty()) {
            is_exit(self.records())?;
        }
        let ended = program.end.iter().try_for_each(|block| self.block(block).map(|_| ()));
        is_exit(ended).map(|_| ())
    }

    fn records(&mut self) -> Result<(), Stop> {
        let rules = &self.program.rules;
        let mut within = vec![false; rules.len()];
        while let Some(record) = self.next_record()? {
            self.set_record(record);
            for (rule, within) in rules.iter().zip(&mut within) {
                match self.rule(rule, within) {
                    Err(Stop::Next) => break,
                    Err(Stop::NextFile) => {
                        self.skip_file();
                        break;
                    }
                    done => done?,
                }
            }
        }
        Ok(())
    }

    fn rule(&mut self, rule: &Rule, within: &mut bool) -> Result<(), Stop> {
        let applies = match &rule.pattern {
            Pattern::Always => true,
            Pattern::When(condition) => self.holds(condition)?,
            Pattern::Range(first, last) => {
                let applies = *within || self.holds(first)?;
                *within = applies && !self.holds(last)?;
                applies
            }
        };
        if !applies {
            return Ok(());
        }
        match &rule.action {
            Some(block) => self.block(block).map(|_| ()),
            None => self.print(&[], None),
        }
    }

    pub fn block(&mut self, statements: &[Statement]) -> Result<Flow, Stop> {
        for statement in statements {
            match self.statement(statement)? {
                Flow::On => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::On)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow, Stop> {
        match statement {
            Statement::Expression(expression) => drop(self.evaluate(expression)?),
            Statement::Print { arguments, to } => self.print(arguments, to.as_ref())?,
            Statement::Printf { arguments, to } => {
                let bytes = self.formatted(arguments)?;
                self.put(&bytes, to.as_ref())?;
            }
            Statement::If(condition, yes, no) => {
                if self.holds(condition)? {
                    return self.statement(yes);
                }
                return no.as_ref().map_or(Ok(Flow::On), |no| self.statement(no));
            }
            Statement::While(condition, body) => return self.repeat(Some(condition), body, None),
            Statement::Do(body, condition) => {
                return match self.statement(body)? {
                    Flow::Break => Ok(Flow::On),
                    Flow::Return(value) => Ok(Flow::Return(value)),
                    Flow::On | Flow::Continue => self.repeat(Some(condition), body, None),
                };
            }
            Statement::For(steps, condition, body) => {
                if let Some(first) = &steps[0] {
                    self.statement(first)?;
                }
                return self.repeat(condition.as_ref(), body, steps[1].as_ref());
            }
            Statement::ForIn(key, array, body) => {
                let keys = self.array(*array)?.borrow().keys();
                for name in keys {
                    self.assign(key, Value::input(&name))?;
                    match self.statement(body)? {
                        Flow::Break => break,
                        Flow::Return(value) => return Ok(Flow::Return(value)),
                        Flow::On | Flow::Continue => {}
                    }
                }
            }
            Statement::Block(statements) => return self.block(statements),
            Statement::Next => return Err(Stop::Next),
            Statement::NextFile => return Err(Stop::NextFile),
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::Exit(code) => {
                if let Some(code) = code {
                    self.exit_code = self.evaluate(code)?.number() as i64 as u8;
                }
                return Err(Stop::Exit);
            }
            Statement::Return(value) => {
                let value =
                    value.as_ref().map_or(Ok(Value::Unset), |value| self.evaluate(value))?;
                return Ok(Flow::Return(value));
            }
            Statement::Delete(array, None) => self.array(*array)?.borrow_mut().clear(),
            Statement::Delete(array, Some(key)) => {
                let key = self.key(key)?;
                self.array(*array)?.borrow_mut().remove(&key);
            }
        }
        Ok(Flow::On)
    }

    fn repeat(
        &mut self,
        condition: Option<&Expression>,
        body: &Statement,
        step: Option<&Statement>,
    ) -> Result<Flow, Stop> {
        loop {
            if let Some(condition) = condition
                && !self.holds(condition)?
            {
                return Ok(Flow::On);
            }
            match self.statement(body)? {
                Flow::Break => return Ok(Flow::On),
                Flow::Return(value) => return Ok(Flow::Return(value)),
                Flow::On | Flow::Continue => {}
            }
            if let Some(step) = step {
                self.statement(step)?;
            }
        }
    }

    fn print(
        &mut self,
        arguments: &[Expression],
        to: Option<&(Redirect, Expression)>,
    ) -> Result<(), Stop> {
        let mut line = Vec::new();
        if arguments.is_empty() {
            line.extend_from_slice(&self.record());
        }
        for (place, argument) in arguments.iter().enumerate() {
            let value = self.evaluate(argument)?;
            if place > 0 {
                line.extend_from_slice(&self.setting(special::OFS));
            }
            match &value {
                Value::Number(number) if number.fract() != 0.0 => {
                    line.extend_from_slice(&value.text(&self.format(special::OFMT)));
                }
                Value::Number(number) if number.abs() < 1e18 => {
                    write!(line, "{}", *number as i64).map_err(crate::call::Failure::Output)?;
                }
                value => line.extend_from_slice(&value.text("%.6g")),
            }
        }
        line.extend_from_slice(&self.setting(special::ORS));
        self.put(&line, to)
    }

    fn put(&mut self, bytes: &[u8], to: Option<&(Redirect, Expression)>) -> Result<(), Stop> {
        let Some((how, target)) = to else { return Ok(self.streams.print(bytes)?) };
        let target = self.evaluate(target)?;
        let name = self.string(&target);
        if name.is_empty() {
            return failed("empty filename in redirection");
        }
        Ok(self.streams.print_to(*how, &name, bytes)?)
    }

    /// Sets up ENVIRON and ARGV.
    pub fn set_outside(&mut self, arguments: &[String]) -> Result<(), Stop> {
        use super::program::Variable::Global;
        let environment = self.array(Global(special::ENVIRON))?;
        for (name, value) in std::env::vars() {
            *environment.borrow_mut().get(name.into_bytes().into()) =
                Value::input(value.as_bytes());
        }
        let array = self.array(Global(special::ARGV))?;
        let all = std::iter::once("awk").chain(arguments.iter().map(String::as_str));
        for (place, argument) in all.enumerate() {
            *array.borrow_mut().get(place.to_string().into_bytes().into()) =
                Value::input(argument.as_bytes());
        }
        self.set(Global(special::ARGC), (arguments.len() as f64 + 1.0).into())
    }

    /// How many elements a variable has, if it is an array.
    pub fn elements(&mut self, expression: &Expression) -> Option<usize> {
        let Expression::Variable(variable) = expression else { return None };
        match self.any(*variable) {
            Slot::Array(array) => Some(array.borrow().len()),
            Slot::Value(_) => None,
        }
    }
}

/// Whether the program is to end; other failures stay.
fn is_exit(done: Result<(), Stop>) -> Result<bool, Stop> {
    match done {
        Ok(()) => Ok(false),
        Err(Stop::Exit) => Ok(true),
        Err(Stop::Next | Stop::NextFile) => failed("next used outside of a rule"),
        Err(stop) => Err(stop),
    }
}

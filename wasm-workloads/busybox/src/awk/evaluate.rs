//! Works expressions out.

use std::cmp::Ordering;
use std::rc::Rc;

use sampan_regexp::Regexp;

use super::machine::{Machine, Slot, Stop, complex, failed};
use super::program::{Arithmetic, Comparison, Expression, Source, Variable, special};
use super::run::Flow;
use super::value::{Text, Value};

/// Functions that wait for one another: what a guest's stack surely holds.
const DEPTH_MAX: u32 = 200;

impl Machine<'_> {
    pub fn evaluate(&mut self, expression: &Expression) -> Result<Value, Stop> {
        match expression {
            Expression::Constant(value) => Ok(value.clone()),
            Expression::Regexp(regexp) => {
                let record = self.record();
                Ok(regexp.is_match(&record).map_err(complex)?.into())
            }
            Expression::Variable(variable) => self.get(*variable),
            Expression::Field(number) => {
                let number = self.evaluate(number)?.number();
                self.field(number)
            }
            Expression::Element(array, key) => {
                let key = self.key(key)?;
                Ok(self.array(*array)?.borrow_mut().get(key).clone())
            }
            Expression::Assign(target, value) => {
                let value = self.evaluate(value)?;
                self.assign(target, value.clone())?;
                Ok(value)
            }
            Expression::Update(how, target, value) => {
                let value = self.evaluate(value)?.number();
                let old = self.evaluate(target)?.number();
                let new = Value::Number(arithmetic(*how, old, value)?);
                self.assign(target, new.clone())?;
                Ok(new)
            }
            Expression::Step { target, by, old } => {
                let before = self.evaluate(target)?.number();
                self.assign(target, (before + by).into())?;
                Ok(if *old { before } else { before + by }.into())
            }
            Expression::Choose(three) => {
                let [condition, yes, no] = &**three;
                let chosen = if self.holds(condition)? { yes } else { no };
                self.evaluate(chosen)
            }
            Expression::And(two) => Ok((self.holds(&two[0])? && self.holds(&two[1])?).into()),
            Expression::Or(two) => Ok((self.holds(&two[0])? || self.holds(&two[1])?).into()),
            Expression::Not(inner) => Ok((!self.holds(inner)?).into()),
            Expression::Negative(inner) => Ok((-self.evaluate(inner)?.number()).into()),
            Expression::Number(inner) => Ok(self.evaluate(inner)?.number().into()),
            Expression::Arithmetic(how, two) => {
                let (left, right) =
                    (self.evaluate(&two[0])?.number(), self.evaluate(&two[1])?.number());
                Ok(arithmetic(*how, left, right)?.into())
            }
            Expression::Compare(how, two) => {
                let (left, right) = (self.evaluate(&two[0])?, self.evaluate(&two[1])?);
                Ok(self.compare(*how, &left, &right).into())
            }
            Expression::Match { of, negated } => {
                let text = self.evaluate(&of[0])?;
                let regexp = self.expression_of(&of[1])?;
                let text = self.text(&text);
                Ok((regexp.is_match(&text).map_err(complex)? != *negated).into())
            }
            Expression::Join(_) => {
                let mut text = Vec::new();
                self.join(expression, &mut text)?;
                Ok(Value::Text(text.into()))
            }
            Expression::In(key, array) => {
                let key = self.key(key)?;
                Ok(self.array(*array)?.borrow().holds(&key).into())
            }
            Expression::Call(function, arguments) => self.call(*function, arguments),
            Expression::Function(name, arguments) => self.function(name, arguments),
            Expression::Getline { from, into } => self.getline(from, into.as_deref()),
            Expression::List(list) => match list.as_slice() {
                [one] => self.evaluate(one),
                _ => failed("a list of values stands where one is needed"),
            },
        }
    }

    pub fn holds(&mut self, expression: &Expression) -> Result<bool, Stop> {
        Ok(self.evaluate(expression)?.holds())
    }

    /// Writes what a chain of joined expressions comes to.
    fn join(&mut self, expression: &Expression, out: &mut Vec<u8>) -> Result<(), Stop> {
        if let Expression::Join(two) = expression {
            self.join(&two[0], out)?;
            return self.join(&two[1], out);
        }
        let value = self.evaluate(expression)?;
        out.extend_from_slice(&self.text(&value));
        Ok(())
    }

    fn compare(&self, how: Comparison, left: &Value, right: &Value) -> bool {
        let order = match (left, right) {
            // No CONVFMT is needed between numbers.
            (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
            _ => left.compare(right, &self.format(special::CONVFMT)),
        };
        match how {
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::NotEqual => order != Some(Ordering::Equal),
            Comparison::Greater => order == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => {
                matches!(order, Some(Ordering::Greater | Ordering::Equal))
            }
        }
    }

    /// An expression where a regular one is expected.
    pub fn expression_of(&mut self, expression: &Expression) -> Result<Rc<Regexp>, Stop> {
        match expression {
            Expression::Regexp(regexp) => Ok(Rc::clone(regexp)),
            Expression::List(list) if matches!(list.as_slice(), [Expression::Regexp(_)]) => {
                self.expression_of(&list[0])
            }
            expression => {
                let value = self.evaluate(expression)?;
                let text = self.text(&value);
                self.regexp(&text)
            }
        }
    }

    /// The text that names an array's element.
    pub fn key(&mut self, key: &[Expression]) -> Result<Text, Stop> {
        if let [one] = key {
            let value = self.evaluate(one)?;
            return Ok(self.text(&value));
        }
        let mut parts = Vec::with_capacity(key.len());
        for part in key {
            let value = self.evaluate(part)?;
            parts.push(self.text(&value));
        }
        let between = self.setting(special::SUBSEP);
        Ok(parts.join(&between[..]).into())
    }

    fn call(&mut self, place: usize, arguments: &[Expression]) -> Result<Value, Stop> {
        let program = self.program;
        let function = &program.functions[place];
        if arguments.len() > function.parameters.len() {
            return failed(format!("function '{}' called with too many arguments", function.name));
        }
        if self.depth >= DEPTH_MAX {
            return failed(format!(
                "function '{}': more than {DEPTH_MAX} calls within calls",
                function.name
            ));
        }
        let mut slots = Vec::with_capacity(function.parameters.len());
        for (argument, is_array) in arguments.iter().zip(&function.arrays) {
            slots.push(match argument {
                Expression::Variable(variable) if *is_array => Slot::Array(self.array(*variable)?),
                Expression::Variable(variable) if *variable != Variable::Global(special::NF) => {
                    self.any(*variable)
                }
                argument => Slot::Value(self.evaluate(argument)?),
            });
        }
        slots.resize(function.parameters.len(), Slot::Value(Value::Unset));
        let base = std::mem::replace(&mut self.base, self.locals.len());
        self.locals.append(&mut slots);
        self.depth += 1;
        let flow = self.block(&function.body);
        self.depth -= 1;
        self.locals.truncate(self.base);
        self.base = base;
        match flow? {
            Flow::Return(value) => Ok(value),
            _ => Ok(Value::Unset),
        }
    }

    /// 1: there was a record, 0: the end, -1: it cannot be read.
    fn getline(&mut self, from: &Source, into: Option<&Expression>) -> Result<Value, Stop> {
        let found = match from {
            Source::Input => Some(self.next_record()?),
            Source::File(name) | Source::Command(name) => {
                let name = self.evaluate(name)?;
                let name = self.string(&name);
                self.read_from(&name, matches!(from, Source::Command(_)))?
            }
        };
        let text = match found {
            None => return Ok((-1.0).into()),
            Some(None) => return Ok(0.0.into()),
            Some(Some(text)) => text,
        };
        if let Source::Command(_) = from {
            self.count(&[special::NR]);
        }
        match into {
            Some(target) => self.assign(target, Value::input(&text))?,
            None => self.set_record(text),
        }
        Ok(1.0.into())
    }
}

fn arithmetic(how: Arithmetic, left: f64, right: f64) -> Result<f64, Stop> {
    Ok(match how {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide | Arithmetic::Remainder if right == 0.0 => {
            return failed("Division by zero");
        }
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
        Arithmetic::Power => left.powf(right),
    })
}

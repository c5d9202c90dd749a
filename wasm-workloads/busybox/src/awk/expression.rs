//! Reads expressions, from what binds least to what binds most.

use std::rc::Rc;

use sampan_regexp::{Regexp, Syntax};

use super::lex::Token;
use super::parse::Parser;
use super::program::{Arithmetic, Comparison, Expression, Source};
use super::value::Value;

/// What an awk's regular expression is.
pub const SYNTAX: Syntax = Syntax { extended: true, fold: false, bracket_escapes: true };

type Parsed = Result<Expression, String>;

fn both(left: Expression, right: Expression) -> Box<[Expression; 2]> {
    Box::new([left, right])
}

fn is_target(expression: &Expression) -> bool {
    matches!(expression, Expression::Variable(_) | Expression::Field(_) | Expression::Element(..))
}

impl Parser {
    pub fn expression(&mut self) -> Parsed {
        self.deeper(Self::assignment)
    }

    fn assignment(&mut self) -> Parsed {
        let left = self.choice()?;
        let Token::Sign(sign) = *self.peek() else { return Ok(left) };
        let update = match sign {
            "=" => None,
            "+=" => Some(Arithmetic::Add),
            "-=" => Some(Arithmetic::Subtract),
            "*=" => Some(Arithmetic::Multiply),
            "/=" => Some(Arithmetic::Divide),
            "%=" => Some(Arithmetic::Remainder),
            "^=" => Some(Arithmetic::Power),
            _ => return Ok(left),
        };
        // `1 == x = 2` and `!x = y` assign to what is on the right.
        self.assign_within(left, update)
    }

    fn assign_within(&mut self, left: Expression, update: Option<Arithmetic>) -> Parsed {
        match left {
            left if is_target(&left) => {
                self.next();
                self.new_lines();
                let value = Box::new(self.expression()?);
                Ok(match update {
                    None => Expression::Assign(Box::new(left), value),
                    Some(how) => Expression::Update(how, Box::new(left), value),
                })
            }
            Expression::Not(inner) => {
                Ok(Expression::Not(Box::new(self.assign_within(*inner, update)?)))
            }
            Expression::And(sides) => {
                let [left, right] = *sides;
                Ok(Expression::And(both(left, self.assign_within(right, update)?)))
            }
            Expression::Or(sides) => {
                let [left, right] = *sides;
                Ok(Expression::Or(both(left, self.assign_within(right, update)?)))
            }
            Expression::Compare(how, sides) => {
                let [left, right] = *sides;
                Ok(Expression::Compare(how, both(left, self.assign_within(right, update)?)))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn choice(&mut self) -> Parsed {
        let condition = self.either()?;
        if !self.eat("?") {
            return Ok(condition);
        }
        self.new_lines();
        let yes = self.expression()?;
        self.new_lines();
        self.expect(":")?;
        self.new_lines();
        let no = self.expression()?;
        Ok(Expression::Choose(Box::new([condition, yes, no])))
    }

    fn either(&mut self) -> Parsed {
        let mut left = self.all()?;
        while self.eat("||") {
            self.new_lines();
            left = Expression::Or(both(left, self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Parsed {
        let mut left = self.membership()?;
        while self.eat("&&") {
            self.new_lines();
            left = Expression::And(both(left, self.membership()?));
        }
        Ok(left)
    }

    fn membership(&mut self) -> Parsed {
        let mut left = self.matching()?;
        while self.eat("in") {
            let Token::Name(array) = self.next() else { return Err(self.unexpected()) };
            let key = if let Expression::List(key) = left { key } else { vec![left] };
            left = Expression::In(key, self.variable(&array));
        }
        Ok(left)
    }

    fn matching(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        while self.sees(&["~", "!~"]) {
            let negated = self.next() == Token::Sign("!~");
            left = Expression::Match { of: both(left, self.comparison()?), negated };
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.joined()?;
        loop {
            let how = match self.peek() {
                Token::Sign("<") => Comparison::Less,
                Token::Sign("<=") => Comparison::LessOrEqual,
                Token::Sign("==") => Comparison::Equal,
                Token::Sign("!=") => Comparison::NotEqual,
                Token::Sign(">") if !self.no_greater => Comparison::Greater,
                Token::Sign(">=") => Comparison::GreaterOrEqual,
                Token::Sign("|") if self.is_piped_getline() => {
                    self.next();
                    self.next();
                    let from = Source::Command(Box::new(left));
                    left = Expression::Getline { from, into: self.getline_target()? };
                    continue;
                }
                _ => return Ok(left),
            };
            self.next();
            left = Expression::Compare(how, both(left, self.joined()?));
        }
    }

    fn is_piped_getline(&self) -> bool {
        self.ahead() == Some(&Token::Word("getline"))
    }

    fn getline_target(&mut self) -> Result<Option<Box<Expression>>, String> {
        match self.peek() {
            Token::Name(_) | Token::Sign("$") => {
                let target = self.primary()?;
                if is_target(&target) { Ok(Some(Box::new(target))) } else { Err(self.unexpected()) }
            }
            _ => Ok(None),
        }
    }

    /// Expressions side by side are one text.
    pub fn joined(&mut self) -> Parsed {
        let mut left = self.sum()?;
        while self.begins_operand() {
            left = Expression::Join(both(left, self.sum()?));
        }
        Ok(left)
    }

    fn begins_operand(&self) -> bool {
        match self.peek() {
            Token::Number(_)
            | Token::Text(_)
            | Token::Regexp(_)
            | Token::Name(_)
            | Token::Call(_) => true,
            Token::Sign(sign) => matches!(*sign, "$" | "(" | "++" | "--"),
            Token::Word(word) => super::lex::FUNCTIONS.contains(word),
            Token::NewLine | Token::End => false,
        }
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        while self.sees(&["+", "-"]) {
            let how = if self.next() == Token::Sign("+") {
                Arithmetic::Add
            } else {
                Arithmetic::Subtract
            };
            left = Expression::Arithmetic(how, both(left, self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.unary()?;
        while self.sees(&["*", "/", "%"]) {
            let how = match self.next() {
                Token::Sign("*") => Arithmetic::Multiply,
                Token::Sign("/") => Arithmetic::Divide,
                _ => Arithmetic::Remainder,
            };
            left = Expression::Arithmetic(how, both(left, self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let wrap: fn(Box<Expression>) -> Expression = match self.peek() {
            Token::Sign("!") => Expression::Not,
            Token::Sign("-") => Expression::Negative,
            Token::Sign("+") => Expression::Number,
            _ => return self.power(),
        };
        self.next();
        self.deeper(Self::unary).map(|inner| wrap(Box::new(inner)))
    }

    fn power(&mut self) -> Parsed {
        let base = self.stepped()?;
        if !self.eat("^") {
            return Ok(base);
        }
        // To the right; and a sign may stand before the exponent.
        let exponent = self.deeper(Self::unary)?;
        Ok(Expression::Arithmetic(Arithmetic::Power, both(base, exponent)))
    }

    fn stepped(&mut self) -> Parsed {
        for (sign, by) in [("++", 1.0), ("--", -1.0)] {
            if self.eat(sign) {
                let target = Box::new(self.primary()?);
                if !is_target(&target) {
                    return Err(self.unexpected());
                }
                return Ok(Expression::Step { target, by, old: false });
            }
        }
        let target = self.primary()?;
        for (sign, by) in [("++", 1.0), ("--", -1.0)] {
            if is_target(&target) && self.eat(sign) {
                return Ok(Expression::Step { target: Box::new(target), by, old: true });
            }
        }
        Ok(target)
    }

    pub fn primary(&mut self) -> Parsed {
        if *self.peek() == Token::End {
            return Err(self.unexpected());
        }
        match self.next() {
            Token::Number(number) => Ok(Expression::Constant(number.into())),
            Token::Text(text) => Ok(Expression::Constant(Value::Text(text.into()))),
            Token::Regexp(text) => {
                let regexp = Regexp::new(&with_escapes(&text), SYNTAX);
                let regexp = regexp.map_err(|why| format!("bad regex '{text}': {why}"))?;
                Ok(Expression::Regexp(Rc::new(regexp)))
            }
            Token::Sign("$") => {
                // `$i++` steps the field, `$++i` the number.
                let inner = if self.sees(&["++", "--", "-", "+", "!"]) {
                    self.deeper(Self::unary_or_step)?
                } else {
                    self.deeper(Self::primary)?
                };
                Ok(Expression::Field(Box::new(inner)))
            }
            Token::Sign("(") => self.parenthesis(),
            Token::Name(name) => {
                let variable = self.variable(&name);
                if !self.eat("[") {
                    return Ok(Expression::Variable(variable));
                }
                let key = self.inside(|parser| parser.list(&[]))?;
                self.expect("]")?;
                Ok(Expression::Element(variable, key))
            }
            Token::Call(name) => {
                let function = self.function(&name);
                Ok(Expression::Call(function, self.arguments()?))
            }
            Token::Word("getline") => {
                let into = self.getline_target()?;
                let from = if self.eat("<") {
                    Source::File(Box::new(self.primary()?))
                } else {
                    Source::Input
                };
                Ok(Expression::Getline { from, into })
            }
            Token::Word(word) if super::lex::FUNCTIONS.contains(&word) => {
                if word == "length" && !self.sees(&["("]) {
                    return Ok(Expression::Function(word, Vec::new()));
                }
                Ok(Expression::Function(word, self.arguments()?))
            }
            _ => {
                self.back();
                Err(self.unexpected())
            }
        }
    }

    fn unary_or_step(&mut self) -> Parsed {
        if self.sees(&["++", "--"]) { self.stepped() } else { self.unary() }
    }

    /// Reads something in brackets, where every operator is one.
    fn inside<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let before = std::mem::replace(&mut self.no_greater, false);
        let done = self.deeper(read);
        self.no_greater = before;
        done
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, String> {
        self.expect("(")?;
        let arguments = self.inside(|parser| parser.list(&[")"]))?;
        self.new_lines();
        self.expect(")")?;
        Ok(arguments)
    }

    fn parenthesis(&mut self) -> Parsed {
        let mut list = self.inside(|parser| parser.list(&[]))?;
        self.new_lines();
        self.expect(")")?;
        if list.len() == 1 {
            // Kept apart, so that nothing is assigned into it.
            let inner = list.remove(0);
            let grouped = !is_target(&inner) && !matches!(inner, Expression::List(_));
            return Ok(if grouped { Expression::List(vec![inner]) } else { inner });
        }
        Ok(Expression::List(list))
    }
}

/// Escapes that only awk has in regular expressions, as the characters they name.
pub fn with_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\x0c'),
            Some('v') => out.push('\x0b'),
            Some('a') => out.push('\x07'),
            Some('"') => out.push('"'),
            Some('/') => out.push('/'),
            Some('y') => out.push_str("\\b"),
            Some(c) => out.extend(['\\', c]),
            None => out.push_str("\\\\"),
        }
    }
    out
}

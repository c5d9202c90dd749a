//! The grammar inside of `[[ … ]]`.

use super::parser::Parsed;
use super::{Condition, Parser, Word};

/// Operators between two words, longer ones before their beginnings.
const BINARY: &[&str] = &[
    "==", "=~", "!=", "=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef",
];

impl Parser {
    /// What stands between `[[` and `]]`; both are taken.
    pub(super) fn condition(&mut self) -> Parsed<Condition> {
        let condition = self.either()?;
        self.expect("]]")?;
        Ok(condition)
    }

    fn either(&mut self) -> Parsed<Condition> {
        let mut left = self.both()?;
        loop {
            self.skip_newlines()?;
            if !self.eat("||") {
                return Ok(left);
            }
            left = Condition::Or(Box::new(left), Box::new(self.both()?));
        }
    }

    fn both(&mut self) -> Parsed<Condition> {
        let mut left = self.nested(Self::negation)?;
        loop {
            self.skip_newlines()?;
            if !self.eat("&&") {
                return Ok(left);
            }
            left = Condition::And(Box::new(left), Box::new(self.nested(Self::negation)?));
        }
    }

    fn negation(&mut self) -> Parsed<Condition> {
        self.skip_newlines()?;
        if self.eat_reserved("!") {
            return Ok(Condition::Not(Box::new(self.nested(Self::negation)?)));
        }
        if self.eat("(") {
            let condition = self.either()?;
            self.expect(")")?;
            return Ok(condition);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Condition> {
        let left = self.operand()?;
        let unary = left.as_plain().filter(|text| text.len() == 2 && text.starts_with('-'));
        self.skip_blanks();
        if let Some(operator) = unary
            && !self.at_condition_end()
            && self.binary_operator().is_none()
        {
            let operator = operator.to_owned();
            return Ok(Condition::Unary(operator, self.operand()?));
        }
        let Some(operator) = self.binary_operator() else { return Ok(Condition::Text(left)) };
        self.at += operator.len();
        self.skip_blanks();
        let right = if operator == "=~" { self.regex()? } else { self.operand()? };
        Ok(Condition::Binary(left, operator.to_owned(), right))
    }

    fn operand(&mut self) -> Parsed<Word> {
        self.skip_blanks();
        if self.at_reserved("]]") {
            return Err(self.unexpected(None));
        }
        let word = self.word()?;
        word.ok_or_else(|| self.unexpected(None))
    }

    fn at_condition_end(&self) -> bool {
        let ends = ["&&", "||", ")", "\n"];
        self.at_reserved("]]") || ends.iter().any(|end| self.rest().starts_with(end))
    }

    /// The operator that stands here, as a word of its own unless it is `<` or `>`.
    fn binary_operator(&self) -> Option<&'static str> {
        let rest = self.rest();
        BINARY.iter().copied().find(|operator| {
            let after = rest.strip_prefix(operator);
            let alone = matches!(*operator, "<" | ">");
            after.is_some_and(|after| alone || after.starts_with([' ', '\t', '\n']))
        })
    }
}

//! Compound commands and function definitions.

use std::rc::Rc;

use super::command::is_name;
use super::parser::Parsed;
use super::{Arm, Kind, List, Parser, Simple, Then, Word};

/// Words that begin a compound command.
const OPENERS: &[&str] = &["{", "if", "while", "until", "for", "case", "select", "[[", "function"];

impl Parser {
    pub(super) fn compound(&mut self) -> Parsed<Option<Kind>> {
        if self.eat("((") {
            if let Some(expression) = self.arithmetic_expression()? {
                return Ok(Some(Kind::Arithmetic(expression)));
            }
            self.at -= 2;
        }
        if self.eat("(") {
            let list = self.list(")")?;
            return self.expect(")").map(|()| Some(Kind::Subshell(list)));
        }
        let Some(word) = OPENERS.iter().copied().find(|word| self.eat_reserved(word)) else {
            return Ok(None);
        };
        let kind = match word {
            "{" => {
                let list = self.list("}")?;
                self.expect("}")?;
                Kind::Group(list)
            }
            "if" => self.if_command()?,
            "while" | "until" => {
                let condition = self.list("do")?;
                Kind::Loop { until: word == "until", condition, body: self.do_group()? }
            }
            "for" => self.for_command()?,
            "select" => {
                let (name, words) = self.loop_over()?;
                Kind::Select { name, words, body: self.do_group()? }
            }
            "[[" => Kind::Condition(self.condition()?),
            "function" => self.function_by_word()?,
            _ => self.case_command()?,
        };
        Ok(Some(kind))
    }

    fn if_command(&mut self) -> Parsed<Kind> {
        let mut arms = Vec::new();
        loop {
            let condition = self.list("then")?;
            self.expect("then")?;
            arms.push((condition, self.list("fi")?));
            if self.eat_reserved("elif") {
                continue;
            }
            let otherwise = if self.eat_reserved("else") { Some(self.list("fi")?) } else { None };
            self.expect("fi")?;
            return Ok(Kind::If { arms, otherwise });
        }
    }

    fn do_group(&mut self) -> Parsed<List> {
        self.skip_newlines()?;
        self.expect("do")?;
        let body = self.list("done")?;
        self.expect("done")?;
        Ok(body)
    }

    fn for_command(&mut self) -> Parsed<Kind> {
        self.skip_blanks();
        if self.eat("((") {
            return self.count_command();
        }
        let (name, words) = self.loop_over()?;
        Ok(Kind::For { name, words, body: self.do_group()? })
    }

    /// `for ((start; while; step))`
    fn count_command(&mut self) -> Parsed<Kind> {
        let start = self.arithmetic_part()?;
        self.expect_operator(";")?;
        let while_ = self.arithmetic_part()?;
        self.expect_operator(";")?;
        let step = self.arithmetic_part()?;
        self.expect_operator("))")?;
        self.skip_blanks();
        self.eat(";");
        self.skip_newlines()?;
        let body = if self.eat_reserved("{") {
            let body = self.list("}")?;
            self.expect("}")?;
            body
        } else {
            self.do_group()?
        };
        Ok(Kind::Count { start, while_, step, body })
    }

    fn expect_operator(&mut self, operator: &str) -> Parsed<()> {
        if self.eat(operator) { Ok(()) } else { Err(self.unexpected(Some(operator))) }
    }

    /// `name`, `name in words`, before the `do` of a loop.
    fn loop_over(&mut self) -> Parsed<(String, Option<Vec<Word>>)> {
        self.skip_blanks();
        let name = self.word()?.and_then(|word| word.as_plain().map(str::to_owned));
        let name = name.filter(|name| is_name(name));
        let name = name.ok_or_else(|| self.error("bad for loop variable"))?;
        self.skip_newlines()?;
        if !self.eat_reserved("in") {
            self.eat(";");
            return Ok((name, None));
        }
        let mut words = Vec::new();
        self.skip_blanks();
        while let Some(word) = self.word()? {
            words.push(word);
            self.skip_blanks();
        }
        if !self.eat(";") && self.peek() != Some('\n') {
            return Err(self.unexpected(Some("do")));
        }
        Ok((name, Some(words)))
    }

    fn case_command(&mut self) -> Parsed<Kind> {
        self.skip_blanks();
        let subject = self.word()?.ok_or_else(|| self.unexpected(Some("word")))?;
        self.skip_newlines()?;
        self.expect("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.eat_reserved("esac") {
                return Ok(Kind::Case { subject, arms });
            }
            arms.push(self.arm()?);
        }
    }

    fn arm(&mut self) -> Parsed<Arm> {
        self.eat("(");
        let mut patterns = Vec::new();
        loop {
            self.skip_blanks();
            patterns.push(self.word()?.ok_or_else(|| self.unexpected(Some(")")))?);
            self.skip_blanks();
            if !self.eat("|") {
                break;
            }
        }
        self.expect(")")?;
        self.skip_newlines()?;
        let body = if self.at_list_end() { List::default() } else { self.list(";;")? };
        self.skip_blanks();
        let ends = [(";;&", Then::NextPattern), (";;", Then::End), (";&", Then::NextBody)];
        let then = ends.into_iter().find(|(token, _)| self.eat(token)).map(|(_, then)| then);
        if then.is_none() && !self.at_reserved("esac") {
            return Err(self.unexpected(Some(";;")));
        }
        Ok(Arm { patterns, body, then: then.unwrap_or(Then::End) })
    }

    /// `function name`, whose parentheses may be left out; the word has been taken.
    fn function_by_word(&mut self) -> Parsed<Kind> {
        self.skip_blanks();
        let name = self.word()?.and_then(|word| word.as_plain().map(str::to_owned));
        self.skip_blanks();
        if self.eat("(") {
            self.expect(")")?;
        }
        self.function_body(name.unwrap_or_default())
    }

    /// `name()` and a compound command.
    pub(super) fn function(&mut self, simple: &Simple) -> Parsed<Option<Kind>> {
        self.skip_blanks();
        let [word] = simple.words.as_slice() else { return Ok(None) };
        if self.peek() != Some('(') || !simple.assignments.is_empty() {
            return Ok(None);
        }
        let name = word.as_plain().unwrap_or_default().to_owned();
        self.at += 1;
        self.expect(")")?;
        self.function_body(name).map(Some)
    }

    fn function_body(&mut self, name: String) -> Parsed<Kind> {
        if name.is_empty() || name.contains('/') {
            return Err(self.error("bad function name"));
        }
        self.skip_newlines()?;
        let body = Rc::new(self.nested(Self::command)?);
        Ok(Kind::Function { name, body })
    }
}

//! What `find` is asked.

use std::slice::Iter;

use crate::call::{Call, Failure};

use super::test::{self, Test};

/// Which links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    Never,
    Operands,
    Always,
}

#[derive(Debug)]
pub enum Expression {
    Test(Test),
    Do(Action),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

#[derive(Debug)]
pub enum Action {
    /// With what comes after the name.
    Print(u8),
    Prune,
    Quit,
    Delete,
    /// `-exec … ;`
    Exec(Vec<String>),
    /// `-exec … {} +`, and which of them it is.
    Gather(usize, Vec<String>),
}

#[derive(Debug)]
pub struct Query {
    pub expression: Expression,
    pub follow: Follow,
    pub shallowest: usize,
    pub deepest: usize,
    /// A directory after what is in it.
    pub depth_first: bool,
    /// How many `-exec … {} +` there are.
    pub batches: usize,
}

impl Query {
    /// # Errors
    /// A word is unknown, or one that belongs to it is missing or wrong.
    pub fn parse(call: &Call, words: &[String]) -> Result<Self, Failure> {
        let query = Self {
            expression: Expression::All(Vec::new()),
            follow: Follow::Never,
            shallowest: 0,
            deepest: usize::MAX,
            depth_first: false,
            batches: 0,
        };
        let mut parser = Parser { call, words: words.iter(), query, acts: false };
        let expression = parser.any(0)?;
        if let Some(word) = parser.words.next() {
            return Err(unrecognized(word));
        }
        let Parser { mut query, acts, .. } = parser;
        let print = Expression::Do(Action::Print(b'\n'));
        query.expression = if acts { expression } else { Expression::All(vec![expression, print]) };
        Ok(query)
    }
}

fn unrecognized(word: &str) -> Failure {
    Failure::Usage(format!("unrecognized: {word}"))
}

/// Brackets in brackets.
const DEPTH_MAX: usize = 100;

struct Parser<'a> {
    call: &'a Call,
    words: Iter<'a, String>,
    query: Query,
    /// Whether files are more than to be printed.
    acts: bool,
}

impl Parser<'_> {
    /// The next word, if it is one of these.
    fn take(&mut self, known: &[&str]) -> bool {
        let found =
            self.words.as_slice().first().is_some_and(|word| known.contains(&word.as_str()));
        if found {
            self.words.next();
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Expression, Failure> {
        let mut parts = vec![self.all(depth)?];
        while self.take(&["-o", "-or"]) {
            parts.push(self.all(depth)?);
        }
        Ok(Expression::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, Failure> {
        let mut parts = Vec::new();
        loop {
            let next = self.words.as_slice().first().map(String::as_str);
            if matches!(next, None | Some("-o" | "-or" | ")")) {
                return Ok(Expression::All(parts));
            }
            if !self.take(&["-a", "-and"]) {
                parts.push(self.one(depth)?);
            }
        }
    }

    fn one(&mut self, depth: usize) -> Result<Expression, Failure> {
        if self.take(&["!", "-not"]) {
            let none = self.words.as_slice().is_empty();
            // As busybox, which takes the end for what never holds.
            let inner = if none { Expression::Any(Vec::new()) } else { self.one(depth)? };
            return Ok(Expression::Not(Box::new(inner)));
        }
        if self.take(&["("]) {
            let inner = if depth < DEPTH_MAX { self.any(depth + 1)? } else { return Err(deep()) };
            let closed = self.take(&[")"]);
            let unpaired = || Failure::Message("unpaired '('".to_owned());
            return closed.then_some(inner).ok_or_else(unpaired);
        }
        let Some(word) = self.words.next() else { return Err(Failure::usage()) };
        if let Some(action) = self.action(word)? {
            self.acts |= !matches!(action, Action::Prune);
            return Ok(Expression::Do(action));
        }
        if self.setting(word)? {
            return Ok(Expression::All(Vec::new()));
        }
        let mut value = || self.words.next().map(String::as_str).ok_or_else(|| missing(word));
        let test = test::parse(self.call, word, &mut value)?;
        test.map(Expression::Test).ok_or_else(|| unrecognized(word))
    }

    fn action(&mut self, word: &str) -> Result<Option<Action>, Failure> {
        Ok(Some(match word {
            "-print" => Action::Print(b'\n'),
            "-print0" => Action::Print(b'\0'),
            "-prune" => Action::Prune,
            "-quit" => Action::Quit,
            "-delete" => {
                self.query.depth_first = true;
                Action::Delete
            }
            "-exec" => self.exec()?,
            _ => return Ok(None),
        }))
    }

    fn exec(&mut self) -> Result<Action, Failure> {
        let mut command = Vec::new();
        for word in self.words.by_ref() {
            let gathers = word == "+" && command.iter().any(|word| word == "{}");
            if command.is_empty() || (word != ";" && !gathers) {
                command.push(word.clone());
            } else if gathers {
                self.query.batches += 1;
                return Ok(Action::Gather(self.query.batches - 1, command));
            } else {
                return Ok(Action::Exec(command));
            }
        }
        Err(missing("-exec"))
    }

    /// What holds for the whole walk.
    fn setting(&mut self, word: &str) -> Result<bool, Failure> {
        match word {
            "-maxdepth" => self.query.deepest = self.number(word)?,
            "-mindepth" => self.query.shallowest = self.number(word)?,
            "-depth" => self.query.depth_first = true,
            "-follow" => self.query.follow = Follow::Always,
            // Which filesystem a file is on is not told.
            "-xdev" | "-mount" | "-noleaf" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn number(&mut self, word: &str) -> Result<usize, Failure> {
        let text = self.words.next().ok_or_else(|| missing(word))?;
        Ok(self.call.number(text)? as usize)
    }
}

fn missing(word: &str) -> Failure {
    Failure::Message(format!("{word} requires an argument"))
}

fn deep() -> Failure {
    Failure::Message(format!("more than {DEPTH_MAX} brackets in each other"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_or_refused() {
        let check = |text: &str, acts: Option<bool>| {
            let call = Call::new("find", vec!["find".to_owned()]);
            let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            let read = Query::parse(&call, &words).ok().map(|query| {
                !matches!(&query.expression, Expression::All(parts) if matches!(parts.last(),
                    Some(Expression::Do(Action::Print(b'\n')))))
            });
            assert_eq!(read, acts, "{text}");
        };
        check("", Some(false));
        check("-name x -o ! -type d", Some(false));
        check("( -name x -prune ) -o -print0", Some(true));
        check("-exec echo {} + -exec echo ; ", Some(true));
        check("-name", None);
        check("-exec echo", None);
        check("( -name x", None);
        check("-name x )", None);
        check("-no-such", None);
    }
}

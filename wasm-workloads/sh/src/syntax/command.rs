//! Commands: lists, pipelines, compound and simple commands, redirections.

use std::rc::Rc;

use super::parser::Parsed;
use super::{
    Assigned, Assignment, Command, Connector, Item, Kind, List, Parser, Piece, Pipeline, Redirect,
    RedirectKind, Simple, Word,
};

/// Words that mean something where a command may begin.
pub const RESERVED: &[&str] = &[
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if",
    "in", "then", "until", "while",
];

/// Builtins whose arguments may be assignments.
const DECLARING: &[&str] = &["declare", "export", "local", "readonly", "typeset"];

/// What ends a list inside of something.
const CLOSERS: &[&str] = &["}", "do", "done", "elif", "else", "esac", "fi", "then"];

impl Parser {
    /// The commands of one line.
    pub(super) fn list_of_line(&mut self) -> Parsed<List> {
        let mut items = Vec::new();
        loop {
            items.push(self.item()?);
            self.skip_blanks();
            if matches!(self.peek(), None | Some('\n')) || self.at_list_end() {
                return Ok(List(items));
            }
        }
    }

    /// The commands up to a closing word or parenthesis; at least one.
    pub(super) fn list(&mut self, expected: &str) -> Parsed<List> {
        self.nested(|parser| {
            let mut items = Vec::new();
            loop {
                parser.skip_newlines()?;
                if parser.peek().is_none() || parser.at_list_end() {
                    break;
                }
                items.push(parser.item()?);
            }
            match parser.peek() {
                None => Err(parser.unexpected(Some(expected))),
                Some(_) if items.is_empty() => Err(parser.unexpected(None)),
                Some(_) => Ok(List(items)),
            }
        })
    }

    /// Whether a list ends here: at `)`, `;;` or a closing word.
    pub(super) fn at_list_end(&mut self) -> bool {
        self.skip_blanks();
        self.peek() == Some(')')
            || self.rest().starts_with(";;")
            || self.rest().starts_with(";&")
            || CLOSERS.iter().any(|word| self.at_reserved(word))
    }

    /// An and-or list with its `;` or `&`.
    fn item(&mut self) -> Parsed<Item> {
        self.skip_blanks();
        let (start, pending) = (self.at, self.pending.len());
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        let connector = loop {
            self.skip_blanks();
            let connector = match self.rest() {
                text if text.starts_with("&&") => Connector::And,
                text if text.starts_with("||") => Connector::Or,
                _ => break self.peek(),
            };
            self.at += 2;
            self.skip_newlines()?;
            rest.push((connector, self.pipeline()?));
        };
        let source = self.source(start, pending);
        let background = connector == Some('&');
        match connector {
            Some('&') => self.at += 1,
            Some(';') if !self.rest().starts_with(";;") && !self.rest().starts_with(";&") => {
                self.at += 1
            }
            None | Some('\n' | ')' | ';') => {}
            Some(_) if self.at_list_end() => {}
            Some(_) => return Err(self.unexpected(None)),
        }
        Ok(Item { first, rest, background, source })
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let mut negated = false;
        self.skip_blanks();
        while self.eat_reserved("!") {
            negated = !negated;
            self.skip_blanks();
        }
        let mut stages = Vec::new();
        loop {
            let mut command = self.command()?;
            self.skip_blanks();
            let piped = !self.rest().starts_with("||") && self.eat("|");
            if piped && self.eat("&") {
                command.send_errors_too();
            }
            stages.push(Rc::new(command));
            if !piped {
                return Ok(Pipeline { negated, stages });
            }
            self.skip_newlines()?;
        }
    }

    pub(super) fn command(&mut self) -> Parsed<Command> {
        self.skip_blanks();
        let (start, pending, line) = (self.at, self.pending.len(), self.line);
        self.expand_alias();
        let compound = self.nested(Self::compound)?;
        let (kind, redirects) = match compound {
            Some(kind) => {
                let mut redirects = Vec::new();
                while let Some(redirect) = self.redirect()? {
                    redirects.push(redirect);
                }
                (kind, redirects)
            }
            None => self.simple()?,
        };
        Ok(Command { kind, redirects, source: self.source(start, pending), line })
    }

    /// A simple command or a function definition.
    fn simple(&mut self) -> Parsed<(Kind, Vec<Redirect>)> {
        if RESERVED.iter().any(|word| *word != "in" && self.at_reserved(word)) {
            return Err(self.unexpected(None));
        }
        let (mut simple, mut redirects) = (Simple::default(), Vec::new());
        loop {
            self.skip_blanks();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            let first = simple.words.is_empty();
            if first {
                self.expand_alias();
                if let Some(assignment) = self.assignment()? {
                    simple.assignments.push(assignment);
                    continue;
                }
            } else {
                self.expand_next_alias();
                if self.declares_array(&simple)
                    && let Some(assignment) = self.assignment()?
                {
                    simple.words.push(Word::quoted(assignment.name.clone()));
                    simple.declared.push(assignment);
                    continue;
                }
            }
            let Some(word) = self.word()? else { break };
            simple.words.push(word);
            if let Some(function) = self.function(&simple)? {
                return Ok((function, redirects));
            }
        }
        if simple.words.is_empty() && simple.assignments.is_empty() && redirects.is_empty() {
            return Err(self.unexpected(None));
        }
        Ok((Kind::Simple(simple), redirects))
    }

    /// Whether an argument `name=(…)` stands here, of a builtin that declares.
    fn declares_array(&self, simple: &Simple) -> bool {
        let builtin = simple.words.first().and_then(Word::as_plain);
        let after = &self.rest()[name_length(self.rest())..];
        builtin.is_some_and(|name| DECLARING.contains(&name))
            && (after.starts_with("=(") || after.starts_with("+=("))
    }

    /// `name=value` and its like, if one stands here.
    fn assignment(&mut self) -> Parsed<Option<Assignment>> {
        let length = name_length(self.rest());
        if length == 0 {
            return Ok(None);
        }
        let (start, line) = (self.at, self.line);
        let name = self.rest()[..length].to_owned();
        self.at += length;
        let index = if self.eat("[") { Some(self.index()?) } else { None };
        let closed = index.is_none() || self.eat("]");
        let append = closed && self.rest().starts_with("+=") && self.eat("+");
        if !closed || !self.eat("=") {
            (self.at, self.line) = (start, line);
            return Ok(None);
        }
        let value = if index.is_none() && self.eat("(") {
            Assigned::Elements(self.nested(Self::elements)?)
        } else {
            Assigned::Text(self.word()?.unwrap_or_default())
        };
        Ok(Some(Assignment { name, index, append, value }))
    }

    /// The elements of an array up to the parenthesis.
    fn elements(&mut self) -> Parsed<Vec<(Option<Word>, Word)>> {
        let mut elements = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.eat(")") {
                return Ok(elements);
            }
            let (start, line) = (self.at, self.line);
            let mut index = if self.eat("[") { Some(self.index()?) } else { None };
            if index.is_some() && !self.eat("]=") {
                (self.at, self.line, index) = (start, line, None);
            }
            let word = self.word()?;
            match (word, &index) {
                (None, None) => return Err(self.unexpected(Some(")"))),
                (word, _) => elements.push((index, word.unwrap_or_default())),
            }
        }
    }

    /// Takes a closing parenthesis or word.
    pub(super) fn expect(&mut self, token: &str) -> Parsed<()> {
        self.skip_blanks();
        let found = if token == ")" { self.eat(token) } else { self.eat_reserved(token) };
        if found { Ok(()) } else { Err(self.unexpected(Some(token))) }
    }

    pub(super) fn at_reserved(&self, word: &str) -> bool {
        self.rest().strip_prefix(word).is_some_and(|rest| {
            rest.is_empty()
                || rest.starts_with([' ', '\t', '\n', '\r', ';', '&', '|', '(', ')', '<', '>'])
        })
    }

    pub(super) fn eat_reserved(&mut self, word: &str) -> bool {
        self.skip_blanks();
        self.at_reserved(word) && self.eat(word)
    }
}

/// Whether a variable may be called so.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}

/// How long the name is that a text begins with.
pub(super) fn name_length(text: &str) -> usize {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !text.starts_with(letter) {
        return 0;
    }
    text.find(|c: char| !letter(c) && !c.is_ascii_digit()).unwrap_or(text.len())
}

impl Command {
    /// `|&`: as if `2>&1` stood after it.
    fn send_errors_too(&mut self) {
        let one = Word(vec![Piece::Literal("1".to_owned())]);
        self.redirects.push(Redirect { fd: 2, kind: RedirectKind::Duplicate(one) });
        self.source.text = format!("{} 2>&1", self.source.text).into();
    }
}

//! Commands: lists, pipelines, compound and simple commands, redirections.

use std::rc::Rc;

use super::parser::Parsed;
use super::{
    Arm, Command, Connector, HereDocument, Item, Kind, List, Parser, Piece, Pipeline, Redirect,
    RedirectKind, Simple, Word,
};

/// Words that mean something where a command may begin.
pub const RESERVED: &[&str] = &[
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then",
    "until", "while",
];

/// What ends a list inside of something.
const CLOSERS: &[&str] = &["}", "do", "done", "elif", "else", "esac", "fi", "then"];

impl Parser<'_> {
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
    fn list(&mut self, expected: &str) -> Parsed<List> {
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
    fn at_list_end(&mut self) -> bool {
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
        let mut stages = vec![Rc::new(self.command()?)];
        loop {
            self.skip_blanks();
            if self.rest().starts_with("||") || !self.eat("|") {
                return Ok(Pipeline { negated, stages });
            }
            self.skip_newlines()?;
            stages.push(Rc::new(self.command()?));
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        self.skip_blanks();
        let (start, pending, line) = (self.at, self.pending.len(), self.line);
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

    fn compound(&mut self) -> Parsed<Option<Kind>> {
        if self.eat("(") {
            let list = self.list(")")?;
            return self.expect(")").map(|()| Some(Kind::Subshell(list)));
        }
        if self.eat_reserved("function") {
            self.skip_blanks();
            let name = self.word()?.and_then(|word| word.as_plain().map(str::to_owned));
            self.skip_blanks();
            if self.eat("(") {
                self.expect(")")?;
            }
            return self.function_body(name.unwrap_or_default()).map(Some);
        }
        let words = ["{", "if", "while", "until", "for", "case"];
        let Some(word) = words.into_iter().find(|word| self.eat_reserved(word)) else {
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
        let name = self.word()?.and_then(|word| word.as_plain().map(str::to_owned));
        let name = name.filter(|name| is_name(name));
        let name = name.ok_or_else(|| self.error("bad for loop variable"))?;
        self.skip_newlines()?;
        let words = if self.eat_reserved("in") {
            let mut words = Vec::new();
            self.skip_blanks();
            while let Some(word) = self.word()? {
                words.push(word);
                self.skip_blanks();
            }
            if !self.eat(";") && self.peek() != Some('\n') {
                return Err(self.unexpected(Some("do")));
            }
            Some(words)
        } else {
            self.eat(";");
            None
        };
        Ok(Kind::For { name, words, body: self.do_group()? })
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
        let falls_through = self.eat(";&");
        if !falls_through && !self.eat(";;") && !self.at_reserved("esac") {
            return Err(self.unexpected(Some(";;")));
        }
        Ok(Arm { patterns, body, falls_through })
    }

    /// A simple command or a function definition.
    fn simple(&mut self) -> Parsed<(Kind, Vec<Redirect>)> {
        let (mut simple, mut redirects) = (Simple::default(), Vec::new());
        loop {
            self.skip_blanks();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            let first = simple.words.is_empty();
            let nothing_yet = first && simple.assignments.is_empty() && redirects.is_empty();
            if nothing_yet && RESERVED.iter().any(|word| *word != "in" && self.at_reserved(word)) {
                return Err(self.unexpected(None));
            }
            let Some(word) = self.word()? else { break };
            match assignment(&word).filter(|_| first) {
                Some(assignment) => simple.assignments.push(assignment),
                None => simple.words.push(word),
            }
            if let Some(function) = self.function(&simple)? {
                return Ok((function, redirects));
            }
        }
        if simple.words.is_empty() && simple.assignments.is_empty() && redirects.is_empty() {
            return Err(self.unexpected(None));
        }
        Ok((Kind::Simple(simple), redirects))
    }

    /// `name()` and a compound command.
    fn function(&mut self, simple: &Simple) -> Parsed<Option<Kind>> {
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

    fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        self.skip_blanks();
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if !rest[digits..].starts_with(['<', '>']) && !rest.starts_with("&>") {
            return Ok(None);
        }
        let number = rest[..digits].parse().ok();
        if digits > 0 && number.is_none() {
            return Err(self.error("bad fd number"));
        }
        self.at += digits;
        // Longest first.
        const OPERATORS: &[&str] =
            &["<<-", "<<<", "&>", "<<", "<&", "<>", ">>", ">&", ">|", "<", ">"];
        let operator = OPERATORS.iter().find(|operator| self.rest().starts_with(**operator));
        let operator = operator.copied().unwrap_or(">");
        self.at += operator.len();
        self.skip_blanks();
        let target = self.word()?.ok_or_else(|| self.unexpected(None))?;
        let fd = number.unwrap_or(u32::from(!operator.starts_with('<')));
        let kind = match operator {
            "<" => RedirectKind::Read(target),
            ">" => RedirectKind::Write(target),
            ">|" => RedirectKind::Clobber(target),
            ">>" => RedirectKind::Append(target),
            "<>" => RedirectKind::ReadWrite(target),
            "&>" => RedirectKind::Both(target),
            "<<<" => RedirectKind::HereString(target),
            "<<" | "<<-" => RedirectKind::HereDocument(self.announce(&target, operator == "<<-")),
            _ => RedirectKind::Duplicate(target),
        };
        Ok(Some(Redirect { fd, kind }))
    }

    /// Notes a here-document whose text follows the line.
    fn announce(&mut self, delimiter: &Word, strip_tabs: bool) -> Rc<HereDocument> {
        let text = |piece: &Piece| match piece {
            Piece::Literal(text) | Piece::Quoted(text) => text.clone(),
            Piece::Parameter { name, .. } => format!("${name}"),
            Piece::Command { source, .. } => format!("$({source})"),
            Piece::Arithmetic { .. } => String::new(),
        };
        let document = Rc::new(HereDocument {
            delimiter: delimiter.0.iter().map(text).collect(),
            quoted: delimiter.0.iter().any(|piece| matches!(piece, Piece::Quoted(_))),
            strip_tabs,
            ..HereDocument::default()
        });
        self.pending.push(Rc::clone(&document));
        document
    }

    /// Takes a closing parenthesis or word.
    fn expect(&mut self, token: &str) -> Parsed<()> {
        self.skip_blanks();
        let found = if token == ")" { self.eat(token) } else { self.eat_reserved(token) };
        if found { Ok(()) } else { Err(self.unexpected(Some(token))) }
    }

    fn at_reserved(&self, word: &str) -> bool {
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

/// `name=value`, if that is what a word is.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let (Piece::Literal(first), rest) = word.0.split_first()? else { return None };
    let (name, value) = first.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let value = (!value.is_empty()).then(|| Piece::Literal(value.to_owned()));
    Some((name.to_owned(), Word(value.into_iter().chain(rest.iter().cloned()).collect())))
}

/// Whether a variable may be called so.
pub fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit())
}

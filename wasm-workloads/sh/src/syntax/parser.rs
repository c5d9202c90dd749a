//! The cursor over a script, its lines and here-documents, and what the parser answers.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::rc::Rc;

use super::{HereDocument, List, Source, Word};

/// Commands in commands; deeper ones would exhaust a guest's stack of 1 MiB.
const DEPTH_MAX: u32 = 200;

/// Reads a script command by command.
#[derive(Debug)]
pub struct Parser {
    pub(super) text: Rc<str>,
    /// Byte offset of the next character.
    pub(super) at: usize,
    pub(super) line: u32,
    /// Announced here-documents whose text follows the next newline.
    pub(super) pending: Vec<Rc<HereDocument>>,
    /// Texts of here-documents that the script's source does not hold.
    supplied: VecDeque<String>,
    pub(super) depth: u32,
    asked: usize,
    /// How often this line took something for arithmetic that was none.
    pub(super) retries: u32,
    /// A here-document ended with the text, not with its delimiter.
    cut_short: bool,
    pub(super) aliases: Option<Aliases>,
    /// Aliases whose text is being read, each with where it ends counted from the text's end: within
    /// it the name is no alias.
    pub(super) expanding: Vec<(String, usize)>,
    /// An alias that ended in a blank: the next word may be one too, if it begins here.
    pub(super) next_alias_at: Option<usize>,
}

/// What a shell and its parser know of `alias`; a line sees those defined before it.
pub type Aliases = Rc<RefCell<BTreeMap<String, String>>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// As busybox words it, without `syntax error: `.
    pub message: String,
    pub line: u32,
    /// The text ended too early: more of it may mend this.
    pub incomplete: bool,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "syntax error: {}", self.message)
    }
}

pub(super) type Parsed<T> = Result<T, SyntaxError>;

impl Parser {
    /// `line` is the number of the text's first line.
    pub fn new(text: &str, line: u32) -> Self {
        Self {
            text: text.into(),
            at: 0,
            line,
            pending: Vec::new(),
            supplied: VecDeque::new(),
            depth: 0,
            asked: 0,
            retries: 0,
            cut_short: false,
            aliases: None,
            expanding: Vec::new(),
            next_alias_at: None,
        }
    }

    /// For text that a user wrote, and that no parser has read yet.
    pub fn with_aliases(mut self, aliases: &Aliases) -> Self {
        self.aliases = Some(Rc::clone(aliases));
        self
    }

    /// For the text of a [`Source`]: its late here-documents.
    pub fn with_here_documents(mut self, texts: impl IntoIterator<Item = String>) -> Self {
        self.supplied.extend(texts);
        self
    }

    /// Whether the text ended inside a here-document.
    pub fn is_waiting(&self) -> bool {
        self.cut_short
    }

    /// What has been read since this was asked last (`set -v`).
    pub fn taken(&mut self) -> &str {
        let from = std::mem::replace(&mut self.asked, self.at);
        self.text.get(from..self.at).unwrap_or_default()
    }

    pub fn line(&self) -> u32 {
        self.line
    }

    /// The commands of the next line that has some; `None` at the end.
    pub fn next_line(&mut self) -> Parsed<Option<List>> {
        self.retries = 0;
        self.skip_newlines()?;
        if self.peek().is_none() {
            self.read_here_documents()?;
            return Ok(None);
        }
        let list = self.list_of_line()?;
        if !self.eat_newline()? {
            self.read_here_documents()?;
            if self.peek().is_some() {
                return Err(self.unexpected(None));
            }
        }
        Ok(Some(list))
    }

    pub(super) fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Skips blanks, joined lines and a comment.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            if self.eat("\\\n") {
                self.line += 1;
            } else if !self.eat(" ") && !self.eat("\t") && !self.eat("\r\n") {
                break;
            } else if self.text.as_bytes()[self.at - 1] == b'\n' {
                // A DOS line end is a line end.
                self.at -= 1;
                break;
            }
        }
        if self.peek() == Some('#') {
            let end = self.rest().find('\n').unwrap_or(self.rest().len());
            self.at += end;
        }
    }

    /// Takes a newline, and the here-documents that follow it.
    pub(super) fn eat_newline(&mut self) -> Parsed<bool> {
        self.skip_blanks();
        if self.peek() != Some('\n') {
            return Ok(false);
        }
        self.next();
        self.read_here_documents()?;
        Ok(true)
    }

    pub(super) fn skip_newlines(&mut self) -> Parsed<()> {
        while self.eat_newline()? {}
        Ok(())
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// The source since `start`, with the here-documents announced since then.
    pub(super) fn source(&self, start: usize, pending: usize) -> Source {
        Source {
            text: self.text[start..self.at].trim_end_matches([' ', '\t']).into(),
            late: self.pending.get(pending..).unwrap_or_default().to_vec(),
        }
    }

    pub(super) fn error(&self, message: &str) -> SyntaxError {
        SyntaxError { message: message.to_owned(), line: self.line, incomplete: false }
    }

    pub(super) fn incomplete(&self, message: &str) -> SyntaxError {
        SyntaxError { incomplete: true, ..self.error(message) }
    }

    /// What stands here is not what may stand here.
    pub(super) fn unexpected(&mut self, expected: Option<&str>) -> SyntaxError {
        self.skip_blanks();
        let found = match self.peek() {
            None => "end of file".to_owned(),
            Some('\n') => "newline".to_owned(),
            Some('<' | '>') => "redirection".to_owned(),
            Some(_) => {
                self.token().map_or_else(|| "word".to_owned(), |token| format!("\"{token}\""))
            }
        };
        let end = found == "end of file";
        let expecting = expected.map(|token| format!(" (expecting \"{token}\")"));
        let message = format!("unexpected {found}{}", expecting.unwrap_or_default());
        SyntaxError { incomplete: end, ..self.error(&message) }
    }

    /// The operator or reserved word that stands here.
    fn token(&self) -> Option<&'static str> {
        const OPERATORS: &[&str] = &["&&", "||", ";;&", ";;", ";&", "&", "|", ";", "(", ")"];
        let rest = self.rest();
        OPERATORS.iter().find(|operator| rest.starts_with(**operator)).copied().or_else(|| {
            let end = rest.find([' ', '\t', '\n', ';', '&', '|', '(', ')', '<', '>']);
            let word = &rest[..end.unwrap_or(rest.len())];
            super::command::RESERVED.iter().find(|reserved| **reserved == word).copied()
        })
    }

    fn read_here_documents(&mut self) -> Parsed<()> {
        for document in std::mem::take(&mut self.pending) {
            let raw = match self.peek() {
                None => self.supplied.pop_front().unwrap_or_else(|| {
                    self.cut_short = true;
                    String::new()
                }),
                Some(_) => self.here_document_lines(&document),
            };
            let text = if document.quoted {
                Word::quoted(raw.clone())
            } else {
                Parser::new(&raw, self.line).here_document_word()?
            };
            set(&document.raw, raw);
            set(&document.text, text);
        }
        Ok(())
    }

    /// The lines up to the delimiter, or to the end of the text.
    fn here_document_lines(&mut self, document: &HereDocument) -> String {
        let mut lines = String::new();
        while self.peek().is_some() {
            let mut line = self.line_of_here_document(document.quoted);
            if document.strip_tabs {
                line = line.trim_start_matches('\t').to_owned();
            }
            if line.trim_end_matches('\n') == document.delimiter {
                return lines;
            }
            lines.push_str(&line);
        }
        self.cut_short = true;
        lines
    }

    /// One line with its newline; without quoting, a backslash joins the next one to it.
    fn line_of_here_document(&mut self, quoted: bool) -> String {
        let mut line = String::new();
        while let Some(c) = self.next() {
            line.push(c);
            if c != '\n' {
                continue;
            }
            let backslashes = line.trim_end_matches('\n').bytes().rev().take_while(|b| *b == b'\\');
            if quoted || backslashes.count() % 2 == 0 {
                break;
            }
            line.truncate(line.len() - 2);
        }
        line
    }
}

/// Fills a cell that the parser alone fills, and once.
fn set<T: fmt::Debug>(cell: &OnceCell<T>, value: T) {
    let _ = cell.set(value);
}

//! Words: quoting, parameters, substitutions.

use super::parser::Parsed;
use super::{Operator, Parameter, Parser, Piece, Word};

/// Each place that looks like arithmetic and is none is read twice, and so is what is in it: more of
/// them in one line would take time exponential in their depth.
const RETRIES_MAX: u32 = 200;

/// What a word is part of, which decides what ends it and what a quote means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Between blanks and operators.
    Command,
    /// Inside double quotes.
    Quotes,
    /// Inside `${…}`; with whether that is inside double quotes.
    Braces { quoted: bool, slash: bool, colon: bool },
    /// Inside `$((…))`; with whether a semicolon ends it, as in `for ((…))`.
    Arithmetic { part: bool },
    /// An array's index, up to its bracket.
    Index,
    /// What follows `=~`.
    Regex,
    /// The text of a here-document.
    HereDocument,
}

impl Within {
    /// Whether expansions are as if in double quotes.
    fn is_quoted(self) -> bool {
        match self {
            Self::Command | Self::Regex => false,
            Self::Braces { quoted, .. } => quoted,
            Self::Quotes | Self::Arithmetic { .. } | Self::Index | Self::HereDocument => true,
        }
    }

    fn ends_at(self, c: char, parentheses: u32) -> bool {
        match self {
            Self::Command => " \t\n;&|()<>".contains(c),
            Self::Quotes => c == '"',
            Self::Braces { slash, colon, .. } => {
                c == '}' || (slash && c == '/') || (colon && c == ':')
            }
            Self::Arithmetic { part } => parentheses == 0 && (c == ')' || (part && c == ';')),
            Self::Index => c == ']' || c == '\n',
            Self::Regex => c == '\n' || (parentheses == 0 && (c == ' ' || c == '\t' || c == ')')),
            Self::HereDocument => false,
        }
    }
}

/// A word as it grows.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn literal(&mut self, c: char) {
        match self.0.last_mut() {
            Some(Piece::Literal(text)) => text.push(c),
            _ => self.0.push(Piece::Literal(c.into())),
        }
    }

    fn quoted(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Quoted(last)) => last.push_str(text),
            _ => self.0.push(Piece::Quoted(text.to_owned())),
        }
    }
}

impl Parser {
    /// The word that stands here, if one does.
    pub(super) fn word(&mut self) -> Parsed<Option<Word>> {
        let word = self.pieces(Within::Command)?;
        Ok(Some(word).filter(|word| !word.0.is_empty()))
    }

    /// A whole here-document.
    pub(super) fn here_document_word(mut self) -> Parsed<Word> {
        self.pieces(Within::HereDocument)
    }

    /// The whole text as if in double quotes (a prompt).
    pub fn quoted_word(mut self) -> Parsed<Word> {
        self.pieces(Within::HereDocument)
    }

    pub(super) fn pieces(&mut self, within: Within) -> Parsed<Word> {
        let mut pieces = Pieces::default();
        let mut parentheses = 0;
        while let Some(c) = self.peek() {
            if within.ends_at(c, parentheses) {
                if within == Within::Command && self.at_process() {
                    pieces.0.push(self.process()?);
                    continue;
                }
                break;
            }
            if within == Within::Command && self.rest().starts_with("\r\n") {
                break;
            }
            self.next();
            match c {
                '\\' => self.backslash(within, &mut pieces),
                '\'' if matches!(
                    within,
                    Within::Command | Within::Regex | Within::Braces { quoted: false, .. }
                ) =>
                {
                    pieces.quoted("");
                    self.single_quoted(&mut pieces)?;
                }
                '"' if within != Within::HereDocument => {
                    let inner = self.pieces(Within::Quotes)?;
                    if !self.eat("\"") {
                        return Err(self.incomplete("unterminated quoted string"));
                    }
                    if inner.0.is_empty() {
                        pieces.quoted("");
                    }
                    pieces.0.extend(inner.0);
                }
                '$' => self.dollar(within, &mut pieces)?,
                '`' => {
                    let source = self.backquoted(within)?;
                    let quoted = within.is_quoted();
                    pieces.0.push(Piece::Command { source: source.into(), quoted });
                }
                _ => {
                    parentheses += u32::from(c == '(');
                    parentheses -= u32::from(c == ')' && parentheses > 0);
                    if within.is_quoted() {
                        pieces.quoted(c.encode_utf8(&mut [0; 4]));
                    } else {
                        pieces.literal(c);
                    }
                }
            }
        }
        Ok(Word(pieces.0))
    }

    /// The inside of `((…))`; `None`, and back at its start, if its parentheses turn out to be those
    /// of a subshell in something else.
    pub(super) fn arithmetic_expression(&mut self) -> Parsed<Option<Word>> {
        let before = (self.at, self.line);
        let expression = self.nested(|parser| parser.pieces(Within::Arithmetic { part: false }))?;
        if self.eat("))") {
            return Ok(Some(expression));
        }
        if self.peek().is_none() {
            return Err(self.incomplete("missing '))'"));
        }
        if self.retries >= RETRIES_MAX {
            return Err(self.error("nested too deeply"));
        }
        self.retries += 1;
        (self.at, self.line) = before;
        Ok(None)
    }

    /// A part of `for ((…; …; …))`.
    pub(super) fn arithmetic_part(&mut self) -> Parsed<Word> {
        self.nested(|parser| parser.pieces(Within::Arithmetic { part: true }))
    }

    /// An array's index; its brackets are the caller's.
    pub(super) fn index(&mut self) -> Parsed<Word> {
        self.nested(|parser| parser.pieces(Within::Index))
    }

    /// What follows `=~`.
    pub(super) fn regex(&mut self) -> Parsed<Word> {
        self.pieces(Within::Regex)
    }

    fn at_process(&self) -> bool {
        self.rest().starts_with("<(") || self.rest().starts_with(">(")
    }

    /// `<(…)` or `>(…)`
    fn process(&mut self) -> Parsed<Piece> {
        let writes = self.peek() == Some('>');
        self.at += 2;
        let source = self.substitution()?;
        Ok(Piece::Process { source: source.into(), writes })
    }

    fn backslash(&mut self, within: Within, pieces: &mut Pieces) {
        let next = self.peek();
        let special = match within {
            Within::Command | Within::Regex | Within::Braces { quoted: false, .. } => {
                next.is_some()
            }
            Within::Quotes => matches!(next, Some('$' | '`' | '"' | '\\' | '\n')),
            Within::Braces { .. } => matches!(next, Some('$' | '`' | '"' | '\\' | '\n' | '}')),
            Within::HereDocument | Within::Arithmetic { .. } | Within::Index => {
                matches!(next, Some('$' | '`' | '\\' | '\n'))
            }
        };
        if !special {
            pieces.quoted("\\");
            return;
        }
        if let Some(c) = self.next().filter(|c| *c != '\n') {
            pieces.quoted(c.encode_utf8(&mut [0; 4]));
        }
    }

    fn single_quoted(&mut self, pieces: &mut Pieces) -> Parsed<()> {
        let end = self.rest().find('\'');
        let end = end.ok_or_else(|| self.incomplete("unterminated quoted string"))?;
        let text = &self.rest()[..end];
        pieces.quoted(text);
        let lines = text.matches('\n').count();
        self.line += lines as u32;
        self.at += end + 1;
        Ok(())
    }

    /// `$'…'`, with C's escapes.
    fn escaped_quoted(&mut self, pieces: &mut Pieces) -> Parsed<()> {
        let mut raw = String::new();
        loop {
            match self.next() {
                None => return Err(self.incomplete("unterminated quoted string")),
                Some('\'') => break,
                Some('\\') => {
                    let escaped = self.next();
                    if let Some(c) = escaped.filter(|c| *c == '\'' || *c == '"') {
                        raw.push(c);
                    } else {
                        raw.push('\\');
                        raw.extend(escaped);
                    }
                }
                Some(c) => raw.push(c),
            }
        }
        let bytes = crate::printf::unescape(&raw).0;
        pieces.quoted(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    fn dollar(&mut self, within: Within, pieces: &mut Pieces) -> Parsed<()> {
        let quoted = within.is_quoted();
        if self.eat("((") {
            if let Some(expression) = self.arithmetic_expression()? {
                pieces.0.push(Piece::Arithmetic { expression, quoted });
                return Ok(());
            }
            // A substitution that begins with a subshell.
            self.at -= 1;
            let source = self.substitution()?;
            pieces.0.push(Piece::Command { source: source.into(), quoted });
        } else if self.eat("(") {
            let source = self.substitution()?;
            pieces.0.push(Piece::Command { source: source.into(), quoted });
        } else if self.eat("{") {
            let piece = self.nested(|parser| parser.braces(quoted))?;
            pieces.0.push(piece);
        } else if !quoted && self.eat("'") {
            pieces.quoted("");
            self.escaped_quoted(pieces)?;
        } else if let Some(name) = self.parameter_name() {
            let parameter = Parameter { name, ..Parameter::default() };
            pieces.0.push(Piece::Parameter { parameter, operator: Operator::Value, quoted });
        } else if within == Within::Regex {
            pieces.literal('$');
        } else {
            // A lone dollar is itself; quoted, so that it never begins a pattern.
            pieces.quoted("$");
        }
        Ok(())
    }

    /// The source of `$(…)`, found by parsing it; `$(` has been taken.
    fn substitution(&mut self) -> Parsed<String> {
        let start = self.at;
        // Here-documents announced outside are read after this line, not inside.
        let outer = std::mem::take(&mut self.pending);
        let parsed = self.nested(|parser| {
            parser.skip_newlines()?;
            while parser.peek().is_some_and(|c| c != ')') {
                parser.list_of_line()?;
                parser.skip_newlines()?;
            }
            Ok(())
        });
        self.pending = outer;
        parsed?;
        let source = self.text[start..self.at].to_owned();
        if !self.eat(")") {
            return Err(self.unexpected(Some(")")));
        }
        Ok(source)
    }

    /// The source between backticks, one level of backslashes taken off; the first tick is taken.
    fn backquoted(&mut self, within: Within) -> Parsed<String> {
        let mut source = String::new();
        loop {
            match self.next() {
                None => return Err(self.incomplete("EOF in backquote substitution")),
                Some('`') => return Ok(source),
                Some('\\') => match self.next() {
                    Some(c @ ('`' | '$' | '\\')) => source.push(c),
                    Some('"') if within == Within::Quotes => source.push('"'),
                    Some(c) => source.extend(['\\', c]),
                    None => source.push('\\'),
                },
                Some(c) => source.push(c),
            }
        }
    }
}

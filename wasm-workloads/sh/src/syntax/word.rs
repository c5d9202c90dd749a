//! Words: quoting, parameters, substitutions.

use super::parser::Parsed;
use super::{Operator, Parser, Piece, Word};

/// What a word is part of, which decides what ends it and what a quote means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Between blanks and operators.
    Command,
    /// Inside double quotes.
    Quotes,
    /// Inside `${…}`; with whether that is inside double quotes.
    Braces { quoted: bool, slash: bool, colon: bool },
    /// Inside `$((…))`.
    Arithmetic,
    /// The text of a here-document.
    HereDocument,
}

impl Within {
    /// Whether expansions are as if in double quotes.
    fn is_quoted(self) -> bool {
        match self {
            Self::Command => false,
            Self::Braces { quoted, .. } => quoted,
            Self::Quotes | Self::Arithmetic | Self::HereDocument => true,
        }
    }

    fn ends_at(self, c: char, parentheses: u32) -> bool {
        match self {
            Self::Command => " \t\n;&|()<>".contains(c),
            Self::Quotes => c == '"',
            Self::Braces { slash, colon, .. } => {
                c == '}' || (slash && c == '/') || (colon && c == ':')
            }
            Self::Arithmetic => c == ')' && parentheses == 0,
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

impl Parser<'_> {
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

    fn pieces(&mut self, within: Within) -> Parsed<Word> {
        let mut pieces = Pieces::default();
        let mut parentheses = 0;
        while let Some(c) = self.peek() {
            if within.ends_at(c, parentheses) {
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
                    Within::Command | Within::Braces { quoted: false, .. }
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

    fn backslash(&mut self, within: Within, pieces: &mut Pieces) {
        let next = self.peek();
        let special = match within {
            Within::Command | Within::Braces { quoted: false, .. } => next.is_some(),
            Within::Quotes => matches!(next, Some('$' | '`' | '"' | '\\' | '\n')),
            Within::Braces { .. } => matches!(next, Some('$' | '`' | '"' | '\\' | '\n' | '}')),
            Within::HereDocument | Within::Arithmetic => {
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
        self.line += text.matches('\n').count() as u32;
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
            let expression = self.nested(|parser| parser.pieces(Within::Arithmetic))?;
            if !self.eat("))") {
                return Err(self.incomplete("missing '))'"));
            }
            pieces.0.push(Piece::Arithmetic { expression, quoted });
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
            pieces.0.push(Piece::Parameter { name, operator: Operator::Value, quoted });
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
        parsed?;
        self.pending = outer;
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

    /// The name after `$`, or inside `${`.
    fn parameter_name(&mut self) -> Option<String> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        let length = if first.is_ascii_alphabetic() || first == '_' {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if first.is_ascii_digit() || "@*#?-$!".contains(first) {
            1
        } else {
            return None;
        };
        self.at += length;
        Some(rest[..length].to_owned())
    }

    /// `${…}`; the brace has been taken.
    fn braces(&mut self, quoted: bool) -> Parsed<Piece> {
        let is_length = self.at_length();
        if is_length {
            self.at += 1;
        }
        let digits =
            self.rest().len() - self.rest().trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let name = if digits > 0 {
            self.at += digits;
            Some(self.text[self.at - digits..self.at].to_owned())
        } else {
            self.parameter_name()
        };
        let operator = match &name {
            Some(_) if is_length => Operator::Length,
            Some(_) => self.operator(quoted)?,
            None => Operator::Bad,
        };
        let operator = if self.peek() == Some('}') { operator } else { Operator::Bad };
        if operator == Operator::Bad {
            self.pieces(Within::Braces { quoted, slash: false, colon: false })?;
        }
        if !self.eat("}") {
            return Err(self.incomplete("missing '}'"));
        }
        Ok(Piece::Parameter { name: name.unwrap_or_default(), operator, quoted })
    }

    /// Whether `${#…` asks for a length, or is about the parameter `#`.
    fn at_length(&self) -> bool {
        let Some(rest) = self.rest().strip_prefix('#') else { return false };
        match rest.chars().next() {
            None | Some('}' | '-' | '=' | '+' | ':' | '%' | '/') => false,
            Some('?' | '#') => rest[1..].starts_with('}'),
            Some(_) => true,
        }
    }

    fn operator(&mut self, quoted: bool) -> Parsed<Operator> {
        let plain = Within::Braces { quoted, slash: false, colon: false };
        // A pattern's own quotes count even inside double quotes.
        let pattern = Within::Braces { quoted: false, slash: false, colon: false };
        let before_slash = Within::Braces { quoted: false, slash: true, colon: false };
        let before_colon = Within::Braces { quoted: true, slash: false, colon: true };
        let colon = self.eat(":");
        let Some(c) = self.peek() else { return Ok(Operator::Bad) };
        if colon && !"-=?+".contains(c) {
            let offset = self.pieces(before_colon)?;
            let length = if self.eat(":") { Some(self.pieces(plain)?) } else { None };
            return Ok(Operator::Substring { offset, length });
        }
        if c == '}' {
            return Ok(Operator::Value);
        }
        self.next();
        Ok(match c {
            '-' => Operator::Default { word: self.pieces(plain)?, colon },
            '=' => Operator::Assign { word: self.pieces(plain)?, colon },
            '?' => Operator::Error { word: self.pieces(plain)?, colon },
            '+' => Operator::Alternative { word: self.pieces(plain)?, colon },
            '#' => {
                let longest = self.eat("#");
                Operator::RemovePrefix { pattern: self.pieces(pattern)?, longest }
            }
            '%' => {
                let longest = self.eat("%");
                Operator::RemoveSuffix { pattern: self.pieces(pattern)?, longest }
            }
            '/' => {
                let all = self.eat("/");
                let pattern = self.pieces(before_slash)?;
                let replacement = if self.eat("/") { self.pieces(plain)? } else { Word::default() };
                Operator::Replace { pattern, replacement, all }
            }
            _ => Operator::Bad,
        })
    }
}

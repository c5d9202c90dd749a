//! `${…}`: what is inside.

use super::parser::Parsed;
use super::word::Within;
use super::{Operator, Parameter, Parser, Piece, Word};

impl Parser {
    /// The name after `$`, or inside `${`.
    pub(super) fn parameter_name(&mut self) -> Option<String> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        let length = if first.is_ascii_alphabetic() || first == '_' {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if first.is_ascii_digit() || "@*#?-$!".contains(first) {
            1
        } else {
            return None;
        };
        let name = rest[..length].to_owned();
        self.at += length;
        Some(name)
    }

    /// `${…}`; the brace has been taken.
    pub(super) fn braces(&mut self, quoted: bool) -> Parsed<Piece> {
        let is_length = self.at_length();
        if is_length {
            self.at += 1;
        }
        let indirect = !is_length && self.at_indirect();
        if indirect {
            self.at += 1;
        }
        let name = self.name_in_braces();
        let index = if name.is_some() && self.eat("[") { Some(self.index()?) } else { None };
        let mut operator = match &name {
            _ if index.is_some() && !self.eat("]") => Operator::Bad,
            Some(_) if is_length => Operator::Length,
            Some(_)
                if indirect && (self.rest().starts_with("*}") || self.rest().starts_with("@}")) =>
            {
                self.at += 1;
                Operator::Names
            }
            Some(_) => self.operator(quoted)?,
            None => Operator::Bad,
        };
        if indirect && operator == Operator::Value && index.as_ref().is_some_and(Word::is_all) {
            operator = Operator::Indices;
        }
        if self.peek() != Some('}') {
            operator = Operator::Bad;
        }
        if operator == Operator::Bad {
            self.pieces(Within::Braces { quoted, slash: false, colon: false })?;
        }
        if !self.eat("}") {
            return Err(self.incomplete("missing '}'"));
        }
        let parameter = Parameter { name: name.unwrap_or_default(), index, indirect };
        Ok(Piece::Parameter { parameter, operator, quoted })
    }

    fn name_in_braces(&mut self) -> Option<String> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return self.parameter_name();
        }
        self.at += digits;
        Some(self.text[self.at - digits..self.at].to_owned())
    }

    /// Whether `${!…` means another parameter, or is about the parameter `!`.
    fn at_indirect(&self) -> bool {
        let name = self.rest().strip_prefix('!');
        name.is_some_and(|name| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric() || "_#@*".contains(c))
        })
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
            '^' | ',' => {
                let all = self.eat(c.encode_utf8(&mut [0; 4]));
                Operator::Case { pattern: self.pieces(pattern)?, upper: c == '^', all }
            }
            '@' => self.next().map_or(Operator::Bad, Operator::Transform),
            _ => Operator::Bad,
        })
    }
}

//! Redirections and here-documents.

use std::rc::Rc;

use super::parser::Parsed;
use super::{HereDocument, Parser, Piece, Redirect, RedirectKind, Word};

impl Parser {
    pub(super) fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        self.skip_blanks();
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let operator = &rest[digits..];
        // A process substitution is a word.
        let begins = operator.starts_with(['<', '>'])
            && !operator.starts_with("<(")
            && !operator.starts_with(">(");
        if !begins && !rest.starts_with("&>") {
            return Ok(None);
        }
        let number = rest[..digits].parse().ok();
        if digits > 0 && number.is_none() {
            return Err(self.error("bad fd number"));
        }
        self.at += digits;
        // Longest first.
        const OPERATORS: &[&str] =
            &["<<-", "<<<", "&>>", "&>", "<<", "<&", "<>", ">>", ">&", ">|", "<", ">"];
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
            "&>" | "&>>" => RedirectKind::Both { word: target, append: operator == "&>>" },
            ">&" if number.is_none() && !is_descriptor(&target) => {
                RedirectKind::Both { word: target, append: false }
            }
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
            Piece::Parameter { parameter, .. } => format!("${}", parameter.name),
            Piece::Command { source, .. } => format!("$({source})"),
            Piece::Arithmetic { .. } | Piece::Process { .. } => String::new(),
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
}

/// Whether `>&` is followed by what can only be a descriptor: digits, `-`, or what is expanded.
fn is_descriptor(target: &Word) -> bool {
    target.as_plain().is_none_or(|text| text.chars().all(|c| c.is_ascii_digit() || c == '-'))
}

//! Parameters: `$name`, `$@`, `${name:-word}` and their like.

use super::fields::Fields;
use super::{Shell, Unwind, quote, transform};
use crate::syntax::{Operator, Parameter, Parser, Piece, Word};

/// `${!a}` of `a=a` would never end.
const INDIRECTIONS_MAX: u32 = 10;

impl Shell {
    /// Adds a parameter's value, after its operator, to the fields.
    pub(super) fn parameter(
        &mut self,
        parameter: &Parameter,
        operator: &Operator,
        quoted: bool,
        single: bool,
        fields: &mut Fields,
    ) -> Result<(), Unwind> {
        let is_list = matches!(operator, Operator::Names | Operator::Indices);
        if parameter.indirect && !is_list {
            let meant = self.meant(parameter)?;
            return self.parameter(&meant, operator, quoted, single, fields);
        }
        match self.elements(parameter, operator) {
            Some(elements) => {
                let star = parameter.name == "*" || index_is(parameter, "*");
                self.many(parameter, operator, elements, Style { quoted, single, star }, fields)
            }
            None => self.operate(parameter, operator, quoted, single, fields),
        }
    }

    /// The parameter whose name is this one's value.
    fn meant(&mut self, parameter: &Parameter) -> Result<Parameter, Unwind> {
        let mut name = parameter.clone();
        name.indirect = false;
        let text = self.value_of(&name)?.unwrap_or_default();
        self.indirections += 1;
        let piece = Parser::new(&format!("${{{text}}}"), self.line).quoted_word();
        let too_deep = self.indirections > INDIRECTIONS_MAX;
        self.indirections -= 1;
        match piece.as_ref().map(|word| word.0.as_slice()) {
            Ok([Piece::Parameter { parameter, operator: Operator::Value, .. }]) if !too_deep => {
                Ok(parameter.clone())
            }
            _ => self.fail(&format!("{text}: invalid variable name")),
        }
    }

    /// The elements, if the parameter means several: `$@`, `${a[@]}`, names.
    fn elements(&self, parameter: &Parameter, operator: &Operator) -> Option<Vec<String>> {
        let name = parameter.name.as_str();
        match operator {
            Operator::Names => {
                let names = self.variables.iter().map(|(known, _)| known);
                return Some(names.filter(|known| known.starts_with(name)).cloned().collect());
            }
            Operator::Indices => return Some(self.indices(name)),
            _ => {}
        }
        if name == "@" || name == "*" {
            Some(self.positional.clone())
        } else if parameter.index.as_ref().is_some_and(Word::is_all) {
            Some(self.array(name))
        } else {
            None
        }
    }

    /// Several values, with an operator for each of them.
    fn many(
        &mut self,
        parameter: &Parameter,
        operator: &Operator,
        elements: Vec<String>,
        style: Style,
        fields: &mut Fields,
    ) -> Result<(), Unwind> {
        let is_empty = elements.iter().all(String::is_empty);
        let is_set = |colon: bool| !(elements.is_empty() || colon && is_empty);
        let elements = match operator {
            Operator::Length => {
                self.result(&elements.len().to_string(), style.quoted, style.single, fields);
                return Ok(());
            }
            Operator::Default { word, colon } if !is_set(*colon) => {
                return self.alternative(word, style.quoted, style.single, fields);
            }
            Operator::Alternative { word, colon } if is_set(*colon) => {
                return self.alternative(word, style.quoted, style.single, fields);
            }
            Operator::Alternative { .. } => Vec::new(),
            Operator::Error { colon, .. } | Operator::Assign { colon, .. } if !is_set(*colon) => {
                return self.operate(parameter, operator, style.quoted, style.single, fields);
            }
            Operator::Substring { offset, length } => {
                self.slice(parameter, elements, offset, length.as_ref())?
            }
            Operator::Bad => return self.fail("bad substitution"),
            operator => {
                let each = elements.into_iter().map(|element| self.transform(element, operator));
                each.collect::<Result<_, _>>()?
            }
        };
        self.list(&elements, style, fields);
        Ok(())
    }

    fn list(&self, elements: &[String], style: Style, fields: &mut Fields) {
        if elements.is_empty() {
            // No fields at all, not even for `"$@"`; `"$*"` is an empty one.
            if style.quoted && style.star {
                fields.push("", true);
            }
            return;
        }
        if (style.star && style.quoted) || style.single {
            let separators = self.variables.get("IFS").unwrap_or(" ");
            let separator = if style.star { first_char(separators) } else { " " };
            fields.push(&elements.join(separator), style.quoted);
            return;
        }
        for (n, element) in elements.iter().enumerate() {
            if n > 0 {
                fields.end_field();
            }
            self.result(element, style.quoted, false, fields);
        }
    }

    /// `${@:offset:length}`: of the positional parameters `$0` is the first.
    fn slice(
        &mut self,
        parameter: &Parameter,
        mut elements: Vec<String>,
        offset: &Word,
        length: Option<&Word>,
    ) -> Result<Vec<String>, Unwind> {
        if parameter.index.is_none() {
            elements.insert(0, self.name.clone());
        }
        let (from, to) = self.range(elements.len(), offset, length)?;
        Ok(elements[from..to].to_vec())
    }

    fn operate(
        &mut self,
        parameter: &Parameter,
        operator: &Operator,
        quoted: bool,
        single: bool,
        fields: &mut Fields,
    ) -> Result<(), Unwind> {
        let name = &parameter.name;
        let value = self.value_of(parameter)?;
        let is_set = |colon: bool| value.as_ref().is_some_and(|value| !(colon && value.is_empty()));
        let changed = match operator {
            Operator::Bad => return self.fail("bad substitution"),
            Operator::Alternative { word, colon } if is_set(*colon) => {
                return self.alternative(word, quoted, single, fields);
            }
            Operator::Alternative { .. } => String::new(),
            Operator::Default { word, colon } if !is_set(*colon) => {
                return self.alternative(word, quoted, single, fields);
            }
            Operator::Assign { word, colon } if !is_set(*colon) => {
                if !crate::syntax::is_name(name) {
                    return self.fail(&format!("{name}: bad variable name"));
                }
                let value = self.expand_text(word)?;
                self.assign_at(name, parameter.index.as_ref(), value.clone())?;
                value
            }
            Operator::Error { word, colon } if !is_set(*colon) => {
                let message = self.expand_text(word)?;
                let unset = if *colon { "parameter not set or null" } else { "parameter not set" };
                let message = if word.0.is_empty() { unset } else { &message };
                return self.fail(&format!("{name}: {message}"));
            }
            Operator::Default { .. } | Operator::Assign { .. } | Operator::Error { .. } => {
                value.unwrap_or_default()
            }
            _ => {
                if value.is_none() && self.options.has('u') && !"@*".contains(name.as_str()) {
                    return self.fail(&format!("{name}: parameter not set"));
                }
                self.transform(value.unwrap_or_default(), operator)?
            }
        };
        self.result(&changed, quoted, single, fields);
        Ok(())
    }

    /// The word of `-` and `+`: its own quoting counts.
    fn alternative(
        &mut self,
        word: &Word,
        quoted: bool,
        single: bool,
        fields: &mut Fields,
    ) -> Result<(), Unwind> {
        if single || quoted {
            for (c, inner) in self.expand_pattern(word)? {
                fields.push(c.encode_utf8(&mut [0; 4]), quoted || inner);
            }
            if quoted {
                fields.push("", true);
            }
            return Ok(());
        }
        // Unquoted literals in it are split like an expansion's result.
        for piece in &word.0 {
            match piece {
                Piece::Literal(literal) if !literal.starts_with('~') => {
                    self.result(literal, false, false, fields);
                }
                piece => self.expand_fields(&Word(vec![piece.clone()]), fields)?,
            }
        }
        Ok(())
    }

    fn transform(&mut self, value: String, operator: &Operator) -> Result<String, Unwind> {
        let chars: Vec<char> = value.chars().collect();
        Ok(match operator {
            Operator::Length => chars.len().to_string(),
            Operator::RemovePrefix { pattern, longest } => {
                transform::remove_prefix(&chars, &self.expand_pattern(pattern)?, *longest)
            }
            Operator::RemoveSuffix { pattern, longest } => {
                transform::remove_suffix(&chars, &self.expand_pattern(pattern)?, *longest)
            }
            Operator::Substring { offset, length } => {
                let (from, to) = self.range(chars.len(), offset, length.as_ref())?;
                chars[from..to].iter().collect()
            }
            Operator::Replace { pattern, replacement, all } => {
                let pattern = self.expand_pattern(pattern)?;
                let replacement = self.expand_text(replacement)?;
                transform::replace(&chars, &pattern, &replacement, *all)
            }
            Operator::Case { pattern, upper, all } => {
                transform::change_case(&chars, &self.expand_pattern(pattern)?, *upper, *all)
            }
            Operator::Transform('Q') => quote(&value).replace("'\"'\"'", "'\\''"),
            Operator::Transform('U') => value.to_uppercase(),
            Operator::Transform('L') => value.to_lowercase(),
            Operator::Transform('u') => transform::change_case(&chars, &[], true, false),
            Operator::Transform(_) => return self.fail("bad substitution"),
            _ => value,
        })
    }

    /// Offset and length as a range within `len`; negative ones count from the end.
    fn range(
        &mut self,
        len: usize,
        offset: &Word,
        length: Option<&Word>,
    ) -> Result<(usize, usize), Unwind> {
        let len = len as i64;
        let offset = self.calculate(offset)?;
        let from = if offset < 0 { (len + offset).max(0) } else { offset.min(len) };
        let to = match length {
            None => len,
            Some(length) => match self.calculate(length)? {
                length if length < 0 => (len + length).max(from),
                length => from.saturating_add(length).min(len),
            },
        };
        Ok((from as usize, to as usize))
    }
}

/// How several values become fields.
#[derive(Debug, Clone, Copy)]
struct Style {
    quoted: bool,
    single: bool,
    /// Joined, if quoted.
    star: bool,
}

fn index_is(parameter: &Parameter, text: &str) -> bool {
    let index = parameter.index.as_ref().map(|index| index.0.as_slice());
    matches!(index, Some([Piece::Quoted(index)]) if index == text)
}

fn first_char(text: &str) -> &str {
    text.chars().next().map_or("", |c| &text[..c.len_utf8()])
}

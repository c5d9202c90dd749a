//! Parameters: `$name`, `$@`, `${name:-word}` and their like.

use super::fields::{Fields, text};
use super::{Shell, Unwind};
use crate::pattern;
use crate::syntax::{Operator, Word};

impl Shell {
    /// Adds a parameter's value, after its operator, to the fields.
    pub(super) fn parameter(
        &mut self,
        name: &str,
        operator: &Operator,
        quoted: bool,
        single: bool,
        fields: &mut Fields,
    ) -> Result<(), Unwind> {
        let many = name == "@" || name == "*";
        if many && !self.positional.is_empty() {
            let plain = match operator {
                Operator::Value
                | Operator::Default { .. }
                | Operator::Assign { .. }
                | Operator::Error { .. } => true,
                Operator::Substring { offset, length } => {
                    let elements = self.slice(offset, length.as_ref())?;
                    self.elements(name, &elements, quoted, single, fields);
                    return Ok(());
                }
                _ => false,
            };
            if plain {
                let elements = self.positional.clone();
                self.elements(name, &elements, quoted, single, fields);
                return Ok(());
            }
        } else if many && *operator == Operator::Value {
            // No fields at all, not even for `"$@"`; `"$*"` is an empty one.
            if quoted && name == "*" {
                fields.push("", true);
            }
            return Ok(());
        }
        self.operate(name, operator, quoted, single, fields)
    }

    /// `$@` and `$*`.
    fn elements(
        &self,
        name: &str,
        elements: &[String],
        quoted: bool,
        single: bool,
        fields: &mut Fields,
    ) {
        if (name == "*" && quoted) || single {
            let separators = self.variables.get("IFS").unwrap_or(" ");
            let separator = if name == "*" { separators.get(..1).unwrap_or("") } else { " " };
            fields.push(&elements.join(separator), quoted);
            return;
        }
        for (n, element) in elements.iter().enumerate() {
            if n > 0 {
                fields.end_field();
            }
            self.result(element, quoted, false, fields);
        }
    }

    /// `${@:offset:length}`
    fn slice(&mut self, offset: &Word, length: Option<&Word>) -> Result<Vec<String>, Unwind> {
        let mut all = vec![self.name.clone()];
        all.extend(self.positional.iter().cloned());
        let (from, to) = self.range(all.len(), offset, length)?;
        Ok(all[from..to].to_vec())
    }

    fn operate(
        &mut self,
        name: &str,
        operator: &Operator,
        quoted: bool,
        single: bool,
        fields: &mut Fields,
    ) -> Result<(), Unwind> {
        let value = self.value(name);
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
                self.assign(name, value.clone()).or_else(|message| self.fail(&message))?;
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
                if value.is_none() && self.options.has('u') && !"@*".contains(name) {
                    return self.fail(&format!("{name}: parameter not set"));
                }
                self.transform(value.unwrap_or_default(), name, operator)?
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
                crate::syntax::Piece::Literal(literal) if !literal.starts_with('~') => {
                    self.result(literal, false, false, fields);
                }
                piece => self.expand_fields(&Word(vec![piece.clone()]), fields)?,
            }
        }
        Ok(())
    }

    fn transform(
        &mut self,
        value: String,
        name: &str,
        operator: &Operator,
    ) -> Result<String, Unwind> {
        let chars: Vec<char> = value.chars().collect();
        Ok(match operator {
            Operator::Length if "@*".contains(name) => self.positional.len().to_string(),
            Operator::Length => chars.len().to_string(),
            Operator::RemovePrefix { pattern, longest } => {
                let pattern = self.expand_pattern(pattern)?;
                let mut ends: Vec<usize> = (0..=chars.len()).collect();
                if *longest {
                    ends.reverse();
                }
                let end = ends.into_iter().find(|end| pattern::matches(&pattern, &chars[..*end]));
                chars[end.unwrap_or(0)..].iter().collect()
            }
            Operator::RemoveSuffix { pattern, longest } => {
                let pattern = self.expand_pattern(pattern)?;
                let mut starts: Vec<usize> = (0..=chars.len()).collect();
                if !*longest {
                    starts.reverse();
                }
                let start =
                    starts.into_iter().find(|start| pattern::matches(&pattern, &chars[*start..]));
                chars[..start.unwrap_or(chars.len())].iter().collect()
            }
            Operator::Substring { offset, length } => {
                let (from, to) = self.range(chars.len(), offset, length.as_ref())?;
                chars[from..to].iter().collect()
            }
            Operator::Replace { pattern, replacement, all } => {
                let pattern = self.expand_pattern(pattern)?;
                let replacement = self.expand_pattern(replacement)?;
                replace(&chars, &pattern, &text(&replacement), *all)
            }
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

    /// The value of a variable or a special parameter.
    pub fn value(&self, name: &str) -> Option<String> {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            let n: usize = name.parse().ok()?;
            return if n == 0 {
                Some(self.name.clone())
            } else {
                self.positional.get(n - 1).cloned()
            };
        }
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.positional.len().to_string()),
            "$" => Some(self.pid.to_string()),
            "!" => Some(self.last_background.map_or_else(String::new, |pid| pid.to_string())),
            "-" => Some(self.options.letters().to_owned()),
            "@" | "*" => (!self.positional.is_empty()).then(|| self.positional.join(" ")),
            "LINENO" => Some(self.line.to_string()),
            name => self.variables.get(name).map(str::to_owned),
        }
    }

    /// Gives a variable a value; with what hangs on it.
    ///
    /// # Errors
    /// It is read-only; in busybox's words.
    pub fn assign(&mut self, name: &str, value: String) -> Result<(), String> {
        if name == "PATH" {
            self.forget_programs();
        }
        if name == "OPTIND" {
            self.options_index = 0;
        }
        self.variables.set(name, value)?;
        if self.options.has('a') {
            self.variables.entry_mut(name).exported = true;
        }
        Ok(())
    }
}

/// Replaces the longest match at each place.
fn replace(chars: &[char], pattern: &[pattern::Char], replacement: &str, all: bool) -> String {
    let mut pattern = pattern;
    let (mut at_start, mut at_end) = (false, false);
    if let [('#', false), rest @ ..] = pattern {
        (pattern, at_start) = (rest, true);
    } else if let [('%', false), rest @ ..] = pattern {
        (pattern, at_end) = (rest, true);
    }
    if pattern.is_empty() && !at_start && !at_end {
        return chars.iter().collect();
    }
    let (mut replaced, mut at) = (String::new(), 0);
    while at <= chars.len() {
        let ends = (at..=chars.len()).rev().filter(|end| !at_end || *end == chars.len());
        let end = ends.into_iter().find(|end| pattern::matches(pattern, &chars[at..*end]));
        match end.filter(|end| *end > at || at_start || at_end) {
            Some(end) => {
                replaced.push_str(replacement);
                let next = end.max(at);
                if !all || at_start || at_end {
                    replaced.extend(&chars[next..]);
                    return replaced;
                }
                at = next;
            }
            None if at_start => break,
            None => {
                replaced.extend(chars.get(at));
                at += 1;
            }
        }
    }
    replaced.extend(chars.get(at..).unwrap_or_default());
    replaced
}

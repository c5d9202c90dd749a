//! Expansion of words: parameters, substitutions, arithmetic, splitting, file names.

use std::fs;

use super::fields::{Field, Fields, text};
use super::{Shell, Unwind, brace};
use crate::arithmetic;
use crate::pattern::{self, Char};
use crate::syntax::{Parser, Piece, Word};

/// How a word is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// To any number of fields: split, and file names found.
    Fields,
    /// To one, unsplit: redirections, `case`.
    Single,
    /// The same, with tildes after colons.
    Assigned,
}

impl Shell {
    /// The fields of a command's words.
    pub fn expand_words(&mut self, words: &[Word]) -> Result<Vec<String>, Unwind> {
        let mut expanded = Vec::new();
        for word in words {
            for word in brace::expand(word).iter() {
                self.expand_word(word, &mut expanded)?;
            }
        }
        Ok(expanded)
    }

    fn expand_word(&mut self, word: &Word, expanded: &mut Vec<String>) -> Result<(), Unwind> {
        let mut fields = Fields::default();
        self.expand_into(word, Mode::Fields, &mut fields)?;
        for field in fields.finish() {
            if self.options.has('f') || !pattern::is_pattern(&field) {
                expanded.push(text(&field));
            } else {
                self.file_names(&field, expanded);
            }
        }
        Ok(())
    }

    /// The text of one word, unsplit.
    pub fn expand_text(&mut self, word: &Word) -> Result<String, Unwind> {
        self.expand_pattern(word).map(|field| text(&field))
    }

    /// The value that an assignment gives.
    pub(super) fn expand_assigned(&mut self, word: &Word) -> Result<String, Unwind> {
        let mut fields = Fields::default();
        self.expand_into(word, Mode::Assigned, &mut fields)?;
        Ok(text(&fields.finish().join(&(' ', true))))
    }

    /// One word unsplit, its quoting kept, for matching.
    pub fn expand_pattern(&mut self, word: &Word) -> Result<Vec<Char>, Unwind> {
        let mut fields = Fields::default();
        self.expand_into(word, Mode::Single, &mut fields)?;
        let fields = fields.finish();
        Ok(fields.join(&(' ', true)))
    }

    pub(super) fn expand_fields(&mut self, word: &Word, fields: &mut Fields) -> Result<(), Unwind> {
        self.expand_into(word, Mode::Fields, fields)
    }

    fn expand_into(&mut self, word: &Word, mode: Mode, fields: &mut Fields) -> Result<(), Unwind> {
        for (n, piece) in word.0.iter().enumerate() {
            match piece {
                Piece::Literal(literal) => {
                    let alone = word.0.len() == 1;
                    self.literal(literal, n == 0, alone, mode, fields);
                }
                Piece::Quoted(literal) => fields.push(literal, true),
                Piece::Parameter { parameter, operator, quoted } => {
                    let single = mode != Mode::Fields;
                    self.parameter(parameter, operator, *quoted, single, fields)?;
                }
                Piece::Process { source, writes } => {
                    let path = self.process_file(source, *writes)?;
                    fields.push(&path, true);
                }
                Piece::Command { source, quoted } => {
                    let output = self.substitute(source)?;
                    self.result(&output, *quoted, mode != Mode::Fields, fields);
                }
                Piece::Arithmetic { expression, quoted } => {
                    let value = self.calculate(expression)?.to_string();
                    self.result(&value, *quoted, mode != Mode::Fields, fields);
                }
            }
        }
        Ok(())
    }

    /// Adds an expansion's result.
    pub(super) fn result(&self, value: &str, quoted: bool, single: bool, fields: &mut Fields) {
        if quoted || single {
            // Unquoted in a pattern it stays a pattern.
            fields.push(value, quoted);
        } else {
            fields.split(value, self.variables.get("IFS").unwrap_or(" \t\n"));
        }
    }

    /// Text as it stands in the script, tildes expanded.
    fn literal(&self, literal: &str, first: bool, alone: bool, mode: Mode, fields: &mut Fields) {
        // In an assignment also after each colon.
        let parts: Vec<&str> =
            if mode == Mode::Assigned { literal.split(':').collect() } else { vec![literal] };
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                fields.push(":", false);
            }
            let at_start = first || n > 0;
            let home = part.strip_prefix('~').filter(|_| at_start).and_then(|rest| {
                let (user, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let whole = !path.is_empty() || alone || n + 1 < parts.len();
                self.home(user).filter(|_| whole).map(|home| (home, path))
            });
            match home {
                Some((home, path)) => {
                    fields.push(&home, true);
                    fields.push(path, false);
                }
                None => fields.push(part, false),
            }
        }
    }

    fn home(&self, user: &str) -> Option<String> {
        match user {
            "" => self.variables.get("HOME").map(str::to_owned),
            "+" => Some(self.directory.clone()),
            "-" => self.variables.get("OLDPWD").map(str::to_owned),
            user => {
                let passwd = fs::read_to_string("/etc/passwd").ok()?;
                let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
                line.split(':').nth(5).map(str::to_owned)
            }
        }
    }

    /// The value of an arithmetic expression.
    pub fn calculate(&mut self, expression: &Word) -> Result<i64, Unwind> {
        let text = self.expand_text(expression)?;
        self.calculate_text(&text)
    }

    pub fn calculate_text(&mut self, text: &str) -> Result<i64, Unwind> {
        let value = arithmetic::evaluate(text, &mut Arithmetic(self));
        value.or_else(|message| self.fail(&message))
    }

    /// A text in which only `$`, backticks and backslashes mean something (a prompt).
    pub fn expand_prompt(&mut self, text: &str) -> String {
        let word = Parser::new(text, self.line).quoted_word();
        word.ok().and_then(|word| self.expand_text(&word).ok()).unwrap_or_else(|| text.to_owned())
    }

    /// The names that a pattern matches, sorted; the pattern itself if there are none.
    fn file_names(&self, field: &Field, names: &mut Vec<String>) {
        let absolute = matches!(field.first(), Some(('/', _)));
        let mut found = vec![if absolute { "/".to_owned() } else { String::new() }];
        let components: Vec<&[Char]> =
            field.split(|(c, _)| *c == '/').filter(|component| !component.is_empty()).collect();
        for (n, component) in components.iter().enumerate() {
            let last = n + 1 == components.len();
            found = found.iter().flat_map(|base| self.step(base, component, last)).collect();
        }
        if matches!(field.last(), Some(('/', _))) {
            found
                .retain(|name| fs::metadata(self.absolute(name)).is_ok_and(|found| found.is_dir()));
            found.iter_mut().for_each(|name| name.push('/'));
        }
        if found.is_empty() {
            names.push(text(field));
        } else {
            found.sort();
            names.append(&mut found);
        }
    }

    /// The names below `base` that one component matches.
    fn step(&self, base: &str, component: &[Char], last: bool) -> Vec<String> {
        let join = |name: &str| match base {
            "" | "/" => format!("{base}{name}"),
            _ => format!("{base}/{name}"),
        };
        if !pattern::is_pattern(component) {
            let name = join(&text(component));
            let there = fs::symlink_metadata(self.absolute(&name)).is_ok();
            return if there || !last { vec![name] } else { Vec::new() };
        }
        let directory = if base.is_empty() { self.directory.clone() } else { self.absolute(base) };
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        let dots = matches!(component.first(), Some(('.', _)));
        let mut names = Vec::new();
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let chars: Vec<char> = name.chars().collect();
            let shown = dots || !name.starts_with('.');
            if shown && pattern::matches(component, &chars) {
                names.push(join(&name));
            }
        }
        names
    }
}

/// The shell's variables, as arithmetic sees them.
struct Arithmetic<'a>(&'a mut Shell);

impl arithmetic::Variables for Arithmetic<'_> {
    fn get(&mut self, name: &str) -> Result<String, String> {
        let value = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((name, at)) => {
                at.parse().ok().and_then(|at| self.0.array_elements(name).remove(&at))
            }
            None => self.0.value(name),
        };
        match value {
            Some(value) => Ok(value),
            None if self.0.options.has('u') => Err(format!("{name}: parameter not set")),
            None => Ok(String::new()),
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((name, at)) => {
                let at = at.parse().map_err(|_| format!("{name}: bad array subscript"))?;
                self.0.variables.set_element(name, at, value)
            }
            None => self.0.assign(name, value),
        }
    }
}

//! `[[ … ]]`

use sampan_regexp::{Captures, Regexp, Syntax};

use super::{Shell, Unwind};
use crate::condition::{self, Files};
use crate::pattern::{self, Char};
use crate::syntax::{Condition, Word};

/// Whether it holds; `None` after a message.
type Holds = Result<Option<bool>, Unwind>;

impl Shell {
    pub(super) fn condition(&mut self, condition: &Condition) -> Holds {
        match condition {
            Condition::Not(inner) => Ok(self.condition(inner)?.map(|holds| !holds)),
            Condition::And(left, right) => match self.condition(left)? {
                Some(true) => self.condition(right),
                decided => Ok(decided),
            },
            Condition::Or(left, right) => match self.condition(left)? {
                Some(false) => self.condition(right),
                decided => Ok(decided),
            },
            Condition::Text(word) => Ok(Some(!self.expand_text(word)?.is_empty())),
            Condition::Unary(operator, word) => self.unary(operator, word),
            Condition::Binary(left, operator, right) => self.binary(left, operator, right),
        }
    }

    fn unary(&mut self, operator: &str, word: &Word) -> Holds {
        let operand = self.expand_text(word)?;
        match operator {
            "-v" => Ok(Some(self.is_set(&operand)?)),
            "-o" => Ok(Some(self.options.named(&operand) == Some(true))),
            _ => {
                let holds = {
                    let is_terminal = |fd| self.is_terminal(fd);
                    let files = Files { directory: &self.directory, is_terminal: &is_terminal };
                    condition::unary(operator, &operand, &files)
                };
                Ok(self.or_complain(holds))
            }
        }
    }

    /// `name`, or `name[index]`.
    fn is_set(&mut self, name: &str) -> Result<bool, Unwind> {
        match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((name, index)) => {
                let at = self.calculate_text(index)?;
                let elements = self.array_elements(name);
                Ok(usize::try_from(at).is_ok_and(|at| elements.contains_key(&at)))
            }
            None => Ok(self.value(name).is_some()),
        }
    }

    fn binary(&mut self, left: &Word, operator: &str, right: &Word) -> Holds {
        let text = self.expand_text(left)?;
        match operator {
            "=" | "==" | "!=" => {
                let pattern = self.expand_pattern(right)?;
                let chars: Vec<char> = text.chars().collect();
                Ok(Some(pattern::matches(&pattern, &chars) == (operator != "!=")))
            }
            "=~" => {
                let pattern = self.expand_pattern(right)?;
                self.matches_regex(&text, &pattern)
            }
            "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" => {
                let right = self.expand_text(right)?;
                let (left, right) = (self.calculate_text(&text)?, self.calculate_text(&right)?);
                Ok(Some(condition::compare(left, operator, right)))
            }
            _ => {
                let right = self.expand_text(right)?;
                let holds = {
                    let files = Files { directory: &self.directory, is_terminal: &|_| false };
                    condition::binary(&text, operator, &right, &files)
                };
                Ok(self.or_complain(holds))
            }
        }
    }

    fn or_complain(&self, holds: Result<bool, String>) -> Option<bool> {
        holds.inspect_err(|message| self.complain(message)).ok()
    }

    /// An extended regular expression; what it matched goes into `BASH_REMATCH`.
    fn matches_regex(&mut self, text: &str, pattern: &[Char]) -> Holds {
        let source: String = pattern.iter().map(escaped).collect();
        let mut captures = Captures::default();
        let syntax = Syntax { extended: true, ..Syntax::default() };
        let found = Regexp::new(&source, syntax).map_err(str::to_owned).and_then(|regexp| {
            let found = regexp.find_at(text.as_bytes(), 0, &mut captures);
            found.map(|found| found.then(|| regexp.groups())).map_err(|err| err.to_string())
        });
        let groups = match found {
            Ok(groups) => groups,
            Err(why) => {
                self.complain(&format!("{source}: {why}"));
                return Ok(None);
            }
        };
        let group = |n| captures.get(n).and_then(|(from, to)| text.get(from..to)).unwrap_or("");
        let matched = groups.map_or(0, |groups| groups + 1);
        let elements = (0..matched).map(|n| (n, group(n).to_owned())).collect();
        let set = self.variables.set_array("BASH_REMATCH", elements);
        set.or_else(|message| self.fail(&message))?;
        Ok(Some(groups.is_some()))
    }
}

/// A quoted character of a regular expression stands for itself.
fn escaped((c, quoted): &Char) -> String {
    if *quoted && ".[]\\*^$+?{}()|".contains(*c) { format!("\\{c}") } else { c.to_string() }
}

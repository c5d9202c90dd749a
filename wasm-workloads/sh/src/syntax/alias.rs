//! Aliases: a command's first word replaced by other text, before anything else is made of it.

use super::{Parser, RESERVED};

/// Longer text is not made: aliases of aliases double with each of them.
const TEXT_BYTES_MAX: usize = 1 << 20;

impl Parser {
    /// Replaces the word that stands here as long as it is an alias.
    pub(super) fn expand_alias(&mut self) {
        while self.replace_alias() {
            self.skip_blanks();
        }
    }

    /// After an alias that ended in a blank, the next word may be one too.
    pub(super) fn expand_next_alias(&mut self) {
        let left = self.text.len() - self.at;
        if self.next_alias_at.is_some_and(|end| left <= end) {
            self.next_alias_at = None;
            self.expand_alias();
        }
    }

    fn replace_alias(&mut self) -> bool {
        let Some(aliases) = &self.aliases else { return false };
        let rest = self.rest();
        let end = rest.find([' ', '\t', '\n', '\r', ';', '&', '|', '(', ')', '<', '>']);
        let name = &rest[..end.unwrap_or(rest.len())];
        let left = rest.len();
        let Some(value) = aliases.borrow().get(name).cloned() else { return false };
        let name = name.to_owned();
        self.expanding.retain(|(_, end)| left > *end);
        let again = self.expanding.iter().any(|(known, _)| *known == name);
        let too_long = self.text.len() + value.len() > TEXT_BYTES_MAX;
        if again || too_long || RESERVED.contains(&name.as_str()) {
            return false;
        }
        let after = self.at + name.len();
        let left = self.text.len() - after;
        if value.ends_with([' ', '\t']) {
            self.next_alias_at = Some(left);
        }
        self.text = [&self.text[..self.at], &value, &self.text[after..]].concat().into();
        self.expanding.push((name, left));
        true
    }
}

//! Fields: what a word becomes, by splitting at `IFS`.

use crate::pattern::Char;

/// The characters of a field, each with whether it was quoted.
pub(super) type Field = Vec<Char>;

/// Fields as they grow.
#[derive(Debug, Default)]
pub(super) struct Fields {
    done: Vec<Field>,
    /// `None`: no field has been begun since the last one ended.
    current: Option<Field>,
    /// The last field was ended by white space: a delimiter after it belongs to the same end.
    after_space: bool,
}

impl Fields {
    /// Text of the script itself, or quoted text: never split. Empty quoted text begins a field.
    pub(super) fn push(&mut self, text: &str, quoted: bool) {
        if text.is_empty() && !quoted {
            return;
        }
        self.after_space = false;
        let field = self.current.get_or_insert_default();
        field.extend(text.chars().map(|c| (c, quoted)));
    }

    /// The unquoted result of an expansion: split.
    pub(super) fn split(&mut self, text: &str, separators: &str) {
        for c in text.chars() {
            if !separators.contains(c) {
                self.after_space = false;
                self.current.get_or_insert_default().push((c, false));
            } else if matches!(c, ' ' | '\t' | '\n') {
                if let Some(field) = self.current.take() {
                    self.done.push(field);
                    self.after_space = true;
                }
            } else if let Some(field) = self.current.take() {
                self.done.push(field);
                self.after_space = false;
            } else if self.after_space {
                self.after_space = false;
            } else {
                self.done.push(Field::new());
            }
        }
    }

    /// Ends the field (between the elements of `"$@"`).
    pub(super) fn end_field(&mut self) {
        self.done.extend(self.current.take());
        self.after_space = false;
    }

    pub(super) fn finish(mut self) -> Vec<Field> {
        self.end_field();
        self.done
    }
}

/// A field without its quoting.
pub(super) fn text(field: &[Char]) -> String {
    field.iter().map(|(c, _)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, separators: &str, expect: &[&str]) {
        let mut fields = Fields::default();
        fields.split(text, separators);
        let got: Vec<String> = fields.finish().iter().map(|field| super::text(field)).collect();
        assert_eq!(got, expect, "{text:?}");
    }

    #[test]
    fn white_space_runs_are_one_separator() {
        check("  a  b\tc\n", " \t\n", &["a", "b", "c"]);
        check("", " ", &[]);
        check("   ", " ", &[]);
    }

    #[test]
    fn every_other_separator_counts() {
        check("a::b:", ":", &["a", "", "b"]);
        check(":a", ":", &["", "a"]);
        check("a : b", " :", &["a", "b"]);
        check("a b", "", &["a b"]);
    }

    #[test]
    fn quoted_text_joins_what_is_beside_it() {
        let mut fields = Fields::default();
        fields.push("x", true);
        fields.split("a b", " ");
        fields.push("", true);
        let got: Vec<String> = fields.finish().iter().map(|field| text(field)).collect();
        assert_eq!(got, ["xa", "b"]);
    }
}

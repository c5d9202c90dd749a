//! Field selectors: `metadata.name=a,status.phase!=Running`.

use std::fmt;

/// One condition on one field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldTerm {
    pub field: String,
    /// Unescaped.
    pub value: String,
    /// `=` and `==`; `!=` otherwise.
    pub equal: bool,
}

/// Conditions that must all be met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<FieldTerm>);

impl Fields {
    pub fn everything() -> Self {
        Self::default()
    }

    /// The selector of one object by its name.
    pub fn name(name: impl Into<String>) -> Self {
        let (field, value) = ("metadata.name".to_owned(), name.into());
        Self(vec![FieldTerm { field, value, equal: true }])
    }

    /// Reads `a=b,c==d,e!=f`; in values `\,`, `\=` and `\\` stand for themselves.
    ///
    /// # Errors
    /// What cannot be understood, as upstream words it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for part in split_terms(text).into_iter().filter(|part| !part.is_empty()) {
            let (field, operator, value) = split_term(part)
                .ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{part}'"))?;
            let (field, equal) = (field.to_owned(), operator != "!=");
            terms.push(FieldTerm { field, value: unescape(value)?, equal });
        }
        terms.sort_unstable();
        Ok(Self(terms))
    }

    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    pub fn terms(&self) -> &[FieldTerm] {
        &self.0
    }

    /// Whether an object fits; `field` answers its value of a field, `None` is the empty text.
    pub fn matches_by<'a>(&self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        let fits =
            |term: &FieldTerm| (field(&term.field).unwrap_or_default() == term.value) == term.equal;
        self.0.iter().all(fits)
    }

    /// The value that `field` must have, if the selector says so.
    pub fn required(&self, field: &str) -> Option<&str> {
        let term = self.0.iter().find(|term| term.equal && term.field == field)?;
        Some(&term.value)
    }

    /// Refuses fields that a kind does not select by.
    ///
    /// # Errors
    /// The first unknown field, worded as upstream's core kinds do.
    pub fn check(&self, is_known: impl Fn(&str) -> bool) -> Result<(), String> {
        match self.0.iter().find(|term| !is_known(&term.field)) {
            None => Ok(()),
            Some(term) => Err(format!("field label not supported: {}", term.field)),
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}{}", term.field, escape(&term.value))?;
        }
        Ok(())
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Splits at the first operator.
fn split_term(term: &str) -> Option<(&str, &'static str, &str)> {
    term.char_indices().find_map(|(index, _)| {
        let rest = &term[index..];
        let operator = ["!=", "==", "="].into_iter().find(|operator| rest.starts_with(operator))?;
        Some((&term[..index], operator, &rest[operator.len()..]))
    })
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    ));
                }
            },
            // Upstream prints the character's number.
            ',' | '=' => {
                let code = u32::from(c);
                return Err(format!(
                    "invalid field selector: unescaped character in value: {code}"
                ));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(selector: &str, expect: &[(&str, bool, &str)]) {
        let fields = Fields::parse(selector).expect("a selector");
        let terms: Vec<(&str, bool, &str)> = fields
            .terms()
            .iter()
            .map(|term| (term.field.as_str(), term.equal, term.value.as_str()))
            .collect();
        assert_eq!(terms, expect);
        assert_eq!(Fields::parse(&fields.to_string()), Ok(fields));
    }

    #[track_caller]
    fn check_error(selector: &str, expect: &str) {
        assert_eq!(Fields::parse(selector).expect_err("no selector"), expect);
    }

    #[test]
    fn terms_are_read_and_escapes_undone() {
        check("", &[]);
        check("b!=c,a=b,d==e", &[("a", true, "b"), ("b", false, "c"), ("d", true, "e")]);
        check(r"a=x\,y\=z\\", &[("a", true, r"x,y=z\")]);
        check("spec.nodeName=", &[("spec.nodeName", true, "")]);
    }

    #[test]
    fn errors_are_worded_as_upstream() {
        check_error("a,b=c", "invalid selector: 'a,b=c'; can't understand 'a'");
        check_error("a=b=c", "invalid field selector: unescaped character in value: 61");
        check_error(r"a=\x", r"invalid field selector: invalid escape sequence: \x");
        check_error(r"a=b\", r"invalid field selector: invalid escape sequence: \");
    }

    #[test]
    fn missing_fields_are_empty() {
        let fields = Fields::parse("metadata.name=a,spec.nodeName=").expect("a selector");
        assert!(fields.matches_by(|field| (field == "metadata.name").then_some("a")));
        assert!(!fields.matches_by(|_| Some("a")));
        assert_eq!(fields.required("metadata.name"), Some("a"));
        assert_eq!(fields.required("metadata.namespace"), None);
        assert_eq!(
            fields.check(|field| field == "metadata.name"),
            Err("field label not supported: spec.nodeName".to_owned())
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(text in "[ab=!,.\\\\]{0,12}") {
            if let Ok(fields) = Fields::parse(&text) {
                prop_assert_eq!(Fields::parse(&fields.to_string()), Ok(fields));
            }
        }

        #[test]
        fn any_value_can_be_asked_for(value in any::<String>()) {
            let fields = Fields::name(value.clone());
            let read = Fields::parse(&fields.to_string());
            prop_assert_eq!(read.as_ref().ok().and_then(|read| read.required("metadata.name")), Some(value.as_str()));
        }
    }
}

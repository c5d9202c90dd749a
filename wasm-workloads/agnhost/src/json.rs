//! JSON as Go's encoder writes it.

/// A string with its quotes; `<`, `>` and `&` are escaped too.
pub(crate) fn string(text: &str) -> String {
    let mut json = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if c < ' ' || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                json.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

/// A map's entries, which must be sorted, with values that are JSON already.
pub(crate) fn object(entries: &[(&str, String)]) -> String {
    let entries = entries.iter().map(|(name, value)| format!("{}:{value}", string(name)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

pub(crate) fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| string(text)).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_go_does() {
        assert_eq!(string("a\"\n<\u{1}안"), "\"a\\\"\\n\\u003c\\u0001안\"");
        let texts = ["x".to_owned(), "y".to_owned()];
        assert_eq!(object(&[("responses", list(&texts))]), "{\"responses\":[\"x\",\"y\"]}");
    }
}

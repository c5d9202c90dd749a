//! From values to text, in the shape `sigs.k8s.io/yaml` gives it: block style, keys sorted, the
//! dash of a list as far left as its key.

use serde_json::{Map, Value};

use super::scalar;

/// Bound: readers look at most 1,024 characters ahead for the colon of a key; a longer one is
/// written as `? key`.
const SIMPLE_KEY_CHARS_MAX: usize = 1000;

/// Writes one document, ending in a newline.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(entries) if !entries.is_empty() => write_map(&mut out, entries, 0),
        Value::Array(items) if !items.is_empty() => write_list(&mut out, items, 0),
        _ => {
            out.push_str(&inline(value, 0));
            out.push('\n');
        }
    }
    out
}

/// The entries of a map; the cursor already stands where the first key goes.
fn write_map(out: &mut String, entries: &Map<String, Value>, indent: usize) {
    let mut sorted: Vec<(&String, &Value)> = entries.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            pad(out, indent);
        }
        let key = if is_plain(key) { key.clone() } else { quoted(key) };
        if key.chars().count() > SIMPLE_KEY_CHARS_MAX {
            out.push_str("? ");
            out.push_str(&key);
            out.push('\n');
            pad(out, indent);
            out.push(':');
        } else {
            out.push_str(&key);
            out.push(':');
        }
        write_entry_value(out, value, indent);
    }
}

fn write_entry_value(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            pad(out, indent + 2);
            write_map(out, entries, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            pad(out, indent);
            write_list(out, items, indent);
        }
        _ => {
            out.push(' ');
            out.push_str(&inline(value, indent + 2));
            out.push('\n');
        }
    }
}

/// The items of a list; the cursor already stands where the first dash goes.
fn write_list(out: &mut String, items: &[Value], indent: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            pad(out, indent);
        }
        out.push_str("- ");
        match item {
            Value::Object(entries) if !entries.is_empty() => write_map(out, entries, indent + 2),
            Value::Array(items) if !items.is_empty() => write_list(out, items, indent + 2),
            _ => {
                out.push_str(&inline(item, indent + 2));
                out.push('\n');
            }
        }
    }
}

/// A value that begins on the line it is on: a scalar, or an empty collection.
fn inline(value: &Value, indent: usize) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) if is_block(text) => block(text, indent.max(2)),
        Value::String(text) => quoted(text),
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whether `text` may stand without quotes, as key or value: careful rather than pretty.
fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    let starts_well = match first {
        Some('-') => second.is_some_and(|c| c.is_alphanumeric() || c == '-'),
        Some(c) => c.is_alphanumeric() || "_/.$(+^;".contains(c),
        None => false,
    };
    starts_well
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| c == ' ' || (is_printable(c) && !c.is_whitespace()))
        && !scalar::is_ambiguous(text)
}

/// Whether `text` reads best, and safely, as a literal block.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with(['\n', ' ', '\t'])
        && !text.contains("\n\t")
        && text.chars().all(|c| matches!(c, '\n' | '\t') || is_printable(c))
}

fn block(text: &str, indent: usize) -> String {
    let chomping = match text.strip_suffix('\n') {
        None => "|-",
        Some(rest) if rest.ends_with('\n') => "|+",
        Some(_) => "|",
    };
    let mut out = chomping.to_owned();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(&mut out, indent);
            out.push_str(line);
        }
    }
    out
}

/// Characters every YAML reader takes as they are.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\u{a0}'..='\u{d7ff}' => !matches!(c, '\u{2028}' | '\u{2029}'),
        '\u{e000}'..='\u{fffd}' => c != '\u{feff}',
        _ => c >= '\u{10000}',
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            // Every character that is not printable lies below U+10000.
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse;
    use super::*;

    #[track_caller]
    fn check(value: Value, expect: &str) {
        let text = to_string(&value);
        assert_eq!(text, expect);
        assert_eq!(parse(text.as_bytes()).expect("YAML").value, value);
    }

    #[test]
    fn maps_are_sorted_and_lists_stand_under_their_key() {
        check(
            json!({"b": [{"z": 1, "a": [[1, 2], []]}, "x"], "a": {}, "c": {"d": null}}),
            "a: {}\nb:\n- a:\n  - - 1\n    - 2\n  - []\n  z: 1\n- x\nc:\n  d: null\n",
        );
    }

    #[test]
    fn text_that_would_be_read_as_something_else_is_quoted() {
        check(
            json!([
                "yes",
                "0644",
                "1e3",
                "1e400",
                "2001-01-01",
                "12:30",
                "",
                "~",
                "a: b",
                "a #b",
                "- a",
                "<<",
                "=",
                "*a",
                " a",
                "a:",
                "---",
                "\u{feff}",
                "\r"
            ]),
            "- \"yes\"\n- \"0644\"\n- \"1e3\"\n- \"1e400\"\n- \"2001-01-01\"\n- \"12:30\"\n- \"\"\n\
             - \"~\"\n- \"a: b\"\n- \"a #b\"\n- \"- a\"\n- \"<<\"\n- \"=\"\n- \"*a\"\n- \" a\"\n\
             - \"a:\"\n- \"---\"\n- \"\\uFEFF\"\n- \"\\r\"\n",
        );
        check(
            json!(["nginx:1.14.2", "10Mi", "127.0.0.1", "-c", "--x=y", "a,b [c]", "팟", "$(A)"]),
            "- nginx:1.14.2\n- 10Mi\n- 127.0.0.1\n- -c\n- --x=y\n- a,b [c]\n- 팟\n- $(A)\n",
        );
    }

    #[test]
    fn lines_become_blocks() {
        check(
            json!({"a": "x\n  y\n\nz\n", "b": "x\ny", "c": "x\n\n", "d": " x\ny", "e": "x\n \n"}),
            "a: |\n  x\n    y\n\n  z\nb: |-\n  x\n  y\nc: |+\n  x\n\nd: \" x\\ny\"\ne: |\n  x\n   \n",
        );
    }

    #[test]
    fn long_keys_are_marked() {
        let key = "k".repeat(2000);
        check(json!({&key: {"a": 1}}), &format!("? {key}\n:\n  a: 1\n"));
    }
}

//! JSON as Kubernetes' strict decoder reads it: duplicate keys are found and named with their path.
//!
//! Upstream: `sigs.k8s.io/json` (`UnmarshalStrict`) and `encoding/json`, whose words are used for
//! syntax errors.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A document as data.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Where a key came twice, its last value.
    pub value: Value,
    /// `duplicate field "spec.foo"`: one text per field that came more than once, in order of
    /// appearance, at most [`DUPLICATES_MAX`].
    pub duplicates: Vec<String>,
}

/// Bound: upstream stops collecting strict errors at 100 too; nobody reads more.
pub const DUPLICATES_MAX: usize = 100;

/// Reads one document. Integers stay what they are as far as `i64` and `u64` reach. Nesting deeper
/// than 127 levels is refused (`serde_json`'s bound, so that no input overflows the stack).
///
/// # Errors
/// What is wrong with the syntax, and where.
pub fn parse(bytes: &[u8]) -> Result<Decoded, Error> {
    let duplicates = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Seed { place: &Place::Root, duplicates: &duplicates };
    let value = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Error::new(bytes, &error))?;
    Ok(Decoded { value, duplicates: duplicates.into_inner() })
}

/// A syntax error; line and column count from one, the column in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct Error {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl Error {
    fn new(bytes: &[u8], error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let plain = text.split(" at line ").next().unwrap_or(&text);
        Self { line, column, message: go_words(plain, char_at(bytes, line, column)) }
    }
}

/// The character that an error of `serde_json` points at.
fn char_at(bytes: &[u8], line: usize, column: usize) -> Option<char> {
    let line = bytes.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    let from = line.get(column.checked_sub(1)?..)?;
    String::from_utf8_lossy(&from[..from.len().min(4)]).chars().next()
}

/// `encoding/json`'s wording of `serde_json`'s complaint.
fn go_words(complaint: &str, found: Option<char>) -> String {
    let context = match complaint {
        _ if complaint.starts_with("EOF while parsing") => {
            return "unexpected end of JSON input".to_owned();
        }
        "expected value" => "looking for beginning of value",
        "key must be a string" => "looking for beginning of object key string",
        "expected `:`" => "after object key",
        "expected `,` or `}`" => "after object key:value pair",
        "expected `,` or `]`" => "after array element",
        "trailing characters" => "after top-level value",
        "trailing comma" => "looking for beginning of value after a comma",
        _ => return complaint.to_owned(),
    };
    match found {
        Some(found) => format!("invalid character {found:?} {context}"),
        None => complaint.to_owned(),
    }
}

/// Where the reader is: a list of its ancestors on the stack, spelled out only for a duplicate.
enum Place<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Place::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Seed<'a> {
    place: &'a Place<'a>,
    duplicates: &'a RefCell<Vec<String>>,
}

impl Seed<'_> {
    fn report(&self, key: &str) {
        let text = format!("duplicate field \"{}\"", Place::Key(self.place, key));
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() < DUPLICATES_MAX && !duplicates.contains(&text) {
            duplicates.push(text);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let place = Place::Index(self.place, values.len());
            let seed = Seed { place: &place, duplicates: self.duplicates };
            match items.next_element_seed(seed)? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if values.contains_key(&key) {
                self.report(&key);
            }
            let place = Place::Key(self.place, &key);
            let seed = Seed { place: &place, duplicates: self.duplicates };
            let value = entries.next_value_seed(seed)?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, value: Value, duplicates: &[&str]) {
        let decoded = parse(text.as_bytes()).expect("JSON");
        assert_eq!(decoded.value, value);
        assert_eq!(decoded.duplicates, duplicates);
    }

    #[track_caller]
    fn check_error(text: &str, expect: &str) {
        assert_eq!(parse(text.as_bytes()).expect_err("no JSON").to_string(), expect);
    }

    #[test]
    fn duplicates_are_named_with_their_path() {
        check(
            r#"{"a":1,"spec":{"items":[{"x":1},{"x":1,"x":2,"x":3}],"b":1,"b":null},"a":2}"#,
            json!({"a": 2, "spec": {"items": [{"x": 1}, {"x": 3}], "b": null}}),
            &[
                r#"duplicate field "spec.items[1].x""#,
                r#"duplicate field "spec.b""#,
                r#"duplicate field "a""#,
            ],
        );
    }

    #[test]
    fn integers_are_kept_as_far_as_64_bits_reach() {
        check(
            "[-9223372036854775808, 18446744073709551615, 1.5, 1e3]",
            json!([i64::MIN, u64::MAX, 1.5, 1000.0]),
            &[],
        );
    }

    #[test]
    fn syntax_errors_say_what_and_where() {
        check_error(
            "{x}",
            "invalid character 'x' looking for beginning of object key string (line 1, column 2)",
        );
        check_error(
            "[1,\n  x]",
            "invalid character 'x' looking for beginning of value (line 2, column 3)",
        );
        check_error("[1 2]", "invalid character '2' after array element (line 1, column 4)");
        check_error(r#"{"a" 1}"#, "invalid character '1' after object key (line 1, column 6)");
        check_error(
            r#"{"a":1 "b"}"#,
            "invalid character '\"' after object key:value pair (line 1, column 8)",
        );
        check_error("{} {}", "invalid character '{' after top-level value (line 1, column 4)");
        check_error(r#"{"a":"#, "unexpected end of JSON input (line 1, column 5)");
        check_error("", "unexpected end of JSON input (line 1, column 0)");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = "[".repeat(100_000);
        check_error(&text, "recursion limit exceeded (line 1, column 128)");
    }

    proptest! {
        #[test]
        fn the_answer_is_serde_jsons(text in "[-\\[\\]{}:,\"\\\\ab01.etrufalsn \\n]{0,24}") {
            let expect = serde_json::from_str::<Value>(&text);
            match parse(text.as_bytes()) {
                Ok(decoded) => prop_assert_eq!(decoded.value, expect.expect("the same")),
                Err(error) => {
                    prop_assert!(expect.is_err());
                    prop_assert!((1..=text.lines().count() + 1).contains(&error.line));
                }
            }
        }
    }
}

//! From events to values.

use std::collections::HashMap;

use base64::Engine;
use serde_json::{Map, Value};
use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::scalar;
use crate::api::json::{DUPLICATES_MAX, Decoded};

/// Bound: as deep as JSON may be nested (see [`crate::api::json::parse`]), so that recursion over a
/// value never needs much stack.
const DEPTH_MAX: usize = 127;

/// Bound: what aliases may copy in one file, in bytes (16 for each value, and the text). Far more
/// than a manifest needs; a bomb of nested aliases ends here.
const ALIAS_BYTES_MAX: usize = 8 << 20;

/// One document of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub value: Value,
    /// `line 9: key "foo" already set in map` (or what [`crate::api::json`] says, if it is JSON), in
    /// order of appearance. The last value won.
    pub duplicates: Vec<String>,
    /// Where its content begins, counted from one.
    pub line: usize,
}

/// What is wrong with a file, and where; line and column count from one, the column in characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("yaml: line {line}, column {column}: {message}")]
pub struct Error {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl Error {
    fn new(at: Marker, message: impl Into<String>) -> Self {
        Self { line: at.line(), column: at.col() + 1, message: message.into() }
    }
}

/// Reads a body of one document; nothing at all is null.
///
/// # Errors
/// The first fault of the syntax, a second document, or a bound exceeded.
pub fn parse(bytes: &[u8]) -> Result<Decoded, Error> {
    let mut documents = parse_all(bytes)?.into_iter();
    let Some(document) = documents.next() else {
        return Ok(Decoded { value: Value::Null, duplicates: Vec::new() });
    };
    match documents.next() {
        None => Ok(Decoded { value: document.value, duplicates: document.duplicates }),
        Some(second) => {
            let message = "a second document, where one is expected".to_owned();
            Err(Error { line: second.line, column: 1, message })
        }
    }
}

/// Reads all documents of a file; those without content are left out. What begins with a brace is
/// tried as JSON first, as kubectl does: YAML refuses some characters that JSON takes.
///
/// # Errors
/// The first fault of the syntax, or a bound exceeded.
pub fn parse_all(bytes: &[u8]) -> Result<Vec<Document>, Error> {
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"{")
        && let Ok(Decoded { value, duplicates }) = crate::api::json::parse(text)
    {
        let line = 1 + bytes[..bytes.len() - text.len()].iter().filter(|b| **b == b'\n').count();
        return Ok(vec![Document { value, duplicates, line }]);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    Reader::new(text).documents()
}

fn not_utf8(bytes: &[u8], at: usize) -> Error {
    let before = &bytes[..at];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
    Error {
        line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        column: 1 + String::from_utf8_lossy(&before[line_start..]).chars().count(),
        message: "invalid UTF-8".to_owned(),
    }
}

/// A node that aliases may copy.
struct Anchored {
    value: Value,
    bytes: usize,
    height: usize,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Anchored>,
    alias_bytes: usize,
    duplicates: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let mut options = serde_yaml::granit_parser::Options::default();
        options.emit_comments = false;
        options.block_scalar_eof_without_line_feed = true;
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            alias_bytes: 0,
            duplicates: Vec::new(),
        }
    }

    fn documents(mut self) -> Result<Vec<Document>, Error> {
        let mut documents = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => {
                    let line = span.start.line();
                    let value = self.node(event, span, 0)?;
                    self.anchors.clear();
                    let duplicates = std::mem::take(&mut self.duplicates);
                    if !value.is_null() {
                        documents.push(Document { value, duplicates, line });
                    }
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Error> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Error::new(*error.marker(), error.kind().to_string())),
            None => Err(Error { line: 1, column: 1, message: "unexpected end".to_owned() }),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::new(span.start, "nested too deeply"));
        }
        let (value, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span.start, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar_value(&text, style, tag.as_deref());
                (value.map_err(|message| Error::new(span.start, message))?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            _ => return Err(Error::new(span.start, "a value is expected")),
        };
        if anchor != 0 {
            self.remember(anchor, &value, span.start)?;
        }
        Ok(value)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Error> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Error> {
        let mut entries = Map::new();
        let mut merged: Vec<String> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Object(entries));
            }
            let merge = is_merge(&event);
            let key = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            if merge {
                let values = mergeable(value).ok_or_else(|| {
                    let message = "map merge requires map or sequence of maps as the value";
                    Error::new(value_span.start, message)
                })?;
                merged.extend(values.keys().cloned());
                // Upstream merges where the merge key stands: later keys win, earlier ones lose.
                entries.extend(values);
                continue;
            }
            let key = key_text(key).map_err(|message| Error::new(span.start, message))?;
            if entries.contains_key(&key) && !merged.contains(&key) {
                self.report(span.start, &key);
            }
            entries.insert(key, value);
        }
    }

    fn report(&mut self, at: Marker, key: &str) {
        if self.duplicates.len() < DUPLICATES_MAX {
            let text = format!("line {}: key {key:?} already set in map", at.line());
            self.duplicates.push(text);
        }
    }

    fn remember(&mut self, anchor: usize, value: &Value, at: Marker) -> Result<(), Error> {
        let (bytes, height) = size(value);
        self.charge(bytes, at)?;
        self.anchors.insert(anchor, Anchored { value: value.clone(), bytes, height });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Marker, depth: usize) -> Result<Value, Error> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Error::new(at, "anchor contains itself"));
        };
        if depth + anchored.height > DEPTH_MAX {
            return Err(Error::new(at, "nested too deeply"));
        }
        let (bytes, value) = (anchored.bytes, anchored.value.clone());
        self.charge(bytes, at)?;
        Ok(value)
    }

    fn charge(&mut self, bytes: usize, at: Marker) -> Result<(), Error> {
        self.alias_bytes = self.alias_bytes.saturating_add(bytes);
        if self.alias_bytes > ALIAS_BYTES_MAX {
            return Err(Error::new(at, "document contains excessive aliasing"));
        }
        Ok(())
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let string = || Value::String(text.to_owned());
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { scalar::resolve(text) } else { Ok(string()) };
    };
    if let Some(kind) = tag.core_suffix() {
        return scalar::resolve_tagged(kind, text);
    }
    if tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() != Some("binary") {
        return Ok(string());
    }
    let packed: String = text.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed);
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Value::String).ok_or_else(|| "!!binary value contains invalid base64 data".to_owned())
}

fn is_merge(key: &Event<'_>) -> bool {
    matches!(key, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<")
}

/// What a merge key adds; of several maps the first one wins.
fn mergeable(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        Value::Array(maps) => {
            let mut merged = Map::new();
            for map in maps.into_iter().rev() {
                let Value::Object(map) = map else { return None };
                merged.extend(map);
            }
            Some(merged)
        }
        _ => None,
    }
}

/// JSON has text keys only: numbers and truths become text, others are refused.
fn key_text(key: Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        Value::Null => Err("unsupported map key: null".to_owned()),
        Value::Array(_) | Value::Object(_) => {
            Err("unsupported map key: a key must be a string".to_owned())
        }
    }
}

/// What a copy costs in bytes, and how deep it is.
fn size(value: &Value) -> (usize, usize) {
    const VALUE_BYTES: usize = 16;
    let sum = |(bytes, height): (usize, usize), (more, inner): (usize, usize)| {
        (bytes + more, height.max(inner + 1))
    };
    match value {
        Value::String(text) => (VALUE_BYTES + text.len(), 0),
        Value::Array(items) => items.iter().map(size).fold((VALUE_BYTES, 0), sum),
        Value::Object(entries) => {
            let of_entry = |(key, value): (&String, &Value)| {
                let (bytes, height) = size(value);
                (VALUE_BYTES + key.len() + bytes, height)
            };
            entries.iter().map(of_entry).fold((VALUE_BYTES, 0), sum)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => (VALUE_BYTES, 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Value) {
        let decoded = parse(text.as_bytes()).expect("YAML");
        assert_eq!(decoded.value, expect);
        assert_eq!(decoded.duplicates, Vec::<String>::new());
    }

    #[track_caller]
    fn check_error(text: &str, expect: &str) {
        assert_eq!(parse(text.as_bytes()).expect_err("no YAML").to_string(), expect);
    }

    #[test]
    fn the_tutorials_files_are_read_tabs_and_all() {
        let file = |name: &str| {
            let path = format!("{}/manifests/tutorial/{name}", env!("CARGO_MANIFEST_DIR"));
            parse(&std::fs::read(path).expect("a file")).expect("YAML").value
        };
        assert_eq!(
            file("pod.yaml"),
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "counter"},
                "spec": {"containers": [{
                    "name": "count",
                    "image": "busybox",
                    "args": [
                        "/bin/sh",
                        "-c",
                        "i=0; while true; do echo \"$i: $(data)\"; i=$((i+1)); sleep 1; done",
                    ],
                }]},
            })
        );
        let claim = &file("pod-pvc.yaml")["spec"]["volumes"][0];
        assert_eq!(
            *claim,
            json!({"name": "mypd", "persistentVolumeClaim": {"claimName": "myclaim"}})
        );
        assert_eq!(file("deployment.yaml")["spec"]["replicas"], json!(3));
        assert_eq!(file("service.yaml")["spec"]["selector"], json!({"app": "nginx"}));
        assert_eq!(file("pvc.yaml")["spec"]["resources"]["requests"]["storage"], json!("10Mi"));
    }

    #[test]
    fn scalars_mean_what_yaml_1_1_says_unless_quoted() {
        check(
            "mode: 0644\nquoted: \"0644\"\nyes: no\n'yes': ~\n1.0: 0o17\nempty:\nblock: |\n  no\n",
            json!({
                "mode": 420, "quoted": "0644", "true": false, "yes": null, "1": 15, "empty": null,
                "block": "no\n",
            }),
        );
        check("a: !!str 5\nb: !mine 5\nc: !!binary aGk=\n", json!({"a": "5", "b": "5", "c": "hi"}));
    }

    #[test]
    fn block_scalars_end_as_libyaml_says() {
        check("a: |\n  x\n  y", json!({"a": "x\ny"}));
        check("a: |-\n  x\nb: >\n  x\n  y\n", json!({"a": "x", "b": "x y\n"}));
        check("a: |+\n  x\n\n", json!({"a": "x\n\n"}));
    }

    #[test]
    fn merges_take_the_maps_they_name() {
        check(
            "base: &b {a: 1, c: {d: 1}}\nuse:\n  <<: *b\n  a: 2\nmany:\n  <<: [{x: 1}, {x: 2, z: 2}]\n",
            json!({
                "base": {"a": 1, "c": {"d": 1}},
                "use": {"a": 2, "c": {"d": 1}},
                "many": {"x": 1, "z": 2},
            }),
        );
        check_error(
            "<<: 5\n",
            "yaml: line 1, column 5: map merge requires map or sequence of maps as the value",
        );
    }

    #[test]
    fn documents_are_told_apart_and_empty_ones_left_out() {
        let text = "---\n# nothing\n---\na: 1\n---\n---\nb: 2\nb: 3\n...\n";
        let documents = parse_all(text.as_bytes()).expect("YAML");
        let lines: Vec<usize> = documents.iter().map(|document| document.line).collect();
        assert_eq!(lines, [4, 7]);
        assert_eq!(documents[1].value, json!({"b": 3}));
        assert_eq!(documents[1].duplicates, ["line 8: key \"b\" already set in map"]);
        check("", json!(null));
        check_error(
            "a: 1\n---\nb: 2\n",
            "yaml: line 3, column 1: a second document, where one is expected",
        );
    }

    #[test]
    fn faults_have_a_line_and_a_column() {
        check_error(
            "a:\n  b: c: d\n",
            "yaml: line 2, column 7: mapping values are not allowed in this context",
        );
        check_error("a: .inf\n", "yaml: line 1, column 4: unsupported value: .inf");
        check_error("~: 1\n", "yaml: line 1, column 1: unsupported map key: null");
        check_error(
            "[a]: 1\n",
            "yaml: line 1, column 1: unsupported map key: a key must be a string",
        );
        let error = parse(b"a: 1\nb: \xff\n").expect_err("no UTF-8");
        assert_eq!(error.to_string(), "yaml: line 2, column 4: invalid UTF-8");
    }

    #[test]
    fn json_is_yaml() {
        check(
            "{\"a\": [1, -2.5, null, true, \"x\\u00e9\\n\"]}",
            json!({"a": [1, -2.5, null, true, "xé\n"]}),
        );
    }

    #[test]
    fn bombs_are_refused() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let error = parse(laughs.as_bytes()).expect_err("a bomb").message;
        assert_eq!(error, "document contains excessive aliasing");
        check_error("a: &a [*a]\n", "yaml: line 1, column 8: anchor contains itself");
        let deep = format!("{}{}", "[".repeat(130), "]".repeat(130));
        assert_eq!(parse(deep.as_bytes()).expect_err("deep").message, "nested too deeply");
    }
}

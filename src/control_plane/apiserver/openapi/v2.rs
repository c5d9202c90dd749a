//! OpenAPI v2, which kubectl asks for when it checks what is no kind of the API: a `List` in a file. The
//! schemas of all kinds in one document, as JSON and in gnostic's protobuf; operations are in v3 only.
//!
//! Upstream: `k8s.io/kube-openapi/pkg/handler`; `openapiv2/OpenAPIv2.proto` of google/gnostic.

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::{Map, Value, json};

use super::components;
use crate::control_plane::apiserver::document::Document;
use crate::control_plane::registry::AnyResource;

pub(super) const PATH: &str = "/openapi/v2";

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Whether the client wants protobuf; some write `@v1.0`.
pub(super) fn wants_protobuf(request: &HeaderMap) -> bool {
    let accept = request.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("proto-openapi.spec.v2"))
}

pub(super) fn as_json(kinds: &[&'static dyn AnyResource]) -> Document {
    let document = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.33"},
        "paths": {},
        "definitions": definitions(kinds),
    });
    Document::new("application/json", document.to_string().into_bytes())
}

pub(super) fn as_protobuf(kinds: &[&'static dyn AnyResource]) -> Document {
    let mut info = Message::default();
    info.text(1, "Kubernetes");
    info.text(2, "v1.33");
    let mut document = Message::default();
    document.text(1, "2.0");
    document.message(2, &info);
    document.message(8, &Message::default());
    document.message(9, &named(&definitions(kinds)));
    Document::new(PROTOBUF, document.0)
}

fn definitions(kinds: &[&'static dyn AnyResource]) -> Map<String, Value> {
    let schemas = components::of(kinds).into_iter();
    schemas.map(|(name, schema)| (name, in_v2(schema))).collect()
}

/// What v3 says by `allOf` and `oneOf`, in the words of v2.
fn in_v2(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else { return schema };
    if schema.remove("oneOf").is_some() {
        schema.insert("type".to_owned(), json!("string"));
    }
    if let Some(Value::Array(all)) = schema.remove("allOf") {
        // One of them, a reference.
        schema.extend(all.into_iter().filter_map(|one| one.as_object().cloned()).flatten());
    }
    if let Some(Value::String(reference)) = schema.get_mut("$ref") {
        *reference = reference.replace("#/components/schemas/", "#/definitions/");
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = schema.remove(name) {
            schema.insert(name.to_owned(), in_v2(inner));
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut() {
            *property = in_v2(property.take());
        }
    }
    Value::Object(schema)
}

/// gnostic's `Definitions` and `Properties`.
fn named(schemas: &Map<String, Value>) -> Message {
    let mut all = Message::default();
    for (name, value) in schemas {
        let mut one = Message::default();
        one.text(1, name);
        one.message(2, &schema(value));
        all.message(1, &one);
    }
    all
}

/// gnostic's `Schema`.
fn schema(value: &Value) -> Message {
    let mut message = Message::default();
    for (name, part) in value.as_object().into_iter().flatten() {
        match (name.as_str(), part) {
            ("$ref", Value::String(text)) => message.text(1, text),
            ("format", Value::String(text)) => message.text(2, text),
            ("description", Value::String(text)) => message.text(4, text),
            ("required", Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).for_each(|name| message.text(19, name));
            }
            ("additionalProperties", inner) => {
                message.message(21, &Message::holding(&schema(inner)));
            }
            ("type", Value::String(text)) => {
                let mut item = Message::default();
                item.text(1, text);
                message.message(22, &item);
            }
            ("items", inner) => message.message(23, &Message::holding(&schema(inner))),
            ("properties", Value::Object(properties)) => message.message(25, &named(properties)),
            (extension, value) if extension.starts_with("x-") => {
                let (mut any, mut one) = (Message::default(), Message::default());
                // JSON is YAML.
                any.text(2, &value.to_string());
                one.text(1, extension);
                one.message(2, &any);
                message.message(31, &one);
            }
            _ => {}
        }
    }
    message
}

/// A protobuf message in the making; all that is in here is strings and messages.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    /// One whose only field is this message.
    fn holding(inner: &Self) -> Self {
        let mut outer = Self::default();
        outer.message(1, inner);
        outer
    }

    fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u32, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        const LENGTH_DELIMITED: u64 = 2;
        self.varint(u64::from(field) << 3 | LENGTH_DELIMITED);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_unions_are_said_as_in_v2() {
        let check = |v3: Value, v2: Value| assert_eq!(in_v2(v3), v2);
        check(
            json!({"description": "d", "allOf": [{"$ref": "#/components/schemas/a"}]}),
            json!({"description": "d", "$ref": "#/definitions/a"}),
        );
        check(json!({"oneOf": [{"type": "string"}]}), json!({"type": "string"}));
        check(
            json!({"properties": {"l": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/a"}]}}}}),
            json!({"properties": {"l": {"type": "array", "items": {"$ref": "#/definitions/a"}}}}),
        );
    }

    #[test]
    fn a_schema_is_written_as_gnostic_reads_it() {
        let value = json!({"required": ["a"], "type": "object", "x-k": [1]});
        let mut expect = vec![0x9a, 1, 1, b'a'];
        expect.extend([0xb2, 1, 8, 0x0a, 6]);
        expect.extend(b"object");
        expect.extend([0xfa, 1, 12, 0x0a, 3]);
        expect.extend(b"x-k");
        expect.extend([0x12, 5, 0x12, 3]);
        expect.extend(b"[1]");
        assert_eq!(schema(&value).0, expect);
        assert_eq!(Message::holding(&Message(vec![0; 200])).0[..3], [0x0a, 0xc8, 1]);
    }
}

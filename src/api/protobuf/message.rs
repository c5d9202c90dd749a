//! One message into one JSON object, by the tags of its type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::envelope::{self, Defaults};
use super::wire::{Malformed, Reader, Wire};
use crate::api::schema::{self, Field, Kind, Type};

/// Bound: as deep as `api::json` goes with room to spare; only CustomResourceDefinitions' schemas
/// recurse at all.
const DEPTH_MAX: usize = 100;

/// Adds the fields of a message of type `of` to `object`; a message that comes in several parts is
/// merged, as protobuf asks.
pub(super) fn read(
    object: &mut Map<String, Value>,
    of: &'static Type,
    message: &[u8],
    depth: usize,
) -> Result<(), Malformed> {
    read_part(object, of, &mut Vec::new(), message, depth)
}

/// The same inside messages that JSON flattens; `prefix` is the tags that lead there.
fn read_part(
    object: &mut Map<String, Value>,
    of: &'static Type,
    prefix: &mut Vec<u32>,
    message: &[u8],
    depth: usize,
) -> Result<(), Malformed> {
    if depth > DEPTH_MAX {
        return Err(Malformed::TooDeep(DEPTH_MAX));
    }
    let mut reader = Reader::new(message);
    while let Some((tag, wire)) = reader.next()? {
        prefix.push(tag);
        // Types have few fields and bodies are few: no index is worth its memory.
        let here = of.fields.iter().find(|field| field.tags.starts_with(prefix));
        match (here, wire) {
            (Some(field), wire) if field.tags.len() == prefix.len() => {
                Cursor { of, field, depth }.add(object, wire)?;
            }
            (Some(_), Wire::Bytes(inner)) => read_part(object, of, prefix, inner, depth + 1)?,
            (Some(field), _) => return Err(Malformed::WrongWireType(name(of, field))),
            (None, _) => {}
        }
        prefix.pop();
    }
    Ok(())
}

fn name(of: &Type, field: &Field) -> String {
    format!("{}.{}", of.bare_name(), field.name)
}

/// The field whose value is being read.
#[derive(Clone, Copy)]
struct Cursor {
    of: &'static Type,
    field: &'static Field,
    depth: usize,
}

impl Cursor {
    /// Adds one value of the field to the object that holds it.
    fn add(self, object: &mut Map<String, Value>, wire: Wire<'_>) -> Result<(), Malformed> {
        let name = self.field.name;
        match &self.field.kind {
            Kind::List(item) if self.field.wrapped => {
                let list = self.wrapped(item, wire)?;
                object.insert(name.to_owned(), list);
            }
            Kind::List(item) => {
                let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    self.item(list, item, wire)?;
                }
            }
            Kind::Map(item) => {
                let map = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    self.entry(map, item, wire)?;
                }
            }
            Kind::Object(id) => {
                let inner = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(inner) = inner {
                    read(inner, id.get(), self.bytes(wire)?, self.depth + 1)?;
                }
            }
            kind => {
                let value = self.value(kind, wire)?;
                let keep_zero = (self.field.required || self.field.pointer) && !value.is_null();
                if keep_zero || !is_zero(kind, &value) {
                    object.insert(name.to_owned(), value);
                } else {
                    object.remove(name);
                }
            }
        }
        Ok(())
    }

    /// One item of a repeated field, or several if they are packed numbers.
    fn item(self, list: &mut Vec<Value>, item: &Kind, wire: Wire<'_>) -> Result<(), Malformed> {
        match (item, wire) {
            (Kind::Int32 | Kind::Int64 | Kind::Bool, Wire::Bytes(packed)) => {
                let mut reader = Reader::new(packed);
                while !reader.is_empty() {
                    list.push(self.value(item, Wire::Varint(reader.varint()?))?);
                }
            }
            _ => list.push(self.value(item, wire)?),
        }
        Ok(())
    }

    /// One entry of a map: a message of key (1) and value (2), either of which may be absent.
    fn entry(
        self,
        map: &mut Map<String, Value>,
        item: &Kind,
        wire: Wire<'_>,
    ) -> Result<(), Malformed> {
        let mut key = String::new();
        let mut value = None;
        let mut reader = Reader::new(self.bytes(wire)?);
        while let Some((tag, wire)) = reader.next()? {
            match (tag, item) {
                (1, _) => key = self.text(wire)?,
                (2, Kind::List(item)) => value = Some(self.wrapped(item, wire)?),
                (2, item) => value = Some(self.value(item, wire)?),
                _ => {}
            }
        }
        let absent = || match item {
            Kind::List(item) => self.wrapped(item, Wire::Bytes(&[])),
            Kind::Int32 | Kind::Int64 | Kind::Bool => self.value(item, Wire::Varint(0)),
            Kind::Float64 => self.value(item, Wire::Fixed64(0)),
            _ => self.value(item, Wire::Bytes(&[])),
        };
        let value = value.map_or_else(absent, Ok)?;
        map.insert(key, value);
        Ok(())
    }

    /// A list that is a message with one repeated field, 1.
    fn wrapped(self, item: &Kind, wire: Wire<'_>) -> Result<Value, Malformed> {
        let mut list = Vec::new();
        let mut reader = Reader::new(self.bytes(wire)?);
        while let Some((tag, wire)) = reader.next()? {
            if tag == 1 {
                self.item(&mut list, item, wire)?;
            }
        }
        Ok(Value::Array(list))
    }

    /// One value of `kind`; an absent time or raw document is `Null`.
    fn value(self, kind: &Kind, wire: Wire<'_>) -> Result<Value, Malformed> {
        Ok(match kind {
            Kind::String => Value::String(self.text(wire)?),
            Kind::Bool => Value::Bool(self.varint(wire)? != 0),
            // Negative numbers are sign-extended to 64 bits on the wire; the cast undoes it.
            Kind::Int32 => Value::from(self.varint(wire)? as i32),
            Kind::Int64 => Value::from(self.varint(wire)?.cast_signed()),
            Kind::Float64 => self.float(wire)?,
            Kind::Bytes => Value::String(STANDARD.encode(self.bytes(wire)?)),
            Kind::Quantity => self.quantity(wire)?,
            Kind::IntOrString => self.int_or_string(wire)?,
            Kind::Time => self.time(wire, "%Y-%m-%dT%H:%M:%SZ")?,
            Kind::MicroTime => self.time(wire, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
            Kind::RawExtension | Kind::FieldsV1 | Kind::Json => self.raw(wire)?,
            Kind::SchemaOrArray => self.either_schema(wire, 1, Some(2))?,
            Kind::SchemaOrBool => self.either_schema(wire, 2, None)?,
            Kind::SchemaOrStrings => self.schema_or_strings(wire)?,
            Kind::Object(id) => {
                let mut object = Map::new();
                read(&mut object, id.get(), self.bytes(wire)?, self.depth + 1)?;
                Value::Object(object)
            }
            Kind::List(item) => self.wrapped(item, wire)?,
            Kind::Map(_) => return Err(self.invalid("map of maps")),
        })
    }

    fn varint(self, wire: Wire<'_>) -> Result<u64, Malformed> {
        match wire {
            Wire::Varint(number) => Ok(number),
            _ => Err(Malformed::WrongWireType(name(self.of, self.field))),
        }
    }

    fn bytes(self, wire: Wire<'_>) -> Result<&[u8], Malformed> {
        match wire {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::WrongWireType(name(self.of, self.field))),
        }
    }

    fn text(self, wire: Wire<'_>) -> Result<String, Malformed> {
        let text = std::str::from_utf8(self.bytes(wire)?);
        text.map(str::to_owned).map_err(|_| Malformed::NotUtf8(name(self.of, self.field)))
    }

    fn float(self, wire: Wire<'_>) -> Result<Value, Malformed> {
        let Wire::Fixed64(bits) = wire else {
            return Err(Malformed::WrongWireType(name(self.of, self.field)));
        };
        let number = Number::from_f64(f64::from_bits(bits));
        number.map(Value::Number).ok_or_else(|| self.invalid("finite number"))
    }

    fn invalid(self, expected: &'static str) -> Malformed {
        Malformed::Value { field: name(self.of, self.field), expected }
    }

    /// Upstream: `resource.Quantity { string = 1 }`.
    fn quantity(self, wire: Wire<'_>) -> Result<Value, Malformed> {
        let mut text = String::new();
        let mut reader = Reader::new(self.bytes(wire)?);
        while let Some((tag, wire)) = reader.next()? {
            if tag == 1 {
                text = self.text(wire)?;
            }
        }
        Ok(Value::from(if text.is_empty() { "0".to_owned() } else { text }))
    }

    /// Upstream: `intstr.IntOrString { type = 1; intVal = 2; strVal = 3 }`, type 0 is the number.
    fn int_or_string(self, wire: Wire<'_>) -> Result<Value, Malformed> {
        let (mut is_text, mut number, mut text) = (false, 0, String::new());
        let mut reader = Reader::new(self.bytes(wire)?);
        while let Some((tag, wire)) = reader.next()? {
            match tag {
                1 => is_text = self.varint(wire)? != 0,
                2 => number = self.varint(wire)? as i32,
                3 => text = self.text(wire)?,
                _ => {}
            }
        }
        Ok(if is_text { Value::String(text) } else { Value::from(number) })
    }

    /// Upstream: `meta.v1.Time { seconds = 1; nanos = 2 }`; Go writes nothing inside for the zero
    /// time.
    fn time(self, wire: Wire<'_>, format: &str) -> Result<Value, Malformed> {
        let (mut seconds, mut nanos) = (0_u64, 0);
        let message = self.bytes(wire)?;
        if message.is_empty() {
            return Ok(Value::Null);
        }
        let mut reader = Reader::new(message);
        while let Some((tag, wire)) = reader.next()? {
            match tag {
                1 => seconds = self.varint(wire)?,
                2 => nanos = self.varint(wire)? as i32,
                _ => {}
            }
        }
        let time = jiff::Timestamp::new(seconds.cast_signed(), nanos);
        let time = time.map_err(|_| self.invalid("time"))?;
        Ok(Value::String(time.strftime(format).to_string()))
    }

    /// `{ raw = 1 }`: a JSON document, or one more body like the whole.
    fn raw(self, wire: Wire<'_>) -> Result<Value, Malformed> {
        let mut raw: &[u8] = &[];
        let mut reader = Reader::new(self.bytes(wire)?);
        while let Some((tag, wire)) = reader.next()? {
            if tag == 1 {
                raw = match wire {
                    Wire::Bytes(bytes) => bytes,
                    _ => return Err(Malformed::WrongWireType(name(self.of, self.field))),
                };
            }
        }
        if raw.is_empty() {
            return Ok(Value::Null);
        }
        if let Ok(document) = serde_json::from_slice(raw) {
            return Ok(document);
        }
        if self.depth >= DEPTH_MAX {
            return Err(Malformed::TooDeep(DEPTH_MAX));
        }
        let defaults = Defaults { group: "", version: "", kind: "" };
        let inner = envelope::decode_at(raw, defaults, self.depth + 1);
        inner.map_err(|_| self.invalid("JSON document"))
    }

    /// `JSONSchemaPropsOrArray { schema = 1; jSONSchemas = 2 }` and
    /// `JSONSchemaPropsOrBool { allows = 1; schema = 2 }`.
    fn either_schema(
        self,
        wire: Wire<'_>,
        schema: u32,
        list: Option<u32>,
    ) -> Result<Value, Malformed> {
        let (mut one, mut many, mut allows) = (None, Vec::new(), false);
        let mut reader = Reader::new(self.bytes(wire)?);
        while let Some((tag, wire)) = reader.next()? {
            match tag {
                _ if tag == schema => one = Some(self.schema(wire)?),
                _ if Some(tag) == list => many.push(self.schema(wire)?),
                1 => allows = self.varint(wire)? != 0,
                _ => {}
            }
        }
        let rest = || if list.is_some() { Value::Array(many) } else { Value::Bool(allows) };
        Ok(one.unwrap_or_else(rest))
    }

    /// `JSONSchemaPropsOrStringArray { schema = 1; property = 2 }`.
    fn schema_or_strings(self, wire: Wire<'_>) -> Result<Value, Malformed> {
        let (mut one, mut many) = (None, Vec::new());
        let mut reader = Reader::new(self.bytes(wire)?);
        while let Some((tag, wire)) = reader.next()? {
            match tag {
                1 => one = Some(self.schema(wire)?),
                2 => many.push(Value::String(self.text(wire)?)),
                _ => {}
            }
        }
        Ok(one.unwrap_or(Value::Array(many)))
    }

    fn schema(self, wire: Wire<'_>) -> Result<Value, Malformed> {
        let of = schema::by_name("apiextensions.v1.JSONSchemaProps");
        let of = of.ok_or_else(|| self.invalid("schema"))?;
        let mut object = Map::new();
        read(&mut object, of, self.bytes(wire)?, self.depth + 1)?;
        Ok(Value::Object(object))
    }
}

/// What Go writes for a scalar that is not set. Absent times and documents count.
fn is_zero(kind: &Kind, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() && *kind != Kind::IntOrString,
        Value::Array(_) | Value::Object(_) => false,
    }
}

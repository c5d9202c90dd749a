//! The envelope of a body: four magic bytes, then a `runtime.Unknown`.
//!
//! Upstream: `k8s.io/apimachinery/pkg/runtime/serializer/protobuf/protobuf.go`.

use serde_json::{Map, Value};

use super::message;
use super::wire::{Malformed, Reader, Wire};
use crate::api::schema;

/// The `Content-Type` of such bodies.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// What a body is if it does not say: the kind that the request's path expects.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
}

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    NoMagic,
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind { api_version: String, kind: String },
    #[error("unsupported content {what} {found:?} inside a protobuf body")]
    Content { what: &'static str, found: String },
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Reads a whole body into a JSON object that carries `apiVersion` and `kind`. Zero values that Go
/// writes for lack of an "absent" are dropped, as Go's JSON omits them.
///
/// The caller bounds the size; nesting is bounded here.
///
/// # Errors
/// If the bytes are not such a body, or its kind is not one of the table.
pub fn decode(body: &[u8], defaults: Defaults<'_>) -> Result<Value, Error> {
    decode_at(body, defaults, 0)
}

pub(super) fn decode_at(body: &[u8], defaults: Defaults<'_>, depth: usize) -> Result<Value, Error> {
    let unknown = Unknown::read(body.strip_prefix(MAGIC).ok_or(Error::NoMagic)?)?;
    for (what, found, allowed) in
        [("encoding", unknown.content_encoding, ""), ("type", unknown.content_type, MEDIA_TYPE)]
    {
        if !found.is_empty() && found != allowed {
            return Err(Error::Content { what, found: found.to_owned() });
        }
    }
    let own = unknown.api_version.rsplit_once('/').unwrap_or(("", unknown.api_version));
    let (group, version) =
        if unknown.api_version.is_empty() { (defaults.group, defaults.version) } else { own };
    let kind = if unknown.kind.is_empty() { defaults.kind } else { unknown.kind };
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let Some(root) = schema::of(group, version, kind) else {
        return Err(Error::UnknownKind { api_version, kind: kind.to_owned() });
    };
    let mut object = Map::new();
    message::read(&mut object, root, unknown.raw, depth)?;
    object.insert("apiVersion".to_owned(), Value::String(api_version));
    object.insert("kind".to_owned(), Value::String(kind.to_owned()));
    Ok(Value::Object(object))
}

/// Upstream: `k8s.io/apimachinery/pkg/runtime/generated.proto`, `Unknown` and `TypeMeta`.
#[derive(Debug, Default)]
struct Unknown<'a> {
    api_version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
    content_encoding: &'a str,
    content_type: &'a str,
}

impl<'a> Unknown<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut unknown = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((tag, value)) = reader.next()? {
            match (tag, value) {
                (1, Wire::Bytes(meta)) => unknown.read_type_meta(meta)?,
                (2, Wire::Bytes(raw)) => unknown.raw = raw,
                (3, Wire::Bytes(text)) => unknown.content_encoding = utf8(text, "contentEncoding")?,
                (4, Wire::Bytes(text)) => unknown.content_type = utf8(text, "contentType")?,
                (1..=4, _) => return Err(Malformed::WrongWireType(format!("Unknown.{tag}"))),
                _ => {}
            }
        }
        Ok(unknown)
    }

    fn read_type_meta(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while let Some((tag, value)) = reader.next()? {
            match (tag, value) {
                (1, Wire::Bytes(text)) => self.api_version = utf8(text, "apiVersion")?,
                (2, Wire::Bytes(text)) => self.kind = utf8(text, "kind")?,
                (1 | 2, _) => return Err(Malformed::WrongWireType(format!("TypeMeta.{tag}"))),
                _ => {}
            }
        }
        Ok(())
    }
}

fn utf8<'a>(text: &'a [u8], field: &str) -> Result<&'a str, Malformed> {
    std::str::from_utf8(text).map_err(|_| Malformed::NotUtf8(field.to_owned()))
}

//! Answers: one object, or a list of them, in the form and encoding the client wants. Plain JSON is
//! the bytes at rest, spliced; nothing is encoded again.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use serde::Serialize;
use serde_json::Value;

use super::body::{Body, splice};
use super::call::Call;
use super::negotiation::{Encoding, Form, MetaVersion, Output};
use super::status::{Failure, Outcome};
use super::table::Table;
use crate::api::yaml;
use crate::control_plane::registry::{AnyObject, AnyResource, metadata_of};
use crate::control_plane::storage::Stored;

/// An object to show: at rest, or one that is not stored (a dry run, a review).
pub(crate) enum Shown {
    Stored(Arc<Stored>),
    Unstored(Box<dyn AnyObject>),
}

impl Shown {
    pub(crate) fn json(&self) -> Outcome<Bytes> {
        match self {
            Self::Stored(stored) => Ok(stored.bytes.clone()),
            Self::Unstored(object) => {
                object.to_json().map(Bytes::from).map_err(|err| Failure::internal(&err))
            }
        }
    }

    fn metadata(&self) -> Outcome<Bytes> {
        match self {
            Self::Stored(stored) => Ok(Bytes::copy_from_slice(metadata_of(stored))),
            Self::Unstored(object) => json(object.metadata()),
        }
    }

    pub(crate) fn row(
        &self,
        resource: &dyn AnyResource,
        now: jiff::Timestamp,
    ) -> Outcome<Vec<Value>> {
        match self {
            Self::Stored(stored) => Ok(resource.row(&*resource.decoded(stored)?, now)),
            Self::Unstored(object) => Ok(resource.row(&**object, now)),
        }
    }

    /// `PartialObjectMetadata`.
    pub(crate) fn partial(&self, version: MetaVersion) -> Outcome<Bytes> {
        let head = format!(
            r#"{{"kind":"PartialObjectMetadata","apiVersion":"{}","metadata":"#,
            version.api_version()
        );
        Ok([head.as_bytes(), &self.metadata()?, b"}"].concat().into())
    }

    pub(crate) fn resource_version(&self) -> Option<String> {
        match self {
            Self::Stored(stored) => Some(stored.revision.to_string()),
            Self::Unstored(object) => object.metadata().resource_version.clone(),
        }
    }
}

/// One object as an answer.
pub(crate) fn object(call: &Call, code: StatusCode, shown: &Shown) -> Outcome<Response<Body>> {
    let table = Table::new(call)?;
    let bytes = object_json(call.output, &table, shown)?;
    let mut response = response(code, call.output.encoding, bytes);
    for warning in &call.warnings {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {}", quoted(warning))) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

/// A quoted string of RFC 7230; what a header may not carry is left out.
fn quoted(text: &str) -> String {
    let visible = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    let mut quoted = String::from("\"");
    for c in visible {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// One object in the client's form, as JSON.
pub(crate) fn object_json(output: Output, table: &Table<'_>, shown: &Shown) -> Outcome<Bytes> {
    match output.form {
        Form::Object => shown.json(),
        Form::Partial(version) => shown.partial(version),
        Form::Table(version) => {
            let meta =
                ListMeta { resource_version: shown.resource_version(), ..ListMeta::default() };
            let row = table.row(version, shown)?;
            Ok([&table.head(version, &meta)?[..], &row, TABLE_TAIL].concat().into())
        }
    }
}

const TABLE_TAIL: &[u8] = b"]}";

/// A list as an answer. `kind` is the list's: `PodList`.
pub(crate) fn list(call: &Call, meta: &ListMeta, items: Vec<Shown>) -> Outcome<Response<Body>> {
    let (head, items): (Vec<u8>, Vec<Bytes>) = match call.output.form {
        Form::Object => {
            let kind = format!("{}List", call.resource.kind());
            let head = list_head(&kind, call.resource.api_version(), meta)?;
            (head, items.iter().map(Shown::json).collect::<Outcome<_>>()?)
        }
        Form::Partial(version) => {
            let head = list_head("PartialObjectMetadataList", version.api_version(), meta)?;
            let partial = |shown: &Shown| shown.partial(version);
            (head, items.iter().map(partial).collect::<Outcome<_>>()?)
        }
        Form::Table(version) => {
            let table = Table::new(call)?;
            let row = |shown: &Shown| table.row(version, shown);
            (table.head(version, meta)?, items.iter().map(row).collect::<Outcome<_>>()?)
        }
    };
    let chunks = splice(head, items, TABLE_TAIL);
    let mut response = match call.output.encoding {
        Encoding::Json => Response::new(Body::from(chunks)),
        encoding => return Ok(response(StatusCode::OK, encoding, chunks.concat().into())),
    };
    content_type(&mut response, call.output.encoding.media_type());
    Ok(response)
}

fn list_head(kind: &str, api_version: &str, meta: &ListMeta) -> Outcome<Vec<u8>> {
    let meta = json(meta)?;
    let head = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":"#);
    Ok([head.as_bytes(), &meta, br#","items":["#].concat())
}

/// Any JSON document, in the encoding asked for.
pub(crate) fn response(code: StatusCode, encoding: Encoding, json: Bytes) -> Response<Body> {
    let body = match encoding {
        Encoding::Json => Body::from(json),
        Encoding::PrettyJson => Body::from(pretty(&json)),
        Encoding::Yaml => Body::from(yaml(&json)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = code;
    content_type(&mut response, encoding.media_type());
    response
}

pub(crate) fn content_type(response: &mut Response<Body>, media_type: &'static str) {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
}

fn pretty(json: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(json).unwrap_or_default();
    let mut text = serde_json::to_vec_pretty(&value).unwrap_or_default();
    text.push(b'\n');
    text
}

fn yaml(json: &[u8]) -> String {
    yaml::to_string(&serde_json::from_slice(json).unwrap_or_default())
}

/// # Errors
/// 500; Kubernetes' own types can always be written.
pub(crate) fn json(value: &impl Serialize) -> Outcome<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|err| Failure::internal(&err))
}

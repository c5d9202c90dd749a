//! Bodies that hold an object: from bytes of any accepted type to a value, and from a value to the
//! kind's own type, as strictly as the client asks.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/create.go` and `rest.go`
//! (`transformDecodeError`).

use http::{HeaderMap, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::call::Call;
use super::query::Query;
use super::status::{Failure, Outcome};
use crate::api::fields::{FieldError, Path};
use crate::api::object::GroupKind;
use crate::api::protobuf::{self, Defaults};
use crate::api::schema::strict::{self, FieldValidation};
use crate::api::{json, schema, status, yaml};
use crate::control_plane::registry::{AnyObject, AnyResource};

const SUPPORTED: &[&str] = &["application/json", "application/yaml", protobuf::MEDIA_TYPE];

/// What happens to fields that the kind does not have.
///
/// # Errors
/// 422 for an unknown value; `options` is the kind of the options, for the text.
pub(crate) fn field_validation(query: &Query, options: &str) -> Outcome<FieldValidation> {
    let parameter = query.text("fieldValidation");
    FieldValidation::parse(parameter).ok_or_else(|| {
        let path = Path::new("fieldValidation");
        let supported = ["Ignore", "Strict", "Warn"];
        let fault = FieldError::not_supported(path, parameter.unwrap_or_default(), &supported);
        status::invalid(&GroupKind::new("meta.k8s.io", options), "", &[fault]).into()
    })
}

/// A body as data.
pub(crate) struct Document {
    pub(crate) value: Value,
    /// Fields that came twice.
    pub(crate) duplicates: Vec<String>,
}

/// The media type of the body, without parameters; JSON if the client does not say.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type.is_empty() { "application/json" } else { media_type }
}

/// # Errors
/// 415 for a type that is not read here, 400 for broken syntax.
pub(crate) fn document(
    headers: &HeaderMap,
    body: &[u8],
    expected: Defaults<'_>,
) -> Outcome<Document> {
    match media_type(headers) {
        "application/json" => {
            let decoded = json::parse(body).map_err(|err| Failure::bad_request(err.to_string()))?;
            Ok(Document { value: decoded.value, duplicates: decoded.duplicates })
        }
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            let decoded = yaml::parse(body).map_err(|err| Failure::bad_request(err.to_string()))?;
            Ok(Document { value: decoded.value, duplicates: decoded.duplicates })
        }
        protobuf::MEDIA_TYPE => {
            let value = protobuf::decode(body, expected);
            let value = value.map_err(|err| Failure::bad_request(err.to_string()))?;
            Ok(Document { value, duplicates: Vec::new() })
        }
        _ => Err(status::unsupported_media_type(SUPPORTED).into()),
    }
}

/// The body as an object of the call's kind.
///
/// # Errors
/// 400 if it is none, or if it has unknown fields and the client wants to be strict.
pub(crate) fn object(call: &mut Call, options: &str) -> Outcome<Box<dyn AnyObject>> {
    let validation = field_validation(&call.query, options)?;
    let resource = call.resource;
    object_of(call, resource, validation)
}

/// The body as an object of another kind than the path's own: what subresources take.
///
/// # Errors
/// As [`object`].
pub(crate) fn object_of(
    call: &mut Call,
    resource: &dyn AnyResource,
    validation: FieldValidation,
) -> Outcome<Box<dyn AnyObject>> {
    let expected =
        Defaults { group: resource.group(), version: resource.version(), kind: resource.kind() };
    let document = document(&call.headers, &call.body, expected)?;
    typed(resource, document, validation, &mut call.warnings)
}

/// A value as an object of `resource`'s kind. `apiVersion` and `kind` may be missing.
///
/// # Errors
/// As [`object`].
pub(crate) fn typed(
    resource: &dyn AnyResource,
    document: Document,
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Outcome<Box<dyn AnyObject>> {
    let Document { mut value, duplicates: mut findings } = document;
    let named = name_kind(resource, &mut value)?;
    if let Some(root) = schema::of(resource.group(), resource.version(), resource.kind()) {
        let unknown = strict::decode(&mut value, root);
        findings.extend(unknown.map_err(|err| not_handled(resource, &named, &err))?);
    }
    let judged = validation.judge(findings);
    warnings.extend(judged.map_err(|err| not_handled(resource, &named, &err))?);
    let decoded = resource.decode(value);
    let mut object = decoded.map_err(|err| not_handled(resource, &named, &err))?;
    forget_empty(object.metadata_mut());
    Ok(object)
}

/// Empty maps and lists of metadata are as good as absent: Go leaves them out when it writes.
fn forget_empty(meta: &mut ObjectMeta) {
    meta.labels.take_if(|labels| labels.is_empty());
    meta.annotations.take_if(|annotations| annotations.is_empty());
    meta.finalizers.take_if(|finalizers| finalizers.is_empty());
    meta.owner_references.take_if(|owners| owners.is_empty());
}

/// Checks `apiVersion` and `kind`, and fills them in where they are missing. Answers what the body
/// calls itself: kind, then version.
fn name_kind(resource: &dyn AnyResource, value: &mut Value) -> Outcome<(String, String)> {
    let Some(object) = value.as_object_mut() else {
        return Err(Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): it is not a JSON object",
            resource.kind()
        )));
    };
    let mut said = |field: &str, expect: &str| {
        let slot = object.entry(field).or_insert(Value::Null);
        match slot.as_str() {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => {
                *slot = expect.into();
                expect.to_owned()
            }
        }
    };
    let api_version = said("apiVersion", resource.api_version());
    let kind = said("kind", resource.kind());
    let version = api_version.rsplit('/').next().unwrap_or_default().to_owned();
    if (api_version.as_str(), kind.as_str()) == (resource.api_version(), resource.kind()) {
        return Ok((kind, version));
    }
    Err(Failure::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {}",
        resource.kind()
    )))
}

fn not_handled(
    resource: &dyn AnyResource,
    (kind, version): &(String, String),
    why: &dyn std::fmt::Display,
) -> Failure {
    Failure::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {}: {why}",
        resource.kind()
    ))
}

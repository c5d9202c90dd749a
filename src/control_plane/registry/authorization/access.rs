//! What questions after permissions have in common.
//!
//! Upstream: `pkg/apis/authorization/validation/validation.go`.

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReviewSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::rules::text;

/// A question is about one thing: a resource or a path.
pub(super) fn validate_attributes(
    resource: Option<&ResourceAttributes>,
    path: Option<&NonResourceAttributes>,
) -> Option<FieldError> {
    let spec = Path::new("spec");
    match (resource, path) {
        (Some(_), Some(path)) => Some(FieldError::invalid(
            spec.child("nonResourceAttributes"),
            json!(path),
            "cannot be specified in combination with resourceAttributes",
        )),
        (None, None) => Some(FieldError::invalid(
            spec.child("resourceAttributes"),
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => None,
    }
}

/// A question about somebody else says whom.
pub(super) fn validate_subject(spec: &SubjectAccessReviewSpec) -> Vec<FieldError> {
    let asked = (spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
    let mut faults = Vec::from_iter(validate_attributes(asked.0, asked.1));
    if text(&spec.user).is_empty() && spec.groups.as_ref().is_none_or(Vec::is_empty) {
        let path = Path::new("spec").child("user");
        let detail = "at least one of user or group must be specified";
        faults.push(FieldError::invalid(path, "", detail));
    }
    faults
}

/// A question is no object: it has no name.
pub(super) fn validate_empty(meta: &ObjectMeta, detail: &str) -> Option<FieldError> {
    let is_empty = *meta == ObjectMeta::default();
    (!is_empty).then(|| FieldError::invalid(Path::new("metadata"), json!(meta), detail))
}

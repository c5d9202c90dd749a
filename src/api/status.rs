//! What the API says when it cannot do what was asked: `meta/v1` Status, one constructor per reason.
//!
//! Texts, codes and details are upstream's; the room `apiserver` decides which one answers a
//! failure. Upstream: `k8s.io/apimachinery/pkg/api/errors/errors.go`.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};

use super::fields::FieldError;
use super::object::{GroupKind, GroupResource};

/// 404: there is no such object.
pub fn not_found(resource: &GroupResource, name: &str) -> Status {
    let message = format!("{resource} {name:?} not found");
    about(404, "NotFound", resource, name, message)
}

/// 404: the path names nothing the server knows.
pub fn path_not_found() -> Status {
    let message = "the server could not find the requested resource".to_owned();
    Status { details: Some(StatusDetails::default()), ..failure(404, "NotFound", message) }
}

/// 409: create of a name that is taken.
pub fn already_exists(resource: &GroupResource, name: &str) -> Status {
    let message = format!("{resource} {name:?} already exists");
    about(409, "AlreadyExists", resource, name, message)
}

/// 409: no free name was found for a `generateName`.
pub fn generate_name_conflict(resource: &GroupResource, name: &str, retry_seconds: i32) -> Status {
    let message = format!(
        "{resource} {name:?} already exists, the server was not able to generate a unique name \
         for the object"
    );
    let status = about(409, "AlreadyExists", resource, name, message);
    retry_after(status, retry_seconds)
}

/// The cause of a [`conflict`] over a stale `resourceVersion`.
pub const MODIFIED: &str = "the object has been modified; please apply your changes to the \
                            latest version and try again";

/// 409: the object is not as the client thought; `cause` is usually [`MODIFIED`].
pub fn conflict(resource: &GroupResource, name: &str, cause: impl fmt::Display) -> Status {
    let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {cause}");
    about(409, "Conflict", resource, name, message)
}

/// 401: the client did not say who it is, or not credibly.
pub fn unauthorized() -> Status {
    failure(401, "Unauthorized", "Unauthorized".to_owned())
}

/// 403: `cause` says who may not do what. An empty `name` means the whole resource.
pub fn forbidden(resource: &GroupResource, name: &str, cause: impl fmt::Display) -> Status {
    let message = if resource.resource.is_empty() && resource.group.is_empty() {
        format!("forbidden: {cause}")
    } else if name.is_empty() {
        format!("{resource} is forbidden: {cause}")
    } else {
        format!("{resource} {name:?} is forbidden: {cause}")
    };
    about(403, "Forbidden", resource, name, message)
}

/// 422: the object breaks rules; every broken rule is a cause.
pub fn invalid(kind: &GroupKind, name: &str, errors: &[FieldError]) -> Status {
    let mut message = format!("{kind} {name:?} is invalid");
    if !errors.is_empty() {
        message.push_str(": ");
        message.push_str(&aggregate(errors));
    }
    let causes: Vec<StatusCause> = errors.iter().map(cause_of).collect();
    let details = StatusDetails {
        group: said(&kind.group),
        kind: said(&kind.kind),
        name: said(name),
        causes: (!causes.is_empty()).then_some(causes),
        ..StatusDetails::default()
    };
    Status { details: Some(details), ..failure(422, "Invalid", message) }
}

/// 422: the request is well formed and cannot be carried out, such as a patch whose test fails.
/// Upstream keeps the cause to itself; we say it.
pub fn rejected(cause: impl fmt::Display) -> Status {
    let message =
        format!("the server rejected our request due to an error in our request: {cause}");
    Status { details: Some(StatusDetails::default()), ..failure(422, "Invalid", message) }
}

/// 400: the request itself makes no sense.
pub fn bad_request(message: impl Into<String>) -> Status {
    failure(400, "BadRequest", message.into())
}

/// 405: the resource does not answer to this verb.
pub fn method_not_supported(resource: &GroupResource, verb: &str) -> Status {
    let message =
        format!("{verb} is not supported on resources of kind {:?}", resource.to_string());
    about(405, "MethodNotAllowed", resource, "", message)
}

/// 406: nothing of what the client accepts can be answered; `supported` are the media types that can.
///
/// Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/errors.go`.
pub fn not_acceptable(supported: &[&str]) -> Status {
    let message = format!("only the following media types are accepted: {}", supported.join(", "));
    failure(406, "NotAcceptable", message)
}

/// 415: the body is of a type that cannot be read here; `supported` are those that can.
///
/// Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/errors.go`.
pub fn unsupported_media_type(supported: &[&str]) -> Status {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {}",
        supported.join(", ")
    );
    failure(415, "UnsupportedMediaType", message)
}

/// 410: history that the client asks for is no longer kept.
pub fn expired(message: impl Into<String>) -> Status {
    failure(410, "Expired", message.into())
}

/// 504: the request ran out of time; it may still complete.
pub fn timeout(message: impl fmt::Display, retry_seconds: i32) -> Status {
    retry_after(failure(504, "Timeout", format!("Timeout: {message}")), retry_seconds)
}

/// 500 with the reason ServerTimeout: a passing failure of `operation`; the client should retry.
pub fn server_timeout(resource: &GroupResource, operation: &str, retry_seconds: i32) -> Status {
    let message = format!(
        "The {operation} operation against {resource} could not be completed at this time, \
         please try again."
    );
    let status = about(500, "ServerTimeout", resource, operation, message);
    retry_after(status, retry_seconds)
}

/// 429: the client should come back later.
pub fn too_many_requests(message: impl Into<String>, retry_seconds: i32) -> Status {
    retry_after(failure(429, "TooManyRequests", message.into()), retry_seconds)
}

/// 413: the body is larger than the server reads.
pub fn request_entity_too_large(message: impl fmt::Display) -> Status {
    let message = format!("Request entity too large: {message}");
    failure(413, "RequestEntityTooLarge", message)
}

/// 500: the server failed. `cause` is shown to the client: it must hold no internals.
pub fn internal_error(cause: impl fmt::Display) -> Status {
    let causes = vec![StatusCause { message: Some(cause.to_string()), ..StatusCause::default() }];
    let details = StatusDetails { causes: Some(causes), ..StatusDetails::default() };
    let message = format!("Internal error occurred: {cause}");
    Status { details: Some(details), ..failure(500, "InternalError", message) }
}

/// A failure that upstream gives no reason.
pub fn of_code(code: i32, message: impl Into<String>) -> Status {
    Status { reason: None, ..failure(code, "", message.into()) }
}

/// 503: the server cannot serve now (starting, stopping).
pub fn service_unavailable(message: impl Into<String>) -> Status {
    failure(503, "ServiceUnavailable", message.into())
}

/// 200: what DELETE answers when the object is gone.
pub fn success(details: StatusDetails) -> Status {
    Status { status: Some("Success".to_owned()), details: Some(details), ..Status::default() }
}

/// Several faults as one text: the only one, or `[a, b]` without repetitions.
///
/// Upstream: `k8s.io/apimachinery/pkg/util/errors/errors.go`, `aggregate.Error`.
pub fn aggregate<E: fmt::Display>(errors: &[E]) -> String {
    let mut texts: Vec<String> = Vec::with_capacity(errors.len());
    for text in errors.iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [only] => only.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}

fn cause_of(error: &FieldError) -> StatusCause {
    StatusCause {
        field: Some(error.path.to_string()),
        message: Some(error.body()),
        reason: Some(error.fault.reason().to_owned()),
    }
}

/// A failure that is about one object, or one resource if `name` is empty.
fn about(code: i32, reason: &str, resource: &GroupResource, name: &str, message: String) -> Status {
    let details = StatusDetails {
        group: said(&resource.group),
        // Upstream puts the resource into the field called kind.
        kind: said(&resource.resource),
        name: said(name),
        ..StatusDetails::default()
    };
    Status { details: Some(details), ..failure(code, reason, message) }
}

fn failure(code: i32, reason: &str, message: String) -> Status {
    Status {
        code: Some(code),
        message: Some(message),
        reason: Some(reason.to_owned()),
        status: Some("Failure".to_owned()),
        ..Status::default()
    }
}

/// Zero seconds are left out, as upstream's `omitempty` does.
fn retry_after(mut status: Status, seconds: i32) -> Status {
    let details = status.details.get_or_insert_with(StatusDetails::default);
    details.retry_after_seconds = (seconds != 0).then_some(seconds);
    status
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::fields::Path;

    #[track_caller]
    fn check(status: &Status, code: i32, reason: &str, message: &str) {
        assert_eq!(status.code, Some(code));
        assert_eq!(status.reason.as_deref(), Some(reason));
        assert_eq!(status.message.as_deref(), Some(message));
        assert_eq!(status.status.as_deref(), Some("Failure"));
    }

    fn pods() -> GroupResource {
        GroupResource::new("", "pods")
    }

    #[test]
    fn failures_are_worded_as_upstream() {
        let deployments = GroupResource::new("apps", "deployments");
        check(&not_found(&pods(), "x"), 404, "NotFound", r#"pods "x" not found"#);
        check(
            &already_exists(&deployments, "x"),
            409,
            "AlreadyExists",
            r#"deployments.apps "x" already exists"#,
        );
        check(
            &conflict(&pods(), "x", MODIFIED),
            409,
            "Conflict",
            "Operation cannot be fulfilled on pods \"x\": the object has been modified; please \
             apply your changes to the latest version and try again",
        );
        check(
            &forbidden(&pods(), "", "User \"a\" cannot list"),
            403,
            "Forbidden",
            "pods is forbidden: User \"a\" cannot list",
        );
        check(
            &method_not_supported(&pods(), "delete"),
            405,
            "MethodNotAllowed",
            r#"delete is not supported on resources of kind "pods""#,
        );
        check(&timeout("too slow", 0), 504, "Timeout", "Timeout: too slow");
        check(&internal_error("boom"), 500, "InternalError", "Internal error occurred: boom");
    }

    #[test]
    fn one_fault_stands_alone_and_several_in_brackets() {
        let kind = GroupKind::new("", "Pod");
        let image = FieldError::required(Path::new("spec.containers[0].image"), "");
        let name = FieldError::invalid(Path::new("metadata.name"), "X", "must be lower case");
        check(
            &invalid(&kind, "x", std::slice::from_ref(&image)),
            422,
            "Invalid",
            r#"Pod "x" is invalid: spec.containers[0].image: Required value"#,
        );
        check(
            &invalid(&kind, "x", &[image, name.clone(), name]),
            422,
            "Invalid",
            "Pod \"x\" is invalid: [spec.containers[0].image: Required value, metadata.name: \
             Invalid value: \"X\": must be lower case]",
        );
    }

    #[test]
    fn details_name_the_object_and_every_cause() {
        let error = FieldError::required(Path::new("spec.replicas"), "say how many");
        let status = invalid(&GroupKind::new("apps", "Deployment"), "d", &[error]);
        let expect = json!({
            "group": "apps",
            "kind": "Deployment",
            "name": "d",
            "causes": [{
                "field": "spec.replicas",
                "message": "Required value: say how many",
                "reason": "FieldValueRequired",
            }],
        });
        assert_eq!(serde_json::to_value(&status).expect("a value")["details"], expect);
    }
}

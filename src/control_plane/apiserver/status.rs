//! The only place where failures become HTTP.

use http::{Response, StatusCode, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

use super::body::Body;
use crate::api::status;
use crate::control_plane::registry::Undecodable;
use crate::control_plane::storage;

/// Why a request was not done, as the client is told.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub(crate) Box<Status>);

/// What every step of a request answers.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn code(&self) -> StatusCode {
        let code = self.0.code.and_then(|code| u16::try_from(code).ok());
        code.and_then(|code| StatusCode::from_u16(code).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        status::bad_request(message).into()
    }

    /// A failure whose cause is for the log, not for the client.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "Request failed");
        status::internal_error("the server could not complete the request; see its log").into()
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self(Box::new(status))
    }
}

impl From<Undecodable> for Failure {
    fn from(err: Undecodable) -> Self {
        Self::internal(&err)
    }
}

impl From<storage::Error> for Failure {
    /// What no verb expects. Verbs handle `Conflict` themselves: only they know its text.
    fn from(err: storage::Error) -> Self {
        match err {
            storage::Error::Expired { .. } => status::expired(err.to_string()).into(),
            storage::Error::Future { requested, newest } => {
                too_large_resource_version(requested.0, newest.0)
            }
            storage::Error::Closed => {
                status::service_unavailable("the server is shutting down").into()
            }
            // As upstream says that etcd has no space: a 500.
            storage::Error::Full => status::internal_error(
                "no space left on the disk of the cluster's data directory; free some and try again",
            )
            .into(),
            storage::Error::Conflict { .. } | storage::Error::Failed(_) => Self::internal(&err),
        }
    }
}

/// Upstream: `k8s.io/apiserver/pkg/storage/errors.go`, `NewTooLargeResourceVersionError`.
pub(crate) fn too_large_resource_version(requested: u64, current: u64) -> Failure {
    let message = format!("Too large resource version: {requested}, current: {current}");
    let mut status = status::timeout(message, 1);
    let cause = k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause {
        message: Some("Too large resource version".to_owned()),
        reason: Some("ResourceVersionTooLarge".to_owned()),
        field: None,
    };
    status.details.get_or_insert_default().causes = Some(vec![cause]);
    status.into()
}

/// The failure as an answer.
pub(crate) fn response(failure: &Failure) -> Response<Body> {
    let body = serde_json::to_vec(&failure.0).expect("a Status has only strings and numbers");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = failure.code();
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    let details = failure.0.details.as_ref();
    if let Some(seconds) = details.and_then(|details| details.retry_after_seconds) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

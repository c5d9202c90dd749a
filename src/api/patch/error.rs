//! Why a patch was not applied.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

use crate::api::status;

/// Why a patch was not applied; the texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The patch is not of its format.
    #[error("{0}")]
    Malformed(String),
    /// The patch is well formed, and does not fit the object.
    #[error("{0}")]
    Rejected(String),
    /// The patch asks for too much.
    #[error("{0}")]
    TooLarge(String),
}

impl Error {
    /// What the API answers: 400, 422 or 413.
    pub fn to_status(&self) -> Status {
        match self {
            Self::Malformed(text) => status::bad_request(text.as_str()),
            Self::Rejected(text) => status::rejected(text),
            Self::TooLarge(text) => status::request_entity_too_large(text),
        }
    }
}

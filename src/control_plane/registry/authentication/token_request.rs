//! What is POSTed to `serviceaccounts/token`. The token is made in `auth::tokens`.
//!
//! Upstream: `pkg/apis/authentication/{v1/defaults,validation/validation}.go`.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::TokenRequest;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

/// Not in the table: it has no path of its own, only the subresource takes it.
#[derive(Debug)]
pub(crate) struct TokenRequests;

impl Resource for TokenRequests {
    type Object = TokenRequest;

    const NAMES: Names =
        Names { plural: "tokenrequests", singular: "tokenrequest", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const VERBS: &'static [Verb] = &["create"];

    fn default(request: &mut TokenRequest) {
        request.spec.expiration_seconds.get_or_insert(60 * 60);
    }

    fn validate(request: &TokenRequest) -> Vec<FieldError> {
        const SECONDS_MIN: i64 = 10 * 60;
        const SECONDS_MAX: i64 = 1 << 32;
        let path = Path::new("spec").child("expirationSeconds");
        let seconds = request.spec.expiration_seconds.unwrap_or(SECONDS_MIN);
        let mut faults = Vec::new();
        if seconds < SECONDS_MIN {
            let detail = "may not specify a duration less than 10 minutes";
            faults.push(FieldError::invalid(path.clone(), seconds, detail));
        }
        if seconds > SECONDS_MAX {
            let detail = "may not specify a duration larger than 2^32 seconds";
            faults.push(FieldError::invalid(path, seconds, detail));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(request: &TokenRequest, now: Timestamp) -> Vec<Value> {
        vec![print::name(&request.metadata), print::age(&request.metadata, now)]
    }
}

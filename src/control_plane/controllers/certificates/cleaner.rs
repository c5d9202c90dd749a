//! Deletes requests that are done with, or that nobody decided.
//!
//! Upstream: `pkg/controller/certificates/cleaner/cleaner.go`, which looks every hour; here each goes when its
//! time has come.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::{Api, DeleteParams, Preconditions};
use tracing::debug;
use x509_parser::pem::Pem;

use super::{changes, request};
use crate::api::certificate_request::{conditions, is, issued};
use crate::control_plane::controllers::Context;
use crate::control_plane::controllers::reconcile::{self, Next, is_gone};

/// After it was approved (issued or not), denied or refused by its signer.
const DECIDED_FOR: SignedDuration = SignedDuration::from_hours(1);
const PENDING_FOR: SignedDuration = SignedDuration::from_hours(24);

pub(in super::super) async fn run(ctx: Context) {
    let keys = changes(&ctx).await;
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("csrcleaner", clock, stop, keys, |name| {
        let ctx = ctx.clone();
        async move { reconcile_request(&ctx, &name).await }
    })
    .await;
}

async fn reconcile_request(ctx: &Context, name: &str) -> Result<Next, kube::Error> {
    let Some(request) = request(ctx, name) else { return Ok(Next::Done) };
    let Some(due) = due(&request) else { return Ok(Next::Done) };
    let left = Duration::try_from(due.duration_since(ctx.clock.now())).unwrap_or_default();
    if left > Duration::ZERO {
        return Ok(Next::After(left));
    }
    debug!(request = %name, "Done with");
    let precondition = Preconditions {
        uid: request.metadata.uid.clone(),
        resource_version: request.metadata.resource_version.clone(),
    };
    let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::default() };
    let api: Api<CertificateSigningRequest> = Api::all(ctx.client.kube());
    match api.delete(name, &params).await {
        Err(error) if is_gone(&error) => Ok(Next::Done),
        outcome => outcome.map(|_| Next::Done),
    }
}

/// When the request is to go; none if it waits for what never comes by itself.
fn due(request: &CertificateSigningRequest) -> Option<Timestamp> {
    let decided = ["Approved", "Denied", "Failed"].into_iter();
    let decided = decided.flat_map(|type_| conditions(request, type_));
    let decided = decided.filter_map(|one| Some(one.last_update_time.as_ref()?.0 + DECIDED_FOR));
    let is_undecided = request
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref())
        .is_none_or(Vec::is_empty);
    let pending = request.metadata.creation_timestamp.as_ref().filter(|_| is_undecided);
    let pending = pending.map(|made| made.0 + PENDING_FOR);
    let expired = issued(request).filter(|_| is(request, "Approved")).and_then(end);
    decided.chain(pending).chain(expired).min()
}

/// When the first of the certificates ends.
fn end(pem: &[u8]) -> Option<Timestamp> {
    let ends = Pem::iter_from_buffer(pem).filter_map(|block| {
        let block = block.ok()?;
        let seconds = block.parse_x509().ok()?.validity().not_after.timestamp();
        Timestamp::from_second(seconds).ok()
    });
    ends.min()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(conditions: Value, expect: &str) {
        let request = json!({
            "metadata": {"name": "ann", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"request": "", "signerName": "a.b/c"},
            "status": {"conditions": conditions},
        });
        let due = due(&serde_json::from_value(request).unwrap());
        assert_eq!(due, Some(expect.parse().unwrap()));
    }

    #[test]
    fn what_is_decided_goes_after_an_hour_and_what_is_not_after_a_day() {
        check(json!([]), "2026-01-02T00:00:00Z");
        for type_ in ["Approved", "Denied", "Failed"] {
            let at = "2026-01-01T05:00:00Z";
            let condition = json!({"type": type_, "status": "True", "lastUpdateTime": at});
            check(json!([condition]), "2026-01-01T06:00:00Z");
        }
    }
}

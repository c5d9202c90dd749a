//! CertificateSigningRequests: kubelets' are approved, what is approved is signed, what is done with goes.
//!
//! Upstream: `pkg/controller/certificates`.

mod approver;
mod cleaner;
mod signer;

pub(super) use approver::run as approve;
pub(super) use cleaner::run as clean;
pub(super) use signer::run as sign;

use std::sync::Arc;

use futures::Stream;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::{Api, PostParams};

use super::Context;
use super::ownership::revision;
use super::reconcile::is_gone;
use crate::api::object::ObjectKey;

/// The requests, as they come and change.
async fn changes(ctx: &Context) -> impl Stream<Item = String> + use<> {
    use futures::StreamExt as _;

    ctx.caches.certificate_requests.synced().await;
    ctx.caches.certificate_requests.changes().map(|key| key.name)
}

fn request(ctx: &Context, name: &str) -> Option<Arc<CertificateSigningRequest>> {
    ctx.caches.certificate_requests.get(&ObjectKey::new("", name))
}

/// Writes the request's `subresource`. One that is gone is no failure.
async fn write(
    ctx: &Context,
    subresource: &str,
    request: &CertificateSigningRequest,
) -> Result<(), kube::Error> {
    let api: Api<CertificateSigningRequest> = Api::all(ctx.client.kube());
    let name = request.metadata.name.as_deref().unwrap_or_default();
    let params = PostParams::default();
    let written: Result<CertificateSigningRequest, _> =
        api.replace_subresource(subresource, name, &params, request).await;
    match written {
        Err(error) if is_gone(&error) => Ok(()),
        written => {
            ctx.caches.certificate_requests.reached(revision(&written?.metadata)).await;
            Ok(())
        }
    }
}

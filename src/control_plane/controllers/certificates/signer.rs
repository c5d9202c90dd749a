//! Signs what is approved and asked of the cluster's own signers.
//!
//! Upstream: `pkg/controller/certificates/signer/signer.go`.

use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tracing::{error, info};

use super::{changes, request, write};
use crate::api::certificate_request::{
    CLIENT_SIGNER, CertificateRequest, KUBELET_CLIENT_SIGNER, KUBELET_SERVING_SIGNER,
    check_for_signer, is, issued,
};
use crate::control_plane::controllers::{Context, reconcile};

const SIGNERS: [&str; 3] = [CLIENT_SIGNER, KUBELET_CLIENT_SIGNER, KUBELET_SERVING_SIGNER];

pub(in super::super) async fn run(ctx: Context) {
    let keys = changes(&ctx).await;
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("csrsigning", clock, stop, keys, |name| {
        let ctx = ctx.clone();
        async move { reconcile_request(&ctx, &name).await }
    })
    .await;
}

async fn reconcile_request(ctx: &Context, name: &str) -> Result<(), kube::Error> {
    let Some(request) = request(ctx, name).filter(|request| waits(request)) else { return Ok(()) };
    let Ok(asked) = CertificateRequest::parse(&request.spec.request.0) else { return Ok(()) };
    let mut answered = (*request).clone();
    let status = answered.status.get_or_insert_default();
    let usages = request.spec.usages.as_deref().unwrap_or_default();
    match check_for_signer(&request.spec.signer_name, &asked, usages) {
        Err(refusal) => fail(ctx, status, refusal),
        Ok(()) => {
            let seconds = request.spec.expiration_seconds;
            let lifetime = seconds.and_then(|one| u64::try_from(one).ok()).map(Duration::from_secs);
            let now = ctx.clock.now();
            match ctx.settings.signer.sign(&asked.der, usages, lifetime, now) {
                Ok(pem) => status.certificate = Some(ByteString(pem.into_bytes())),
                // Trying again would not help.
                Err(error) => {
                    error!(request = %name, %error, "Failed to sign");
                    return Ok(());
                }
            }
        }
    }
    write(ctx, "status", &answered).await?;
    info!(request = %name, "Answered");
    Ok(())
}

/// Approved, for one of our signers, and neither signed nor refused.
fn waits(request: &CertificateSigningRequest) -> bool {
    SIGNERS.contains(&request.spec.signer_name.as_str())
        && is(request, "Approved")
        && !is(request, "Denied")
        && !is(request, "Failed")
        && issued(request).is_none()
}

fn fail(ctx: &Context, status: &mut CertificateSigningRequestStatus, refusal: String) {
    status.conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
        type_: "Failed".to_owned(),
        status: "True".to_owned(),
        reason: Some("SignerValidationFailure".to_owned()),
        message: Some(refusal),
        last_update_time: Some(Time(ctx.clock.now())),
        last_transition_time: None,
    });
}

//! Approves what kubelets ask for, for themselves or for others, if they may.
//!
//! Upstream: `pkg/controller/certificates/approver/sarapprove.go`.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, PostParams};
use tracing::info;

use super::{changes, request, write};
use crate::api::certificate_request::{
    CertificateRequest, KUBELET_CLIENT_SIGNER, check_for_signer, is, issued,
};
use crate::control_plane::controllers::{Context, reconcile};

pub(in super::super) async fn run(ctx: Context) {
    let keys = changes(&ctx).await;
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("csrapproving", clock, stop, keys, |name| {
        let ctx = ctx.clone();
        async move { reconcile_request(&ctx, &name).await }
    })
    .await;
}

async fn reconcile_request(ctx: &Context, name: &str) -> Result<(), kube::Error> {
    let Some(request) = request(ctx, name) else { return Ok(()) };
    for (permission, message) in recognised(&request) {
        if !may(ctx, &request, permission).await? {
            continue;
        }
        let mut approved = (*request).clone();
        let status = approved.status.get_or_insert_default();
        status.conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
            type_: "Approved".to_owned(),
            status: "True".to_owned(),
            reason: Some("AutoApproved".to_owned()),
            message: Some(message.to_owned()),
            last_update_time: Some(Time(ctx.clock.now())),
            last_transition_time: None,
        });
        info!(request = %name, "Approved");
        return write(ctx, "approval", &approved).await;
    }
    Ok(())
}

/// As what the request may be approved: the subresource that whoever asked must be allowed to create, and what
/// is said then.
fn recognised(request: &CertificateSigningRequest) -> Vec<(&'static str, &'static str)> {
    let spec = &request.spec;
    let decided = is(request, "Approved") || is(request, "Denied") || issued(request).is_some();
    if decided || spec.signer_name != KUBELET_CLIENT_SIGNER {
        return Vec::new();
    }
    let Ok(asked) = CertificateRequest::parse(&spec.request.0) else { return Vec::new() };
    let usages = spec.usages.as_deref().unwrap_or_default();
    if check_for_signer(&spec.signer_name, &asked, usages).is_err() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if spec.username.as_ref() == Some(&asked.common_name) {
        found.push((
            "selfnodeclient",
            "Auto approving self kubelet client certificate after SubjectAccessReview.",
        ));
    }
    found.push((
        "nodeclient",
        "Auto approving kubelet client certificate after SubjectAccessReview.",
    ));
    found
}

async fn may(
    ctx: &Context,
    request: &CertificateSigningRequest,
    permission: &str,
) -> Result<bool, kube::Error> {
    let spec = &request.spec;
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: spec.username.clone(),
            uid: spec.uid.clone(),
            groups: spec.groups.clone(),
            extra: spec.extra.clone(),
            resource_attributes: Some(ResourceAttributes {
                group: Some("certificates.k8s.io".to_owned()),
                resource: Some("certificatesigningrequests".to_owned()),
                verb: Some("create".to_owned()),
                subresource: Some(permission.to_owned()),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(ctx.client.kube());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

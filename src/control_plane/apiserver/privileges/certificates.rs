//! CertificateSigningRequests: whoever approves or signs may do so for that signer, and nobody becomes an
//! administrator by a certificate.
//!
//! Upstream: `plugin/pkg/admission/certificates/{approval,signing,subjectrestriction}/admission.go`.

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

use super::{AnyObjectRef, typed};
use crate::api::certificate_request::{CLIENT_SIGNER, CertificateRequest};
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::status::Outcome;
use crate::control_plane::auth::{Attributes, Decision};

pub(super) fn check(
    call: &Call,
    object: AnyObjectRef<'_>,
    old: Option<AnyObjectRef<'_>>,
) -> Outcome<()> {
    let Some(request) = typed::<CertificateSigningRequest>(object) else { return Ok(()) };
    let old = old.and_then(typed::<CertificateSigningRequest>);
    let refusal = match (call.request.subresource.as_deref(), old) {
        (None, None) => subject_refusal(request),
        (Some("approval"), Some(old)) => {
            let signer = &old.spec.signer_name;
            let text = format!("user not permitted to approve requests with signerName {signer:?}");
            (!may(call, "approve", signer)).then_some(text)
        }
        (Some("status"), Some(old)) if request.status != old.status => {
            let signer = &old.spec.signer_name;
            let text = format!("user not permitted to sign requests with signerName {signer:?}");
            (!may(call, "sign", signer)).then_some(text)
        }
        _ => None,
    };
    refusal.map_or(Ok(()), |cause| Err(call.refused_object(object, cause)))
}

/// What cannot be read is for validation to tell.
fn subject_refusal(request: &CertificateSigningRequest) -> Option<String> {
    const MASTERS: &str = "system:masters";
    if request.spec.signer_name != CLIENT_SIGNER {
        return None;
    }
    let asked = CertificateRequest::parse(&request.spec.request.0).ok()?;
    asked
        .organizations
        .iter()
        .any(|group| group == MASTERS)
        .then(|| format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed"))
}

/// For the signer, or for all of its domain (`example.com/*`).
fn may(call: &Call, verb: &str, signer: &str) -> bool {
    let domain = signer.split_once('/').map(|(domain, _)| format!("{domain}/*"));
    let names = [Some(signer), domain.as_deref()];
    names.into_iter().flatten().any(|name| {
        let attributes = Attributes::Resource {
            verb,
            group: "certificates.k8s.io",
            resource: "signers",
            subresource: "",
            namespace: "",
            name,
        };
        call.server.authorizer().authorize(&call.identity, &attributes) == Decision::Allow
    })
}

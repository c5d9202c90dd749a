//! CertificateSigningRequests: asked for, approved or denied, issued; what is asked for never changes.
//!
//! Upstream: `pkg/registry/certificates/certificates/strategy.go`,
//! `printCertificateSigningRequest` in `pkg/printers/internalversion/printers.go`.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::UserInfo;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::validation::{Change, validate, validate_change};
use crate::api::certificate_request::{is, issued};
use crate::api::fields::FieldError;
use crate::control_plane::registry::print::{self, AGE, NAME, column, human_duration};
use crate::control_plane::registry::rules::text;
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

#[derive(Debug)]
pub(crate) struct CertificateSigningRequests;

const APPROVAL: &str = "approval";
/// What `approval` decides, and `status` does not.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

impl Resource for CertificateSigningRequests {
    type Object = CertificateSigningRequest;

    const NAMES: Names = Names {
        plural: "certificatesigningrequests",
        singular: "certificatesigningrequest",
        short: &["csr"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[
        Subresource {
            name: APPROVAL,
            kind: ("", "", "CertificateSigningRequest"),
            verbs: STATUS_VERBS,
        },
        Subresource {
            name: "status",
            kind: ("", "", "CertificateSigningRequest"),
            verbs: STATUS_VERBS,
        },
    ];
    const RECORDS_REQUESTER: bool = true;

    fn default(request: &mut CertificateSigningRequest) {
        request.status.get_or_insert_default();
    }

    fn record_requester(request: &mut CertificateSigningRequest, user: UserInfo) {
        let spec = &mut request.spec;
        spec.username = user.username;
        spec.uid = user.uid;
        spec.groups = user.groups;
        spec.extra = user.extra;
    }

    fn prepare_for_create(request: &mut CertificateSigningRequest) {
        request.status = Some(CertificateSigningRequestStatus::default());
    }

    fn prepare_for_update(
        request: &mut CertificateSigningRequest,
        old: &CertificateSigningRequest,
    ) {
        request.spec.clone_from(&old.spec);
        request.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(
        request: &mut CertificateSigningRequest,
        old: &CertificateSigningRequest,
    ) {
        request.spec.clone_from(&old.spec);
        let conditions = &mut request.status.get_or_insert_default().conditions;
        let decided =
            |one: &CertificateSigningRequestCondition| DECISIONS.contains(&one.type_.as_str());
        let all = old.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let kept: Vec<_> = all.filter(|one| decided(one)).cloned().collect();
        let others = conditions.take().into_iter().flatten().filter(|one| !decided(one));
        let all: Vec<_> = kept.into_iter().chain(others).collect();
        *conditions = Some(all).filter(|all| !all.is_empty());
    }

    /// `approval`: the conditions.
    fn prepare_for_subresource_update(
        _name: &str,
        request: &mut CertificateSigningRequest,
        old: &CertificateSigningRequest,
    ) {
        request.spec.clone_from(&old.spec);
        let certificate = old.status.as_ref().and_then(|status| status.certificate.clone());
        request.status.get_or_insert_default().certificate = certificate;
    }

    /// Conditions say when they came and when they changed.
    fn stamp(
        request: &mut CertificateSigningRequest,
        old: &CertificateSigningRequest,
        now: Timestamp,
    ) {
        let before: Vec<_> =
            old.status.iter().flat_map(|status| status.conditions.iter().flatten()).collect();
        let conditions = request.status.iter_mut().flat_map(|status| &mut status.conditions);
        for condition in conditions.flatten() {
            condition.last_update_time.get_or_insert(Time(now));
            if condition.last_transition_time.is_none() {
                let same = before
                    .iter()
                    .find(|one| one.type_ == condition.type_ && one.status == condition.status);
                let then = same.and_then(|one| one.last_transition_time.clone());
                condition.last_transition_time = Some(then.unwrap_or(Time(now)));
            }
        }
    }

    fn validate(request: &CertificateSigningRequest) -> Vec<FieldError> {
        validate(request)
    }

    fn validate_update(
        request: &CertificateSigningRequest,
        old: &CertificateSigningRequest,
    ) -> Vec<FieldError> {
        validate_change(request, old, Change::Object)
    }

    fn validate_status_update(
        request: &CertificateSigningRequest,
        old: &CertificateSigningRequest,
    ) -> Vec<FieldError> {
        validate_change(request, old, Change::Certificate)
    }

    fn validate_subresource_update(
        _name: &str,
        request: &CertificateSigningRequest,
        old: &CertificateSigningRequest,
    ) -> Vec<FieldError> {
        validate_change(request, old, Change::Object)
    }

    /// Anything goes.
    fn validate_name(_name: &str) -> Vec<String> {
        Vec::new()
    }

    fn fields(request: &CertificateSigningRequest) -> Vec<(&'static str, String)> {
        vec![("spec.signerName", request.spec.signer_name.clone())]
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            AGE,
            column("SignerName", "Who shall sign."),
            column("Requestor", "Who asked."),
            column("RequestedDuration", "How long the certificate shall live."),
            column("Condition", "What became of it."),
        ];
        COLUMNS
    }

    fn row(request: &CertificateSigningRequest, now: Timestamp) -> Vec<Value> {
        let spec = &request.spec;
        let duration = spec.expiration_seconds.map(|seconds| human_duration(i64::from(seconds)));
        vec![
            print::name(&request.metadata),
            print::age(&request.metadata, now),
            print::or(Some(&spec.signer_name), "<none>").into(),
            text(&spec.username).into(),
            duration.unwrap_or_else(|| "<none>".to_owned()).into(),
            condition(request).into(),
        ]
    }
}

/// Upstream: `extractCSRStatus`.
fn condition(request: &CertificateSigningRequest) -> String {
    let decision = if is(request, "Denied") {
        "Denied"
    } else if is(request, "Approved") {
        "Approved"
    } else {
        "Pending"
    };
    let failed = if is(request, "Failed") { ",Failed" } else { "" };
    let issued = if issued(request).is_some() { ",Issued" } else { "" };
    format!("{decision}{failed}{issued}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(conditions: Value) -> CertificateSigningRequest {
        serde_json::from_value(json!({
            "metadata": {"name": "ann"},
            "spec": {"request": "", "signerName": "a.b/c", "username": "ann",
                "expirationSeconds": 7200},
            "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn what_became_of_it_is_shown() {
        let row = |conditions| {
            CertificateSigningRequests::row(&request(conditions), Timestamp::UNIX_EPOCH)
        };
        let of = |type_: &str| json!({"type": type_, "status": "True"});
        assert_eq!(row(json!([]))[2..], ["a.b/c", "ann", "120m", "Pending"].map(Value::from));
        assert_eq!(row(json!([of("Approved"), of("Failed")]))[5], "Approved,Failed");
        assert_eq!(row(json!([of("Denied")]))[5], "Denied");
    }

    #[test]
    fn conditions_get_their_times_and_the_status_decides_nothing() {
        let old = request(json!([{"type": "Approved", "status": "True",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]));
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let mut new = request(json!([{"type": "Approved", "status": "True"},
            {"type": "Failed", "status": "True"}]));
        CertificateSigningRequests::stamp(&mut new, &old, now);
        let conditions = new.status.as_ref().unwrap().conditions.as_ref().unwrap();
        let then: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(conditions[0].last_transition_time, Some(Time(then)));
        assert_eq!(conditions[1].last_transition_time, Some(Time(now)));
        assert_eq!(conditions[0].last_update_time, Some(Time(now)));

        let mut new = request(json!([{"type": "Denied", "status": "True"}]));
        CertificateSigningRequests::prepare_for_status_update(&mut new, &old);
        assert!(is(&new, "Approved") && !is(&new, "Denied"));
    }
}

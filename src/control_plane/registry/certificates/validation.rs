//! Upstream: `pkg/apis/certificates/validation/validation.go`.

use std::collections::BTreeSet;

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::json;
use x509_parser::pem::Pem;

use crate::api::certificate_request::{CertificateRequest, LEGACY_SIGNER, conditions, issued};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{dns1123_label, dns1123_subdomain, invalid_each};

/// In the order of messages.
const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

const EXPIRATION_SECONDS_MIN: i32 = 600;
/// Upstream's bounds of a signer's name: a domain, a slash, and a path of so many labels.
const SIGNER_DOMAIN_BYTES_MAX: usize = 253;
const SIGNER_NAME_BYTES_MAX: usize = 571;

/// Which part of the object may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Not what was issued.
    Object,
    /// A certificate may be set that was not there.
    Certificate,
}

pub(super) fn validate(request: &CertificateSigningRequest) -> Vec<FieldError> {
    let path = Path::new("spec");
    let spec = &request.spec;
    let mut faults = Vec::new();
    if let Err(detail) = CertificateRequest::parse(&spec.request.0) {
        faults.push(FieldError::invalid(path.child("request"), json!(spec.request), detail));
    }
    let usages = spec.usages.as_deref().unwrap_or_default();
    faults.extend(validate_usages(usages, &path.child("usages")));
    let signer = path.child("signerName");
    if spec.signer_name == LEGACY_SIGNER {
        let detail = "the legacy signerName is not allowed via this API version";
        faults.push(FieldError::invalid(signer, spec.signer_name.as_str(), detail));
    } else {
        faults.extend(validate_signer_name(&spec.signer_name, &signer));
    }
    if let Some(seconds) = spec.expiration_seconds.filter(|one| *one < EXPIRATION_SECONDS_MIN) {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        faults.push(FieldError::invalid(path.child("expirationSeconds"), seconds, detail));
    }
    faults.extend(validate_conditions(request));
    faults
}

fn validate_usages(usages: &[String], path: &Path) -> Vec<FieldError> {
    if usages.is_empty() {
        return vec![FieldError::required(path.clone(), "")];
    }
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, usage) in usages.iter().enumerate() {
        let path = path.index(index);
        if !USAGES.contains(&usage.as_str()) {
            faults.push(FieldError::not_supported(path.clone(), usage.as_str(), USAGES));
        }
        if !seen.insert(usage) {
            faults.push(FieldError::duplicate(path, usage.as_str()));
        }
    }
    faults
}

/// Upstream: `ValidateSignerName` in `pkg/apis/core/validation/names.go`.
fn validate_signer_name(name: &str, path: &Path) -> Vec<FieldError> {
    if name.is_empty() {
        return vec![FieldError::required(path.clone(), "")];
    }
    let parts: Vec<&str> = name.split('/').collect();
    let [domain, rest] = parts[..] else {
        let detail =
            "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return vec![FieldError::invalid(path.clone(), name, detail)];
    };
    let mut faults = invalid_each(path, domain, dns1123_subdomain(domain));
    if domain.split('.').count() < 2 {
        let detail = "should be a domain with at least two segments separated by dots";
        faults.push(FieldError::invalid(path.clone(), domain, detail));
    }
    if domain.len() > SIGNER_DOMAIN_BYTES_MAX || name.len() > SIGNER_NAME_BYTES_MAX {
        faults.push(FieldError::too_long(path.clone(), SIGNER_NAME_BYTES_MAX));
    }
    for label in rest.split('.') {
        let complaints = dns1123_label(label).into_iter();
        let complaints = complaints.map(|one| format!("validating label {label:?}: {one}"));
        faults.extend(invalid_each(path, rest, complaints.collect()));
    }
    faults
}

fn validate_conditions(request: &CertificateSigningRequest) -> Vec<FieldError> {
    let path = Path::new("status").child("conditions");
    let all = request.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, condition) in all.enumerate() {
        let path = path.index(index);
        let type_ = condition.type_.as_str();
        let supported: &[&str] = match type_ {
            "Approved" | "Denied" | "Failed" => &["True"],
            _ => &["False", "True", "Unknown"],
        };
        if type_.is_empty() {
            faults.push(FieldError::required(path.child("type"), ""));
        }
        match condition.status.as_str() {
            "" => faults.push(FieldError::required(path.child("status"), "")),
            status if !supported.contains(&status) => {
                faults.push(FieldError::not_supported(path.child("status"), status, supported));
            }
            _ => {}
        }
        let other = if type_ == "Approved" { "Denied" } else { "Approved" };
        if ["Approved", "Denied"].contains(&type_) && seen.contains(other) {
            let detail = "Approved and Denied conditions are mutually exclusive";
            faults.push(FieldError::invalid(path.child("type"), type_, detail));
        }
        if !seen.insert(type_) {
            faults.push(FieldError::duplicate(path.child("type"), type_));
        }
    }
    faults
}

pub(super) fn validate_change(
    request: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
    change: Change,
) -> Vec<FieldError> {
    let status = Path::new("status");
    let mut faults = validate(request);
    for type_ in ["Approved", "Denied", "Failed"] {
        if conditions(request, type_).count() < conditions(old, type_).count() {
            let detail = format!("updates may not remove a condition of type {type_:?}");
            faults.push(FieldError::forbidden(status.child("conditions"), detail));
        }
    }
    if issued(request) != issued(old) {
        let path = status.child("certificate");
        if change == Change::Object {
            let detail = "updates may not set certificate content";
            faults.push(FieldError::forbidden(path, detail));
        } else if issued(old).is_some() {
            let detail = "updates may not modify existing certificate content";
            faults.push(FieldError::forbidden(path, detail));
        } else if let Some(Err(detail)) = issued(request).map(check_certificate) {
            faults.push(FieldError::invalid(path, "<certificate data>", detail));
        }
    }
    faults
}

/// One certificate or more, in PEM, and nothing else.
fn check_certificate(pem: &[u8]) -> Result<(), String> {
    let mut found = false;
    for block in Pem::iter_from_buffer(pem) {
        let block = block.map_err(|_| "must contain only PEM blocks".to_owned())?;
        if block.label != "CERTIFICATE" {
            return Err("only CERTIFICATE PEM blocks are allowed, found ".to_owned()
                + &format!("{:?}", block.label));
        }
        block.parse_x509().map_err(|_| "unable to parse a certificate".to_owned())?;
        found = true;
    }
    if found {
        return Ok(());
    }
    Err("must contain at least one CERTIFICATE PEM block".to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use serde_json::Value;

    use super::*;

    fn request(spec: Value, status: Value) -> CertificateSigningRequest {
        let key = KeyPair::generate().unwrap();
        let pem = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let mut request: CertificateSigningRequest = serde_json::from_value(
            json!({"metadata": {"name": "ann"}, "spec": spec, "status": status}),
        )
        .unwrap();
        if request.spec.request.0.is_empty() {
            request.spec.request.0 = pem.into_bytes();
        }
        request
    }

    #[track_caller]
    fn check(faults: &[FieldError], expect: &[&str]) {
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_request_is_whole_or_refused_word_by_word() {
        let good = json!({"request": "", "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"], "expirationSeconds": 600});
        check(&validate(&request(good, json!({}))), &[]);
        let bad = json!({"request": "bm9uc2Vuc2U=", "signerName": "nobody", "expirationSeconds": 599,
            "usages": ["signing", "signing"]});
        check(
            &validate(&request(bad, json!({}))),
            &[
                "spec.request: Invalid value: \"bm9uc2Vuc2U=\": PEM block type must be CERTIFICATE REQUEST",
                "spec.usages[1]: Duplicate value: \"signing\"",
                "spec.signerName: Invalid value: \"nobody\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
                "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)",
            ],
        );
        let legacy = json!({"request": "", "signerName": LEGACY_SIGNER, "usages": []});
        check(
            &validate(&request(legacy, json!({}))),
            &[
                "spec.usages: Required value",
                "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via this API version",
            ],
        );
    }

    #[test]
    fn what_was_decided_or_issued_stays() {
        let spec = json!({"request": "", "signerName": "a.b/c", "usages": ["any"]});
        let condition = |type_: &str| json!({"type": type_, "status": "True"});
        let old = request(spec.clone(), json!({"conditions": [condition("Approved")]}));
        let mut new = old.clone();
        new.status = None;
        check(
            &validate_change(&new, &old, Change::Object),
            &[
                "status.conditions: Forbidden: updates may not remove a condition of type \"Approved\"",
            ],
        );
        let both = json!({"conditions": [condition("Approved"), condition("Denied")]});
        check(
            &validate_change(&request(spec, both), &old, Change::Object),
            &[
                "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive",
            ],
        );
        let mut signed = old.clone();
        signed.status.as_mut().unwrap().certificate =
            Some(k8s_openapi::ByteString(b"nonsense".to_vec()));
        check(
            &validate_change(&signed, &old, Change::Object),
            &["status.certificate: Forbidden: updates may not set certificate content"],
        );
        check(
            &validate_change(&signed, &old, Change::Certificate),
            &[
                "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block",
            ],
        );
        check(
            &validate_change(&old, &signed, Change::Certificate),
            &["status.certificate: Forbidden: updates may not modify existing certificate content"],
        );
    }
}

//! What a CertificateSigningRequest asks for: PKCS #10 (RFC 2986) in PEM, and who may be asked for what.
//!
//! Upstream: `pkg/apis/certificates/helpers.go`.

use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

/// Certificates for users and programs that speak to the API server.
pub const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// The same for kubelets.
pub const KUBELET_CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Certificates that kubelets serve with.
pub const KUBELET_SERVING_SIGNER: &str = "kubernetes.io/kubelet-serving";
/// Of an older API; nobody may ask for it any more.
pub const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";

/// A request whose signature fits its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// DER.
    pub der: Vec<u8>,
    /// Empty if the subject has none.
    pub common_name: String,
    pub organizations: Vec<String>,
    pub alternative_names: AlternativeNames,
}

/// How many of each sort are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlternativeNames {
    pub dns: usize,
    pub addresses: usize,
    pub emails: usize,
    pub uris: usize,
}

impl CertificateRequest {
    /// Reads `spec.request`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let der = match Pem::iter_from_buffer(pem).next() {
            Some(Ok(block)) if block.label == "CERTIFICATE REQUEST" => block.contents,
            _ => return Err("PEM block type must be CERTIFICATE REQUEST".to_owned()),
        };
        let (rest, request) = X509CertificationRequest::from_der(&der)
            .map_err(|_| "the request is not in the form of PKCS #10".to_owned())?;
        if !rest.is_empty() {
            return Err("the request has trailing data".to_owned());
        }
        request
            .verify_signature()
            .map_err(|_| "the request's signature does not fit its key".to_owned())?;
        let subject = &request.certification_request_info.subject;
        let text = |part: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            part.as_str().map(str::to_owned).ok()
        };
        let common_name = subject.iter_common_name().filter_map(text).last().unwrap_or_default();
        let organizations = subject.iter_organization().filter_map(text).collect();
        let alternative_names = alternative_names(&request);
        Ok(Self { common_name, organizations, alternative_names, der })
    }
}

/// The extensions that a request asks for.
pub fn extensions<'a>(
    request: &'a X509CertificationRequest<'_>,
) -> impl Iterator<Item = &'a X509Extension<'a>> {
    let attributes = request.certification_request_info.iter_attributes();
    attributes.flat_map(|attribute| match attribute.parsed_attribute() {
        ParsedCriAttribute::ExtensionRequest(asked) => asked.extensions.as_slice(),
        _ => &[],
    })
}

fn alternative_names(request: &X509CertificationRequest<'_>) -> AlternativeNames {
    let mut found = AlternativeNames::default();
    for extension in extensions(request) {
        let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else {
            continue;
        };
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(_) => found.dns += 1,
                GeneralName::IPAddress(_) => found.addresses += 1,
                GeneralName::RFC822Name(_) => found.emails += 1,
                GeneralName::URI(_) => found.uris += 1,
                _ => {}
            }
        }
    }
    found
}

/// Whether the signer takes such a request; signers that are not ours take none.
///
/// # Errors
/// Upstream's words for what it does not sign.
pub fn check_for_signer(
    signer: &str,
    request: &CertificateRequest,
    usages: &[String],
) -> Result<(), String> {
    match signer {
        CLIENT_SIGNER => check_client_usages(usages),
        KUBELET_CLIENT_SIGNER => check_kubelet_client(request, usages),
        KUBELET_SERVING_SIGNER => check_kubelet_serving(request, usages),
        other => Err(format!("unrecognized signerName: {other:?}")),
    }
}

fn check_client_usages(usages: &[String]) -> Result<(), String> {
    const FITTING: [&str; 3] = ["digital signature", "key encipherment", "client auth"];
    if let Some(usage) = usages.iter().find(|usage| !FITTING.contains(&usage.as_str())) {
        return Err(format!("invalid usage for client certificate: {usage}"));
    }
    if !usages.iter().any(|usage| usage == "client auth") {
        return Err("missing required usage for client certificate: client auth".to_owned());
    }
    Ok(())
}

fn check_kubelet_client(request: &CertificateRequest, usages: &[String]) -> Result<(), String> {
    check_node_organization(request)?;
    let names = request.alternative_names;
    refuse_names("DNS", names.dns)?;
    refuse_names("Email", names.emails)?;
    refuse_names("IP", names.addresses)?;
    refuse_names("URI", names.uris)?;
    check_node_name(request)?;
    check_usages(usages, "client auth")
}

fn check_kubelet_serving(request: &CertificateRequest, usages: &[String]) -> Result<(), String> {
    check_node_organization(request)?;
    let names = request.alternative_names;
    if names.dns + names.addresses == 0 {
        return Err("DNS or IP subjectAltName is required".to_owned());
    }
    refuse_names("Email", names.emails)?;
    refuse_names("URI", names.uris)?;
    check_usages(usages, "server auth")?;
    check_node_name(request)
}

fn check_node_organization(request: &CertificateRequest) -> Result<(), String> {
    if request.organizations == ["system:nodes"] {
        return Ok(());
    }
    Err("subject organization is not system:nodes".to_owned())
}

fn check_node_name(request: &CertificateRequest) -> Result<(), String> {
    if request.common_name.starts_with("system:node:") {
        return Ok(());
    }
    Err("subject common name does not begin with system:node: ".to_owned())
}

fn refuse_names(sort: &str, count: usize) -> Result<(), String> {
    if count == 0 { Ok(()) } else { Err(format!("{sort} subjectAltNames are not allowed")) }
}

/// Just these; keys that cannot encipher leave that out.
fn check_usages(usages: &[String], purpose: &str) -> Result<(), String> {
    let mut words: Vec<&str> = usages.iter().map(String::as_str).collect();
    words.sort_unstable();
    words.dedup();
    let mut wanted = vec!["digital signature", "key encipherment", purpose];
    wanted.sort_unstable();
    let without: Vec<&str> =
        wanted.iter().copied().filter(|usage| *usage != "key encipherment").collect();
    if words == wanted || words == without {
        return Ok(());
    }
    Err(format!("usages did not match [{}]", wanted.join(" ")))
}

/// The conditions of that type.
pub fn conditions<'a>(
    request: &'a CertificateSigningRequest,
    type_: &'a str,
) -> impl Iterator<Item = &'a CertificateSigningRequestCondition> {
    let status = request.status.iter();
    let all = status.flat_map(|status| status.conditions.iter().flatten());
    all.filter(move |condition| condition.type_ == type_)
}

/// Whether it has such a condition. Their status is always `True`.
pub fn is(request: &CertificateSigningRequest, type_: &str) -> bool {
    conditions(request, type_).next().is_some()
}

/// The certificate that was issued, in PEM.
pub fn issued(request: &CertificateSigningRequest) -> Option<&[u8]> {
    let certificate = request.status.as_ref()?.certificate.as_ref()?;
    Some(certificate.0.as_slice()).filter(|pem| !pem.is_empty())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn request(common_name: &str, organization: &str, names: &[&str]) -> CertificateRequest {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.distinguished_name.push(DnType::OrganizationName, organization);
        let key = KeyPair::generate().unwrap();
        let pem = params.serialize_request(&key).unwrap().pem().unwrap();
        CertificateRequest::parse(pem.as_bytes()).unwrap()
    }

    #[track_caller]
    fn check(signer: &str, request: &CertificateRequest, usages: &[&str], expect: Option<&str>) {
        let usages: Vec<String> = usages.iter().map(|usage| (*usage).to_owned()).collect();
        assert_eq!(check_for_signer(signer, request, &usages).err().as_deref(), expect);
    }

    #[test]
    fn subject_and_names_are_read() {
        let request = request("ann", "dev", &["a.example", "192.0.2.1"]);
        assert_eq!(request.common_name, "ann");
        assert_eq!(request.organizations, ["dev"]);
        let names = AlternativeNames { dns: 1, addresses: 1, ..AlternativeNames::default() };
        assert_eq!(request.alternative_names, names);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let not_one = Err("PEM block type must be CERTIFICATE REQUEST".to_owned());
        assert_eq!(CertificateRequest::parse(b"nonsense"), not_one);
        let key = KeyPair::generate().unwrap();
        assert_eq!(CertificateRequest::parse(key.serialize_pem().as_bytes()), not_one);
        let other =
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        assert!(CertificateRequest::parse(other.as_bytes()).is_err());
    }

    #[test]
    fn a_request_that_was_changed_does_not_fit_its_signature() {
        use base64::Engine as _;
        let mut der = request("ann", "dev", &[]).der;
        let at = der.windows(3).position(|part| part == b"ann").unwrap();
        der[at] = b'b';
        let body = base64::prelude::BASE64_STANDARD.encode(der);
        let pem = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
        );
        let fault = CertificateRequest::parse(pem.as_bytes()).unwrap_err();
        assert_eq!(fault, "the request's signature does not fit its key");
    }

    #[test]
    fn each_signer_signs_what_is_its_own() {
        let ann = request("ann", "dev", &[]);
        check(CLIENT_SIGNER, &ann, &["client auth"], None);
        check(
            CLIENT_SIGNER,
            &ann,
            &["client auth", "server auth"],
            Some("invalid usage for client certificate: server auth"),
        );
        check(
            CLIENT_SIGNER,
            &ann,
            &["digital signature"],
            Some("missing required usage for client certificate: client auth"),
        );
        let usages = ["digital signature", "client auth"];
        let fault = Some("subject organization is not system:nodes");
        check(KUBELET_CLIENT_SIGNER, &ann, &usages, fault);
        let node = request("system:node:n", "system:nodes", &[]);
        check(KUBELET_CLIENT_SIGNER, &node, &usages, None);
        check(
            KUBELET_CLIENT_SIGNER,
            &node,
            &["client auth"],
            Some("usages did not match [client auth digital signature key encipherment]"),
        );
        let serving = ["digital signature", "key encipherment", "server auth"];
        let fault = Some("DNS or IP subjectAltName is required");
        check(KUBELET_SERVING_SIGNER, &node, &serving, fault);
        let named = request("system:node:n", "system:nodes", &["n.example"]);
        check(KUBELET_SERVING_SIGNER, &named, &serving, None);
        let fault = Some("DNS subjectAltNames are not allowed");
        check(KUBELET_CLIENT_SIGNER, &named, &usages, fault);
    }
}

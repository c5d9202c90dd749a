//! The kinds of `certificates.k8s.io`: certificates that somebody asks for.

mod certificate_signing_request;
mod validation;

pub(super) use certificate_signing_request::CertificateSigningRequests;

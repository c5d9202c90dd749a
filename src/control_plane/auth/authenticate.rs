//! Who sent a request, told from the connection's certificate and the `Authorization` header.

use sha2::{Digest as _, Sha256};

use super::Identity;
use super::identity::AUTHENTICATED;
use super::tokens::{self, Tokens};

/// Upstream: `user.CredentialIDKey`; which certificate or token was shown.
pub(super) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// Who it is, provided that what the token is bound to is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub identity: Identity,
    /// The caller looks each of these up; one that is gone, or is another with the same name,
    /// makes the credential worthless. Empty for everything but tokens.
    pub bound_to: Vec<BoundTo>,
}

/// An object of the core group that a token lives and dies with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundTo {
    /// `serviceaccounts`, `pods`, `secrets` or `nodes`.
    pub resource: &'static str,
    /// Empty for nodes.
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// A credential was shown and is no good: answer 401. The reason is for the log, not for the client.
#[derive(Debug, thiserror::Error)]
pub enum Unauthorized {
    #[error("the client certificate cannot be read")]
    Certificate,
    #[error("the client certificate names nobody")]
    CertificateWithoutName,
    #[error("the token is no good")]
    Token(#[source] tokens::Invalid),
}

/// Reads the credentials of one request. `certificate` is the peer's leaf certificate in DER, which
/// the TLS layer has checked against our CA; `authorization` is the header's value.
///
/// # Errors
/// [`Unauthorized`] if a credential was shown that does not hold. Showing none makes one
/// `system:anonymous`.
///
/// Upstream: `k8s.io/apiserver/pkg/authentication/request/{x509,bearertoken,anonymous}`.
pub fn authenticate(
    certificate: Option<&[u8]>,
    authorization: Option<&str>,
    tokens: &Tokens,
    now: jiff::Timestamp,
) -> Result<Credential, Unauthorized> {
    if let Some(certificate) = certificate {
        let identity = from_certificate(certificate)?;
        return Ok(Credential { identity, bound_to: Vec::new() });
    }
    match authorization.and_then(bearer) {
        Some(token) => tokens.verify(token, now).map_err(Unauthorized::Token),
        // Other schemes (Basic …) are not ours to judge; without a bearer token one is nobody.
        None => Ok(Credential { identity: Identity::anonymous(), bound_to: Vec::new() }),
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The subject's common name is the user, its organizations are the groups.
fn from_certificate(der: &[u8]) -> Result<Identity, Unauthorized> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|_| Unauthorized::Certificate)?;
    let subject = certificate.subject();
    let user = subject.iter_common_name().find_map(|name| name.as_str().ok());
    let user = user.filter(|user| !user.is_empty()).ok_or(Unauthorized::CertificateWithoutName)?;
    let mut identity = Identity { user: user.to_owned(), ..Identity::default() };
    let organizations = subject.iter_organization().filter_map(|name| name.as_str().ok());
    identity.groups = organizations.chain([AUTHENTICATED]).map(str::to_owned).collect();
    let fingerprint: String =
        Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
    let id = vec![format!("X509SHA256={fingerprint}")];
    identity.extra.insert(CREDENTIAL_ID.to_owned(), id);
    Ok(identity.outsider())
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;
    use crate::client::clock::Clock;
    use crate::control_plane::auth::identity::CONTROLLERS;
    use crate::control_plane::auth::pki::Pki;

    struct Server {
        pki: Pki,
        tokens: Tokens,
        clock: Clock,
    }

    fn server() -> Server {
        let clock = Clock::manual("2026-11-22T17:00:00Z".parse().unwrap());
        let pki = Pki::ephemeral(&[], &clock).unwrap();
        let tokens = Tokens::new(&pki.token_key).unwrap();
        Server { pki, tokens, clock }
    }

    #[track_caller]
    fn check(authorization: Option<&str>, expect: Option<&str>) {
        let Server { tokens, clock, .. } = server();
        let user = authenticate(None, authorization, &tokens, clock.now())
            .ok()
            .map(|credential| credential.identity.user);
        assert_eq!(user.as_deref(), expect);
    }

    #[test]
    fn the_admin_certificate_makes_one_a_master() {
        let Server { pki, tokens, clock } = server();
        let der = CertificateDer::from_pem_slice(pki.admin.cert_pem.as_bytes()).unwrap();
        let credential = authenticate(Some(&der), None, &tokens, clock.now()).unwrap();
        let mut expect = Identity::admin();
        expect.extra.clone_from(&credential.identity.extra);
        assert_eq!(credential, Credential { identity: expect, bound_to: Vec::new() });
        assert!(credential.identity.extra[CREDENTIAL_ID][0].starts_with("X509SHA256="));
    }

    #[test]
    fn no_certificate_makes_one_a_component() {
        let Server { pki, tokens, clock } = server();
        let mut params = rcgen::CertificateParams::default();
        let own = Identity::controller("namespace-controller");
        for (kind, text) in [
            (rcgen::DnType::OrganizationName, CONTROLLERS),
            (rcgen::DnType::CommonName, own.user.as_str()),
        ] {
            params.distinguished_name.push(kind, text);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let request = params.serialize_request(&key).unwrap();
        let usages = ["client auth".to_owned()];
        let pem = pki.signer.sign(request.der(), &usages, None, clock.now()).unwrap();
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let credential = authenticate(Some(&der), None, &tokens, clock.now()).unwrap();
        assert_eq!(credential.identity.user, own.user);
        assert_eq!(credential.identity.groups, [AUTHENTICATED]);
    }

    #[test]
    fn without_credentials_one_is_anonymous() {
        check(None, Some("system:anonymous"));
        check(Some("Basic YTpi"), Some("system:anonymous"));
        check(Some("Bearer "), Some("system:anonymous"));
    }

    #[test]
    fn bad_tokens_are_refused() {
        check(Some("Bearer nonsense"), None);
        check(Some("bearer a.b.c"), None);
    }
}

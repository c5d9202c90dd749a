//! Who may be at the other end: somebody whom the host trusts, or one of the guest's own choice.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::certificate;
use super::failure::problem;
use super::wit::tls::{Certificate, CertificateProblem as Problem};

/// Bound: a bundle of authorities; Linux distributions' have 0.2 MiB.
pub(super) const BUNDLE_BYTES_MAX: usize = 1 << 20;

/// Whom to trust.
#[derive(Debug)]
pub(super) enum Trust {
    Host(Arc<Verifier>),
    Bundle(Bundle),
    /// The host's trust cannot be had, and the guest does not mind.
    Nobody,
}

/// Certificates of a guest's choice: of authorities, or of servers themselves.
pub(super) struct Bundle {
    roots: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("certificates", &self.certificates.len()).finish()
    }
}

impl Trust {
    /// The host's, looked up when it is first needed. This reads files.
    ///
    /// # Errors
    /// The host trusts nobody, or does not say whom.
    pub(super) fn host(provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        static HOST: Mutex<Option<Arc<Verifier>>> = Mutex::new(None);
        let mut host = HOST.lock();
        let verifier = match &*host {
            Some(verifier) => verifier.clone(),
            None => host.insert(Arc::new(Verifier::new(provider.clone())?)).clone(),
        };
        Ok(Self::Host(verifier))
    }
}

impl Bundle {
    /// Those of a PEM file that can be read; `None` if there are none.
    pub(super) fn read(pem: &[u8]) -> Option<Self> {
        if pem.len() > BUNDLE_BYTES_MAX {
            return None;
        }
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).flatten().collect();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        (added > 0).then_some(Self { roots, certificates })
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
        provider: &CryptoProvider,
    ) -> Result<(), Error> {
        // A server's own certificate in the bundle needs no authority, and may be one itself: so are
        // those that `openssl req -x509` makes.
        if self.certificates.contains(end_entity) {
            return match certificate::validity(end_entity, now) {
                Some(Ordering::Equal) => Ok(()),
                Some(Ordering::Less) => Err(CertificateError::NotValidYet.into()),
                Some(Ordering::Greater) => Err(CertificateError::Expired.into()),
                None => Err(CertificateError::BadEncoding.into()),
            };
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, above, now, algorithms)
    }
}

/// What was found out about a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict {
    pub(super) certificate: Option<Certificate>,
    pub(super) problem: Option<Problem>,
}

/// Judges servers, for one connection.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) trust: Trust,
    pub(super) insecure: bool,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) verdict: Mutex<Verdict>,
}

impl Judge {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        match &self.trust {
            Trust::Host(host) => {
                host.verify_server_cert(end_entity, above, name, ocsp, now).map(drop)
            }
            Trust::Bundle(bundle) => {
                bundle.check(end_entity, above, now, &self.provider)?;
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)
            }
            Trust::Nobody => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self.check(end_entity, above, name, ocsp, now);
        *self.verdict.lock() = Verdict {
            certificate: certificate::describe(end_entity),
            problem: checked.as_ref().err().map(|error| problem(error, end_entity, above)),
        };
        match checked {
            Err(error) if !self.insecure => Err(error),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

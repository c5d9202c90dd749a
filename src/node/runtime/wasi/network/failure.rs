//! What rustls finds wrong, in the interface's terms.

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error, InvalidMessage};

use super::certificate;
use super::wit::tls::{CertificateProblem as Problem, Error as Failure};

/// Of everything but the server's certificate, which [`problem`] is for.
pub(super) fn failure(error: &Error) -> Failure {
    match error {
        Error::AlertReceived(alert) => Failure::Alert(u8::from(*alert)),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::InvalidEmptyPayload
            | InvalidMessage::MessageTooLarge,
        ) => Failure::NotTls,
        Error::InvalidCertificate(_) => Failure::Certificate(Problem::Unreadable),
        error => Failure::Protocol(error.to_string()),
    }
}

/// What is wrong with a server's certificates, the first of which is its own. As OpenSSL tells, who
/// is not trusted comes before all else.
pub(super) fn problem(
    error: &Error,
    end_entity: &CertificateDer<'_>,
    above: &[CertificateDer<'_>],
) -> Problem {
    use CertificateError as E;
    let Error::InvalidCertificate(error) = error else { return Problem::Unreadable };
    match error {
        E::NotValidForName | E::NotValidForNameContext { .. } => Problem::WrongName,
        E::Expired | E::ExpiredContext { .. } => Problem::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => Problem::NotYetValid,
        E::Revoked => Problem::Revoked,
        // An authority's own certificate as a server's is what people make by hand, and sign by itself.
        _ if certificate::is_self_issued(end_entity) => Problem::SelfSigned,
        E::UnknownIssuer if above.iter().any(certificate::is_self_issued) => {
            Problem::SelfSignedInChain
        }
        E::UnknownIssuer => Problem::UnknownIssuer,
        E::BadSignature => Problem::BadSignature,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => Problem::WrongPurpose,
        E::Other(_) if error.to_string().contains("CaUsedAsEndEntity") => Problem::WrongPurpose,
        _ => Problem::Unreadable,
    }
}

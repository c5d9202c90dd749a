//! What a certificate says of itself. It comes from a stranger: everything is bounded by the
//! handshake's own bounds, and text is made harmless for terminals.

use std::cmp::Ordering;
use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::X509Name;

use super::wit::tls::Certificate;

/// `None` if it cannot be read.
pub(super) fn describe(der: &CertificateDer<'_>) -> Option<Certificate> {
    let certificate = parse(der)?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(name);
    Some(Certificate {
        subject: distinguished(certificate.subject()),
        issuer: distinguished(certificate.issuer()),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        names: names.collect(),
    })
}

/// Whether it names itself as its issuer.
pub(super) fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    parse(der)
        .is_some_and(|certificate| certificate.subject().as_raw() == certificate.issuer().as_raw())
}

/// Whether it is too early, the right time or too late for it; `None` if it cannot be read.
pub(super) fn validity(der: &CertificateDer<'_>, now: UnixTime) -> Option<Ordering> {
    let certificate = parse(der)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    Some(match now {
        _ if now < validity.not_before.timestamp() => Ordering::Less,
        _ if now > validity.not_after.timestamp() => Ordering::Greater,
        _ => Ordering::Equal,
    })
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    x509_parser::parse_x509_certificate(der).ok().map(|(_, certificate)| certificate)
}

/// `C=DE; O=Example; CN=example.org`, in the certificate's order.
fn distinguished(name: &X509Name<'_>) -> String {
    let parts = name.iter_attributes().map(|part| {
        let kind = oid2abbrev(part.attr_type(), oid_registry())
            .map_or_else(|_| part.attr_type().to_id_string(), str::to_owned);
        format!("{kind}={}", harmless(part.as_str().unwrap_or("?")))
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(harmless(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn certificates_are_described() {
        let names = ["web.example.org".to_owned(), "10.43.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Us\x1b[31m");
        params.distinguished_name.push(DnType::CommonName, "web");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let told = describe(certificate.der()).unwrap();
        assert_eq!(told.subject, told.issuer);
        assert!(told.subject.contains("O=Us?[31m"), "{}", told.subject);
        assert!(told.subject.contains("CN=web"), "{}", told.subject);
        assert_eq!(told.names, ["web.example.org", "10.43.0.1"]);
        assert!(is_self_issued(certificate.der()));
        assert!(describe(&CertificateDer::from(vec![1, 2, 3])).is_none());
    }
}

//! Signs what CertificateSigningRequests ask for with the cluster's own authority.
//!
//! The certificate is written here, not by `rcgen`: a subject may have several organizations (each is a
//! group), which `rcgen` cannot hold, and the subject, the key and the alternative names of a request go
//! into its certificate byte by byte.
//!
//! Upstream: `pkg/controller/certificates/authority/{authority,policies}.go`; RFC 5280.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{Issuer, KeyPair, SigningKey as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, DERWriterSeq, Tag};

use crate::api::certificate_request::extensions;

/// What is issued lives no longer; kube-controller-manager's `--cluster-signing-duration`.
const LIFETIME_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Nor shorter, whatever is asked for.
const LIFETIME_MIN: Duration = Duration::from_secs(10 * 60);
/// Certificates begin this long ago, for clients whose clock is behind.
const BACKDATE: Duration = Duration::from_secs(5 * 60);
/// Those that live shorter have all the time they were asked for from now on.
const SHORT: Duration = Duration::from_secs(8 * 60 * 60);

const SUBJECT_ALTERNATIVE_NAME: &[u64] = &[2, 5, 29, 17];
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const AUTHORITY_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 35];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];

/// What keys may be used for, by the API's names and by the bits of RFC 5280.
const KEY_USAGES: [(&str, usize); 10] = [
    ("signing", 0),
    ("digital signature", 0),
    ("content commitment", 1),
    ("key encipherment", 2),
    ("data encipherment", 3),
    ("key agreement", 4),
    ("cert sign", 5),
    ("crl sign", 6),
    ("encipher only", 7),
    ("decipher only", 8),
];

/// What certificates may be used for.
const EXTENDED_KEY_USAGES: [(&str, &[u64]); 13] = [
    ("any", &[2, 5, 29, 37, 0]),
    ("server auth", &[1, 3, 6, 1, 5, 5, 7, 3, 1]),
    ("client auth", &[1, 3, 6, 1, 5, 5, 7, 3, 2]),
    ("code signing", &[1, 3, 6, 1, 5, 5, 7, 3, 3]),
    ("email protection", &[1, 3, 6, 1, 5, 5, 7, 3, 4]),
    ("s/mime", &[1, 3, 6, 1, 5, 5, 7, 3, 4]),
    ("ipsec end system", &[1, 3, 6, 1, 5, 5, 7, 3, 5]),
    ("ipsec tunnel", &[1, 3, 6, 1, 5, 5, 7, 3, 6]),
    ("ipsec user", &[1, 3, 6, 1, 5, 5, 7, 3, 7]),
    ("timestamping", &[1, 3, 6, 1, 5, 5, 7, 3, 8]),
    ("ocsp signing", &[1, 3, 6, 1, 5, 5, 7, 3, 9]),
    ("microsoft sgc", &[1, 3, 6, 1, 4, 1, 311, 10, 3, 3]),
    ("netscape sgc", &[2, 16, 840, 1, 113_730, 4, 1]),
];

/// The authority's key and what certificates say of it.
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, DER.
    certificate: Vec<u8>,
    random: SystemRandom,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the request is no certificate request")]
    Request,
    #[error("the authority's certificate cannot be read")]
    Authority,
    #[error("the authority's key is of a sort that cannot sign here")]
    Algorithm,
    #[error("usage {0:?} is not known")]
    Usage(String),
    #[error("there is no randomness")]
    Random,
    #[error("sign")]
    Sign(#[source] rcgen::Error),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    pub(super) fn new(issuer: Issuer<'static, KeyPair>, certificate: Vec<u8>) -> Self {
        Self { issuer, certificate, random: SystemRandom::new() }
    }

    /// A certificate for the request (DER; its signature has been checked) that begins about `now`, in PEM.
    /// It never outlives the authority.
    ///
    /// # Errors
    /// [`Error`] if the request or a usage makes no sense.
    pub fn sign(
        &self,
        request: &[u8],
        usages: &[String],
        lifetime: Option<Duration>,
        now: Timestamp,
    ) -> Result<String, Error> {
        let (_, request) =
            X509CertificationRequest::from_der(request).map_err(|_| Error::Request)?;
        let (_, authority) =
            X509Certificate::from_der(&self.certificate).map_err(|_| Error::Authority)?;
        let algorithm = algorithm(self.issuer.key()).ok_or(Error::Algorithm)?;
        let usages = Usages::read(usages)?;
        let (begins, ends) = validity(lifetime, now, authority.validity().not_after.timestamp());
        let mut serial = [0; 16];
        self.random.fill(&mut serial).map_err(|_| Error::Random)?;
        // Positive, and of full length.
        serial[0] = serial[0] & 0x7f | 0x40;
        let info = &request.certification_request_info;
        let body = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_tagged(Tag::context(0), |writer| writer.write_u8(2));
                writer.next().write_bigint_bytes(&serial, true);
                write_algorithm(writer.next(), algorithm);
                writer.next().write_der(authority.subject().as_raw());
                writer.next().write_sequence(|writer| {
                    write_time(writer.next(), begins);
                    write_time(writer.next(), ends);
                });
                writer.next().write_der(info.subject.as_raw());
                writer.next().write_der(info.subject_pki.raw);
                writer.next().write_tagged(Tag::context(3), |writer| {
                    writer.write_sequence(|writer| {
                        write_extensions(writer, &usages, &request, &authority);
                    });
                });
            });
        });
        let signature = self.issuer.key().sign(&body).map_err(Error::Sign)?;
        let der = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(&body);
                write_algorithm(writer.next(), algorithm);
                writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
            });
        });
        Ok(pem(&der))
    }
}

/// From when to when, in seconds since 1970.
fn validity(lifetime: Option<Duration>, now: Timestamp, authority_ends: i64) -> (i64, i64) {
    let lifetime = lifetime.map_or(LIFETIME_MAX, |asked| asked.clamp(LIFETIME_MIN, LIFETIME_MAX));
    let seconds = |time: Duration| SignedDuration::try_from(time).unwrap_or_default().as_secs();
    let now = now.as_second();
    let begins = now - seconds(BACKDATE);
    let ends = if lifetime < SHORT { now + seconds(lifetime) } else { begins + seconds(lifetime) };
    (begins, ends.min(authority_ends))
}

/// The signature's algorithm, and whether its parameters are written as NULL (those of RSA are).
fn algorithm(key: &KeyPair) -> Option<(&'static [u64], bool)> {
    let known: [(&rcgen::SignatureAlgorithm, &[u64], bool); 4] = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, &[1, 2, 840, 10_045, 4, 3, 2], false),
        (&rcgen::PKCS_ECDSA_P384_SHA384, &[1, 2, 840, 10_045, 4, 3, 3], false),
        (&rcgen::PKCS_ED25519, &[1, 3, 101, 112], false),
        (&rcgen::PKCS_RSA_SHA256, &[1, 2, 840, 113_549, 1, 1, 11], true),
    ];
    let found = known.into_iter().find(|(algorithm, ..)| key.algorithm() == *algorithm);
    found.map(|(_, oid, has_null)| (oid, has_null))
}

fn write_algorithm(writer: DERWriter<'_>, (oid, has_null): (&[u64], bool)) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if has_null {
            writer.next().write_null();
        }
    });
}

/// Until 2049 with two digits of the year, as RFC 5280 has it.
fn write_time(writer: DERWriter<'_>, seconds: i64) {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let short = time.to_zoned(jiff::tz::TimeZone::UTC).year() < 2050;
    let (tag, format) = if short {
        (yasna::tags::TAG_UTCTIME, "%y%m%d%H%M%SZ")
    } else {
        (yasna::tags::TAG_GENERALIZEDTIME, "%Y%m%d%H%M%SZ")
    };
    let text = time.strftime(format).to_string();
    writer.write_tagged_implicit(tag, |writer| writer.write_bytes(text.as_bytes()));
}

/// What [`KEY_USAGES`] and [`EXTENDED_KEY_USAGES`] make of the API's words.
struct Usages {
    bits: Vec<usize>,
    purposes: Vec<&'static [u64]>,
}

impl Usages {
    fn read(words: &[String]) -> Result<Self, Error> {
        let mut usages = Self { bits: Vec::new(), purposes: Vec::new() };
        for word in words {
            if let Some((_, bit)) = KEY_USAGES.iter().find(|(known, _)| known == word) {
                usages.bits.push(*bit);
            } else if let Some((_, oid)) =
                EXTENDED_KEY_USAGES.iter().find(|(known, _)| known == word)
            {
                if !usages.purposes.contains(oid) {
                    usages.purposes.push(oid);
                }
            } else {
                return Err(Error::Usage(word.clone()));
            }
        }
        Ok(usages)
    }
}

fn write_extensions(
    writer: &mut DERWriterSeq<'_>,
    usages: &Usages,
    request: &X509CertificationRequest<'_>,
    authority: &X509Certificate<'_>,
) {
    if let Some(last) = usages.bits.iter().max() {
        let mut bytes = [0_u8; 2];
        for bit in &usages.bits {
            bytes[bit / 8] |= 0x80 >> (bit % 8);
        }
        let bits = last + 1;
        let value = yasna::construct_der(|writer| {
            writer.write_bitvec_bytes(&bytes[..bits.div_ceil(8)], bits);
        });
        write_extension(writer, KEY_USAGE, true, &value);
    }
    if !usages.purposes.is_empty() {
        let value = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for oid in &usages.purposes {
                    writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
                }
            });
        });
        write_extension(writer, EXTENDED_KEY_USAGE, false, &value);
    }
    // It is no authority.
    let value = yasna::construct_der(|writer| writer.write_sequence(|_| ()));
    write_extension(writer, BASIC_CONSTRAINTS, true, &value);
    let identifier = authority.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
        _ => None,
    });
    if let Some(identifier) = identifier {
        let value = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_tagged_implicit(Tag::context(0), |writer| {
                    writer.write_bytes(identifier)
                });
            });
        });
        write_extension(writer, AUTHORITY_KEY_IDENTIFIER, false, &value);
    }
    let names = extensions(request)
        .find(|one| matches!(one.parsed_extension(), ParsedExtension::SubjectAlternativeName(_)));
    if let Some(names) = names {
        write_extension(writer, SUBJECT_ALTERNATIVE_NAME, names.critical, names.value);
    }
}

fn write_extension(writer: &mut DERWriterSeq<'_>, oid: &[u64], critical: bool, value: &[u8]) {
    writer.next().write_sequence(|writer| {
        writer.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if critical {
            writer.next().write_bool(true);
        }
        writer.next().write_bytes(value);
    });
}

/// RFC 7468.
fn pem(der: &[u8]) -> String {
    const LINE: usize = 64;
    let text = BASE64_STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(LINE) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, DnType};
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, UnixTime};

    use super::*;
    use crate::client::clock::Clock;
    use crate::control_plane::auth::pki::Pki;

    const NOW: &str = "2026-11-22T17:00:00Z";

    fn pki() -> Pki {
        Pki::ephemeral(&[], &Clock::manual(NOW.parse().unwrap())).unwrap()
    }

    fn signed(pki: &Pki, usages: &[&str], lifetime: Option<u64>) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "dev");
        params.distinguished_name.push(DnType::CommonName, "ann");
        let key = KeyPair::generate().unwrap();
        let request = params.serialize_request(&key).unwrap();
        let usages: Vec<String> = usages.iter().map(|usage| (*usage).to_owned()).collect();
        let lifetime = lifetime.map(Duration::from_secs);
        let now = NOW.parse().unwrap();
        let pem = pki.signer.sign(request.der(), &usages, lifetime, now).unwrap();
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    #[test]
    fn the_server_believes_what_was_signed() {
        let pki = pki();
        let der = CertificateDer::from(signed(&pki, &["digital signature", "client auth"], None));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pki.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
        let now: Timestamp = NOW.parse().unwrap();
        let at = |seconds: i64| {
            let since = u64::try_from(now.as_second() + seconds).unwrap();
            UnixTime::since_unix_epoch(Duration::from_secs(since))
        };
        verifier.verify_client_cert(&der, &[], at(0)).unwrap();
        verifier.verify_client_cert(&der, &[], at(-299)).unwrap();
        verifier.verify_client_cert(&der, &[], at(-301)).unwrap_err();
        verifier.verify_client_cert(&der, &[], at(366 * 24 * 60 * 60)).unwrap_err();
    }

    #[test]
    fn a_certificate_says_what_was_asked_for() {
        let der = signed(&pki(), &["key encipherment", "digital signature", "client auth"], None);
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), "O=dev, CN=ann");
        let usage = certificate.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && usage.key_encipherment() && !usage.key_cert_sign());
        let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(purposes.client_auth && !purposes.server_auth);
        assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
        let names = certificate.subject_alternative_name().unwrap().unwrap().value;
        assert_eq!(names.general_names.len(), 1);
    }

    #[test]
    fn lifetimes_have_bounds() {
        let lives = |lifetime| {
            let der = signed(&pki(), &["client auth"], lifetime);
            let (_, certificate) = X509Certificate::from_der(&der).unwrap();
            let now: Timestamp = NOW.parse().unwrap();
            certificate.validity().not_after.timestamp() - now.as_second()
        };
        assert_eq!(lives(Some(600)), 600);
        assert_eq!(lives(Some(1)), 600);
        assert_eq!(lives(Some(24 * 60 * 60)), 24 * 60 * 60 - 300);
        assert_eq!(lives(None), 365 * 24 * 60 * 60 - 300);
        assert_eq!(validity(None, NOW.parse().unwrap(), 7).1, 7, "no longer than the authority");
    }
}

//! The cluster's own certificate authority and the keys under `DIR/pki`.
//!
//! The CA and the token key are made once and kept: kubeconfigs and tokens given out earlier go on
//! working. The serving and the administrator's certificates are made anew at each start, so
//! neither needs renewal and the serving key never touches the disk.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};

use super::signer::Signer;
use crate::client::clock::Clock;

/// What the API server is called by everybody on this machine and in the cluster. The address it
/// listens on and the first Service address are added by the caller.
pub const SERVING_NAMES: &[&str] = &[
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
    "::1",
];

/// kubeadm's choice.
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Leaf certificates; a start makes new ones.
const LEAF_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Certificates begin this long ago, for clients whose clock is behind.
const SKEW: Duration = Duration::from_secs(60 * 60);

/// Everything the control plane and the kubeconfig need.
pub struct Pki {
    /// The CA's certificate: who to trust, for clients of the server and for the server of clients.
    pub ca_pem: String,
    pub serving: Serving,
    pub admin: Admin,
    /// Signs what users and kubelets ask for.
    pub signer: Arc<Signer>,
    /// Signs ServiceAccount tokens: ECDSA P-256, PKCS #8, DER.
    pub token_key: PrivatePkcs8KeyDer<'static>,
}

/// What the listener shows.
pub struct Serving {
    /// The leaf alone: the CA signs it directly.
    pub chain_pem: String,
    pub key_pem: String,
}

/// The client certificate of `kubernetes-admin` in `system:masters`.
pub struct Admin {
    pub cert_pem: String,
    pub key_pem: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Making a new CA would lock out every kubeconfig in use, so nobody does it unasked.
    #[error("{} is missing although its certificate is there", path.display())]
    KeyMissing { path: PathBuf },
    #[error("{} is damaged", path.display())]
    Damaged { path: PathBuf, source: rcgen::Error },
    #[error("{} does not belong to its certificate", path.display())]
    KeyOfAnother { path: PathBuf },
    #[error("{} has expired", path.display())]
    Expired { path: PathBuf },
    #[error("make a certificate")]
    Make(#[source] rcgen::Error),
}

impl Pki {
    /// Reads the CA and the token key under `dir`, making what is not there yet, and issues the
    /// certificates of this start. `sans` (DNS names or addresses) are added to
    /// [`SERVING_NAMES`]. Private keys are readable by the owner only.
    ///
    /// # Errors
    /// If a file cannot be read or written, or the CA there is of no use.
    pub fn load_or_create(dir: &Path, sans: &[String], clock: &Clock) -> Result<Self, Error> {
        private::create_dir(dir).map_err(|source| Error::Write { path: dir.to_owned(), source })?;
        let now = clock.now();
        let authority = Authority::load_or_create(dir, now)?;
        let token_key = load_or_create_key(&dir.join("sa.key"))?;
        let pki = authority.issue(&token_key, sans, now)?;
        write(&dir.join("admin.crt"), &pki.admin.cert_pem, Access::Public)?;
        write(&dir.join("admin.key"), &pki.admin.key_pem, Access::Private)?;
        Ok(pki)
    }

    /// The same without a disk, for a cluster that is gone when it stops.
    ///
    /// # Errors
    /// Only if `sans` holds something that is neither a DNS name nor an address.
    pub fn ephemeral(sans: &[String], clock: &Clock) -> Result<Self, Error> {
        let now = clock.now();
        Authority::create(now)?.issue(&new_key()?, sans, now)
    }
}

impl fmt::Debug for Pki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pki").field("ca_pem", &self.ca_pem).finish_non_exhaustive()
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// Who signs.
struct Authority {
    cert_pem: String,
    cert: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn load_or_create(dir: &Path, now: Timestamp) -> Result<Self, Error> {
        let (cert_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        match (read(&cert_path)?, read(&key_path)?) {
            (Some(cert_pem), Some(key_pem)) => {
                let authority = Self::from_pem(cert_pem, &cert_path, &key_pem, &key_path)?;
                authority.check(now, &cert_path, &key_path)?;
                Ok(authority)
            }
            (Some(_), None) => Err(Error::KeyMissing { path: key_path }),
            // The key is written first: one without a certificate was never used.
            (None, _) => {
                let authority = Self::create(now)?;
                write(&key_path, &authority.issuer.key().serialize_pem(), Access::Private)?;
                write(&cert_path, &authority.cert_pem, Access::Public)?;
                Ok(authority)
            }
        }
    }

    fn create(now: Timestamp) -> Result<Self, Error> {
        let key = new_key()?;
        let mut params = params("kubernetes", None, now, CA_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let cert = params.self_signed(&key).map_err(Error::Make)?;
        Ok(Self {
            cert_pem: cert.pem(),
            cert: cert.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    fn from_pem(
        cert_pem: String,
        cert_path: &Path,
        key_pem: &str,
        key_path: &Path,
    ) -> Result<Self, Error> {
        let damaged = |path: &Path, source| Error::Damaged { path: path.to_owned(), source };
        let key = KeyPair::from_pem(key_pem).map_err(|source| damaged(key_path, source))?;
        let cert = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|_| damaged(cert_path, rcgen::Error::CouldNotParseCertificate))?;
        let issuer =
            Issuer::from_ca_cert_der(&cert, key).map_err(|source| damaged(cert_path, source))?;
        Ok(Self { cert_pem, cert, issuer })
    }

    /// A CA that nobody would believe is refused at the start rather than by every client.
    fn check(&self, now: Timestamp, cert_path: &Path, key_path: &Path) -> Result<(), Error> {
        let (_, cert) = x509_parser::parse_x509_certificate(&self.cert).map_err(|_| {
            let source = rcgen::Error::CouldNotParseCertificate;
            Error::Damaged { path: cert_path.to_owned(), source }
        })?;
        if cert.validity().not_after.timestamp() <= now.as_second() {
            return Err(Error::Expired { path: cert_path.to_owned() });
        }
        let public_key = &cert.public_key().subject_public_key.data;
        if **public_key != *self.issuer.key().public_key_raw() {
            return Err(Error::KeyOfAnother { path: key_path.to_owned() });
        }
        Ok(())
    }

    fn issue(self, token_key: &KeyPair, sans: &[String], now: Timestamp) -> Result<Pki, Error> {
        let token_key = PrivatePkcs8KeyDer::from(token_key.serialize_der());
        Ok(Pki {
            serving: self.issue_serving(sans, now)?,
            admin: self.issue_admin(now)?,
            token_key,
            ca_pem: self.cert_pem,
            signer: Arc::new(Signer::new(self.issuer, self.cert.to_vec())),
        })
    }

    fn issue_serving(&self, sans: &[String], now: Timestamp) -> Result<Serving, Error> {
        let mut names: Vec<String> = SERVING_NAMES.iter().map(|name| (*name).to_owned()).collect();
        for san in sans {
            if !names.contains(san) {
                names.push(san.clone());
            }
        }
        let mut params = params("kube-apiserver", None, now, LEAF_LIFETIME);
        params.subject_alt_names =
            CertificateParams::new(names).map_err(Error::Make)?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = new_key()?;
        let cert = params.signed_by(&key, &self.issuer).map_err(Error::Make)?;
        Ok(Serving { chain_pem: cert.pem(), key_pem: key.serialize_pem() })
    }

    fn issue_admin(&self, now: Timestamp) -> Result<Admin, Error> {
        let mut params = params("kubernetes-admin", Some("system:masters"), now, LEAF_LIFETIME);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = new_key()?;
        let cert = params.signed_by(&key, &self.issuer).map_err(Error::Make)?;
        Ok(Admin { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
    }
}

fn params(
    common_name: &str,
    organization: Option<&str>,
    now: Timestamp,
    lifetime: Duration,
) -> CertificateParams {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    let since_1970 = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let now = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = now - SKEW;
    params.not_after = now + lifetime;
    params.use_authority_key_identifier_extension = true;
    params
}

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::Make)
}

fn load_or_create_key(path: &Path) -> Result<KeyPair, Error> {
    if let Some(pem) = read(path)? {
        return KeyPair::from_pem(&pem)
            .map_err(|source| Error::Damaged { path: path.to_owned(), source });
    }
    let key = new_key()?;
    write(path, &key.serialize_pem(), Access::Private)?;
    Ok(key)
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    /// Mode 0600.
    Private,
}

/// Writes the whole file or none of it.
fn write(path: &Path, text: &str, access: Access) -> Result<(), Error> {
    let written = || {
        let fresh = path.with_added_extension("new");
        // Left by a start that was killed; its mode may be another.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        if access == Access::Private {
            private::only_for_the_owner(&mut options);
        }
        let mut file = options.open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    written().map_err(|source| Error::Write { path: path.to_owned(), source })
}

#[cfg(unix)]
mod private {
    use std::fs::{DirBuilder, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    use std::path::Path;

    pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)
    }

    pub(super) fn only_for_the_owner(options: &mut OpenOptions) {
        options.mode(0o600);
    }
}

/// Elsewhere a file inherits the access list of the user's own data directory.
#[cfg(not(unix))]
mod private {
    use std::fs::OpenOptions;
    use std::io;
    use std::path::Path;

    pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    pub(super) fn only_for_the_owner(_options: &mut OpenOptions) {}
}

#[cfg(test)]
mod tests {
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn clock() -> Clock {
        Clock::manual("2026-11-22T17:00:00Z".parse().unwrap())
    }

    fn roots(pki: &Pki) -> Arc<rustls::RootCertStore> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pki.ca_pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }

    /// Whether a client that trusts the CA takes the server for `name` at the clock's time.
    fn serves(pki: &Pki, name: &str, clock: &Clock) -> bool {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots(pki), provider)
                .build()
                .unwrap();
        let seconds = clock.now().as_second().try_into().unwrap();
        verifier
            .verify_server_cert(
                &CertificateDer::from_pem_slice(pki.serving.chain_pem.as_bytes()).unwrap(),
                &[],
                &ServerName::try_from(name.to_owned()).unwrap(),
                &[],
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            )
            .is_ok()
    }

    #[test]
    fn the_server_is_trusted_under_its_names_only() {
        let clock = clock();
        let pki = Pki::ephemeral(&["192.0.2.7".to_owned()], &clock).unwrap();
        for name in SERVING_NAMES.iter().chain(&["192.0.2.7"]) {
            assert!(serves(&pki, name, &clock), "{name}");
        }
        assert!(!serves(&pki, "example.com", &clock));
        assert!(!serves(&pki, "192.0.2.8", &clock));
        clock.advance(LEAF_LIFETIME + Duration::from_secs(1));
        assert!(!serves(&pki, "localhost", &clock));
    }

    #[test]
    fn the_admin_certificate_names_user_and_group() {
        let clock = clock();
        let pki = Pki::ephemeral(&[], &clock).unwrap();
        let cert = CertificateDer::from_pem_slice(pki.admin.cert_pem.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(roots(&pki), provider)
                .build()
                .unwrap();
        let seconds = clock.now().as_second().try_into().unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier.verify_client_cert(&cert, &[], now).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&cert).unwrap();
        assert_eq!(parsed.subject().to_string(), "O=system:masters, CN=kubernetes-admin");
    }

    #[test]
    fn authority_and_token_key_outlive_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let pki_dir = dir.path().join("pki");
        let first = Pki::load_or_create(&pki_dir, &[], &clock()).unwrap();
        let second = Pki::load_or_create(&pki_dir, &[], &clock()).unwrap();
        assert_eq!(first.ca_pem, second.ca_pem);
        assert_eq!(first.token_key, second.token_key);
        assert_ne!(first.serving.chain_pem, second.serving.chain_pem);
        assert!(serves(&Pki { serving: second.serving, ..first }, "localhost", &clock()));
    }

    #[test]
    fn a_ca_without_its_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        Pki::load_or_create(dir.path(), &[], &clock()).unwrap();
        fs::remove_file(dir.path().join("ca.key")).unwrap();
        let error = Pki::load_or_create(dir.path(), &[], &clock()).unwrap_err();
        assert!(matches!(error, Error::KeyMissing { .. }), "{error}");
        fs::write(dir.path().join("ca.key"), new_key().unwrap().serialize_pem()).unwrap();
        let error = Pki::load_or_create(dir.path(), &[], &clock()).unwrap_err();
        assert!(matches!(error, Error::KeyOfAnother { .. }), "{error}");
        fs::write(dir.path().join("ca.key"), "nonsense").unwrap();
        let error = Pki::load_or_create(dir.path(), &[], &clock()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }

    #[test]
    fn an_expired_ca_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let clock = clock();
        Pki::load_or_create(dir.path(), &[], &clock).unwrap();
        clock.advance(CA_LIFETIME);
        let error = Pki::load_or_create(dir.path(), &[], &clock).unwrap_err();
        assert!(matches!(error, Error::Expired { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn private_keys_are_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        Pki::load_or_create(dir.path(), &[], &clock()).unwrap();
        for name in ["ca.key", "sa.key", "admin.key"] {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}

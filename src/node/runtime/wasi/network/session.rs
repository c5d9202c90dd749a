//! A client's TLS over a connection that somebody else carries bytes to and from.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Error, ProtocolVersion};

use super::failure::failure;
use super::trust::{Bundle, Judge, Trust, Verdict};
use super::wit::tls::{Error as Failure, Identity, Options, Session as Facts};

/// Bound: data of one read; rustls holds about as much.
const READ_MAX: usize = 64 * 1024;
/// Bound: protocols that are offered.
const PROTOCOLS_MAX: usize = 8;

/// rustls bounds what waits in it: 64 KiB to be sent, 16 KiB and a record of what has come.
pub(super) struct Session {
    connection: ClientConnection,
    judge: Arc<Judge>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("judge", &self.judge).finish_non_exhaustive()
    }
}

impl Session {
    /// May read the host's certificates from disk.
    pub(super) fn open(server_name: String, options: Options) -> Result<Self, Failure> {
        let name = ServerName::try_from(server_name).map_err(|_| Failure::BadServerName)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = match options.ca_bundle {
            Some(pem) => Trust::Bundle(Bundle::read(&pem).ok_or(Failure::NoAuthorities)?),
            None => match Trust::host(&provider) {
                Ok(trust) => trust,
                Err(_) if options.insecure => Trust::Nobody,
                Err(error) => {
                    tracing::warn!(%error, "A guest's TLS fails: no trusted certificates");
                    return Err(Failure::NoAuthorities);
                }
            },
        };
        let judge = Arc::new(Judge {
            trust,
            insecure: options.insecure,
            provider: provider.clone(),
            verdict: Mutex::default(),
        });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failure(&error))?
            .dangerous()
            .with_custom_certificate_verifier(judge.clone());
        let mut config = match options.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let bad = |error: &dyn fmt::Display| Failure::BadIdentity(error.to_string());
                let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<_, _>>();
                let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| bad(&error))?;
                builder
                    .with_client_auth_cert(chain.map_err(|error| bad(&error))?, key)
                    .map_err(|error| bad(&error))?
            }
        };
        // There is nobody to keep a session for: a guest has one connection after the other.
        config.resumption = rustls::client::Resumption::disabled();
        // RFC 7301: a name has 1 to 255 bytes.
        let names = options.alpn.into_iter().map(String::into_bytes);
        let names = names.filter(|name| (1..=255).contains(&name.len()));
        config.alpn_protocols = names.take(PROTOCOLS_MAX).collect();
        let connection = ClientConnection::new(Arc::new(config), name);
        Ok(Self { connection: connection.map_err(|error| failure(&error))?, judge })
    }

    /// Whether the handshake, and with it the judgement of the server, lies ahead.
    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    pub(super) fn output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes).expect("a vector takes everything");
        }
        bytes
    }

    /// How much of it was taken.
    pub(super) fn input(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.connection.read_tls(&mut rest) {
                // Whatever follows the server's goodbye is nobody's.
                Ok(0) => return Ok(bytes.len()),
                Ok(_) => {}
                // There is no room before somebody reads.
                Err(_) => break,
            }
            let state =
                self.connection.process_new_packets().map_err(|error| self.failed(&error))?;
            if state.plaintext_bytes_to_read() > 0 {
                break;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn failed(&self, error: &Error) -> Failure {
        let problem = self.judge.verdict.lock().problem;
        match (error, problem) {
            (Error::InvalidCertificate(_), Some(problem)) => Failure::Certificate(problem),
            (error, _) => failure(error),
        }
    }

    /// `None` during the handshake.
    pub(super) fn facts(&self) -> Option<Facts> {
        if self.connection.is_handshaking() {
            return None;
        }
        let Verdict { certificate, problem } = self.judge.verdict.lock().clone();
        let alpn = self.connection.alpn_protocol();
        let suite = self.connection.negotiated_cipher_suite()?.suite();
        Some(Facts {
            version: match self.connection.protocol_version()? {
                ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
                ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
                other => format!("{other:?}"),
            },
            // rustls names those of TLS 1.3 with their version, IANA does not.
            cipher_suite: format!("{suite:?}").replacen("TLS13_", "TLS_", 1),
            alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
            certificate,
            problem,
        })
    }

    /// Nothing if there is nothing yet, an empty piece at the end.
    pub(super) fn read(&mut self, max: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; max.min(READ_MAX)];
        match self.connection.reader().read(&mut bytes) {
            Ok(count) => {
                bytes.truncate(count);
                Some(bytes)
            }
            Err(error) => {
                debug_assert_eq!(error.kind(), ErrorKind::WouldBlock, "no end was ever told");
                None
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        // It has nothing else to complain of: what does not fit is not taken.
        self.connection.writer().write(bytes).unwrap_or(0)
    }

    pub(super) fn close_output(&mut self) {
        self.connection.send_close_notify();
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{RootCertStore, ServerConfig, ServerConnection};

    use super::super::wit::tls::CertificateProblem as Problem;
    use super::*;

    /// A certificate chain in DER and PEM, and the key of its first.
    struct Own {
        chain: Vec<CertificateDer<'static>>,
        pem: Vec<u8>,
        key: KeyPair,
    }

    impl Own {
        fn key_der(&self) -> PrivateKeyDer<'static> {
            PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
        }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn signed(params: CertificateParams, by: &CertifiedIssuer<'static, KeyPair>) -> Own {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, by).unwrap();
        let pem = certificate.pem().into_bytes();
        Own { chain: vec![certificate.der().clone()], pem, key }
    }

    fn alone(mut params: CertificateParams, is_ca: bool) -> Own {
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pem = certificate.pem().into_bytes();
        Own { chain: vec![certificate.der().clone()], pem, key }
    }

    fn server(own: &Own, clients: Option<&[u8]>) -> ServerConnection {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    provider,
                );
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = builder.with_single_cert(own.chain.clone(), own.key_der()).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        ServerConnection::new(Arc::new(config)).unwrap()
    }

    fn options(bundle: &[u8]) -> Options {
        Options {
            ca_bundle: Some(bundle.to_vec()),
            insecure: false,
            identity: None,
            alpn: vec!["http/1.1".to_owned()],
        }
    }

    /// Carries bytes between both until they have no more to say.
    fn carry(client: &mut Session, server: &mut ServerConnection) -> Result<(), Failure> {
        loop {
            let output = client.output();
            let mut rest = output.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                // What the server finds wrong it tells the client by an alert.
                let _ = server.process_new_packets();
            }
            let mut answer = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answer).unwrap();
            }
            if output.is_empty() && answer.is_empty() {
                return Ok(());
            }
            let taken = client.input(&answer)?;
            assert_eq!(taken, answer.len(), "little is said before anybody reads");
        }
    }

    #[track_caller]
    fn check(own: &Own, bundle: &[u8], name: &str, expect: Result<(), Problem>) {
        let mut client = Session::open(name.to_owned(), options(bundle)).unwrap();
        let met = carry(&mut client, &mut server(own, None));
        match (met, expect) {
            (Ok(()), Ok(())) => assert!(client.facts().unwrap().problem.is_none()),
            (Err(Failure::Certificate(problem)), Err(expect)) => assert_eq!(problem, expect),
            (met, expect) => panic!("{met:?} is not {expect:?}"),
        }
        // Who does not mind goes on, and is told all the same.
        let options = Options { insecure: true, ..options(bundle) };
        let mut client = Session::open(name.to_owned(), options).unwrap();
        carry(&mut client, &mut server(own, None)).unwrap();
        assert_eq!(client.facts().unwrap().problem, expect.err());
    }

    #[test]
    fn servers_are_judged_as_openssl_judges_them() {
        let (ours, other) = (authority("ours"), authority("other"));
        let ours_pem = ours.pem().into_bytes();
        let good = signed(params("web.test"), &ours);
        check(&good, &ours_pem, "web.test", Ok(()));
        check(&good, &ours_pem, "other.test", Err(Problem::WrongName));
        check(&good, other.pem().as_bytes(), "web.test", Err(Problem::UnknownIssuer));
        let mut with_root = signed(params("web.test"), &ours);
        with_root.chain.push(ours.der().clone());
        check(&with_root, other.pem().as_bytes(), "web.test", Err(Problem::SelfSignedInChain));
        let mut old = params("web.test");
        (old.not_before, old.not_after) =
            (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2002, 1, 1));
        check(&signed(old, &ours), &ours_pem, "web.test", Err(Problem::Expired));
        let mut new = params("web.test");
        (new.not_before, new.not_after) =
            (rcgen::date_time_ymd(3001, 1, 1), rcgen::date_time_ymd(3002, 1, 1));
        check(&signed(new, &ours), &ours_pem, "web.test", Err(Problem::NotYetValid));
    }

    #[test]
    fn a_server_that_signs_for_itself_is_trusted_by_its_certificate() {
        // With `openssl req -x509` it is an authority too.
        for is_ca in [false, true] {
            let own = alone(params("web.test"), is_ca);
            check(&own, &own.pem, "web.test", Ok(()));
            check(&own, &own.pem, "other.test", Err(Problem::WrongName));
            let other = alone(params("web.test"), is_ca);
            check(&own, &other.pem, "web.test", Err(Problem::SelfSigned));
        }
    }

    #[test]
    fn data_goes_both_ways_in_bounds() {
        let ours = authority("ours");
        let own = signed(params("web.test"), &ours);
        let (mut client, mut server) = (
            Session::open("web.test".to_owned(), options(ours.pem().as_bytes())).unwrap(),
            server(&own, None),
        );
        assert!(client.facts().is_none());
        carry(&mut client, &mut server).unwrap();
        let facts = client.facts().unwrap();
        assert_eq!((facts.version.as_str(), facts.alpn.as_deref()), ("TLSv1.3", Some("http/1.1")));
        assert!(facts.cipher_suite.starts_with("TLS_"), "{}", facts.cipher_suite);
        assert_eq!(facts.certificate.unwrap().names, ["web.test"]);

        // What is not carried away is not taken without end.
        let piece = vec![7; 16 * 1024];
        let mut taken = 0;
        loop {
            match client.write(&piece) {
                0 => break,
                count => taken += count,
            }
        }
        assert!((piece.len()..1 << 20).contains(&taken), "{taken}");
        assert_eq!(client.write(b"x"), 0);
        let output = client.output();
        assert!(output.len() > taken && client.write(b"x") == 1);

        // Nor is what nobody reads.
        let mut sent = Vec::new();
        for _ in 0..20 {
            server.writer().write_all(&piece).unwrap();
            while server.wants_write() {
                server.write_tls(&mut sent).unwrap();
            }
        }
        server.send_close_notify();
        server.write_tls(&mut sent).unwrap();
        let (mut rest, mut received, mut most) = (sent.as_slice(), 0, 0);
        loop {
            rest = &rest[client.input(rest).unwrap()..];
            most = most.max(sent.len() - rest.len() - received);
            match client.read(usize::MAX) {
                Some(bytes) if bytes.is_empty() => break,
                Some(bytes) => received += bytes.len(),
                None => assert!(!rest.is_empty(), "{received} bytes and no end"),
            }
        }
        assert_eq!(received, 20 * piece.len());
        assert!(most < 64 << 10, "{most} bytes waited");
        assert_eq!(client.input(b"whatever follows").unwrap(), 16);
    }

    #[test]
    fn clients_show_who_they_are() {
        let (ours, clients) = (authority("ours"), authority("other"));
        let own = signed(params("web.test"), &ours);
        let me = signed(params("me"), &clients);
        let identity =
            Identity { certificate: me.pem.clone(), key: me.key.serialize_pem().into_bytes() };
        let with = Options { identity: Some(identity.clone()), ..options(ours.pem().as_bytes()) };
        let mut client = Session::open("web.test".to_owned(), with).unwrap();
        let mut asking = server(&own, Some(clients.pem().as_bytes()));
        carry(&mut client, &mut asking).unwrap();
        assert_eq!(asking.peer_certificates().unwrap(), me.chain);

        let without = options(ours.pem().as_bytes());
        let mut client = Session::open("web.test".to_owned(), without.clone()).unwrap();
        let mut asking = server(&own, Some(clients.pem().as_bytes()));
        let refused = carry(&mut client, &mut asking).unwrap_err();
        assert!(matches!(refused, Failure::Alert(116)), "{refused:?}");

        let key = KeyPair::generate().unwrap().serialize_pem().into_bytes();
        let bad = Options { identity: Some(Identity { key, ..identity }), ..without };
        let refused = Session::open("web.test".to_owned(), bad).unwrap_err();
        assert!(matches!(refused, Failure::BadIdentity(_)), "{refused:?}");
    }

    #[test]
    fn what_is_no_tls_is_told_apart() {
        let ours = authority("ours");
        let open = |name: &str, bundle: &[u8]| Session::open(name.to_owned(), options(bundle));
        let mut client = open("10.0.0.1", ours.pem().as_bytes()).unwrap();
        let answer = client.input(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        assert!(matches!(answer, Err(Failure::NotTls)), "{answer:?}");
        assert!(matches!(open("web.test", b"no certificate"), Err(Failure::NoAuthorities)));
        assert!(matches!(open("a b", ours.pem().as_bytes()), Err(Failure::BadServerName)));
        let mut large = ours.pem().into_bytes();
        large.resize(super::super::trust::BUNDLE_BYTES_MAX + 1, b'\n');
        assert!(matches!(open("web.test", &large), Err(Failure::NoAuthorities)));
    }
}

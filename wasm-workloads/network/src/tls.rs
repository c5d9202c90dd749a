//! TLS, spoken by the host: records go in and out as bytes, and the program carries them.

use std::fmt;

/// What to offer and whom to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The authorities to trust, in PEM; without, those that the host trusts.
    pub ca_bundle: Option<Vec<u8>>,
    /// Speaks with whoever is there.
    pub insecure: bool,
    pub identity: Option<Identity>,
    /// Protocols, the best first.
    pub alpn: Vec<String>,
}

/// A certificate of one's own and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// Worded, and numbered, as OpenSSL does it: so curl's users know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    SelfSigned,
    SelfSignedInChain,
    UnknownIssuer,
    Expired,
    NotYetValid,
    WrongName,
    Revoked,
    WrongPurpose,
    BadSignature,
    Unreadable,
}

impl Problem {
    fn row(self) -> (u8, &'static str) {
        match self {
            Self::SelfSigned => (18, "self-signed certificate"),
            Self::SelfSignedInChain => (19, "self-signed certificate in certificate chain"),
            Self::UnknownIssuer => (20, "unable to get local issuer certificate"),
            Self::Expired => (10, "certificate has expired"),
            Self::NotYetValid => (9, "certificate is not yet valid"),
            Self::WrongName => (62, "hostname mismatch"),
            Self::Revoked => (23, "certificate revoked"),
            Self::WrongPurpose => (26, "unsuitable certificate purpose"),
            Self::BadSignature => (7, "certificate signature failure"),
            Self::Unreadable => (1, "unspecified certificate verification error"),
        }
    }

    pub fn number(self) -> u8 {
        self.row().0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

/// Why there is no TLS with the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The bundle, or the host, has no certificates to trust.
    NoAuthorities,
    BadIdentity(String),
    /// Neither a DNS name nor an IP address.
    BadServerName,
    Certificate(Problem),
    /// The other side speaks something else.
    NotTls,
    /// The other side's reason, by its number (RFC 8446, section 6).
    Alert(u8),
    Protocol(String),
    /// A bound of the host's.
    Limit,
    /// This is not a Pod.
    NoNetwork,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuthorities => f.write_str("no trusted certificates"),
            Self::BadIdentity(why) => write!(f, "client certificate: {why}"),
            Self::BadServerName => f.write_str("not a name that a certificate could have"),
            Self::Certificate(problem) => write!(f, "certificate problem: {problem}"),
            Self::NotTls => f.write_str("wrong version number"),
            Self::Alert(number) => write!(f, "alert {}", alert(*number)),
            Self::Protocol(why) => f.write_str(why),
            Self::Limit => f.write_str("too many connections"),
            Self::NoNetwork => f.write_str("there is no TLS outside of a Pod"),
        }
    }
}

/// Alerts as OpenSSL words them.
fn alert(number: u8) -> String {
    let text = match number {
        0 => "close notify",
        10 => "unexpected message",
        20 => "bad record mac",
        22 => "record overflow",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        47 => "illegal parameter",
        48 => "unknown ca",
        49 => "access denied",
        50 => "decode error",
        51 => "decrypt error",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        90 => "user cancelled",
        109 => "missing extension",
        110 => "unsupported extension",
        112 => "unrecognized name",
        116 => "certificate required",
        120 => "no application protocol",
        _ => return format!("number {number}"),
    };
    text.to_owned()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// DNS names and IP addresses.
    pub names: Vec<String>,
}

/// How both sides speak once they agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub version: String,
    pub cipher_suite: String,
    pub alpn: Option<String>,
    pub certificate: Option<Certificate>,
    /// What an insecure client does not mind.
    pub problem: Option<Problem>,
}

#[cfg(target_family = "wasm")]
pub use guest::ClientConnection;
#[cfg(not(target_family = "wasm"))]
pub use nowhere::ClientConnection;

#[cfg(target_family = "wasm")]
mod guest {
    use super::{Certificate, Error, Options, Problem, Session};
    use crate::bindings::sampan::network::tls as wit;

    /// A client's end (`wit/network`, `tls`).
    #[derive(Debug)]
    pub struct ClientConnection(wit::ClientConnection);

    impl ClientConnection {
        pub fn open(server_name: &str, options: &Options) -> Result<Self, Error> {
            let identity = options.identity.clone();
            let options = wit::Options {
                ca_bundle: options.ca_bundle.clone(),
                insecure: options.insecure,
                identity: identity
                    .map(|own| wit::Identity { certificate: own.certificate, key: own.key }),
                alpn: options.alpn.clone(),
            };
            wit::ClientConnection::open(server_name, &options).map(Self).map_err(error)
        }

        /// What is to be sent now.
        pub fn output(&mut self) -> Vec<u8> {
            self.0.output()
        }

        /// Takes what has come; how much of it. The rest once all is read.
        pub fn input(&mut self, bytes: &[u8]) -> Result<usize, Error> {
            self.0.input(bytes).map(|count| count as usize).map_err(error)
        }

        /// Nothing during the handshake.
        pub fn session(&self) -> Option<Session> {
            self.0.session().map(|session| Session {
                version: session.version,
                cipher_suite: session.cipher_suite,
                alpn: session.alpn,
                certificate: session.certificate.map(|one| Certificate {
                    subject: one.subject,
                    issuer: one.issuer,
                    not_before: one.not_before,
                    not_after: one.not_after,
                    names: one.names,
                }),
                problem: session.problem.map(problem),
            })
        }

        /// Nothing if nothing has come, an empty piece at the end.
        pub fn read(&mut self, max: usize) -> Option<Vec<u8>> {
            self.0.read(u32::try_from(max).unwrap_or(u32::MAX))
        }

        /// How much of it was taken; the rest after the next [`Self::output`].
        pub fn write(&mut self, bytes: &[u8]) -> usize {
            self.0.write(bytes) as usize
        }

        pub fn close_output(&mut self) {
            self.0.close_output();
        }
    }

    fn error(error: wit::Error) -> Error {
        match error {
            wit::Error::NoAuthorities => Error::NoAuthorities,
            wit::Error::BadIdentity(why) => Error::BadIdentity(why),
            wit::Error::BadServerName => Error::BadServerName,
            wit::Error::Certificate(what) => Error::Certificate(problem(what)),
            wit::Error::NotTls => Error::NotTls,
            wit::Error::Alert(number) => Error::Alert(number),
            wit::Error::Protocol(why) => Error::Protocol(why),
            wit::Error::Limit => Error::Limit,
        }
    }

    fn problem(problem: wit::CertificateProblem) -> Problem {
        use wit::CertificateProblem as P;
        match problem {
            P::SelfSigned => Problem::SelfSigned,
            P::SelfSignedInChain => Problem::SelfSignedInChain,
            P::UnknownIssuer => Problem::UnknownIssuer,
            P::Expired => Problem::Expired,
            P::NotYetValid => Problem::NotYetValid,
            P::WrongName => Problem::WrongName,
            P::Revoked => Problem::Revoked,
            P::WrongPurpose => Problem::WrongPurpose,
            P::BadSignature => Problem::BadSignature,
            P::Unreadable => Problem::Unreadable,
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod nowhere {
    use super::{Error, Options, Session};

    /// There is none.
    #[derive(Debug)]
    pub enum ClientConnection {}

    impl ClientConnection {
        pub fn open(_: &str, _: &Options) -> Result<Self, Error> {
            Err(Error::NoNetwork)
        }

        pub fn output(&mut self) -> Vec<u8> {
            match *self {}
        }

        pub fn input(&mut self, _: &[u8]) -> Result<usize, Error> {
            match *self {}
        }

        pub fn session(&self) -> Option<Session> {
            match *self {}
        }

        pub fn read(&mut self, _: usize) -> Option<Vec<u8>> {
            match *self {}
        }

        pub fn write(&mut self, _: &[u8]) -> usize {
            match *self {}
        }

        pub fn close_output(&mut self) {
            match *self {}
        }
    }
}

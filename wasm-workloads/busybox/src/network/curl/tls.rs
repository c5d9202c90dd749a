//! What curl says of TLS, and whom it trusts.

use std::env;
use std::net::{IpAddr, TcpStream};

use super::trace::Trace;
use super::{BAD_IDENTITY, Failure, NO_AUTHORITIES, NO_TLS, TIMED_OUT, UNTRUSTED, data};
use crate::call::{Call, reason};
use crate::date;
use crate::network::is_timeout;
use crate::network::tls::{
    Certificate, Error, HandshakeError, Identity, Options, Problem, Session, TlsStream,
};

/// Said after a server was not trusted.
pub const ADVICE: &str = "More details here: https://curl.se/docs/sslcerts.html\n\n\
    curl trusts whom the cluster's host trusts. Name the authority that signed the server's\n\
    certificate with --cacert FILE, or trust anybody with -k (--insecure).";

/// The user's choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// A file's name.
    pub authorities: Option<String>,
    pub insecure: bool,
    pub certificate: Option<String>,
    pub key: Option<String>,
}

impl Trust {
    /// The file of authorities: the user's, or what the environment names, in curl's order.
    fn bundle(&self) -> Option<String> {
        let given = |name: &str| env::var(name).ok().filter(|file| !file.is_empty());
        let environment = || match self.insecure {
            true => None,
            false => given("CURL_CA_BUNDLE").or_else(|| given("SSL_CERT_FILE")),
        };
        self.authorities.clone().or_else(environment)
    }

    /// Everything read.
    fn options(&self, call: &Call) -> Result<Options, Failure> {
        let ca_bundle =
            self.bundle().map(|name| data::read(call, &name).map_err(|_| no_file(&name)));
        let identity = self.certificate.as_ref().map(|name| {
            let read = |name: &str| data::read(call, name).map_err(|why| bad_identity(name, &why));
            let key = self.key.as_ref().unwrap_or(name);
            Ok(Identity { certificate: read(name)?, key: read(key)? })
        });
        Ok(Options {
            ca_bundle: ca_bundle.transpose()?,
            insecure: self.insecure,
            identity: identity.transpose()?,
            alpn: vec!["http/1.1".to_owned()],
        })
    }

    /// Makes a connection a secure one. `over` is what is said if time runs out.
    pub fn secure(
        &self,
        call: &Call,
        host: &str,
        socket: TcpStream,
        over: impl FnOnce() -> String,
        trace: &mut Trace<'_>,
    ) -> Result<(TlsStream, Session), Failure> {
        let options = self.options(call)?;
        trace.say("ALPN: offers http/1.1");
        let mut stream =
            TlsStream::open(host, &options, socket).map_err(|error| self.failure(host, error))?;
        match self.bundle() {
            Some(file) => trace.say(&format!(" CAfile: {file}")),
            None => trace.say(" CAfile: none, but those of the cluster's host"),
        }
        let session = stream.handshake().map_err(|error| match error {
            HandshakeError::Tls(error) => self.failure(host, error),
            HandshakeError::Closed => {
                Failure::new(NO_TLS, "TLS connect error: unexpected eof while reading")
            }
            HandshakeError::Io(error) if is_timeout(&error) => Failure::new(TIMED_OUT, over()),
            HandshakeError::Io(error) => {
                Failure::new(NO_TLS, format!("Recv failure: {}", reason(&error)))
            }
        })?;
        tell(host, &session, trace);
        Ok((stream, session))
    }

    fn failure(&self, host: &str, error: Error) -> Failure {
        let text = match error {
            Error::Certificate(problem) => return untrusted(host, problem),
            Error::NoAuthorities => {
                return match self.bundle() {
                    Some(file) => no_file(&file),
                    None => Failure::new(
                        NO_AUTHORITIES,
                        "error setting certificate verify locations: the cluster's host trusts nobody",
                    ),
                };
            }
            Error::BadIdentity(why) => {
                return bad_identity(self.certificate.as_deref().unwrap_or_default(), &why);
            }
            Error::BadServerName => format!("no certificate can be for '{host}'"),
            Error::NotTls => format!("{}: the server does not speak TLS", Error::NotTls),
            other => other.to_string(),
        };
        Failure::new(NO_TLS, format!("TLS connect error: {text}"))
    }
}

fn untrusted(host: &str, problem: Problem) -> Failure {
    let text = match problem {
        Problem::WrongName => {
            format!(
                "SSL: no alternative certificate subject name matches target host name '{host}'"
            )
        }
        problem => format!("SSL certificate problem: {problem}"),
    };
    let mut failure = Failure::new(UNTRUSTED, text);
    failure.problem = Some(problem);
    failure
}

fn no_file(name: &str) -> Failure {
    Failure::new(NO_AUTHORITIES, format!("error setting certificate file: {name}"))
}

fn bad_identity(name: &str, why: &str) -> Failure {
    let text = format!("could not load PEM client certificate from {name}, {why}");
    Failure::new(BAD_IDENTITY, text)
}

/// What `-v` shows of a server.
fn tell(host: &str, session: &Session, trace: &mut Trace<'_>) {
    trace.say(&format!("SSL connection using {} / {}", session.version, session.cipher_suite));
    match &session.alpn {
        Some(protocol) => trace.say(&format!("ALPN: server accepted {protocol}")),
        None => trace.say("ALPN: server did not agree on a protocol. Uses default."),
    }
    trace.say("Server certificate:");
    if let Some(certificate) = &session.certificate {
        let time = |seconds| date::format(seconds, 0, "%b %e %H:%M:%S %Y GMT");
        trace.say(&format!(" subject: {}", certificate.subject));
        trace.say(&format!(" start date: {}", time(certificate.not_before)));
        trace.say(&format!(" expire date: {}", time(certificate.not_after)));
        if session.problem.is_none()
            && let Some(name) = matching(host, certificate)
        {
            trace.say(&match host.parse::<IpAddr>() {
                Ok(_) => format!(" subjectAltName: host \"{host}\" matched cert's IP address!"),
                Err(_) => format!(" subjectAltName: host \"{host}\" matched cert's \"{name}\""),
            });
        }
        trace.say(&format!(" issuer: {}", certificate.issuer));
    }
    match session.problem {
        None => trace.say(" SSL certificate verify ok."),
        Some(problem) => trace.say(&format!(
            " SSL certificate verify result: {problem} ({}), continuing anyway.",
            problem.number()
        )),
    }
    trace.say("using HTTP/1.x");
}

/// The name of a certificate that was found to be the host's: itself, or with a star for its first part.
fn matching<'a>(host: &str, certificate: &'a Certificate) -> Option<&'a str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let domain = host.split_once('.').map(|(_, domain)| domain);
    let is_meant = |name: &&String| match name.strip_prefix("*.") {
        Some(rest) => domain.is_some_and(|domain| domain.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(host),
    };
    certificate.names.iter().find(is_meant).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_as_curl_does() {
        let trust = Trust { authorities: Some("ca.crt".to_owned()), ..Trust::default() };
        let said = |error| {
            let failure = trust.failure("web", error);
            (failure.code, failure.text)
        };
        let of = |problem| said(Error::Certificate(problem));
        let expect = "SSL certificate problem: unable to get local issuer certificate";
        assert_eq!(of(Problem::UnknownIssuer), (60, expect.to_owned()));
        let expect = "SSL: no alternative certificate subject name matches target host name 'web'";
        assert_eq!(of(Problem::WrongName), (60, expect.to_owned()));
        let expect = "error setting certificate file: ca.crt";
        assert_eq!(said(Error::NoAuthorities), (77, expect.to_owned()));
        let (code, text) = said(Error::NotTls);
        assert!(code == 35 && text.contains("wrong version number"), "{text}");
        assert_eq!(said(Error::Alert(40)).1, "TLS connect error: alert handshake failure");
    }

    #[test]
    fn stars_stand_for_one_part() {
        let names = ["web.test", "*.Example.org", "10.0.0.1"].map(str::to_owned).to_vec();
        let certificate = Certificate {
            subject: String::new(),
            issuer: String::new(),
            not_before: 0,
            not_after: 0,
            names,
        };
        let name = |host| matching(host, &certificate);
        assert_eq!(name("WEB.test."), Some("web.test"));
        assert_eq!(name("a.example.org"), Some("*.Example.org"));
        assert_eq!((name("a.b.example.org"), name("example.org")), (None, None));
        assert_eq!(name("10.0.0.1"), Some("10.0.0.1"));
    }
}

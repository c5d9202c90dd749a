//! Addresses of pages (RFC 3986), as far as clients take them apart.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
    /// In lower case.
    Other(String),
}

impl Scheme {
    pub fn name(&self) -> &str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Other(name) => name,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub scheme: Scheme,
    /// `name:password`, decoded.
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    /// Path and query; begins with a slash.
    pub target: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlError {
    Malformed,
    Port(String),
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority(), self.target)
    }
}

impl Url {
    /// Takes an address apart; without a scheme it is HTTP.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => ("http".to_owned(), text),
        };
        let scheme = match scheme.as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => Scheme::Other(scheme),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(percent_decode(user)), place),
            None => (None, authority),
        };
        let (host, port) = split_port(place)?;
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if host.is_empty() || host.contains(odd) || target.contains(odd) {
            return Err(UrlError::Malformed);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { scheme, user, host: host.to_owned(), port, target: format!("{slash}{target}") })
    }

    /// Where a response of this page sends its client (RFC 3986, section 5.2, without `..`).
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        if location.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{}:{location}", self.scheme.name()));
        }
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match location.chars().next() {
            Some('/') => location.to_owned(),
            Some('?') => format!("{path}{location}"),
            _ => format!("{}/{location}", path.rsplit_once('/').map_or("", |(before, _)| before)),
        };
        let target = target.split('#').next().unwrap_or_default().to_owned();
        if target.contains(char::is_control) {
            return Err(UrlError::Malformed);
        }
        Ok(Self { target: target.replace(' ', "%20"), ..self.clone() })
    }

    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == Scheme::Https { 443 } else { 80 })
    }

    /// A host without the brackets of an IPv6 address.
    pub fn bare_host(&self) -> &str {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(&self.host)
    }

    /// Whether both are pages of one server, asked in one way.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.host == other.host
            && self.port_or_default() == other.port_or_default()
    }

    /// What stands in `Host`.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The last part of the path, the query with it if `query`; nothing if there is none.
    pub fn file_name(&self, query: bool) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        let start = path.rfind('/').map_or(0, |at| at + 1);
        if query { &self.target[start..] } else { &path[start..] }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn split_port(place: &str) -> Result<(&str, Option<u16>), UrlError> {
    // The colons of an IPv6 address stand in brackets.
    let after = place.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = place[after..].find(':') else { return Ok((place, None)) };
    let (host, port) = (&place[..after + colon], &place[after + colon + 1..]);
    if port.is_empty() {
        return Ok((host, None));
    }
    let number = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
    number.map(|number| (host, Some(number))).ok_or_else(|| UrlError::Port(port.to_owned()))
}

/// Replaces `%41` by `A`.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, port: Option<u16>, target: &str) {
        let url = Url::parse(text).unwrap();
        assert_eq!((url.host.as_str(), url.port, url.target.as_str()), (host, port, target));
    }

    #[test]
    fn addresses_are_taken_apart() {
        check("http://web", "web", None, "/");
        check("web:8080/a?b=c#d", "web", Some(8080), "/a?b=c");
        check("HTTP://web?x", "web", None, "/?x");
        check("http://[::1]:80/", "[::1]", Some(80), "/");
        check("http://web:/", "web", None, "/");
        check("http://web/?to=http://other/", "web", None, "/?to=http://other/");
        check("web/?to=http://other/", "web", None, "/?to=http://other/");
        let url = Url::parse("http://me:a%40b@web/").unwrap();
        assert_eq!((url.user.as_deref(), url.host.as_str()), (Some("me:a@b"), "web"));
        let ports = ["https://x", "HTTPS://x:8443", "http://x"].map(|text| {
            let url = Url::parse(text).unwrap();
            (url.scheme.clone(), url.port_or_default())
        });
        assert_eq!(ports, [(Scheme::Https, 443), (Scheme::Https, 8443), (Scheme::Http, 80)]);
        assert_eq!(Url::parse("ftp://x").unwrap().scheme, Scheme::Other("ftp".to_owned()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["http://", "", "http:///x", "http://a b/", "http://a/\r\nX: y"] {
            assert_eq!(Url::parse(text), Err(UrlError::Malformed), "{text:?}");
        }
        assert_eq!(Url::parse("http://a:99999/"), Err(UrlError::Port("99999".to_owned())));
        assert_eq!(Url::parse("http://a:+8/"), Err(UrlError::Port("+8".to_owned())));
    }

    #[test]
    fn redirections_may_be_relative() {
        let page = Url::parse("http://web:81/a/b?c").unwrap();
        for (location, expect) in [
            ("/x", "http://web:81/x"),
            ("x y", "http://web:81/a/x%20y"),
            ("?q", "http://web:81/a/b?q"),
            ("//other/x", "http://other/x"),
            ("http://other", "http://other/"),
        ] {
            assert_eq!(page.join(location).unwrap().to_string(), expect);
        }
    }

    #[test]
    fn a_page_has_a_file_name() {
        let name = |text: &str, query| Url::parse(text).unwrap().file_name(query).to_owned();
        assert_eq!(name("http://web/a/b.txt?x=1", true), "b.txt?x=1");
        assert_eq!(name("http://web/a/b.txt?x=/1", false), "b.txt");
        assert_eq!(name("http://web", true), "");
    }
}

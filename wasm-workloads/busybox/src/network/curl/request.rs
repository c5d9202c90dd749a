//! What is sent to a server.

use super::form;
use super::options::{Config, VERSION};
use crate::encode;
use crate::network::http::Url;

/// A request for one address, and what a redirection changes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub body: Option<Vec<u8>>,
    /// Of the body, unless the user names another.
    content_type: Option<String>,
    /// `name:password`
    pub user: Option<String>,
    /// It goes where the user did not send it: it takes along no secrets.
    is_astray: bool,
}

impl Request {
    /// `upload` is what `-T` names.
    pub fn first(config: &Config, url: &Url, upload: Option<Vec<u8>>) -> Self {
        let data = config.data.as_ref().filter(|_| !config.data_in_url);
        let (usual, body, content_type) = match data {
            _ if config.head => ("HEAD", None, None),
            _ if upload.is_some() => ("PUT", upload, None),
            _ if !config.form.is_empty() => {
                let boundary = form::boundary();
                let body = form::body(&config.form, &boundary);
                ("POST", Some(body), Some(format!("multipart/form-data; boundary={boundary}")))
            }
            Some(data) if data.is_json => ("POST", Some(data.bytes.clone()), None),
            Some(data) => {
                let content_type = "application/x-www-form-urlencoded".to_owned();
                ("POST", Some(data.bytes.clone()), Some(content_type))
            }
            None => ("GET", None, None),
        };
        let method = config.method.clone().unwrap_or_else(|| usual.to_owned());
        let user = config.user.clone().or_else(|| url.user.clone());
        let user = user.map(|user| if user.contains(':') { user } else { user + ":" });
        Self { method, body, content_type, user, is_astray: false }
    }

    /// What becomes of it when the server sends it elsewhere (RFC 9110, section 15.4); whether a POST
    /// became a GET.
    pub fn redirect(&mut self, config: &Config, status: u16, same_origin: bool) -> bool {
        if !same_origin {
            self.user = None;
            self.is_astray = true;
        }
        let switches = matches!(status, 301..=303) && self.body.is_some();
        if switches {
            self.body = None;
            if config.method.is_none() {
                self.method = "GET".to_owned();
            }
        }
        switches && config.method.is_none()
    }

    /// The lines before the body, the empty one too.
    pub fn head(&self, config: &Config, url: &Url) -> String {
        let version = if config.old_http { "1.0" } else { "1.1" };
        let mut text = format!("{} {} HTTP/{version}\r\n", self.method, url.target);
        let mut line = |name: &str, value: &str| {
            if !is_given(config, name) {
                text += &format!("{name}: {value}\r\n");
            }
        };
        match given(config, "Host") {
            // It keeps its place.
            Some(value) if !value.is_empty() => text += &format!("Host: {value}\r\n"),
            _ => line("Host", &host(url)),
        }
        let mut line = |name: &str, value: &str| {
            if !is_given(config, name) {
                text += &format!("{name}: {value}\r\n");
            }
        };
        if let Some(user) = &self.user {
            line("Authorization", &format!("Basic {}", encode::text(user.as_bytes())));
        }
        let agent = config.user_agent.clone().unwrap_or_else(|| format!("curl/{VERSION}"));
        if !agent.is_empty() {
            line("User-Agent", &agent);
        }
        let is_json = config.data.as_ref().is_some_and(|data| data.is_json);
        if !is_json {
            line("Accept", "*/*");
        }
        if let Some(referer) = &config.referer {
            line("Referer", referer);
        }
        if let Some(cookie) = &config.cookie {
            line("Cookie", cookie);
        }
        if is_json {
            line("Content-Type", "application/json");
            line("Accept", "application/json");
        }
        let others = config.headers.iter().filter(|header| !self.is_astray || !is_secret(header));
        let others = others.filter_map(|header| sent(header));
        text.extend(others.map(|header| format!("{header}\r\n")));
        if let Some(body) = &self.body {
            if !is_given(config, "Content-Length") {
                text += &format!("Content-Length: {}\r\n", body.len());
            }
            if let Some(kind) =
                self.content_type.as_ref().filter(|_| !is_given(config, "Content-Type"))
            {
                text += &format!("Content-Type: {kind}\r\n");
            }
        }
        text + "\r\n"
    }
}

/// What `Host` says: a port only where it is not the usual one.
fn host(url: &Url) -> String {
    let usual = Url { port: None, ..url.clone() };
    if usual.same_origin(url) { url.host.clone() } else { url.authority() }
}

/// A header that is for the server alone which the user named.
fn is_secret(header: &str) -> bool {
    let name = header.split([':', ';']).next().unwrap_or_default();
    ["authorization", "cookie"].iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// The value of a header of the user's.
fn given<'a>(config: &'a Config, name: &str) -> Option<&'a str> {
    let headers = config.headers.iter().filter_map(|header| header.split_once([':', ';']));
    let mut named = headers.filter(|(given, _)| given.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim())
}

fn is_given(config: &Config, name: &str) -> bool {
    given(config, name).is_some()
}

/// A header of the user's as it is sent: without a value it only takes curl's own away, and with a
/// semicolon it is sent empty.
fn sent(header: &str) -> Option<String> {
    match header.split_once(':') {
        Some((name, _)) if name.eq_ignore_ascii_case("host") => None,
        Some((_, value)) if value.trim().is_empty() => None,
        Some(_) => Some(header.to_owned()),
        None => header.strip_suffix(';').map(|name| format!("{name}:")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::curl::options::Data;

    fn data(text: &str) -> Option<Data> {
        Some(Data { bytes: text.as_bytes().to_vec(), is_json: false })
    }

    #[test]
    fn headers_of_the_users_replace_curls() {
        let headers = ["Host: other", "User-Agent:", "X;", "A:b", "accept: text/html"];
        let config = Config {
            headers: headers.map(str::to_owned).to_vec(),
            data: data("a=b"),
            user: Some("me".to_owned()),
            ..Config::default()
        };
        let url = Url::parse("http://web:81/x").unwrap();
        let head = Request::first(&config, &url, None).head(&config, &url);
        assert_eq!(
            head,
            "POST /x HTTP/1.1\r\nHost: other\r\nAuthorization: Basic bWU6\r\nX:\r\nA:b\r\naccept: text/html\r\n\
             Content-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
    }

    #[test]
    fn a_redirected_form_is_not_sent_again() {
        let config = Config { data: data("a=b"), ..Config::default() };
        let url = Url::parse("http://me:x@web/").unwrap();
        let first = Request::first(&config, &url, None);
        let mut kept = first.clone();
        assert!(!kept.redirect(&config, 307, true) && kept == first);
        let mut changed = first;
        assert!(changed.redirect(&config, 302, false));
        assert_eq!(changed.method, "GET");
        assert_eq!((changed.body, changed.user), (None, None));
    }

    #[test]
    fn secrets_stay_with_the_server_they_are_for() {
        let headers = ["authorization: Bearer x", "X: y", "Cookie: a=b"];
        let headers = headers.map(str::to_owned).to_vec();
        let config = Config { headers, ..Config::default() };
        let url = Url::parse("https://web:443/").unwrap();
        let mut request = Request::first(&config, &url, None);
        request.redirect(&config, 302, true);
        let head = request.head(&config, &url);
        assert!(head.contains("Bearer x") && head.contains("Cookie: a=b"), "{head}");
        assert!(head.contains("Host: web\r\n"), "{head}");
        request.redirect(&config, 302, false);
        let head = request.head(&config, &Url::parse("https://other/").unwrap());
        assert!(
            !head.contains("Bearer") && !head.contains("Cookie") && head.contains("X: y"),
            "{head}"
        );
    }

    #[test]
    fn files_are_put_and_forms_posted() {
        let url = Url::parse("http://web/").unwrap();
        let put = Request::first(&Config::default(), &url, Some(b"abc".to_vec()));
        let head = put.head(&Config::default(), &url);
        assert!(head.starts_with("PUT / ") && head.contains("Content-Length: 3\r\n"), "{head}");
        assert!(!head.contains("Content-Type"), "{head}");
        let mut config = Config::default();
        form::string(&mut config.form, "a=b").unwrap();
        let posted = Request::first(&config, &url, None);
        let head = posted.head(&config, &url);
        let (_, boundary) = head.split_once("multipart/form-data; boundary=").unwrap();
        let boundary = boundary.trim_end();
        let body = String::from_utf8(posted.body.unwrap()).unwrap();
        assert!(body.starts_with(&format!("--{boundary}\r\n")), "{body}");
    }
}

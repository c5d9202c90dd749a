//! HTTP/1.1, as much of it as Go's server answers tests with: requests read from what has come so
//! far, replies written whole.

use std::net::SocketAddr;

/// Bound: a request's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bound: a request's body; forms in tests are short.
const BODY_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    pub(crate) peer: SocketAddr,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The client wants to ask more on this connection.
    pub(crate) keep: bool,
}

/// What comes of the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A request, and how many bytes it took.
    Request(Request, usize),
    More,
    /// The status to refuse it with.
    Bad(u16),
}

pub(super) fn parse(bytes: &[u8], peer: SocketAddr) -> Parsed {
    // Who speaks TLS waits to be told that nobody here does.
    if bytes.first().is_some_and(u8::is_ascii_control) {
        return Parsed::Bad(400);
    }
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Parsed::Bad(431) } else { Parsed::More };
    };
    let Ok(head) = str::from_utf8(&bytes[..end]) else { return Parsed::Bad(400) };
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Bad(400);
    };
    if !version.starts_with("HTTP/1.") {
        return Parsed::Bad(505);
    }
    let mut headers = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return Parsed::Bad(400) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let header = |name: &str| {
        let found = headers.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let connection = header("connection").to_ascii_lowercase();
    let keep = match version {
        "HTTP/1.0" => connection.contains("keep-alive"),
        _ => !connection.contains("close"),
    };
    let rest = &bytes[end + 4..];
    let body = if header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        chunked(rest)
    } else {
        let length = header("content-length");
        let length = if length.is_empty() { Ok(0) } else { length.parse() };
        match length {
            Ok(length) if length > BODY_BYTES_MAX => Err(413),
            Ok(length) if rest.len() < length => Ok(None),
            Ok(length) => Ok(Some((rest[..length].to_vec(), length))),
            Err(_) => Err(400),
        }
    };
    match body {
        Err(status) => Parsed::Bad(status),
        Ok(None) => Parsed::More,
        Ok(Some((body, length))) => {
            let (method, target) = (method.to_owned(), target.to_owned());
            let request = Request { method, target, peer, headers, body, keep };
            Parsed::Request(request, end + 4 + length)
        }
    }
}

/// A chunked body and the bytes it took, if all of it is there.
fn chunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, u16> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = bytes[at..].windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let size = str::from_utf8(&bytes[at..at + line]).map_err(|_| 400_u16)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| 400_u16)?;
        if body.len() + size > BODY_BYTES_MAX {
            return Err(413);
        }
        let start = at + line + 2;
        let Some(chunk) = bytes.get(start..start + size + 2) else { return Ok(None) };
        at = start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A value of the query or of a form in the body; empty if it is not there.
    pub(crate) fn value(&self, name: &str) -> String {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let is_form = self.headers.iter().any(|(name, value)| {
            name == "content-type" && value.starts_with("application/x-www-form-urlencoded")
        });
        let form = if is_form { str::from_utf8(&self.body).unwrap_or_default() } else { "" };
        let pairs = form.split('&').chain(query.split('&'));
        let mut named = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        named
            .find(|(other, _)| decoded(other) == name)
            .map_or_else(String::new, |(_, value)| decoded(value))
    }
}

/// Percent-decoded, `+` as a space.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let digit = |n: usize| rest.get(n).and_then(|b| char::from(*b).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &rest[2..];
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// 200, as Go takes plain text to be.
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::of(200, text)
    }

    pub(crate) fn of(status: u16, text: impl Into<Vec<u8>>) -> Self {
        let kind = ("Content-Type", "text/plain; charset=utf-8".to_owned());
        Self { status, headers: vec![kind], body: text.into() }
    }

    /// Go's `http.Error`.
    pub(crate) fn error(status: u16, text: &str) -> Self {
        let mut reply = Self::of(status, format!("{text}\n"));
        reply.headers.push(("X-Content-Type-Options", "nosniff".to_owned()));
        reply
    }

    /// Go's `http.Redirect`, of a request by GET.
    pub(crate) fn redirect(status: u16, to: &str) -> Self {
        let href = to.replace('&', "&amp;").replace('"', "&#34;").replace('<', "&lt;");
        let body = format!("<a href=\"{href}\">{}</a>.\n\n", phrase(status));
        Self {
            status,
            headers: vec![
                ("Content-Type", "text/html; charset=utf-8".to_owned()),
                ("Location", to.to_owned()),
            ],
            body: body.into_bytes(),
        }
    }

    /// The bytes to send.
    pub(super) fn bytes(&self, request: &Request) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        for (name, value) in &self.headers {
            // A value from a request may not begin a header of its own.
            let value = value.replace(['\r', '\n'], " ");
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !request.keep {
            head.push_str("Connection: close\r\n");
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = head.into_bytes();
        if request.method != "HEAD" {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> SocketAddr {
        "10.42.0.9:4242".parse().unwrap()
    }

    fn request(text: &str) -> Request {
        match parse(text.as_bytes(), peer()) {
            Parsed::Request(request, length) => {
                assert_eq!(length, text.len());
                request
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_are_read() {
        let it = request("GET /echo?msg=a%20b+c&x HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(
            (it.path(), it.value("msg"), it.value("x")),
            ("/echo", "a b c".to_owned(), String::new())
        );
        assert!(it.keep);
        assert!(!request("GET / HTTP/1.0\r\n\r\n").keep);
        assert!(!request("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").keep);
        let form = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\nmsg=x";
        assert_eq!(request(form).value("msg"), "x");
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x\r\nd\r\n0\r\n\r\n";
        assert_eq!(request(chunked).body, b"abcd");
    }

    #[test]
    fn what_is_not_whole_is_waited_for() {
        let text = "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..end], peer()), Parsed::More, "{end}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let check = |text: &str, status| {
            assert_eq!(parse(text.as_bytes(), peer()), Parsed::Bad(status), "{text}");
        };
        check("x\r\n\r\n", 400);
        check("\x16\x03\x01\x02", 400);
        check("GET / HTTP/2.0\r\n\r\n", 505);
        check("GET / HTTP/1.1\r\nx\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413);
        check("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nq\r\n", 400);
        assert_eq!(parse(&[b'x'; HEAD_BYTES_MAX + 1], peer()), Parsed::Bad(431));
    }

    #[test]
    fn replies_are_written_whole() {
        let mut asked = request("GET / HTTP/1.1\r\n\r\n");
        let bytes = Reply::redirect(302, "/a?b&c\r\nX: y").bytes(&asked);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "HTTP/1.1 302 Found\r\nContent-Type: text/html; charset=utf-8\r\nLocation: /a?b&c  X: y\r\n\
             Content-Length: 39\r\n\r\n<a href=\"/a?b&amp;c\r\nX: y\">Found</a>.\n\n"
        );
        asked.method = "HEAD".to_owned();
        assert!(Reply::text("abc").bytes(&asked).ends_with(b"Content-Length: 3\r\n\r\n"));
    }
}

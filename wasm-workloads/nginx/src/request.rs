//! A request as it came, and paths in it.

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    pub(crate) tls: bool,
    /// `Host`, as it came.
    pub(crate) authority: Option<String>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) client: (String, u16),
    /// The Pod's own address and port.
    pub(crate) server: (String, u16),
    /// When it came: Unix time in milliseconds.
    pub(crate) at_ms: u64,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(other, _)| other == name)?;
        str::from_utf8(value).ok()
    }

    /// The host it names, in lower case, without the port.
    pub(crate) fn host(&self) -> Option<String> {
        let authority = self.authority.as_deref()?;
        let port = authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'));
        let host = &authority[..port.unwrap_or(authority.len())];
        let host = host.strip_suffix('.').unwrap_or(host);
        (!host.is_empty()).then(|| host.to_ascii_lowercase())
    }

    /// `GET /x HTTP/1.1`: wasi:http does not tell the protocol's version.
    pub(crate) fn line(&self) -> String {
        format!("{} {} HTTP/1.1", self.method, self.target)
    }

    /// The query, without its `?`.
    pub(crate) fn args(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, args)| args)
    }
}

/// The path of a target, decoded, with `.`, `..` and repeated slashes resolved; nothing if it is
/// none or leads above the root.
pub(crate) fn normal_path(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if !path.starts_with('/') {
        return None;
    }
    let path = decoded(path)?;
    let mut names: Vec<&str> = Vec::new();
    let mut parts = path.split('/').peekable();
    let mut directory = false;
    while let Some(part) = parts.next() {
        directory = parts.peek().is_none() && matches!(part, "" | "." | "..");
        match part {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    let mut normal = String::with_capacity(path.len());
    for name in &names {
        normal.extend(["/", name]);
    }
    if directory || names.is_empty() {
        normal.push('/');
    }
    Some(normal)
}

/// Percent-decoded. Paths are UTF-8 in WASI, and have no NUL.
fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digit = |n: usize| char::from(*rest.get(n)?).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// A path as it may stand in a URL.
pub(crate) fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            0..=b' ' | b'#' | b'%' | b'?' | b'"' | b'<' | b'>' | b'\\' | 0x7f.. => {
                text.push_str(&format!("%{byte:02X}"));
            }
            byte => text.push(char::from(byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_and_stay_below_the_root() {
        let check = |target, expect: Option<&str>| {
            assert_eq!(normal_path(target).as_deref(), expect, "{target}");
        };
        check("/", Some("/"));
        check("/a//b/./c?x=../..", Some("/a/b/c"));
        check("/a/b/..", Some("/a/"));
        check("/a/b/../c/", Some("/a/c/"));
        check("/%61%2Fb", Some("/a/b"));
        check("/%ec%95%88", Some("/안"));
        check("/..", None);
        check("/a/../../etc/passwd", None);
        check("/%2e%2e/etc/passwd", None);
        check("/a/..%2f..%2fetc/passwd", None);
        check("/a%00b", None);
        check("/%zz", None);
        check("/%2", None);
        check("/%ff", None);
        check("a", None);
        check("", None);
    }

    #[test]
    fn a_path_is_escaped_for_a_url() {
        assert_eq!(escaped("/a b%/안?"), "/a%20b%25/%EC%95%88%3F");
    }

    #[test]
    fn a_host_is_without_its_port() {
        let host = |authority: &str| {
            Request { authority: Some(authority.to_owned()), ..Request::default() }.host()
        };
        assert_eq!(host("Example.com:80").as_deref(), Some("example.com"));
        assert_eq!(host("[::1]:80").as_deref(), Some("[::1]"));
        assert_eq!(host("[::1]").as_deref(), Some("[::1]"));
        assert_eq!(host(""), None);
    }
}

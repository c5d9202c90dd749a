//! Texts with variables: `$uri`, `${host}`.

use super::{At, Fault, fault};

/// A text with variables in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Variable(Variable),
}

/// Names in alphabetical order; those of a family last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    Args,
    BodyBytesSent,
    BytesSent,
    ContentLength,
    ContentType,
    DocumentRoot,
    Host,
    Hostname,
    IsArgs,
    Msec,
    Pid,
    ProxyAddXForwardedFor,
    ProxyHost,
    RemoteAddr,
    RemotePort,
    Request,
    RequestFilename,
    RequestMethod,
    RequestTime,
    RequestUri,
    Scheme,
    ServerAddr,
    ServerName,
    ServerPort,
    ServerProtocol,
    Status,
    TimeIso8601,
    TimeLocal,
    Uri,
    Version,
    /// Not here, though nginx has it: HTTP's user, what an upstream did.
    Unset,
    /// `$arg_name`
    Argument(String),
    /// `$cookie_name`
    Cookie(String),
    /// `$http_name`: a request's header, its name as headers have it.
    Header(String),
    /// `$sent_http_name`
    SentHeader(String),
    /// `$1`
    Group(usize),
}

const NAMES: &[(&str, Variable)] = &[
    ("args", Variable::Args),
    ("body_bytes_sent", Variable::BodyBytesSent),
    ("bytes_sent", Variable::BytesSent),
    ("content_length", Variable::ContentLength),
    ("content_type", Variable::ContentType),
    ("document_root", Variable::DocumentRoot),
    ("document_uri", Variable::Uri),
    ("host", Variable::Host),
    ("hostname", Variable::Hostname),
    ("is_args", Variable::IsArgs),
    ("msec", Variable::Msec),
    ("nginx_version", Variable::Version),
    ("pid", Variable::Pid),
    ("proxy_add_x_forwarded_for", Variable::ProxyAddXForwardedFor),
    ("proxy_host", Variable::ProxyHost),
    ("query_string", Variable::Args),
    ("realpath_root", Variable::DocumentRoot),
    ("remote_addr", Variable::RemoteAddr),
    ("remote_port", Variable::RemotePort),
    ("remote_user", Variable::Unset),
    ("request", Variable::Request),
    ("request_filename", Variable::RequestFilename),
    ("request_method", Variable::RequestMethod),
    ("request_time", Variable::RequestTime),
    ("request_uri", Variable::RequestUri),
    ("scheme", Variable::Scheme),
    ("server_addr", Variable::ServerAddr),
    ("server_name", Variable::ServerName),
    ("server_port", Variable::ServerPort),
    ("server_protocol", Variable::ServerProtocol),
    ("status", Variable::Status),
    ("time_iso8601", Variable::TimeIso8601),
    ("time_local", Variable::TimeLocal),
    ("upstream_addr", Variable::Unset),
    ("upstream_cache_status", Variable::Unset),
    ("upstream_connect_time", Variable::Unset),
    ("upstream_header_time", Variable::Unset),
    ("upstream_response_time", Variable::Unset),
    ("upstream_status", Variable::Unset),
    ("uri", Variable::Uri),
];

impl Template {
    pub(super) fn parse(text: &str, at: &At) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (name, after) = name(after, at)?;
            let variable = Variable::of(name)
                .ok_or_else(|| fault(&format!("unknown \"{name}\" variable"), at))?;
            parts.push(Part::Variable(variable));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    pub(crate) fn text(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// The text, if there is no variable in it.
    pub(crate) fn constant(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn value(&self, value: impl Fn(&Variable) -> String) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Variable(variable) => text.push_str(&value(variable)),
            }
        }
        text
    }
}

/// A variable's name, as it follows a `$`, and what is after it.
fn name<'a>(text: &'a str, at: &At) -> Result<(&'a str, &'a str), Fault> {
    let invalid = || fault("invalid variable name", at);
    if let Some(braced) = text.strip_prefix('{') {
        let (name, rest) = braced
            .split_once('}')
            .ok_or_else(|| fault("the closing bracket in variable is missing", at))?;
        return if name.is_empty() { Err(invalid()) } else { Ok((name, rest)) };
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = match text.chars().next() {
        Some(c) if c.is_ascii_digit() => 1,
        _ => text.find(|c| !is_name(c)).unwrap_or(text.len()),
    };
    if length == 0 { Err(invalid()) } else { Ok(text.split_at(length)) }
}

impl Variable {
    fn of(name: &str) -> Option<Self> {
        if let Ok(index) = NAMES.binary_search_by_key(&name, |(name, _)| name) {
            return Some(NAMES[index].1.clone());
        }
        if let Ok(group @ 1..=9) = name.parse() {
            return Some(Self::Group(group));
        }
        let header = |name: &str| name.replace('_', "-");
        let family = |prefix| name.strip_prefix(prefix).filter(|name| !name.is_empty());
        None.or_else(|| family("arg_").map(|name| Self::Argument(name.to_owned())))
            .or_else(|| family("cookie_").map(|name| Self::Cookie(name.to_owned())))
            .or_else(|| family("sent_http_").map(|name| Self::SentHeader(header(name))))
            .or_else(|| family("http_").map(|name| Self::Header(header(name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| name));
    }
}

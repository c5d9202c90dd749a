//! What variables are worth.

use super::{Visit, locate};
use crate::config::{Template, Variable};
use crate::date;

impl Visit<'_> {
    pub(super) fn value(&self, template: &Template) -> String {
        match template.constant() {
            Some(text) => text.to_owned(),
            None => template.value(|variable| self.variable(variable)),
        }
    }

    /// A template as a line of a log.
    pub(crate) fn log_value(&self, template: &Template, json: bool) -> String {
        template.value(|variable| {
            let value = self.variable(variable);
            match (json, value.is_empty()) {
                (true, _) => json_escaped(&value),
                (false, true) => "-".to_owned(),
                (false, false) => log_escaped(&value),
            }
        })
    }

    /// `$host`: the request's, else the server's.
    pub(super) fn host(&self) -> String {
        self.request.host().unwrap_or_else(|| self.server_name())
    }

    fn server_name(&self) -> String {
        self.server.names.first().map(locate::name_text).unwrap_or_default()
    }

    fn variable(&self, variable: &Variable) -> String {
        let request = self.request;
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let seconds = request.at_ms / 1000;
        match variable {
            Variable::Args => self.args.clone(),
            Variable::BodyBytesSent | Variable::BytesSent => self.body_bytes.to_string(),
            Variable::ContentLength => header("content-length"),
            Variable::ContentType => header("content-type"),
            Variable::DocumentRoot => self.value(&self.settings.root),
            Variable::Host => self.host(),
            Variable::Hostname => crate::hostname(),
            Variable::IsArgs => if self.args.is_empty() { "" } else { "?" }.to_owned(),
            Variable::Msec => format!("{seconds}.{:03}", request.at_ms % 1000),
            Variable::Pid => "1".to_owned(),
            Variable::ProxyAddXForwardedFor => match request.header("x-forwarded-for") {
                Some(before) => format!("{before}, {}", request.client.0),
                None => request.client.0.clone(),
            },
            Variable::ProxyHost => self.proxy_host(),
            Variable::RemoteAddr => request.client.0.clone(),
            Variable::RemotePort => request.client.1.to_string(),
            Variable::Request => request.line(),
            Variable::RequestFilename => self.path_of(&self.uri),
            Variable::RequestMethod => request.method.clone(),
            Variable::RequestTime => {
                let ms = crate::now_ms().saturating_sub(request.at_ms);
                format!("{}.{:03}", ms / 1000, ms % 1000)
            }
            Variable::RequestUri => request.target.clone(),
            Variable::Scheme => if request.tls { "https" } else { "http" }.to_owned(),
            Variable::ServerAddr => request.server.0.clone(),
            Variable::ServerName => self.server_name(),
            Variable::ServerPort => request.server.1.to_string(),
            Variable::ServerProtocol => "HTTP/1.1".to_owned(),
            Variable::Status => format!("{:03}", self.status),
            Variable::TimeIso8601 => date::iso8601(seconds),
            Variable::TimeLocal => date::access_log(seconds),
            Variable::Uri => self.uri.clone(),
            Variable::Version => env!("CARGO_PKG_VERSION").to_owned(),
            Variable::Unset => String::new(),
            Variable::Argument(name) => pair(&self.args, '&', name),
            Variable::Cookie(name) => pair(request.header("cookie").unwrap_or_default(), ';', name),
            Variable::Header(name) if name == "host" => {
                request.authority.clone().unwrap_or_default()
            }
            Variable::Header(name) => header(name),
            Variable::SentHeader(name) => {
                let mut sent = self.sent.iter();
                sent.find(|(other, _)| other == name)
                    .map(|(_, value)| value.clone())
                    .unwrap_or_default()
            }
            Variable::Group(n) => self.groups.get(n - 1).cloned().unwrap_or_default(),
        }
    }
}

/// The value of `name=value` in a list.
fn pair(list: &str, between: char, name: &str) -> String {
    let mut pairs = list.split(between).filter_map(|pair| pair.trim_start().split_once('='));
    let found = pairs.find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map_or_else(String::new, |(_, value)| value.to_owned())
}

fn log_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => escaped.push_str(&format!("\\x{byte:02X}")),
            byte => escaped.push(char::from(byte)),
        }
    }
    escaped
}

fn json_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if c < ' ' => escaped.push_str(&format!("\\u{:04X}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

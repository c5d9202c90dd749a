//! What `proxy_pass` asks of another server. Upstream: `ngx_http_proxy_module.c`.

use std::cell::Cell;

use super::{Answer, Body, Step, Visit};
use crate::config::{Matcher, ProxyPass};
use crate::request::escaped;

/// Of one connection, so not passed on. `Host` is the other server's.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request to another server; its body is the client's.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) tls: bool,
    /// Where to.
    pub(crate) authority: String,
    /// What it is to read as `Host`.
    pub(crate) host: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) connect_ms: u64,
    pub(crate) read_ms: u64,
    /// 0 is no bound.
    pub(crate) body_bytes_max: u64,
    /// A redirect that begins with the first becomes one that begins with the second.
    pub(crate) redirect: Option<(String, String)>,
}

impl Forward {
    /// For the error log.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.target)
    }
}

thread_local! {
    /// Which server of an upstream is next.
    static TURN: Cell<usize> = const { Cell::new(0) };
}

impl Visit<'_> {
    pub(super) fn forward(&mut self, proxy: &ProxyPass) -> Step {
        let mut authority = match proxy.upstream.len() {
            0 => self.value(&proxy.authority),
            n => proxy.upstream[TURN.replace(TURN.get().wrapping_add(1)) % n].clone(),
        };
        let (mut target, redirect) = self.target(proxy);
        // `proxy_pass http://$host$request_uri`: where the host ends is known only now.
        if let Some(slash) = authority.find('/') {
            target = authority.split_off(slash);
        }
        let mut headers: Vec<_> = self.request.headers.clone();
        headers.retain(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()));
        let named = self.value(&proxy.authority);
        let mut host = named.split('/').next().unwrap_or_default().to_owned();
        let settings = self.settings.clone();
        for (name, value) in &settings.proxy_headers {
            let value = self.value(value);
            if name == "host" && !value.is_empty() {
                host = value;
                continue;
            }
            headers.retain(|(other, _)| other != name);
            if !value.is_empty() && !HOP_BY_HOP.contains(&name.as_str()) {
                headers.push((name.clone(), value.into_bytes()));
            }
        }
        let body = Body::Forward(Box::new(Forward {
            tls: proxy.tls,
            authority,
            host,
            target,
            headers,
            connect_ms: settings.proxy_connect_ms,
            read_ms: settings.proxy_read_ms,
            body_bytes_max: settings.body_bytes_max,
            redirect: redirect.filter(|_| settings.proxy_redirect),
        }));
        Step::Answer(Answer { status: 200, headers: Vec::new(), body })
    }

    /// The target to ask for, and how redirects are to be read.
    fn target(&self, proxy: &ProxyPass) -> (String, Option<(String, String)>) {
        let query = if self.args.is_empty() { "" } else { "?" };
        let scheme = if proxy.tls { "https" } else { "http" };
        let prefix = match self.location.map(|location| &location.matcher) {
            Some(Matcher::Prefix { prefix, .. } | Matcher::Exact(prefix)) => prefix.as_str(),
            _ => "",
        };
        let constant = proxy.authority.constant();
        let redirect = |uri: &str| {
            let from = format!("{scheme}://{}{uri}", constant?);
            (!prefix.is_empty()).then(|| (from, prefix.to_owned()))
        };
        match &proxy.uri {
            None if self.internal => (format!("{}{query}{}", escaped(&self.uri), self.args), None),
            None => (self.request.target.clone(), redirect(prefix)),
            Some(uri) => match uri.constant() {
                None => (self.value(uri), None),
                Some(uri) => {
                    let rest = escaped(self.uri.get(prefix.len()..).unwrap_or_default());
                    (format!("{uri}{rest}{query}{}", self.args), redirect(uri))
                }
            },
        }
    }

    /// `$proxy_host`
    pub(super) fn proxy_host(&self) -> String {
        let proxy = self.location.and_then(|location| location.proxy.as_ref());
        proxy.and_then(|proxy| proxy.authority.constant()).unwrap_or_default().to_owned()
    }
}

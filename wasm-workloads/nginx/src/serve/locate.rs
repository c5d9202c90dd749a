//! Which server and which location a request is for. Upstream: `ngx_http_find_virtual_server`,
//! `ngx_http_core_find_location`.

use sampan_regexp::Captures;

use crate::config::{Config, Location, Matcher, Name, Server};
use crate::request::Request;

/// The server of the request's port and host; else the port's default, else the first.
pub(super) fn server<'a>(config: &'a Config, request: &Request) -> &'a Server {
    let port = request.server.1;
    let here = |server: &&Server| server.listens.iter().any(|listen| listen.port == port);
    let candidates = || config.servers.iter().filter(here);
    if let Some(host) = request.host()
        && let Some(server) = by_name(&candidates().collect::<Vec<_>>(), &host)
    {
        return server;
    }
    let is_default = |server: &&Server| {
        server.listens.iter().any(|listen| listen.port == port && listen.default_server)
    };
    candidates().find(is_default).or_else(|| candidates().next()).unwrap_or(&config.servers[0])
}

/// The exact name wins, then the longest that begins with `*`, the longest that ends with it, the
/// first expression.
fn by_name<'a>(servers: &[&'a Server], host: &str) -> Option<&'a Server> {
    let best = |fits: &dyn Fn(&Name) -> Option<usize>| {
        let fitting = servers.iter().enumerate().filter_map(|(order, server)| {
            let length = server.names.iter().filter_map(fits).max()?;
            Some((length, std::cmp::Reverse(order), *server))
        });
        fitting.max_by_key(|(length, order, _)| (*length, *order)).map(|(.., server)| server)
    };
    let exact = |name: &Name| match name {
        Name::Exact(text) => (text == host).then_some(0),
        Name::Ending { suffix, bare: true } => (suffix[1..] == *host).then_some(0),
        _ => None,
    };
    let ending = |name: &Name| match name {
        Name::Ending { suffix, .. } => {
            (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len())
        }
        _ => None,
    };
    let beginning = |name: &Name| match name {
        Name::Beginning(prefix) => {
            (host.len() > prefix.len() && host.starts_with(prefix)).then_some(prefix.len())
        }
        _ => None,
    };
    let expression = |name: &Name| match name {
        Name::Expression(it) => it.regexp.is_match(host.as_bytes()).unwrap_or(false).then_some(0),
        _ => None,
    };
    best(&exact)
        .or_else(|| best(&ending))
        .or_else(|| best(&beginning))
        .or_else(|| best(&expression))
}

/// A server's name as it was written, or nearly so.
pub(super) fn name_text(name: &Name) -> String {
    match name {
        Name::Exact(text) => text.clone(),
        Name::Ending { suffix, bare } => format!("{}{suffix}", if *bare { "" } else { "*" }),
        Name::Beginning(prefix) => format!("{prefix}*"),
        Name::Expression(expression) => format!("~{}", expression.text),
    }
}

/// The location of a path: an exact one; else the longest prefix, unless an expression matches and
/// that prefix does not forbid it. Puts the expression's groups into `groups`.
pub(super) fn location<'a>(
    locations: &'a [Location],
    uri: &str,
    groups: &mut Vec<String>,
) -> Option<&'a Location> {
    let exact =
        |location: &&Location| matches!(&location.matcher, Matcher::Exact(path) if path == uri);
    if let Some(location) = locations.iter().find(exact) {
        return Some(location);
    }
    let prefix = |location: &'a Location| match &location.matcher {
        Matcher::Prefix { prefix, final_ } if uri.starts_with(prefix.as_str()) => {
            Some((prefix.len(), *final_, location))
        }
        _ => None,
    };
    let longest = locations.iter().filter_map(prefix).max_by_key(|(length, ..)| *length);
    if let Some((_, _, location)) = longest
        && let Some(inner) = self::location(&location.nested, uri, groups)
    {
        return Some(inner);
    }
    if !longest.is_some_and(|(_, is_final, _)| is_final)
        && let Some(location) = locations.iter().find(|location| is_match(location, uri, groups))
    {
        return self::location(&location.nested, uri, groups).or(Some(location));
    }
    longest.map(|(.., location)| location)
}

fn is_match(location: &Location, uri: &str, groups: &mut Vec<String>) -> bool {
    let Matcher::Expression(expression) = &location.matcher else { return false };
    let mut captures = Captures::default();
    if !expression.regexp.find_at(uri.as_bytes(), 0, &mut captures).unwrap_or(false) {
        return false;
    }
    let group = |n| captures.get(n).and_then(|(start, end)| uri.get(start..end));
    *groups =
        (1..=expression.regexp.groups()).map(|n| group(n).unwrap_or_default().to_owned()).collect();
    true
}

pub(super) fn named<'a>(locations: &'a [Location], name: &str) -> Option<&'a Location> {
    let is_it =
        |location: &&Location| matches!(&location.matcher, Matcher::Named(other) if other == name);
    locations.iter().find(is_it)
}

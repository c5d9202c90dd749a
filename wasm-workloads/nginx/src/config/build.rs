//! What the directives mean together: `http`, `server`, `location`, `upstream`.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::listen::{expression_of, listen, name};
use super::settings::{Format, Formats, Sink, error_log, formats};
use super::tree::Directive;
use super::{
    Fault, Listen, Location, Matcher, Name, Otherwise, ProxyPass, Return, Server, Settings,
    Template, TryFiles,
};

/// Outside of `http`: they tune processes that are not there.
const MAIN_WITHOUT_EFFECT: &[&str] = &[
    "daemon",
    "env",
    "lock_file",
    "master_process",
    "pcre_jit",
    "pid",
    "thread_pool",
    "timer_resolution",
    "user",
    "worker_cpu_affinity",
    "worker_priority",
    "worker_processes",
    "worker_rlimit_core",
    "worker_rlimit_nofile",
    "worker_shutdown_timeout",
    "working_directory",
];

const EVENTS: &[&str] = &[
    "accept_mutex",
    "accept_mutex_delay",
    "multi_accept",
    "use",
    "worker_aio_requests",
    "worker_connections",
];

/// In `http`, `server` and `location`: they tune sockets and buffers, which are the host's, or ask
/// for compression, which a server may leave out.
const WITHOUT_EFFECT: &[&str] = &[
    "aio",
    "chunked_transfer_encoding",
    "client_body_buffer_size",
    "client_body_in_file_only",
    "client_body_temp_path",
    "client_body_timeout",
    "client_header_buffer_size",
    "client_header_timeout",
    "connection_pool_size",
    "directio",
    "gzip",
    "gzip_buffers",
    "gzip_comp_level",
    "gzip_disable",
    "gzip_http_version",
    "gzip_min_length",
    "gzip_proxied",
    "gzip_static",
    "gzip_types",
    "gzip_vary",
    "http2",
    "ignore_invalid_headers",
    "keepalive_disable",
    "keepalive_requests",
    "keepalive_time",
    "keepalive_timeout",
    "large_client_header_buffers",
    "lingering_close",
    "lingering_time",
    "lingering_timeout",
    "log_subrequest",
    "max_ranges",
    "merge_slashes",
    "msie_padding",
    "msie_refresh",
    "open_file_cache",
    "open_file_cache_errors",
    "open_file_cache_min_uses",
    "open_file_cache_valid",
    "open_log_file_cache",
    "output_buffers",
    "postpone_output",
    "proxy_buffer_size",
    "proxy_buffering",
    "proxy_buffers",
    "proxy_busy_buffers_size",
    "proxy_headers_hash_bucket_size",
    "proxy_headers_hash_max_size",
    "proxy_http_version",
    "proxy_max_temp_file_size",
    "proxy_request_buffering",
    "proxy_send_timeout",
    "proxy_socket_keepalive",
    "proxy_temp_path",
    "read_ahead",
    "request_pool_size",
    "reset_timedout_connection",
    "resolver",
    "resolver_timeout",
    "send_lowat",
    "send_timeout",
    "sendfile",
    "sendfile_max_chunk",
    "server_name_in_redirect",
    "server_names_hash_bucket_size",
    "server_names_hash_max_size",
    "server_tokens",
    "tcp_nodelay",
    "tcp_nopush",
    "types_hash_bucket_size",
    "types_hash_max_size",
    "underscores_in_headers",
    "variables_hash_bucket_size",
    "variables_hash_max_size",
];

/// Known, but elsewhere.
const ELSEWHERE: &[&str] = &[
    "alias",
    "events",
    "http",
    "internal",
    "listen",
    "location",
    "log_format",
    "proxy_pass",
    "return",
    "root",
    "server",
    "server_name",
    "try_files",
    "upstream",
];

/// Checks directives of the command line, none of which has an effect.
pub(super) fn check_globals(directives: &[Directive]) -> Result<(), Fault> {
    let known = |name: &str| name == "error_log" || MAIN_WITHOUT_EFFECT.contains(&name);
    match directives.iter().find(|directive| !known(&directive.name)) {
        Some(other) => Err(misplaced(other)),
        None => Ok(()),
    }
}

/// The servers, and where errors outside of all requests go.
pub(super) fn servers(directives: &[Directive], path: &str) -> Result<(Vec<Server>, Sink), Fault> {
    let mut config = None;
    let mut error_log_sink = None;
    let mut events = false;
    for directive in directives {
        match directive.name.as_str() {
            "http" if config.is_some() => return Err(duplicate(directive)),
            "http" => config = Some(http(block(directive)?)?),
            "events" => {
                events = true;
                check_events(block(directive)?)?;
            }
            "error_log" => error_log_sink = Some(error_log(directive)?),
            known if MAIN_WITHOUT_EFFECT.contains(&known) => {}
            _ => return Err(misplaced(directive)),
        }
    }
    if !events {
        return Err(Fault("no \"events\" section in configuration".to_owned()));
    }
    let error_log = error_log_sink.unwrap_or_else(|| Sink::of("/var/log/nginx/error.log"));
    let servers = config.unwrap_or_default();
    if servers.is_empty() {
        return Err(Fault(format!(
            "no \"server\" in the configuration file {path}: nothing to serve"
        )));
    }
    check_defaults(&servers)?;
    Ok((servers, error_log))
}

fn check_events(directives: &[Directive]) -> Result<(), Fault> {
    match directives.iter().find(|directive| !EVENTS.contains(&directive.name.as_str())) {
        Some(other) => Err(misplaced(other)),
        None => Ok(()),
    }
}

/// Of one port, one server is the default.
fn check_defaults(servers: &[Server]) -> Result<(), Fault> {
    let mut ports = BTreeSet::new();
    let listens = servers.iter().flat_map(|server| &server.listens);
    match listens.filter(|listen| listen.default_server).find(|listen| !ports.insert(listen.port)) {
        Some(listen) => {
            Err(Fault(format!("a duplicate default server for 0.0.0.0:{}", listen.port)))
        }
        None => Ok(()),
    }
}

fn block(directive: &Directive) -> Result<&[Directive], Fault> {
    let missing =
        || directive.fault(&format!("directive \"{}\" has no opening \"{{\"", directive.name));
    directive.block.as_deref().ok_or_else(missing)
}

fn duplicate(directive: &Directive) -> Fault {
    directive.fault(&format!("\"{}\" directive is duplicate", directive.name))
}

/// The fault of a directive that this place does not know.
fn misplaced(directive: &Directive) -> Fault {
    let name = directive.name.as_str();
    let known = [MAIN_WITHOUT_EFFECT, EVENTS, WITHOUT_EFFECT, ELSEWHERE];
    if known.iter().any(|names| names.contains(&name)) {
        return directive.fault(&format!("\"{name}\" directive is not allowed here"));
    }
    directive.fault(&format!("unknown directive \"{name}\""))
}

type Upstreams = HashMap<String, Vec<String>>;

/// What is said once for all servers.
struct Shared {
    formats: Formats,
    upstreams: Upstreams,
}

fn http(directives: &[Directive]) -> Result<Vec<Server>, Fault> {
    let mut shared = Shared { formats: formats(), upstreams: Upstreams::new() };
    for directive in directives {
        match directive.name.as_str() {
            "log_format" => log_format(directive, &mut shared.formats)?,
            "upstream" => upstream(directive, &mut shared.upstreams)?,
            _ => {}
        }
    }
    let mut settings = Settings::new(&shared.formats);
    let mut seen = BTreeSet::new();
    let mut servers = Vec::new();
    for directive in directives {
        match directive.name.as_str() {
            "log_format" | "upstream" => {}
            "server" => servers.push(directive),
            _ => common(directive, &mut settings, &mut seen, &shared)?,
        }
    }
    let servers =
        servers.into_iter().map(|directive| server(block(directive)?, &settings, &shared));
    servers.collect()
}

/// A directive that all three kinds of block may have.
fn common(
    directive: &Directive,
    settings: &mut Settings,
    seen: &mut BTreeSet<String>,
    shared: &Shared,
) -> Result<(), Fault> {
    let without_effect = WITHOUT_EFFECT.contains(&directive.name.as_str());
    if without_effect || settings.take(directive, seen, &shared.formats)? {
        return match directive.block {
            Some(_) if directive.name != "types" => {
                let name = &directive.name;
                Err(directive.fault(&format!("directive \"{name}\" is not terminated by \";\"")))
            }
            _ => Ok(()),
        };
    }
    Err(misplaced(directive))
}

fn log_format(directive: &Directive, formats: &mut Formats) -> Result<(), Fault> {
    let [name, texts @ ..] = directive.between(2, usize::MAX)? else {
        return Err(directive.wrong_count());
    };
    let json = texts[0] == "escape=json";
    let skip = usize::from(texts[0].starts_with("escape="));
    let template = Template::parse(&texts[skip..].concat(), &directive.at)?;
    if formats.insert(name.clone(), Rc::new(Format { template, json })).is_some() {
        return Err(directive.fault(&format!("duplicate \"log_format\" name \"{name}\"")));
    }
    Ok(())
}

/// `weight` and its like are not: every server has its turn.
fn upstream(directive: &Directive, upstreams: &mut Upstreams) -> Result<(), Fault> {
    let mut servers = Vec::new();
    for line in block(directive)? {
        match (line.name.as_str(), &line.args[..]) {
            ("server", [address]) if !address.starts_with("unix:") => servers.push(address.clone()),
            ("server", [_, parameter, ..]) => {
                return Err(line.fault(&format!("invalid parameter \"{parameter}\"")));
            }
            ("keepalive" | "keepalive_timeout" | "keepalive_requests" | "zone", _) => {}
            ("server", _) => return Err(line.wrong_count()),
            _ => return Err(misplaced(line)),
        }
    }
    if servers.is_empty() {
        return Err(directive.fault("no servers are inside upstream"));
    }
    let name = directive.one()?;
    if upstreams.insert(name.to_owned(), servers).is_some() {
        return Err(directive.fault(&format!("duplicate upstream \"{name}\"")));
    }
    Ok(())
}

fn server(directives: &[Directive], around: &Settings, shared: &Shared) -> Result<Server, Fault> {
    let mut settings = around.clone();
    let mut seen = BTreeSet::new();
    let mut listens = Vec::new();
    let mut names = Vec::new();
    let mut rule = None;
    let mut locations = Vec::new();
    for directive in directives {
        match directive.name.as_str() {
            "listen" => {
                let listen = listen(directive)?;
                // `listen 80` and `listen [::]:80` are the same Pod's port.
                match listens.iter_mut().find(|other: &&mut Listen| other.port == listen.port) {
                    Some(other) => other.default_server |= listen.default_server,
                    None => listens.push(listen),
                }
            }
            "server_name" => {
                for text in directive.between(1, usize::MAX)? {
                    names.push(name(directive, text)?);
                }
            }
            "return" => rule = rule.or(Some(rule_of(directive)?)),
            "location" => locations.push(directive),
            _ => common(directive, &mut settings, &mut seen, shared)?,
        }
    }
    if listens.is_empty() {
        listens.push(Listen { port: 80, default_server: false });
    }
    if names.is_empty() {
        names.push(Name::Exact(String::new()));
    }
    let locations = self::locations(&locations, &settings, shared)?;
    Ok(Server { listens, names, settings: Rc::new(settings), rule, locations })
}

fn locations(
    directives: &[&Directive],
    around: &Settings,
    shared: &Shared,
) -> Result<Vec<Location>, Fault> {
    let mut written = BTreeSet::new();
    let mut locations = Vec::with_capacity(directives.len());
    for directive in directives {
        let location = location(directive, around, shared)?;
        let (kind, text) = match &location.matcher {
            Matcher::Exact(path) => ("=", path),
            Matcher::Prefix { prefix, .. } => ("", prefix),
            Matcher::Named(name) => ("@", name),
            Matcher::Expression(expression) => ("~", &expression.text),
        };
        if kind != "~" && !written.insert((kind, text.clone())) {
            return Err(directive.fault(&format!("duplicate location \"{text}\"")));
        }
        locations.push(location);
    }
    Ok(locations)
}

fn location(directive: &Directive, around: &Settings, shared: &Shared) -> Result<Location, Fault> {
    let matcher = matcher(directive)?;
    let mut settings = around.clone();
    let mut seen = BTreeSet::new();
    let (mut rule, mut try_files, mut proxy) = (None, None, None);
    let (mut internal, mut nested) = (false, Vec::new());
    for directive in block(directive)? {
        match directive.name.as_str() {
            "return" => rule = rule.or(Some(rule_of(directive)?)),
            "try_files" if try_files.is_some() => return Err(duplicate(directive)),
            "try_files" => try_files = Some(try_files_of(directive)?),
            "proxy_pass" if proxy.is_some() => return Err(duplicate(directive)),
            "proxy_pass" => proxy = Some(Rc::new(proxy_pass(directive, &matcher, shared)?)),
            "internal" => internal = true,
            "location" => nested.push(directive),
            "alias" if seen.contains("root") => return Err(duplicate(directive)),
            "root" if seen.contains("alias") => return Err(duplicate(directive)),
            _ => common(directive, &mut settings, &mut seen, shared)?,
        }
    }
    if seen.contains("alias") {
        settings.alias = match &matcher {
            Matcher::Exact(path) | Matcher::Prefix { prefix: path, .. } => path.len(),
            Matcher::Expression(_) | Matcher::Named(_) => {
                let what = "\"alias\" in a location given by a regular expression is not supported";
                return Err(directive.fault(what));
            }
        };
    }
    let nested = locations(&nested, &settings, shared)?;
    let settings = Rc::new(settings);
    Ok(Location { matcher, settings, rule, try_files, proxy, internal, nested })
}

fn matcher(directive: &Directive) -> Result<Matcher, Fault> {
    let (modifier, text) = match &directive.args[..] {
        [modifier, text] => (modifier.as_str(), text),
        // `location =/x`, as some write it.
        [text] => match text.strip_prefix('=') {
            Some(path) => return Ok(Matcher::Exact(path.to_owned())),
            None => ("", text),
        },
        _ => return Err(directive.wrong_count()),
    };
    Ok(match modifier {
        "" if text.starts_with('@') => Matcher::Named(text.clone()),
        "" => Matcher::Prefix { prefix: text.clone(), final_: false },
        "^~" => Matcher::Prefix { prefix: text.clone(), final_: true },
        "=" => Matcher::Exact(text.clone()),
        "~" => Matcher::Expression(Box::new(expression_of(directive, text, false)?)),
        "~*" => Matcher::Expression(Box::new(expression_of(directive, text, true)?)),
        other => return Err(directive.fault(&format!("invalid location modifier \"{other}\""))),
    })
}

fn rule_of(directive: &Directive) -> Result<Return, Fault> {
    let args = directive.between(1, 2)?;
    let template = |text: &String| Template::parse(text, &directive.at);
    let invalid = |text: &String| directive.fault(&format!("invalid return code \"{text}\""));
    match args {
        [only]
            if only.starts_with("http://")
                || only.starts_with("https://")
                || only.starts_with('$') =>
        {
            Ok(Return { status: 302, text: Some(template(only)?) })
        }
        [status, text @ ..] => {
            let number = status.parse().ok().filter(|status| *status <= 999);
            let text = text.first().map(template).transpose()?;
            Ok(Return { status: number.ok_or_else(|| invalid(status))?, text })
        }
        [] => Err(directive.wrong_count()),
    }
}

fn try_files_of(directive: &Directive) -> Result<TryFiles, Fault> {
    let [files @ .., last] = directive.between(2, usize::MAX)? else {
        return Err(directive.wrong_count());
    };
    let template = |text: &String| Template::parse(text, &directive.at);
    let files = files.iter().map(template).collect::<Result<_, _>>()?;
    let otherwise = match last.strip_prefix('=') {
        Some(status) => {
            let invalid = |_| directive.fault(&format!("invalid code \"{status}\""));
            Otherwise::Status(status.parse().map_err(invalid)?)
        }
        None => Otherwise::Redirect(template(last)?),
    };
    Ok(TryFiles { files, otherwise })
}

fn proxy_pass(
    directive: &Directive,
    matcher: &Matcher,
    shared: &Shared,
) -> Result<ProxyPass, Fault> {
    let url = directive.one()?;
    let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(directive.fault("invalid URL prefix")),
    };
    let (authority, uri) = match rest.find('/') {
        Some(slash) => (&rest[..slash], Some(&rest[slash..])),
        None => (rest, None),
    };
    if authority.is_empty() {
        return Err(directive.fault(&format!("no host in upstream \"{rest}\"")));
    }
    let by_prefix = matches!(matcher, Matcher::Prefix { .. } | Matcher::Exact(_));
    if uri.is_some() && !by_prefix && !rest.contains('$') {
        return Err(directive.fault(
            "\"proxy_pass\" cannot have URI part in location given by regular expression, \
             or inside named location, or inside \"if\" statement, or inside \"limit_except\" block",
        ));
    }
    let template = |text: &str| Template::parse(text, &directive.at);
    let upstream = shared.upstreams.get(authority).cloned().unwrap_or_default();
    let uri = uri.map(template).transpose()?;
    Ok(ProxyPass { tls, authority: template(authority)?, uri, upstream })
}

//! `listen` and `server_name`.

use std::rc::Rc;

use sampan_regexp::{Regexp, Syntax};

use super::tree::Directive;
use super::{Expression, Fault, Listen, Name};

/// Parameters without effect: the host owns the sockets.
const TUNING: &[&str] = &["bind", "deferred", "http2", "reuseport", "default"];
const TUNING_VALUES: &[&str] = &[
    "backlog=",
    "rcvbuf=",
    "sndbuf=",
    "fastopen=",
    "ipv6only=",
    "so_keepalive=",
    "setfib=",
    "accept_filter=",
];

pub(super) fn listen(directive: &Directive) -> Result<Listen, Fault> {
    let [address, parameters @ ..] = &directive.args[..] else {
        return Err(directive.wrong_count());
    };
    let port = port(directive, address)?;
    let mut listen = Listen { port, default_server: false };
    for parameter in parameters {
        match parameter.as_str() {
            "default_server" | "default" => listen.default_server = true,
            "ssl" => {
                return Err(directive.fault(
                    "the \"ssl\" parameter is not supported: TLS ends before sampan's nginx",
                ));
            }
            known if TUNING.contains(&known) => {}
            known if TUNING_VALUES.iter().any(|value| known.starts_with(value)) => {}
            other => return Err(directive.fault(&format!("invalid parameter \"{other}\""))),
        }
    }
    Ok(listen)
}

fn port(directive: &Directive, address: &str) -> Result<u16, Fault> {
    if address.starts_with("unix:") {
        return Err(directive.fault("unix domain sockets are not supported"));
    }
    let (host, port) = match address.rsplit_once(':') {
        // `[::]`, without a port.
        _ if address.ends_with(']') => (address, "80"),
        Some((host, port)) => (host, port),
        None if address.bytes().all(|b| b.is_ascii_digit()) => ("*", address),
        None => (address, "80"),
    };
    if !matches!(host, "*" | "0.0.0.0" | "[::]") {
        return Err(directive.fault(&format!(
            "listening on one address is not supported (\"{address}\"): say \"listen {port}\", which is the Pod's"
        )));
    }
    port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
        directive.fault(&format!("invalid port in \"{address}\" of the \"listen\" directive"))
    })
}

pub(super) fn name(directive: &Directive, text: &str) -> Result<Name, Fault> {
    if let Some(expression) = text.strip_prefix('~') {
        // Names are compared in lower case.
        return expression_of(directive, expression, true).map(|it| Name::Expression(Rc::new(it)));
    }
    let name = text.to_ascii_lowercase();
    let invalid = || directive.fault(&format!("invalid server name or wildcard \"{text}\""));
    let found = if let Some(rest) = name.strip_prefix("*.") {
        Name::Ending { suffix: format!(".{rest}"), bare: false }
    } else if let Some(rest) = name.strip_prefix('.') {
        Name::Ending { suffix: format!(".{rest}"), bare: true }
    } else if let Some(rest) = name.strip_suffix(".*") {
        Name::Beginning(format!("{rest}."))
    } else if name == "$hostname" {
        Name::Exact(crate::hostname().to_ascii_lowercase())
    } else {
        Name::Exact(name)
    };
    let rest = match &found {
        Name::Exact(text) | Name::Beginning(text) | Name::Ending { suffix: text, .. } => text,
        Name::Expression(_) => "",
    };
    if rest.contains('*') || rest.contains('/') { Err(invalid()) } else { Ok(found) }
}

/// Compiles an expression; what POSIX reads in another way than Perl does is refused.
pub(super) fn expression_of(
    directive: &Directive,
    text: &str,
    fold: bool,
) -> Result<Expression, Fault> {
    if let Some(perl) = perl(text) {
        return Err(directive.fault(&format!(
            "\"{perl}\" in \"{text}\": expressions are POSIX's extended ones here, not Perl's"
        )));
    }
    // Outside of brackets, `\/` is `/` to both.
    let posix = text.replace("\\/", "/").replace("\\-", "-");
    let regexp = Regexp::new(&posix, Syntax { extended: true, fold, bracket_escapes: true });
    let regexp = regexp
        .map_err(|error| directive.fault(&format!("\"{text}\": {}", error.to_lowercase())))?;
    Ok(Expression { text: text.to_owned(), regexp })
}

/// What of an expression only Perl knows.
fn perl(text: &str) -> Option<&'static str> {
    const ONLY_PERLS: &[&str] = &["(?", "*?", "+?", "??", "}?", "\\d", "\\D", "\\A", "\\z", "\\Z"];
    ONLY_PERLS.iter().copied().find(|perl| text.contains(perl))
}

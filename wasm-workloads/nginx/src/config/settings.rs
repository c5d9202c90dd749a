//! What `http`, `server` and `location` blocks can say alike, and inherit from the one around them.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::tree::Directive;
use super::values::milliseconds;
use super::{At, Fault, Template};
use crate::files;

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) root: Template,
    /// `root` stands for so many bytes of the path, which the location matched.
    pub(crate) alias: usize,
    pub(crate) index: Vec<String>,
    /// Content types by the ends of files' names.
    pub(crate) types: Rc<HashMap<String, String>>,
    pub(crate) default_type: String,
    pub(crate) charset: Option<String>,
    pub(crate) error_pages: Vec<ErrorPage>,
    pub(crate) add_headers: Vec<Header>,
    pub(crate) expires: Option<Expires>,
    pub(crate) autoindex: bool,
    pub(crate) etag: bool,
    pub(crate) absolute_redirect: bool,
    pub(crate) port_in_redirect: bool,
    pub(crate) access_logs: Vec<Log>,
    pub(crate) error_log: Sink,
    pub(crate) log_not_found: bool,
    /// 0 is no bound.
    pub(crate) body_bytes_max: u64,
    /// `proxy_set_header`, beside nginx's own `Host` and `Connection`.
    pub(crate) proxy_headers: Vec<(String, Template)>,
    pub(crate) proxy_redirect: bool,
    pub(crate) proxy_connect_ms: u64,
    pub(crate) proxy_read_ms: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct ErrorPage {
    pub(crate) statuses: Vec<u16>,
    /// `=200`; 0 is `=`, the page's own.
    pub(crate) answer: Option<u16>,
    pub(crate) page: Template,
}

#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) value: Template,
    pub(crate) always: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Expires {
    Epoch,
    Max,
    Seconds(i64),
}

#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) sink: Sink,
    pub(crate) format: Rc<Format>,
}

/// `log_format`: its variables are escaped as `escape=default` has it.
#[derive(Debug)]
pub(crate) struct Format {
    pub(crate) template: Template,
    pub(crate) json: bool,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sink {
    Off,
    Stdout,
    Stderr,
    File(String),
}

const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" \
                        $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// Of a whole `http` block.
pub(super) type Formats = HashMap<String, Rc<Format>>;

/// nginx's `combined`, which is always there.
pub(super) fn formats() -> Formats {
    let at = At { file: "".into(), line: 0 };
    let template = Template::parse(COMBINED, &at).unwrap_or_default();
    HashMap::from([("combined".to_owned(), Rc::new(Format { template, json: false }))])
}

impl Settings {
    /// nginx's defaults, with its usual places.
    pub(super) fn new(formats: &Formats) -> Self {
        let types = [("html", "text/html"), ("gif", "image/gif"), ("jpg", "image/jpeg")];
        let types = types.map(|(end, name)| (end.to_owned(), name.to_owned()));
        let log = |format: &Rc<Format>| Log {
            sink: Sink::of("/var/log/nginx/access.log"),
            format: format.clone(),
        };
        Self {
            root: Template::text("/etc/nginx/html"),
            alias: 0,
            index: vec!["index.html".to_owned()],
            types: Rc::new(types.into()),
            default_type: "text/plain".to_owned(),
            charset: None,
            error_pages: Vec::new(),
            add_headers: Vec::new(),
            expires: None,
            autoindex: false,
            etag: true,
            absolute_redirect: true,
            port_in_redirect: true,
            access_logs: formats.get("combined").map(log).into_iter().collect(),
            error_log: Sink::of("/var/log/nginx/error.log"),
            log_not_found: true,
            body_bytes_max: 1 << 20,
            proxy_headers: Vec::new(),
            proxy_redirect: true,
            proxy_connect_ms: 60_000,
            proxy_read_ms: 60_000,
        }
    }

    /// Takes a directive of this kind; whether it is one. `seen` has the names that this block said
    /// before: the first of a list drops what was inherited, the second of a value is a mistake.
    pub(super) fn take(
        &mut self,
        directive: &Directive,
        seen: &mut BTreeSet<String>,
        formats: &Formats,
    ) -> Result<bool, Fault> {
        let first = !seen.contains(&directive.name);
        if !self.take_list(directive, first, formats)? && !self.take_value(directive)? {
            return Ok(false);
        }
        let is_list = matches!(
            directive.name.as_str(),
            "access_log"
                | "add_header"
                | "error_page"
                | "index"
                | "proxy_set_header"
                | "proxy_redirect"
        );
        if !first && !is_list {
            return Err(directive.fault(&format!("\"{}\" directive is duplicate", directive.name)));
        }
        seen.insert(directive.name.clone());
        Ok(true)
    }

    fn take_value(&mut self, directive: &Directive) -> Result<bool, Fault> {
        match directive.name.as_str() {
            "root" | "alias" => {
                let path = directive.one()?;
                self.root = Template::parse(&absolute(path), &directive.at)?;
                self.alias = 0;
            }
            "default_type" => self.default_type = directive.one()?.to_owned(),
            "charset" => {
                let name = directive.one()?;
                self.charset = (name != "off").then(|| name.to_owned());
            }
            "types" => self.types = Rc::new(types(directive)?),
            "expires" => self.expires = expires(directive)?,
            "autoindex" => self.autoindex = directive.flag()?,
            "etag" => self.etag = directive.flag()?,
            "absolute_redirect" => self.absolute_redirect = directive.flag()?,
            "port_in_redirect" => self.port_in_redirect = directive.flag()?,
            "log_not_found" => self.log_not_found = directive.flag()?,
            "error_log" => self.error_log = error_log(directive)?,
            "client_max_body_size" => self.body_bytes_max = directive.size()?,
            "proxy_connect_timeout" => self.proxy_connect_ms = directive.milliseconds()?,
            "proxy_read_timeout" => self.proxy_read_ms = directive.milliseconds()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_list(
        &mut self,
        directive: &Directive,
        first: bool,
        formats: &Formats,
    ) -> Result<bool, Fault> {
        match directive.name.as_str() {
            "index" => {
                let names = directive.between(1, usize::MAX)?;
                start(&mut self.index, first).extend(names.iter().cloned());
            }
            "error_page" => start(&mut self.error_pages, first).push(error_page(directive)?),
            "add_header" => start(&mut self.add_headers, first).push(add_header(directive)?),
            "access_log" => {
                let log = access_log(directive, formats)?;
                start(&mut self.access_logs, first).extend(log);
            }
            "proxy_set_header" => {
                let [name, value] = &directive.args[..] else {
                    return Err(directive.wrong_count());
                };
                let header = (name.to_ascii_lowercase(), Template::parse(value, &directive.at)?);
                start(&mut self.proxy_headers, first).push(header);
            }
            "proxy_redirect" => match directive.one()? {
                "default" => self.proxy_redirect = true,
                "off" => self.proxy_redirect = false,
                other => {
                    let what = "is not supported: it can be \"default\" or \"off\"";
                    return Err(directive.fault(&format!("\"proxy_redirect {other}\" {what}")));
                }
            },
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn start<T>(list: &mut Vec<T>, first: bool) -> &mut Vec<T> {
    if first {
        list.clear();
    }
    list
}

/// nginx's prefix is /etc/nginx in the official image.
fn absolute(path: &str) -> String {
    if path.starts_with(['/', '$']) { path.to_owned() } else { format!("/etc/nginx/{path}") }
}

fn types(directive: &Directive) -> Result<HashMap<String, String>, Fault> {
    let Some(block) = &directive.block else {
        return Err(directive.fault("directive \"types\" has no opening \"{\""));
    };
    let mut types = HashMap::new();
    for line in block {
        for end in line.between(1, usize::MAX)? {
            types.insert(end.to_ascii_lowercase(), line.name.clone());
        }
    }
    Ok(types)
}

fn expires(directive: &Directive) -> Result<Option<Expires>, Fault> {
    let invalid = || directive.fault("invalid value in \"expires\" directive");
    Ok(match directive.one()? {
        "off" => None,
        "epoch" => Some(Expires::Epoch),
        "max" => Some(Expires::Max),
        text => {
            let (sign, time) = text.strip_prefix('-').map_or((1, text), |time| (-1, time));
            let seconds = milliseconds(time).ok_or_else(invalid)? / 1000;
            Some(Expires::Seconds(sign * i64::try_from(seconds).map_err(|_| invalid())?))
        }
    })
}

fn error_page(directive: &Directive) -> Result<ErrorPage, Fault> {
    let [statuses @ .., page] = &directive.args[..] else { return Err(directive.wrong_count()) };
    let (answer, statuses) = match statuses {
        [] => return Err(directive.wrong_count()),
        [before @ .., last] if last.starts_with('=') => {
            let text = &last[1..];
            let answer = if text.is_empty() { Ok(0) } else { text.parse() };
            let invalid = |_| directive.fault(&format!("invalid value \"{last}\""));
            (Some(answer.map_err(invalid)?), before)
        }
        all => (None, all),
    };
    let status = |text: &String| match text.parse() {
        Ok(499) | Err(_) => Err(directive.fault(&format!("invalid value \"{text}\""))),
        Ok(status @ 300..=599) => Ok(status),
        Ok(status) => {
            Err(directive.fault(&format!("value \"{status}\" must be between 300 and 599")))
        }
    };
    let statuses = statuses.iter().map(status).collect::<Result<_, _>>()?;
    Ok(ErrorPage { statuses, answer, page: Template::parse(page, &directive.at)? })
}

fn add_header(directive: &Directive) -> Result<Header, Fault> {
    let (name, value, always) = match &directive.args[..] {
        [name, value] => (name, value, false),
        [name, value, always] if always == "always" => (name, value, true),
        [_, _, other] => {
            return Err(directive.fault(&format!("invalid parameter \"{other}\"")));
        }
        _ => return Err(directive.wrong_count()),
    };
    Ok(Header {
        name: name.to_ascii_lowercase(),
        value: Template::parse(value, &directive.at)?,
        always,
    })
}

fn access_log(directive: &Directive, formats: &Formats) -> Result<Option<Log>, Fault> {
    let args = directive.between(1, 8)?;
    if args[0] == "off" {
        return Ok(None);
    }
    let named = args.get(1).filter(|arg| !arg.contains('='));
    if let Some(condition) = args.iter().find(|arg| arg.starts_with("if=")) {
        return Err(directive.fault(&format!("parameter \"{condition}\" is not supported")));
    }
    let name = named.map_or("combined", String::as_str);
    let unknown = || directive.fault(&format!("unknown log format \"{name}\""));
    let format = formats.get(name).ok_or_else(unknown)?.clone();
    Ok(Some(Log { sink: sink(directive, &args[0])?, format }))
}

pub(super) fn error_log(directive: &Directive) -> Result<Sink, Fault> {
    const LEVELS: &[&str] = &["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"];
    let args = directive.between(1, 2)?;
    if let Some(level) = args.get(1).filter(|level| !LEVELS.contains(&level.as_str())) {
        return Err(directive.fault(&format!("invalid log level \"{level}\"")));
    }
    sink(directive, &args[0])
}

fn sink(directive: &Directive, path: &str) -> Result<Sink, Fault> {
    if path.starts_with("syslog:") || path.starts_with("memory:") || path.contains('$') {
        return Err(directive.fault(&format!("a log to \"{path}\" is not supported")));
    }
    Ok(Sink::of(&if path == "stderr" { "/dev/stderr".to_owned() } else { absolute(path) }))
}

impl Sink {
    /// The two usual files are the container's streams, as in nginx's own image, unless there are
    /// such files.
    pub(crate) fn of(path: &str) -> Self {
        let target = files::link_target(path);
        let is_absent = || files::stat(path).is_err();
        match target.as_deref().unwrap_or(path) {
            "/dev/stdout" => Self::Stdout,
            "/dev/stderr" => Self::Stderr,
            "/dev/null" => Self::Off,
            "/var/log/nginx/access.log" if is_absent() => Self::Stdout,
            "/var/log/nginx/error.log" if is_absent() => Self::Stderr,
            _ => Self::File(path.to_owned()),
        }
    }
}

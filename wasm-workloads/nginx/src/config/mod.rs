//! nginx's configuration: the part of it that a server of files, a reverse proxy and their like
//! need. What is not known here is refused by name; what only tunes a process that is not there
//! (workers, sockets, buffers, compression) is taken without effect.
//!
//! `tree` reads text, `build` gives it meaning, `settings` has what a block inherits, `template` the
//! variables.

mod build;
mod listen;
mod settings;
mod template;
mod tree;
mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use sampan_regexp::Regexp;

use crate::files::{self, Failure, Kind, Stat};

pub(crate) use settings::{Expires, Settings, Sink};
pub(crate) use template::{Template, Variable};
use tree::At;

/// What is wrong with a configuration, in nginx's words: `unknown directive "x" in FILE:LINE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn fault(what: &str, at: &At) -> Fault {
    Fault(format!("{what} in {}:{}", at.file, at.line))
}

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) servers: Vec<Server>,
    /// Where errors outside of all requests go.
    pub(crate) error_log: Sink,
    /// What it was read from, as that was.
    sources: Vec<(String, Result<Stat, Failure>)>,
}

impl Config {
    /// Its files as they are now are not what it was read from.
    pub(crate) fn is_outdated(&self) -> bool {
        self.sources.iter().any(|(path, then)| files::stat(path) != *then)
    }

    /// The files it was read from, the first one first.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        let is_file = |stat: &Stat| stat.kind == Kind::File;
        let files = self.sources.iter().filter(move |(_, stat)| stat.as_ref().is_ok_and(is_file));
        files.map(|(path, _)| path.as_str())
    }

    /// Every port that a server listens on, in order.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let listens = self.servers.iter().flat_map(|server| &server.listens);
        listens.map(|listen| listen.port).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A `server` block.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) listens: Vec<Listen>,
    pub(crate) names: Vec<Name>,
    pub(crate) settings: Rc<Settings>,
    pub(crate) rule: Option<Return>,
    pub(crate) locations: Vec<Location>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) port: u16,
    pub(crate) default_server: bool,
}

/// What `server_name` says; in lower case.
#[derive(Debug)]
pub(crate) enum Name {
    Exact(String),
    /// `*.example.com` and `.example.com`, as `.example.com`; with the second, the bare name too.
    Ending {
        suffix: String,
        bare: bool,
    },
    /// `www.example.*`, as `www.example.`.
    Beginning(String),
    Expression(Rc<Expression>),
}

#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) text: String,
    pub(crate) regexp: Regexp,
}

#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) matcher: Matcher,
    pub(crate) settings: Rc<Settings>,
    pub(crate) rule: Option<Return>,
    pub(crate) try_files: Option<TryFiles>,
    pub(crate) proxy: Option<Rc<ProxyPass>>,
    /// For requests that begin inside only: error pages and the like.
    pub(crate) internal: bool,
    pub(crate) nested: Vec<Location>,
}

#[derive(Debug)]
pub(crate) enum Matcher {
    Exact(String),
    /// With `^~`, no expression is tried after it.
    Prefix {
        prefix: String,
        final_: bool,
    },
    Expression(Box<Expression>),
    /// `@name`
    Named(String),
}

/// `return`
#[derive(Debug)]
pub(crate) struct Return {
    pub(crate) status: u16,
    /// The text, or for a redirect's status where to.
    pub(crate) text: Option<Template>,
}

#[derive(Debug)]
pub(crate) struct TryFiles {
    /// One with a slash at its end asks for a directory.
    pub(crate) files: Vec<Template>,
    pub(crate) otherwise: Otherwise,
}

#[derive(Debug)]
pub(crate) enum Otherwise {
    Status(u16),
    /// An address here, or `@name`.
    Redirect(Template),
}

/// `proxy_pass`
#[derive(Debug)]
pub(crate) struct ProxyPass {
    pub(crate) tls: bool,
    pub(crate) authority: Template,
    /// What stands for the part of the request's path that the location matched.
    pub(crate) uri: Option<Template>,
    /// Every server of the `upstream` block that `authority` names; none if it names a host.
    pub(crate) upstream: Vec<String>,
}

/// Reads a configuration from its file on; `globals` are directives from the command line.
///
/// # Errors
/// The first fault, in nginx's words.
pub(crate) fn read(path: &str, globals: &str) -> Result<Config, Fault> {
    build::check_globals(&tree::parse(globals)?)?;
    let tree = tree::read(path)?;
    let (servers, error_log) = build::servers(&tree.directives, path)?;
    let state = |path: String| {
        let stat = files::stat(&path);
        (path, stat)
    };
    Ok(Config { servers, error_log, sources: tree.sources.into_iter().map(state).collect() })
}

#[cfg(test)]
mod tests;

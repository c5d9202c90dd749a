//! From a request to an answer: which server, which location, which file. The answer is data; who
//! sends it, and asks other servers, is `server`.
//!
//! ```text
//! uri ──> location ──> return ──> try_files ──> proxy_pass | index | file
//!  ^                                                │
//!  └──────────── another uri (index, error_page) ───┘   at most URIS_MAX times
//! ```

mod autoindex;
mod conditional;
mod content;
mod locate;
mod pages;
mod proxy;
mod value;

use std::rc::Rc;

use crate::config::{Config, Location, Otherwise, Return, Server, Settings, Template};
use crate::files::{File, Kind, Stat};
use crate::request::{Request, normal_path};

pub(crate) use proxy::Forward;

/// Bound: nginx's NGX_HTTP_MAX_URI_CHANGES.
const URIS_MAX: usize = 10;

/// What to send.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    None,
    /// So many bytes that nobody wants: the answer to HEAD.
    Unread(u64),
    Bytes(Rc<[u8]>),
    File {
        file: File,
        offset: u64,
        bytes: u64,
    },
    /// Ask this, and send what it answers.
    Forward(Box<Forward>),
    /// `return 444`: nothing at all.
    Close,
}

/// A request on its way; afterwards, what its log line is made of.
pub(crate) struct Visit<'a> {
    pub(crate) request: &'a Request,
    server: &'a Server,
    location: Option<&'a Location>,
    settings: Rc<Settings>,
    uri: String,
    args: String,
    /// What a location's expression matched.
    groups: Vec<String>,
    /// The status of the error whose page is looked for.
    error: Option<u16>,
    /// It is an error's page, or an index: an `internal` location may have it.
    internal: bool,
    /// An error's page is asked for by GET.
    is_get: bool,
    uris: usize,
    /// What was last looked at, so that an index is not looked at twice.
    known: Option<(String, Stat)>,
    /// Of the answer, for its log line.
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
    sent: Vec<(String, String)>,
    /// Lines for the error log.
    pub(crate) errors: Vec<String>,
}

/// Where a step led.
enum Step {
    Answer(Answer),
    Fail(u16),
    /// Begin again with another uri, or in a named location.
    Again,
}

impl<'a> Visit<'a> {
    pub(crate) fn new(config: &'a Config, request: &'a Request) -> Self {
        let server = locate::server(config, request);
        Self {
            request,
            server,
            location: None,
            settings: server.settings.clone(),
            uri: String::new(),
            args: request.args().to_owned(),
            groups: Vec::new(),
            error: None,
            internal: false,
            is_get: false,
            uris: 0,
            known: None,
            status: 0,
            body_bytes: 0,
            sent: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Finds the answer.
    pub(crate) fn answer(&mut self) -> Answer {
        match normal_path(&self.request.target) {
            None => self.fail(400),
            Some(uri) => {
                self.uri = uri;
                self.go()
            }
        }
    }

    /// The answer after asking another server failed.
    pub(crate) fn fail(&mut self, status: u16) -> Answer {
        match self.error_page(status) {
            Some(answer) => answer,
            None => self.go(),
        }
    }

    /// Takes steps until there is an answer.
    fn go(&mut self) -> Answer {
        loop {
            if self.uris > URIS_MAX {
                self.log(format!("rewrite or internal redirection cycle to \"{}\"", self.uri));
                return self.finish(pages::answer(500));
            }
            let step = if self.uri.starts_with('@') { self.named_step() } else { self.uri_step() };
            let failed = match step {
                Step::Answer(answer) => return self.finish(answer),
                Step::Again => None,
                Step::Fail(status) => self.error_page(status),
            };
            if let Some(answer) = failed {
                return answer;
            }
        }
    }

    fn named_step(&mut self) -> Step {
        let Some(location) = locate::named(&self.server.locations, &self.uri) else {
            self.log(format!("could not find named location \"{}\"", self.uri));
            self.uris = URIS_MAX + 1;
            return Step::Fail(500);
        };
        self.uri = normal_path(&self.request.target).unwrap_or_default();
        self.enter(location);
        self.location_step()
    }

    fn enter(&mut self, location: &'a Location) {
        self.location = Some(location);
        self.settings = location.settings.clone();
    }

    fn uri_step(&mut self) -> Step {
        if let Some(rule) = &self.server.rule {
            self.settings = self.server.settings.clone();
            return self.rule(rule);
        }
        match locate::location(&self.server.locations, &self.uri, &mut self.groups) {
            Some(location) => {
                self.enter(location);
                self.location_step()
            }
            None => {
                self.location = None;
                self.settings = self.server.settings.clone();
                self.content()
            }
        }
    }

    fn location_step(&mut self) -> Step {
        let Some(location) = self.location else { return Step::Fail(500) };
        if location.internal && !self.internal {
            return Step::Fail(404);
        }
        if let Some(rule) = &location.rule {
            return self.rule(rule);
        }
        let length = self.request.header("content-length").and_then(|text| text.parse().ok());
        let max = self.settings.body_bytes_max;
        if let Some(bytes) =
            length.filter(|bytes: &u64| max != 0 && *bytes > max && self.error.is_none())
        {
            self.log(format!("client intended to send too large body: {bytes} bytes"));
            return Step::Fail(413);
        }
        if location.try_files.is_some() {
            return self.try_files(location);
        }
        self.location_content(location)
    }

    fn location_content(&mut self, location: &'a Location) -> Step {
        match &location.proxy {
            Some(proxy) => self.forward(proxy),
            None => self.content(),
        }
    }

    fn rule(&mut self, rule: &Return) -> Step {
        let text = rule.text.as_ref().map(|text| self.value(text));
        match (rule.status, text) {
            (444, _) => {
                Step::Answer(Answer { status: 444, headers: Vec::new(), body: Body::Close })
            }
            (status @ (301 | 302 | 303 | 307 | 308), Some(to)) => {
                let mut answer = pages::answer(status);
                answer.headers.push(("location".to_owned(), self.absolute(&to)));
                Step::Answer(answer)
            }
            (status, Some(text)) => Step::Answer(Answer {
                status,
                headers: vec![("content-type".to_owned(), self.content_type(&self.uri))],
                body: Body::Bytes(text.into_bytes().into()),
            }),
            (status @ 300.., None) => Step::Fail(status),
            (status, None) => Step::Answer(Answer {
                status,
                headers: Vec::new(),
                body: Body::Bytes(Rc::default()),
            }),
        }
    }

    fn try_files(&mut self, location: &'a Location) -> Step {
        let Some(try_files) = &location.try_files else { return Step::Fail(500) };
        for template in &try_files.files {
            let uri = self.value(template);
            let (uri, directory) = match uri.strip_suffix('/') {
                Some(stem) if !stem.is_empty() => (stem, true),
                _ => (&uri[..], false),
            };
            let Ok(stat) = self.stat(&self.path_of(uri)) else { continue };
            if (stat.kind == Kind::Directory) == directory {
                self.uri = if directory { format!("{uri}/") } else { uri.to_owned() };
                return self.location_content(location);
            }
        }
        match &try_files.otherwise {
            Otherwise::Status(status) => Step::Fail(*status),
            Otherwise::Redirect(template) => self.redirect_inside(template),
        }
    }

    /// Another uri here, or a named location.
    fn redirect_inside(&mut self, template: &Template) -> Step {
        let to = self.value(template);
        self.go_to(&to);
        Step::Again
    }

    fn go_to(&mut self, to: &str) {
        self.uris += 1;
        self.internal = true;
        if to.starts_with('@') {
            self.uri = to.to_owned();
            return;
        }
        let (path, args) = to.split_once('?').unwrap_or((to, ""));
        self.uri = path.to_owned();
        self.args = args.to_owned();
    }

    /// What an error is answered with; nothing if the answer is at another uri, which is set.
    fn error_page(&mut self, status: u16) -> Option<Answer> {
        let settings = self.settings.clone();
        let page = settings.error_pages.iter().find(|page| page.statuses.contains(&status));
        let Some(page) = page.filter(|_| self.error.is_none()) else {
            return Some(self.finish(pages::answer(status)));
        };
        let to = self.value(&page.page);
        if to.starts_with(['/', '@']) {
            self.error = Some(page.answer.unwrap_or(status));
            self.is_get = self.request.method != "HEAD" && !to.starts_with('@');
            self.go_to(&to);
            return None;
        }
        let redirect = page.answer.filter(|status| matches!(status, 301 | 302 | 303 | 307 | 308));
        let mut answer = pages::answer(redirect.unwrap_or(302));
        answer.headers.push(("location".to_owned(), to));
        Some(self.finish(answer))
    }

    /// The last touches: the error's status, the configured headers; a copy for the log.
    fn finish(&mut self, mut answer: Answer) -> Answer {
        if let Some(status) = self.error.filter(|status| *status != 0 && answer.status == 200) {
            answer.status = status;
        }
        self.status = answer.status;
        if !matches!(answer.body, Body::Forward(_)) {
            self.add_headers(&mut answer);
            self.describe(&mut answer);
        }
        answer
    }

    /// Headers of `add_header` and `expires`, for an answer of here or of another server.
    pub(crate) fn add_headers(&mut self, answer: &mut Answer) {
        let usual = matches!(answer.status, 200 | 201 | 204 | 206 | 301..=304 | 307 | 308);
        self.status = answer.status;
        self.sent = answer.headers.clone();
        let settings = self.settings.clone();
        if let Some(expires) = settings.expires.filter(|_| usual) {
            content::expire(&mut answer.headers, expires, self.request.at_ms / 1000);
        }
        for header in settings.add_headers.iter().filter(|header| usual || header.always) {
            let value = self.value(&header.value);
            if !value.is_empty() {
                answer.headers.push((header.name.clone(), value));
            }
        }
    }

    /// The body's length, and its absence where there must be none.
    fn describe(&self, answer: &mut Answer) {
        let bytes = match &answer.body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File { bytes, .. } | Body::Unread(bytes) => *bytes,
            _ => 0,
        };
        if !matches!(answer.status, 204 | 304) {
            answer.headers.push(("content-length".to_owned(), bytes.to_string()));
        }
        answer.headers.push(("server".to_owned(), "nginx".to_owned()));
        if self.request.method == "HEAD" || matches!(answer.status, 204 | 304) {
            answer.body = match answer.body {
                Body::Close => Body::Close,
                _ => Body::None,
            };
        }
    }

    /// A line for the error log.
    pub(crate) fn log(&mut self, what: String) {
        let server = self.server.names.first().map(locate::name_text).unwrap_or_default();
        let host = self.request.authority.as_deref().unwrap_or_default();
        let Request { client, .. } = self.request;
        let line = self.request.line();
        self.errors.push(format!(
            "{what}, client: {}, server: {server}, request: \"{line}\", host: \"{host}\"",
            client.0
        ));
    }
}

#[cfg(test)]
mod tests;

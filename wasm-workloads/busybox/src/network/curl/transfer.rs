//! One address, and where it sends us.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::data;
use super::meter::Meter;
use super::options::{Config, Target};
use super::output::Output;
use super::request::Request;
use super::trace::Trace;
use super::{
    BAD_URL, EMPTY, Failure, HTTP_ERROR, REDIRECTIONS, SHORT, TIMED_OUT, UNREAD, UNRECEIVED,
    UNSENT, UNSUPPORTED, UNWRITTEN,
};
use crate::call::{Call, reason};
use crate::network::http::{Body, BodyError, Head, HeadError, Scheme, Url, UrlError};
use crate::network::tls::Problem;
use crate::network::{Limit, is_timeout};
use crate::stream::BUFFER_BYTES;

/// What is known after a transfer.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub failure: Option<Failure>,
    pub asked: String,
    pub url: String,
    pub number: usize,
    pub method: String,
    pub referer: String,
    pub file_name: String,
    pub http_code: u16,
    pub http_version: String,
    pub content_type: String,
    pub redirection: String,
    pub redirections: usize,
    pub connections: usize,
    pub headers: usize,
    pub head_bytes: u64,
    pub request_bytes: u64,
    pub received: u64,
    pub sent: u64,
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub problem: Option<Problem>,
    pub times: Times,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    pub resolved: Duration,
    pub connected: Duration,
    pub secured: Duration,
    pub answered: Duration,
    pub redirected: Duration,
    pub total: Duration,
}

/// What lasts from one address to the next.
#[derive(Debug)]
pub struct Session<'a> {
    call: &'a Call,
    config: &'a Config,
    connection: Option<Connection>,
    connections: usize,
}

impl<'a> Session<'a> {
    pub fn new(call: &'a Call, config: &'a Config) -> Self {
        if config.verbose {
            for one in &config.resolved {
                let addresses: Vec<_> = one.addresses.iter().map(ToString::to_string).collect();
                eprintln!("* Added {}:{}:{} to DNS cache", one.host, one.port, addresses.join(","));
            }
        }
        Self { call, config, connection: None, connections: 0 }
    }

    pub fn fetch(&mut self, text: &str, number: usize) -> Report {
        let asked = text.to_owned();
        let mut report = Report { asked: asked.clone(), url: asked, number, ..Report::default() };
        let began = Instant::now();
        let fetched = parse(Url::parse(text))
            .and_then(|url| {
                let output = self.output(&url, number)?;
                Ok((output, self.upload(self.with_query(url), number)?))
            })
            .and_then(|(output, (url, upload))| {
                report.file_name = output.name.clone().unwrap_or_default();
                let limit = Limit::after(self.config.time_max);
                let wanted = !self.config.silent && !self.config.no_meter && !output.is_terminal();
                let mut transfer = Transfer {
                    config: self.config,
                    limit,
                    began,
                    trace: Trace::new(self.config, output.is_terminal()),
                    output,
                    meter: Meter::start(wanted),
                    report: &mut report,
                    session: self,
                };
                let done = transfer.follow(url, upload);
                transfer.meter.end();
                done
            });
        report.failure = fetched.err();
        report.times.total = began.elapsed();
        report
    }

    fn output(&self, url: &Url, number: usize) -> Result<Output<'a>, Failure> {
        let name = match self.config.outputs.get(number) {
            None => None,
            Some(Target::File(name)) if name == "-" => None,
            Some(Target::File(name)) => Some(name.clone()),
            Some(Target::RemoteName) => match url.file_name(false) {
                "" => {
                    if !self.config.silent {
                        eprintln!("curl: Remote file name has no length!");
                    }
                    let why = "Failed writing received data to disk/application";
                    return Err(Failure::new(UNWRITTEN, why));
                }
                name => Some(name.to_owned()),
            },
        };
        let in_directory = |name: String| match &self.config.output_directory {
            Some(directory) => format!("{}/{name}", directory.trim_end_matches('/')),
            None => name,
        };
        Ok(Output::new(self.call, self.config.silent, name.map(in_directory)))
    }

    /// `-G`
    fn with_query(&self, mut url: Url) -> Url {
        if let Some(data) = self.config.data.as_ref().filter(|_| self.config.data_in_url) {
            url.target.push(if url.target.contains('?') { '&' } else { '?' });
            url.target += &String::from_utf8_lossy(&data.bytes);
        }
        url
    }

    /// `-T`: the file's content; an address without a file's name is given it.
    fn upload(&self, mut url: Url, number: usize) -> Result<(Url, Option<Vec<u8>>), Failure> {
        let Some(name) = self.config.uploads.get(number) else { return Ok((url, None)) };
        if url.target.ends_with('/') && name != "-" && name != "." {
            url.target += name.rsplit('/').next().unwrap_or(name);
        }
        let source = if name == "." { "-" } else { name };
        let content = data::read(self.call, source).map_err(|_| {
            eprintln!("curl: Can't open '{name}'!\n{}", super::TRY_HELP);
            Failure::new(UNREAD, "Failed to open/read local data from file/application")
        });
        Ok((url, Some(content?)))
    }
}

struct Transfer<'a, 's> {
    config: &'a Config,
    limit: Limit,
    began: Instant,
    trace: Trace<'a>,
    output: Output<'a>,
    meter: Meter,
    report: &'s mut Report,
    session: &'s mut Session<'a>,
}

impl Transfer<'_, '_> {
    /// From page to page, until one sends us nowhere.
    fn follow(&mut self, mut url: Url, upload: Option<Vec<u8>>) -> Result<(), Failure> {
        let mut request = Request::first(self.config, &url, upload);
        loop {
            self.report.url = url.to_string();
            self.report.method.clone_from(&request.method);
            let head = self.exchange(&url, &request)?;
            let location = head.redirection().map(|location| url.join(location));
            let Some(next) = location else { return Ok(()) };
            if !self.config.follow {
                self.report.redirection = next.map_or(String::new(), |next| next.to_string());
                return Ok(());
            }
            let max = self.config.redirections_max();
            if self.report.redirections >= max {
                let why = format!("Maximum ({max}) redirects followed");
                return Err(Failure::new(REDIRECTIONS, why));
            }
            let next = parse(next)?;
            self.report.redirections += 1;
            self.report.times.redirected = self.began.elapsed();
            self.trace.say(&format!("Issue another request to this URL: '{next}'"));
            if request.redirect(self.config, head.status, next.same_origin(&url)) {
                self.trace.say("Switch from POST to GET");
            }
            url = next;
        }
    }

    /// One request and its answer.
    fn exchange(&mut self, url: &Url, request: &Request) -> Result<Head, Failure> {
        let kept = self.session.connection.take().filter(|connection| connection.serves(url));
        let reused = kept.is_some();
        let connection = match kept {
            Some(connection) => {
                self.trace.say(&format!(
                    "Re-using existing connection #{} with host {}",
                    connection.number, url.host
                ));
                connection
            }
            None => self.connect(url)?,
        };
        match self.converse(connection, url, request) {
            // The server had closed it before it heard us.
            Err(failure) if reused && matches!(failure.code, EMPTY | UNSENT | UNRECEIVED) => {
                self.trace.say("Connection died, retrying a fresh connect");
                let connection = self.connect(url)?;
                self.converse(connection, url, request)
            }
            conversed => conversed,
        }
    }

    fn connect(&mut self, url: &Url) -> Result<Connection, Failure> {
        let number = self.session.connections;
        let call = self.session.call;
        let opened = Connection::open(call, self.config, url, self.limit, number, &mut self.trace);
        let before = self.report.times.redirected;
        let (Ok((_, times)) | Err((_, times))) = &opened;
        self.report.times.resolved = before + times.resolved;
        let (connection, times) = opened.map_err(|(failure, times)| {
            if times.connected > Duration::ZERO {
                self.report.times.connected = before + times.connected;
                self.report.connections += 1;
            }
            self.report.problem = failure.problem;
            failure
        })?;
        self.report.times.connected = before + times.connected;
        if url.scheme == Scheme::Https {
            self.report.times.secured = before + times.secured;
        }
        self.session.connections += 1;
        self.report.connections += 1;
        Ok(connection)
    }

    /// Keeps the connection if it can serve again.
    fn converse(
        &mut self,
        mut connection: Connection,
        url: &Url,
        request: &Request,
    ) -> Result<Head, Failure> {
        self.report.peer = Some(connection.peer);
        self.report.local = connection.local;
        self.report.problem = connection.problem;
        let answered = self.ask(&mut connection, url, request);
        let number = connection.number;
        match answered {
            Ok((head, true)) => {
                let host = url.bare_host();
                self.trace.say(&format!("Connection #{number} to host {host} left intact"));
                self.session.connection = Some(connection);
                Ok(head)
            }
            Ok((head, false)) => {
                self.trace.say(&format!("Closing connection {number}"));
                Ok(head)
            }
            Err(failure) => {
                self.trace.say(&failure.text);
                self.trace.say(&format!("Closing connection {number}"));
                Err(failure)
            }
        }
    }

    /// The answer's head, its body passed on; and whether the connection can be used again.
    fn ask(
        &mut self,
        connection: &mut Connection,
        url: &Url,
        request: &Request,
    ) -> Result<(Head, bool), Failure> {
        if let Some(user) = &request.user {
            let name = user.split(':').next().unwrap_or_default();
            self.trace.say(&format!("Server auth using Basic with user '{name}'"));
        }
        let text = request.head(self.config, url);
        let body = request.body.as_deref().unwrap_or_default();
        connection.set_limit(self.limit)?;
        let sent = connection.send(&[text.as_bytes(), body].concat());
        self.trace.sent(&text, body.len());
        self.meter.sent += body.len() as u64;
        self.report.sent += body.len() as u64;
        self.report.request_bytes += (text.len() + body.len()) as u64;
        let head = match self.head(connection) {
            // Not even what it was told reached the server.
            Err(Failure { code: EMPTY | UNRECEIVED, .. }) if sent.is_err() => {
                let why = sent.err().map_or(String::new(), |err| reason(&err));
                return Err(Failure::new(UNSENT, format!("Send failure: {why}")));
            }
            head => head?,
        };
        let keeps = sent.is_ok() && head.keeps_connection();
        if self.config.fail && head.status >= 400 {
            return Err(refused(head.status));
        }
        let mut body = Body::of(&head, request.method == "HEAD");
        let passed_on = head.redirection().is_none() || !self.config.follow;
        self.meter.total = head.content_length().filter(|_| passed_on);
        let keeps = keeps && !body.lasts_until_close();
        self.body(connection, &mut body, passed_on)?;
        if passed_on {
            self.output.end()?;
        }
        if self.config.fail_with_body && head.status >= 400 {
            return Err(refused(head.status));
        }
        Ok((head, keeps))
    }

    fn head(&mut self, connection: &mut Connection) -> Result<Head, Failure> {
        loop {
            let mut lines = Vec::new();
            let (trace, fail, mut is_first) = (&mut self.trace, self.config.fail, true);
            let mut is_refused = false;
            let head = Head::read(&mut connection.reader, |line| {
                is_refused |= is_first && fail && line.split(' ').nth(1) >= Some("400");
                is_first = false;
                // As curl, which gives up before it has seen the end of such a head.
                if !(is_refused && line.is_empty()) {
                    trace.received(line);
                }
                lines.push(format!("{line}\r\n"));
            });
            self.report.times.answered = self.began.elapsed();
            let text = lines.concat();
            self.report.head_bytes += text.len() as u64;
            self.keep_head(&text)?;
            let head = head.map_err(|err| self.no_head(err))?;
            self.report.http_code = head.status;
            self.report.http_version.clone_from(&head.version);
            self.report.headers = head.lines.len();
            self.report.content_type = head.header("content-type").unwrap_or_default().to_owned();
            if !matches!(head.status, 100..=199) {
                return Ok(head);
            }
        }
    }

    /// `-i`, `-I` and `-D`
    fn keep_head(&mut self, text: &str) -> Result<(), Failure> {
        if let Some(name) = &self.config.dump_head {
            let name = Some(name.clone()).filter(|name| name != "-");
            Output::new(self.session.call, self.config.silent, name).write(text.as_bytes())?;
        }
        if self.config.include_head || self.config.head {
            self.output.write(text.as_bytes())?;
        }
        Ok(())
    }

    fn no_head(&self, err: HeadError) -> Failure {
        match err {
            HeadError::Empty => Failure::new(EMPTY, "Empty reply from server"),
            HeadError::NotHttp => Failure::new(UNSUPPORTED, "Received HTTP/0.9 when not allowed"),
            HeadError::TooLong => Failure::new(UNRECEIVED, "Too large response headers"),
            HeadError::Io(err) => self.broken(&err),
        }
    }

    fn broken(&self, err: &io::Error) -> Failure {
        if is_timeout(err) {
            let (waited, received) = (self.began.elapsed().as_millis(), self.report.received);
            let of = match self.meter.total {
                Some(total) => format!("{received} out of {total} bytes received"),
                None => format!("{received} bytes received"),
            };
            let why = format!("Operation timed out after {waited} milliseconds with {of}");
            return Failure::new(TIMED_OUT, why);
        }
        if err.kind() == ErrorKind::UnexpectedEof {
            return Failure::new(UNRECEIVED, "Recv failure: the header is cut off");
        }
        Failure::new(UNRECEIVED, format!("Recv failure: {}", reason(err)))
    }

    fn body(
        &mut self,
        connection: &mut Connection,
        body: &mut Body,
        passed_on: bool,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; BUFFER_BYTES];
        if !passed_on && !body.is_done() {
            self.trace.say("Ignoring the response-body");
        }
        loop {
            connection.set_limit(self.limit)?;
            let n = match body.read(&mut connection.reader, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(BodyError::Io(err)) => return Err(self.broken(&err)),
                Err(BodyError::Short(missing)) => return Err(cut_off(missing)),
                Err(BodyError::Chunk) => {
                    let why = "Illegal or missing hexadecimal sequence in chunked-encoding";
                    return Err(Failure::new(UNRECEIVED, why));
                }
            };
            if passed_on {
                self.trace.body(n);
                self.report.received += n as u64;
                self.meter.receive(n as u64);
                self.output.write(&buffer[..n])?;
            }
        }
    }
}

fn refused(status: u16) -> Failure {
    Failure::new(HTTP_ERROR, format!("The requested URL returned error: {status}"))
}

fn cut_off(missing: Option<u64>) -> Failure {
    Failure::new(
        SHORT,
        match missing {
            Some(missing) => format!("transfer closed with {missing} bytes remaining to read"),
            None => "transfer closed with outstanding read data remaining".to_owned(),
        },
    )
}

fn parse(url: Result<Url, UrlError>) -> Result<Url, Failure> {
    match url {
        Ok(Url { scheme: Scheme::Other(name), .. }) => {
            let why = format!("Protocol \"{name}\" not supported or disabled in libcurl");
            Err(Failure::new(UNSUPPORTED, why))
        }
        Ok(url) => Ok(url),
        Err(_) => Err(Failure::new(BAD_URL, "URL using bad/illegal format or missing URL")),
    }
}

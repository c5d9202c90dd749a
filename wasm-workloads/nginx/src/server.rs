//! wasi:http and `sampan:network`: requests in, answers out.

mod forward;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use sampan_process::{signals, system};
use wasip2::cli::stdout::get_stdout;
use wasip2::exports::http::incoming_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
    Scheme,
};
use wasip2::io::streams::{OutputStream, StreamError};

use crate::command_line::{self, CommandLine, Task};
use crate::config::{self, Config, Sink};
use crate::request::Request;
use crate::serve::{Answer, Body, Visit};
use crate::{date, files, now_ms};

#[allow(clippy::all, unsafe_code, unused_qualifications, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit/network", world: "server" });
    export!(Component with_types_in self);

    use super::Component;
}

use bindings::sampan::network::connection;

struct Component;

wasip2::http::proxy::export!(Component);

/// How often the configuration's files are looked at, at most.
const LOOK_EVERY_MS: u64 = 1000;
/// What a body's stream is given at once.
const PIECE_BYTES: usize = 64 << 10;

/// The configuration of this instance.
struct Site {
    config: Rc<Config>,
    looked_ms: u64,
}

thread_local! {
    static SITE: RefCell<Option<Site>> = const { RefCell::new(None) };
    static STDOUT: OnceCell<OutputStream> = const { OnceCell::new() };
}

impl bindings::exports::sampan::network::listeners::Guest for Component {
    fn listen(arguments: Vec<String>) -> Result<Vec<u16>, String> {
        let line = command_line::parse(&arguments)?;
        let name = if line.httpd { "httpd" } else { "nginx" };
        let version = env!("CARGO_PKG_VERSION");
        match &line.task {
            Task::Serve => {
                refuse_httpd_conf(&line)?;
                let config = Rc::new(read(&line)?);
                let ports = config.ports();
                // This instance is the first to be asked.
                SITE.set(Some(Site { config, looked_ms: now_ms() }));
                Ok(ports)
            }
            Task::Check { print, quiet } => {
                let tested = |fault| {
                    format!("{fault}\n{name}: configuration file {} test failed", line.config)
                };
                let config = read(&line).map_err(tested)?;
                if !quiet {
                    eprintln!("{name}: the configuration file {} syntax is ok", line.config);
                    eprintln!("{name}: configuration file {} test is successful", line.config);
                }
                config.files().filter(|_| *print).for_each(print_file);
                Ok(Vec::new())
            }
            Task::Version { long } => {
                eprintln!("{name} version: {name}/{version} (sampan)");
                if *long {
                    eprintln!(
                        "a WebAssembly component that reads the commoner part of nginx's configuration"
                    );
                }
                Ok(Vec::new())
            }
            Task::Help => {
                eprint!("{name} version: {name}/{version} (sampan)\n{}", command_line::HELP);
                Ok(Vec::new())
            }
            Task::Signal(signal) if signal == "reload" || signal == "reopen" => {
                read(&line).map(|_| Vec::new())
            }
            Task::Signal(signal) if signal == "stop" || signal == "quit" => quit(),
            Task::Signal(signal) => Err(format!("nginx: invalid option: \"-s {signal}\"")),
        }
    }
}

/// Has the container's server end when those whom it serves are served. nginx's `stop` would not wait for
/// them: here it does.
fn quit() -> Result<Vec<u16>, String> {
    let own = sampan_process::pid();
    let is_nginx = |name: &String| name.rsplit('/').next() == Some("nginx");
    let mut processes = system::processes().into_iter();
    let server =
        processes.find(|other| other.pid != own && other.args.first().is_some_and(is_nginx));
    let told = server.is_some_and(|server| {
        i32::try_from(server.pid).is_ok_and(|pid| system::kill(pid, signals::QUIT))
    });
    let nobody = "nginx: [error] open() \"/run/nginx.pid\" failed (2: No such file or directory)";
    if told { Ok(Vec::new()) } else { Err(nobody.to_owned()) }
}

fn print_file(path: &str) {
    println!("# configuration file {path}:\n{}", files::read_text(path).unwrap_or_default());
}

/// Apache's own configuration says things that nobody here would hear.
fn refuse_httpd_conf(line: &CommandLine) -> Result<(), String> {
    const APACHES: &str = "/usr/local/apache2/conf/httpd.conf";
    if line.httpd && files::stat(APACHES).is_ok() {
        return Err(format!(
            "httpd: sampan's httpd does not read {APACHES}: it serves /usr/local/apache2/htdocs as it is; \
             for more, use the image nginx and an nginx.conf"
        ));
    }
    Ok(())
}

fn read(line: &CommandLine) -> Result<Config, String> {
    let read = config::read(&line.config, &line.directives);
    read.map_err(|fault| format!("nginx: [emerg] {fault}"))
}

/// The configuration as its files have it: what changed is taken up without a signal, unless it is
/// wrong.
fn current(now_ms: u64) -> Result<Rc<Config>, String> {
    SITE.with_borrow_mut(|site| {
        if let Some(site) = site {
            if now_ms.abs_diff(site.looked_ms) < LOOK_EVERY_MS {
                return Ok(site.config.clone());
            }
            site.looked_ms = now_ms;
            if !site.config.is_outdated() {
                return Ok(site.config.clone());
            }
        }
        let arguments: Vec<String> = std::env::args().collect();
        match (command_line::parse(&arguments).and_then(|line| read(&line)), &site) {
            (Ok(config), _) => {
                let config = Rc::new(config);
                *site = Some(Site { config: config.clone(), looked_ms: now_ms });
                Ok(config)
            }
            (Err(fault), Some(site)) => {
                log_error(&site.config.error_log, &fault);
                Ok(site.config.clone())
            }
            (Err(fault), None) => Err(fault),
        }
    })
}

impl incoming_handler::Guest for Component {
    fn handle(incoming: IncomingRequest, out: ResponseOutparam) {
        let at_ms = now_ms();
        let config = match current(at_ms) {
            Ok(config) => config,
            Err(fault) => {
                eprintln!("{fault}");
                return ResponseOutparam::set(out, Err(ErrorCode::ConfigurationError));
            }
        };
        let request = request_of(&incoming, at_ms);
        let mut visit = Visit::new(&config, &request);
        let mut answer = visit.answer();
        if let Body::Forward(forward) = &answer.body {
            match forward::send(incoming, forward, &mut visit) {
                Ok(upstream) => {
                    upstream.pass_on(&mut visit, out);
                    return write_logs(&mut visit);
                }
                Err(status) => answer = visit.fail(status),
            }
        }
        send(answer, &mut visit, out);
        write_logs(&mut visit);
    }
}

fn request_of(incoming: &IncomingRequest, at_ms: u64) -> Request {
    let ends = connection::current();
    let (client, server) = match ends {
        Some(ends) => {
            ((ends.client_address, ends.client_port), (ends.server_address, ends.server_port))
        }
        None => Default::default(),
    };
    let headers = incoming.headers().entries();
    let headers: Vec<_> = headers.into_iter().map(|(name, value)| (lower(name), value)).collect();
    Request {
        method: method_name(incoming.method()),
        target: incoming.path_with_query().unwrap_or_else(|| "/".to_owned()),
        tls: matches!(incoming.scheme(), Some(Scheme::Https)),
        authority: incoming.authority(),
        headers,
        client,
        server,
        at_ms,
    }
}

fn lower(mut name: String) -> String {
    name.make_ascii_lowercase();
    name
}

fn method_name(method: Method) -> String {
    let name = match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => return name,
    };
    name.to_owned()
}

/// Sends an answer that is not another server's.
fn send(answer: Answer, visit: &mut Visit<'_>, out: ResponseOutparam) {
    if matches!(answer.body, Body::Close) {
        return ResponseOutparam::set(out, Err(ErrorCode::ConnectionTerminated));
    }
    let Some((body, stream)) = begin(&answer, out) else { return };
    let sent = match answer.body {
        Body::Bytes(bytes) => write_all(&stream, &bytes).map(|()| bytes.len() as u64),
        Body::File { file, offset, bytes } => match file.stream(offset) {
            Ok(input) => splice(&stream, &input, bytes),
            Err(_) => Err(()),
        },
        _ => Ok(0),
    };
    drop(stream);
    if let Ok(bytes) = sent {
        visit.body_bytes = bytes;
        // A client that went away needs no end.
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Sends the head.
fn begin(answer: &Answer, out: ResponseOutparam) -> Option<(OutgoingBody, OutputStream)> {
    let fields = Fields::new();
    for (name, value) in &answer.headers {
        // A header that HTTP does not take is left out.
        let _ = fields.append(name, value.as_bytes());
    }
    let response = OutgoingResponse::new(fields);
    let _ = response.set_status_code(answer.status);
    let body = response.body().ok();
    let stream = body.as_ref().and_then(|body| body.write().ok());
    ResponseOutparam::set(out, Ok(response));
    body.zip(stream)
}

/// Writes as the reader takes it.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), ()> {
    while !bytes.is_empty() {
        match stream.check_write().map_err(drop)? {
            0 => stream.subscribe().block(),
            room => {
                let room = usize::try_from(room).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                let (now, later) = bytes.split_at(room.min(bytes.len()));
                stream.write(now).map_err(drop)?;
                bytes = later;
            }
        }
    }
    Ok(())
}

/// Moves so many bytes from one stream to the other without taking them into this instance;
/// answers how many there were.
fn splice(
    to: &OutputStream,
    from: &wasip2::io::streams::InputStream,
    bytes: u64,
) -> Result<u64, ()> {
    let mut left = bytes;
    while left > 0 {
        match to.blocking_splice(from, left.min(PIECE_BYTES as u64)) {
            Ok(moved) => left -= moved.min(left),
            Err(StreamError::Closed) if bytes == u64::MAX => break,
            Err(_) => return Err(()),
        }
    }
    Ok(bytes - left)
}

/// After the answer, so that nobody waits for it.
fn write_logs(visit: &mut Visit<'_>) {
    for error in std::mem::take(&mut visit.errors) {
        log_error(&visit.settings().error_log, &error);
    }
    for log in &visit.settings().access_logs {
        let line = visit.log_value(&log.format.template, log.format.json);
        write_line(&log.sink, &format!("{line}\n"));
    }
}

fn log_error(sink: &Sink, what: &str) {
    let time = date::error_log(now_ms() / 1000);
    write_line(sink, &format!("{time} [error] 1#1: {what}\n"));
}

fn write_line(sink: &Sink, line: &str) {
    match sink {
        Sink::Off => {}
        Sink::Stdout => STDOUT.with(|stdout| {
            let _ = write_all(stdout.get_or_init(get_stdout), line.as_bytes());
        }),
        Sink::Stderr => eprint!("{line}"),
        Sink::File(path) => drop(files::append(path, line)),
    }
}

//! A server of wasi:http that does what its path says; `?N` is its number.

#![cfg(all(target_os = "wasi", target_env = "p2"))]

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest,
    OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::StreamError;

wasip2::http::proxy::export!(Server);

struct Server;

/// Requests that this instance has answered.
static COUNT: AtomicU32 = AtomicU32::new(0);

impl wasip2::exports::http::incoming_handler::Guest for Server {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number: u64 = query.parse().unwrap_or(0);
        match path {
            "/echo" => echo(&request, out),
            "/slow" => {
                std::thread::sleep(Duration::from_millis(number));
                answer(out, 200, "slow\n");
            }
            "/big" => big(out, number),
            "/trap" => panic!("as asked"),
            "/trap-late" => {
                let (_body, mut stream) = begin(out, 200, None);
                stream.write_all(b"some\n").expect("the client is there");
                stream.flush().expect("the client is there");
                std::thread::sleep(Duration::from_millis(number));
                panic!("as asked");
            }
            "/silent" => {}
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(None))),
            "/exit" => std::process::exit(3),
            "/count" => {
                let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
                answer(out, 200, &format!("{count}\n"));
            }
            "/afterwards" => {
                answer(out, 200, "answered\n");
                std::thread::sleep(Duration::from_millis(number));
                println!("afterwards");
            }
            "/spin" => loop {
                std::hint::spin_loop();
            },
            "/memory" => {
                let memory = vec![1_u8; usize::try_from(number).unwrap_or(0)];
                answer(out, 200, &format!("{}\n", std::hint::black_box(memory).len()));
            }
            "/print" => {
                println!("to stdout");
                eprintln!("to stderr");
                answer(out, 200, "printed\n");
            }
            "/request" => {
                let authority = request.authority().unwrap_or_default();
                let method = request.method();
                answer(out, 200, &format!("{method:?} {authority} {target}\n"));
            }
            "/get" => match get(query) {
                Ok((status, body)) => answer(out, status, &body),
                Err(code) => answer(out, 502, &format!("{code:?}\n")),
            },
            "/grpc.health.v1.Health/Check" => health(out),
            "/" | "/hello" => answer(out, 200, "hello\n"),
            _ => answer(out, 404, "no such path\n"),
        }
    }
}

fn begin(
    out: ResponseOutparam,
    status: u16,
    length: Option<usize>,
) -> (OutgoingBody, wasip2::io::streams::OutputStream) {
    let headers = Fields::new();
    if let Some(length) = length {
        let length = length.to_string().into_bytes();
        headers.append("content-length", &length).expect("a header");
    }
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("the first time");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the first time");
    (body, stream)
}

fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let (body, mut stream) = begin(out, status, Some(text.len()));
    // The client may have gone.
    let _ = stream.write_all(text.as_bytes());
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// The answer of gRPC's health service: SERVING, unless a file says otherwise.
fn health(out: ResponseOutparam) {
    let serves = std::fs::metadata("/tmp/not-serving").is_err();
    let headers = Fields::new();
    headers.append("content-type", b"application/grpc").expect("a header");
    let response = OutgoingResponse::new(headers);
    let body = response.body().expect("the first time");
    ResponseOutparam::set(out, Ok(response));
    let mut stream = body.write().expect("the first time");
    // Not compressed, two bytes long; field 1, a number.
    let _ = stream.write_all(&[0, 0, 0, 0, 2, 8, if serves { 1 } else { 2 }]);
    drop(stream);
    let trailers = Fields::new();
    trailers.append("grpc-status", b"0").expect("a header");
    let _ = OutgoingBody::finish(body, Some(trailers));
}

fn big(out: ResponseOutparam, bytes: u64) {
    let (body, mut stream) = begin(out, 200, None);
    let chunk = [b'x'; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let len = left.min(chunk.len() as u64) as usize;
        if stream.write_all(&chunk[..len]).is_err() {
            return;
        }
        left -= len as u64;
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// Sends back what comes, as it comes.
fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().expect("the first time");
    let from = body.stream().expect("the first time");
    let (body, mut to) = begin(out, 200, None);
    loop {
        match from.blocking_read(64 * 1024) {
            Ok(bytes) if to.write_all(&bytes).is_ok() => {}
            Err(StreamError::Closed) => break,
            Ok(_) | Err(_) => return,
        }
    }
    drop(to);
    let _ = OutgoingBody::finish(body, None);
}

/// The status and the body at `http://authority/path` or `https://…`.
fn get(url: &str) -> Result<(u16, String), ErrorCode> {
    let (scheme, rest) = url.split_once("://").ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let set = request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(&format!("/{path}"))).is_ok();
    if !set {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    let response = outgoing_handler::handle(request, None)?;
    response.subscribe().block();
    let response = response.get().expect("it is there").expect("the first time")?;
    let body = response.consume().expect("the first time");
    let text = read(&body).unwrap_or_else(|error| format!("{error:?}\n"));
    Ok((response.status(), text))
}

fn read(body: &IncomingBody) -> Result<String, StreamError> {
    let stream = body.stream().expect("the first time");
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => return Err(error),
        }
    }
}

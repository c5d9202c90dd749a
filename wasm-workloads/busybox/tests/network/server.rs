//! A web server that does what its paths say, and remembers what it heard.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Server {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let log = log.clone();
                thread::spawn(move || serve(stream.unwrap(), &log));
            }
        });
        Self { port, heard }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The requests since it was last asked, each with its body.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

/// A port on which nobody listens.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn serve(stream: TcpStream, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (answer, keep) = answer(method, path, &request);
        log.lock().unwrap().push(request.clone());
        if (&stream).write_all(answer.as_bytes()).is_err() || !keep {
            break;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut request = String::new();
    loop {
        let before = request.len();
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
        if &request[before..] == "\r\n" {
            break;
        }
    }
    let length = request
        .lines()
        .filter_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        })
        .next();
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(request + &String::from_utf8(body).unwrap())
}

/// The answer, and whether the connection stays.
fn answer(method: &str, path: &str, request: &str) -> (String, bool) {
    let page = |status: &str, extra: &str, body: &str| {
        let body = if method == "HEAD" { "" } else { body };
        let length = if method == "HEAD" { 6 } else { body.len() };
        format!(
            "HTTP/1.1 {status}\r\nServer: test\r\n{extra}Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let path = path.split('?').next().unwrap_or_default();
    match path {
        "/redirect" => (page("302 Found", "Location: /ok\r\nX: y\r\n", ""), true),
        "/round" => (page("302 Found", "Location: /round\r\n", ""), true),
        "/404" => (page("404 Not Found", "", "nope\n"), true),
        "/chunked" => (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nd\n\r\n0\r\n\r\n".to_owned(),
            true,
        ),
        "/chunked-short" => {
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n".to_owned(), false)
        }
        "/short" => ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned(), false),
        "/empty" => (String::new(), false),
        "/close" => ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ntill the end\n".to_owned(), false),
        "/none" => ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), true),
        "/slow" => {
            // Never comes to its end: the client's patience is what is tested.
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned(), true)
        }
        "/resume" if request.contains("Range: bytes=3-\r\n") => {
            (page("206 Partial Content", "Content-Range: bytes 3-5/6\r\n", "lo\n"), true)
        }
        "/large" => (page("200 OK", "", &"0123456789abcde\n".repeat(1 << 16)), true),
        _ => (page("200 OK", "", "hello\n"), true),
    }
}

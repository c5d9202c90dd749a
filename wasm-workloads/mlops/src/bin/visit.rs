//! `visit HOST:PORT [VERSION]`: asks what the model says of one weather after another, and keeps count; until,
//! if a version is named, only that one has answered for a while. Fails if a request was lost.
//!
//! As browsers do, it asks several things on one connection, and connects anew when the server says so. It never
//! asks the same twice: what is not answered is lost.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harbour::crossing::Weather;
use harbour::query;
use harbour::random::Random;

/// Each visitor asks 50 times a second, if it is answered as fast.
const PAUSE: Duration = Duration::from_millis(20);
/// So a connection is used for a fifth of a second: visitors soon find new servers.
const REQUESTS_PER_CONNECTION: u32 = 10;
/// So many answers of the awaited version in a row, and none of the others is there any more.
const IN_A_ROW: u32 = 60;

/// Bound: who has lost so many learns nothing from losing more.
const LOST_MAX: u32 = 100;

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().ok_or("whom to visit? visit HOST:PORT [VERSION]")?;
    let awaited = arguments.next();
    let seed = std::env::var("JOB_COMPLETION_INDEX").ok().and_then(|index| index.parse().ok());
    let mut random = Random::new(1000 + seed.unwrap_or(0));
    let mut connection = None;
    let mut counts = Counts::default();
    while counts.lost < LOST_MAX
        && awaited.as_ref().is_none_or(|version| counts.in_a_row(version) < IN_A_ROW)
    {
        let begin = Instant::now();
        let weather = query::of(&Weather::random(&mut random));
        let answer = ask(&mut connection, &server, &format!("/predict?{weather}"));
        counts.take(&weather, answer, begin.elapsed());
        std::thread::sleep(PAUSE.saturating_sub(begin.elapsed()));
    }
    println!("{}", counts.total());
    if counts.lost == 0 { Ok(()) } else { Err(format!("{} requests were lost", counts.lost)) }
}

#[derive(Default)]
struct Counts {
    /// Answers by the version that gave them.
    answered: BTreeMap<String, u32>,
    lost: u32,
    /// Who answered last, and how many times in a row.
    last: (String, u32),
    slowest: Duration,
}

impl Counts {
    fn take(&mut self, weather: &str, answer: io::Result<String>, took: Duration) {
        let found = answer.and_then(|body| match version(&body) {
            Some(version) => Ok((version.to_owned(), body)),
            None => Err(io::Error::other(format!("no version in {body:?}"))),
        });
        match found {
            Ok((version, body)) => {
                let count = self.answered.entry(version.clone()).or_default();
                *count += 1;
                if *count == 1 {
                    println!("{weather}: {}", body.trim_end());
                }
                if self.last.0 != version {
                    self.last = (version, 0);
                }
                self.last.1 += 1;
                self.slowest = self.slowest.max(took);
            }
            Err(error) => {
                self.lost += 1;
                println!("{weather}: lost: {error}");
            }
        }
    }

    fn in_a_row(&self, version: &str) -> u32 {
        if self.last.0 == version { self.last.1 } else { 0 }
    }

    fn total(&self) -> String {
        let each: Vec<String> =
            self.answered.iter().map(|(version, count)| format!("{version} {count}")).collect();
        let all: u32 = self.answered.values().sum();
        let (each, slowest) = (each.join(", "), self.slowest.as_millis());
        format!("answered {all} ({each}), lost {}; the slowest took {slowest} ms", self.lost)
    }
}

/// `v1` in `{"sails":0.97,"model":"v1"}`.
fn version(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("\"model\":\"")?;
    rest.split_once('"').map(|(version, _)| version)
}

struct Connection {
    stream: BufReader<TcpStream>,
    requests: u32,
}

/// The body of the answer, if its status is 200. A connection that can go on is left for the next request.
fn ask(connection: &mut Option<Connection>, server: &str, target: &str) -> io::Result<String> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection { stream: BufReader::new(TcpStream::connect(server)?), requests: 0 },
    };
    open.requests += 1;
    let is_last = open.requests == REQUESTS_PER_CONNECTION;
    let manner = if is_last { "close" } else { "keep-alive" };
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {server}\r\nConnection: {manner}\r\n\r\n");
    open.stream.get_mut().write_all(request.as_bytes())?;
    let answer = read(&mut open.stream)?;
    if !is_last && !answer.is_last {
        *connection = Some(open);
    }
    match answer.status {
        200 => Ok(answer.body),
        status => Err(io::Error::other(format!("{status}: {}", answer.body.trim_end()))),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// The server asks to be asked no more on this connection.
    is_last: bool,
    body: String,
}

fn read(stream: &mut impl BufRead) -> io::Result<Answer> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let line = |stream: &mut dyn BufRead| {
        let mut line = String::new();
        match stream.read_line(&mut line)? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ => Ok(line.trim_end().to_owned()),
        }
    };
    let first = line(stream)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| broken("no status"))?;
    let (mut length, mut is_last) = (None, false);
    loop {
        let header = line(stream)?.to_ascii_lowercase();
        match header.split_once(':').map(|(name, value)| (name, value.trim())) {
            Some(("content-length", value)) => length = value.parse::<usize>().ok(),
            Some(("connection", value)) => is_last = value == "close",
            Some(_) => {}
            None if header.is_empty() => break,
            None => return Err(broken("no header")),
        }
    }
    let mut body = vec![0; length.ok_or_else(|| broken("no length"))?];
    stream.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(|_| broken("no text"))?;
    Ok(Answer { status, is_last, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_one_after_the_other() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyesHTTP/1.1 503 Service Unavailable\r\n\
                    content-length: 2\r\nConnection: close\r\n\r\nno";
        let mut stream = text.as_bytes();
        let expect =
            |status, is_last, body: &str| Answer { status, is_last, body: body.to_owned() };
        assert_eq!(read(&mut stream).unwrap(), expect(200, false, "yes"));
        assert_eq!(read(&mut stream).unwrap(), expect(503, true, "no"));
        assert_eq!(read(&mut stream).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let check = |text: &str| {
            let kind = read(&mut text.as_bytes()).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::InvalidData, "{text}");
        };
        check("hello\r\n");
        check("HTTP/1.1 200 OK\r\n\r\n");
        check("HTTP/1.1 200 OK\r\nhello\r\n\r\n");
    }

    #[test]
    fn answers_are_counted_by_version_and_what_has_none_is_lost() {
        let mut counts = Counts::default();
        let body = |version: &str| Ok(format!("{{\"sails\":0.5,\"model\":\"{version}\"}}\n"));
        for (version, took) in [("v1", 3), ("v2", 9), ("v1", 2), ("v2", 1), ("v2", 1)] {
            counts.take("", body(version), Duration::from_millis(took));
        }
        assert_eq!((counts.in_a_row("v2"), counts.in_a_row("v1")), (2, 0));
        counts.take("", Ok("hello".to_owned()), Duration::ZERO);
        counts.take("", Err(io::ErrorKind::ConnectionReset.into()), Duration::ZERO);
        let expect = "answered 5 (v1 2, v2 3), lost 2; the slowest took 9 ms";
        assert_eq!(counts.total(), expect);
    }
}

//! `liveness`: well for ten seconds, then not. Upstream: `test/images/agnhost/liveness/server.go`.

use std::time::{Duration, Instant};

use crate::server::{Answer, Later, Reply, Request, Server, decoded};
use crate::{Done, Flags};

/// How long `/healthz` is well.
const WELL: Duration = Duration::from_secs(10);
/// Bound: KiB of an answer's body that a request may ask for.
const BODY_KIB_MAX: u64 = 16 << 10;

pub(crate) fn run(arguments: &[String]) -> Done {
    Flags::parse(arguments, &[])?;
    let mut server = Server::default();
    let started = Instant::now();
    server.http(8080, move |request| answer(request, started.elapsed()))?;
    server.run()
}

fn answer(request: &Request, since: Duration) -> Answer {
    match request.path() {
        "/started" => Answer::Reply(Reply::text(format!("{since:?}"))),
        "/healthz" if since > WELL => {
            Answer::Reply(Reply::of(500, format!("error: {}", since.as_secs_f64())))
        }
        "/healthz" => Answer::Reply(Reply::text("ok")),
        "/redirect" => Answer::Reply(Reply::redirect(302, &decoded(&request.value("loc")))),
        "/disconnect-headers" | "/disconnect-body" => Answer::Disconnect,
        "/sleep-headers" | "/sleep-body" | "/slow-response" => slow(request),
        _ => Answer::Reply(Reply::error(404, "404 page not found")),
    }
}

/// An answer as late and as long as the request says; all of it comes at once, after the wait.
fn slow(request: &Request) -> Answer {
    let number = |name: &str, default: u64| match request.value(name).as_str() {
        "" => Ok(default),
        text => text.parse::<u64>().map_err(|_| {
            let text = format!("parameter '{name}' is invalid: parsing {text:?}: invalid syntax");
            Answer::Reply(Reply::error(400, &text))
        }),
    };
    let read = || {
        let status = number("code", 500)?;
        Ok((status, number("time", 0)?, number("size", 0)?, number("interval", 0)?))
    };
    let (status, seconds, size, interval) = match read() {
        Ok(numbers) => numbers,
        Err(answer) => return answer,
    };
    let size = size.min(BODY_KIB_MAX);
    let filler = "0123456789abcdef".repeat(64 * usize::try_from(size).unwrap_or(0));
    let text = match request.path() {
        "/sleep-headers" => format!("Slept for {seconds} secs\n{filler}"),
        "/sleep-body" => format!("{filler}Sleeping for {seconds} secs\nSlept for {seconds} secs\n"),
        _ => filler,
    };
    let status = u16::try_from(status).ok().filter(|status| (100..=999).contains(status));
    let reply = Answer::Reply(Reply::of(status.unwrap_or(500), text));
    let wait = Duration::from_secs(seconds.saturating_add(interval.saturating_mul(size)));
    match Instant::now().checked_add(wait) {
        Some(at) if !wait.is_zero() => Answer::Job(Box::new(Later { at, answer: Some(reply) })),
        _ => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str, seconds: u64) -> (u16, String) {
        let request = Request {
            method: "GET".to_owned(),
            target: target.to_owned(),
            peer: "10.42.0.9:1".parse().unwrap(),
            headers: Vec::new(),
            body: Vec::new(),
            keep: true,
        };
        match answer(&request, Duration::from_secs(seconds)) {
            Answer::Reply(reply) => (reply.status, String::from_utf8(reply.body).unwrap()),
            _ => panic!("{target}"),
        }
    }

    #[test]
    fn it_is_well_for_ten_seconds() {
        assert_eq!(asked("/healthz", 9), (200, "ok".to_owned()));
        assert_eq!(asked("/healthz", 11), (500, "error: 11".to_owned()));
        assert_eq!(asked("/", 1).0, 404);
        assert_eq!(asked("/redirect?loc=%2Fhealthz", 1).0, 302);
        assert_eq!(asked("/sleep-headers?code=503&size=1", 1).0, 503);
        assert_eq!(asked("/sleep-headers?code=x", 1).0, 400);
    }
}

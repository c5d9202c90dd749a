//! `grpc-health-checking`: says by gRPC's health service how it is, and by HTTP is told.
//! Upstream: `test/images/agnhost/grpc-health-checking`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::server::{Answer, Called, Reply, Request, Server};
use crate::{Done, Flags};

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const NOT_FOUND: u8 = 5;
const INTERNAL: u8 = 13;

pub(crate) fn run(arguments: &[String]) -> Done {
    let flags = Flags::parse(
        arguments,
        &[
            ("port", "", "5000"),
            ("http-port", "", "8080"),
            ("delay-unhealthy-sec", "", "-1"),
            ("service", "", ""),
        ],
    )?;
    let port = |name: &str| flags.port(name)?.ok_or(format!("--{name}: invalid port"));
    let (port, http_port) = (port("port")?, port("http-port")?);
    let delay = flags.number("delay-unhealthy-sec")?;
    let well_for = u64::try_from(delay).ok().map(Duration::from_secs);
    let service = flags.text("service").to_owned();
    let (started, serves) = (Instant::now(), Rc::new(Cell::new(true)));
    let told = serves.clone();
    let mut server = Server::default();
    server.grpc(port, move |message| {
        println!("Serving the Check request for health check, started at {:?}", started.elapsed());
        let is_over = well_for.is_some_and(|time| started.elapsed() > time);
        check(message, &service, serves.get() && !is_over)
    })?;
    server.http(http_port, move |request| tell(request, &told, started.elapsed()))?;
    println!("gRPC server starting to listen on :{port}");
    println!("Http server starting to listen on :{http_port}");
    server.run()
}

/// `grpc.health.v1.Health/Check`: a request with the service's name answered with its status.
fn check(message: &[u8], known: &str, serves: bool) -> Called {
    let service = match message {
        [] => "",
        // Field 1, a text; names are shorter than 128 bytes.
        [0x0a, length, name @ ..] if usize::from(*length) == name.len() => {
            str::from_utf8(name).map_err(|_| (INTERNAL, "the service's name is no text"))?
        }
        _ => return Err((INTERNAL, "not a HealthCheckRequest")),
    };
    if service != known {
        return Err((NOT_FOUND, "unknown service"));
    }
    Ok(vec![0x08, if serves { SERVING } else { NOT_SERVING }])
}

fn tell(request: &Request, serves: &Cell<bool>, since: Duration) -> Answer {
    match request.path() {
        "/make-serving" => {
            println!("Mark as serving");
            serves.set(true);
        }
        "/make-not-serving" => {
            println!("Mark as unserving");
            serves.set(false);
        }
        _ => return Answer::Reply(Reply::error(404, "404 page not found")),
    }
    Answer::Reply(Reply::text(format!("{since:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_until_it_is_told() {
        assert_eq!(check(b"", "", true), Ok(vec![8, 1]));
        assert_eq!(check(b"\x0a\x03web", "web", true), Ok(vec![8, 1]));
        assert_eq!(check(b"\x0a\x03web", "web", false), Ok(vec![8, 2]));
        assert_eq!(check(b"\x0a\x03web", "", true), Err((NOT_FOUND, "unknown service")));
        assert_eq!(check(b"\x0a\x09web", "", true), Err((INTERNAL, "not a HealthCheckRequest")));
    }
}

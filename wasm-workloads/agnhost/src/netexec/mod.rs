//! `netexec`: a server of HTTP and datagrams that tests ask about themselves. Upstream:
//! `test/images/agnhost/netexec/netexec.go`.

mod dial;
mod shell;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::clock::{go_time, log};
use crate::flags::duration;
use crate::server::{Answer, Later, Reply, Request, Server};
use crate::{Done, Flags, hostname};

pub(crate) fn run(arguments: &[String]) -> Done {
    let flags = Flags::parse(
        arguments,
        &[
            ("http-port", "", "8080"),
            ("udp-port", "", "8081"),
            ("sctp-port", "", "-1"),
            ("udp-listen-addresses", "", ""),
            ("http-override", "", ""),
            ("tls-cert-file", "", ""),
            ("tls-private-key-file", "", ""),
        ],
    )?;
    for (name, default) in [("sctp-port", "-1"), ("tls-cert-file", "")] {
        if flags.text(name) != default {
            return Err(format!("--{name} is not supported by sampan's agnhost"));
        }
    }
    let mut server = Server::default();
    let udp = flags.port("udp-port")?;
    if let Some(port) = udp {
        for address in addresses(flags.text("udp-listen-addresses"))? {
            server.udp((address, port), |bytes, peer| datagram(bytes, &peer.to_string()))?;
            log(&format!("Started UDP server on port  {port}"));
        }
    }
    let port = flags.port("http-port")?.ok_or("--http-port: invalid port")?;
    let override_target = flags.text("http-override").to_owned();
    let started = Instant::now();
    server.http(port, move |request| {
        if override_target.is_empty() {
            return answer(request, started, udp.is_some());
        }
        let (method, target) = ("GET".to_owned(), override_target.clone());
        let request = Request { method, target, body: Vec::new(), ..request.clone() };
        answer(&request, started, udp.is_some())
    })?;
    log(&format!("Started HTTP server on port {port}"));
    server.run()
}

fn addresses(text: &str) -> Result<Vec<Ipv4Addr>, String> {
    if text.is_empty() {
        return Ok(vec![Ipv4Addr::UNSPECIFIED]);
    }
    let parse = |address: &str| {
        address.parse().map_err(|_| format!("parseAddress: invalid address {address}"))
    };
    text.split(',').map(parse).collect()
}

fn answer(request: &Request, started: Instant, has_udp: bool) -> Answer {
    let value = |name: &str| request.value(name);
    let path = request.path();
    match path {
        "/clientip" => {
            log("GET /clientip");
            Answer::Reply(Reply::text(request.peer.to_string()))
        }
        "/hostname" | "/hostName" => {
            log(&format!("GET {path}"));
            Answer::Reply(Reply::text(hostname()))
        }
        "/header" => {
            log(&format!("GET /header?key={}", value("key")));
            let key = value("key").to_ascii_lowercase();
            let found = request.headers.iter().find(|(name, _)| *name == key);
            Answer::Reply(Reply::text(found.map_or("", |(_, value)| value)))
        }
        "/healthz" => {
            log("GET /healthz");
            Answer::Reply(Reply { status: if has_udp { 200 } else { 412 }, ..Reply::default() })
        }
        "/echo" => echo(&value("msg"), &value("code")),
        "/redirect" => redirect(request),
        "/exit" => exit(&value("code"), &value("timeout"), &value("wait")),
        "/shutdown" => {
            log("GET /shutdown");
            Answer::ExitNow(0)
        }
        "/shell" => {
            let command = Some(value("shellCommand")).filter(|text| !text.is_empty());
            shell::run(&command.unwrap_or_else(|| value("cmd")))
        }
        "/dial" => dial::dial(request),
        "/upload" => {
            let text = "uploads are not supported by sampan's agnhost: use kubectl cp";
            Answer::Reply(Reply::error(501, text))
        }
        _ => {
            log("GET /");
            let since = started.elapsed().as_secs_f64();
            Answer::Reply(Reply::text(format!("NOW: {} m=+{since:.9}", go_time())))
        }
    }
}

/// A status from a request; Go's server would not send others.
fn status(text: &str) -> Result<u16, Answer> {
    let valid = text.parse().ok().filter(|status| (100..=999).contains(status));
    valid.ok_or_else(|| {
        let text = format!("argument 'code' must be an integer or empty, got {text:?}\n");
        Answer::Reply(Reply::text(text))
    })
}

fn echo(text: &str, code: &str) -> Answer {
    log(&format!("GET /echo?msg={text}&code={code}"));
    if code.is_empty() {
        return Answer::Reply(Reply::text(text));
    }
    match status(code) {
        Ok(status) => Answer::Reply(Reply::of(status, text)),
        Err(answer) => answer,
    }
}

fn redirect(request: &Request) -> Answer {
    let (to, code) = (request.value("location"), request.value("code"));
    log(&format!("{} /redirect?msg={to}&code={code}", request.method));
    match status(if code.is_empty() { "302" } else { &code }) {
        Ok(status) => Answer::Reply(Reply::redirect(status, &to)),
        Err(answer) => answer,
    }
}

fn exit(code: &str, timeout: &str, wait: &str) -> Answer {
    log(&format!("GET /exit?code={code}&timeout={timeout}&wait={wait}"));
    let refuse = |name: &str, what: &str, text: &str| {
        Answer::Reply(Reply::text(format!(
            "argument '{name}' must be {what} or empty, got {text:?}\n"
        )))
    };
    let time = |text: &str| if text.is_empty() { Some(Duration::ZERO) } else { duration(text) };
    let Some(timeout) = time(timeout) else {
        return refuse("timeout", "a valid golang duration", timeout);
    };
    let Some(wait) = time(wait) else { return refuse("wait", "a valid golang duration", wait) };
    let Ok(code) = (if code.is_empty() { Ok(0) } else { code.parse::<u8>() }) else {
        return refuse("code", "an integer [0-127]", code);
    };
    log(&format!(
        "Will begin shutdown in {wait:?}, allowing {timeout:?} for connections to close, then will exit with {code}"
    ));
    // With a timeout, upstream still answers who asked before it ends.
    let end = match timeout.is_zero() {
        true => Answer::ExitNow(code),
        false => Answer::Exit(Reply::text(""), code),
    };
    if wait.is_zero() {
        return end;
    }
    Answer::Job(Box::new(Later { at: Instant::now() + wait, answer: Some(end) }))
}

/// The datagram to answer with.
fn datagram(bytes: &[u8], peer: &str) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes).trim().to_lowercase();
    if text == "hostname" {
        log("Sending udp hostName response");
        return Some(hostname().into_bytes());
    }
    if text == "clientip" {
        log(&format!("Sending clientip back to UDP client {peer}"));
        return Some(peer.to_owned().into_bytes());
    }
    // "echo " alone has lost its space by now.
    if let Some(rest) = text.strip_prefix("echo ") {
        log(&format!("Echoing {rest} to UDP client {peer}"));
        return Some(rest.to_owned().into_bytes());
    }
    if !text.is_empty() {
        log(&format!("Unknown UDP command received from {peer}: {text}"));
    }
    None
}

#[cfg(test)]
mod tests;

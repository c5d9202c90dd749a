//! `serve-hostname`: the host's name by HTTP, or to whoever connects or sends a datagram. Upstream
//! keeps serving for a minute after SIGTERM; here the node keeps a Pod's connections going.

use std::net::Ipv4Addr;

use crate::clock::log;
use crate::server::{Answer, Reply, Server};
use crate::{Done, Flags, hostname};

pub(crate) fn run(arguments: &[String]) -> Done {
    let flags = Flags::parse(
        arguments,
        &[
            ("tcp", "", "false"),
            ("udp", "", "false"),
            ("http", "", "true"),
            ("close", "", "false"),
            ("port", "", "9376"),
        ],
    )?;
    let (tcp, udp, http) = (flags.is_on("tcp")?, flags.is_on("udp")?, flags.is_on("http")?);
    if http && (tcp || udp) {
        log("Can't server TCP/UDP mode and HTTP mode at the same time");
        return Ok(1);
    }
    let port = flags.port("port")?.ok_or("--port: invalid port")?;
    let close = flags.is_on("close")?;
    let mut server = Server::default();
    if tcp {
        server.text(port, hostname(), |peer| log(&format!("TCP request from {peer}")))?;
    }
    if udp {
        server.udp((Ipv4Addr::UNSPECIFIED, port), |_, peer| {
            log(&format!("UDP request from {peer}"));
            Some(hostname().into_bytes())
        })?;
    }
    if http {
        server.http(port, move |request| {
            log(&format!("HTTP request from {}", request.peer));
            let mut reply = Reply::text(hostname());
            if close {
                reply.headers.push(("Connection", "close".to_owned()));
            }
            Answer::Reply(reply)
        })?;
    }
    log(&format!("Serving on port {port}."));
    server.run()
}

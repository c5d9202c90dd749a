//! `porter`: what `SERVE_PORT_<port>` and `SERVE_UDP_PORT_<port>` in the environment say, on those
//! ports.

use std::net::Ipv4Addr;

use crate::clock::log;
use crate::json;
use crate::pause;
use crate::server::{Answer, Reply, Server};
use crate::{Done, Flags};

pub(crate) fn run(arguments: &[String]) -> Done {
    let flags = Flags::parse(arguments, &[("json-response", "", "false")])?;
    let as_json = flags.is_on("json-response")?;
    let mut server = Server::default();
    let mut count = 0;
    for (name, value) in std::env::vars() {
        let port = |prefix: &str| name.strip_prefix(prefix);
        if let Some(port) = port("SERVE_PORT_").or_else(|| port("SERVE_TCP_PORT_")) {
            server.http(number(port)?, move |request| {
                Answer::Reply(reply(&value, &request.method, as_json))
            })?;
        } else if let Some(port) = port("SERVE_UDP_PORT_") {
            let answer = move |_: &[u8], _| Some(value.clone().into_bytes());
            server.udp((Ipv4Addr::UNSPECIFIED, number(port)?), answer)?;
            log(&format!("Started UDP server on port {port}"));
        } else if name.starts_with("SERVE_TLS_PORT_") || name.starts_with("SERVE_SCTP_PORT_") {
            log(&format!("{name} is not supported by sampan's agnhost"));
            continue;
        } else {
            continue;
        }
        count += 1;
    }
    if count == 0 { pause::run(&[]) } else { server.run() }
}

fn number(port: &str) -> Result<u16, String> {
    port.parse().map_err(|_| format!("invalid port {port:?} in the environment"))
}

fn reply(value: &str, method: &str, as_json: bool) -> Reply {
    if !as_json {
        return Reply::text(value);
    }
    let text = json::object(&[("Method", json::string(method)), ("Body", json::string(value))]);
    let kind = ("Content-Type", "application/json".to_owned());
    Reply { status: 200, headers: vec![kind], body: text.into_bytes() }
}

//! `nslookup`, in busybox's words. Unlike busybox's it follows `ndots`, as programs do that look a
//! name up, and tells the first answer of the search list only.

mod ask;
mod resolver;

use std::net::{IpAddr, SocketAddr};

use super::dns::{self, Data, Record, Reply};
use super::{Family, resolve};
use crate::call::{Call, Done, Failure, print};
use ask::{Answer, Question, ask};
use resolver::Resolver;

const DNS_PORT: u16 = 53;

pub fn nslookup(call: &Call) -> Done {
    let request = Request::read(call.arguments())?;
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let resolver = Resolver::parse(&text);
    let servers = match &request.server {
        Some(server) => vec![(server.clone(), server_address(server)?)],
        None => resolver
            .servers
            .iter()
            .map(|address| (address.to_string(), SocketAddr::new(*address, DNS_PORT)))
            .collect(),
    };
    for (name, address) in servers {
        match request.look_up(&resolver, address) {
            Ok(Some(told)) => return tell(&name, address, &told, request.debug),
            Ok(None) => {}
            Err(why) => {
                call.complain(&format!("write to '{address}': {why}"));
                break;
            }
        }
    }
    print(";; connection timed out; no servers could be reached\n\n")?;
    Ok(1)
}

#[derive(Debug, Default)]
struct Request {
    name: String,
    server: Option<String>,
    types: Vec<u16>,
    debug: bool,
}

/// What was asked, and what came of it.
type Told = Vec<(String, Answer)>;

impl Request {
    fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut request = Self::default();
        let mut operands = Vec::new();
        for word in arguments {
            let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) else {
                operands.push(word.clone());
                continue;
            };
            match option.split_once('=') {
                Some((name, kind)) if is_type_option(name) => {
                    let kind = kind.to_ascii_lowercase();
                    let found = dns::TYPES.iter().find(|(name, _)| *name == kind);
                    let (_, number) = found.ok_or_else(|| {
                        Failure::Message(format!("invalid query type \"{kind}\""))
                    })?;
                    request.types.push(*number);
                }
                None if option == "debug" => request.debug = true,
                _ => return Err(Failure::Usage(format!("unrecognized option '{word}'"))),
            }
        }
        match operands.as_slice() {
            [name] => request.name.clone_from(name),
            [name, server] => {
                request.name.clone_from(name);
                request.server = Some(server.clone());
            }
            _ => return Err(Failure::usage()),
        }
        Ok(request)
    }

    /// Asks a server for each name that may be meant, until one is there. Nothing if it is silent.
    fn look_up(&self, resolver: &Resolver, server: SocketAddr) -> Result<Option<Told>, String> {
        if let (Ok(address), true) = (self.name.parse::<IpAddr>(), self.types.is_empty()) {
            return self.ask_all(server, &dns::reverse(address), &[dns::PTR]);
        }
        let usual = [dns::A, dns::AAAA];
        let types = if self.types.is_empty() { &usual[..] } else { &self.types };
        let mut last: Option<Told> = None;
        for name in resolver.candidates(&self.name) {
            let Some(told) = self.ask_all(server, &name, types)? else { return Ok(None) };
            let found = told.iter().any(|(_, answer)| {
                answer
                    .reply
                    .as_ref()
                    .is_ok_and(|reply| reply.code == 0 && !reply.records.is_empty())
            });
            if found {
                return Ok(Some(told));
            }
            // What is told in the end is of the name as it was typed.
            if last.is_none() || name.trim_end_matches('.') == self.name.trim_end_matches('.') {
                last = Some(told);
            }
        }
        Ok(last)
    }

    fn ask_all(
        &self,
        server: SocketAddr,
        name: &str,
        types: &[u16],
    ) -> Result<Option<Told>, String> {
        let questions: Option<Vec<Question>> =
            types.iter().map(|kind| Question::new(name, *kind)).collect();
        let questions = questions.ok_or_else(|| format!("'{name}' cannot be a name"))?;
        let answers = ask(server, &questions).map_err(|err| crate::call::reason(&err))?;
        Ok(answers.map(|answers| {
            answers
                .into_iter()
                .map(|answer| (name.trim_end_matches('.').to_owned(), answer))
                .collect()
        }))
    }
}

/// `-type=`, `-querytype=`, and what is shorter.
fn is_type_option(name: &str) -> bool {
    !name.is_empty() && ("type".starts_with(name) || "querytype".starts_with(name))
}

/// A server's address, its name, or either with a port.
fn server_address(text: &str) -> Result<SocketAddr, Failure> {
    let (host, number) = match text.rsplit_once(':') {
        Some((host, number)) if !host.contains(':') || host.ends_with(']') => {
            (host, super::port(number)?)
        }
        _ => (text, DNS_PORT),
    };
    Ok(SocketAddr::new(resolve(host, Family::Any)?[0], number))
}

fn tell(server: &str, address: SocketAddr, told: &Told, debug: bool) -> Done {
    let mut text = format!("Server:\t\t{server}\nAddress:\t{address}\n\n");
    let mut code = 0;
    for (number, (name, answer)) in told.iter().enumerate() {
        if debug {
            let time = answer.time.as_millis();
            text += &format!("Query #{number} completed in {time}ms:\n");
        }
        match &answer.reply {
            Ok(reply) if reply.code == 0 => text += &shown(reply, debug),
            Ok(reply) => {
                text += &format!("** server can't find {name}: {}\n", reply.failure());
                code = 1;
            }
            Err(_) => {
                text += &format!("*** Can't find {name}: Parse error\n");
                code = 1;
            }
        }
        text += "\n";
    }
    let nothing = told.iter().all(|(_, answer)| {
        answer.reply.as_ref().is_ok_and(|reply| reply.code == 0 && reply.records.is_empty())
    });
    if nothing {
        let name = told.first().map_or("", |(name, _)| name);
        text += &format!("*** Can't find {name}: No answer\n\n");
        code = 1;
    }
    print(text)?;
    Ok(code)
}

fn shown(reply: &Reply, debug: bool) -> String {
    let mut text = String::new();
    if !reply.records.is_empty() && !reply.authoritative {
        text += "Non-authoritative answer:\n";
    } else if debug && !reply.records.is_empty() {
        text += "authoritative answer:\n";
    }
    text.extend(reply.records.iter().map(line));
    text
}

fn line(Record { name, data }: &Record) -> String {
    match data {
        Data::Address(address) => format!("Name:\t{name}\nAddress: {address}\n"),
        Data::Alias(target) => format!("{name}\tcanonical name = {target}\n"),
        Data::NameServer(server) => format!("{name}\tnameserver = {server}\n"),
        Data::Pointer(target) => format!("{name}\tname = {target}\n"),
        Data::Mail { preference, exchange } => {
            format!("{name}\tmail exchanger = {preference} {exchange}\n")
        }
        Data::Text(text) => format!("{name}\ttext = \"{text}\"\n"),
        Data::Service { priority, weight, port, target } => {
            format!("{name}\tservice = {priority} {weight} {port} {target}\n")
        }
        Data::Authority { origin, mail, numbers } => {
            let names = ["serial", "refresh", "retry", "expire", "minimum"];
            let lines: String = names
                .iter()
                .zip(numbers)
                .map(|(name, number)| format!("\t{name} = {number}\n"))
                .collect();
            format!("{name}\n\torigin = {origin}\n\tmail addr = {mail}\n{lines}")
        }
        Data::Other(kind) => format!("{name}\trecord of type {kind}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_short_options() {
        let read = |words: &[&str]| {
            Request::read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        for option in ["-type=SRV", "-t=srv", "-q=srv", "-query=srv"] {
            assert_eq!(read(&[option, "x"]).unwrap().types, [33], "{option}");
        }
        let request = read(&["x", "-debug", "10.43.0.10"]).unwrap();
        assert!(request.debug && request.server.as_deref() == Some("10.43.0.10"));
        assert!(
            read(&[]).is_err() && read(&["-type=foo", "x"]).is_err() && read(&["-x", "x"]).is_err()
        );
    }

    #[test]
    fn servers_may_have_ports() {
        let check = |text: &str, expect: &str| {
            assert_eq!(server_address(text).unwrap().to_string(), expect);
        };
        check("10.43.0.10", "10.43.0.10:53");
        check("127.0.0.1:5353", "127.0.0.1:5353");
        check("::1", "[::1]:53");
        check("[::1]:5353", "[::1]:5353");
    }
}

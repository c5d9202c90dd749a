//! `nc`: busybox's own, with what people know from OpenBSD's (`-z`, `nc -l PORT`, ranges of ports).

mod relay;
mod udp;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sampan_process::{self as process, Child, Handle};

use super::{Family, Limit, connect, is_timeout, port, refusal, resolve};
use crate::call::{Call, Done, Failure, Options, reason};
use relay::{Program, Relay};

/// How often a socket that nobody waits for is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Bound: ports of one range.
const PORTS_MAX: usize = 65535;

pub fn nc(call: &Call) -> Done {
    let (arguments, program) = split_program(call.arguments());
    let options = call.options_of(arguments, "lkp:s:zvw:i:uneq:N46")?;
    if options.has('e') && program.is_empty() {
        return Err(Failure::usage());
    }
    let nc = Nc::new(call, &options, program)?;
    if options.has('l') { nc.listen() } else { nc.open() }
}

/// What follows `-e` is a command line of its own.
fn split_program(arguments: &[String]) -> (Vec<String>, Vec<String>) {
    let ends = |word: &String| {
        let letters = word.strip_prefix('-').and_then(|word| word.strip_suffix('e'));
        letters.is_some_and(|letters| letters.chars().all(|c| "lkzvunN46".contains(c)))
    };
    match arguments.iter().position(ends) {
        Some(at) => (arguments[..=at].to_vec(), arguments[at + 1..].to_vec()),
        None => (arguments.to_vec(), Vec::new()),
    }
}

struct Nc<'a> {
    call: &'a Call,
    options: &'a Options,
    program: Vec<String>,
    /// How long to wait for a connection, and for more once the input has ended.
    wait: Option<Duration>,
    family: Family,
    verbose: bool,
}

impl<'a> Nc<'a> {
    fn new(call: &'a Call, options: &'a Options, program: Vec<String>) -> Result<Self, Failure> {
        let seconds = |letter| options.value(letter).map(crate::system::duration).transpose();
        let wait = seconds('w')?.filter(|wait| !wait.is_zero());
        seconds('i')?;
        let family = match options.last_of("46") {
            Some('4') => Family::V4,
            Some('6') => Family::V6,
            _ => Family::Any,
        };
        Ok(Self { call, options, program, wait, family, verbose: options.has('v') })
    }

    fn relay(&self) -> Result<Relay, Failure> {
        let interval = self.options.value('i').map(crate::system::duration).transpose()?;
        Ok(Relay { wait: self.wait, line_interval: interval })
    }

    /// Connects, to each of a range of ports if so asked.
    fn open(&self) -> Done {
        let [host, ports] = self.options.operands.as_slice() else { return Err(Failure::usage()) };
        if let Some(letter) = self.options.last_of("ps") {
            let why = format!(
                "-{letter} works with -l only: a connection's own end is the network's choice"
            );
            return Err(Failure::Message(why));
        }
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) if self.options.has('z') => (port(first)?, port(last)?),
            _ => (port(ports)?, port(ports)?),
        };
        let addresses = resolve(host, self.family)?;
        let mut code = 1;
        for port in (first..=last).take(PORTS_MAX) {
            code &= if self.options.has('u') {
                self.open_udp(host, addresses[0], port)?
            } else {
                self.open_tcp(host, &addresses, port)?
            };
        }
        Ok(code)
    }

    fn open_tcp(&self, host: &str, addresses: &[IpAddr], port: u16) -> Done {
        let stream = match connect(addresses, port, Limit::after(self.wait)) {
            Ok(stream) => stream,
            Err(failed) if !self.options.has('z') => return Err(refusal(&failed)),
            Err((to, err)) => {
                self.say_complaint(host, to, &err);
                return Ok(1);
            }
        };
        if let Ok(peer) = stream.peer_addr() {
            self.say(&format!("{host} ({peer}) open"));
        }
        if self.options.has('z') { Ok(0) } else { self.talk(&stream) }
    }

    fn open_udp(&self, host: &str, address: IpAddr, port: u16) -> Done {
        let to = SocketAddr::new(address, port);
        let socket = udp::socket(to).map_err(|err| refusal(&(to, err)))?;
        if self.options.has('z')
            && let Err(err) = udp::probe(&socket, self.wait)
        {
            self.say_complaint(host, to, &err);
            return Ok(1);
        }
        self.say(&format!("{host} ({to}) open"));
        if self.options.has('z') { Ok(0) } else { udp::talk(&socket, self.wait, None) }
    }

    fn say(&self, text: &str) {
        if self.verbose {
            eprintln!("{text}");
        }
    }

    fn say_complaint(&self, host: &str, to: SocketAddr, err: &io::Error) {
        if self.verbose {
            self.call.complain(&format!("{host} ({to}): {}", reason(err)));
        }
    }

    /// Passes on what comes from either side, or lets a program do the talking.
    fn talk(&self, stream: &TcpStream) -> Done {
        if self.program.is_empty() {
            let (input, output) = (process::stdin(), process::stdout());
            return self.relay()?.run(stream, Some(&input), &mut Program::Own(output));
        }
        let (input, output, child) = self.start().map_err(Failure::Message)?;
        let code = self.relay()?.run(stream, Some(&output), &mut Program::Started(Some(input)));
        child.kill(process::signals::TERMINATE);
        child.wait();
        code
    }

    /// The program, and what writes to it and reads from it.
    fn start(&self) -> Result<(Handle, Handle, Child), String> {
        let pipe = || process::pipe().map_err(|err| err.to_string());
        let ((theirs_in, ours_out), (ours_in, theirs_out)) = (pipe()?, pipe()?);
        let environment = std::env::vars().collect();
        let started = crate::run::start_with(
            self.call,
            &self.program,
            environment,
            [&theirs_in, &theirs_out, &process::stderr()],
        );
        let child =
            started.map_err(|(_, why)| format!("can't execute '{}': {why}", self.program[0]))?;
        Ok((ours_out, ours_in, child))
    }

    fn listen(&self) -> Done {
        let (at, from) = self.listening_place()?;
        if self.options.has('u') {
            return udp::listen(at, self.wait, self.verbose);
        }
        let listener = TcpListener::bind(at)
            .map_err(|err| Failure::Message(format!("bind: {}", reason(&err))))?;
        if let Ok(at) = listener.local_addr() {
            self.say(&format!("listening on {at} ..."));
        }
        let twice = self.options.values('l').count() > 1;
        let persistent = self.options.has('k') || twice;
        loop {
            let (stream, peer) = self.accept(&listener)?;
            if from.is_some_and(|from| from != peer.ip()) {
                self.say(&format!("nc: connect from wrong ip/port {peer} ignored"));
                continue;
            }
            if let Ok(at) = stream.local_addr() {
                self.say(&format!("connect to {at} from {peer} ({peer})"));
            }
            match self.talk(&stream) {
                // Its own output is gone: it would be for the next one too.
                Err(Failure::Output(err)) => return Err(Failure::Output(err)),
                // One that breaks off does not end it for the others.
                Err(failure) if persistent && self.verbose => self.call.explain(&failure),
                Ok(_) | Err(_) if persistent => {}
                talked => return talked,
            }
        }
    }

    /// Where to listen, and for whom: `nc -l -p PORT [FROM]` or `nc -l [HOST] PORT`.
    fn listening_place(&self) -> Result<(SocketAddr, Option<IpAddr>), Failure> {
        let one = |host: &str| Ok::<_, Failure>(resolve(host, self.family)?[0]);
        let (host, number, from) = match (self.options.value('p'), self.options.operands.as_slice())
        {
            (Some(number), []) => (None, number, None),
            (Some(number), [from] | [from, _]) => (None, number, Some(one(from)?)),
            (None, [number]) => (None, number.as_str(), None),
            (None, [host, number]) => (Some(host.as_str()), number.as_str(), None),
            (None, []) => {
                return Err(Failure::Message("-l needs a port: nc -l -p PORT".to_owned()));
            }
            _ => return Err(Failure::usage()),
        };
        let any = match self.family {
            Family::V6 => "::",
            _ => "0.0.0.0",
        };
        let host = self.options.value('s').or(host).unwrap_or(any);
        Ok((SocketAddr::new(one(host)?, port(number)?), from))
    }

    fn accept(&self, listener: &TcpListener) -> Result<(TcpStream, SocketAddr), Failure> {
        let limit = Limit::after(self.wait);
        let failed = |err: io::Error| Failure::Message(format!("accept: {}", reason(&err)));
        if limit.left().is_none() {
            return listener.accept().map_err(failed);
        }
        listener.set_nonblocking(true).map_err(failed)?;
        loop {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(false).map_err(failed)?;
                    return Ok((stream, peer));
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock && !limit.has_passed() => {
                    thread::sleep(LOOK);
                }
                Err(err) if is_timeout(&err) => {
                    return Err(Failure::Message("timeout".to_owned()));
                }
                Err(err) => return Err(failed(err)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_takes_the_rest_of_the_line() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (arguments, program) = split_program(&words("-l -p 80 -e cat -n -e"));
        assert_eq!((arguments, program), (words("-l -p 80 -e"), words("cat -n -e")));
        let (arguments, program) = split_program(&words("-lke sh"));
        assert_eq!((arguments, program), (words("-lke"), words("sh")));
        assert!(split_program(&words("-z db 5432")).1.is_empty());
    }
}

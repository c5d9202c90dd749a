//! `wget`, in busybox's words.

mod progress;

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::time::Duration;

use sampan_process as process;

use super::http::{Body, BodyError, Head, HeadError, Scheme, Url, UrlError};
use super::tls::{Channel, Error as TlsError, HandshakeError, Options as Tls, TlsStream};
use super::{Family, Limit, connect, is_timeout, refusal, resolve};
use crate::call::{Call, Done, Failure, Options, reason};
use crate::encode;
use crate::stream::{BUFFER_BYTES, Stream};
use progress::Progress;

/// As busybox.
const REDIRECTIONS_MAX: usize = 16;

/// As busybox: how long a server may be silent without `-T`.
const SILENCE: Duration = Duration::from_secs(900);

pub fn wget(call: &Call) -> Done {
    let options = call.options("cqSO:o:P:U:Y:T:t:n::=<:>:^:!@:")?;
    if options.operands.is_empty() {
        return Err(Failure::usage());
    }
    let log: Box<dyn Write> = match options.value('o') {
        Some("-") => Box::new(io::stdout()),
        Some(name) => {
            Box::new(File::create(call.path(name)).map_err(|err| cannot_open(name, &err))?)
        }
        None => Box::new(io::stderr()),
    };
    let silence = options.value('T').map(crate::system::duration).transpose()?;
    let silence = silence.filter(|silence| !silence.is_zero()).unwrap_or(SILENCE);
    let mut wget = Wget { call, options: &options, silence, log, again: false };
    for text in &options.operands {
        wget.fetch(text)?;
        wget.again = true;
    }
    Ok(0)
}

fn cannot_open(name: &str, err: &io::Error) -> Failure {
    Failure::Message(format!("can't open '{name}': {}", reason(err)))
}

struct Wget<'a> {
    call: &'a Call,
    options: &'a Options,
    silence: Duration,
    log: Box<dyn Write>,
    /// What `-O` names has a page already.
    again: bool,
}

type Reader = BufReader<Channel>;

impl Wget<'_> {
    fn say(&mut self, text: &str) {
        if !self.options.has('q') {
            // Whoever does not read the messages still gets the page.
            let _ = writeln!(self.log, "{text}");
        }
    }

    fn fetch(&mut self, text: &str) -> Result<(), Failure> {
        let mut url = parse(Url::parse(text), text)?;
        let name = self.file_name(&url);
        let mut file = match self.options.has('c') && name != "-" {
            true => OpenOptions::new().write(true).open(self.call.path(&name)).ok(),
            false => None,
        };
        let begin = file.as_mut().map_or(Ok(0), |file| file.seek(SeekFrom::End(0)))?;
        let mut said = None;
        for _ in 0..REDIRECTIONS_MAX {
            let (mut reader, head) = self.exchange(&url, begin, said != Some(url.host.clone()))?;
            said = Some(url.host.clone());
            if let Some(location) = head.redirection() {
                url = parse(url.join(location), location)?;
                continue;
            }
            if self.options.has('=') {
                self.say("remote file exists");
                return Ok(());
            }
            let begin = self.check_begin(begin, &head);
            return self.save(&mut reader, &head, &name, file, begin);
        }
        Err(Failure::Message("too many redirections".to_owned()))
    }

    /// Where the page goes.
    fn file_name(&self, url: &Url) -> String {
        if let Some(name) = self.options.value('O') {
            return name.to_owned();
        }
        let name = match url.file_name(true) {
            "" => "index.html",
            name => name,
        };
        match self.options.value('P') {
            Some(directory) => format!("{}/{name}", directory.trim_end_matches('/')),
            None => name.to_owned(),
        }
    }

    fn exchange(&mut self, url: &Url, begin: u64, tell: bool) -> Result<(Reader, Head), Failure> {
        let addresses = resolve(&url.host, Family::Any)?;
        if tell {
            let port = url.port_or_default();
            self.say(&format!("Connecting to {} ({}:{port})", url.authority(), addresses[0]));
        }
        let stream = connect(&addresses, url.port_or_default(), Limit::after(Some(self.silence)));
        let stream =
            stream.map_err(|failed| match self.options.has('T') && is_timeout(&failed.1) {
                true => timed_out(),
                false => refusal(&failed),
            })?;
        stream.set_read_timeout(Some(self.silence))?;
        stream.set_write_timeout(Some(self.silence))?;
        let mut stream = match url.scheme {
            Scheme::Https => Channel::Tls(Box::new(self.secure(url, stream)?)),
            _ => Channel::Plain(stream),
        };
        let request = self.request(url, begin)?;
        // What a server says before it closes is worth more than that it does not listen.
        let sent = stream.write_all(&request);
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, stream);
        let head = self.head(&mut reader, sent.err())?;
        Ok((reader, head))
    }

    fn secure(&self, url: &Url, socket: TcpStream) -> Result<TlsStream, Failure> {
        let from_environment =
            || std::env::var("SSL_CERT_FILE").ok().filter(|name| !name.is_empty());
        let bundle = self.options.value('@').map(str::to_owned).or_else(from_environment);
        let tls = Tls {
            ca_bundle: bundle.map(|name| self.call.read_all(&name)).transpose()?,
            insecure: self.options.has('!'),
            ..Tls::default()
        };
        let host = url.bare_host();
        let mut stream =
            TlsStream::open(host, &tls, socket).map_err(|error| untrusted(host, &error))?;
        stream.handshake().map_err(|error| match error {
            HandshakeError::Tls(error) => untrusted(host, &error),
            HandshakeError::Io(error) if is_timeout(&error) => timed_out(),
            HandshakeError::Io(error) => Failure::Message(format!("TLS error: {}", reason(&error))),
            HandshakeError::Closed => {
                Failure::Message("TLS error: the server closed the connection".to_owned())
            }
        })?;
        Ok(stream)
    }

    fn request(&self, url: &Url, begin: u64) -> Result<Vec<u8>, Failure> {
        let headers: Vec<&str> = self.options.values('<').collect();
        let is_given = |name: &str| {
            let named = |header: &&str| {
                header.split_once(':').is_some_and(|(given, _)| given.eq_ignore_ascii_case(name))
            };
            headers.iter().any(named)
        };
        let posted = match (self.options.value('>'), self.options.value('^')) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(file)) => Some(self.call.read_all(file)?),
            (None, None) => None,
        };
        let line = |name: &str, value: &str| match is_given(name) {
            true => String::new(),
            false => format!("{name}: {value}\r\n"),
        };
        let method = if posted.is_some() { "POST" } else { "GET" };
        let mut text = format!("{method} {} HTTP/1.1\r\n", url.target);
        text += &line("Host", &url.authority());
        text += &line("User-Agent", self.options.value('U').unwrap_or("Wget"));
        text += &line("Connection", "close");
        if let Some(user) = &url.user {
            text += &line("Authorization", &format!("Basic {}", encode::text(user.as_bytes())));
        }
        if begin > 0 {
            text += &line("Range", &format!("bytes={begin}-"));
        }
        text.extend(headers.iter().map(|header| format!("{}\r\n", header.trim_end())));
        if let Some(posted) = &posted {
            text += &line("Content-Type", "application/x-www-form-urlencoded");
            text += &line("Content-Length", &posted.len().to_string());
        }
        text += "\r\n";
        Ok([text.into_bytes(), posted.unwrap_or_default()].concat())
    }

    /// The answer's head. Lines after one that sends elsewhere, or after a failure, are not shown.
    fn head(&mut self, reader: &mut Reader, unsent: Option<io::Error>) -> Result<Head, Failure> {
        let show = self.options.has('S');
        loop {
            let mut lines = Vec::new();
            let head = Head::read(reader, |line| lines.push(line.to_owned()));
            let refused = head.as_ref().is_ok_and(|head| head.status >= 400);
            let shown = if refused { &lines[..1] } else { &lines[..] };
            for line in shown.iter().filter(|_| show) {
                let _ = writeln!(self.log, "  {line}");
                if head.as_ref().is_ok_and(|head| head.redirection().is_some())
                    && line.to_ascii_lowercase().starts_with("location:")
                {
                    break;
                }
            }
            match head {
                Ok(head) if matches!(head.status, 100..=199) => {}
                Ok(head) if matches!(head.status, 200..=399) => return Ok(head),
                Ok(head) => return Err(refused_page(&head.status_line)),
                Err(err) => return Err(no_answer(err, unsent)),
            }
        }
    }

    /// Where the answer begins.
    fn check_begin(&self, begin: u64, head: &Head) -> u64 {
        if begin > 0 && head.status != 206 {
            self.call.complain("restart failed");
            return 0;
        }
        begin
    }

    fn save(
        &mut self,
        reader: &mut Reader,
        head: &Head,
        name: &str,
        file: Option<File>,
        begin: u64,
    ) -> Result<(), Failure> {
        let is_stdout = name == "-";
        let mut target: Box<dyn Write> = match file {
            _ if is_stdout => Box::new(Stream(process::stdout())),
            Some(mut file) => {
                file.set_len(begin)?;
                file.seek(SeekFrom::Start(begin))?;
                Box::new(file)
            }
            None => {
                // Without `-O` nothing that is there is lost.
                let given = self.options.has('O');
                let mut how = OpenOptions::new();
                how.write(true).create(given).create_new(!given);
                how.truncate(given && !self.again).append(given && self.again);
                Box::new(how.open(self.call.path(name)).map_err(|err| cannot_open(name, &err))?)
            }
        };
        let (before, after) = match is_stdout {
            true => ("writing to stdout".to_owned(), "written to stdout".to_owned()),
            false => (format!("saving to '{name}'"), format!("'{name}' saved")),
        };
        self.say(&before);
        let shown = name.rsplit('/').next().unwrap_or(name);
        let total = head.content_length().map(|length| begin + length);
        let wanted = !self.options.has('q') && !self.options.has('o');
        let mut progress = Progress::new(shown, begin, total, wanted);
        copy(reader, &mut Body::of(head, false), &mut *target, &mut progress)?;
        let line = progress.end();
        if !line.is_empty() {
            let _ = writeln!(self.log, "{line}");
        }
        self.say(&after);
        Ok(())
    }
}

/// Passes a body on as it comes.
fn copy(
    reader: &mut Reader,
    body: &mut Body,
    target: &mut dyn Write,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let n = match body.read(reader, &mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(BodyError::Short(_)) => {
                return Err(Failure::Message("connection closed prematurely".to_owned()));
            }
            Err(BodyError::Chunk) => {
                return Err(Failure::Message("bad chunk size in the server's answer".to_owned()));
            }
            Err(BodyError::Io(err)) if is_timeout(&err) => return Err(timed_out()),
            Err(BodyError::Io(err)) => {
                return Err(Failure::Message(format!("error getting response: {}", reason(&err))));
            }
        };
        target.write_all(&buffer[..n])?;
        progress.add(n as u64);
    }
    Ok(target.flush()?)
}

fn parse(url: Result<Url, UrlError>, text: &str) -> Result<Url, Failure> {
    let why = match url {
        Ok(Url { scheme: Scheme::Other(scheme), .. }) => match scheme.as_str() {
            "ftp" => format!("ftp is not supported here: {text}"),
            _ => format!("not an http or ftp url: {text}"),
        },
        Ok(url) => return Ok(url),
        Err(UrlError::Port(port)) => format!("bad port '{port}'"),
        Err(UrlError::Malformed) => format!("bad address '{text}'"),
    };
    Err(Failure::Message(why))
}

/// Whatever the reason, the server was not asked for anything.
fn untrusted(host: &str, error: &TlsError) -> Failure {
    Failure::Message(match error {
        TlsError::Certificate(problem) => format!(
            "can't verify {host}'s certificate: {problem}\n\
             wget: --ca-certificate FILE names an authority to trust, --no-check-certificate asks for none"
        ),
        TlsError::Alert(_) => format!("TLS error from peer: {error}"),
        TlsError::NotTls => format!("TLS error: {host} does not speak TLS"),
        error => format!("TLS error: {error}"),
    })
}

fn refused_page(status_line: &str) -> Failure {
    Failure::Message(format!("server returned error: {status_line}"))
}

fn timed_out() -> Failure {
    Failure::Message("download timed out".to_owned())
}

fn no_answer(err: HeadError, unsent: Option<io::Error>) -> Failure {
    let why = match err {
        HeadError::Io(err) if is_timeout(&err) => return timed_out(),
        HeadError::Empty => unsent,
        HeadError::Io(err) => (err.kind() != ErrorKind::UnexpectedEof).then_some(err),
        HeadError::TooLong => {
            return Failure::Message("the server's header is too long".to_owned());
        }
        HeadError::NotHttp => return Failure::Message("the server does not speak HTTP".to_owned()),
    };
    Failure::Message(match why {
        Some(why) => format!("error getting response: {}", reason(&why)),
        None => "error getting response".to_owned(),
    })
}

//! `curl`, as far as HTTP/1.1 goes, with TLS or without: its options, words and exit codes (curl(1)).

mod connection;
mod data;
mod form;
mod meter;
mod options;
mod output;
mod request;
mod route;
mod tls;
mod trace;
mod transfer;
mod write_out;

use std::fmt::Display;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::call::{Call, Done, print};
use crate::network::tls::Problem;
use options::{Config, Parsed, Retry};
use transfer::{Report, Session};

/// Said after a mistake of the user's.
const TRY_HELP: &str = "curl: try 'curl --help' or 'curl --manual' for more information";

/// The longest pause between two tries, as curl's.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Why a transfer failed: the exit code and what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: u8,
    pub text: String,
    /// What is wrong with the server's certificate.
    pub problem: Option<Problem>,
}

impl Failure {
    pub fn new(code: u8, text: impl Display) -> Self {
        Self { code, text: text.to_string(), problem: None }
    }
}

pub const UNSUPPORTED: u8 = 1;
pub const BAD_OPTIONS: u8 = 2;
pub const BAD_URL: u8 = 3;
pub const UNRESOLVED: u8 = 6;
pub const REFUSED: u8 = 7;
pub const SHORT: u8 = 18;
pub const HTTP_ERROR: u8 = 22;
pub const UNWRITTEN: u8 = 23;
pub const UNREAD: u8 = 26;
pub const TIMED_OUT: u8 = 28;
pub const NO_TLS: u8 = 35;
pub const REDIRECTIONS: u8 = 47;
pub const EMPTY: u8 = 52;
pub const UNSENT: u8 = 55;
pub const UNRECEIVED: u8 = 56;
pub const BAD_IDENTITY: u8 = 58;
pub const UNTRUSTED: u8 = 60;
pub const NO_AUTHORITIES: u8 = 77;

pub fn curl(call: &Call) -> Done {
    let config = match options::parse(call) {
        Ok(Parsed::Config(config)) => config,
        Ok(Parsed::Text(text)) => return print(text),
        Err(why) => {
            eprintln!("curl: {why}\n{TRY_HELP}");
            return Ok(BAD_OPTIONS);
        }
    };
    let mut session = Session::new(call, &config);
    let mut code = 0;
    for (number, url) in config.urls.iter().enumerate() {
        let report = fetch(&mut session, &config, url, number);
        code = report.failure.as_ref().map_or(0, |failure| failure.code);
        if code != 0 && config.fail_early {
            break;
        }
    }
    Ok(code)
}

/// One address, as often as it takes or is allowed.
fn fetch(session: &mut Session<'_>, config: &Config, url: &str, number: usize) -> Report {
    let began = Instant::now();
    let mut pause = config.retry.delay.unwrap_or(Duration::from_secs(1));
    let mut left = config.retry.times;
    loop {
        let report = session.fetch(url, number);
        let again = problem(&config.retry, &report).filter(|_| {
            left > 0 && config.retry.time_max.is_none_or(|limit| began.elapsed() + pause < limit)
        });
        let Some(problem) = again else {
            finish(config, &report);
            return report;
        };
        if !config.silent || config.show_error {
            let seconds = pause.as_secs();
            eprintln!(
                "Warning: Problem: {problem}. Will retry in {seconds} seconds. {left} retries left."
            );
        }
        thread::sleep(pause);
        left -= 1;
        if config.retry.delay.is_none() {
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// What may be better next time.
fn problem(retry: &Retry, report: &Report) -> Option<&'static str> {
    let code = report.failure.as_ref().map(|failure| failure.code);
    match (code, report.http_code) {
        (Some(TIMED_OUT), _) => Some("timeout"),
        (Some(UNRESOLVED), _) => Some("timeout"),
        (Some(REFUSED), _) if retry.connection_refused => Some("connection refused"),
        (None | Some(HTTP_ERROR), 408 | 429 | 500 | 502..=504) => Some("HTTP error"),
        (Some(_), _) if retry.all_errors => Some("(retrying all errors)"),
        _ => None,
    }
}

/// What is said at the end of a transfer.
fn finish(config: &Config, report: &Report) {
    if let Some(failure) = &report.failure
        && (!config.silent || config.show_error)
    {
        eprintln!("curl: ({}) {}", failure.code, failure.text);
        if failure.code == UNTRUSTED {
            eprintln!("{}", tls::ADVICE);
        }
    }
    if let Some(format) = &config.write_out {
        let (text, complaints) = write_out::format(format, report);
        complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
        let mut out = crate::stream::output();
        // Who does not read it does not want it.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

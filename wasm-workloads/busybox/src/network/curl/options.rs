//! The command line.

use std::time::Duration;

use super::data::{add, data, from_file, read, urlencode};
use super::form::{self, Part};
use super::route::{self, Redirected, Resolved};
use super::tls::Trust;
use crate::call::Call;
use crate::network::Family;

pub const VERSION: &str = concat!("sampan-", env!("CARGO_PKG_VERSION"));

/// As curl.
const REDIRECTIONS_MAX: usize = 50;

#[derive(Debug)]
pub enum Parsed {
    Config(Box<Config>),
    /// To be printed, and that is all.
    Text(String),
}

#[derive(Debug, Default)]
pub struct Config {
    pub urls: Vec<String>,
    /// Where the pages go, in the order of the addresses; standard output for the rest.
    pub outputs: Vec<Target>,
    pub output_directory: Option<String>,
    pub all_remote_names: bool,
    pub method: Option<String>,
    pub headers: Vec<String>,
    pub data: Option<Data>,
    pub data_in_url: bool,
    pub form: Vec<Part>,
    /// `-T`
    pub uploads: Vec<String>,
    pub head: bool,
    pub include_head: bool,
    pub dump_head: Option<String>,
    pub follow: bool,
    pub redirections_max: Option<usize>,
    pub fail: bool,
    pub fail_with_body: bool,
    pub fail_early: bool,
    pub silent: bool,
    pub show_error: bool,
    pub no_meter: bool,
    pub verbose: bool,
    pub user: Option<String>,
    pub user_agent: Option<String>,
    pub referer: Option<String>,
    pub cookie: Option<String>,
    pub time_max: Option<Duration>,
    pub connect_time_max: Option<Duration>,
    pub write_out: Option<String>,
    pub resolved: Vec<Resolved>,
    pub redirected: Vec<Redirected>,
    pub trust: Trust,
    pub family: Family,
    pub old_http: bool,
    pub retry: Retry,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    File(String),
    /// Named as the address ends.
    RemoteName,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    pub bytes: Vec<u8>,
    pub is_json: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Retry {
    pub times: u32,
    pub delay: Option<Duration>,
    pub time_max: Option<Duration>,
    pub connection_refused: bool,
    pub all_errors: bool,
}

impl Config {
    pub fn redirections_max(&self) -> usize {
        self.redirections_max.unwrap_or(REDIRECTIONS_MAX)
    }
}

type Set = fn(&mut Config, &Call, &str) -> Result<(), String>;

enum Kind {
    Flag(fn(&mut Config, bool)),
    Value(Set),
    /// It changes nothing here, with or without a value.
    NoEffect {
        value: bool,
    },
    /// What curl says when it was built without.
    Missing,
}

use Kind::{Flag, Missing, NoEffect, Value};

/// Long and short names; a space is no short name.
const OPTIONS: &[(&str, char, Kind)] = &[
    ("cacert", ' ', Value(|config, _, text| put(&mut config.trust.authorities, text))),
    ("cert", 'E', Value(|config, _, text| put(&mut config.trust.certificate, text))),
    ("cert-type", ' ', NoEffect { value: true }),
    ("compressed", ' ', NoEffect { value: false }),
    ("connect-to", ' ', Value(|config, _, text| route::connect_to(&mut config.redirected, text))),
    ("connect-timeout", ' ', Value(|config, _, text| seconds(&mut config.connect_time_max, text))),
    ("cookie", 'b', Value(|config, _, text| put(&mut config.cookie, text))),
    ("data", 'd', Value(|config, call, text| data(config, call, text, true))),
    ("data-ascii", ' ', Value(|config, call, text| data(config, call, text, true))),
    ("data-binary", ' ', Value(|config, call, text| data(config, call, text, false))),
    ("data-raw", ' ', Value(|config, _, text| add(config, text.as_bytes().to_vec()))),
    ("data-urlencode", ' ', Value(urlencode)),
    ("disable", 'q', NoEffect { value: false }),
    ("dump-header", 'D', Value(|config, _, text| put(&mut config.dump_head, text))),
    ("fail", 'f', Flag(|config, on| config.fail = on)),
    ("fail-early", ' ', Flag(|config, on| config.fail_early = on)),
    ("fail-with-body", ' ', Flag(|config, on| config.fail_with_body = on)),
    ("form", 'F', Value(|config, call, text| form::field(&mut config.form, call, text))),
    ("form-string", ' ', Value(|config, _, text| form::string(&mut config.form, text))),
    ("get", 'G', Flag(|config, on| config.data_in_url = on)),
    ("globoff", 'g', NoEffect { value: false }),
    ("head", 'I', Flag(|config, on| config.head = on)),
    ("header", 'H', Value(header)),
    ("http1.0", '0', Flag(|config, on| config.old_http = on)),
    ("http1.1", ' ', NoEffect { value: false }),
    ("http2", ' ', Missing),
    ("http2-prior-knowledge", ' ', Missing),
    ("http3", ' ', Missing),
    ("include", 'i', Flag(|config, on| config.include_head = on)),
    ("insecure", 'k', Flag(|config, on| config.trust.insecure = on)),
    ("ipv4", '4', Flag(|config, _| config.family = Family::V4)),
    ("ipv6", '6', Flag(|config, _| config.family = Family::V6)),
    ("json", ' ', Value(json)),
    ("key", ' ', Value(|config, _, text| put(&mut config.trust.key, text))),
    ("key-type", ' ', NoEffect { value: true }),
    ("location", 'L', Flag(|config, on| config.follow = on)),
    ("max-redirs", ' ', Value(redirections)),
    ("max-time", 'm', Value(|config, _, text| seconds(&mut config.time_max, text))),
    ("buffer", ' ', NoEffect { value: false }),
    ("no-buffer", 'N', NoEffect { value: false }),
    ("noproxy", ' ', NoEffect { value: true }),
    ("output", 'o', Value(output)),
    ("output-dir", ' ', Value(|config, _, text| put(&mut config.output_directory, text))),
    ("progress-bar", '#', NoEffect { value: false }),
    ("progress-meter", ' ', Flag(|config, on| config.no_meter = !on)),
    ("proxy", 'x', Missing),
    ("referer", 'e', Value(|config, _, text| put(&mut config.referer, text))),
    ("remote-name", 'O', Flag(|config, _| config.outputs.push(Target::RemoteName))),
    ("remote-name-all", ' ', Flag(|config, on| config.all_remote_names = on)),
    ("request", 'X', Value(|config, _, text| put(&mut config.method, text))),
    ("resolve", ' ', Value(|config, _, text| route::resolve(&mut config.resolved, text))),
    ("retry", ' ', Value(|config, _, text| number(&mut config.retry.times, text))),
    ("retry-all-errors", ' ', Flag(|config, on| config.retry.all_errors = on)),
    ("retry-connrefused", ' ', Flag(|config, on| config.retry.connection_refused = on)),
    ("retry-delay", ' ', Value(|config, _, text| seconds(&mut config.retry.delay, text))),
    ("retry-max-time", ' ', Value(|config, _, text| seconds(&mut config.retry.time_max, text))),
    ("show-error", 'S', Flag(|config, on| config.show_error = on)),
    ("silent", 's', Flag(|config, on| config.silent = on)),
    ("tcp-nodelay", ' ', NoEffect { value: false }),
    ("unix-socket", ' ', Missing),
    ("tlsv1", '1', NoEffect { value: false }),
    ("tlsv1.2", ' ', NoEffect { value: false }),
    ("upload-file", 'T', Value(upload)),
    ("url", ' ', Value(url)),
    ("user", 'u', Value(|config, _, text| put(&mut config.user, text))),
    ("user-agent", 'A', Value(|config, _, text| put(&mut config.user_agent, text))),
    ("verbose", 'v', Flag(|config, on| config.verbose = on)),
    ("write-out", 'w', Value(|config, _, text| put(&mut config.write_out, text))),
];

/// # Errors
/// What is wrong, as curl says it.
pub fn parse(call: &Call) -> Result<Parsed, String> {
    let mut config = Config::default();
    let mut words = call.arguments().iter();
    let mut only_urls = false;
    while let Some(word) = words.next() {
        if only_urls || !word.starts_with('-') || word == "-" {
            config.urls.push(word.clone());
            continue;
        }
        match word.as_str() {
            "--" => only_urls = true,
            "-h" | "--help" => return Ok(Parsed::Text(crate::usage("curl") + "\n")),
            "-V" | "--version" => return Ok(Parsed::Text(version())),
            long if long.starts_with("--") => {
                let mut next = || words.next().cloned();
                take(&mut config, call, word, find_long(&long[2..]), None, &mut next)?;
            }
            cluster => {
                for (at, letter) in cluster.char_indices().skip(1) {
                    let found = OPTIONS.iter().find(|(_, short, _)| *short == letter);
                    let rest = &cluster[at + letter.len_utf8()..];
                    let attached = Some(rest.to_owned()).filter(|rest| !rest.is_empty());
                    let name = format!("-{letter}");
                    let mut next = || words.next().cloned();
                    let found = found.map(|(_, _, kind)| (kind, true));
                    if take(&mut config, call, &name, found, attached, &mut next)? {
                        break;
                    }
                }
            }
        }
    }
    if config.urls.is_empty() {
        let why = if call.arguments().is_empty() { "" } else { "no URL specified!" };
        return Err(why.to_owned());
    }
    let bodies = [config.data.is_some(), !config.form.is_empty(), !config.uploads.is_empty()];
    if bodies.iter().filter(|given| **given).count() > 1 {
        return Err("You can only select one HTTP request method!".to_owned());
    }
    if config.all_remote_names {
        let missing = config.urls.len().saturating_sub(config.outputs.len());
        config.outputs.extend(std::iter::repeat_n(Target::RemoteName, missing));
    }
    Ok(Parsed::Config(Box::new(config)))
}

fn version() -> String {
    format!("curl {VERSION} (wasm32-wasip2)\nProtocols: http https\nFeatures: IPv6 SSL\n")
}

fn find_long(name: &str) -> Option<(&'static Kind, bool)> {
    let find = |name: &str| OPTIONS.iter().find(|(long, ..)| *long == name);
    if let Some((_, _, kind)) = find(name) {
        return Some((kind, true));
    }
    // Switches can be turned off.
    let (_, _, kind) = find(name.strip_prefix("no-")?)?;
    matches!(kind, Flag(_) | NoEffect { value: false }).then_some((kind, false))
}

/// Takes one option; whether it took what is attached to its letter.
fn take(
    config: &mut Config,
    call: &Call,
    name: &str,
    found: Option<(&Kind, bool)>,
    attached: Option<String>,
    next: &mut impl FnMut() -> Option<String>,
) -> Result<bool, String> {
    let wrong = |why: String| format!("option {name}: {why}");
    let mut value = || {
        attached.clone().or_else(&mut *next).ok_or_else(|| wrong("requires parameter".to_owned()))
    };
    match found {
        None => Err(wrong("is unknown".to_owned())),
        Some((Missing, _)) => {
            Err(wrong("the installed libcurl version doesn't support this".to_owned()))
        }
        Some((Flag(set), on)) => {
            set(config, on);
            Ok(false)
        }
        Some((NoEffect { value: false }, _)) => Ok(false),
        Some((NoEffect { value: true }, _)) => value().map(|_| true),
        Some((Value(set), _)) => set(config, call, &value()?).map_err(wrong).map(|()| true),
    }
}

fn put(place: &mut Option<String>, text: &str) -> Result<(), String> {
    *place = Some(text.to_owned());
    Ok(())
}

fn output(config: &mut Config, _: &Call, text: &str) -> Result<(), String> {
    config.outputs.push(Target::File(text.to_owned()));
    Ok(())
}

fn url(config: &mut Config, _: &Call, text: &str) -> Result<(), String> {
    config.urls.push(text.to_owned());
    Ok(())
}

fn upload(config: &mut Config, _: &Call, text: &str) -> Result<(), String> {
    config.uploads.push(text.to_owned());
    Ok(())
}

const NO_NUMBER: &str = "expected a proper numerical parameter";

fn seconds(place: &mut Option<Duration>, text: &str) -> Result<(), String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = time.ok_or_else(|| NO_NUMBER.to_owned())?;
    *place = Some(time).filter(|time| !time.is_zero());
    Ok(())
}

fn number(place: &mut u32, text: &str) -> Result<(), String> {
    *place = text.parse().map_err(|_| NO_NUMBER.to_owned())?;
    Ok(())
}

fn redirections(config: &mut Config, _: &Call, text: &str) -> Result<(), String> {
    let number = text.parse::<i64>().map_err(|_| NO_NUMBER.to_owned())?;
    // -1 is no limit.
    config.redirections_max = Some(usize::try_from(number).unwrap_or(usize::MAX));
    Ok(())
}

fn header(config: &mut Config, call: &Call, text: &str) -> Result<(), String> {
    let Some(name) = text.strip_prefix('@') else {
        config.headers.push(text.to_owned());
        return Ok(());
    };
    let bytes = read(call, name).map_err(|why| format!("{name}: {why}"))?;
    let text = String::from_utf8_lossy(&bytes);
    config.headers.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
    Ok(())
}

fn json(config: &mut Config, call: &Call, text: &str) -> Result<(), String> {
    // Pieces of JSON follow each other without anything between them.
    let piece = from_file(config, call, text, false);
    let data = config.data.get_or_insert_default();
    data.bytes.extend(piece);
    data.is_json = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Result<Config, String> {
        let words = std::iter::once("curl").chain(line.split(' ')).map(str::to_owned).collect();
        match parse(&Call::new("curl", words))? {
            Parsed::Config(config) => Ok(*config),
            Parsed::Text(text) => panic!("{text}"),
        }
    }

    #[test]
    fn options_come_in_many_ways() {
        let config =
            config("-sSXPUT -fLo x -H A:1 --header B:2 http://a -m 1.5 --no-silent -4").unwrap();
        assert_eq!(
            (config.method.as_deref(), config.urls),
            (Some("PUT"), vec!["http://a".to_owned()])
        );
        assert!(config.fail && config.follow && config.show_error && !config.silent);
        assert_eq!(config.outputs, [Target::File("x".to_owned())]);
        assert_eq!((config.headers.len(), config.time_max), (2, Some(Duration::from_millis(1500))));
        assert_eq!(config.family, Family::V4);
    }

    #[test]
    fn data_is_put_together() {
        let data = |line: &str| config(line).unwrap().data.unwrap();
        assert_eq!(data("-d a=b --data-urlencode c=d/e x").bytes, b"a=b&c=d%2Fe");
        assert_eq!(data("--data-raw @a x").bytes, b"@a");
        assert!(data("--json {} x").is_json);
        assert_eq!(data("--data-urlencode =a+b x").bytes, b"a%2Bb");
    }

    #[test]
    fn what_is_wrong_is_said_as_curl_does() {
        let why = |line: &str| config(line).unwrap_err();
        assert_eq!(why("--nosuch x"), "option --nosuch: is unknown");
        assert_eq!(why("x -d"), "option -d: requires parameter");
        assert_eq!(why("-m x y"), "option -m: expected a proper numerical parameter");
        assert_eq!(
            why("--http3 y"),
            "option --http3: the installed libcurl version doesn't support this"
        );
        assert_eq!(why("-s"), "no URL specified!");
        assert_eq!(why("-F a=b -d c y"), "You can only select one HTTP request method!");
        let expect = "option --connect-to: bad entry 'a', it is HOST1:PORT1:HOST2:PORT2";
        assert_eq!(why("--connect-to a y"), expect);
    }

    #[test]
    fn options_have_distinct_names() {
        for (at, (long, short, _)) in OPTIONS.iter().enumerate() {
            for (other_long, other_short, _) in &OPTIONS[..at] {
                assert!(long != other_long && (*short == ' ' || short != other_short), "{long}");
            }
        }
    }
}

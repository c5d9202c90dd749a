//! Flags as Go's programs read them: `--name=value`, `--name value`, `--switch`, `-x value`.

use std::collections::HashMap;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Flags {
    values: HashMap<&'static str, String>,
    /// What is no flag.
    pub(crate) rest: Vec<String>,
}

/// A flag's name, its short one or `""`, and what it is without being said.
pub(crate) type Known = (&'static str, &'static str, &'static str);

/// Of logging: taken without effect, as tests pass them to every subcommand.
const LOGGING: &[&str] = &["v", "vmodule", "logtostderr", "alsologtostderr", "stderrthreshold"];

impl Flags {
    /// Reads arguments; a flag whose default is `true` or `false` needs no value. `-x` alone may be
    /// written for `--x`, as Go's older flags are.
    ///
    /// # Errors
    /// The text for the user.
    pub(crate) fn parse(arguments: &[String], known: &[Known]) -> Result<Self, String> {
        let mut flags = Self::default();
        flags.values.extend(known.iter().map(|(name, _, value)| (*name, (*value).to_owned())));
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                flags.rest.extend(words.cloned());
                break;
            }
            let Some(flag) = word.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                flags.rest.push(word.clone());
                continue;
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            let Some((name, _, default)) =
                known.iter().find(|(long, short, _)| name == *long || name == *short)
            else {
                if LOGGING.contains(&name) {
                    if name == "v" && value.is_none() {
                        words.next();
                    }
                    continue;
                }
                return Err(format!("unknown flag: --{name}"));
            };
            let is_switch = matches!(*default, "true" | "false");
            let value = match value {
                Some(value) => value,
                None if is_switch => "true".to_owned(),
                None => words.next().cloned().ok_or(format!("flag needs an argument: --{name}"))?,
            };
            flags.values.insert(name, value);
        }
        Ok(flags)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(crate) fn is_on(&self, name: &str) -> Result<bool, String> {
        match self.text(name) {
            "true" | "t" | "1" => Ok(true),
            "false" | "f" | "0" => Ok(false),
            other => Err(invalid(name, other, "expected true or false")),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<i64, String> {
        let text = self.text(name);
        text.parse().map_err(|_| invalid(name, text, "invalid syntax"))
    }

    /// A port, or nothing for -1.
    pub(crate) fn port(&self, name: &str) -> Result<Option<u16>, String> {
        match self.number(name)? {
            -1 => Ok(None),
            number => {
                let port = u16::try_from(number);
                port.map(Some).map_err(|_| invalid(name, self.text(name), "invalid port"))
            }
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Result<Duration, String> {
        let text = self.text(name);
        duration(text).ok_or_else(|| invalid(name, text, "invalid duration"))
    }
}

fn invalid(name: &str, text: &str, why: &str) -> String {
    format!("invalid argument \"{text}\" for \"--{name}\" flag: {why}")
}

/// Go's `time.ParseDuration`, of what is not negative: `1h30m`, `1.5s`, `300ms`, `0`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    const UNITS: &[(&str, f64)] = &[
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters])?;
        rest = &rest[letters..];
        seconds += number * unit;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Known] = &[("port", "p", "80"), ("tcp", "", "false"), ("name", "", "")];

    fn parse(line: &str) -> Result<Flags, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Flags::parse(&words, KNOWN)
    }

    #[test]
    fn flags_are_read_in_all_their_forms() {
        let flags = parse("--port=81 --tcp a --name x -v 4 b").unwrap();
        assert_eq!(flags.port("port"), Ok(Some(81)));
        assert_eq!((flags.is_on("tcp"), flags.text("name")), (Ok(true), "x"));
        assert_eq!(flags.rest, ["a", "b"]);
        assert_eq!(parse("-p 82").unwrap().number("port"), Ok(82));
        assert_eq!(parse("-port 83 --tcp=false").unwrap().number("port"), Ok(83));
        assert_eq!(parse("--port=-1").unwrap().port("port"), Ok(None));
        assert_eq!(parse("-- --port").unwrap().rest, ["--port"]);
    }

    #[test]
    fn faults_are_worded_as_upstream() {
        assert_eq!(parse("--x").unwrap_err(), "unknown flag: --x");
        assert_eq!(parse("--port").unwrap_err(), "flag needs an argument: --port");
        assert_eq!(
            parse("--port=x").unwrap().port("port").unwrap_err(),
            "invalid argument \"x\" for \"--port\" flag: invalid syntax"
        );
    }

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("300ms"), Some(Duration::from_millis(300)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for text in ["", "5", "x", "-1s", "1 s", "1q"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}

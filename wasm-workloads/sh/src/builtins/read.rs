//! `read`: a line into variables.

use std::time::{Duration, Instant};

use sampan_process::{Error, Handle};

use super::fault;
use crate::shell::{Ran, Shell, Stream};

#[derive(Debug, Default)]
struct Wanted {
    raw: bool,
    /// `-n`: so many characters at most.
    characters: Option<usize>,
    delimiter: Option<char>,
    /// `-a`: the words go into this array.
    array: Option<String>,
    /// `-t`: no byte is waited for longer.
    until: Option<Instant>,
    /// `-u`: another descriptor than 0.
    descriptor: u32,
    names: Vec<String>,
}

pub(super) fn read(shell: &mut Shell, words: &[String]) -> Ran {
    let wanted = wanted(shell, &words[1..])?;
    for name in &wanted.names {
        if !crate::syntax::is_name(name) {
            return fault(shell, "read", &format!("{name}: bad variable name"));
        }
    }
    // One that was taken since the last command would not end the wait below.
    shell.check_signals()?;
    let (line, end) = line(shell, &wanted);
    if end == End::Signal
        && let Some(status) = shell.run_traps()?
    {
        return Ok(status);
    }
    let ended = end != End::Line;
    if let Some(name) = &wanted.array {
        let separators = shell.variables.get("IFS").unwrap_or(" \t\n").to_owned();
        // As many parts as there could be; those behind the last word are empty.
        let mut parts = split(&line, line.len() + 1, &separators);
        while parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        let elements = parts.into_iter().enumerate().collect();
        let set = shell.variables.set_array(name, elements);
        set.or_else(|message| shell.fail(&message))?;
        return Ok(i32::from(ended));
    }
    let names = if wanted.names.is_empty() { vec!["REPLY".to_owned()] } else { wanted.names };
    let values = split(&line, names.len(), shell.variables.get("IFS").unwrap_or(" \t\n"));
    for (name, value) in names.iter().zip(values) {
        shell.assign(name, value).or_else(|message| shell.fail(&message))?;
    }
    Ok(i32::from(ended))
}

fn wanted(shell: &Shell, arguments: &[String]) -> Result<Wanted, crate::shell::Unwind> {
    let mut wanted = Wanted::default();
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        let Some(letters) = word.strip_prefix('-').filter(|_| wanted.names.is_empty()) else {
            wanted.names.push(word.clone());
            continue;
        };
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + 1..];
            let mut value =
                || if rest.is_empty() { arguments.next().cloned() } else { Some(rest.to_owned()) };
            match letter {
                'r' => wanted.raw = true,
                's' | 'e' => {}
                'a' => {
                    wanted.array = value();
                    break;
                }
                'u' => {
                    wanted.descriptor = value().and_then(|text| text.parse().ok()).unwrap_or(0);
                    break;
                }
                'p' => {
                    let prompt = value().unwrap_or_default();
                    let _ = shell.write(2, prompt.as_bytes());
                    break;
                }
                't' => {
                    let seconds = value().and_then(|text| text.parse::<f64>().ok());
                    let Some(seconds) = seconds.filter(|seconds| (0.0..1e9).contains(seconds))
                    else {
                        return fault(shell, "read", "invalid timeout").map(|_| wanted);
                    };
                    wanted.until = Some(Instant::now() + Duration::from_secs_f64(seconds));
                    break;
                }
                'n' | 'N' => {
                    wanted.characters = value().and_then(|text| text.parse().ok());
                    break;
                }
                'd' => {
                    wanted.delimiter =
                        Some(value().and_then(|text| text.chars().next()).unwrap_or('\0'));
                    break;
                }
                _ => {
                    return fault(shell, "read", &format!("illegal option -{letter}"))
                        .map(|_| wanted);
                }
            }
        }
    }
    Ok(wanted)
}

/// Also `readarray`: all lines into an array.
pub(super) fn mapfile(shell: &mut Shell, words: &[String]) -> Ran {
    let strip = words.iter().any(|word| word == "-t");
    let name = words[1..].iter().find(|word| !word.starts_with('-'));
    let name = name.map_or("MAPFILE", String::as_str);
    let mut lines = crate::shell::variables::Array::new();
    loop {
        let line = shell.read_line();
        if line.is_empty() {
            break;
        }
        let kept = if strip { line.strip_suffix('\n').unwrap_or(&line) } else { &line };
        lines.insert(lines.len(), kept.to_owned());
    }
    let set = shell.variables.set_array(name, lines);
    set.or_else(|message| shell.fail(&message))?;
    Ok(0)
}

/// What a line ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Line,
    /// Also when the time is over.
    Input,
    /// A caught one: its trap is to be run.
    Signal,
}

/// `None` at the end of the input or of the time; an error is a caught signal.
fn read_byte(handle: &Handle, until: Option<Instant>) -> Result<Option<u8>, Error> {
    if let Some(until) = until {
        let left = until.saturating_duration_since(Instant::now());
        let left = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        match handle.wait_readable(left) {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Ok(false) => return Ok(None),
            _ => {}
        }
    }
    match handle.read(1) {
        Err(Error::Interrupted) => Err(Error::Interrupted),
        read => Ok(read.ok().and_then(|bytes| bytes.first().copied())),
    }
}

/// The characters of a line, each with whether a backslash was before it, and whether the input
/// ended first. Read byte by byte: what follows belongs to others.
fn line(shell: &Shell, wanted: &Wanted) -> (Vec<(char, bool)>, End) {
    let Some(Stream::Handle(handle)) = shell.streams.get(&wanted.descriptor) else {
        return (Vec::new(), End::Input);
    };
    let delimiter = wanted.delimiter.unwrap_or('\n');
    let (mut line, mut bytes, mut escaped) = (Vec::new(), Vec::new(), false);
    while wanted.characters.is_none_or(|most| line.len() < most) {
        let byte = match read_byte(handle, wanted.until) {
            Ok(Some(byte)) => byte,
            Ok(None) => return (line, End::Input),
            Err(_) => return (line, End::Signal),
        };
        bytes.push(byte);
        let c = match std::str::from_utf8(&bytes) {
            Ok(text) => text.chars().next().unwrap_or('\0'),
            // A character's first bytes, unless it is none.
            Err(err) if err.error_len().is_none() => continue,
            Err(_) => char::REPLACEMENT_CHARACTER,
        };
        bytes.clear();
        match c {
            '\n' if escaped => escaped = false,
            c if escaped => {
                line.push((c, true));
                escaped = false;
            }
            '\\' if !wanted.raw => escaped = true,
            c if c == delimiter => return (line, End::Line),
            c => line.push((c, false)),
        }
    }
    (line, End::Line)
}

/// A line in `count` parts; the last takes what remains.
fn split(line: &[(char, bool)], count: usize, separators: &str) -> Vec<String> {
    let separates = |(c, quoted): &(char, bool)| !quoted && separators.contains(*c);
    let is_space = |char: &(char, bool)| separates(char) && matches!(char.0, ' ' | '\t' | '\n');
    let text = |chars: &[(char, bool)]| chars.iter().map(|(c, _)| c).collect::<String>();
    let trimmed = |mut chars: &[(char, bool)]| {
        while chars.last().is_some_and(is_space) {
            chars = &chars[..chars.len() - 1];
        }
        chars.len()
    };
    let skip_spaces = |at: usize| at + line[at..].iter().take_while(|char| is_space(char)).count();
    let mut values = Vec::new();
    let mut at = skip_spaces(0);
    while values.len() + 1 < count {
        let end = line[at..].iter().position(separates).map_or(line.len(), |n| at + n);
        values.push(text(&line[at..end]));
        at = skip_spaces(end);
        if at < line.len() && separates(&line[at]) && (at > end || !is_space(&line[end])) {
            at = skip_spaces(at + 1);
        }
    }
    let rest = &line[at..];
    let mut rest = &rest[..trimmed(rest)];
    // One delimiter that ends the last part is not of it.
    if let Some((last, before)) = rest.split_last()
        && separates(last)
        && !before.iter().any(separates)
    {
        rest = before;
    }
    values.push(text(rest));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, separators: &str, expect: &[&str]) {
        let line: Vec<_> = line.chars().map(|c| (c, false)).collect();
        assert_eq!(split(&line, expect.len(), separators), expect);
    }

    #[test]
    fn the_last_variable_takes_the_rest() {
        check("  a b  c d ", " \t\n", &["a", "b  c d"]);
        check("a", " ", &["a", "", ""]);
        check("a:b:c", ":", &["a", "b:c"]);
        check("a::c", ":", &["a", "", "c"]);
        check("a:b:", ":", &["a", "b"]);
        check(" a b ", "", &[" a b "]);
        check("root : x", " :", &["root", "x"]);
    }
}

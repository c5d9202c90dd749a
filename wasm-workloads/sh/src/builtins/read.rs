//! `read`: a line into variables.

use super::fault;
use crate::shell::{Ran, Shell, Stream};

#[derive(Debug, Default)]
struct Wanted {
    raw: bool,
    /// `-n`: so many characters at most.
    characters: Option<usize>,
    delimiter: Option<char>,
    names: Vec<String>,
}

pub(super) fn read(shell: &mut Shell, words: &[String]) -> Ran {
    let wanted = wanted(shell, &words[1..])?;
    for name in &wanted.names {
        if !crate::syntax::is_name(name) {
            return fault(shell, "read", &format!("{name}: bad variable name"));
        }
    }
    let (line, ended) = line(shell, &wanted);
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
                's' => {}
                'p' => {
                    let prompt = value().unwrap_or_default();
                    let _ = shell.write(2, prompt.as_bytes());
                    break;
                }
                'n' => {
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

/// The characters of a line, each with whether a backslash was before it, and whether the input
/// ended first. Read byte by byte: what follows belongs to others.
fn line(shell: &Shell, wanted: &Wanted) -> (Vec<(char, bool)>, bool) {
    let Some(Stream::Handle(handle)) = shell.streams.get(&0) else { return (Vec::new(), true) };
    let delimiter = wanted.delimiter.unwrap_or('\n');
    let (mut line, mut bytes, mut escaped) = (Vec::new(), Vec::new(), false);
    while wanted.characters.is_none_or(|most| line.len() < most) {
        let byte = match handle.read(1) {
            Ok(read) if !read.is_empty() => read[0],
            _ => return (line, true),
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
            c if c == delimiter => return (line, false),
            c => line.push((c, false)),
        }
    }
    (line, false)
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

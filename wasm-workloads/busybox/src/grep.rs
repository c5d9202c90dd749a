//! `grep`, and POSIX's regular expressions.

use std::collections::VecDeque;
use std::fs;
use std::io::Write;

use regex_lite::{Regex, RegexBuilder};

use crate::call::{Call, Done, Failure, Input, Options, output, reason};

/// A POSIX expression; `extended` as `grep -E` has it.
///
/// # Errors
/// It is none.
pub fn regex(text: &str, extended: bool, fold: bool) -> Result<Regex, String> {
    let translated = translate(text, extended);
    RegexBuilder::new(&translated)
        .case_insensitive(fold)
        .build()
        .map_err(|_| format!("bad regex '{text}'"))
}

/// Writes a POSIX expression as regex-lite reads it.
fn translate(text: &str, extended: bool) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut at_start = true;
    while let Some(c) = chars.next() {
        let starts = std::mem::take(&mut at_start);
        match c {
            '\\' => match chars.next() {
                // In a basic expression these are operators only with a backslash.
                Some(c @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) if !extended => {
                    out.push(c);
                    at_start = c == '(' || c == '|';
                }
                Some('<') => out.push_str(r"\b{start}"),
                Some('>') => out.push_str(r"\b{end}"),
                Some(c @ ('w' | 'W' | 's' | 'S' | 'b' | 'B')) => out.extend(['\\', c]),
                Some(c) => out.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4]))),
                None => out.push_str(r"\\"),
            },
            '[' => bracket(&mut chars, &mut out),
            '*' if starts => out.push_str(r"\*"),
            '(' | ')' | '{' | '}' | '|' | '+' | '?' if !extended => out.extend(['\\', c]),
            '(' | '|' => {
                out.push(c);
                at_start = true;
            }
            '^' => {
                out.push('^');
                at_start = true;
            }
            c => out.push(c),
        }
    }
    out
}

/// A bracket expression: in POSIX a backslash in it is a character.
fn bracket(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    out.push('[');
    if chars.peek() == Some(&'^') {
        out.extend(chars.next());
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return;
            }
            '[' if matches!(chars.peek(), Some(':')) => {
                out.push('[');
                // A class, up to its own bracket.
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '\\' | '[' | ']' | '&' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
        first = false;
    }
}

/// What `grep` looks for and how it tells.
struct Search {
    patterns: Vec<Regex>,
    options: Options,
    named: bool,
    most: u64,
    before: u64,
    after: u64,
}

pub fn grep(call: &Call) -> Done {
    let mut options = call.options("HhnlLoqvsrRiwFEGxce:f:m:A:B:C:az")?;
    let mut patterns: Vec<String> =
        options.values('e').flat_map(str::lines).map(str::to_owned).collect();
    for name in options.values('f') {
        let input = call
            .try_open(name)
            .map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))?;
        patterns.extend(input.lines().map(|line| String::from_utf8_lossy(&line).into_owned()));
    }
    if options.value('e').is_none() && options.value('f').is_none() {
        if options.operands.is_empty() {
            return Err(Failure::usage());
        }
        let pattern = options.operands.remove(0);
        patterns.extend(if pattern.is_empty() {
            vec![String::new()]
        } else {
            pattern.lines().map(str::to_owned).collect()
        });
    }
    let compiled =
        patterns.iter().map(|pattern| compile(pattern, &options)).collect::<Result<Vec<_>, _>>();
    let patterns = match compiled {
        Ok(patterns) => patterns,
        Err(message) => {
            call.complain(&message);
            return Ok(2);
        }
    };
    let recursive = options.has('r') || options.has('R');
    let names = match options.operands.as_slice() {
        [] if recursive => vec![".".to_owned()],
        operands => Call::inputs(operands),
    };
    let context = options.value('C').unwrap_or("0").to_owned();
    let number = |letter, default: &str| call.number(options.value(letter).unwrap_or(default));
    let (most, before, after) =
        (number('m', "9999999999")?, number('B', &context)?, number('A', &context)?);
    let named = (names.len() > 1 || recursive || options.has('H')) && !options.has('h');
    let search = Search { patterns, named, most, before, after, options };
    let mut out = output();
    let (mut found, mut failed) = (false, false);
    let mut waiting: VecDeque<(String, bool)> =
        names.into_iter().map(|name| (name, true)).collect();
    while let Some((name, given)) = waiting.pop_front() {
        let path = call.path(&name);
        if name != "-" && recursive && fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            if given || !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
                let inner = below(&path).into_iter().rev();
                inner.for_each(|entry| {
                    waiting.push_front((format!("{}/{entry}", name.trim_end_matches('/')), false))
                });
            }
            continue;
        }
        match call.try_open(&name) {
            Ok(input) => {
                found |= search.one(&name, input, &mut out)?;
                if found && search.options.has('q') {
                    return Ok(0);
                }
            }
            Err(err) => {
                failed = true;
                if !search.options.has('s') {
                    out.flush()?;
                    call.complain(&format!("{name}: {}", reason(&err)));
                }
            }
        }
    }
    out.flush()?;
    Ok(if failed { 2 } else { u8::from(!found) })
}

fn below(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn compile(pattern: &str, options: &Options) -> Result<Regex, String> {
    let fold = options.has('i');
    let mut text = if options.has('F') {
        regex_lite::escape(pattern)
    } else {
        translate(pattern, options.has('E'))
    };
    if options.has('w') {
        text = format!(r"\b(?:{text})\b");
    }
    if options.has('x') {
        text = format!("^(?:{text})$");
    }
    RegexBuilder::new(&text)
        .case_insensitive(fold)
        .build()
        .map_err(|_| format!("bad regex '{pattern}'"))
}

impl Search {
    /// Searches one input; whether it had a match.
    fn one(&self, name: &str, input: Input, out: &mut impl Write) -> Result<bool, Failure> {
        let has = |letter| self.options.has(letter);
        let shown = if name == "-" { "(standard input)" } else { name };
        let quiet = has('q') || has('l') || has('L') || has('c');
        let (mut count, mut after) = (0, 0);
        let mut before: VecDeque<(u64, String)> = VecDeque::new();
        let mut last_shown = 0;
        for (n, line) in (1_u64..).zip(input.lines()) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let matched = self.patterns.iter().any(|pattern| pattern.is_match(&line)) != has('v');
            if matched && count < self.most {
                count += 1;
                if has('q') || has('l') || has('L') {
                    break;
                }
                if !quiet {
                    let gap = last_shown > 0 && n - before.len() as u64 > last_shown + 1;
                    if gap && self.before + self.after > 0 {
                        writeln!(out, "--")?;
                    }
                    for (n, line) in before.drain(..) {
                        self.show(out, shown, n, &line, '-')?;
                    }
                    if has('o') && !has('v') {
                        self.show_matches(out, shown, n, &line)?;
                    } else {
                        self.show(out, shown, n, &line, ':')?;
                    }
                    last_shown = n;
                }
                after = self.after;
            } else if after > 0 && !quiet {
                after -= 1;
                self.show(out, shown, n, &line, '-')?;
                last_shown = n;
            } else if self.before > 0 {
                before.push_back((n, line));
                if before.len() as u64 > self.before {
                    before.pop_front();
                }
            }
            if count >= self.most && after == 0 {
                break;
            }
        }
        if has('c') && !has('q') {
            let prefix = if self.named { format!("{shown}:") } else { String::new() };
            writeln!(out, "{prefix}{count}")?;
        }
        if (has('l') && count > 0) || (has('L') && count == 0) {
            writeln!(out, "{shown}")?;
        }
        Ok(count > 0)
    }

    fn show(
        &self,
        out: &mut impl Write,
        name: &str,
        n: u64,
        line: &str,
        mark: char,
    ) -> Result<(), Failure> {
        if self.named {
            write!(out, "{name}{mark}")?;
        }
        if self.options.has('n') {
            write!(out, "{n}{mark}")?;
        }
        Ok(writeln!(out, "{line}")?)
    }

    /// `-o`
    fn show_matches(
        &self,
        out: &mut impl Write,
        name: &str,
        n: u64,
        line: &str,
    ) -> Result<(), Failure> {
        let mut places: Vec<(usize, usize)> = Vec::new();
        for pattern in &self.patterns {
            places.extend(pattern.find_iter(line).map(|found| (found.start(), found.end())));
        }
        places.sort_unstable();
        let mut end = 0;
        for (start, stop) in places {
            if start >= end && stop > start {
                self.show(out, name, n, &line[start..stop], ':')?;
                end = stop;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, extended: bool, text: &str, expect: Option<&str>) {
        let regex = regex(pattern, extended, false).unwrap();
        assert_eq!(regex.find(text).map(|found| found.as_str()), expect, "{pattern}");
    }

    #[test]
    fn basic_expressions() {
        check("a*b", false, "xaab", Some("aab"));
        check("*a", false, "x*a", Some("*a"));
        check("a+b", false, "aab a+b", Some("a+b"));
        check(r"a\+b", false, "aab", Some("aab"));
        check(r"\(ab\)\{2\}", false, "ababab", Some("abab"));
        check(r"a\|b", false, "xb", Some("b"));
        check("[[:digit:]]*$", false, "ab12", Some("12"));
        check(r"[\.]", false, "a\\", Some("\\"));
        check("[]a]", false, "x]", Some("]"));
        check("[^]a]", false, "]ax", Some("x"));
        check("a.c", false, "abc", Some("abc"));
        check(r"a\.c", false, "abc", None);
        check("^$", false, "", Some(""));
        check("(x)", false, "(x)", Some("(x)"));
    }

    #[test]
    fn extended_expressions() {
        check("(ab)+|c", true, "xabab", Some("abab"));
        check("a{2,3}", true, "aaaa", Some("aaa"));
        check(r"\(", true, "(", Some("("));
        check("colou?r", true, "color", Some("color"));
    }

    #[test]
    fn a_bad_expression_is_said() {
        assert_eq!(regex("[", false, false).unwrap_err(), "bad regex '['");
    }
}

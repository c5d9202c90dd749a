//! `grep`.

use std::collections::VecDeque;
use std::fs;
use std::io::Write;

use sampan_regexp::{Captures, Regexp, Syntax};

use crate::call::{Call, Done, Failure, Options, output, reason};
use crate::stream::Input;

/// `--include`, `--exclude`, `--exclude-dir`: long names only.
const INCLUDE: char = '<';
const EXCLUDE: char = '>';
const EXCLUDE_DIRECTORY: char = '^';

/// What `grep` looks for and how it tells.
struct Search {
    /// None: there are no expressions, and nothing matches.
    regexp: Option<Regexp>,
    options: Options,
    named: bool,
    most: u64,
    before: u64,
    after: u64,
    /// What ends a line: with `-z` a zero byte.
    end: u8,
}

pub fn grep(call: &Call) -> Done {
    // What is wrong with the call must not look like "nothing found".
    let failed = |failure| match failure {
        Failure::Output(err) => Err(Failure::Output(err)),
        failure => {
            call.explain(&failure);
            Ok(2)
        }
    };
    run(call).or_else(failed)
}

fn run(call: &Call) -> Done {
    let spec =
        format!("HhnlLoqvsrRiwFEGxce:f:m:A:B:C:azbPI{INCLUDE}:{EXCLUDE}:{EXCLUDE_DIRECTORY}:");
    let mut options = call.options_of(with_old_numbers(call), &spec)?;
    if options.has('P') {
        let why = "-P: Perl's expressions are not supported; use -E";
        return Err(Failure::Message(why.to_owned()));
    }
    let patterns = patterns(call, &mut options)?;
    let texts = patterns.iter().map(String::as_str);
    let syntax = Syntax {
        extended: call.name == "egrep" || options.last_of("EGF") == Some('E'),
        fold: options.has('i'),
        ..Syntax::default()
    };
    let compiled = if call.name == "fgrep" || options.has('F') {
        Regexp::literals(texts, syntax.fold)
    } else {
        Regexp::any_of(texts, syntax)
    };
    let regexp = compiled
        .map_err(|why| Failure::Message(format!("bad regex '{}': {why}", patterns.join("\n"))))?;
    let recursive = options.has('r') || options.has('R');
    let names = match options.operands.as_slice() {
        [] if recursive => vec![".".to_owned()],
        operands => Call::inputs(operands),
    };
    let context = options.value('C').unwrap_or("0").to_owned();
    let number = |letter, default: &str| call.number(options.value(letter).unwrap_or(default));
    let (most, before, after) =
        (number('m', "9999999999")?, number('B', &context)?, number('A', &context)?);
    let search = Search {
        regexp: (!patterns.is_empty()).then_some(regexp),
        named: (names.len() > 1 || recursive || options.has('H')) && !options.has('h'),
        end: if options.has('z') { 0 } else { b'\n' },
        most,
        before,
        after,
        options,
    };
    search.all(call, names)
}

/// `-3` is `-C 3`.
fn with_old_numbers(call: &Call) -> Vec<String> {
    let is_number = |word: &str| {
        let digits = word.strip_prefix('-').unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let mut words: Vec<String> = Vec::new();
    for word in call.arguments() {
        let is_value = words.last().is_some_and(|last| {
            last.len() > 1
                && last.starts_with('-')
                && last.ends_with(['e', 'f', 'm', 'A', 'B', 'C'])
        });
        let own = is_number(word) && !is_value;
        words.push(if own { format!("-C{}", &word[1..]) } else { word.clone() });
    }
    words
}

fn patterns(call: &Call, options: &mut Options) -> Result<Vec<String>, Failure> {
    // An empty text is one empty expression, and so is a line without text.
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let mut patterns: Vec<String> = options.values('e').flat_map(lines).collect();
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
        patterns = lines(&options.operands.remove(0));
    }
    Ok(patterns)
}

fn below(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// What is known of one input while it is searched.
#[derive(Default)]
struct Progress {
    count: u64,
    /// The line that was shown last, from 1.
    last_shown: u64,
    /// Lines still to be shown after a match.
    after: u64,
    /// Lines that may have to be shown before one, with their numbers and places.
    before: VecDeque<Line>,
}

/// A line, its number from 1, and where it begins.
struct Line {
    number: u64,
    offset: u64,
    text: Vec<u8>,
}

impl Search {
    fn all(&self, call: &Call, names: Vec<String>) -> Done {
        let recursive = self.options.has('r') || self.options.has('R');
        let mut out = output();
        let (mut found, mut failed) = (false, false);
        let mut waiting: Vec<(String, bool)> =
            names.into_iter().rev().map(|name| (name, true)).collect();
        while let Some((name, given)) = waiting.pop() {
            let path = call.path(&name);
            if name != "-" && recursive && fs::metadata(&path).is_ok_and(|found| found.is_dir()) {
                let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
                if given || (!is_link && self.enters(&name)) {
                    let base = name.trim_end_matches('/');
                    let inner = below(&path).into_iter().rev();
                    waiting.extend(inner.map(|entry| (format!("{base}/{entry}"), false)));
                }
                continue;
            }
            if recursive && !self.wants(&name) {
                continue;
            }
            match call.try_open(&name) {
                Ok(input) => {
                    found |= self.one(&name, input, &mut out)?;
                    if found && self.options.has('q') {
                        return Ok(0);
                    }
                }
                Err(err) => {
                    failed = true;
                    if !self.options.has('s') {
                        out.flush()?;
                        call.complain(&format!("{name}: {}", reason(&err)));
                    }
                }
            }
        }
        out.flush()?;
        Ok(if failed { 2 } else { u8::from(!found) })
    }

    fn is_named(&self, letter: char, name: &str) -> bool {
        let last = crate::names::last(name);
        self.options.values(letter).any(|pattern| sampan_sh::matches(pattern, last))
    }

    fn enters(&self, name: &str) -> bool {
        !self.is_named(EXCLUDE_DIRECTORY, name)
    }

    fn wants(&self, name: &str) -> bool {
        let has_include = self.options.value(INCLUDE).is_some();
        (!has_include || self.is_named(INCLUDE, name)) && !self.is_named(EXCLUDE, name)
    }

    /// The first match in a line at or behind `from` that is as `-w` and `-x` want it.
    fn find(&self, line: &[u8], from: usize) -> Result<Option<(usize, usize)>, Failure> {
        let Some(regexp) = &self.regexp else { return Ok(None) };
        let complex = |err| Failure::Message(format!("{err}"));
        let (words, whole) = (self.options.has('w'), self.options.has('x'));
        let mut captures = Captures::default();
        let mut from = from;
        while regexp.find_at(line, from, &mut captures).map_err(complex)? {
            let (start, end) = captures.whole();
            let is_word = |byte: Option<&u8>| {
                byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            };
            let before = start.checked_sub(1).and_then(|at| line.get(at));
            if whole && (start > 0 || end < line.len()) {
                return Ok(None);
            }
            if !words || (!is_word(before) && !is_word(line.get(end))) {
                return Ok(Some((start, end)));
            }
            from = start + 1;
        }
        Ok(None)
    }

    fn matches(&self, line: &[u8]) -> Result<bool, Failure> {
        let simple = !self.options.has('w') && !self.options.has('x');
        let found = match &self.regexp {
            Some(regexp) if simple => {
                regexp.is_match(line).map_err(|err| Failure::Message(format!("{err}")))?
            }
            _ => self.find(line, 0)?.is_some(),
        };
        Ok(found != self.options.has('v'))
    }

    /// Searches one input; whether it had a match.
    fn one(&self, name: &str, mut input: Input, out: &mut impl Write) -> Result<bool, Failure> {
        let has = |letter| self.options.has(letter);
        let shown = if name == "-" { "(standard input)" } else { name };
        let silent = has('q') || has('l') || has('L');
        let mut progress = Progress::default();
        let mut line = Line { number: 0, offset: 0, text: Vec::new() };
        while (progress.count < self.most || progress.after > 0)
            && let Some(ended) = input.next_line(self.end, &mut line.text)
        {
            line.number += 1;
            if progress.count < self.most && self.matches(&line.text)? {
                progress.count += 1;
                if silent {
                    break;
                }
                if !has('c') {
                    self.show_match(out, shown, &mut progress, &line)?;
                }
            } else if !has('c') && !silent {
                self.show_context(out, shown, &mut progress, &line)?;
            }
            line.offset += line.text.len() as u64 + u64::from(ended);
        }
        let count = progress.count;
        if has('c') && !silent {
            let prefix = if self.named { format!("{shown}:") } else { String::new() };
            writeln!(out, "{prefix}{count}")?;
        }
        if !has('q') && ((has('l') && count > 0) || (has('L') && count == 0)) {
            writeln!(out, "{shown}")?;
        }
        Ok(if has('L') { count == 0 } else { count > 0 })
    }

    fn show_match(
        &self,
        out: &mut impl Write,
        name: &str,
        progress: &mut Progress,
        line: &Line,
    ) -> Result<(), Failure> {
        let first = line.number - progress.before.len() as u64;
        let gap = progress.last_shown > 0 && first > progress.last_shown + 1;
        if gap && self.before + self.after > 0 {
            writeln!(out, "--")?;
        }
        for line in progress.before.drain(..) {
            self.show(out, name, &line, (0, line.text.len()), '-')?;
        }
        if self.options.has('o') {
            let mut from = 0;
            while !self.options.has('v')
                && let Some((start, end)) = self.find(&line.text, from)?
            {
                if end > start {
                    self.show(out, name, line, (start, end), ':')?;
                }
                from = end.max(start + 1);
            }
        } else {
            self.show(out, name, line, (0, line.text.len()), ':')?;
        }
        progress.last_shown = line.number;
        progress.after = self.after;
        Ok(())
    }

    fn show_context(
        &self,
        out: &mut impl Write,
        name: &str,
        progress: &mut Progress,
        line: &Line,
    ) -> Result<(), Failure> {
        if progress.after > 0 {
            progress.after -= 1;
            progress.last_shown = line.number;
            return self.show(out, name, line, (0, line.text.len()), '-');
        }
        if self.before > 0 {
            progress.before.push_back(Line { text: line.text.clone(), ..*line });
            if progress.before.len() as u64 > self.before {
                progress.before.pop_front();
            }
        }
        Ok(())
    }

    fn show(
        &self,
        out: &mut impl Write,
        name: &str,
        line: &Line,
        (start, end): (usize, usize),
        mark: char,
    ) -> Result<(), Failure> {
        if self.named {
            write!(out, "{name}{mark}")?;
        }
        if self.options.has('n') {
            write!(out, "{}{mark}", line.number)?;
        }
        if self.options.has('b') {
            let inner = if self.options.has('o') { start as u64 } else { 0 };
            write!(out, "{}{mark}", line.offset + inner)?;
        }
        out.write_all(&line.text[start..end])?;
        Ok(out.write_all(&[self.end])?)
    }
}

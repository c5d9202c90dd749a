//! Programs that pass text on: whole, its beginning, its end, or its size.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::thread;
use std::time::Duration;

use crate::call::{Call, Done, Failure, output, print, reason};
use crate::stream::Input;

pub fn cat(call: &Call) -> Done {
    let options = call.options("nbuvetA")?;
    let (mut code, mut number) = (0, 0_u64);
    // Unbuffered: what is read is seen at once.
    let mut out = io::stdout().lock();
    for name in Call::inputs(&options.operands) {
        let mut input = match call.try_open(&name) {
            Ok(input) => input,
            Err(err) => {
                let is_directory = err.kind() == io::ErrorKind::IsADirectory;
                let why = reason(&err);
                call.complain(&if is_directory {
                    format!("read error: {why}")
                } else {
                    format!("can't open '{name}': {why}")
                });
                code = 1;
                continue;
            }
        };
        if options.has('n') || options.has('b') {
            while let Some(line) = input.line() {
                if options.has('n') || line != b"\n" {
                    number += 1;
                    write!(out, "{number:6}\t")?;
                }
                out.write_all(&line)?;
            }
        } else if let Err(err) = pass(&mut input, &mut out)? {
            call.complain(&format!("read error: {}", reason(&err)));
            code = 1;
        }
    }
    out.flush()?;
    Ok(code)
}

/// Copies all; an outer error is of writing, an inner one of reading.
fn pass(input: &mut Input, out: &mut impl Write) -> io::Result<io::Result<()>> {
    let mut buffer = vec![0; 32 << 10];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(n) => {
                out.write_all(&buffer[..n])?;
                out.flush()?;
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Ok(Err(err)),
        }
    }
}

/// `-5` is `-n 5`, as people type it; but not where it is another option's value.
fn with_old_numbers(call: &Call) -> Vec<String> {
    let mut words = Vec::new();
    for word in call.arguments() {
        let is_value =
            matches!(words.last().map(String::as_str), Some("-n" | "-c" | "--lines" | "--bytes"));
        let digits = word.strip_prefix('-').filter(|digits| !digits.is_empty() && !is_value);
        match digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())) {
            Some(digits) => words.extend(["-n".to_owned(), digits.to_owned()]),
            None => words.push(word.clone()),
        }
    }
    words
}

pub fn head(call: &Call) -> Done {
    let options = call.options_of(with_old_numbers(call), "n:c:qv")?;
    let (unit, count) = match options.last_of("nc") {
        Some(unit) => (unit, options.value(unit).unwrap_or_default()),
        None => ('n', "10"),
    };
    let from_end = count.strip_prefix('-');
    let count = call.number(from_end.unwrap_or(count))?;
    let names = Call::inputs(&options.operands);
    let titled = (names.len() > 1 && !options.has('q')) || options.has('v');
    let (mut code, mut shown) = (0, 0);
    let mut out = output();
    for name in &names {
        let Some(mut input) = call.open(name, |name, why| format!("{name}: {why}")) else {
            code = 1;
            continue;
        };
        if titled {
            title(&mut out, name, shown)?;
        }
        shown += 1;
        match (unit, from_end) {
            ('c', None) => {
                io::copy(&mut input.take(count), &mut out)?;
            }
            ('c', Some(_)) => {
                let mut bytes = Vec::new();
                input.read_to_end(&mut bytes).map_err(|err| Failure::Message(reason(&err)))?;
                out.write_all(&bytes[..bytes.len().saturating_sub(count as usize)])?;
            }
            (_, None) => {
                for _ in 0..count {
                    let Some(line) = input.line() else { break };
                    out.write_all(&line)?;
                }
            }
            (_, Some(_)) => {
                let mut held = VecDeque::new();
                while let Some(line) = input.line() {
                    held.push_back(line);
                    if held.len() as u64 > count {
                        out.write_all(&held.pop_front().unwrap_or_default())?;
                    }
                }
            }
        }
    }
    out.flush()?;
    Ok(code)
}

fn title(out: &mut impl Write, name: &str, shown: u32) -> io::Result<()> {
    let name = if name == "-" { "standard input" } else { name };
    writeln!(out, "{}==> {name} <==", if shown > 0 { "\n" } else { "" })
}

/// What `tail` shows of each file.
struct Tail {
    lines: bool,
    count: u64,
    /// `+N`: from there on, not the last ones.
    from_start: bool,
}

pub fn tail(call: &Call) -> Done {
    let options = call.options_of(with_old_numbers(call), "fFn:c:qvs:")?;
    let (unit, count) = match options.last_of("nc") {
        Some(unit) => (unit, options.value(unit).unwrap_or_default()),
        None => ('n', "10"),
    };
    let from_start = count.starts_with('+');
    let count = call.number(count.trim_start_matches(['+', '-']))?;
    let tail = Tail { lines: unit == 'n', count, from_start };
    let names = Call::inputs(&options.operands);
    let titled = (names.len() > 1 && !options.has('q')) || options.has('v');
    let (mut code, mut shown) = (0, 0);
    let mut out = output();
    for name in &names {
        let Some(mut input) = call.open(name, |name, why| format!("can't open '{name}': {why}"))
        else {
            code = 1;
            continue;
        };
        if titled {
            title(&mut out, name, shown)?;
        }
        shown += 1;
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(|err| Failure::Message(reason(&err)))?;
        out.write_all(end_of(&bytes, &tail))?;
    }
    out.flush()?;
    if shown == 0 {
        return Err(Failure::Message("no files".to_owned()));
    }
    if options.has('f') || options.has('F') {
        follow(call, &names, &mut out)?;
    }
    Ok(code)
}

fn end_of<'a>(bytes: &'a [u8], tail: &Tail) -> &'a [u8] {
    let count = tail.count as usize;
    let start = match (tail.lines, tail.from_start) {
        (false, true) => count.saturating_sub(1),
        (false, false) => bytes.len().saturating_sub(count),
        (true, true) => starts_of_lines(bytes).nth(count.saturating_sub(1)).unwrap_or(bytes.len()),
        (true, false) => {
            let lines = starts_of_lines(bytes).count();
            starts_of_lines(bytes).nth(lines.saturating_sub(count)).unwrap_or(bytes.len())
        }
    };
    &bytes[start.min(bytes.len())..]
}

fn starts_of_lines(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let after = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(after).filter(|at| *at < bytes.len())
}

/// How often followed files are looked at, as in busybox.
const LOOK: Duration = Duration::from_secs(1);

/// Shows what is added to the files, for ever.
fn follow(call: &Call, names: &[String], out: &mut impl Write) -> io::Result<()> {
    let size = |name: &String| std::fs::metadata(call.path(name)).map_or(0, |found| found.len());
    let mut sizes: Vec<u64> = names.iter().map(size).collect();
    loop {
        thread::sleep(LOOK);
        for (name, known) in names.iter().zip(&mut sizes) {
            let now = size(name);
            if now < *known {
                *known = 0;
            }
            if now > *known
                && let Ok(mut file) = File::open(call.path(name))
            {
                file.seek(SeekFrom::Start(*known))?;
                *known += io::copy(&mut file, out)?;
                out.flush()?;
            }
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    lines: u64,
    words: u64,
    characters: u64,
    bytes: u64,
}

pub fn wc(call: &Call) -> Done {
    let options = call.options("lwcm")?;
    let all = options.last_of("lwcm").is_none();
    let columns = |counts: Counts| {
        let columns = [
            ('l', counts.lines),
            ('w', counts.words),
            ('m', counts.characters),
            ('c', counts.bytes),
        ];
        columns
            .into_iter()
            .filter(|(letter, _)| options.has(*letter) || (all && *letter != 'm'))
            .map(|(_, count)| count)
            .collect::<Vec<_>>()
    };
    let names = Call::inputs(&options.operands);
    let (mut code, mut total) = (0, Counts::default());
    let single = columns(total).len() == 1;
    let line = |counts: Counts, name: &str| {
        let shown = columns(counts)
            .into_iter()
            .map(|count| if single { count.to_string() } else { format!("{count:9}") });
        let name = if options.operands.is_empty() { String::new() } else { format!(" {name}") };
        shown.collect::<Vec<_>>().join(" ") + &name + "\n"
    };
    let mut text = String::new();
    for name in &names {
        let Some(input) = call.open(name, |name, why| format!("{name}: {why}")) else {
            code = 1;
            continue;
        };
        let counts = count(input);
        total.lines += counts.lines;
        total.words += counts.words;
        total.characters += counts.characters;
        total.bytes += counts.bytes;
        text += &line(counts, name);
    }
    if names.len() > 1 {
        text += &line(total, "total");
    }
    print(text)?;
    Ok(code)
}

fn count(mut input: Input) -> Counts {
    let (mut counts, mut in_word) = (Counts::default(), false);
    let mut buffer = vec![0; 32 << 10];
    while let Ok(n) = input.read(&mut buffer) {
        if n == 0 {
            break;
        }
        counts.bytes += n as u64;
        for byte in &buffer[..n] {
            counts.lines += u64::from(*byte == b'\n');
            // Every byte but UTF-8's continuations begins a character.
            counts.characters += u64::from(byte & 0xc0 != 0x80);
            let space = byte.is_ascii_whitespace() || *byte == 11;
            counts.words += u64::from(!space && !in_word);
            in_word = !space;
        }
    }
    counts
}

pub fn tee(call: &Call) -> Done {
    let options = call.options("ai")?;
    let mut code = 0;
    let mut files = Vec::new();
    for name in &options.operands {
        let mut open = OpenOptions::new();
        open.create(true).write(true);
        if options.has('a') {
            open.append(true)
        } else {
            open.truncate(true)
        };
        match open.open(call.path(name)) {
            Ok(file) => files.push(file),
            Err(err) => {
                call.complain(&format!("{name}: {}", reason(&err)));
                code = 1;
            }
        }
    }
    let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
    let mut buffer = vec![0; 32 << 10];
    loop {
        let n = input.read(&mut buffer).map_err(|err| Failure::Message(reason(&err)))?;
        if n == 0 {
            return Ok(code);
        }
        for file in &mut files {
            if let Err(err) = file.write_all(&buffer[..n]) {
                call.complain(&format!("write error: {}", reason(&err)));
                code = 1;
            }
        }
        out.write_all(&buffer[..n])?;
        out.flush()?;
    }
}

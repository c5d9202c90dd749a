//! Programs that pass text on: whole, its beginning, its end, or its size.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::thread;
use std::time::Duration;

use crate::call::{Call, Done, Failure, output, print, reason};
use crate::stream::{BUFFER_BYTES, Input, Stream};

pub fn cat(call: &Call) -> Done {
    let options = call.options("nbuvetA")?;
    let (mut code, mut number) = (0, 0_u64);
    // Unbuffered: what is read is seen at once.
    let mut out = Stream(sampan_process::stdout());
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
                let mut numbered = Vec::new();
                if options.has('n') || line != b"\n" {
                    number += 1;
                    write!(numbered, "{number:6}\t")?;
                }
                numbered.extend(line);
                out.write_all(&numbered)?;
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
    let mut buffer = vec![0; BUFFER_BYTES];
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
                first_lines(&mut input, count, &mut out)?;
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

fn first_lines(input: &mut Input, count: u64, out: &mut impl Write) -> io::Result<()> {
    let mut left = count;
    while left > 0
        && let Ok(piece) = input.fill_buf()
        && !piece.is_empty()
    {
        let ends = usize::try_from(left - 1).unwrap_or(usize::MAX);
        let last = memchr::memchr_iter(b'\n', piece).nth(ends);
        let length = last.map_or(piece.len(), |at| at + 1);
        out.write_all(&piece[..length])?;
        if last.is_some() {
            left = 0;
        } else {
            left -= memchr::memchr_iter(b'\n', piece).count() as u64;
        }
        input.consume(length);
    }
    Ok(())
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
        let bytes = read_tail(&mut input, &tail).map_err(|err| Failure::Message(reason(&err)))?;
        out.write_all(end_of(&bytes, &tail))?;
    }
    out.flush()?;
    // -F waits for a file that is not there yet.
    if shown == 0 && !options.has('F') {
        return Err(Failure::Message("no files".to_owned()));
    }
    if options.has('f') || options.has('F') {
        follow(call, &names, &mut out)?;
    }
    Ok(code)
}

/// What is read before what is not shown is let go of the first time.
const HELD_BYTES: usize = 1 << 20;

/// What remains to be shown of an input, and at most as much again or [`HELD_BYTES`].
fn read_tail(input: &mut Input, tail: &Tail) -> io::Result<Vec<u8>> {
    let (mut bytes, mut most) = (Vec::new(), HELD_BYTES);
    loop {
        let piece = input.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(piece);
        input.consume(length);
        if !tail.from_start && bytes.len() > most {
            let shown = end_of(&bytes, tail).len();
            bytes.drain(..bytes.len() - shown);
            most = HELD_BYTES.max(2 * shown);
        }
    }
}

fn end_of<'a>(bytes: &'a [u8], tail: &Tail) -> &'a [u8] {
    let count = tail.count as usize;
    let start = match (tail.lines, tail.from_start) {
        (false, true) => count.saturating_sub(1),
        (false, false) => bytes.len().saturating_sub(count),
        (true, true) if count <= 1 => 0,
        (true, true) => {
            memchr::memchr_iter(b'\n', bytes).nth(count - 2).map_or(bytes.len(), |at| at + 1)
        }
        (true, false) if count == 0 => bytes.len(),
        (true, false) => {
            // The last line's own end divides nothing.
            let ended = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            memchr::memrchr_iter(b'\n', ended).nth(count - 1).map_or(0, |at| at + 1)
        }
    };
    &bytes[start.min(bytes.len())..]
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
        let counts = count(input, !single || options.has('w') || options.has('m'));
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

/// Lines and bytes, and `all` else there is to count.
fn count(mut input: Input, all: bool) -> Counts {
    let (mut counts, mut in_word) = (Counts::default(), false);
    while let Ok(piece) = input.fill_buf() {
        let length = piece.len();
        if length == 0 {
            break;
        }
        counts.bytes += length as u64;
        counts.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        if all {
            for byte in piece {
                // Every byte but UTF-8's continuations begins a character.
                counts.characters += u64::from(byte & 0xc0 != 0x80);
                let space = byte.is_ascii_whitespace() || *byte == 11;
                counts.words += u64::from(!space && !in_word);
                in_word = !space;
            }
        }
        input.consume(length);
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
    let (mut input, mut out) = (Stream(sampan_process::stdin()), Stream(sampan_process::stdout()));
    let mut buffer = vec![0; BUFFER_BYTES];
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

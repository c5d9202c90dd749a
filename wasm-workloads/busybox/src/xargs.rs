//! `xargs`. Commands run one after another: `-P` is taken and makes nothing faster.

use std::env;
use std::io::Read;

use sampan_process as process;

use crate::call::{Call, Done, Failure, Options, reason};
use crate::run::{ARGUMENT_BYTES_MAX, start};

pub fn xargs(call: &Call) -> Done {
    let options = call.options("+0rtxn:I:i::L:P:d:E:e::s:a:")?;
    let mut command = options.operands.clone();
    if command.is_empty() {
        command.push("echo".to_owned());
    }
    let mut text = String::new();
    let name = options.value('a').unwrap_or("-");
    let read = call.try_open(name).and_then(|mut input| input.read_to_string(&mut text));
    read.map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))?;
    let mut code = 0;
    for command in commands(call, &options, &command, &text)? {
        if options.has('t') {
            eprintln!("{}", command.join(" "));
        }
        let stdin = if options.has('a') { process::stdin() } else { process::null() };
        match start(call, &command, env::vars().collect(), &stdin) {
            Ok(child) => match child.wait() {
                0 => {}
                255 => {
                    call.complain(&format!("{}: exited with status 255; aborting", command[0]));
                    return Ok(124);
                }
                _ => code = 123,
            },
            Err((code, why)) => {
                call.complain(&format!("{}: {why}", command[0]));
                return Ok(code);
            }
        }
    }
    Ok(code)
}

/// What is to be run, in order.
fn commands(
    call: &Call,
    options: &Options,
    command: &[String],
    text: &str,
) -> Result<Vec<Vec<String>>, Failure> {
    let number = |letter| options.value(letter).map(|text| call.number(text)).transpose();
    let mark = match options.last_of("Ii") {
        Some('i') => options.value('i').map(|mark| if mark.is_empty() { "{}" } else { mark }),
        _ => options.value('I'),
    };
    if let Some(mark) = mark {
        let lines = items(options, text)?;
        let replaced =
            |item: &String| command.iter().map(|part| part.replace(mark, item)).collect();
        return Ok(lines.iter().map(replaced).collect());
    }
    let bytes = number('s')?.unwrap_or(ARGUMENT_BYTES_MAX as u64).min(ARGUMENT_BYTES_MAX as u64);
    let taken: usize = command.iter().map(|word| word.len() + 1).sum();
    let room = (bytes as usize).saturating_sub(if options.has('s') { taken } else { 0 });
    let batches = match number('L')? {
        Some(lines) => by_lines(text, lines.max(1) as usize)?,
        None => {
            let most = number('n')?.unwrap_or(u64::MAX).max(1) as usize;
            batches(&items(options, text)?, most, room)
        }
    };
    let runs = batches.into_iter().filter(|batch| !batch.is_empty() || !options.has('r'));
    Ok(runs.map(|batch| command.iter().cloned().chain(batch).collect()).collect())
}

/// What the input names: words, lines with `-I`, or what lies between given characters.
fn items(options: &Options, text: &str) -> Result<Vec<String>, Failure> {
    let between = |end: char| {
        let text = text.strip_suffix(end).unwrap_or(text);
        text.split(end).filter(|_| !text.is_empty()).map(str::to_owned).collect()
    };
    match (options.last_of("0d"), options.value('d')) {
        (Some('0'), _) => return Ok(between('\0')),
        (_, Some(text)) => {
            let end = sampan_sh::printf::unescape(text).0;
            let end = end.first().filter(|_| end.len() == 1).copied().map(char::from);
            let wrong = || Failure::Message(format!("'{text}' is no single character"));
            return Ok(between(end.ok_or_else(wrong)?));
        }
        _ => {}
    }
    let mut words = if options.last_of("Ii").is_some() {
        let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    } else {
        split(text)?
    };
    let last = options.value('E').or_else(|| options.value('e')).filter(|last| !last.is_empty());
    if let Some(at) = last.and_then(|last| words.iter().position(|word| word == last)) {
        words.truncate(at);
    }
    Ok(words)
}

/// The words of so many lines together, lines without words left out.
fn by_lines(text: &str, most: usize) -> Result<Vec<Vec<String>>, Failure> {
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(split(line)?);
    }
    lines.retain(|words| !words.is_empty());
    let mut batches: Vec<Vec<String>> = lines.chunks(most).map(<[_]>::concat).collect();
    if batches.is_empty() {
        batches.push(Vec::new());
    }
    Ok(batches)
}

/// Words of at most `most` together, and at most `room` bytes; at least one batch.
fn batches(words: &[String], most: usize, room: usize) -> Vec<Vec<String>> {
    let mut batches = vec![Vec::new()];
    let mut bytes = 0;
    for word in words {
        let batch = batches.last().map_or(0, Vec::len);
        if batch > 0 && (batch >= most || bytes + word.len() + 1 > room) {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += word.len() + 1;
        if let Some(last) = batches.last_mut() {
            last.push(word.clone());
        }
    }
    batches
}

/// Words as xargs has them: between blanks, with quotes and backslashes.
fn split(text: &str) -> Result<Vec<String>, Failure> {
    let (mut words, mut current, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => current.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            ('\\', None) => current.get_or_insert_default().extend(chars.next()),
            (c, None) if c.is_whitespace() => words.extend(current.take()),
            (c, None) => current.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        let name = if open == '"' { "double" } else { "single" };
        return Err(Failure::Message(format!("unmatched {name} quote")));
    }
    words.extend(current);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_become_commands() {
        let check = |arguments: &str, text: &str, expect: &str| {
            let words = arguments.split(' ').map(str::to_owned).collect();
            let call = Call::new("xargs", words);
            let options = call.options("+0rtxn:I:i::L:P:d:E:e::s:a:").unwrap();
            let commands = commands(&call, &options, &options.operands, text);
            let shown = commands
                .map(|all| all.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("; "));
            assert_eq!(shown.unwrap_or_else(|_| "wrong".to_owned()), expect, "{arguments}");
        };
        check("xargs x", "a 'b c'\nd\\ e", "x a b c d e");
        check("xargs -n 2 x", "a b c", "x a b; x c");
        check("xargs -L 1 x", "a b\n\nc\n", "x a b; x c");
        check("xargs -d , x", "a b,c", "x a b c");
        check("xargs -0 -n1 x", "a b\0c\0", "x a b; x c");
        check("xargs -I% x[%]", "a b\n  c\n", "x[a b]; x[c]");
        check("xargs -i x{}", "a\n", "xa");
        check("xargs -E END x", "a END b", "x a");
        check("xargs -s 6 x", "a b c", "x a b; x c");
        check("xargs -r x", "", "");
        check("xargs x", "", "x");
        check("xargs x", "a \"b", "wrong");
    }
}

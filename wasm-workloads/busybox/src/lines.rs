//! Programs that rearrange lines, fields and characters.

use std::fs::File;
use std::io::{Read, Write};

use crate::call::{Call, Done, Failure, Options, output, print, reason};
use crate::stream::{BUFFER_BYTES, Stream};

/// The lines of all inputs; complains with `code` of those that cannot be read.
fn all_lines(call: &Call, operands: &[String]) -> (Vec<Vec<u8>>, bool) {
    let (mut lines, mut failed) = (Vec::new(), false);
    for name in Call::inputs(operands) {
        match call.open(&name, |name, why| format!("{name}: {why}")) {
            Some(input) => lines.extend(input.lines()),
            None => failed = true,
        }
    }
    (lines, failed)
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().chain(b"\n")).copied().collect()
}

pub fn uniq(call: &Call) -> Done {
    let options = call.options("cduif:s:w:")?;
    let (input, target) = match options.operands.as_slice() {
        [] => (Vec::new(), None),
        [input] => (vec![input.clone()], None),
        [input, target] => (vec![input.clone()], Some(target)),
        _ => return Err(Failure::usage()),
    };
    let (lines, failed) = all_lines(call, &input);
    if failed {
        return Ok(1);
    }
    let skip = |letter| options.value(letter).map(|text| call.number(text)).transpose();
    let (skip_fields, skip_characters) = (skip('f')?.unwrap_or(0), skip('s')?.unwrap_or(0));
    let compared = |line: &[u8]| {
        let mut rest = line;
        for _ in 0..skip_fields {
            rest = rest.trim_ascii_start();
            rest = &rest[rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len())..];
        }
        let rest = &rest[rest.len().min(skip_characters as usize)..];
        if options.has('i') { rest.to_ascii_lowercase() } else { rest.to_vec() }
    };
    let mut bytes = Vec::new();
    for group in lines.chunk_by(|one, other| compared(one) == compared(other)) {
        let shown = match (options.has('d'), options.has('u')) {
            (true, _) => group.len() > 1,
            (_, true) => group.len() == 1,
            _ => true,
        };
        if shown {
            if options.has('c') {
                bytes.extend(format!("{:7} ", group.len()).into_bytes());
            }
            bytes.extend(joined(&group[..1]));
        }
    }
    let Some(name) = target else { return print(bytes) };
    let written = File::create(call.path(name)).and_then(|mut file| file.write_all(&bytes));
    written.map(|()| 0).map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))
}

pub fn tac(call: &Call) -> Done {
    let options = call.options("")?;
    let (mut lines, failed) = all_lines(call, &options.operands);
    lines.reverse();
    print(joined(&lines))?;
    Ok(u8::from(failed))
}

pub fn rev(call: &Call) -> Done {
    let options = call.options("")?;
    let (mut lines, failed) = all_lines(call, &options.operands);
    for line in &mut lines {
        *line = String::from_utf8_lossy(line).chars().rev().collect::<String>().into_bytes();
    }
    print(joined(&lines))?;
    Ok(u8::from(failed))
}

/// Numbers from 1, inclusive.
type Ranges = Vec<(usize, usize)>;

fn ranges(text: &str) -> Result<Ranges, Failure> {
    let invalid = || Failure::Message(format!("invalid field list '{text}'"));
    let number = |text: &str, absent| {
        if text.is_empty() { Some(absent) } else { text.parse().ok().filter(|n| *n > 0) }
    };
    text.split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let both = number(first, 1).zip(number(last, usize::MAX));
            both.filter(|_| range != "-" && !range.is_empty()).ok_or_else(invalid)
        })
        .collect()
}

pub fn cut(call: &Call) -> Done {
    let options = call.options("b:c:f:d:sn")?;
    let chosen = options.last_of("bcf");
    let Some(unit) = chosen else {
        return Err(Failure::Message("expected a list of bytes, characters, or fields".to_owned()));
    };
    let ranges = ranges(options.value(unit).unwrap_or_default())?;
    let within = |n: usize| ranges.iter().any(|(first, last)| (*first..=*last).contains(&n));
    let separator = options.value('d').and_then(|text| text.bytes().next()).unwrap_or(b'\t');
    let mut code = 0;
    let mut out = output();
    for name in Call::inputs(&options.operands) {
        let Some(input) = call.open(&name, |name, why| format!("{name}: {why}")) else {
            code = 1;
            continue;
        };
        for line in input.lines() {
            if let Some(mut kept) = cut_line(&line, unit, separator, &options, &within) {
                kept.push(b'\n');
                out.write_all(&kept)?;
            }
        }
    }
    out.flush()?;
    Ok(code)
}

fn cut_line(
    line: &[u8],
    unit: char,
    separator: u8,
    options: &Options,
    within: &dyn Fn(usize) -> bool,
) -> Option<Vec<u8>> {
    match unit {
        'b' => {
            Some(line.iter().enumerate().filter(|(n, _)| within(n + 1)).map(|(_, b)| *b).collect())
        }
        'c' => {
            let text = String::from_utf8_lossy(line);
            let kept = text.chars().enumerate().filter(|(n, _)| within(n + 1)).map(|(_, c)| c);
            Some(kept.collect::<String>().into_bytes())
        }
        _ if !line.contains(&separator) => (!options.has('s')).then(|| line.to_vec()),
        _ => {
            let fields = line.split(|byte| *byte == separator).enumerate();
            let kept: Vec<&[u8]> =
                fields.filter(|(n, _)| within(n + 1)).map(|(_, field)| field).collect();
            Some(kept.join(&separator))
        }
    }
}

pub fn tr(call: &Call) -> Done {
    let options = call.options("+cCdst")?;
    let complement = options.has('c') || options.has('C');
    let (delete, squeeze) = (options.has('d'), options.has('s'));
    let (first, second) = match options.operands.as_slice() {
        [first] if delete || squeeze => (first, None),
        [first, second] => (first, Some(second)),
        _ => return Err(Failure::usage()),
    };
    let mut from = set(first);
    if complement {
        from = (0..=255).filter(|byte| !from.contains(byte)).collect();
    }
    let to = second.map(|text| set(text)).unwrap_or_default();
    let mut table: [u8; 256] = std::array::from_fn(|n| n as u8);
    if !delete {
        for (n, byte) in from.iter().enumerate() {
            if let Some(target) = to.get(n).or_else(|| to.last()) {
                table[usize::from(*byte)] = *target;
            }
        }
    }
    let members = |set: &[u8]| std::array::from_fn::<bool, 256, _>(|n| set.contains(&(n as u8)));
    let from_members = members(&from);
    let deleted = |byte: u8| delete && from_members[usize::from(byte)];
    let squeezed = members(if second.is_some() { &to } else { &from });
    let (mut input, mut out) = (Stream(sampan_process::stdin()), output());
    let (mut buffer, mut last) = (vec![0; BUFFER_BYTES], None);
    loop {
        let n = input.read(&mut buffer).map_err(|err| Failure::Message(reason(&err)))?;
        if n == 0 {
            out.flush()?;
            return Ok(0);
        }
        let mut kept = Vec::with_capacity(n);
        for byte in
            buffer[..n].iter().filter(|byte| !deleted(**byte)).map(|byte| table[usize::from(*byte)])
        {
            if !(squeeze && last == Some(byte) && squeezed[usize::from(byte)]) {
                kept.push(byte);
            }
            last = Some(byte);
        }
        out.write_all(&kept)?;
        out.flush()?;
    }
}

/// The bytes of `a-z`, `[:upper:]`, escapes.
fn set(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((name, after)) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]"))
        {
            bytes.extend((0..=127_u8).filter(|byte| in_class(name, *byte)));
            rest = after;
            continue;
        }
        let length = if c == '\\' { escape_length(rest) } else { c.len_utf8() };
        let (piece, after) = rest.split_at(length);
        let low = sampan_sh::printf::unescape(piece).0;
        rest = after;
        let high = after.strip_prefix('-').and_then(|after| after.chars().next());
        match (low.as_slice(), high) {
            ([low], Some(high)) if high.is_ascii() && u32::from(*low) <= u32::from(high) => {
                bytes.extend(*low..=high as u8);
                rest = &after[2..];
            }
            _ => bytes.extend(low),
        }
    }
    bytes
}

/// A backslash and what belongs to it: three octal digits or one character.
fn escape_length(text: &str) -> usize {
    let digits = text[1..].bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
    let next = text[1..].chars().next().map_or(0, char::len_utf8);
    1 + if digits > 0 { digits } else { next }
}

fn in_class(name: &str, byte: u8) -> bool {
    match name {
        "alpha" => byte.is_ascii_alphabetic(),
        "digit" => byte.is_ascii_digit(),
        "alnum" => byte.is_ascii_alphanumeric(),
        "upper" => byte.is_ascii_uppercase(),
        "lower" => byte.is_ascii_lowercase(),
        "space" => byte.is_ascii_whitespace() || byte == 11,
        "blank" => byte == b' ' || byte == b'\t',
        "punct" => byte.is_ascii_punctuation(),
        "cntrl" => byte.is_ascii_control(),
        "print" => (32..127).contains(&byte),
        "graph" => byte.is_ascii_graphic(),
        "xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_characters() {
        let check = |text: &str, expect: &str| {
            assert_eq!(String::from_utf8_lossy(&set(text)), expect, "{text}")
        };
        check("abc", "abc");
        check("a-e", "abcde");
        check("a-", "a-");
        check("\\n\\t\\101", "\n\tA");
        check("[:digit:]x", "0123456789x");
    }
}

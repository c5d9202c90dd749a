//! `od`.

use std::io::Write;

use crate::call::{Call, Done, Failure, output};
use crate::dump::{content, number, rows};

/// How bytes are shown: as what, and how many at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    letter: char,
    size: usize,
}

pub fn od(call: &Call) -> Done {
    let options = call.options("abcdfhiloxsvA:t:N:j:w::")?;
    let mut kinds = Vec::new();
    for (letter, value) in options.given() {
        match letter {
            't' => kinds.extend(parse(value)?),
            'a' => kinds.push(Kind { letter: 'a', size: 1 }),
            'b' => kinds.push(Kind { letter: 'o', size: 1 }),
            'c' => kinds.push(Kind { letter: 'c', size: 1 }),
            'd' => kinds.push(Kind { letter: 'u', size: 2 }),
            'o' => kinds.push(Kind { letter: 'o', size: 2 }),
            'x' | 'h' => kinds.push(Kind { letter: 'x', size: 2 }),
            's' => kinds.push(Kind { letter: 'd', size: 2 }),
            'i' => kinds.push(Kind { letter: 'd', size: 4 }),
            'l' => kinds.push(Kind { letter: 'd', size: 8 }),
            'f' => kinds.push(Kind { letter: 'f', size: 4 }),
            _ => {}
        }
    }
    if kinds.is_empty() {
        kinds.push(Kind { letter: 'o', size: 2 });
    }
    let count = |letter| options.value(letter).map(|text| number(call, text)).transpose();
    let skip = count('j')?.unwrap_or(0);
    let width = match options.value('w') {
        None => 16,
        Some("") => 32,
        Some(width) => number(call, width)?.max(1) as usize,
    };
    let radix = options.value('A').unwrap_or("o");
    let (bytes, code) = content(call, &options.operands, skip, count('N')?)?;
    let mut out = output();
    for (at, row) in rows(&bytes, width, options.has('v')) {
        let Some(row) = row else {
            writeln!(out, "*")?;
            continue;
        };
        for (n, kind) in kinds.iter().enumerate() {
            let address = address(at as u64 + skip, radix);
            let begin = if n == 0 { address } else { " ".repeat(address.len()) };
            let cells: String = row.chunks(kind.size).map(|part| cell(*kind, part)).collect();
            writeln!(out, "{begin}{cells}")?;
        }
    }
    if radix != "n" {
        writeln!(out, "{}", address(bytes.len() as u64 + skip, radix))?;
    }
    out.flush()?;
    Ok(code)
}

fn address(at: u64, radix: &str) -> String {
    match radix {
        "n" => String::new(),
        "d" => format!("{at:07}"),
        "x" => format!("{at:06x}"),
        _ => format!("{at:07o}"),
    }
}

/// `x1`, `d4`, `c`, `x1z` … one after the other.
fn parse(text: &str) -> Result<Vec<Kind>, Failure> {
    let invalid = || Failure::Message(format!("invalid type string '{text}'"));
    let mut kinds = Vec::new();
    let mut chars = text.chars().filter(|c| *c != 'z').peekable();
    while let Some(letter) = chars.next() {
        let default = match letter {
            'a' | 'c' => 1,
            'd' | 'o' | 'u' | 'x' => 4,
            'f' => 8,
            _ => return Err(invalid()),
        };
        let size = match chars.peek() {
            Some('C') => Some(1),
            Some('S') => Some(2),
            Some('I' | 'F') => Some(4),
            Some('L' | 'D') => Some(8),
            Some(digit) => digit.to_digit(10).map(|digit| digit as usize),
            None => None,
        };
        if size.is_some() {
            chars.next();
        }
        let size = size.unwrap_or(default);
        if !matches!(size, 1 | 2 | 4 | 8) {
            return Err(invalid());
        }
        kinds.push(Kind { letter, size });
    }
    Ok(kinds)
}

/// A number as it is shown, with the blank before it. What is missing at the end counts as zero.
fn cell(kind: Kind, part: &[u8]) -> String {
    let mut bytes = [0; 8];
    bytes[..part.len()].copy_from_slice(part);
    let value = u64::from_le_bytes(bytes);
    let bits = 8 * kind.size as u32;
    let signed = (value << (64 - bits)) as i64 >> (64 - bits);
    match (kind.letter, kind.size) {
        ('c', _) => format!(" {:>3}", character(part[0])),
        ('a', _) => format!(" {:>3}", name(part[0])),
        ('o', 1) => format!(" {value:03o}"),
        ('o', 2) => format!(" {value:06o}"),
        ('o', 4) => format!(" {value:011o}"),
        ('o', _) => format!(" {value:022o}"),
        ('x', size) => format!(" {value:0width$x}", width = 2 * size),
        ('u', 1) => format!(" {value:3}"),
        ('u', 2) => format!(" {value:5}"),
        ('u', 4) => format!(" {value:10}"),
        ('u', _) => format!(" {value:20}"),
        ('f', 4) => format!(" {:>15}", f32::from_bits(value as u32)),
        ('f', _) => format!(" {:>24}", f64::from_bits(value)),
        (_, 1) => format!(" {signed:4}"),
        (_, 2) => format!(" {signed:6}"),
        (_, 4) => format!(" {signed:11}"),
        _ => format!(" {signed:20}"),
    }
}

/// A byte as `-c` shows it.
pub fn character(byte: u8) -> String {
    match byte {
        0 => "\\0".to_owned(),
        7 => "\\a".to_owned(),
        8 => "\\b".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'\n' => "\\n".to_owned(),
        11 => "\\v".to_owned(),
        12 => "\\f".to_owned(),
        b'\r' => "\\r".to_owned(),
        32..127 => char::from(byte).to_string(),
        byte => format!("{byte:03o}"),
    }
}

/// A byte as `-a` shows it.
fn name(byte: u8) -> String {
    const NAMES: [&str; 33] = [
        "nul", "soh", "stx", "etx", "eot", "enq", "ack", "bel", "bs", "ht", "nl", "vt", "ff", "cr",
        "so", "si", "dle", "dc1", "dc2", "dc3", "dc4", "nak", "syn", "etb", "can", "em", "sub",
        "esc", "fs", "gs", "rs", "us", "sp",
    ];
    let byte = byte & 0x7f;
    match NAMES.get(usize::from(byte)) {
        Some(name) => (*name).to_owned(),
        None if byte == 127 => "del".to_owned(),
        None => char::from(byte).to_string(),
    }
}

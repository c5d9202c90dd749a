//! Bytes for people: `hexdump`, `xxd`, `strings`; `od` is next door.

use std::io::{Read, Write};

use crate::call::{Call, Done, Failure, Options, output, reason};

/// What is shown of the inputs one after the other: behind `skip`, at most `most` bytes.
pub fn content(
    call: &Call,
    names: &[String],
    skip: u64,
    most: Option<u64>,
) -> Result<(Vec<u8>, u8), Failure> {
    let mut bytes = Vec::new();
    let end = most.map_or(u64::MAX, |most| skip.saturating_add(most));
    let code = call.each_input(names, |name, input| {
        let left = end - bytes.len() as u64;
        let read = input.take(left).read_to_end(&mut bytes);
        read.map(|_| ()).map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))
    })?;
    bytes.drain(..bytes.len().min(skip as usize));
    Ok((bytes, code))
}

/// Lines of `width` bytes, with `None` once for those that are as the one before.
pub fn rows(bytes: &[u8], width: usize, all: bool) -> Vec<(usize, Option<&[u8]>)> {
    let mut rows: Vec<(usize, Option<&[u8]>)> = Vec::new();
    let mut before: Option<&[u8]> = None;
    for (n, row) in bytes.chunks(width).enumerate() {
        if !all && before == Some(row) {
            if rows.last().is_some_and(|(_, row)| row.is_some()) {
                rows.push((n * width, None));
            }
            continue;
        }
        rows.push((n * width, Some(row)));
        before = Some(row);
    }
    rows
}

fn size(call: &Call, options: &Options, letter: char) -> Result<Option<u64>, Failure> {
    options.value(letter).map(|text| number(call, text)).transpose()
}

/// A number, also a hexadecimal one.
pub fn number(call: &Call, text: &str) -> Result<u64, Failure> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16)
            .map_err(|_| Failure::Message(format!("invalid number '{text}'"))),
        None => call.number(text),
    }
}

fn printable(byte: u8) -> char {
    if (32..127).contains(&byte) { char::from(byte) } else { '.' }
}

pub fn hexdump(call: &Call) -> Done {
    let options = call.options("bcCdoxn:s:ve:f:R")?;
    if options.last_of("efR").is_some() {
        let why = "formats of one's own (-e, -f) are not supported; use -C, -x, -d, -o, -b or -c";
        return Err(Failure::Message(why.to_owned()));
    }
    let skip = size(call, &options, 's')?.unwrap_or(0);
    let (bytes, code) = content(call, &options.operands, skip, size(call, &options, 'n')?)?;
    let mut out = output();
    let layout = if call.name == "hd" { Some('C') } else { options.last_of("bcCdox") };
    for (at, row) in rows(&bytes, 16, options.has('v')) {
        let offset = at as u64 + skip;
        match (row, layout) {
            (None, _) => writeln!(out, "*")?,
            (Some(row), Some('C')) => canonical(&mut out, offset, row)?,
            (Some(row), layout) => {
                let cells = cells(row, layout);
                let width = cells.first().map_or(0, String::len)
                    * if matches!(layout, Some('b' | 'c')) { 16 } else { 8 };
                writeln!(out, "{offset:07x}{:width$}", cells.concat())?;
            }
        }
    }
    if !bytes.is_empty() {
        let width = if layout == Some('C') { 8 } else { 7 };
        writeln!(out, "{:0width$x}", bytes.len() as u64 + skip)?;
    }
    out.flush()?;
    Ok(code)
}

fn canonical(out: &mut impl Write, offset: u64, row: &[u8]) -> std::io::Result<()> {
    let half = |part: &[u8]| part.iter().map(|byte| format!(" {byte:02x}")).collect::<String>();
    let (left, right) = row.split_at(row.len().min(8));
    let text: String = row.iter().map(|byte| printable(*byte)).collect();
    writeln!(out, "{offset:08x} {:24} {:24}  |{text}|", half(left), half(right))
}

fn cells(row: &[u8], layout: Option<char>) -> Vec<String> {
    match layout {
        Some('b') => row.iter().map(|byte| format!(" {byte:03o}")).collect(),
        Some('c') => {
            row.iter().map(|byte| format!(" {:>3}", crate::octal::character(*byte))).collect()
        }
        layout => row
            .chunks(2)
            .map(|two| u16::from_le_bytes([two[0], two.get(1).copied().unwrap_or(0)]))
            .map(|word| match layout {
                Some('d') => format!("   {word:05}"),
                Some('o') => format!("  {word:06o}"),
                Some('x') => format!("    {word:04x}"),
                _ => format!(" {word:04x}"),
            })
            .collect(),
    }
}

pub fn xxd(call: &Call) -> Done {
    let options = call.options("l:s:c:g:pruia")?;
    if options.has('r') {
        return reverse(call, &options);
    }
    let plain = options.has('p');
    let skip = size(call, &options, 's')?.unwrap_or(0);
    let width = size(call, &options, 'c')?.filter(|width| *width > 0);
    let width = width.unwrap_or(if plain { 30 } else { 16 }) as usize;
    let group = size(call, &options, 'g')?.unwrap_or(2) as usize;
    let group = if group == 0 { width } else { group };
    let (bytes, code) = content(call, &options.operands, skip, size(call, &options, 'l')?)?;
    let mut out = output();
    let hex =
        |byte: &u8| if options.has('u') { format!("{byte:02X}") } else { format!("{byte:02x}") };
    for (n, row) in bytes.chunks(width).enumerate() {
        let digits: Vec<String> =
            row.chunks(group).map(|part| part.iter().map(hex).collect()).collect();
        if plain {
            writeln!(out, "{}", digits.concat())?;
            continue;
        }
        let room = 2 * width + width.div_ceil(group) - 1;
        let text: String = row.iter().map(|byte| printable(*byte)).collect();
        writeln!(
            out,
            "{:08x}: {:room$}  {text}",
            n as u64 * width as u64 + skip,
            digits.join(" ")
        )?;
    }
    out.flush()?;
    Ok(code)
}

/// `-r`: bytes of their digits.
fn reverse(call: &Call, options: &Options) -> Done {
    let mut out = output();
    let code = call.each_input(&options.operands, |_, input| {
        for line in input.lines() {
            let line = String::from_utf8_lossy(&line).into_owned();
            let digits = if options.has('p') {
                line.as_str()
            } else {
                let behind = line.split_once(':').map_or("", |(_, rest)| rest.trim_start());
                behind.split("  ").next().unwrap_or_default()
            };
            let digits: Vec<u8> =
                digits.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
            let bytes: Vec<u8> = digits.chunks_exact(2).map(|two| two[0] << 4 | two[1]).collect();
            out.write_all(&bytes)?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(code)
}

pub fn strings(call: &Call) -> Done {
    let options = call.options("afon:t:")?;
    let least = size(call, &options, 'n')?.unwrap_or(4).max(1) as usize;
    let radix = if options.has('o') { Some("o") } else { options.value('t') };
    let mut out = output();
    let code = call.each_input(&options.operands, |name, mut input| {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes)?;
        let is_text = |byte: &u8| (32..127).contains(byte) || *byte == b'\t';
        let mut at = 0;
        for run in bytes.split(|byte| !is_text(byte)) {
            if run.len() >= least {
                if options.has('f') {
                    write!(out, "{name}: ")?;
                }
                match radix {
                    Some("o") => write!(out, "{at:7o} ")?,
                    Some("x") => write!(out, "{at:7x} ")?,
                    Some("d") => write!(out, "{at:7} ")?,
                    _ => {}
                }
                out.write_all(run)?;
                out.write_all(b"\n")?;
            }
            at += run.len() + 1;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(code)
}

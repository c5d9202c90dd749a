//! Programs that lay lines out: `paste`, `fold`, `nl`, `expand`, `unexpand`, `comm`; and those
//! that deal them out: `split`, `shuf`.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::time::SystemTime;

use crate::call::{Call, Done, Failure, output, reason};
use crate::stream::Input;

fn open(call: &Call, name: &str) -> Result<Input, Failure> {
    call.try_open(name).map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))
}

pub fn paste(call: &Call) -> Done {
    let options = call.options("d:s")?;
    let text = options.value('d').unwrap_or("\t");
    let (bytes, _) = sampan_sh::printf::unescape(text);
    let marks: Vec<Option<u8>> = if bytes.is_empty() || text == "\\0" {
        vec![None]
    } else {
        bytes.into_iter().map(Some).collect()
    };
    let mark = |n: usize| marks[n % marks.len()];
    let names = Call::inputs(&options.operands);
    let mut out = output();
    if options.has('s') {
        for name in &names {
            for (n, line) in open(call, name)?.lines().enumerate() {
                out.write_all(mark(n.wrapping_sub(1)).filter(|_| n > 0).as_slice())?;
                out.write_all(&line)?;
            }
            out.write_all(b"\n")?;
        }
        out.flush()?;
        return Ok(0);
    }
    // `paste - -` takes turns on one standard input.
    let first = |name: &String| names.iter().position(|other| other == name).unwrap_or(0);
    let mut inputs = names.iter().map(|name| open(call, name)).collect::<Result<Vec<_>, _>>()?;
    loop {
        let mut next =
            |(n, name): (usize, &String)| inputs[if name == "-" { first(name) } else { n }].line();
        let lines: Vec<Option<Vec<u8>>> = names.iter().enumerate().map(&mut next).collect();
        if lines.iter().all(Option::is_none) {
            out.flush()?;
            return Ok(0);
        }
        for (n, line) in lines.iter().enumerate() {
            out.write_all(mark(n.wrapping_sub(1)).filter(|_| n > 0).as_slice())?;
            let line = line.as_deref().unwrap_or_default();
            out.write_all(line.strip_suffix(b"\n").unwrap_or(line))?;
        }
        out.write_all(b"\n")?;
    }
}

pub fn fold(call: &Call) -> Done {
    let options = call.options("bsw:")?;
    let width = options.value('w').map_or(Ok(80), |width| call.number(width))?.max(1) as usize;
    let mut out = output();
    let code = call.each_input(&options.operands, |_, mut input| {
        while let Some(line) = input.line() {
            let text = String::from_utf8_lossy(&line);
            let (mut kept, mut column) = (String::new(), 0);
            for c in text.chars() {
                let after = if options.has('b') { column + c.len_utf8() } else { moved(column, c) };
                if after > width && c != '\n' && !kept.is_empty() {
                    let blank = kept.rfind([' ', '\t']).filter(|_| options.has('s'));
                    let rest = blank.map(|at| kept.split_off(at + 1)).unwrap_or_default();
                    writeln!(out, "{kept}")?;
                    kept = rest;
                    column = kept.chars().fold(0, moved);
                }
                kept.push(c);
                column = if options.has('b') { kept.len() } else { moved(column, c) };
            }
            out.write_all(kept.as_bytes())?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(code)
}

/// The column after a character.
fn moved(column: usize, c: char) -> usize {
    match c {
        '\t' => (column / 8 + 1) * 8,
        '\r' | '\n' => 0,
        '\x08' => column.saturating_sub(1),
        _ => column + 1,
    }
}

pub fn nl(call: &Call) -> Done {
    let options = call.options("b:h:f:i:l:n:ps:v:w:d:")?;
    let number = |letter, default: &str| call.number(options.value(letter).unwrap_or(default));
    let (mut n, step, width) = (number('v', "1")?, number('i', "1")?, number('w', "6")? as usize);
    let between = options.value('s').unwrap_or("\t");
    let all = options.value('b') == Some("a");
    let none = options.value('b') == Some("n");
    let mut out = output();
    let code = call.each_input(&options.operands, |_, input| {
        for line in input.lines() {
            if none || (line.is_empty() && !all) {
                write!(out, "{:width$}", "", width = width + between.len())?;
            } else {
                match options.value('n') {
                    Some("ln") => write!(out, "{n:<width$}{between}")?,
                    Some("rz") => write!(out, "{n:0width$}{between}")?,
                    _ => write!(out, "{n:width$}{between}")?,
                }
                n += step;
            }
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(code)
}

/// How far apart tab stops are.
fn stops(call: &Call, text: Option<&str>) -> Result<usize, Failure> {
    Ok(text.map_or(Ok(8), |text| call.number(text))?.max(1) as usize)
}

pub fn expand(call: &Call) -> Done {
    let options = call.options("it:")?;
    let stop = stops(call, options.value('t'))?;
    let mut out = output();
    let code = call.each_input(&options.operands, |_, mut input| {
        while let Some(line) = input.line() {
            let (mut text, mut column, mut initial) = (String::new(), 0, true);
            for c in String::from_utf8_lossy(&line).chars() {
                if c == '\t' && (initial || !options.has('i')) {
                    let blanks = stop - column % stop;
                    text.extend(std::iter::repeat_n(' ', blanks));
                    column += blanks;
                } else {
                    initial &= c == ' ';
                    text.push(c);
                    column += 1;
                }
            }
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(code)
}

pub fn unexpand(call: &Call) -> Done {
    let options = call.options("aft:")?;
    let stop = stops(call, options.value('t'))?;
    let all = (options.has('a') || options.has('t')) && !options.has('f');
    let mut out = output();
    let code = call.each_input(&options.operands, |_, mut input| {
        while let Some(line) = input.line() {
            let (mut text, mut column, mut blanks, mut initial) = (String::new(), 0, 0, true);
            for c in String::from_utf8_lossy(&line).chars() {
                if matches!(c, ' ' | '\t') && (initial || all) {
                    let width = if c == '\t' { stop - column % stop } else { 1 };
                    (column, blanks) = (column + width, blanks + width);
                    if column % stop == 0 {
                        // A single blank stays one.
                        text.push(if blanks == 1 && c == ' ' { ' ' } else { '\t' });
                        blanks = 0;
                    }
                } else {
                    text.extend(std::iter::repeat_n(' ', std::mem::take(&mut blanks)));
                    initial = false;
                    text.push(c);
                    column += 1;
                }
            }
            text.extend(std::iter::repeat_n(' ', blanks));
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(code)
}

pub fn comm(call: &Call) -> Done {
    let options = call.options("123")?;
    let [one, other] = options.operands.as_slice() else { return Err(Failure::usage()) };
    let (mut one, mut other) = (open(call, one)?.lines(), open(call, other)?.lines());
    let (mut left, mut right) = (one.next(), other.next());
    let mut out = output();
    let mut show = |column: usize, line: &[u8]| {
        let hidden = |n: usize| options.has(['1', '2', '3'][n]);
        if hidden(column) {
            return Ok(());
        }
        let tabs = (0..column).filter(|n| !hidden(*n)).count();
        out.write_all(&b"\t\t"[..tabs])?;
        out.write_all(line)?;
        out.write_all(b"\n")
    };
    loop {
        match (&left, &right) {
            (None, None) => break,
            (Some(line), Some(same)) if line == same => {
                show(2, line)?;
                (left, right) = (one.next(), other.next());
            }
            (Some(line), above) if above.as_ref().is_none_or(|above| line < above) => {
                show(0, line)?;
                left = one.next();
            }
            (_, Some(line)) => {
                show(1, line)?;
                right = other.next();
            }
            (Some(_), None) => break,
        }
    }
    out.flush()?;
    Ok(0)
}

pub fn split(call: &Call) -> Done {
    let options = call.options("l:b:a:")?;
    let length = options.value('a').map_or(Ok(2), |length| call.number(length))? as usize;
    let (input, prefix) = match options.operands.as_slice() {
        [] => ("-", "x"),
        [input] => (input.as_str(), "x"),
        [input, prefix] => (input.as_str(), prefix.as_str()),
        _ => return Err(Failure::usage()),
    };
    let bytes = options.value('b').map(|size| call.number(size)).transpose()?;
    let lines = options.value('l').map_or(Ok(1000), |lines| call.number(lines))?.max(1);
    let mut input = open(call, input)?;
    for n in 0.. {
        if input.fill_buf().is_ok_and(<[u8]>::is_empty) {
            break;
        }
        let suffix =
            suffix(n, length).ok_or_else(|| Failure::Message("suffixes exhausted".to_owned()))?;
        let name = format!("{prefix}{suffix}");
        let failed = |err: std::io::Error| Failure::Message(format!("{name}: {}", reason(&err)));
        let file = fs::File::create(call.path(&name)).map_err(failed)?;
        let mut file = std::io::BufWriter::new(file);
        match bytes {
            Some(size) => drop(std::io::copy(&mut (&mut input).take(size.max(1)), &mut file)),
            None => {
                for _ in 0..lines {
                    let Some(line) = input.line() else { break };
                    file.write_all(&line).map_err(failed)?;
                }
            }
        }
        file.flush().map_err(failed)?;
    }
    Ok(0)
}

/// `aa`, `ab` …; `None` after the last one.
fn suffix(mut n: usize, length: usize) -> Option<String> {
    let mut letters = vec!['a'; length];
    for letter in letters.iter_mut().rev() {
        *letter = char::from(b'a' + (n % 26) as u8);
        n /= 26;
    }
    (n == 0).then(|| letters.into_iter().collect())
}

pub fn shuf(call: &Call) -> Done {
    let options = call.options("ei:n:o:zr")?;
    let end = if options.has('z') { 0 } else { b'\n' };
    let mut items: Vec<Vec<u8>> = if options.has('e') {
        options.operands.iter().map(|word| word.clone().into_bytes()).collect()
    } else if let Some(range) = options.value('i') {
        let both = range
            .split_once('-')
            .and_then(|(low, high)| low.parse::<u64>().ok().zip(high.parse::<u64>().ok()));
        let (low, high) = both
            .filter(|(low, high)| low <= high)
            .ok_or_else(|| Failure::Message(format!("invalid range '{range}'")))?;
        (low..=high).map(|n| n.to_string().into_bytes()).collect()
    } else {
        let name = options.operands.first().map_or("-", String::as_str);
        call.read_all(name)?
            .split_inclusive(|byte| *byte == end)
            .map(|line| line.strip_suffix(&[end]).unwrap_or(line).to_vec())
            .collect()
    };
    let most = options.value('n').map_or(Ok(u64::MAX), |most| call.number(most))?;
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64);
    let mut random = seed ^ u64::from(sampan_process::pid()) << 32 | 1;
    let mut draw = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 16) as usize % below
    };
    for n in (1..items.len()).rev() {
        items.swap(n, draw(n + 1));
    }
    items.truncate(most.min(items.len() as u64) as usize);
    let mut out = output();
    for item in &items {
        out.write_all(item)?;
        out.write_all(&[end])?;
    }
    out.flush()?;
    Ok(0)
}

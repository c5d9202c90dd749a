//! `dd`.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};

use crate::call::{Call, Done, Failure, reason};
use crate::stream::Stream;

/// What is to be copied, from where to where.
#[derive(Debug)]
struct Plan {
    input: Option<String>,
    output: Option<String>,
    input_block: usize,
    output_block: usize,
    /// Input blocks go out as they came: `bs=`, or sizes that are the same.
    whole: bool,
    count: Option<u64>,
    skip: u64,
    seek: u64,
    words: Vec<String>,
    silent: bool,
}

/// Larger blocks are refused: a container's memory is bounded, and a copy needs no such piece.
const BLOCK_BYTES_MAX: u64 = 256 << 20;

/// Blocks that were full, and others.
#[derive(Debug, Default, Clone, Copy)]
struct Records {
    full: u64,
    partial: u64,
}

impl Records {
    fn add(&mut self, bytes: usize, block: usize) {
        if bytes == block { self.full += 1 } else { self.partial += 1 }
    }
}

pub fn dd(call: &Call) -> Done {
    let plan = Plan::parse(call.arguments())?;
    let source = open_input(call, &plan)?;
    let target = open_output(call, &plan)?;
    let (mut read, mut written) = (Records::default(), Records::default());
    let copied = copy(&plan, source, target, &mut read, &mut written);
    if !plan.silent {
        eprintln!("{}+{} records in", read.full, read.partial);
        eprintln!("{}+{} records out", written.full, written.partial);
    }
    copied.map(|()| 0)
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut plan = Self {
            input: None,
            output: None,
            input_block: 512,
            output_block: 512,
            whole: true,
            count: None,
            skip: 0,
            seek: 0,
            words: Vec::new(),
            silent: false,
        };
        for argument in arguments {
            let (name, value) = argument.split_once('=').ok_or_else(Failure::usage)?;
            match name {
                "if" => plan.input = Some(value.to_owned()),
                "of" => plan.output = Some(value.to_owned()),
                "bs" => (plan.input_block, plan.output_block) = (block(value)?, block(value)?),
                "ibs" => plan.input_block = block(value)?,
                "obs" => plan.output_block = block(value)?,
                "count" => plan.count = Some(number(value)?),
                "skip" => plan.skip = number(value)?,
                "seek" => plan.seek = number(value)?,
                "status" => plan.silent |= word(name, value, &["none", "noxfer"])? == "none",
                "conv" | "iflag" | "oflag" => {
                    for one in value.split(',') {
                        plan.words.push(word(name, one, known(name))?.to_owned());
                    }
                }
                _ => return Err(Failure::usage()),
            }
        }
        plan.whole = plan.input_block == plan.output_block;
        Ok(plan)
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|given| given == word)
    }

    /// Bytes to leave out of the input.
    fn skipped(&self) -> u64 {
        let unit = if self.has("skip_bytes") { 1 } else { self.input_block as u64 };
        self.skip.saturating_mul(unit)
    }

    fn sought(&self) -> u64 {
        let unit = if self.has("seek_bytes") { 1 } else { self.output_block as u64 };
        self.seek.saturating_mul(unit)
    }
}

fn known(name: &str) -> &'static [&'static str] {
    match name {
        // A read that fails here fails again: no disk is below. `noerror` has nothing to go on after.
        "conv" => &["notrunc", "sync", "noerror", "fsync", "swab"],
        "iflag" => &["skip_bytes", "count_bytes", "fullblock", "direct"],
        _ => &["seek_bytes", "append", "direct"],
    }
}

fn word<'a>(name: &str, value: &'a str, known: &[&str]) -> Result<&'a str, Failure> {
    let invalid = || Failure::Message(format!("invalid argument '{value}' to '{name}'"));
    known.contains(&value).then_some(value).ok_or_else(invalid)
}

/// With dd's own suffixes.
fn number(text: &str) -> Result<u64, Failure> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "c" => Some(1),
        "w" => Some(2),
        "b" => Some(512),
        "kB" => Some(1000),
        "k" | "K" => Some(1 << 10),
        "MB" => Some(1_000_000),
        "M" => Some(1 << 20),
        "GB" => Some(1_000_000_000),
        "G" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+')).zip(factor);
    let number = number.and_then(|(number, factor): (u64, u64)| number.checked_mul(factor));
    number.ok_or_else(|| Failure::Message(format!("invalid number '{text}'")))
}

fn block(text: &str) -> Result<usize, Failure> {
    match number(text)? {
        bytes @ 1..=BLOCK_BYTES_MAX => Ok(bytes as usize),
        bytes => {
            Err(Failure::Message(format!("number {bytes} is not in 1..{BLOCK_BYTES_MAX} range")))
        }
    }
}

/// A source, and whether its blocks are read whole: all but what a terminal gives line by line.
fn open_input(call: &Call, plan: &Plan) -> Result<(Box<dyn Read>, bool), Failure> {
    let Some(name) = &plan.input else {
        let mut input = Stream(sampan_process::stdin());
        let skipped = io::copy(&mut (&mut input).take(plan.skipped()), &mut io::sink());
        skipped.map_err(|err| Failure::Message(reason(&err)))?;
        let whole = plan.has("fullblock") || !io::stdin().is_terminal();
        return Ok((Box::new(input), whole));
    };
    let fail = |err: io::Error| Failure::Message(format!("can't open '{name}': {}", reason(&err)));
    let mut file = File::open(call.path(name)).map_err(fail)?;
    if plan.skip > 0 && file.seek(SeekFrom::Start(plan.skipped())).is_err() {
        io::copy(&mut (&mut file).take(plan.skipped()), &mut io::sink()).map_err(fail)?;
    }
    Ok((Box::new(file), true))
}

fn open_output(call: &Call, plan: &Plan) -> Result<Box<dyn Write>, Failure> {
    let Some(name) = &plan.output else {
        if plan.seek > 0 {
            return Err(Failure::Message("standard output: Illegal seek".to_owned()));
        }
        return Ok(Box::new(Stream(sampan_process::stdout())));
    };
    let fail = |err: io::Error| Failure::Message(format!("can't open '{name}': {}", reason(&err)));
    let mut open = OpenOptions::new();
    open.create(true).truncate(false);
    let append = plan.has("append");
    let mut file = open.write(!append).append(append).open(call.path(name)).map_err(fail)?;
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if !plan.has("notrunc") && !append && is_file {
        file.set_len(plan.sought()).map_err(fail)?;
    }
    if plan.seek > 0 && is_file && !append {
        file.seek(SeekFrom::Start(plan.sought())).map_err(fail)?;
    }
    Ok(if plan.has("fsync") { Box::new(Synced(file)) } else { Box::new(file) })
}

/// A file that is on its disk when it is flushed.
struct Synced(File);

impl Write for Synced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

fn copy(
    plan: &Plan,
    (mut source, whole): (Box<dyn Read>, bool),
    mut target: Box<dyn Write>,
    read: &mut Records,
    written: &mut Records,
) -> Result<(), Failure> {
    let name = |name: &Option<String>, other: &str| name.clone().unwrap_or(other.to_owned());
    let input_name = name(&plan.input, "standard input");
    let output_name = name(&plan.output, "standard output");
    let cannot_read = |err: io::Error| Failure::Message(format!("{input_name}: {}", reason(&err)));
    let cannot_write = |err: io::Error| match plan.output {
        None => Failure::Output(err),
        Some(_) => Failure::Message(format!("error writing '{output_name}': {}", reason(&err))),
    };
    let (mut buffer, mut pending) = (vec![0; plan.input_block], Vec::new());
    let in_bytes = plan.has("count_bytes");
    let mut left = plan.count.unwrap_or(u64::MAX);
    while left > 0 {
        let most =
            if in_bytes { left.min(plan.input_block as u64) as usize } else { plan.input_block };
        let mut n = fill(&mut source, &mut buffer[..most], whole).map_err(cannot_read)?;
        if n == 0 {
            break;
        }
        read.add(n, plan.input_block);
        left -= if in_bytes { n as u64 } else { 1 };
        if plan.has("swab") {
            buffer[..n].chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
        if plan.has("sync") {
            buffer[n..].fill(0);
            n = plan.input_block;
        }
        if plan.whole {
            target.write_all(&buffer[..n]).map_err(cannot_write)?;
            written.add(n, plan.output_block);
            continue;
        }
        pending.extend_from_slice(&buffer[..n]);
        while pending.len() >= plan.output_block {
            target.write_all(&pending[..plan.output_block]).map_err(cannot_write)?;
            written.full += 1;
            pending.drain(..plan.output_block);
        }
    }
    if !pending.is_empty() {
        target.write_all(&pending).map_err(cannot_write)?;
        written.partial += 1;
    }
    target.flush().map_err(cannot_write)
}

/// Reads a block, with `whole` until it is full or nothing more comes.
fn fill(source: &mut impl Read, block: &mut [u8], whole: bool) -> io::Result<usize> {
    let mut n = source.read(block)?;
    while whole && n > 0 && n < block.len() {
        match source.read(&mut block[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_suffixes() {
        let check =
            |text: &str, expect: Option<u64>| assert_eq!(number(text).ok(), expect, "{text}");
        check("3", Some(3));
        check("2w", Some(4));
        check("1b", Some(512));
        check("1kB", Some(1000));
        check("1M", Some(1 << 20));
        check("x", None);
        check("1q", None);
        check("99999999999999999999", None);
    }

    #[test]
    fn blocks_have_bounds() {
        let parse =
            |text: &str| Plan::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(parse("bs=0").is_err());
        assert!(parse("bs=1G").is_err());
        assert!(parse("conv=ascii").is_err());
        let plan = parse("ibs=4 obs=8 skip=2 seek=3 conv=notrunc,sync oflag=seek_bytes").unwrap();
        assert_eq!((plan.skipped(), plan.sought(), plan.whole), (8, 3, false));
        assert!(plan.has("notrunc") && plan.has("sync"));
    }
}

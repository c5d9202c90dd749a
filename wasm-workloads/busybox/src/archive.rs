//! `tar`: what `kubectl cp` and people's scripts need of it, uncompressed ustar with long names.

use std::fs::{self, File, FileTimes};
use std::io::{self, BufRead, Read, Write};
use std::time::{Duration, UNIX_EPOCH};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::call::{Call, Done, Failure, Options, output, reason};
use crate::files::symlink;
use crate::stream::Input;

const BLOCK: usize = 512;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A name that does not fit the header is sent before it; no path is longer than this.
const NAME_BYTES_MAX: u64 = 64 << 10;

pub fn tar(call: &Call) -> Done {
    let mut arguments = call.arguments().to_vec();
    // `tar xf` is `tar -xf`.
    if let Some(first) = arguments.first_mut().filter(|first| !first.starts_with('-')) {
        first.insert(0, '-');
    }
    let options = call.options_of(arguments, "cxtvmkOf:C:pozjJahT:X:")?;
    if let Some(letter) = options.last_of("jJ") {
        let why = format!("-{letter}: only gzip's compression (-z) is supported");
        return Err(Failure::Message(why));
    }
    let directory =
        options.value('C').map_or_else(|| call.directory.clone(), |name| call.path(name));
    let name = options.value('f').unwrap_or("-");
    match options.last_of("cxt") {
        Some('c') => create(call, &options, name, &directory),
        Some(mode) => {
            let mut input = call.try_open(name).map_err(|err| {
                Failure::Message(format!("can't open '{name}': {}", reason(&err)))
            })?;
            // What is compressed says so itself.
            if input.fill_buf().is_ok_and(|bytes| bytes.starts_with(&GZIP_MAGIC)) {
                input = Input::of(MultiGzDecoder::new(input));
            }
            extract(call, &options, &mut input, &directory, mode == 'x')
        }
        None => Err(Failure::usage()),
    }
}

fn failed(what: &str) -> impl Fn(io::Error) -> Failure + '_ {
    move |err| Failure::Message(format!("{what}: {}", reason(&err)))
}

/// What a member is, and where.
struct Member {
    name: String,
    kind: u8,
    size: u64,
    modified: u64,
    target: String,
}

fn create(call: &Call, options: &Options, name: &str, directory: &str) -> Done {
    if options.operands.is_empty() {
        return Err(Failure::Message("empty archive".to_owned()));
    }
    let mut out: Box<dyn Write> = if name == "-" {
        Box::new(output())
    } else {
        Box::new(io::BufWriter::new(File::create(call.path(name)).map_err(failed(name))?))
    };
    if options.has('z') || (options.has('a') && name.ends_with("gz")) {
        out = Box::new(GzEncoder::new(out, Compression::default()));
    }
    let mut code = 0;
    let mut waiting: Vec<String> = options.operands.iter().rev().cloned().collect();
    while let Some(name) = waiting.pop() {
        let path = sampan_sh::condition::absolute(directory, &name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(err) => {
                call.complain(&format!("{name}: {}", reason(&err)));
                code = 1;
                continue;
            }
        };
        if options.has('v') {
            eprintln!("{name}");
        }
        let modified =
            metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let kind = if metadata.is_dir() {
            b'5'
        } else if metadata.is_symlink() {
            b'2'
        } else {
            b'0'
        };
        let target = fs::read_link(&path).ok().filter(|_| kind == b'2');
        let member = Member {
            name: format!(
                "{}{}",
                name.trim_start_matches('/').trim_end_matches('/'),
                if kind == b'5' { "/" } else { "" }
            ),
            kind,
            size: if kind == b'0' { metadata.len() } else { 0 },
            modified: modified.map_or(0, |time| time.as_secs()),
            target: target.map(|target| target.display().to_string()).unwrap_or_default(),
        };
        write_member(&mut out, &member)?;
        if kind == b'0' {
            let mut file = File::open(&path).map_err(failed(&name))?.take(member.size);
            let copied = io::copy(&mut file, &mut out)?;
            // A file that shrank meanwhile keeps its place.
            let padding = member.size.next_multiple_of(BLOCK as u64) - copied;
            io::copy(&mut io::repeat(0).take(padding), &mut out)?;
        } else if kind == b'5' {
            let entries = fs::read_dir(&path).map_err(failed(&name))?.flatten();
            let mut inner: Vec<String> =
                entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            inner.sort_by(|one, other| other.cmp(one));
            waiting.extend(
                inner.into_iter().map(|entry| format!("{}/{entry}", name.trim_end_matches('/'))),
            );
        }
    }
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()?;
    Ok(code)
}

fn write_member(out: &mut dyn Write, member: &Member) -> io::Result<()> {
    for (text, kind) in [(&member.name, b'L'), (&member.target, b'K')] {
        if text.len() > 100 {
            let mut bytes = text.clone().into_bytes();
            bytes.push(0);
            out.write_all(&header("././@LongLink", kind, bytes.len() as u64, 0, ""))?;
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
            out.write_all(&bytes)?;
        }
    }
    out.write_all(&header(&member.name, member.kind, member.size, member.modified, &member.target))
}

fn header(name: &str, kind: u8, size: u64, modified: u64, target: &str) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, length: usize, text: &[u8]| {
        let text = &text[..text.len().min(length)];
        block[at..at + text.len()].copy_from_slice(text);
    };
    let mode = if kind == b'5' { "0000755" } else { "0000644" };
    put(0, 100, name.as_bytes());
    put(100, 8, mode.as_bytes());
    put(108, 8, b"0000000");
    put(116, 8, b"0000000");
    put(124, 12, format!("{size:011o}").as_bytes());
    put(136, 12, format!("{modified:011o}").as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(157, 100, target.as_bytes());
    put(257, 8, b"ustar\x0000");
    put(265, 32, b"root");
    put(297, 32, b"root");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn extract(
    call: &Call,
    options: &Options,
    input: &mut impl Read,
    directory: &str,
    write: bool,
) -> Done {
    let (mut name, mut target, mut code) = (None, None, 0);
    let (mut out, mut found) = (output(), vec![false; options.operands.len()]);
    while let Some(block) = next_block(input)? {
        let mut member = read_header(&block)?;
        match member.kind {
            b'L' => name = Some(text_of(&read_data(input, member.size)?)),
            b'K' => target = Some(text_of(&read_data(input, member.size)?)),
            b'x' => {
                let records = read_data(input, member.size)?;
                name = record(&records, "path").or(name);
                target = record(&records, "linkpath").or(target);
            }
            b'g' => drop(read_data(input, member.size)?),
            _ => {
                member.name = name.take().unwrap_or(member.name);
                member.target = target.take().unwrap_or(member.target);
                let wanted = options.operands.iter().zip(&mut found).any(|(operand, found)| {
                    let (operand, name) =
                        (operand.trim_end_matches('/'), member.name.trim_end_matches('/'));
                    let within = name == operand || name.starts_with(&format!("{operand}/"));
                    *found |= within;
                    within
                }) || options.operands.is_empty();
                let mut data = Padded::new(input, member.size);
                if wanted && (options.has('v') || !write) {
                    writeln!(out, "{}", member.name)?;
                }
                if wanted && write {
                    let done = if options.has('O') {
                        io::copy(&mut data, &mut out).map(|_| ())
                    } else {
                        place(&member, &mut data, directory, options)
                    };
                    if let Err(err) = done {
                        call.complain(&format!("can't create '{}': {}", member.name, reason(&err)));
                        code = 1;
                    }
                }
                data.finish().map_err(|_| short())?;
            }
        }
    }
    out.flush()?;
    for (operand, _) in options.operands.iter().zip(&found).filter(|(_, found)| !**found) {
        call.complain(&format!("{operand}: not found in archive"));
        code = 1;
    }
    Ok(code)
}

fn short() -> Failure {
    Failure::Message("short read".to_owned())
}

/// The next header; `None` at the end.
fn next_block(input: &mut impl Read) -> Result<Option<[u8; BLOCK]>, Failure> {
    let mut block = [0; BLOCK];
    let mut filled = 0;
    while filled < BLOCK {
        match input.read(&mut block[filled..]).map_err(failed("read error"))? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(short()),
            n => filled += n,
        }
    }
    Ok((block != [0; BLOCK]).then_some(block))
}

fn read_header(block: &[u8; BLOCK]) -> Result<Member, Failure> {
    let number = |range: std::ops::Range<usize>| {
        let text = text_of(&block[range]);
        u64::from_str_radix(text.trim_matches([' ', '\0']), 8).unwrap_or(0)
    };
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    if number(148..156) != sum {
        return Err(Failure::Message("invalid tar magic".to_owned()));
    }
    let prefix =
        if &block[257..262] == b"ustar" { text_of(&block[345..500]) } else { String::new() };
    let name = text_of(&block[..100]);
    Ok(Member {
        name: if prefix.is_empty() { name } else { format!("{prefix}/{name}") },
        kind: block[156],
        size: if matches!(block[156], b'1'..=b'6') { 0 } else { number(124..136) },
        modified: number(136..148),
        target: text_of(&block[157..257]),
    })
}

fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A member's content that is held in memory.
fn read_data(input: &mut impl Read, size: u64) -> Result<Vec<u8>, Failure> {
    if size > NAME_BYTES_MAX {
        return Err(Failure::Message("a name in the archive is too long".to_owned()));
    }
    let mut bytes = vec![0; (size as usize).next_multiple_of(BLOCK)];
    input.read_exact(&mut bytes).map_err(|_| short())?;
    bytes.truncate(size as usize);
    Ok(bytes)
}

/// A value of a pax header: `LENGTH name=value\n`, each.
fn record(records: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(records);
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?.1.split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}

/// A member's content, up to a whole block.
struct Padded<'a, R> {
    input: &'a mut R,
    left: u64,
    padding: u64,
}

impl<'a, R: Read> Padded<'a, R> {
    fn new(input: &'a mut R, size: u64) -> Self {
        Self { input, left: size, padding: size.next_multiple_of(BLOCK as u64) - size }
    }

    fn finish(mut self) -> io::Result<()> {
        let rest = self.left + self.padding;
        self.left = 0;
        let skipped = io::copy(&mut self.input.take(rest), &mut io::sink())?;
        if skipped == rest { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl<R: Read> Read for Padded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.left.try_into().unwrap_or(usize::MAX));
        let n = self.input.read(&mut buffer[..length])?;
        self.left -= n as u64;
        Ok(n)
    }
}

/// Writes one member below `directory`, and nowhere else.
fn place(
    member: &Member,
    data: &mut impl Read,
    directory: &str,
    options: &Options,
) -> io::Result<()> {
    let parts: Vec<&str> =
        member.name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(io::Error::other("name with '..' skipped"));
    }
    let path = parts
        .iter()
        .fold(directory.trim_end_matches('/').to_owned(), |path, part| format!("{path}/{part}"));
    if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match member.kind {
        b'5' => match fs::create_dir(&path) {
            Err(_) if fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) => Ok(()),
            made => made,
        },
        b'2' => {
            let _ = fs::remove_file(&path);
            symlink(&member.target, &path)
        }
        b'1' => {
            fs::hard_link(format!("{}/{}", directory.trim_end_matches('/'), member.target), &path)
        }
        b'0' | 0 | b'7' => {
            if options.has('k') && fs::symlink_metadata(&path).is_ok() {
                return Ok(());
            }
            let mut file = File::create(&path)?;
            io::copy(data, &mut file)?;
            if !options.has('m') {
                let time = UNIX_EPOCH + Duration::from_secs(member.modified);
                // A time that cannot be set is no reason to lose the file.
                let _ = file.set_times(FileTimes::new().set_modified(time));
            }
            Ok(())
        }
        kind => Err(io::Error::other(format!("unknown typeflag: 0x{kind:x}"))),
    }
}

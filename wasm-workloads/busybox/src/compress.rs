//! `gzip`, `gunzip`, `zcat`.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, BufWriter, Read, Write};

use flate2::Compression;
use flate2::bufread::{GzEncoder, MultiGzDecoder};

use crate::call::{Call, Done, Failure, Options, output, reason};
use crate::stream::Input;

pub fn gzip(call: &Call) -> Done {
    let options = call.options("cdfkntqv123456789lS:")?;
    let unpack = options.has('d') || options.has('t');
    each(call, &options, unpack)
}

pub fn gunzip(call: &Call) -> Done {
    let options = call.options("cfkntqvd")?;
    each(call, &options, true)
}

pub fn zcat(call: &Call) -> Done {
    let options = call.options("fcdq")?;
    each(call, &options, true)
}

fn each(call: &Call, options: &Options, unpack: bool) -> Done {
    let level = options.last_of("123456789").and_then(|digit| digit.to_digit(10)).unwrap_or(6);
    let to_output = options.has('c') || options.has('t') || call.name == "zcat";
    let mut code = 0;
    for name in Call::inputs(&options.operands) {
        let done = if to_output || name == "-" {
            stream(call, &name, unpack, options.has('t'), level)
        } else {
            replace(call, options, &name, unpack, level)
        };
        match done {
            Err(Failure::Message(why)) => {
                call.complain(&why);
                code = 1;
            }
            done => done?,
        }
    }
    Ok(code)
}

/// What a compressed or an original input becomes.
fn converted(input: Input, unpack: bool, level: u32) -> Box<dyn Read> {
    if unpack {
        Box::new(MultiGzDecoder::new(input))
    } else {
        Box::new(GzEncoder::new(input, Compression::new(level)))
    }
}

/// Copies; a failure to read is told, one to write is the caller's.
fn copy(from: &mut dyn Read, to: &mut dyn Write) -> Result<(), Failure> {
    let mut buffer = vec![0; crate::stream::BUFFER_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(to.flush()?),
            Ok(n) => to.write_all(&buffer[..n])?,
            Err(err) => return Err(Failure::Message(why(&err))),
        }
    }
}

fn why(err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::InvalidInput => "invalid magic".to_owned(),
        io::ErrorKind::InvalidData => "corrupted data".to_owned(),
        io::ErrorKind::UnexpectedEof => "unexpected end of file".to_owned(),
        _ => reason(err),
    }
}

fn stream(call: &Call, name: &str, unpack: bool, test: bool, level: u32) -> Result<(), Failure> {
    let failed = |err: io::Error| Failure::Message(format!("{name}: {}", reason(&err)));
    let input = call.try_open(name).map_err(failed)?;
    let mut from = converted(input, unpack, level);
    if test { copy(&mut from, &mut io::sink()) } else { copy(&mut from, &mut output()) }
}

/// Makes `name.gz` of `name`, or the other way round.
fn replace(
    call: &Call,
    options: &Options,
    name: &str,
    unpack: bool,
    level: u32,
) -> Result<(), Failure> {
    let message = |text: String| Err(Failure::Message(text));
    let target = match (unpack, name.strip_suffix(".gz"), name.strip_suffix(".tgz")) {
        (true, Some(stem), _) => stem.to_owned(),
        (true, None, Some(stem)) => format!("{stem}.tar"),
        (true, None, None) => return message(format!("{name}: unknown suffix - ignored")),
        (false, Some(_), _) => return message(format!("{name} already has .gz suffix - ignored")),
        (false, None, _) => format!("{name}.gz"),
    };
    let failed = |err: io::Error| Failure::Message(format!("{name}: {}", reason(&err)));
    let input = call.try_open(name).map_err(failed)?;
    let modified = fs::metadata(call.path(name)).and_then(|metadata| metadata.modified());
    let path = call.path(&target);
    let mut open = OpenOptions::new();
    open.write(true).truncate(true).create(options.has('f')).create_new(!options.has('f'));
    let file = open.open(&path);
    let file =
        file.map_err(|err| Failure::Message(format!("can't open '{target}': {}", reason(&err))))?;
    let mut out = BufWriter::new(file);
    let copied = copy(&mut converted(input, unpack, level), &mut out);
    if copied.is_err() {
        let _ = fs::remove_file(&path);
        return copied;
    }
    keep_time(out.into_inner().ok(), modified.ok());
    if options.has('k') { Ok(()) } else { fs::remove_file(call.path(name)).map_err(failed) }
}

/// A time that cannot be set is no reason to fail.
fn keep_time(file: Option<File>, modified: Option<std::time::SystemTime>) {
    if let (Some(file), Some(modified)) = (file, modified) {
        let _ = file.set_times(FileTimes::new().set_modified(modified));
    }
}

//! Files to lines and back.

use std::fs;
use std::io;

use super::buffer::Line;

/// Bound: lines are kept as characters of four bytes, several times over with what undoes their
/// changes; a container may have 64 MiB.
const BYTES_MAX: u64 = 8 << 20;

/// Why a file is not opened.
#[derive(Debug)]
pub enum Refusal {
    Missing,
    Said(String),
}

/// A file's lines; its last one need not end.
pub fn read(path: &str) -> Result<(Vec<Line>, usize), Refusal> {
    let said = |err: &io::Error| match err.kind() {
        io::ErrorKind::NotFound => Refusal::Missing,
        _ => Refusal::Said(crate::call::reason(err)),
    };
    let metadata = fs::metadata(path).map_err(|err| said(&err))?;
    if metadata.is_dir() {
        return Err(Refusal::Said("Is a directory".to_owned()));
    }
    if metadata.len() > BYTES_MAX {
        return Err(Refusal::Said(format!("larger than {} MiB", BYTES_MAX >> 20)));
    }
    let bytes = fs::read(path).map_err(|err| said(&err))?;
    let length = bytes.len();
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| Refusal::Said("not a text file (UTF-8)".to_owned()))?;
    Ok((lines(&text), length))
}

fn lines(text: &str) -> Vec<Line> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(|line| line.chars().collect()).collect()
}

/// What is written: every line ends.
pub fn content(lines: &[Line]) -> String {
    if let [line] = lines
        && line.is_empty()
    {
        return String::new();
    }
    let mut text = String::new();
    for line in lines {
        text.extend(line);
        text.push('\n');
    }
    text
}

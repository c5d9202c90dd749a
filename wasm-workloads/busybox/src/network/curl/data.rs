//! `-d` and its kin: what is sent, and from where it comes.

use super::options::{Config, Data};
use crate::call::{Call, reason};

pub fn data(config: &mut Config, call: &Call, text: &str, joined: bool) -> Result<(), String> {
    let piece = from_file(config, call, text, joined);
    add(config, piece)
}

pub fn urlencode(config: &mut Config, call: &Call, text: &str) -> Result<(), String> {
    let piece = encoded(config, call, text);
    add(config, piece)
}

/// Several pieces of data are fields of one form.
pub fn add(config: &mut Config, piece: Vec<u8>) -> Result<(), String> {
    match &mut config.data {
        Some(data) => {
            data.bytes.push(b'&');
            data.bytes.extend(piece);
        }
        None => config.data = Some(Data { bytes: piece, is_json: false }),
    }
    Ok(())
}

pub fn read(call: &Call, name: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = call
        .try_open(name)
        .and_then(|mut input| std::io::Read::read_to_end(&mut input, &mut bytes));
    read.map(|_| bytes).map_err(|err| reason(&err))
}

/// `@name` is what is in the file, with `-d` without line ends.
pub fn from_file(config: &Config, call: &Call, text: &str, joined: bool) -> Vec<u8> {
    let Some(name) = text.strip_prefix('@') else { return text.as_bytes().to_vec() };
    let mut bytes = file_or_nothing(config, call, name);
    if joined {
        bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    }
    bytes
}

fn file_or_nothing(config: &Config, call: &Call, name: &str) -> Vec<u8> {
    read(call, name).unwrap_or_else(|_| {
        if config.silent {
            return Vec::new();
        }
        eprintln!("Warning: Couldn't read data from file \"{name}\", this makes an empty POST.");
        Vec::new()
    })
}

/// `content`, `=content`, `name=content`, `@file`, `name@file`.
fn encoded(config: &Config, call: &Call, text: &str) -> Vec<u8> {
    let Some(at) = text.find(['=', '@']) else { return percent_encode(text.as_bytes()) };
    let (name, rest) = (&text[..at], &text[at + 1..]);
    let content = match text.as_bytes()[at] {
        b'=' => rest.as_bytes().to_vec(),
        _ => file_or_nothing(config, call, rest),
    };
    let mut bytes = name.as_bytes().to_vec();
    if !name.is_empty() {
        bytes.push(b'=');
    }
    bytes.extend(percent_encode(&content));
    bytes
}

fn percent_encode(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(*byte);
        } else if *byte == b' ' {
            text.push(b'+');
        } else {
            text.extend(format!("%{byte:02X}").bytes());
        }
    }
    text
}

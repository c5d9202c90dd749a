//! `base64`.

use std::io::{Read, Write};

use crate::call::{Call, Done, Failure, output};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A multiple of three, so that only the last piece is padded.
const PIECE_BYTES: usize = 48 << 10;

pub fn base64(call: &Call) -> Done {
    let options = call.options("dw:i")?;
    let width = options.value('w').map_or(Ok(76), |width| call.number(width))? as usize;
    let name = match options.operands.as_slice() {
        [] => "-",
        [name] => name,
        _ => return Err(Failure::usage()),
    };
    if options.has('d') {
        let bytes = decode(&call.read_all(name)?);
        let mut out = output();
        out.write_all(bytes.as_ref().unwrap_or_else(|(before, _)| before))?;
        out.flush()?;
        return bytes.map(|_| 0).map_err(|(_, why)| Failure::Message(why.to_owned()));
    }
    let mut code = 0;
    match call.open(name, |name, why| format!("{name}: {why}")) {
        Some(input) => encode(input, width)?,
        None => code = 1,
    }
    Ok(code)
}

fn encode(mut input: impl Read, width: usize) -> Result<(), Failure> {
    let mut out = output();
    let (mut piece, mut column, mut any) = (Vec::new(), 0, false);
    loop {
        piece.clear();
        (&mut input).take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            break;
        }
        any = true;
        let text: Vec<u8> = piece.chunks(3).flat_map(quad).collect();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let room = if width == 0 { rest.len() } else { width - column };
            let (line, after) = rest.split_at(room.min(rest.len()));
            out.write_all(line)?;
            (rest, column) = (after, column + line.len());
            if column == width {
                out.write_all(b"\n")?;
                column = 0;
            }
        }
    }
    if any && column > 0 && width > 0 {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// The same for a short text, in one line.
pub fn text(bytes: &[u8]) -> String {
    bytes.chunks(3).flat_map(quad).map(char::from).collect()
}

fn quad(three: &[u8]) -> [u8; 4] {
    let bits = (0..3).fold(0, |bits, n| bits << 8 | u32::from(three.get(n).copied().unwrap_or(0)));
    std::array::from_fn(|n| {
        if n > three.len() { b'=' } else { DIGITS[(bits >> (18 - 6 * n) & 63) as usize] }
    })
}

/// What the text stands for; on failure what came before, and why.
fn decode(text: &[u8]) -> Result<Vec<u8>, (Vec<u8>, &'static str)> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        if *byte == b'=' {
            break;
        }
        let Some(digit) = DIGITS.iter().position(|digit| digit == byte) else {
            return Err((bytes, "invalid input"));
        };
        bits = bits << 6 | digit as u32;
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match count {
        0 => Ok(bytes),
        1 => Err((bytes, "truncated input")),
        2 => {
            bytes.push((bits >> 4) as u8);
            Ok(bytes)
        }
        _ => {
            bytes.extend([(bits >> 10) as u8, (bits >> 2) as u8]);
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let check = |plain: &str, text: &str| {
            let encoded: Vec<u8> = plain.as_bytes().chunks(3).flat_map(quad).collect();
            assert_eq!(String::from_utf8(encoded).unwrap(), text);
            assert_eq!(decode(text.as_bytes()).unwrap(), plain.as_bytes());
        };
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("foobar", "Zm9vYmFy");
        assert_eq!(decode(b"Zm9v!").unwrap_err(), (b"foo".to_vec(), "invalid input"));
    }
}

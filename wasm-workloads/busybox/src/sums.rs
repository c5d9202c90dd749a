//! Checksums: `md5sum` and its like, `cksum`, `sum`.

use std::io::Read;

use sha1::Digest;

use crate::call::{Call, Done, Failure, output, print, reason};
use crate::stream::{BUFFER_BYTES, Input};

pub fn md5sum(call: &Call) -> Done {
    sums::<md5::Md5>(call)
}

pub fn sha1sum(call: &Call) -> Done {
    sums::<sha1::Sha1>(call)
}

pub fn sha256sum(call: &Call) -> Done {
    sums::<sha2::Sha256>(call)
}

pub fn sha512sum(call: &Call) -> Done {
    sums::<sha2::Sha512>(call)
}

/// Reads to the end, a piece at a time.
fn pieces(input: &mut Input, mut act: impl FnMut(&[u8])) -> Result<(), Failure> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match input.read(&mut buffer).map_err(|err| Failure::Message(reason(&err)))? {
            0 => return Ok(()),
            n => act(&buffer[..n]),
        }
    }
}

fn digest<D: Digest>(input: &mut Input) -> Result<String, Failure> {
    let mut digest = D::new();
    pieces(input, |piece| digest.update(piece))?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn sums<D: Digest>(call: &Call) -> Done {
    let options = call.options("cswbt")?;
    if options.has('c') {
        return check::<D>(call, options.has('s'), &options.operands);
    }
    call.each_input(&options.operands, |name, mut input| {
        print(format!("{}  {name}\n", digest::<D>(&mut input)?)).map(|_| ())
    })
}

/// `-c`: whether the files still have the sums that a list names.
fn check<D: Digest>(call: &Call, silent: bool, lists: &[String]) -> Done {
    let (mut total, mut wrong) = (0, 0);
    let mut lines = Vec::new();
    let code = call.each_input(lists, |_, input| {
        lines.extend(input.lines().map(|line| String::from_utf8_lossy(&line).into_owned()));
        Ok(())
    })?;
    for line in lines {
        let parts = line.split_once("  ").or_else(|| line.split_once(" *"));
        let Some((sum, name)) = parts.filter(|(sum, _)| !sum.is_empty()) else { continue };
        total += 1;
        let opened = call.open(name, |name, why| format!("can't open '{name}': {why}"));
        let now = opened.map(|mut input| digest::<D>(&mut input)).transpose()?;
        let verdict = match now {
            Some(now) if now.eq_ignore_ascii_case(sum) => "OK",
            Some(_) => "FAILED",
            None => "FAILED open or read",
        };
        wrong += u32::from(verdict != "OK");
        if !silent {
            print(format!("{name}: {verdict}\n"))?;
        }
    }
    if total == 0 {
        return Err(Failure::Message("no checksum lines found".to_owned()));
    }
    if wrong > 0 && !silent {
        let sums = format!("WARNING: {wrong} of {total} computed checksums did NOT match");
        call.complain(&sums);
    }
    Ok(u8::from(wrong > 0) | code)
}

/// POSIX's: the CRC of the content and then of its length.
pub fn cksum(call: &Call) -> Done {
    let options = call.options("")?;
    let named = !options.operands.is_empty();
    let table = table();
    let step = |sum: u32, byte: u8| sum << 8 ^ table[(sum >> 24) as usize ^ usize::from(byte)];
    call.each_input(&options.operands, |name, mut input| {
        let (mut sum, mut length) = (0, 0_u64);
        pieces(&mut input, |piece| {
            length += piece.len() as u64;
            sum = piece.iter().fold(sum, |sum, byte| step(sum, *byte));
        })?;
        let mut rest = length;
        while rest > 0 {
            sum = step(sum, rest as u8);
            rest >>= 8;
        }
        let name = if named { format!(" {name}") } else { String::new() };
        print(format!("{} {length}{name}\n", !sum)).map(|_| ())
    })
}

fn table() -> [u32; 256] {
    std::array::from_fn(|n| {
        (0..8).fold((n as u32) << 24, |sum, _| {
            sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

/// BSD's sum, or with `-s` System V's.
pub fn sum(call: &Call) -> Done {
    let options = call.options("rs")?;
    let system_v = options.last_of("rs") == Some('s');
    let several = options.operands.len() > usize::from(!system_v);
    let mut out = output();
    call.each_input(&options.operands, |name, mut input| {
        let (mut sum, mut length) = (0_u32, 0_u64);
        pieces(&mut input, |piece| {
            length += piece.len() as u64;
            for byte in piece {
                let turned = (sum >> 1) + ((sum & 1) << 15);
                let before = if system_v { sum } else { turned };
                sum = before.wrapping_add(u32::from(*byte));
                if !system_v {
                    sum &= 0xffff;
                }
            }
        })?;
        let name = if several { format!(" {name}") } else { String::new() };
        let text = if system_v {
            let folded = (sum & 0xffff) + (sum >> 16);
            format!("{} {}{name}\n", (folded & 0xffff) + (folded >> 16), length.div_ceil(512))
        } else {
            format!("{sum:05} {:5}{name}\n", length.div_ceil(1024))
        };
        Ok(std::io::Write::write_all(&mut out, text.as_bytes())?)
    })
    .and_then(|code| Ok(std::io::Write::flush(&mut out).map(|()| code)?))
}

//! `stat`.

use std::fs::{self, Metadata};
use std::time::SystemTime;

use sampan_process::system::{self, Mount};

use crate::attributes::{self, Kind};
use crate::call::{Call, Done, print, reason};
use crate::container;
use crate::date;

const FILE: &str = "  File: %N
  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F
Device: %Dh/%dd\tInode: %-10i  Links: %h
Access: (%04a/%A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)
Access: %x
Modify: %y
Change: %z
";
const FILE_TERSE: &str = "%n %s %b %f %u %g %D %i %h %t %T %X %Y %Z %o\n";
const SYSTEM: &str = "  File: \"%n\"
    ID: %-8i Namelen: %-7l Type: %T
Block size: %-10s
Blocks: Total: %-10b Free: %-10f Available: %a
Inodes: Total: %-10c Free: %d
";
const SYSTEM_TERSE: &str = "%n %i %l %t %s %b %f %a %c %d\n";

pub fn stat(call: &Call) -> Done {
    let options = call.options("ltfLc:")?;
    if options.operands.is_empty() {
        return Err(crate::call::Failure::usage());
    }
    let own = options.value('c').map(|format| format!("{format}\n"));
    let standard = match (options.has('f'), options.has('t')) {
        (false, false) => FILE,
        (false, true) => FILE_TERSE,
        (true, false) => SYSTEM,
        (true, true) => SYSTEM_TERSE,
    };
    let format = own.as_deref().unwrap_or(standard);
    let (mut text, mut code) = (String::new(), 0);
    for name in &options.operands {
        let path = call.path(name);
        let follow = options.has('L') || options.has('f');
        let found = if follow { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        match found {
            Ok(_) if options.has('f') => {
                let mounts = system::mounts();
                let mount = container::holder(&mounts, &path);
                text += &fill(format, |letter| of_system(letter, name, mount));
            }
            Ok(metadata) => {
                let rights = Kind::of(&metadata).rights_at(&path, follow);
                text += &fill(format, |letter| of_file(letter, name, &path, &metadata, rights));
            }
            Err(err) => {
                let what =
                    if options.has('f') { "read file system information for" } else { "stat" };
                call.complain(&format!("can't {what} '{name}': {}", reason(&err)));
                code = 1;
            }
        }
    }
    print(text)?;
    Ok(code)
}

/// Puts values in place of `%` and a letter; flags and a width may be between them.
fn fill(format: &str, value: impl Fn(char) -> Option<String>) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text += before;
        let flags = after.trim_start_matches(['-', '0', '+', ' ', '#']);
        let (flags, after) = after.split_at(after.len() - flags.len());
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        // Bound: no column is wider than a screen could be.
        let width = after[..digits].parse::<usize>().unwrap_or(0).min(WIDTH_MAX);
        let after = &after[digits..];
        let Some(letter) = after.chars().next() else {
            return text + "%";
        };
        let value = value(letter).unwrap_or_else(|| letter.to_string());
        text += &match (flags.contains('-'), flags.contains('0')) {
            (true, _) => format!("{value:<width$}"),
            (_, true) => format!("{value:0>width$}"),
            _ => format!("{value:>width$}"),
        };
        rest = &after[letter.len_utf8()..];
    }
    text + rest
}

const WIDTH_MAX: usize = 4096;

fn of_file(
    letter: char,
    name: &str,
    path: &str,
    metadata: &Metadata,
    rights: u32,
) -> Option<String> {
    let kind = Kind::of(metadata);
    let modified = attributes::modified(metadata);
    let accessed = metadata.accessed().unwrap_or(modified);
    Some(match letter {
        'a' => format!("{rights:o}"),
        'A' => kind.mode_text(rights),
        'b' => attributes::blocks(metadata).to_string(),
        'B' => "512".to_owned(),
        'd' | 'D' | 'i' | 't' | 'T' | 'u' | 'g' => "0".to_owned(),
        'f' => format!("{:x}", kind.mode(rights)),
        'F' => kind.name(metadata.len()).to_owned(),
        'h' => "1".to_owned(),
        'n' => name.to_owned(),
        'N' => match fs::read_link(path).ok().filter(|_| kind == Kind::Link) {
            Some(target) => format!("'{name}' -> '{}'", target.display()),
            None => name.to_owned(),
        },
        'o' => "4096".to_owned(),
        's' => metadata.len().to_string(),
        'U' | 'G' => "root".to_owned(),
        'x' => time(accessed),
        'X' => date::since_epoch(accessed).0.to_string(),
        // When a file's attributes changed is not told: there are none to change but its times.
        'y' | 'z' => time(modified),
        'Y' | 'Z' => date::since_epoch(modified).0.to_string(),
        _ => return None,
    })
}

fn time(time: SystemTime) -> String {
    let (seconds, nanoseconds) = date::since_epoch(time);
    date::format(seconds, nanoseconds, "%F %T.%N %z")
}

/// How many files fit, and how many there are, is not told.
fn of_system(letter: char, name: &str, mount: Option<&Mount>) -> Option<String> {
    const BLOCK_BYTES: u64 = 4096;
    let size = mount.and_then(|mount| mount.size);
    let (total, free) = size.map_or((0, 0), |size| (size.total, size.available.min(size.total)));
    Some(match letter {
        'a' | 'f' => (free / BLOCK_BYTES).to_string(),
        'b' => (total / BLOCK_BYTES).to_string(),
        'c' | 'd' | 'i' | 't' => "0".to_owned(),
        'l' => "255".to_owned(),
        'n' => name.to_owned(),
        's' | 'S' => BLOCK_BYTES.to_string(),
        'T' => mount.map_or("UNKNOWN", container::kind).to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_flags_and_widths() {
        let check = |format: &str, expect: &str| {
            let value = |letter| (letter == 's').then(|| "42".to_owned());
            assert_eq!(fill(format, value), expect, "{format}");
        };
        check("%s", "42");
        check("a%5s|%-5s|%05s|", "a   42|42   |00042|");
        check("100%% %q é", "100% q é");
        check("no end %", "no end %");
        check("%5", "%");
    }
}

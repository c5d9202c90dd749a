//! `du`.

use std::fs;

use crate::attributes;
use crate::call::{Call, Done, Failure, Options, print, reason};
use crate::container::human;

/// What is counted and shown.
struct Style {
    all: bool,
    deepest: usize,
    follow: bool,
    follow_operands: bool,
    /// Bytes that there are instead of what they take.
    apparent: bool,
    unit: char,
}

pub fn du(call: &Call) -> Done {
    let options = call.options("aHLd:clsxhmkb")?;
    let style = style(call, &options)?;
    let current = [".".to_owned()];
    let names = if options.operands.is_empty() { &current } else { options.operands.as_slice() };
    let mut walk = Walk { call, style, lines: String::new(), code: 0 };
    let mut total = 0;
    for name in names {
        total += walk.visit(name, 0);
    }
    if options.has('c') {
        walk.show(total, "total");
    }
    print(walk.lines)?;
    Ok(walk.code)
}

fn style(call: &Call, options: &Options) -> Result<Style, Failure> {
    let deepest = options.value('d').map(|text| call.number(text)).transpose()?;
    let deepest = deepest.map_or(usize::MAX, |depth| depth as usize);
    Ok(Style {
        all: options.has('a'),
        deepest: if options.has('s') { 0 } else { deepest },
        follow: options.has('L'),
        follow_operands: options.has('H'),
        apparent: options.has('b'),
        unit: options.last_of("bhmk").unwrap_or('k'),
    })
}

struct Walk<'a> {
    call: &'a Call,
    style: Style,
    lines: String,
    code: u8,
}

impl Walk<'_> {
    /// Bytes of a file, or of a directory and all that is in it.
    fn visit(&mut self, name: &str, depth: usize) -> u64 {
        let path = self.call.path(name);
        let follow = self.style.follow || (depth == 0 && self.style.follow_operands);
        let found = if follow { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        let metadata = match found {
            Ok(metadata) => metadata,
            Err(err) => {
                self.fail(name, &err);
                return 0;
            }
        };
        let apparent = self.style.apparent;
        let mut bytes = if apparent { metadata.len() } else { attributes::blocks(&metadata) * 512 };
        if metadata.is_dir() && depth < DEPTH_MAX {
            match crate::names::entries(&path) {
                Ok(entries) => {
                    for entry in entries {
                        let name = format!("{}/{entry}", name.trim_end_matches('/'));
                        bytes += self.visit(&name, depth + 1);
                    }
                }
                Err(err) => self.fail(name, &err),
            }
        }
        let shown = metadata.is_dir() || self.style.all || depth == 0;
        if shown && depth <= self.style.deepest {
            self.show(bytes, name);
        }
        bytes
    }

    fn fail(&mut self, name: &str, err: &std::io::Error) {
        self.call.complain(&format!("{name}: {}", reason(err)));
        self.code = 1;
    }

    fn show(&mut self, bytes: u64, name: &str) {
        self.lines += &format!("{}\t{name}\n", amount(bytes, self.style.unit));
    }
}

/// Directories in directories: with `-L`, links may go round in circles.
const DEPTH_MAX: usize = 100;

fn amount(bytes: u64, unit: char) -> String {
    match unit {
        'h' => human(bytes),
        'b' => bytes.to_string(),
        'm' => bytes.div_ceil(1 << 20).to_string(),
        _ => bytes.div_ceil(1 << 10).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_up() {
        assert_eq!([0, 1, 4096, 4097].map(|bytes| amount(bytes, 'k')), ["0", "1", "4", "5"]);
        assert_eq!(amount(4096, 'm'), "1");
        assert_eq!(amount(16 << 10, 'h'), "16.0K");
        assert_eq!(amount(5000, 'b'), "5000");
    }
}

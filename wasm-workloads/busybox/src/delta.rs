//! `cmp` and `diff`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, Write};

use crate::call::{Call, Done, Failure, Options, output, reason};

pub fn cmp(call: &Call) -> Done {
    let options = call.options("lsn:")?;
    let (one, other) = match options.operands.as_slice() {
        [one] => (one.as_str(), "-"),
        [one, other] => (one.as_str(), other.as_str()),
        _ => return Err(Failure::usage()),
    };
    let open = |name: &str| {
        call.try_open(name).map_err(|err| {
            call.complain(&format!("can't open '{name}': {}", reason(&err)));
        })
    };
    let (Ok(mut left), Ok(mut right)) = (open(one), open(other)) else { return Ok(2) };
    let most = options.value('n').map_or(Ok(u64::MAX), |most| call.number(most))?;
    let (mut place, mut line, mut code) = (0, 1, 0);
    let mut out = output();
    while place < most {
        let (near, far) = (left.fill_buf()?, right.fill_buf()?);
        if near.is_empty() || far.is_empty() {
            if near.len() != far.len() {
                out.flush()?;
                if !options.has('s') {
                    call.complain(&format!("EOF on {}", if near.is_empty() { one } else { other }));
                }
                code = 1;
            }
            break;
        }
        let length = near.len().min(far.len()).min((most - place).min(1 << 30) as usize);
        for (a, b) in near[..length].iter().zip(&far[..length]) {
            place += 1;
            if a != b {
                code = 1;
                if options.has('l') {
                    writeln!(out, "{place:4} {a:3o} {b:3o}")?;
                } else {
                    if !options.has('s') {
                        writeln!(out, "{one} {other} differ: char {place}, line {line}")?;
                    }
                    out.flush()?;
                    return Ok(1);
                }
            }
            line += u64::from(*a == b'\n');
        }
        left.consume(length);
        right.consume(length);
    }
    out.flush()?;
    Ok(code)
}

pub fn diff(call: &Call) -> Done {
    let options = call.options("abBdiL:NqrsS:tTuU:w")?;
    let [one, other] = options.operands.as_slice() else { return Err(Failure::usage()) };
    let is_directory =
        |name: &str| fs::metadata(call.path(name)).is_ok_and(|metadata| metadata.is_dir());
    let mut diff = Diff { call, options: &options, out: output(), code: 0 };
    match (is_directory(one), is_directory(other)) {
        (true, true) => diff.directories(one, other)?,
        (true, false) => diff.files(&below(one, crate::names::last(other)), other)?,
        (false, true) => diff.files(one, &below(other, crate::names::last(one)))?,
        (false, false) => diff.files(one, other)?,
    }
    diff.out.flush()?;
    Ok(diff.code)
}

fn below(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

struct Diff<'a, W> {
    call: &'a Call,
    options: &'a Options,
    out: W,
    code: u8,
}

impl<W: Write> Diff<'_, W> {
    fn trouble(&mut self, why: &str) {
        self.call.complain(why);
        self.code = 2;
    }

    fn differ(&mut self) {
        self.code = self.code.max(1);
    }

    fn directories(&mut self, one: &str, other: &str) -> Result<(), Failure> {
        let names = |directory: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(self.call.path(directory)).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let (left, right) = (names(one), names(other));
        for name in left.union(&right) {
            let (near, far) = (below(one, name), below(other, name));
            let in_both = left.contains(name) && right.contains(name);
            if !in_both && !self.options.has('N') {
                let directory = if left.contains(name) { one } else { other };
                writeln!(self.out, "Only in {directory}: {name}")?;
                self.differ();
                continue;
            }
            let is_directory = |name: &str| {
                fs::metadata(self.call.path(name)).is_ok_and(|metadata| metadata.is_dir())
            };
            match (is_directory(&near), is_directory(&far)) {
                (true, true) if self.options.has('r') => self.directories(&near, &far)?,
                (true, true) => writeln!(self.out, "Common subdirectories: {near} and {far}")?,
                (false, false) => self.files(&near, &far)?,
                _ => {
                    writeln!(self.out, "File {near} and {far} are of different kinds")?;
                    self.differ();
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, name: &str) -> Option<Vec<u8>> {
        if self.options.has('N') && !fs::exists(self.call.path(name)).unwrap_or(true) {
            return Some(Vec::new());
        }
        match self.call.read_all(name) {
            Ok(bytes) => Some(bytes),
            Err(Failure::Message(why)) => {
                self.trouble(&why);
                None
            }
            Err(_) => None,
        }
    }

    fn files(&mut self, one: &str, other: &str) -> Result<(), Failure> {
        let (Some(near), Some(far)) = (self.read(one), self.read(other)) else { return Ok(()) };
        let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
            bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
        };
        let (near, far) = (lines(&near), lines(&far));
        let compared = |lines: &[Vec<u8>]| -> Vec<Vec<u8>> {
            lines.iter().map(|line| normal(line, self.options)).collect()
        };
        let edits = edits(&compared(&near), &compared(&far));
        if edits.is_empty() {
            if self.options.has('s') {
                writeln!(self.out, "Files {one} and {other} are identical")?;
            }
            return Ok(());
        }
        self.differ();
        let is_text = |lines: &[Vec<u8>]| !lines.iter().any(|line| line.contains(&0));
        if self.options.has('q') || !(self.options.has('a') || is_text(&near) && is_text(&far)) {
            writeln!(self.out, "Files {one} and {other} differ")?;
            return Ok(());
        }
        let mut labels = self.options.values('L');
        writeln!(self.out, "--- {}", labels.next().unwrap_or(one))?;
        writeln!(self.out, "+++ {}", labels.next().unwrap_or(other))?;
        let context = self.options.value('U').map_or(Ok(3), |n| self.call.number(n))? as usize;
        for hunk in hunks(&edits, context) {
            self.hunk(hunk, context, &near, &far)?;
        }
        Ok(())
    }

    fn hunk(
        &mut self,
        edits: &[Edit],
        context: usize,
        near: &[Vec<u8>],
        far: &[Vec<u8>],
    ) -> Result<(), Failure> {
        let (Some(first), Some(last)) = (edits.first(), edits.last()) else { return Ok(()) };
        let before = context.min(first.near.0);
        let after = context.min(near.len() - last.near.1);
        let (start, end) = (first.near.0 - before, last.near.1 + after);
        let (far_start, far_end) = (first.far.0 - before, last.far.1 + after);
        writeln!(self.out, "@@ -{} +{} @@", span(start, end), span(far_start, far_end))?;
        let mut at = start;
        for edit in edits {
            self.lines(b' ', &near[at..edit.near.0])?;
            self.lines(b'-', &near[edit.near.0..edit.near.1])?;
            self.lines(b'+', &far[edit.far.0..edit.far.1])?;
            at = edit.near.1;
        }
        self.lines(b' ', &near[at..end])
    }

    fn lines(&mut self, mark: u8, lines: &[Vec<u8>]) -> Result<(), Failure> {
        for line in lines {
            self.out.write_all(&[mark])?;
            self.out.write_all(line)?;
            if line.last() != Some(&b'\n') {
                self.out.write_all(b"\n\\ No newline at end of file\n")?;
            }
        }
        Ok(())
    }
}

/// A line as it is compared.
fn normal(line: &[u8], options: &Options) -> Vec<u8> {
    let mut line = line.to_vec();
    if options.has('i') {
        line.make_ascii_lowercase();
    }
    if options.has('w') {
        line.retain(|byte| !byte.is_ascii_whitespace());
    } else if options.has('b') {
        let mut kept: Vec<u8> = Vec::new();
        for byte in line.trim_ascii_end() {
            match (byte.is_ascii_whitespace(), kept.last()) {
                (true, Some(b' ')) => {}
                (true, _) => kept.push(b' '),
                (false, _) => kept.push(*byte),
            }
        }
        line = kept;
    }
    line
}

/// `start,count` as in a hunk's head, of lines from 0.
fn span(start: usize, end: usize) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        count => format!("{},{count}", start + 1),
    }
}

/// Lines that are replaced by others; both from 0, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    near: (usize, usize),
    far: (usize, usize),
}

/// Edits whose contexts touch belong together.
fn hunks(edits: &[Edit], context: usize) -> impl Iterator<Item = &[Edit]> {
    edits.chunk_by(move |one, next| next.near.0 - one.near.1 <= 2 * context)
}

/// Bound: Myers' trace grows with the square of the edits; this is 32 MB. Files that differ more
/// are shown as changed altogether, which is right if not short.
const EDITS_MAX: usize = 2800;

/// The least edits that make one of the other (Myers 1986).
fn edits(near: &[Vec<u8>], far: &[Vec<u8>]) -> Vec<Edit> {
    let same = near.iter().zip(far).take_while(|(one, other)| one == other).count();
    let (a, b) = (&near[same..], &far[same..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(one, other)| one == other).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let mut edits: Vec<Edit> = Vec::new();
    for (x, y, removed) in steps(a, b) {
        let (x, y) = (x + same, y + same);
        let step =
            Edit { near: (x, x + usize::from(removed)), far: (y, y + usize::from(!removed)) };
        match edits.last_mut() {
            Some(last) if last.near.1 == step.near.0 && last.far.1 == step.far.0 => {
                (last.near.1, last.far.1) = (step.near.1, step.far.1);
            }
            _ => edits.push(step),
        }
    }
    edits
}

/// Single removals (true) and additions, each with its places in both.
fn steps(a: &[Vec<u8>], b: &[Vec<u8>]) -> Vec<(usize, usize, bool)> {
    let (n, m) = (a.len() as isize, b.len() as isize);
    let mut trace: Vec<Vec<i32>> = Vec::new();
    let mut reach = vec![0_i32, 0];
    for d in 0..=(n + m).min(EDITS_MAX as isize) {
        let mut next = vec![0_i32; 2 * d as usize + 2];
        for k in (-d..=d).step_by(2) {
            let old = |k: isize| reach[(k + d - 1).max(0) as usize] as isize;
            let down = d == 0 || k == -d || (k != d && old(k - 1) < old(k + 1));
            let mut x = if d == 0 {
                0
            } else if down {
                old(k + 1)
            } else {
                old(k - 1) + 1
            };
            while x < n && x - k < m && a[x as usize] == b[(x - k) as usize] {
                x += 1;
            }
            next[(k + d) as usize] = x as i32;
            if x >= n && x - k >= m {
                trace.push(next);
                return back(&trace, n, m);
            }
        }
        trace.push(next.clone());
        reach = next;
    }
    let removed = (0..a.len()).map(|x| (x, 0, true));
    removed.chain((0..b.len()).map(|y| (a.len(), y, false))).collect()
}

/// Follows the trace from the end.
fn back(trace: &[Vec<i32>], n: isize, m: isize) -> Vec<(usize, usize, bool)> {
    let (mut x, mut y, mut steps) = (n, m, Vec::new());
    for d in (1..trace.len() as isize).rev() {
        let before = &trace[d as usize - 1];
        let old = |k: isize| before.get((k + d - 1) as usize).copied().unwrap_or(0) as isize;
        let k = x - y;
        let down = k == -d || (k != d && old(k - 1) < old(k + 1));
        x = if down { old(k + 1) } else { old(k - 1) };
        y = x - if down { k + 1 } else { k - 1 };
        steps.push((x as usize, y as usize, !down));
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies the edits, which must give the other text.
    fn check(near: &str, far: &str, expect: usize) {
        let lines = |text: &str| -> Vec<Vec<u8>> { text.bytes().map(|byte| vec![byte]).collect() };
        let (near, far) = (lines(near), lines(far));
        let edits = edits(&near, &far);
        let (mut made, mut at) = (Vec::new(), 0);
        for edit in &edits {
            made.extend_from_slice(&near[at..edit.near.0]);
            made.extend_from_slice(&far[edit.far.0..edit.far.1]);
            at = edit.near.1;
        }
        made.extend_from_slice(&near[at..]);
        assert_eq!(made, far);
        let changed = |edit: &Edit| edit.near.1 - edit.near.0 + edit.far.1 - edit.far.0;
        assert_eq!(edits.iter().map(changed).sum::<usize>(), expect, "{edits:?}");
    }

    #[test]
    fn edits_are_right_and_few() {
        check("abc", "abc", 0);
        check("", "abc", 3);
        check("abc", "", 3);
        check("abcabba", "cbabac", 5);
        check("abcd", "acbd", 2);
        check("xaxbxc", "abc", 3);
        check("aaaa", "aa", 2);
    }
}

//! `sort`: all input in one piece of memory, its lines as slices of it.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufRead, Write};

use crate::call::{Call, Done, Failure, Options, output, reason};

/// `-k 2,3n` and the options that hold for all keys.
#[derive(Debug, Clone, Default)]
struct Key {
    /// Field and character, from 1.
    start: (usize, usize),
    /// Inclusive; field 0: to the end of the line.
    end: (usize, usize),
    by: By,
    fold: bool,
    reverse: bool,
    blanks: bool,
}

/// What a key is compared by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum By {
    #[default]
    Bytes,
    Number,
    /// `10K` before `2M`.
    Size,
    Month,
    Version,
}

impl By {
    fn of(has: impl Fn(char) -> bool) -> Self {
        let known = [('n', Self::Number), ('g', Self::Number), ('h', Self::Size)];
        let known = known.into_iter().chain([('M', Self::Month), ('V', Self::Version)]);
        known.into_iter().find(|(letter, _)| has(*letter)).map_or(Self::Bytes, |(_, by)| by)
    }
}

/// What a key names in a line; its number is worked out once.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    text: &'a [u8],
    number: f64,
}

#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    text: &'a [u8],
    /// What the first key names: it decides most comparisons.
    first: Part<'a>,
}

/// Which lines come first.
struct Order {
    first: Key,
    others: Vec<Key>,
    separator: Option<u8>,
    /// Lines of equal keys stay in the order they came in; otherwise all of their bytes decide.
    keys_only: bool,
    reverse: bool,
}

pub fn sort(call: &Call) -> Done {
    let options = call.options("nrufbk:t:o:sgczmVhM")?;
    let order = Order::of(&options)?;
    let end = if options.has('z') { 0 } else { b'\n' };
    let Some(bytes) = read_all(call, &options.operands, end) else { return Ok(2) };
    let ends = memchr::memchr_iter(end, &bytes);
    let mut lines = Vec::with_capacity(ends.clone().count());
    let mut start = 0;
    for at in ends {
        lines.push(order.line(&bytes[start..at]));
        start = at + 1;
    }
    let unique = options.has('u');
    if options.has('c') {
        return Ok(check(&lines, &order, unique));
    }
    lines.sort_by(|one, other| order.compare(one, other));
    if unique {
        lines.dedup_by(|one, other| order.by_keys(one, other).is_eq());
    }
    let Some(name) = options.value('o') else {
        write(&lines, end, &mut output())?;
        return Ok(0);
    };
    let file = File::create(call.path(name)).map(io::BufWriter::new);
    let written = file.and_then(|mut file| write(&lines, end, &mut file));
    written.map(|()| 0).map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))
}

/// All inputs, each line with its end; `None` if one cannot be opened, which has been said.
fn read_all(call: &Call, operands: &[String], end: u8) -> Option<Vec<u8>> {
    let (mut bytes, mut failed) = (Vec::new(), false);
    for name in Call::inputs(operands) {
        let Some(mut input) = call.open(&name, |name, why| format!("{name}: {why}")) else {
            failed = true;
            continue;
        };
        while let Ok(piece) = input.fill_buf() {
            let length = piece.len();
            if length == 0 {
                break;
            }
            bytes.extend_from_slice(piece);
            input.consume(length);
        }
        if bytes.last().is_some_and(|last| *last != end) {
            bytes.push(end);
        }
    }
    (!failed).then_some(bytes)
}

/// `-c`
fn check(lines: &[Line<'_>], order: &Order, unique: bool) -> u8 {
    let fits = |pair: &[Line<'_>]| match order.compare(&pair[0], &pair[1]) {
        Ordering::Less => true,
        Ordering::Equal => !unique,
        Ordering::Greater => false,
    };
    let Some(at) = lines.windows(2).position(|pair| !fits(pair)) else { return 0 };
    eprintln!("Check line {}", at + 1);
    1
}

fn write(lines: &[Line<'_>], end: u8, out: &mut impl Write) -> io::Result<()> {
    for line in lines {
        out.write_all(line.text)?;
        out.write_all(&[end])?;
    }
    out.flush()
}

impl Order {
    fn of(options: &Options) -> Result<Self, Failure> {
        let general = Key {
            start: (1, 1),
            by: By::of(|letter| options.has(letter)),
            fold: options.has('f'),
            reverse: options.has('r'),
            blanks: options.has('b'),
            ..Key::default()
        };
        let keys: Vec<Key> =
            options.values('k').map(|text| key(text, &general)).collect::<Result<_, _>>()?;
        let mut keys = keys.into_iter();
        Ok(Self {
            first: keys.next().unwrap_or(general),
            others: keys.collect(),
            separator: options.value('t').and_then(|text| text.bytes().next()),
            keys_only: options.has('u') || options.has('s'),
            reverse: options.has('r'),
        })
    }

    fn line<'a>(&self, text: &'a [u8]) -> Line<'a> {
        Line { text, first: self.first.part(text, self.separator) }
    }

    fn compare(&self, one: &Line<'_>, other: &Line<'_>) -> Ordering {
        let order = self.by_keys(one, other);
        if order.is_ne() || self.keys_only {
            return order;
        }
        let order = one.text.cmp(other.text);
        if self.reverse { order.reverse() } else { order }
    }

    fn by_keys(&self, one: &Line<'_>, other: &Line<'_>) -> Ordering {
        let mut order = self.first.compare(&one.first, &other.first);
        for key in &self.others {
            if order.is_ne() {
                break;
            }
            let [one, other] = [one, other].map(|line| key.part(line.text, self.separator));
            order = key.compare(&one, &other);
        }
        order
    }
}

fn key(text: &str, general: &Key) -> Result<Key, Failure> {
    let invalid = || Failure::Message(format!("bad field specification: {text}"));
    let place = |text: &str| {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (field, character) = digits.split_once('.').unwrap_or((digits, ""));
        let character = if character.is_empty() { Some(0) } else { character.parse().ok() };
        Some((field.parse::<usize>().ok()?, character?, text[digits.len()..].to_owned()))
    };
    let (start, end) = text.split_once(',').map_or((text, None), |(start, end)| (start, Some(end)));
    let (field, character, mut letters) =
        place(start).filter(|place| place.0 > 0).ok_or_else(invalid)?;
    let end = match end {
        Some(end) => {
            let (field, character, more) = place(end).ok_or_else(invalid)?;
            letters += &more;
            (field, character)
        }
        None => (0, 0),
    };
    let own = |letter| letters.contains(letter);
    let plain = letters.is_empty();
    Ok(Key {
        start: (field, character.max(1)),
        end,
        by: if plain { general.by } else { By::of(own) },
        fold: own('f') || (plain && general.fold),
        reverse: own('r') || (plain && general.reverse),
        blanks: own('b') || (plain && general.blanks),
    })
}

impl Key {
    fn compare(&self, one: &Part<'_>, other: &Part<'_>) -> Ordering {
        let order = match self.by {
            By::Number | By::Size | By::Month => {
                one.number.partial_cmp(&other.number).unwrap_or(Ordering::Equal)
            }
            By::Version => versions(one.text, other.text),
            By::Bytes if self.fold => upper(one.text).cmp(upper(other.text)),
            By::Bytes => one.text.cmp(other.text),
        };
        if self.reverse { order.reverse() } else { order }
    }

    fn part<'a>(&self, line: &'a [u8], separator: Option<u8>) -> Part<'a> {
        let text = self.text(line, separator);
        let number = match self.by {
            By::Number => number(text),
            By::Size => size(text),
            By::Month => month(text),
            By::Bytes | By::Version => 0.0,
        };
        Part { text, number }
    }

    /// The part of a line that the key names.
    fn text<'a>(&self, line: &'a [u8], separator: Option<u8>) -> &'a [u8] {
        if self.start == (1, 1) && self.end == (0, 0) {
            return if self.blanks { line.trim_ascii_start() } else { line };
        }
        let Some((first, _)) = field(line, separator, self.start.0) else { return &[] };
        let after = &line[first..];
        let skipped = if self.blanks { after.len() - after.trim_ascii_start().len() } else { 0 };
        let start = (first + skipped + self.start.1 - 1).min(line.len());
        let end = match self.end {
            (0, _) => line.len(),
            (number, character) => match field(line, separator, number) {
                Some((_, end)) if character == 0 => end,
                Some((start, _)) => (start + character).min(line.len()),
                None => line.len(),
            },
        };
        &line[start..end.max(start)]
    }
}

fn upper(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().map(u8::to_ascii_uppercase)
}

/// Where a field begins and ends, from 1; without a separator it has the blanks before it.
fn field(line: &[u8], separator: Option<u8>, number: usize) -> Option<(usize, usize)> {
    let mut start = 0;
    for _ in 1..number {
        let end = field_end(line, separator, start);
        if end == line.len() {
            return None;
        }
        start = end + usize::from(separator.is_some());
    }
    Some((start, field_end(line, separator, start)))
}

fn field_end(line: &[u8], separator: Option<u8>, start: usize) -> usize {
    let rest = &line[start..];
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let length = match separator {
        Some(separator) => memchr::memchr(separator, rest),
        None => {
            let blanks = rest.iter().take_while(|byte| is_blank(byte)).count();
            rest[blanks..].iter().position(is_blank).map(|length| blanks + length)
        }
    };
    start + length.unwrap_or(rest.len())
}

/// Digits that fit a `u64` whatever they are.
const DIGITS_MAX: usize = 19;

/// The number that a text begins with, as strtod reads a decimal one; otherwise 0.
fn number(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [sign @ (b'-' | b'+'), rest @ ..] => (*sign == b'-', rest),
        _ => (false, text),
    };
    let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let magnitude = match digits.get(whole) {
        Some(b'.' | b'e' | b'E') => decimal(digits, whole),
        _ if whole > DIGITS_MAX => decimal(digits, whole),
        _ => digits[..whole].iter().fold(0, |n, byte| n * 10 + u64::from(byte - b'0')) as f64,
    };
    if negative { -magnitude } else { magnitude }
}

/// A number with `whole` digits before its point or its exponent.
fn decimal(text: &[u8], whole: usize) -> f64 {
    let digits = |at: usize| {
        text.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut end = whole;
    if text.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if end > 0 && matches!(text.get(end), Some(b'e' | b'E')) {
        let signed = end + 1 + usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        if digits(signed) > 0 {
            end = signed + digits(signed);
        }
    }
    let text = std::str::from_utf8(&text[..end]).unwrap_or_default();
    text.parse().unwrap_or(0.0)
}

/// More than numbers with a unit come to, and little enough to leave them three decimals: the unit
/// decides, as in GNU's `sort -h`.
const UNIT: f64 = 1e12;

/// A number with a unit of `K` to `Y` behind it.
fn size(text: &[u8]) -> f64 {
    let number = number(text);
    let unit = text.trim_ascii_start().iter().find(|byte| byte.is_ascii_alphabetic());
    let rank = unit
        .and_then(|unit| b"KMGTPEZY".iter().position(|known| *known == unit.to_ascii_uppercase()));
    let rank = rank.map_or(0, |rank| rank + 1) as f64;
    if number == 0.0 { 0.0 } else { number + number.signum() * rank * UNIT }
}

/// 1 to 12 by a month's first three letters; what is no month comes before.
fn month(text: &[u8]) -> f64 {
    let name = text.trim_ascii_start().get(..3).unwrap_or_default().to_ascii_lowercase();
    let months = b"janfebmaraprmayjunjulaugsepoctnovdec".chunks(3);
    months.into_iter().position(|known| known == name).map_or(0, |at| at + 1) as f64
}

/// `1.9` before `1.10`: digits are compared as numbers, the rest byte by byte.
fn versions(one: &[u8], other: &[u8]) -> Ordering {
    let (mut one, mut other) = (one, other);
    while !one.is_empty() && !other.is_empty() {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let order = match (digits(one), digits(other)) {
            (0, _) | (_, 0) => one[0].cmp(&other[0]),
            (left, right) => number(&one[..left])
                .partial_cmp(&number(&other[..right]))
                .unwrap_or(Ordering::Equal),
        };
        if order.is_ne() {
            return order;
        }
        one = &one[digits(one).max(1)..];
        other = &other[digits(other).max(1)..];
    }
    one.len().cmp(&other.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_months_and_versions_have_orders_of_their_own() {
        let check = |letters: &str, sorted: &[&str]| {
            let key = key(&format!("1{letters}"), &Key::default()).unwrap();
            let parts: Vec<_> = sorted.iter().map(|text| key.part(text.as_bytes(), None)).collect();
            for pair in parts.windows(2) {
                assert_eq!(key.compare(&pair[0], &pair[1]), Ordering::Less, "{letters}: {pair:?}");
            }
        };
        check("h", &["-2M", "-3K", "0", "5", "900", "1K", "2000K", "1M", "1.5M", "3G"]);
        check("M", &["none", "jan", "FEB", "December"]);
        check("V", &["a-1", "a-1.2", "a-1.10", "a-2", "b"]);
    }

    #[test]
    fn keys_name_parts_of_lines() {
        let check = |text: &str, line: &str, separator: Option<u8>, expect: &str| {
            let key = key(text, &Key::default()).unwrap();
            assert_eq!(
                String::from_utf8_lossy(key.text(line.as_bytes(), separator)),
                expect,
                "{text}"
            );
        };
        check("2", "a b c", None, " b c");
        check("2,2", "a  b c", None, "  b");
        check("2,2b", "a  b c", None, "b");
        check("2", "a:b:c", Some(b':'), "b:c");
        check("2,2", "a:b:c", Some(b':'), "b");
        check("1.2,1.3", "abcd", None, "bc");
        check("5", "a b", None, "");
    }

    #[test]
    fn numbers_are_what_a_text_begins_with() {
        let check = |text: &str, expect: f64| assert_eq!(number(text.as_bytes()), expect, "{text}");
        check("  42 x", 42.0);
        check("-7", -7.0);
        check("+3", 3.0);
        check("2024-01-02", 2024.0);
        check(".5", 0.5);
        check("1.5.2", 1.5);
        check("1e3", 1000.0);
        check("2e", 2.0);
        check("1.e+2x", 100.0);
        check("18446744073709551616", 18_446_744_073_709_551_616.0);
        check("", 0.0);
        check("-", 0.0);
        check(".", 0.0);
        check("word", 0.0);
    }
}

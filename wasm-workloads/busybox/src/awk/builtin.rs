//! The built-in functions.

use std::rc::Rc;
use std::time::SystemTime;

use sampan_regexp::{Captures, Regexp};

use super::machine::{Machine, Stop, complex, failed};
use super::program::{Expression, Variable, special};
use super::record::split;
use super::value::{Text, Value};

impl Machine<'_> {
    pub fn function(&mut self, name: &str, arguments: &[Expression]) -> Result<Value, Stop> {
        match name {
            "length" => return self.length(arguments),
            "split" => return self.split(arguments),
            "sub" | "gsub" => return self.substitute(name == "gsub", arguments),
            "gensub" => return self.gensub(arguments),
            "match" => return self.match_(arguments),
            "sprintf" => return Ok(Value::Text(self.formatted(arguments)?.into())),
            _ => {}
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.evaluate(argument)?);
        }
        let needed = match name {
            "atan2" | "index" | "substr" | "and" | "or" | "xor" | "lshift" | "rshift" => 2,
            "rand" | "srand" | "systime" | "strftime" | "fflush" => 0,
            _ => 1,
        };
        if values.len() < needed {
            return failed(format!("{name}: too few arguments"));
        }
        self.plain(name, &values)
    }

    /// Those whose arguments are just values.
    fn plain(&mut self, name: &str, values: &[Value]) -> Result<Value, Stop> {
        let number = |place: usize| values.get(place).map_or(0.0, Value::number);
        let integer = |place: usize| number(place) as i64;
        Ok(match name {
            "index" => {
                let (text, sought) = (self.text(&values[0]), self.text(&values[1]));
                let found = memchr::memmem::find(&text, &sought).filter(|_| !sought.is_empty());
                found.map_or(0.0, |at| characters(&text[..at]) as f64 + 1.0).into()
            }
            "substr" => {
                let text = self.text(&values[0]);
                Value::from(substr(&text, number(1), values.get(2).map(Value::number)))
            }
            "tolower" => self.string(&values[0]).to_lowercase().into(),
            "toupper" => self.string(&values[0]).to_uppercase().into(),
            "int" => number(0).trunc().into(),
            "sqrt" => number(0).sqrt().into(),
            "exp" => number(0).exp().into(),
            "log" => number(0).ln().into(),
            "sin" => number(0).sin().into(),
            "cos" => number(0).cos().into(),
            "atan2" => number(0).atan2(number(1)).into(),
            "rand" => self.random().into(),
            "srand" => {
                let seed = if values.is_empty() { now() as f64 } else { number(0) };
                self.random = (seed as i64 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                std::mem::replace(&mut self.seed, seed).into()
            }
            "and" => ((integer(0) & integer(1)) as f64).into(),
            "or" => ((integer(0) | integer(1)) as f64).into(),
            "xor" => ((integer(0) ^ integer(1)) as f64).into(),
            "compl" => ((!integer(0) as u32) as f64).into(),
            "lshift" => (integer(0).wrapping_shl(integer(1) as u32) as f64).into(),
            "rshift" => ((integer(0) as u64).wrapping_shr(integer(1) as u32) as f64).into(),
            "systime" => (now() as f64).into(),
            "strftime" => {
                let format = values.first().map_or("%c".to_owned(), |format| self.string(format));
                let time = if values.len() > 1 { integer(1) } else { now() };
                crate::date::format(time, 0, &format).into()
            }
            "mktime" => mktime(&self.string(&values[0])).into(),
            "system" => (f64::from(self.streams.system(&self.string(&values[0]))?)).into(),
            "close" => (f64::from(self.streams.close(&self.string(&values[0]))?)).into(),
            "fflush" => {
                let name = values.first().map(|name| self.string(name));
                let name = name.as_deref().filter(|name| !name.is_empty());
                (if self.streams.flush(name)? { 0.0 } else { -1.0 }).into()
            }
            name => return failed(format!("unknown function '{name}'")),
        })
    }

    /// Marsaglia's xorshift: at least 0, less than 1.
    fn random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn length(&mut self, arguments: &[Expression]) -> Result<Value, Stop> {
        let text = match arguments {
            [] => self.record(),
            [one, ..] => {
                if let Some(count) = self.elements(one) {
                    return Ok((count as f64).into());
                }
                let value = self.evaluate(one)?;
                self.text(&value)
            }
        };
        Ok((characters(&text) as f64).into())
    }

    fn split(&mut self, arguments: &[Expression]) -> Result<Value, Stop> {
        let [text, Expression::Variable(array), rest @ ..] = arguments else {
            return failed("split needs a text and an array");
        };
        let text = self.evaluate(text)?;
        let text = self.text(&text);
        let between = match rest.first() {
            None => {
                let between = self.setting(special::FS);
                self.between_of(&between)?
            }
            Some(Expression::Regexp(regexp)) => super::record::Between::Regexp(Rc::clone(regexp)),
            Some(between) => {
                let between = self.evaluate(between)?;
                let between = self.text(&between);
                self.between_of(&between)?
            }
        };
        let pieces = split(&text, &between, false).map_err(complex)?;
        let count = pieces.len();
        let array = self.array(*array)?;
        let mut array = array.borrow_mut();
        array.clear();
        for (place, piece) in (1..).zip(pieces) {
            *array.get(place_text(place)) = piece;
        }
        Ok((count as f64).into())
    }

    fn match_(&mut self, arguments: &[Expression]) -> Result<Value, Stop> {
        let [text, pattern, rest @ ..] = arguments else {
            return failed("match needs two arguments");
        };
        let text = self.evaluate(text)?;
        let text = self.text(&text);
        let regexp = self.expression_of(pattern)?;
        let mut captures = Captures::default();
        let found = regexp.find_at(&text, 0, &mut captures).map_err(complex)?;
        let (start, length) = if found {
            let (start, end) = captures.whole();
            (characters(&text[..start]) as f64 + 1.0, characters(&text[start..end]) as f64)
        } else {
            (0.0, -1.0)
        };
        if let [Expression::Variable(array)] = rest {
            let array = self.array(*array)?;
            let mut array = array.borrow_mut();
            array.clear();
            for group in 0..=regexp.groups() {
                if let Some((from, to)) = captures.get(group).filter(|_| found) {
                    *array.get(place_text(group)) = Value::input(&text[from..to]);
                }
            }
        }
        self.set(Variable::Global(special::RSTART), start.into())?;
        self.set(Variable::Global(special::RLENGTH), length.into())?;
        Ok(start.into())
    }

    fn substitute(&mut self, all: bool, arguments: &[Expression]) -> Result<Value, Stop> {
        let [pattern, replacement, rest @ ..] = arguments else {
            return failed("sub and gsub need two arguments");
        };
        let regexp = self.expression_of(pattern)?;
        let replacement = self.evaluate(replacement)?;
        let replacement = self.text(&replacement);
        let text = match rest.first() {
            None => self.record(),
            Some(target) => {
                let value = self.evaluate(target)?;
                self.text(&value)
            }
        };
        let which = if all { None } else { Some(1) };
        let (count, new) = replaced(&regexp, &text, &replacement, which, false)?;
        if count > 0 {
            match rest.first() {
                None => self.set_record(new.into()),
                Some(target) => self.assign(target, Value::Text(new.into()))?,
            }
        }
        Ok((count as f64).into())
    }

    fn gensub(&mut self, arguments: &[Expression]) -> Result<Value, Stop> {
        let [pattern, replacement, which, rest @ ..] = arguments else {
            return failed("gensub needs three arguments");
        };
        let regexp = self.expression_of(pattern)?;
        let (replacement, which) = (self.evaluate(replacement)?, self.evaluate(which)?);
        let replacement = self.text(&replacement);
        let text = match rest.first() {
            None => self.record(),
            Some(text) => {
                let value = self.evaluate(text)?;
                self.text(&value)
            }
        };
        let all = self.text(&which).first().is_some_and(|byte| matches!(byte, b'g' | b'G'));
        let which = if all { None } else { Some(which.number().max(1.0) as u64) };
        let (_, new) = replaced(&regexp, &text, &replacement, which, true)?;
        Ok(Value::Text(new.into()))
    }
}

fn now() -> i64 {
    crate::date::since_epoch(SystemTime::now()).0
}

fn place_text(place: usize) -> Text {
    place.to_string().into_bytes().into()
}

/// How many characters; a byte that is none counts as one.
fn characters(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

/// Characters from `from` (1 is the first), rounded as POSIX says.
fn substr(text: &[u8], from: f64, length: Option<f64>) -> &[u8] {
    let first = from.round_ties_even();
    let end = length.map_or(f64::INFINITY, |length| first + length.round_ties_even());
    let (first, end) = (first.max(1.0), end.max(1.0));
    if end.is_nan() || first.is_nan() || end <= first {
        return &[];
    }
    let place = |character: f64| {
        let character =
            if character > text.len() as f64 { text.len() } else { character as usize - 1 };
        if text.is_ascii() { character } else { place_of(text, character) }
    };
    let (start, stop) =
        (place(first), if end > text.len() as f64 { text.len() } else { place(end) });
    if first > text.len() as f64 { &[] } else { &text[start.min(stop)..stop] }
}

/// Where the character of this number, from 0, begins.
fn place_of(text: &[u8], character: usize) -> usize {
    let begins = |at: &usize| text[*at] & 0xc0 != 0x80;
    (0..text.len()).filter(begins).nth(character).unwrap_or(text.len())
}

/// A text with its matches replaced, or only one of them, and how many were.
fn replaced(
    regexp: &Regexp,
    text: &[u8],
    replacement: &[u8],
    which: Option<u64>,
    groups: bool,
) -> Result<(u64, Vec<u8>), Stop> {
    let mut captures = Captures::default();
    let (mut out, mut copied, mut from) = (Vec::new(), 0, 0);
    let (mut seen, mut count) = (0, 0);
    while regexp.find_at(text, from, &mut captures).map_err(complex)? {
        let (start, end) = captures.whole();
        // Nothing right behind a match is not another one.
        if end > start || start > copied || seen == 0 {
            seen += 1;
            out.extend_from_slice(&text[copied..start]);
            if which.is_none_or(|which| which == seen) {
                count += 1;
                replacement_of(replacement, text, &captures, groups, &mut out);
            } else {
                out.extend_from_slice(&text[start..end]);
            }
            copied = end;
        }
        if which.is_some_and(|which| seen >= which) {
            break;
        }
        from = if end > start { end } else { end + 1 };
    }
    out.extend_from_slice(&text[copied.min(text.len())..]);
    Ok((count, out))
}

/// `&` is the match, `\&` is `&`, and with groups `\1` is the first one.
fn replacement_of(text: &[u8], line: &[u8], captures: &Captures, groups: bool, out: &mut Vec<u8>) {
    let piece = |group| captures.get(group).map_or(&[][..], |(from, to)| &line[from..to]);
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(b'&')) => {
                out.push(b'&');
                bytes.next();
            }
            (b'\\', Some(b'\\')) => {
                out.push(b'\\');
                bytes.next();
            }
            (b'\\', Some(digit @ b'0'..=b'9')) if groups => {
                out.extend_from_slice(piece(usize::from(**digit - b'0')));
                bytes.next();
            }
            (b'&', _) => out.extend_from_slice(piece(0)),
            (byte, _) => out.push(*byte),
        }
    }
}

/// `YYYY MM DD hh mm ss`, in UTC; -1 if it is none.
fn mktime(text: &str) -> f64 {
    let parts: Vec<i64> = text.split_whitespace().filter_map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second, ..] = parts.as_slice() else { return -1.0 };
    let months = year * 12 + month - 1;
    let days = crate::date::days_from_civil(months.div_euclid(12), months.rem_euclid(12) + 1, 1);
    ((days + day - 1) * 86400 + hour * 3600 + minute * 60 + second) as f64
}

//! `printf` and the escapes of `echo -e`, as bytes.

/// What to print, and what to complain of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Printed {
    pub bytes: Vec<u8>,
    /// `invalid number 'x'`, each.
    pub errors: Vec<String>,
}

/// `printf FORMAT ARGUMENTS…`: the format is used again as long as arguments remain.
pub fn printf(format: &str, arguments: &[String]) -> Printed {
    let mut printing = Printing { arguments, used: 0, printed: Printed::default() };
    loop {
        let before = printing.used;
        let go_on = printing.once(format);
        if !go_on || printing.used >= arguments.len() || printing.used == before {
            return printing.printed;
        }
    }
}

struct Printing<'a> {
    arguments: &'a [String],
    used: usize,
    printed: Printed,
}

#[derive(Debug, Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// Bounds a width or a precision: padding is memory.
const WIDTH_MAX: usize = 1 << 16;

impl Printing<'_> {
    /// One pass over the format; false after `\c`.
    fn once(&mut self, format: &str) -> bool {
        let mut rest = format;
        while let Some(at) = rest.find(['%', '\\']) {
            self.printed.bytes.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("%%") {
                self.printed.bytes.push(b'%');
                rest = after;
            } else if rest.starts_with('%') {
                let (after, go_on) = self.directive(rest);
                rest = after;
                if !go_on {
                    return false;
                }
            } else {
                let (bytes, length, go_on) = escape(rest, false);
                self.printed.bytes.extend(bytes);
                rest = &rest[length..];
                if !go_on {
                    return false;
                }
            }
        }
        self.printed.bytes.extend_from_slice(rest.as_bytes());
        true
    }

    fn argument(&mut self) -> Option<String> {
        let argument = self.arguments.get(self.used).cloned();
        self.used += usize::from(argument.is_some());
        argument
    }

    /// `%…`: what follows it, and whether to go on.
    fn directive<'f>(&mut self, text: &'f str) -> (&'f str, bool) {
        let mut spec = Spec::default();
        let mut rest = &text[1..];
        while let Some(flag) = rest.chars().next().filter(|c| "-0+ #".contains(*c)) {
            match flag {
                '-' => spec.left = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                ' ' => spec.space = true,
                _ => spec.alternate = true,
            }
            rest = &rest[1..];
        }
        let (width, after) = self.size(rest);
        rest = after;
        if let Some(width) = width {
            spec.left |= width < 0;
            spec.width = (width.unsigned_abs() as usize).min(WIDTH_MAX);
        }
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = self.size(after);
            rest = after;
            let precision = precision.unwrap_or(0);
            spec.precision = usize::try_from(precision).ok().map(|n| n.min(WIDTH_MAX));
        }
        rest = rest.trim_start_matches(['l', 'h', 'j', 'z', 't', 'L']);
        let Some(conversion) = rest.chars().next() else {
            self.printed.errors.push(format!("{text}: invalid format"));
            return ("", false);
        };
        rest = &rest[conversion.len_utf8()..];
        let go_on = self.convert(conversion, &spec, text);
        (rest, go_on)
    }

    /// Digits, or `*` for an argument.
    fn size<'f>(&mut self, text: &'f str) -> (Option<i64>, &'f str) {
        if let Some(after) = text.strip_prefix('*') {
            let size = self.argument().map(|argument| self.integer(&argument));
            return (size, after);
        }
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        (text[..digits].parse().ok(), &text[digits..])
    }

    fn convert(&mut self, conversion: char, spec: &Spec, text: &str) -> bool {
        match conversion {
            's' => {
                let argument = self.argument().unwrap_or_default();
                let argument = spec.precision.map_or(argument.as_str(), |n| prefix(&argument, n));
                pad(&mut self.printed.bytes, argument.as_bytes(), spec);
            }
            'q' => {
                let quoted = shell_quoted(&self.argument().unwrap_or_default());
                pad(&mut self.printed.bytes, quoted.as_bytes(), spec);
            }
            'b' => {
                let (bytes, go_on) = unescape_octal(&self.argument().unwrap_or_default());
                pad(&mut self.printed.bytes, &bytes, spec);
                return go_on;
            }
            'c' => {
                let argument = self.argument().unwrap_or_default();
                pad(&mut self.printed.bytes, prefix(&argument, 1).as_bytes(), spec);
            }
            'd' | 'i' => {
                let value = self.argument().map_or(0, |argument| self.integer(&argument));
                number(
                    &mut self.printed.bytes,
                    value.unsigned_abs().to_string(),
                    sign(value < 0, spec),
                    spec,
                );
            }
            'u' | 'o' | 'x' | 'X' => {
                let value = self.argument().map_or(0, |argument| self.integer(&argument)) as u64;
                let prefix = if spec.alternate && value != 0 { conversion } else { ' ' };
                let (prefix, digits) = match (conversion, prefix) {
                    ('u', _) => ("", value.to_string()),
                    ('o', 'o') => ("0", format!("{value:o}")),
                    ('o', _) => ("", format!("{value:o}")),
                    ('x', 'x') => ("0x", format!("{value:x}")),
                    ('x', _) => ("", format!("{value:x}")),
                    (_, 'X') => ("0X", format!("{value:X}")),
                    _ => ("", format!("{value:X}")),
                };
                number(&mut self.printed.bytes, digits, prefix, spec);
            }
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                let value = self.argument().map_or(0.0, |argument| self.float(&argument));
                let digits = float(value.abs(), conversion, spec.precision.unwrap_or(6));
                let spec = Spec { precision: None, ..*spec };
                number(
                    &mut self.printed.bytes,
                    digits,
                    sign(value.is_sign_negative(), &spec),
                    &spec,
                );
            }
            _ => {
                self.printed.errors.push(format!("{text}: invalid format"));
                return false;
            }
        }
        true
    }

    fn integer(&mut self, argument: &str) -> i64 {
        let text = argument.trim_start();
        if let Some(c) = text.strip_prefix(['"', '\'']).and_then(|rest| rest.chars().next()) {
            return i64::from(u32::from(c));
        }
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let parsed =
            if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
                u64::from_str_radix(hex, 16)
            } else if digits.len() > 1 && digits.starts_with('0') {
                u64::from_str_radix(digits, 8)
            } else {
                digits.parse()
            };
        match parsed {
            Ok(value) if negative => (value as i64).wrapping_neg(),
            Ok(value) => value as i64,
            Err(_) if argument.is_empty() => 0,
            Err(_) => {
                self.printed.errors.push(format!("invalid number '{argument}'"));
                0
            }
        }
    }

    fn float(&mut self, argument: &str) -> f64 {
        argument.trim().parse().unwrap_or_else(|_| {
            if !argument.is_empty() {
                self.printed.errors.push(format!("invalid number '{argument}'"));
            }
            0.0
        })
    }
}

/// `%q`: as one word of a script, with backslashes as bash has it.
fn shell_quoted(text: &str) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    if text.contains(|c: char| c.is_control()) {
        let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
        return format!("$'{}'", escaped.replace('\n', "\\n").replace('\t', "\\t"));
    }
    let plain = |c: char| c.is_alphanumeric() || "_-+:./%@=,".contains(c) || !c.is_ascii();
    text.chars().flat_map(|c| [(!plain(c)).then_some('\\'), Some(c)]).flatten().collect()
}

fn prefix(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn number(out: &mut Vec<u8>, digits: String, prefix: &str, spec: &Spec) {
    let zeros = spec.precision.map_or(0, |precision| precision.saturating_sub(digits.len()));
    let text = format!("{prefix}{}{digits}", "0".repeat(zeros));
    if spec.zero && !spec.left && spec.precision.is_none() {
        let zeros = spec.width.saturating_sub(text.len());
        out.extend_from_slice(format!("{prefix}{}{digits}", "0".repeat(zeros)).as_bytes());
    } else {
        pad(out, text.as_bytes(), spec);
    }
}

fn pad(out: &mut Vec<u8>, text: &[u8], spec: &Spec) {
    let width = String::from_utf8_lossy(text).chars().count();
    let blanks = vec![b' '; spec.width.saturating_sub(width)];
    let (before, after) = if spec.left { (&[][..], &blanks[..]) } else { (&blanks[..], &[][..]) };
    out.extend([before, text, after].concat());
}

fn float(value: f64, conversion: char, precision: usize) -> String {
    if !value.is_finite() {
        let text = if value.is_nan() { "nan" } else { "inf" };
        return if conversion.is_uppercase() { text.to_uppercase() } else { text.to_owned() };
    }
    let text = match conversion.to_ascii_lowercase() {
        'f' => format!("{value:.precision$}"),
        'e' => exponential(value, precision),
        _ => general(value, precision.max(1)),
    };
    if conversion.is_uppercase() { text.to_uppercase() } else { text }
}

/// C's `%e`: at least two digits of exponent.
fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// C's `%g`: the shorter of the two, without trailing zeros.
fn general(value: f64, precision: usize) -> String {
    let text = exponential(value, precision - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        let trimmed = text.trim_end_matches('0').trim_end_matches('.');
        if text.contains('.') { trimmed.to_owned() } else { text.to_owned() }
    };
    if exponent < -4 || exponent >= precision as i32 {
        return format!("{}{}", trim(mantissa), &text[mantissa.len()..]);
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{value:.decimals$}"))
}

/// The bytes of a text with C's escapes, `\NNN` octal; false if `\c` ended it.
pub fn unescape(text: &str) -> (Vec<u8>, bool) {
    unescape_with(text, false)
}

/// The same as `echo -e` and `%b` have it: octal is `\0NNN`.
pub fn unescape_octal(text: &str) -> (Vec<u8>, bool) {
    unescape_with(text, true)
}

fn unescape_with(text: &str, zero: bool) -> (Vec<u8>, bool) {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (escaped, length, go_on) = escape(&rest[at..], zero);
        bytes.extend(escaped);
        if !go_on {
            return (bytes, false);
        }
        rest = &rest[at + length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    (bytes, true)
}

/// The escape that a text begins with: its bytes, its length, and whether to go on.
fn escape(text: &str, zero: bool) -> (Vec<u8>, usize, bool) {
    let bytes = text.as_bytes();
    let simple = |byte| (vec![byte], 2, true);
    let digits = |from: usize, max: usize, base: u32| {
        let digit = |b: &&u8| char::from(**b).is_digit(base);
        bytes[from.min(bytes.len())..].iter().take(max).take_while(digit).count()
    };
    let value = |from: usize, length: usize, base| {
        u32::from_str_radix(&text[from..from + length], base).unwrap_or(0)
    };
    match bytes.get(1) {
        Some(b'a') => simple(7),
        Some(b'b') => simple(8),
        Some(b'e' | b'E') => simple(27),
        Some(b'f') => simple(12),
        Some(b'n') => simple(b'\n'),
        Some(b'r') => simple(b'\r'),
        Some(b't') => simple(b'\t'),
        Some(b'v') => simple(11),
        Some(b'\\') => simple(b'\\'),
        Some(b'"') if !zero => simple(b'"'),
        Some(b'c') => (Vec::new(), 2, false),
        Some(b'x') if digits(2, 2, 16) > 0 => {
            let length = digits(2, 2, 16);
            (vec![value(2, length, 16) as u8], 2 + length, true)
        }
        Some(b'u') if digits(2, 4, 16) > 0 => {
            let length = digits(2, 4, 16);
            let c = char::from_u32(value(2, length, 16)).unwrap_or(char::REPLACEMENT_CHARACTER);
            (c.to_string().into_bytes(), 2 + length, true)
        }
        Some(b'0') if zero => {
            let length = digits(2, 3, 8);
            (vec![value(2, length, 8) as u8], 2 + length, true)
        }
        Some(b'0'..=b'7') => {
            let length = digits(1, 3, 8);
            (vec![value(1, length, 8) as u8], 1 + length, true)
        }
        _ => (vec![b'\\'], 1, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, arguments: &[&str], expect: &str) {
        let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let printed = printf(format, &arguments);
        assert_eq!(String::from_utf8_lossy(&printed.bytes), expect, "{format:?}");
    }

    #[test]
    fn directives_are_cs() {
        check("%s-%5s-%-5s|", &["a", "b", "c"], "a-    b-c    |");
        check(
            "%d %05d %+d %x %X %o %#x",
            &["7", "-42", "3", "255", "255", "8", "16"],
            "7 -0042 +3 ff FF 10 0x10",
        );
        check(
            "%.2f %e %g %g",
            &["3.14159", "12345.678", "0.5", "1e10"],
            "3.14 1.234568e+04 0.5 1e+10",
        );
        check("%c%c", &["xyz", "w"], "xw");
        check("%*d", &["4", "7"], "   7");
        check("%.3s", &["abcdef"], "abc");
        check("%%|%5.3d", &["7"], "%|  007");
        check("%d", &["'A"], "65");
    }

    #[test]
    fn the_format_is_used_again() {
        check("%s\\n", &["a", "b"], "a\nb\n");
        check("%s %s\\n", &["a", "b", "c"], "a b\nc \n");
        check("x", &["a", "b"], "x");
    }

    #[test]
    fn escapes() {
        check("\\t\\101\\x41\\\\", &[], "\tAA\\");
        check("%b|", &["a\\tb\\0101"], "a\tbA|");
        check("a%bz", &["b\\cd"], "ab");
        assert_eq!(unescape_octal("a\\nb\\q"), (b"a\nb\\q".to_vec(), true));
    }

    #[test]
    fn a_bad_number_is_zero_and_an_error() {
        let printed = printf("%d", &["x".to_owned()]);
        assert_eq!(printed.errors, ["invalid number 'x'"]);
        assert_eq!(printed.bytes, b"0");
    }
}

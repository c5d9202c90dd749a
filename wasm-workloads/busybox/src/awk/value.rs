//! Values: numbers, texts, and texts that look like numbers.

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

/// Bytes; mostly UTF-8, but nobody promises.
pub type Text = Rc<[u8]>;

#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Never assigned: both 0 and empty.
    #[default]
    Unset,
    Number(f64),
    Text(Text),
    /// Input that looks like a number is compared as one.
    Numeric(Text, f64),
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(holds: bool) -> Self {
        Self::Number(f64::from(u8::from(holds)))
    }
}

impl From<&[u8]> for Value {
    fn from(text: &[u8]) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes().into())
    }
}

impl Value {
    /// What comes from outside: fields, `getline`, `-v`, `ENVIRON`, `ARGV`.
    pub fn input(text: &[u8]) -> Self {
        let text: Text = text.into();
        match looks_numeric(&text) {
            Some(number) => Self::Numeric(text, number),
            None => Self::Text(text),
        }
    }

    pub fn number(&self) -> f64 {
        match self {
            Self::Unset => 0.0,
            Self::Number(number) | Self::Numeric(_, number) => *number,
            Self::Text(text) => leading_number(text).0,
        }
    }

    /// As text; a number that is no whole one as `format` (CONVFMT or OFMT) says.
    pub fn text(&self, format: &str) -> Text {
        match self {
            Self::Unset => Text::from(&b""[..]),
            Self::Number(number) => number_text(*number, format).as_bytes().into(),
            Self::Text(text) | Self::Numeric(text, _) => Rc::clone(text),
        }
    }

    pub fn holds(&self) -> bool {
        match self {
            Self::Unset => false,
            Self::Number(number) | Self::Numeric(_, number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
        }
    }

    /// Numbers with numbers by value, all else as text.
    pub fn compare(&self, other: &Self, format: &str) -> Option<Ordering> {
        if let (Self::Text(_), _) | (_, Self::Text(_)) = (self, other) {
            return Some(self.text(format).cmp(&other.text(format)));
        }
        self.number().partial_cmp(&other.number())
    }
}

pub fn number_text(number: f64, format: &str) -> Cow<'static, str> {
    // Whole numbers are written in full as far as integers go.
    if number == number.trunc() && number.abs() < 1e18 {
        return (number as i64).to_string().into();
    }
    if number.is_nan() {
        return if number.is_sign_negative() { "-nan".into() } else { "nan".into() };
    }
    let printed = sampan_sh::printf::printf(format, &[number.to_string()]);
    String::from_utf8_lossy(&printed.bytes).into_owned().into()
}

/// The number a text begins with, and how long it is with the blanks before it.
pub fn leading_number(text: &[u8]) -> (f64, usize) {
    let blanks = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = blanks + usize::from(matches!(text.get(blanks), Some(b'+' | b'-')));
    let whole = digits(end);
    end += whole;
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += usize::from(whole + fraction > 0) + fraction;
    }
    if whole + fraction == 0 {
        return (0.0, 0);
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        end += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    let number = str::from_utf8(&text[blanks..end]).ok().and_then(|text| text.parse().ok());
    (number.unwrap_or(0.0), end)
}

fn looks_numeric(text: &[u8]) -> Option<f64> {
    let last = text.trim_ascii().last()?;
    if !last.is_ascii_digit() && *last != b'.' {
        return None;
    }
    let (number, length) = leading_number(text);
    (length > 0 && text[length..].trim_ascii().is_empty()).then_some(number)
}

/// An associative array; it remembers in which order its elements came.
#[derive(Debug, Default)]
pub struct Array {
    elements: HashMap<Text, (u64, Value)>,
    came: u64,
}

pub type SharedArray = Rc<RefCell<Array>>;

impl Array {
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    pub fn holds(&self, key: &[u8]) -> bool {
        self.elements.contains_key(key)
    }

    /// The element, which is made if it is not there.
    pub fn get(&mut self, key: Text) -> &mut Value {
        let came = self.came;
        self.came += 1;
        &mut self.elements.entry(key).or_insert((came, Value::Unset)).1
    }

    pub fn remove(&mut self, key: &[u8]) {
        self.elements.remove(key);
    }

    pub fn clear(&mut self) {
        self.elements.clear();
    }

    pub fn keys(&self) -> Vec<Text> {
        let mut keys: Vec<_> =
            self.elements.iter().map(|(key, (came, _))| (*came, Rc::clone(key))).collect();
        keys.sort_unstable_by_key(|(came, _)| *came);
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

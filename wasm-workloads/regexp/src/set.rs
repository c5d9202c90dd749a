//! Sets of characters: what a bracket expression names.

use crate::parse::Cursor;

/// A set of characters.
#[derive(Debug, Clone, Default)]
pub struct Set {
    /// Those below 128, a bit each.
    ascii: u128,
    ranges: Vec<(char, char)>,
    /// Classes, for what is not ASCII.
    classes: Vec<Test>,
    negated: bool,
}

type Test = fn(char) -> bool;

const CLASSES: &[(&str, Test)] = &[
    ("alpha", char::is_alphabetic),
    ("digit", |c| c.is_ascii_digit()),
    ("alnum", char::is_alphanumeric),
    ("upper", char::is_uppercase),
    ("lower", char::is_lowercase),
    ("space", |c| c.is_whitespace() || c == '\x0b'),
    ("blank", |c| c == ' ' || c == '\t'),
    ("punct", |c| c.is_ascii_punctuation()),
    ("cntrl", char::is_control),
    ("print", |c| !c.is_control()),
    ("graph", |c| !c.is_control() && !c.is_whitespace()),
    ("xdigit", |c| c.is_ascii_hexdigit()),
];

impl Set {
    pub fn class(name: &str) -> Option<Self> {
        let mut set = Self::default();
        set.add_class(name).then_some(set)
    }

    /// `\w`: what a word is made of.
    pub fn word() -> Self {
        let mut set = Self::class("alnum").unwrap_or_default();
        set.add('_', '_');
        set
    }

    pub fn one(c: char) -> Self {
        let mut set = Self::default();
        set.add(c, c);
        set
    }

    pub fn negate(mut self) -> Self {
        self.negated = !self.negated;
        self
    }

    fn add(&mut self, first: char, last: char) {
        (first..=last).take_while(char::is_ascii).for_each(|c| self.ascii |= 1 << u32::from(c));
        if !last.is_ascii() {
            self.ranges.push((first, last));
        }
    }

    fn add_class(&mut self, name: &str) -> bool {
        let known = CLASSES.iter().find(|(known, _)| *known == name);
        if let Some((_, test)) = known {
            (0..128_u8).filter(|byte| test(char::from(*byte))).for_each(|b| self.ascii |= 1 << b);
            self.classes.push(*test);
        }
        known.is_some()
    }

    /// With each letter's other case.
    pub fn fold(&mut self) {
        for byte in 0..128_u8 {
            let other = if byte.is_ascii_uppercase() {
                byte.to_ascii_lowercase()
            } else {
                byte.to_ascii_uppercase()
            };
            if self.ascii >> byte & 1 == 1 {
                self.ascii |= 1 << other;
            }
        }
        let others: Vec<_> = self.ranges.iter().flat_map(|range| other_cases(*range)).collect();
        others.into_iter().for_each(|c| self.add(c, c));
    }

    /// Whether it holds this character; `None` is a byte that is none.
    pub fn holds(&self, c: Option<char>) -> bool {
        let found = match c {
            Some(c) if c.is_ascii() => self.ascii >> u32::from(c) & 1 == 1,
            Some(c) => {
                self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&c))
                    || self.classes.iter().any(|test| test(c))
            }
            None => false,
        };
        found != self.negated
    }

    /// `[…]`, whose opening bracket is read.
    ///
    /// # Errors
    /// As the C library words them.
    pub fn bracket(cursor: &mut Cursor<'_>, escapes: bool) -> Result<Self, &'static str> {
        let mut set = Self::default();
        let negated = cursor.eat("^");
        let mut first = true;
        loop {
            if !first && cursor.eat("]") {
                return Ok(if negated { set.negate() } else { set });
            }
            first = false;
            if cursor.eat("[:") {
                let name = cursor.until(":]").ok_or(UNMATCHED)?;
                if !set.add_class(name) {
                    return Err("Invalid character class name");
                }
                continue;
            }
            let low = element(cursor, escapes)?;
            let is_range = cursor.rest.starts_with('-') && !cursor.rest.starts_with("-]");
            let high = if is_range {
                cursor.eat("-");
                element(cursor, escapes)?
            } else {
                low
            };
            if low > high {
                return Err("Invalid range end");
            }
            set.add(low, high);
        }
    }
}

const UNMATCHED: &str = "Unmatched [, [^, [:, [., or [=";

/// One character of a bracket expression.
fn element(cursor: &mut Cursor<'_>, escapes: bool) -> Result<char, &'static str> {
    for (open, close) in [("[.", ".]"), ("[=", "=]")] {
        if cursor.eat(open) {
            let name = cursor.until(close).ok_or(UNMATCHED)?;
            let mut chars = name.chars();
            return match (chars.next(), chars.next()) {
                (Some(c), None) => Ok(c),
                _ => Err("Invalid collation character"),
            };
        }
    }
    match cursor.next().ok_or(UNMATCHED)? {
        '\\' if escapes => Ok(match cursor.next().ok_or(UNMATCHED)? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\x0c',
            'v' => '\x0b',
            c => c,
        }),
        c => Ok(c),
    }
}

/// The other cases of a small range; of a large one its class speaks.
fn other_cases((first, last): (char, char)) -> Vec<char> {
    (first..=last).take(1024).flat_map(|c| c.to_lowercase().chain(c.to_uppercase())).collect()
}

//! Commands of normal mode out of the keys typed.

use crate::screen::Key;

/// A whole command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    pub register: Option<char>,
    /// At least 1.
    pub count: Option<usize>,
    pub verb: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Move(Motion),
    /// `d`, `c`, `y`, `<` or `>` over something.
    Operate(char, Over),
    /// A command of one key, and the character it takes, if it does.
    Simple(char, char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Whole lines: the operator typed twice.
    Lines,
    Motion(Motion),
    /// `iw`, `a"` and so on.
    Object {
        around: bool,
        of: char,
    },
}

/// A key that moves the cursor (`g` for `gg`), and the character it takes, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Motion {
    pub key: char,
    pub argument: char,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a command.
    More,
    /// No command.
    Nothing,
    Done(Command),
}

/// Bound: more than any text has lines; a longer number is cut.
const COUNT_MAX: usize = 999_999;

/// Motions of one key.
const MOTIONS: &str = "hjklwbeWBE0^$G+-_|nN;,%{}HML/?*#\x06\x02\x04\x15";
const OPERATORS: &str = "dcy<>";
/// Commands of one key that move nothing and operate on nothing.
const SIMPLE: &str = "iaIAoOJupPR~.:\x12\x0c\x07\x05\x19";

/// The letter that a key stands for in normal mode.
pub fn letter(key: Key) -> Option<char> {
    Some(match key {
        Key::Char(' ') | Key::Right => 'l',
        Key::Char(c) => c,
        Key::Left | Key::Backspace => 'h',
        Key::Down => 'j',
        Key::Up => 'k',
        Key::Home => '0',
        Key::End => '$',
        Key::Enter => '+',
        Key::PageDown => '\x06',
        Key::PageUp => '\x02',
        Key::Insert => 'i',
        Key::Delete => 'x',
        Key::Control('n') => 'j',
        Key::Control('p') => 'k',
        Key::Control(c) => char::from(c as u8 & 0x1f),
        Key::Tab => '\t',
        Key::Escape | Key::Unknown => return None,
    })
}

/// Whether the next key is taken as the character it writes, as after `f` and `r`.
pub fn awaits_character(typed: &[char]) -> bool {
    let rest = match typed {
        ['"'] => return true,
        ['"', _, rest @ ..] => rest,
        rest => rest,
    };
    match number(rest).1 {
        [operator, rest @ ..] if OPERATORS.contains(*operator) => {
            matches!(number(rest).1, ['f' | 'F' | 't' | 'T' | '\'' | '`' | 'i' | 'a'])
        }
        rest => matches!(rest, ['f' | 'F' | 't' | 'T' | '\'' | '`' | 'r' | 'm']),
    }
}

pub fn parse(typed: &[char]) -> Parsed {
    let (register, rest) = match typed {
        ['"'] => return Parsed::More,
        ['"', name, rest @ ..] => (Some(*name), rest),
        rest => (None, rest),
    };
    let (count, rest) = number(rest);
    let (verb, inner) = match rest {
        [] => return Parsed::More,
        [operator, rest @ ..] if OPERATORS.contains(*operator) => {
            let (inner, rest) = number(rest);
            (over(*operator, rest), inner)
        }
        rest => (plain(rest), None),
    };
    let count = match (count, inner) {
        (Some(count), Some(inner)) => Some((count * inner).min(COUNT_MAX)),
        (count, inner) => count.or(inner),
    };
    match verb {
        Ok(verb) => Parsed::Done(Command { register, count, verb }),
        Err(parsed) => parsed,
    }
}

/// A zero first is a motion.
fn number(text: &[char]) -> (Option<usize>, &[char]) {
    if !text.first().is_some_and(|c| ('1'..='9').contains(c)) {
        return (None, text);
    }
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let value = text[..digits].iter().fold(0, |value: usize, digit| {
        let digit = digit.to_digit(10).unwrap_or(0) as usize;
        (value * 10 + digit).min(COUNT_MAX)
    });
    (Some(value), &text[digits..])
}

fn over(operator: char, rest: &[char]) -> Result<Verb, Parsed> {
    let over = match rest {
        [] | ['i' | 'a'] => return Err(Parsed::More),
        [key, ..] if *key == operator => Over::Lines,
        [kind @ ('i' | 'a'), of, ..] => Over::Object { around: *kind == 'a', of: *of },
        rest => Over::Motion(motion(rest)?),
    };
    Ok(Verb::Operate(operator, over))
}

fn motion(keys: &[char]) -> Result<Motion, Parsed> {
    let plain = |key| Ok(Motion { key, argument: '\0' });
    match keys {
        [] | ['f' | 'F' | 't' | 'T' | 'g' | '\'' | '`'] => Err(Parsed::More),
        [key @ ('f' | 'F' | 't' | 'T' | '\'' | '`'), argument, ..] => {
            Ok(Motion { key: *key, argument: *argument })
        }
        ['g', 'g', ..] => plain('g'),
        [key, ..] if MOTIONS.contains(*key) => plain(*key),
        _ => Err(Parsed::Nothing),
    }
}

fn plain(keys: &[char]) -> Result<Verb, Parsed> {
    let short =
        |operator, key| Ok(Verb::Operate(operator, Over::Motion(Motion { key, argument: '\0' })));
    match keys {
        ['x', ..] => short('d', 'l'),
        ['X', ..] => short('d', 'h'),
        ['D', ..] => short('d', '$'),
        ['C', ..] => short('c', '$'),
        ['s', ..] => short('c', 'l'),
        ['S', ..] => Ok(Verb::Operate('c', Over::Lines)),
        ['Y', ..] => Ok(Verb::Operate('y', Over::Lines)),
        ['r' | 'm' | 'z' | 'Z'] => Err(Parsed::More),
        [key @ ('r' | 'm' | 'z' | 'Z'), argument, ..] => Ok(Verb::Simple(*key, *argument)),
        [key, ..] if SIMPLE.contains(*key) => Ok(Verb::Simple(*key, '\0')),
        keys => motion(keys).map(Verb::Move),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, count: Option<usize>, verb: Verb) {
        let typed: Vec<char> = typed.chars().collect();
        for end in 1..typed.len() {
            assert_eq!(parse(&typed[..end]), Parsed::More, "{:?}", &typed[..end]);
        }
        match parse(&typed) {
            Parsed::Done(command) => assert_eq!((command.count, command.verb), (count, verb)),
            other => panic!("{typed:?}: {other:?}"),
        }
    }

    #[test]
    fn commands_end_where_they_are_whole() {
        let plain = |key| Motion { key, argument: '\0' };
        check("12j", Some(12), Verb::Move(plain('j')));
        check("0", None, Verb::Move(plain('0')));
        check("2d3w", Some(6), Verb::Operate('d', Over::Motion(plain('w'))));
        check("\"add", None, Verb::Operate('d', Over::Lines));
        check("dt)", None, Verb::Operate('d', Over::Motion(Motion { key: 't', argument: ')' })));
        check("ci\"", None, Verb::Operate('c', Over::Object { around: false, of: '"' }));
        check("ygg", None, Verb::Operate('y', Over::Motion(plain('g'))));
        check("3rx", Some(3), Verb::Simple('r', 'x'));
        check("ZZ", None, Verb::Simple('Z', 'Z'));
    }

    #[test]
    fn other_keys_are_none() {
        for typed in ["q", "dq", "gx", "\x01"] {
            assert_eq!(parse(&typed.chars().collect::<Vec<_>>()), Parsed::Nothing, "{typed}");
        }
    }
}

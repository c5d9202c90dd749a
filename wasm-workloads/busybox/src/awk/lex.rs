//! Reads words, numbers, texts and signs of a program.

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Number(f64),
    Text(Vec<u8>),
    Regexp(String),
    Name(String),
    /// A name right before a parenthesis.
    Call(String),
    /// `if`, `function`, … and the built-in functions.
    Word(&'static str),
    Sign(&'static str),
    NewLine,
    End,
}

const WORDS: &[&str] = &[
    "BEGIN", "END", "break", "continue", "delete", "do", "else", "exit", "for", "function",
    "getline", "if", "in", "next", "nextfile", "print", "printf", "return", "while", "switch",
    "case", "default",
];

pub const FUNCTIONS: &[&str] = &[
    "and", "atan2", "close", "compl", "cos", "exp", "fflush", "gensub", "gsub", "index", "int",
    "length", "log", "lshift", "match", "mktime", "or", "rand", "rshift", "sin", "split",
    "sprintf", "sqrt", "srand", "strftime", "sub", "substr", "system", "systime", "tolower",
    "toupper", "xor",
];

/// Longest first.
const SIGNS: &[&str] = &[
    "**=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "==", "<=", ">=", "!=",
    ">>", "**", "!~", "{", "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!",
    ">", "<", "|", "?", ":", "~", "$", "=",
];

/// All tokens, each with its line.
///
/// # Errors
/// What is wrong, with its line.
pub fn lex(source: &str) -> Result<Vec<(Token, u32)>, String> {
    let mut lexer = Lexer { rest: source, line: 1, tokens: Vec::new() };
    while lexer.one().map_err(|why| format!("line {}: {why}", lexer.line))? {}
    lexer.tokens.push((Token::End, lexer.line));
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    tokens: Vec<(Token, u32)>,
}

impl<'a> Lexer<'a> {
    fn push(&mut self, token: Token, length: usize) {
        self.tokens.push((token, self.line));
        self.rest = &self.rest[length..];
    }

    fn one(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        let Some(c) = self.rest.chars().next() else { return Ok(false) };
        match c {
            '\n' => {
                self.push(Token::NewLine, 1);
                self.line += 1;
            }
            '\\' if self.rest.starts_with("\\\n") || self.rest.starts_with("\\\r\n") => {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
                self.line += 1;
            }
            '#' => self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..],
            '"' => self.text()?,
            '/' if self.begins_regexp() => self.regexp()?,
            c if c.is_ascii_digit() || c == '.' => self.number()?,
            c if c.is_ascii_alphabetic() || c == '_' => self.name(),
            _ => self.sign()?,
        }
        Ok(true)
    }

    /// Whether a slash here cannot be a division.
    fn begins_regexp(&self) -> bool {
        !matches!(
            self.tokens.last(),
            Some((
                Token::Number(_)
                    | Token::Text(_)
                    | Token::Regexp(_)
                    | Token::Name(_)
                    | Token::Sign(")" | "]" | "$" | "++" | "--")
                    | Token::Word("length"),
                _
            ))
        )
    }

    fn number(&mut self) -> Result<(), String> {
        let hex = self.rest.strip_prefix("0x").or_else(|| self.rest.strip_prefix("0X"));
        let digits = hex.map_or(0, |hex| hex.bytes().take_while(u8::is_ascii_hexdigit).count());
        if let Some(hex) = hex.filter(|_| digits > 0) {
            let number = u64::from_str_radix(&hex[..digits], 16).unwrap_or(u64::MAX);
            self.push(Token::Number(number as f64), 2 + digits);
            return Ok(());
        }
        let (number, length) = super::value::leading_number(self.rest.as_bytes());
        if length == 0 {
            return Err("syntax error at '.'".to_owned());
        }
        self.push(Token::Number(number), length);
        Ok(())
    }

    fn name(&mut self) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let name = if &self.rest[..length] == "func" { "function" } else { &self.rest[..length] };
        let known = WORDS.iter().chain(FUNCTIONS).find(|known| **known == name);
        let token = match known {
            Some(word) => Token::Word(word),
            None if self.rest[length..].starts_with('(') => Token::Call(name.to_owned()),
            None => Token::Name(name.to_owned()),
        };
        self.push(token, length);
    }

    fn sign(&mut self) -> Result<(), String> {
        let sign = SIGNS.iter().find(|sign| self.rest.starts_with(**sign));
        let sign = sign.ok_or_else(|| {
            format!("unexpected character '{}'", self.rest.chars().next().unwrap_or_default())
        })?;
        let meaning = match *sign {
            "**" => "^",
            "**=" => "^=",
            sign => sign,
        };
        self.push(Token::Sign(meaning), sign.len());
        Ok(())
    }

    fn text(&mut self) -> Result<(), String> {
        let mut end = 1;
        loop {
            match self.rest.as_bytes().get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.line += u32::from(self.rest.as_bytes().get(end + 1) == Some(&b'\n'));
                    end += 2;
                }
                Some(b'\n') | None => return Err("unterminated string".to_owned()),
                Some(_) => end += 1,
            }
        }
        let text = unescape(&self.rest[1..end]);
        self.push(Token::Text(text), end + 1);
        Ok(())
    }

    fn regexp(&mut self) -> Result<(), String> {
        let mut chars = self.rest.char_indices().skip(1);
        let (mut text, mut bracket) = (String::new(), false);
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => break,
                '/' if !bracket => {
                    self.push(Token::Regexp(text), at + 1);
                    return Ok(());
                }
                '\\' => match chars.next() {
                    Some((_, '/')) => text.push('/'),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                '[' if !bracket => {
                    bracket = self.rest[at..].contains(']');
                    text.push(c);
                    // A closing bracket that comes first is a character.
                    let inner = &self.rest[at + 1..];
                    let first = if inner.starts_with("^]") {
                        2
                    } else {
                        usize::from(inner.starts_with(']'))
                    };
                    for _ in 0..first {
                        text.extend(chars.next().map(|(_, c)| c));
                    }
                }
                ']' => {
                    bracket = false;
                    text.push(c);
                }
                c => text.push(c),
            }
        }
        Err("unterminated regex".to_owned())
    }
}

/// The escapes of a text; what is none keeps its backslash, as a regular expression may need it.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((escape, after)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = after;
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'\\' => out.push(b'\\'),
            b'"' => out.push(b'"'),
            b'/' => out.push(b'/'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'\n' => {}
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                for _ in 0..2 {
                    let Some((digit @ b'0'..=b'7', after)) = rest.split_first() else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    rest = after;
                }
                out.push(value as u8);
            }
            other => out.extend([b'\\', *other]),
        }
    }
    out
}

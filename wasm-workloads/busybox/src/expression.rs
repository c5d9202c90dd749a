//! `expr`.

use sampan_regexp::{Captures, Regexp, Syntax};

use crate::call::{Call, Done, print};

pub fn expr(call: &Call) -> Done {
    let mut parser = Parser { rest: call.arguments(), depth: 0 };
    let value = match parser.or() {
        Ok(_) if !parser.rest.is_empty() => Err("syntax error".to_owned()),
        value => value,
    };
    match value {
        Ok(value) => {
            print(format!("{value}\n"))?;
            Ok(u8::from(value.is_empty() || value == "0"))
        }
        Err(message) => {
            call.complain(&message);
            Ok(2)
        }
    }
}

struct Parser<'a> {
    rest: &'a [String],
    depth: u32,
}

type Value = Result<String, String>;

/// Parentheses in parentheses.
const DEPTH_MAX: u32 = 100;

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn eat(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        let first = self.rest.first()?;
        let found = operators.iter().find(|operator| *operator == first)?;
        self.rest = &self.rest[1..];
        Some(found)
    }

    fn or(&mut self) -> Value {
        let mut left = self.and()?;
        while self.eat(&["|"]).is_some() {
            let right = self.and()?;
            left = match (is_null(&left), is_null(&right)) {
                (false, _) => left,
                (true, false) => right,
                _ => "0".to_owned(),
            };
        }
        Ok(left)
    }

    fn and(&mut self) -> Value {
        let mut left = self.comparison()?;
        while self.eat(&["&"]).is_some() {
            let right = self.comparison()?;
            left = if is_null(&left) || is_null(&right) { "0".to_owned() } else { left };
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Value {
        let mut left = self.sum()?;
        while let Some(operator) = self.eat(&["=", "==", "!=", "<", "<=", ">", ">="]) {
            let right = self.sum()?;
            let order = match (left.parse::<i64>(), right.parse::<i64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                _ => left.cmp(&right),
            };
            let holds = match operator {
                "=" | "==" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            };
            left = i32::from(holds).to_string();
        }
        Ok(left)
    }

    fn sum(&mut self) -> Value {
        let mut left = self.product()?;
        while let Some(operator) = self.eat(&["+", "-"]) {
            let (a, b) = (number(&left)?, number(&self.product()?)?);
            left = if operator == "+" { a.wrapping_add(b) } else { a.wrapping_sub(b) }.to_string();
        }
        Ok(left)
    }

    fn product(&mut self) -> Value {
        let mut left = self.matching()?;
        while let Some(operator) = self.eat(&["*", "/", "%"]) {
            let (a, b) = (number(&left)?, number(&self.matching()?)?);
            left = match operator {
                "*" => a.wrapping_mul(b),
                _ if b == 0 => return Err("division by zero".to_owned()),
                "/" => a.wrapping_div(b),
                _ => a.wrapping_rem(b),
            }
            .to_string();
        }
        Ok(left)
    }

    fn matching(&mut self) -> Value {
        let mut left = self.primary()?;
        while self.eat(&[":"]).is_some() {
            let pattern = self.primary()?;
            left = matched(&left, &pattern)?;
        }
        Ok(left)
    }

    fn operand(&mut self) -> Value {
        self.next().map(str::to_owned).ok_or_else(|| "syntax error".to_owned())
    }

    fn primary(&mut self) -> Value {
        let word = self.next().ok_or("syntax error")?;
        match word {
            "(" if self.depth < DEPTH_MAX => {
                self.depth += 1;
                let value = self.or()?;
                self.depth -= 1;
                self.eat(&[")"]).map(|_| value).ok_or_else(|| "syntax error".to_owned())
            }
            "length" if !self.rest.is_empty() => {
                self.operand().map(|text| text.chars().count().to_string())
            }
            "match" if self.rest.len() >= 2 => {
                let text = self.operand()?;
                matched(&text, &self.operand()?)
            }
            "index" if self.rest.len() >= 2 => {
                let (text, set) = (self.operand()?, self.operand()?);
                Ok(text.chars().position(|c| set.contains(c)).map_or(0, |at| at + 1).to_string())
            }
            "substr" if self.rest.len() >= 3 => {
                let (text, from, length) = (self.operand()?, self.operand()?, self.operand()?);
                let numbers = from.parse::<usize>().ok().zip(length.parse::<usize>().ok());
                let (from, length) = numbers.filter(|(from, _)| *from > 0).unwrap_or((1, 0));
                Ok(text.chars().skip(from - 1).take(length).collect())
            }
            "+" if !self.rest.is_empty() => self.operand(),
            word => Ok(word.to_owned()),
        }
    }
}

/// The first group of a match at the beginning, or how long the match is.
fn matched(text: &str, pattern: &str) -> Value {
    let pattern = format!("^{}", pattern.trim_start_matches('^'));
    let regexp = Regexp::new(&pattern, Syntax::default())?;
    let mut captures = Captures::default();
    let found = regexp.find_at(text.as_bytes(), 0, &mut captures).map_err(|err| err.to_string())?;
    let piece = |group| captures.get(group).map_or("", |(start, end)| &text[start..end]);
    Ok(match (found, regexp.groups() > 0) {
        (true, true) => piece(1).to_owned(),
        (true, false) => piece(0).chars().count().to_string(),
        (false, true) => String::new(),
        (false, false) => "0".to_owned(),
    })
}

fn is_null(text: &str) -> bool {
    text.is_empty() || text == "0"
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "non-numeric argument".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str, expect: Result<&str, &str>) {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let mut parser = Parser { rest: &words, depth: 0 };
        let got = parser.or();
        assert_eq!(got.as_ref().map(String::as_str).map_err(String::as_str), expect, "{words:?}");
    }

    #[test]
    fn values() {
        check("1 + 2 * 3", Ok("7"));
        check("( 1 + 2 ) * 3", Ok("9"));
        check("7 % 4", Ok("3"));
        check("a = a", Ok("1"));
        check("10 > 9", Ok("1"));
        check("abc < abd", Ok("1"));
        check("0 | x", Ok("x"));
        check("abc : a.", Ok("2"));
        check("abc : a\\(.\\)c", Ok("b"));
        check("length abc", Ok("3"));
        check("substr hello 2 3", Ok("ell"));
        check("index hello l", Ok("3"));
        check("1 / 0", Err("division by zero"));
        check("a + 1", Err("non-numeric argument"));
        check("1 +", Err("syntax error"));
    }
}

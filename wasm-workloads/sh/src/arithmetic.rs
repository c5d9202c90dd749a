//! `$((…))`: C's integers, 64 bits, wrapping.

/// What an expression reads and writes; an element of an array is `name[index]`.
pub trait Variables {
    /// The value of a variable, empty if unset.
    ///
    /// # Errors
    /// Unset under `set -u`.
    fn get(&mut self, name: &str) -> Result<String, String>;

    /// # Errors
    /// Read-only.
    fn set(&mut self, name: &str, value: String) -> Result<(), String>;
}

/// Variables whose value is an expression of variables, and parentheses.
const DEPTH_MAX: u32 = 64;

/// The value of an expression; an empty one is 0.
///
/// # Errors
/// In busybox's words.
pub fn evaluate(text: &str, variables: &mut dyn Variables) -> Result<i64, String> {
    evaluate_at(text, variables, 0)
}

fn evaluate_at(text: &str, variables: &mut dyn Variables, depth: u32) -> Result<i64, String> {
    if depth > DEPTH_MAX {
        return Err("expression recursion loop detected".to_owned());
    }
    let mut expression = Expression { rest: text, variables, depth, skipping: 0 };
    if expression.peek().is_none() {
        return Ok(0);
    }
    let value = expression.comma()?;
    if expression.peek().is_some() { Err(SYNTAX.to_owned()) } else { Ok(value) }
}

const SYNTAX: &str = "arithmetic syntax error";

struct Expression<'a> {
    rest: &'a str,
    variables: &'a mut dyn Variables,
    depth: u32,
    /// Above 0 in what `&&`, `||` and `?:` leave out: parsed, without effect.
    skipping: u32,
}

type Value = Result<i64, String>;

/// Binary operators by precedence, loosest first; longer ones before their beginnings.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

const ASSIGNMENTS: &[&str] = &["<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "="];

impl Expression<'_> {
    fn peek(&mut self) -> Option<char> {
        // Most often there is no space; this is asked at each level of precedence.
        if let Some(byte) = self.rest.bytes().next().filter(u8::is_ascii_graphic) {
            return Some(byte.into());
        }
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn comma(&mut self) -> Value {
        let mut value = self.assignment()?;
        while self.eat(",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn assignment(&mut self) -> Value {
        self.peek();
        let before = self.rest;
        if let Some(name) = self.name() {
            self.peek();
            let operator = ASSIGNMENTS.iter().find(|operator| self.rest.starts_with(**operator));
            if let Some(operator) = operator.filter(|_| !self.rest.starts_with("==")) {
                self.rest = &self.rest[operator.len()..];
                let right = self.assignment()?;
                let value = match operator.strip_suffix('=') {
                    Some(binary) if !binary.is_empty() => {
                        let left = self.variable(&name)?;
                        self.apply(binary, left, right)?
                    }
                    _ => right,
                };
                return self.assign(&name, value);
            }
        }
        self.rest = before;
        self.conditional()
    }

    fn conditional(&mut self) -> Value {
        let condition = self.binary(0)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let yes = self.skip_if(condition == 0, Self::comma)?;
        if !self.eat(":") {
            return Err(SYNTAX.to_owned());
        }
        let no = self.skip_if(condition != 0, Self::conditional)?;
        Ok(if condition != 0 { yes } else { no })
    }

    fn skip_if(&mut self, skip: bool, parse: impl FnOnce(&mut Self) -> Value) -> Value {
        self.skipping += u32::from(skip);
        let value = parse(self);
        self.skipping -= u32::from(skip);
        value
    }

    fn binary(&mut self, level: usize) -> Value {
        let Some(operators) = LEVELS.get(level) else { return self.power() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let decided = match operator {
                "&&" => left == 0,
                "||" => left != 0,
                _ => false,
            };
            let right = self.skip_if(decided, |expression| expression.binary(level + 1))?;
            left = self.apply(operator, left, right)?;
        }
        Ok(left)
    }

    /// The operator that stands here, unless it begins a longer one.
    fn operator(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        self.peek()?;
        let operator = operators.iter().find(|operator| self.rest.starts_with(**operator))?;
        let after = &self.rest[operator.len()..];
        let longer = match *operator {
            "|" | "&" => after.starts_with(['=']) || after.starts_with(*operator),
            "<" | ">" => after.starts_with(*operator),
            "*" => after.starts_with(['=', '*']),
            "+" | "-" | "/" | "%" | "^" | "<<" | ">>" => after.starts_with('='),
            _ => false,
        };
        if longer {
            return None;
        }
        self.rest = after;
        Some(operator)
    }

    fn power(&mut self) -> Value {
        let base = self.unary()?;
        if !self.eat("**") {
            return Ok(base);
        }
        let exponent = self.power()?;
        if exponent < 0 && self.skipping == 0 {
            return Err("exponent less than 0".to_owned());
        }
        Ok(base.wrapping_pow(exponent.try_into().unwrap_or(u32::MAX)))
    }

    fn unary(&mut self) -> Value {
        self.depth += 1;
        if self.depth > 4 * DEPTH_MAX {
            return Err("expression recursion loop detected".to_owned());
        }
        let value = self.prefixed();
        self.depth -= 1;
        value
    }

    fn prefixed(&mut self) -> Value {
        for (token, by) in [("++", 1), ("--", -1)] {
            if self.eat(token) {
                let before = self.rest;
                self.peek();
                let Some(name) = self.name() else {
                    // `--5` is two signs.
                    self.rest = before;
                    return self.unary();
                };
                let value = self.variable(&name)?.wrapping_add(by);
                return self.assign(&name, value);
            }
        }
        match self.peek() {
            Some('-') => self.signed(i64::wrapping_neg),
            Some('+') => self.signed(|value| value),
            Some('!') => self.signed(|value| i64::from(value == 0)),
            Some('~') => self.signed(|value| !value),
            Some('(') => {
                self.rest = &self.rest[1..];
                let value = self.comma()?;
                if self.eat(")") { Ok(value) } else { Err(SYNTAX.to_owned()) }
            }
            Some(c) if c.is_ascii_digit() => self.number(),
            _ => self.postfixed(),
        }
    }

    fn signed(&mut self, apply: impl FnOnce(i64) -> i64) -> Value {
        self.rest = &self.rest[1..];
        self.unary().map(apply)
    }

    fn postfixed(&mut self) -> Value {
        let name = self.name().ok_or(SYNTAX)?;
        let value = self.variable(&name)?;
        for (token, by) in [("++", 1), ("--", -1)] {
            if self.eat(token) {
                self.assign(&name, value.wrapping_add(by))?;
            }
        }
        Ok(value)
    }

    fn name(&mut self) -> Option<String> {
        let first = self.peek()?;
        if !first.is_ascii_alphabetic() && first != '_' {
            return None;
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        self.element(name)
    }

    /// `name[index]` with the index worked out, or the name alone.
    fn element(&mut self, name: &str) -> Option<String> {
        let before = self.rest;
        if !self.eat("[") {
            return Some(name.to_owned());
        }
        match self.comma() {
            Ok(at) if self.eat("]") => Some(format!("{name}[{at}]")),
            _ => {
                self.rest = before;
                None
            }
        }
    }

    fn number(&mut self) -> Value {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '#');
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        number(text).ok_or_else(|| SYNTAX.to_owned())
    }

    /// A variable's value; one that is not a number is an expression itself.
    fn variable(&mut self, name: &str) -> Value {
        if self.skipping > 0 {
            return Ok(0);
        }
        let text = self.variables.get(name)?;
        let text = text.trim();
        let plain = text.strip_prefix('-').unwrap_or(text);
        match number(plain) {
            Some(value) if plain.len() < text.len() => Ok(value.wrapping_neg()),
            Some(value) => Ok(value),
            None => evaluate_at(text, self.variables, self.depth + 1),
        }
    }

    fn assign(&mut self, name: &str, value: i64) -> Value {
        if self.skipping == 0 {
            self.variables.set(name, value.to_string())?;
        }
        Ok(value)
    }

    fn apply(&self, operator: &str, left: i64, right: i64) -> Value {
        Ok(match operator {
            "||" => i64::from(left != 0 || right != 0),
            "&&" => i64::from(left != 0 && right != 0),
            "|" => left | right,
            "^" => left ^ right,
            "&" => left & right,
            "==" => i64::from(left == right),
            "!=" => i64::from(left != right),
            "<=" => i64::from(left <= right),
            ">=" => i64::from(left >= right),
            "<" => i64::from(left < right),
            ">" => i64::from(left > right),
            "<<" => left.wrapping_shl(right as u32),
            ">>" => left.wrapping_shr(right as u32),
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            _ if right == 0 && self.skipping > 0 => 0,
            _ if right == 0 => return Err("divide by zero".to_owned()),
            "/" => left.wrapping_div(right),
            _ => left.wrapping_rem(right),
        })
    }
}

/// Decimal, `0x…`, `0…` (octal) or `base#digits`.
fn number(text: &str) -> Option<i64> {
    let (digits, base) = if let Some((base, digits)) = text.split_once('#') {
        (digits, base.parse().ok().filter(|base| (2..=36).contains(base))?)
    } else if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        (hex, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        (&text[1..], 8)
    } else {
        (text, 10)
    };
    let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    // Too large a number wraps, as strtoull and a cast would have it.
    valid.then(|| {
        digits.chars().filter_map(|c| c.to_digit(base)).fold(0_i64, |value, digit| {
            value.wrapping_mul(i64::from(base)).wrapping_add(i64::from(digit))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    impl Variables for BTreeMap<String, String> {
        fn get(&mut self, name: &str) -> Result<String, String> {
            Ok(BTreeMap::get(self, name).cloned().unwrap_or_default())
        }

        fn set(&mut self, name: &str, value: String) -> Result<(), String> {
            self.insert(name.to_owned(), value);
            Ok(())
        }
    }

    fn check(text: &str, expect: Result<i64, &str>) {
        let mut variables = BTreeMap::from([("x", "5"), ("e", "x+1"), ("loop", "loop")])
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>();
        let got = evaluate(text, &mut variables);
        assert_eq!(
            got.as_ref().map_err(String::as_str),
            expect.as_ref().map_err(|err| *err),
            "{text}"
        );
    }

    #[test]
    fn precedence_is_cs() {
        check("1+2*3", Ok(7));
        check("(1+2)*3", Ok(9));
        check("10-3-2", Ok(5));
        check("1<<2+1", Ok(8));
        check("5&3|8^1", Ok(9));
        check("1 < 2 == 1", Ok(1));
        check("2**3**2", Ok(512));
        check("-2 + +3 - !0 - ~0", Ok(1));
        check("1 ? 2 : 0 ? 3 : 4", Ok(2));
        check("0 ? 2 : 1, 7", Ok(7));
        check("- -3", Ok(3));
        check("7%4 - 7/2", Ok(0));
        check("1&&0||1", Ok(1));
    }

    #[test]
    fn variables_and_assignment() {
        check("x", Ok(5));
        check("e*2", Ok(12));
        check("unset", Ok(0));
        check("x+=2, x", Ok(7));
        check("y=z=3, y+z", Ok(6));
        check("x++ + x", Ok(11));
        check("--x", Ok(4));
        check("x<<=1", Ok(10));
        check("x == 5", Ok(1));
        check("0 && (x=9), x", Ok(5));
        check("1 || 1/0", Ok(1));
    }

    #[test]
    fn numbers() {
        check("0x1F + 010 + 2#101", Ok(44));
        check("", Ok(0));
        check("9223372036854775807+1", Ok(i64::MIN));
    }

    #[test]
    fn faults_are_worded_as_busybox() {
        check("1/0", Err("divide by zero"));
        check("1+", Err("arithmetic syntax error"));
        check("1 2", Err("arithmetic syntax error"));
        check("(1", Err("arithmetic syntax error"));
        check("08", Err("arithmetic syntax error"));
        check("loop", Err("expression recursion loop detected"));
        check(&"(".repeat(10000), Err("expression recursion loop detected"));
    }
}

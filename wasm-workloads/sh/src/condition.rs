//! `test` and `[`: conditions on files, strings and numbers.

use std::fs;

/// Where names are looked up.
pub struct Files<'a> {
    /// What relative names are relative to; absolute.
    pub directory: &'a str,
    /// Whether a descriptor is a terminal.
    pub is_terminal: &'a dyn Fn(u32) -> bool,
}

/// Whether the condition holds.
///
/// # Errors
/// In busybox's words: it is none.
pub fn evaluate(arguments: &[String], files: &Files<'_>) -> Result<bool, String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Up to four arguments mean what POSIX says, whatever they look like.
    match arguments.as_slice() {
        [] => Ok(false),
        [one] => Ok(!one.is_empty()),
        ["!", rest @ ..] if rest.len() < 4 => evaluate_few(rest, files).map(|holds| !holds),
        few => evaluate_few(few, files),
    }
}

fn evaluate_few(arguments: &[&str], files: &Files<'_>) -> Result<bool, String> {
    match *arguments {
        [] => Ok(false),
        [one] => Ok(!one.is_empty()),
        [left, operator, right] if is_binary(operator) => binary(left, operator, right, files),
        ["(", one, ")"] => Ok(!one.is_empty()),
        _ => {
            let mut parser = Parser { rest: arguments, files, depth: 0 };
            let holds = parser.or()?;
            match parser.rest.first() {
                None => Ok(holds),
                Some(word) => Err(format!("{word}: unknown operand")),
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a [&'a str],
    files: &'a Files<'a>,
    depth: u32,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest.first() == Some(&token);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn or(&mut self) -> Result<bool, String> {
        let mut holds = self.and()?;
        while self.eat("-o") {
            holds |= self.and()?;
        }
        Ok(holds)
    }

    fn and(&mut self) -> Result<bool, String> {
        let mut holds = self.not()?;
        while self.eat("-a") {
            holds &= self.not()?;
        }
        Ok(holds)
    }

    fn not(&mut self) -> Result<bool, String> {
        let mut negated = false;
        while self.rest.len() > 1 && self.eat("!") {
            negated = !negated;
        }
        self.primary().map(|holds| holds != negated)
    }

    fn primary(&mut self) -> Result<bool, String> {
        match *self.rest {
            [left, operator, right, ..] if is_binary(operator) => {
                self.rest = &self.rest[3..];
                binary(left, operator, right, self.files)
            }
            ["(", ..] if self.rest.len() > 1 && self.depth < 100 => {
                self.rest = &self.rest[1..];
                self.depth += 1;
                let holds = self.or()?;
                self.depth -= 1;
                if self.eat(")") { Ok(holds) } else { Err("closing paren expected".to_owned()) }
            }
            [operator, operand, ..] if is_unary(operator) => {
                self.rest = &self.rest[2..];
                unary(operator, operand, self.files)
            }
            [_, operator] if is_binary(operator) => Err(format!("{operator}: argument expected")),
            [one, ..] => {
                self.rest = &self.rest[1..];
                Ok(!one.is_empty())
            }
            [] => Err("argument expected".to_owned()),
        }
    }
}

fn is_binary(operator: &str) -> bool {
    matches!(
        operator,
        "=" | "=="
            | "!="
            | "<"
            | ">"
            | "-eq"
            | "-ne"
            | "-lt"
            | "-le"
            | "-gt"
            | "-ge"
            | "-nt"
            | "-ot"
            | "-ef"
    )
}

fn is_unary(operator: &str) -> bool {
    let mut chars = operator.chars();
    chars.next() == Some('-')
        && chars.next().is_some_and(|c| "bcdefghkLnOpGrsStuwxz".contains(c))
        && chars.next().is_none()
}

pub(crate) fn binary(
    left: &str,
    operator: &str,
    right: &str,
    files: &Files<'_>,
) -> Result<bool, String> {
    let modified = |name: &str| {
        let metadata = fs::metadata(absolute(files.directory, name)).ok();
        metadata.and_then(|metadata| metadata.modified().ok())
    };
    Ok(match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "-nt" | "-ot" => match (modified(left), modified(right)) {
            (Some(left), Some(right)) => {
                if operator == "-nt" {
                    left > right
                } else {
                    left < right
                }
            }
            _ => false,
        },
        "-ef" => {
            let canonical = |name| fs::canonicalize(absolute(files.directory, name)).ok();
            canonical(left).is_some_and(|path| Some(path) == canonical(right))
        }
        _ => compare(number(left)?, operator, number(right)?),
    })
}

/// `-eq` and its like.
pub(crate) fn compare(left: i64, operator: &str, right: i64) -> bool {
    match operator {
        "-eq" => left == right,
        "-ne" => left != right,
        "-lt" => left < right,
        "-le" => left <= right,
        "-gt" => left > right,
        _ => left >= right,
    }
}

fn number(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix('+').unwrap_or(trimmed);
    digits.parse().map_err(|_| format!("{text}: bad number"))
}

pub(crate) fn unary(operator: &str, operand: &str, files: &Files<'_>) -> Result<bool, String> {
    let path = absolute(files.directory, operand);
    let metadata = || fs::metadata(&path).ok();
    Ok(match operator {
        "-n" => !operand.is_empty(),
        "-z" => operand.is_empty(),
        "-t" => (files.is_terminal)(number(operand)?.try_into().unwrap_or(u32::MAX)),
        "-h" | "-L" => fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()),
        // WASI knows no permissions: what is there may be read, written and run.
        "-e" | "-r" | "-w" | "-x" | "-O" | "-G" => metadata().is_some(),
        "-f" => metadata().is_some_and(|metadata| metadata.is_file()),
        "-d" => metadata().is_some_and(|metadata| metadata.is_dir()),
        "-s" => metadata().is_some_and(|metadata| metadata.len() > 0),
        // Pipes, devices, sockets and set-id bits: there are none in a container's root.
        _ => false,
    })
}

/// A name as an absolute path, made from the text alone; `.` and `..` stay.
pub fn absolute(directory: &str, name: &str) -> String {
    if name.starts_with('/') || name.is_empty() {
        name.to_owned()
    } else if directory.ends_with('/') {
        format!("{directory}{name}")
    } else {
        format!("{directory}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &str, expect: Result<bool, &str>) {
        let arguments: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
        let files = Files { directory: "/", is_terminal: &|_| false };
        let got = evaluate(&arguments, &files);
        assert_eq!(
            got.as_ref().map_err(String::as_str),
            expect.as_ref().map_err(|err| *err),
            "{arguments:?}"
        );
    }

    #[test]
    fn strings_and_numbers() {
        check("a = a", Ok(true));
        check("a != a", Ok(false));
        check("-n x", Ok(true));
        check("-z x", Ok(false));
        check("3 -lt 10", Ok(true));
        check("-3 -lt +2", Ok(true));
        check("! a = b", Ok(true));
        check("a = a -a b = c", Ok(false));
        check("a = b -o b = b", Ok(true));
        check("( a = b -o 1 -eq 1 ) -a x", Ok(true));
    }

    #[test]
    fn few_arguments_mean_what_posix_says() {
        check("-f", Ok(true));
        check("!", Ok(true));
        check("! x", Ok(false));
        check("( = (", Ok(true));
        check("-n = -n", Ok(true));
        check("( x )", Ok(true));
    }

    #[test]
    fn files() {
        check("-e /", Ok(true));
        check("-d /", Ok(true));
        check("-f /", Ok(false));
        check("-e /certainly-not-there", Ok(false));
        check("! -e certainly-not-there", Ok(true));
    }

    #[test]
    fn faults_are_worded_as_busybox() {
        check("1 -eq x", Err("x: bad number"));
        check("x y", Err("y: unknown operand"));
        check("( x", Err("closing paren expected"));
    }
}

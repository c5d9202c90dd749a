//! Signals by name and number, as Linux has them.

/// From 1 on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "POLL", "PWR", "SYS",
];

/// A number of at most 64, or a name with or without `SIG`, in either case; 0 is `EXIT`.
pub fn number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse() {
        return (number <= 64).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if name == "EXIT" {
        return Some(0);
    }
    NAMES.iter().position(|known| *known == name).map(|at| at as u8 + 1)
}

pub fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number).checked_sub(1)?).copied()
}

/// What `kill -l` prints: all of them; for a number, or the exit code of what a signal ended, the
/// name; for a name, the number. `Err` is what is none.
pub fn list(operands: &[String]) -> Result<String, String> {
    if operands.is_empty() {
        let line = |(at, name): (usize, &&str)| format!("{:>2}) {name}\n", at + 1);
        return Ok(NAMES.iter().enumerate().map(line).collect());
    }
    let mut out = String::new();
    for word in operands {
        let found = number_of_end(word).and_then(name).map(str::to_owned);
        let found = found.or_else(|| number(word).map(|number| number.to_string()));
        out += &(found.ok_or_else(|| word.clone())? + "\n");
    }
    Ok(out)
}

fn number_of_end(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    Some(if number > 128 { number - 128 } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(number("KILL"), Some(9));
        assert_eq!(number("sigterm"), Some(15));
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("65"), None);
        assert_eq!(number("FOO"), None);
        assert_eq!(name(28), Some("WINCH"));
        let words = ["9", "TERM", "130"].map(str::to_owned);
        assert_eq!(list(&words), Ok("KILL\n15\nINT\n".to_owned()));
        assert_eq!(list(&["FOO".to_owned()]), Err("FOO".to_owned()));
        assert!(list(&[]).unwrap().starts_with(" 1) HUP\n 2) INT\n"));
    }
}

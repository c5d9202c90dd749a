//! Directives' arguments: numbers, sizes, times, on and off.

use super::Fault;
use super::tree::Directive;

impl Directive {
    pub(super) fn fault(&self, what: &str) -> Fault {
        super::fault(what, &self.at)
    }

    pub(super) fn wrong_count(&self) -> Fault {
        self.fault(&format!("invalid number of arguments in \"{}\" directive", self.name))
    }

    /// Its only argument.
    pub(super) fn one(&self) -> Result<&str, Fault> {
        match &self.args[..] {
            [only] => Ok(only),
            _ => Err(self.wrong_count()),
        }
    }

    /// Its arguments, of which there are so many.
    pub(super) fn between(&self, least: usize, most: usize) -> Result<&[String], Fault> {
        let fits = (least..=most).contains(&self.args.len());
        if fits { Ok(&self.args) } else { Err(self.wrong_count()) }
    }

    pub(super) fn flag(&self) -> Result<bool, Fault> {
        match self.one()? {
            on if on.eq_ignore_ascii_case("on") => Ok(true),
            off if off.eq_ignore_ascii_case("off") => Ok(false),
            other => Err(self.fault(&format!(
                "invalid value \"{other}\" in \"{}\" directive, it must be \"on\" or \"off\"",
                self.name
            ))),
        }
    }

    /// Bytes: `10`, `8k`, `1M`, `2g`.
    pub(super) fn size(&self) -> Result<u64, Fault> {
        let invalid = || self.fault(&format!("\"{}\" directive invalid value", self.name));
        let text = self.one()?;
        let unit = |last: char| match last.to_ascii_lowercase() {
            'k' => Some(1 << 10),
            'm' => Some(1 << 20),
            'g' => Some(1 << 30),
            _ => None,
        };
        let (digits, unit) = match text.chars().last().and_then(unit) {
            Some(unit) => (&text[..text.len() - 1], unit),
            None => (text, 1),
        };
        let number: u64 = digits.parse().map_err(|_| invalid())?;
        number.checked_mul(unit).ok_or_else(invalid)
    }

    pub(super) fn milliseconds(&self) -> Result<u64, Fault> {
        let invalid = || self.fault(&format!("\"{}\" directive invalid value", self.name));
        milliseconds(self.one()?).ok_or_else(invalid)
    }
}

/// `60`, `60s`, `500ms`, `1h30m`: seconds where no unit is said.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("M", 2_592_000_000),
        ("y", 31_536_000_000),
    ];
    let (mut rest, mut total) = (text, 0_u64);
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = UNITS.iter().find(|(unit, _)| rest.starts_with(unit));
        let unit = match (unit, rest.is_empty()) {
            (Some((name, unit)), _) => {
                rest = rest[name.len()..].trim_start();
                *unit
            }
            (None, true) => 1000,
            (None, false) => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let check = |text, expect| assert_eq!(milliseconds(text), expect, "{text}");
        check("60", Some(60_000));
        check("1h30m", Some(5_400_000));
        check("1d 12h", Some(129_600_000));
        check("250ms", Some(250));
        check("", None);
        check("x", None);
        check("5q", None);
    }
}

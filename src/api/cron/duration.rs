//! Durations as Go writes them: `1h30m`, `1.5s`.
//!
//! Upstream: Go's `time.ParseDuration`.

const UNITS: &[(&str, i128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS),
    ("m", 60 * NANOS),
    ("h", 3_600 * NANOS),
];

const NANOS: i128 = 1_000_000_000;

/// The whole seconds of a duration.
///
/// # Errors
/// Go's complaint.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return Err(invalid());
        }
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (name, later) = after.split_at(unit_end);
        if name.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let Some((_, unit)) = UNITS.iter().find(|(unit, _)| *unit == name) else {
            return Err(format!("time: unknown unit {name:?} in duration {text:?}"));
        };
        nanos += scaled(whole, fraction, *unit).ok_or_else(invalid)?;
        if nanos > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = later;
    }
    i64::try_from(sign * nanos / NANOS).map_err(|_| invalid())
}

/// `whole.fraction` of that unit, in nanoseconds; what is finer is dropped.
fn scaled(whole: &str, fraction: &str, unit: i128) -> Option<i128> {
    /// More digits than nanoseconds in an hour have.
    const DIGITS_MAX: usize = 15;
    let number = |digits: &str| match digits {
        "" => Some(0),
        digits => digits.parse::<i128>().ok(),
    };
    let fraction = &fraction[..fraction.len().min(DIGITS_MAX)];
    let parts = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = number(whole).filter(|whole| *whole <= i128::from(i64::MAX))?;
    Some(whole * unit + number(fraction)? * unit / parts)
}

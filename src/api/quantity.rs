//! Amounts of resources: `500m`, `1.5Gi`, `1e3`.
//!
//! Exact down to nanos and up to 2⁶³−1, as upstream. Enter by [`Quantity::parse`]; [`canonical`] is
//! how the API server spells what a client sent.
//!
//! Upstream: `k8s.io/apimachinery/pkg/api/resource/{quantity,suffix,amount}.go`.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

const NANOS: i128 = 1_000_000_000;
/// Bound: upstream caps amounts here, whatever the client wrote.
const NANOS_MAX: i128 = i64::MAX as i128 * NANOS;

/// How an amount is written, which arithmetic keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `500m`, `2k`.
    DecimalSi,
    /// `4Ki`, `10Mi`.
    BinarySi,
    /// `1e3`.
    DecimalExponent,
}

/// Why a text is no quantity, worded as upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Number,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// An exact amount. Equality and order are of the amount alone: `1000m` equals `1`.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    /// Between −[`NANOS_MAX`] and [`NANOS_MAX`].
    nanos: i128,
    format: Format,
}

impl Quantity {
    pub const ZERO: Self = Self { nanos: 0, format: Format::DecimalSi };

    /// A whole number of units (bytes, CPUs, Pods).
    pub fn new(units: i64, format: Format) -> Self {
        Self { nanos: i128::from(units) * NANOS, format }
    }

    /// Thousandths of a unit.
    pub fn from_millis(millis: i64) -> Self {
        let nanos = (i128::from(millis) * (NANOS / 1000)).clamp(-NANOS_MAX, NANOS_MAX);
        Self { nanos, format: Format::DecimalSi }
    }

    /// Reads an amount. Fractions of a nano are rounded away from zero; what is beyond 2⁶³−1 becomes
    /// that.
    ///
    /// # Errors
    /// A text that is no quantity.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (number, suffix) = split(text)?;
        let (base, exponent, format) = interpret(suffix).ok_or(Error::Suffix)?;
        let (negative, digits) = match number.strip_prefix(['+', '-']) {
            Some(digits) => (number.starts_with('-'), digits),
            None => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(Error::Number);
        }
        let nanos = scale(whole, fraction, base, exponent);
        Ok(Self { nanos: if negative { -nanos } else { nanos }, format })
    }

    /// What an object says; its Quantities were checked when it was decoded.
    ///
    /// # Errors
    /// A text that is no quantity.
    pub fn of(api: &ApiQuantity) -> Result<Self, Error> {
        Self::parse(&api.0)
    }

    pub fn to_api(self) -> ApiQuantity {
        ApiQuantity(self.to_string())
    }

    /// Whole units, rounded up: bytes of memory, numbers of things.
    pub fn value(self) -> i64 {
        self.rounded_up(NANOS)
    }

    /// Thousandths, rounded up: CPU shares. At most `i64::MAX`.
    pub fn millis(self) -> i64 {
        self.rounded_up(NANOS / 1000)
    }

    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(self) -> bool {
        self.nanos % NANOS == 0
    }

    pub fn format(self) -> Format {
        self.format
    }

    fn rounded_up(self, unit: i128) -> i64 {
        // Away from zero, as upstream's ScaledValue does.
        let up = (self.nanos.abs() + unit - 1) / unit * self.nanos.signum();
        i64::try_from(up).unwrap_or(if up > 0 { i64::MAX } else { i64::MIN })
    }

    fn with_nanos(self, nanos: i128, other: Self) -> Self {
        // A zero has no format of its own worth keeping.
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nanos: nanos.clamp(-NANOS_MAX, NANOS_MAX), format }
    }
}

/// The canonical spelling of `text`: what the API server stores and shows.
///
/// # Errors
/// A text that is no quantity.
pub fn canonical(text: &str) -> Result<String, Error> {
    Quantity::parse(text).map(|quantity| quantity.to_string())
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with_nanos(self.nanos + other.nanos, other)
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with_nanos(self.nanos - other.nanos, other)
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that needs none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        let units = self.nanos / NANOS;
        if self.format == Format::BinarySi && self.is_whole() && units.abs() >= 1024 {
            let (number, power) = without_factor(units, 1024, 6);
            return write!(f, "{number}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]);
        }
        let (number, power) = without_factor(self.nanos, 1000, 9);
        if self.format != Format::DecimalExponent {
            const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
            return write!(f, "{number}{}", SUFFIXES[power]);
        }
        match power {
            3 => write!(f, "{number}"),
            power if power < 3 => write!(f, "{number}e-{}", 9 - 3 * power),
            power => write!(f, "{number}e{}", 3 * power - 9),
        }
    }
}

/// Divides by `factor` as often as it goes without rest, at most `power_max` times.
fn without_factor(mut number: i128, factor: i128, power_max: usize) -> (i128, usize) {
    let mut power = 0;
    while power < power_max && number % factor == 0 {
        number /= factor;
        power += 1;
    }
    (number, power)
}

/// Number and suffix: upstream's regular expression, by hand.
fn split(text: &str) -> Result<(&str, &str), Error> {
    let after = |text: &str, from: usize, fits: &dyn Fn(u8) -> bool| {
        text.bytes().skip(from).position(|byte| !fits(byte)).map_or(text.len(), |end| from + end)
    };
    let signed = |from: usize| {
        from + usize::from(text.as_bytes().get(from).is_some_and(|byte| b"+-".contains(byte)))
    };
    let start = signed(0);
    let number_end = after(text, start, &|byte| byte.is_ascii_digit() || byte == b'.');
    let letters_end = after(text, number_end, &|byte| b"eEinumkKMGTP".contains(&byte));
    let end = after(text, signed(letters_end), &|byte| byte.is_ascii_digit());
    if number_end == start || end != text.len() {
        return Err(Error::Format);
    }
    Ok(text.split_at(number_end))
}

/// Base and exponent a suffix stands for.
fn interpret(suffix: &str) -> Option<(u32, i64, Format)> {
    let position = |list: &[&str]| list.iter().position(|entry| *entry == suffix);
    if let Some(power) = position(&["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]) {
        return Some((10, 3 * i64::try_from(power).ok()? - 9, Format::DecimalSi));
    }
    if let Some(power) = position(&["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
        return Some((2, 10 * i64::try_from(power + 1).ok()?, Format::BinarySi));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((10, exponent, Format::DecimalExponent))
}

/// `whole.fraction × base^exponent` in nanos, rounded up, at most [`NANOS_MAX`]. Digits only.
fn scale(whole: &str, fraction: &str, base: u32, exponent: i64) -> i128 {
    // Binary suffixes end at 2⁶⁰, so their factor is exact; decimal ones move the point.
    let (factor, shift) = match base {
        2 => (1_i128 << exponent.clamp(0, 60), 0),
        _ => (1, exponent),
    };
    let (whole, fraction) = move_point(whole, fraction, shift);
    let whole = whole.trim_start_matches('0');
    // Bound: 2⁶³ has 19 digits.
    let whole = if whole.len() > 19 { i128::from(i64::MAX) } else { whole.parse().unwrap_or(0) };
    if whole * factor > i128::from(i64::MAX) {
        return NANOS_MAX;
    }
    let unit = factor * NANOS;
    let (part, rest) = fraction.bytes().rev().fold((0, false), |(sum, rest), digit| {
        let sum = sum + i128::from(digit - b'0') * unit;
        (sum / 10, rest || sum % 10 != 0)
    });
    (whole * unit + part + i128::from(rest)).min(NANOS_MAX)
}

/// Moves the decimal point to the right, to the left if `shift` is negative.
fn move_point(whole: &str, fraction: &str, shift: i64) -> (String, String) {
    let mut digits = [whole, fraction].concat();
    // Bound: moving it 40 places past the digits makes any amount too large, or too small, to matter.
    let places = i64::try_from(digits.len()).unwrap_or(i64::MAX - 40) + 40;
    let shift = shift.clamp(-places, places);
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX - places) + shift;
    let Ok(point) = usize::try_from(point) else {
        let zeros = "0".repeat(usize::try_from(-point).unwrap_or(0));
        return (String::new(), zeros + &digits);
    };
    while digits.len() < point {
        digits.push('0');
    }
    let fraction = digits.split_off(point);
    (digits, fraction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(canonical(text).as_deref(), Ok(expect), "{text}");
        assert_eq!(canonical(expect).as_deref(), Ok(expect), "{expect} is canonical");
        assert_eq!(Quantity::parse(text), Quantity::parse(expect));
    }

    #[track_caller]
    fn check_error(text: &str, expect: Error) {
        assert_eq!(Quantity::parse(text), Err(expect), "{text}");
    }

    #[test]
    fn the_canonical_form_has_no_fraction_and_the_largest_suffix() {
        check("0", "0");
        check("0.0Mi", "0");
        check("1", "1");
        check("+1.50", "1500m");
        check("-0.5", "-500m");
        check(".5", "500m");
        check("5.", "5");
        check("1000m", "1");
        check("1000", "1k");
        check("1024", "1024");
        check("1024Ki", "1Mi");
        check("1.5Gi", "1536Mi");
        check("0.5Ki", "512");
        check("0.1Ki", "102400m");
        check("10Mi", "10Mi");
        check("1e3", "1e3");
        check("1E3", "1e3");
        check("12e-1", "1200e-3");
        check("100e0", "100");
        check("1E", "1E");
        check("1000000Ki", "1000000Ki");
        check("1Ei", "1Ei");
    }

    #[test]
    fn amounts_are_exact_to_a_nano_and_rounded_away_from_zero() {
        check("1n", "1n");
        check("0.1n", "1n");
        check("-0.1n", "-1n");
        check("1.0000000001", "1000000001n");
        check(&format!("0.{}1", "0".repeat(1000)), "1n");
        check("1e-1000000000000", "1e-9");
        check("0e1000000000000", "0");
    }

    #[test]
    fn amounts_are_capped() {
        let most = "9223372036854775807";
        check(most, most);
        check("9223372036854775808", most);
        check("10E", most);
        check("8Ei", most);
        check("1e1000000000000", most);
        check(&"9".repeat(1000), most);
        check("-100Ei", "-9223372036854775807");
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "a", "1 ", " 1", "1Kib", "--1", "1KiB", "1,5", "٣"] {
            check_error(text, Error::Format);
        }
        for text in [".", "1.2.3", "+."] {
            check_error(text, Error::Number);
        }
        for text in ["1K", "1mm", "1e", "1ki1", "1e99999999999999999999"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
        check_error("1K", Error::Suffix);
    }

    #[test]
    fn cpu_is_counted_in_millis_and_memory_in_bytes() {
        let of = |text: &str| Quantity::parse(text).expect("a quantity");
        assert_eq!(of("250m").millis(), 250);
        assert_eq!(of("0.1u").millis(), 1);
        assert_eq!(of("2").millis(), 2000);
        assert_eq!(of("10Ei").millis(), i64::MAX);
        assert_eq!(of("64Mi").value(), 67_108_864);
        assert_eq!(of("1500m").value(), 2);
    }

    #[test]
    fn sums_keep_the_format_of_the_first() {
        let of = |text: &str| Quantity::parse(text).expect("a quantity");
        assert_eq!((of("1Gi") + of("1024")).to_string(), "1048577Ki");
        assert_eq!((Quantity::ZERO + of("1Gi")).to_string(), "1Gi");
        assert_eq!((of("1") - of("250m")).to_string(), "750m");
        assert_eq!((of("9E") + of("9E")).to_string(), "9223372036854775807");
        assert!(of("1Ki") > of("1k"));
    }

    proptest! {
        #[test]
        fn amounts_are_what_arithmetic_says(
            whole in 0..1_000_000_i128,
            fraction in "[0-9]{0,6}",
            negative in any::<bool>(),
            (suffix, factor) in prop::sample::select(vec![
                ("n", 1), ("u", 1_000), ("m", 1_000_000), ("", NANOS), ("k", 1000 * NANOS),
                ("e3", 1000 * NANOS), ("E-2", NANOS / 100), ("Ki", 1024 * NANOS),
                ("Gi", (1 << 30) * NANOS), ("T", 1_000_000_000_000 * NANOS),
            ]),
        ) {
            let sign = if negative { "-" } else { "" };
            let text = format!("{sign}{whole}.{fraction}{suffix}");
            let digits: i128 = format!("{whole}{fraction}").parse().expect("digits");
            let scale = 10_i128.pow(u32::try_from(fraction.len()).expect("six at most"));
            let nanos = (digits * factor + scale - 1) / scale * if negative { -1 } else { 1 };
            let quantity = Quantity::parse(&text).expect("a quantity");
            prop_assert_eq!(quantity.nanos, nanos);
            let canonical = quantity.to_string();
            prop_assert_eq!(Quantity::parse(&canonical), Ok(quantity));
            prop_assert_eq!(super::canonical(&canonical), Ok(canonical));
        }

        #[test]
        fn no_text_is_too_strange_to_answer(text in "[-+.0-9eEinumkKMGTP ]{0,12}|\\PC{0,6}") {
            if let Ok(quantity) = Quantity::parse(&text) {
                prop_assert!(quantity.nanos.abs() <= NANOS_MAX);
                prop_assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity));
            }
        }
    }
}

//! What a scalar means: a number, a truth, nothing, or text.
//!
//! Upstream: `sigs.k8s.io/yaml/goyaml.v2/resolve.go`, then `encoding/json`'s printing of floats.

use serde_json::{Number, Value};

/// The meaning of an unquoted scalar without a tag.
///
/// # Errors
/// `.inf` and `.nan`, which JSON cannot say.
pub(super) fn resolve(text: &str) -> Result<Value, String> {
    if let Some(word) = word(text) {
        return Ok(word);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("unsupported value: {text}"));
    }
    Ok(number(text).unwrap_or_else(|| Value::String(text.to_owned())))
}

/// The meaning of a scalar with a tag of YAML's own (`!!int` …).
///
/// # Errors
/// A text that is not of the tag's type.
pub(super) fn resolve_tagged(tag: &str, text: &str) -> Result<Value, String> {
    let value = resolve(text)?;
    let fits = match tag {
        "bool" => value.is_boolean(),
        "null" => value.is_null(),
        "int" => value.is_i64() || value.is_u64(),
        "float" => value.is_number(),
        _ => return Ok(Value::String(text.to_owned())),
    };
    if fits { Ok(value) } else { Err(format!("cannot decode `{text}` as a !!{tag}")) }
}

/// Whether an unquoted `text` would be read as something else than itself, by a reader of YAML 1.1
/// or of 1.2.
pub(super) fn is_ambiguous(text: &str) -> bool {
    let sexagesimal = |text: &str| {
        text.contains(':')
            && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-_:.".contains(&byte))
    };
    let date = |text: &str| {
        let bytes = text.as_bytes();
        bytes.len() > 4 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
    };
    !matches!(resolve(text), Ok(Value::String(_)))
        || is_float(&text.replace('_', ""))
        || sexagesimal(text)
        || date(text)
}

fn word(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Value::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Value::Bool(false))
        }
        _ => None,
    }
}

fn number(text: &str) -> Option<Value> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    if text.starts_with('.') {
        return if is_float(text) { float(text.parse().ok()?) } else { None };
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| if is_float(&plain) { float(plain.parse().ok()?) } else { None })
}

/// An integer in any of Go's bases: `0x1f`, `0b1`, `0o17`, and `017` which is octal too.
fn integer(plain: &str) -> Option<Value> {
    let (sign, radix, digits) = split_base(plain)?;
    match u64::from_str_radix(digits, radix).ok()? {
        magnitude if sign == Some('-') => Some(Value::from(0_i64.checked_sub_unsigned(magnitude)?)),
        magnitude if sign.is_some() => Some(Value::from(i64::try_from(magnitude).ok()?)),
        magnitude => Some(Value::from(magnitude)),
    }
}

fn split_base(plain: &str) -> Option<(Option<char>, u32, &str)> {
    let sign = plain.chars().next().filter(|c| matches!(c, '+' | '-'));
    let unsigned = if sign.is_some() { &plain[1..] } else { plain };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    let good = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    good.then_some((sign, radix, digits))
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa && exponent
}

/// A float as JSON says it: `1.0` is printed as `1`, and is an integer from then on. `None` if it
/// is out of range: upstream reads it as text then.
fn float(value: f64) -> Option<Value> {
    const I64_END: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && (-I64_END..I64_END).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within i64")]
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Value) {
        assert_eq!(resolve(text), Ok(expect), "{text}");
    }

    #[test]
    fn yaml_1_1_words_are_read_as_kubectl_reads_them() {
        for text in ["y", "Yes", "TRUE", "on"] {
            check(text, json!(true));
        }
        for text in ["n", "No", "FALSE", "off"] {
            check(text, json!(false));
        }
        for text in ["", "~", "null", "NULL"] {
            check(text, json!(null));
        }
        for text in ["yEs", "oN", "nULL", "none", "-", "+", ".", "..", "1.2.3", "0x", "0xg", "10Mi"]
        {
            check(text, json!(text));
        }
    }

    #[test]
    fn integers_come_in_every_base() {
        check("0644", json!(420));
        check("0o644", json!(420));
        check("-0644", json!(-420));
        check("0x1F", json!(31));
        check("0b101", json!(5));
        check("1_000", json!(1000));
        check("+5", json!(5));
        check("0", json!(0));
        check("-9223372036854775808", json!(i64::MIN));
        check("18446744073709551615", json!(u64::MAX));
    }

    #[test]
    fn floats_that_are_whole_become_integers() {
        check("1.0", json!(1));
        check("08", json!(8));
        check("1e3", json!(1000));
        check("-.5", json!(-0.5));
        check(".5", json!(0.5));
        check("3.", json!(3));
        check("18446744073709551616", json!(18_446_744_073_709_551_616.0));
        check("0xffffffffffffffffff", json!("0xffffffffffffffffff"));
        check("1e400", json!("1e400"));
    }

    #[test]
    fn dates_and_times_stay_text() {
        check("2001-12-14", json!("2001-12-14"));
        check("12:30:45", json!("12:30:45"));
    }

    #[test]
    fn infinity_is_refused() {
        for text in [".inf", "-.inf", "+.INF", ".NaN"] {
            assert_eq!(resolve(text), Err(format!("unsupported value: {text}")));
        }
    }

    #[test]
    fn tags_insist_on_their_type() {
        assert_eq!(resolve_tagged("str", "5"), Ok(json!("5")));
        assert_eq!(resolve_tagged("int", "5"), Ok(json!(5)));
        assert_eq!(resolve_tagged("int", "a"), Err("cannot decode `a` as a !!int".to_owned()));
    }
}

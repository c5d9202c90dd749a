//! The five fields of a schedule, as sets of numbers.
//!
//! Upstream: `parser.go` of `github.com/robfig/cron/v3`.

/// Numbers below 63, one bit each; [`STAR`] beside them.
pub(super) type Set = u64;

/// The field was given as `*` or `?`: it restricts nothing.
pub(super) const STAR: Set = 1 << 63;

#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) minute: Set,
    pub(super) hour: Set,
    pub(super) day_of_month: Set,
    pub(super) month: Set,
    /// Sunday is 0.
    pub(super) day_of_week: Set,
}

pub(super) fn has(set: Set, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| number < 63 && set & (1 << number) != 0)
}

/// What a field may hold.
struct Bounds {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MINUTE: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOUR: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAY_OF_MONTH: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTH: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const DAY_OF_WEEK: Bounds =
    Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
            let count = fields.len();
            let fields = fields.join(" ");
            return Err(format!("expected exactly 5 fields, found {count}: [{fields}]"));
        };
        Ok(Self {
            minute: parse_field(minute, &MINUTE)?,
            hour: parse_field(hour, &HOUR)?,
            day_of_month: parse_field(day_of_month, &DAY_OF_MONTH)?,
            month: parse_field(month, &MONTH)?,
            day_of_week: parse_field(day_of_week, &DAY_OF_WEEK)?,
        })
    }
}

/// Ranges with commas between them.
fn parse_field(field: &str, bounds: &Bounds) -> Result<Set, String> {
    let mut set = 0;
    for range in field.split(',').filter(|range| !range.is_empty()) {
        set |= parse_range(range, bounds)?;
    }
    Ok(set)
}

/// `number | number "-" number [ "/" number ]`, or a star.
fn parse_range(range: &str, bounds: &Bounds) -> Result<Set, String> {
    let parts: Vec<&str> = range.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let is_single = ends.len() == 1;
    let is_star = matches!(ends[0], "*" | "?");
    let (start, mut end) = if is_star {
        (bounds.min, bounds.max)
    } else {
        let start = parse_number(ends[0], bounds)?;
        match ends[..] {
            [_] => (start, start),
            [_, end] => (start, parse_number(end, bounds)?),
            _ => return Err(format!("too many hyphens: {range}")),
        }
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => {
            let step = parse_integer(step)?;
            // "N/step" means "N-max/step".
            if is_single {
                end = bounds.max;
            }
            step
        }
        _ => return Err(format!("too many slashes: {range}")),
    };
    let (min, max) = (bounds.min, bounds.max);
    if start < min {
        return Err(format!("beginning of range ({start}) below minimum ({min}): {range}"));
    }
    if end > max {
        return Err(format!("end of range ({end}) above maximum ({max}): {range}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {range}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {range}"));
    }
    let numbers = (start..=end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    let set = numbers.fold(0, |set, number| set | 1 << number);
    Ok(if is_star && step == 1 { set | STAR } else { set })
}

fn parse_number(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let named = bounds.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    match named.and_then(|at| u32::try_from(at).ok()) {
        Some(at) => Ok(at + bounds.min),
        None => parse_integer(text),
    }
}

fn parse_integer(text: &str) -> Result<u32, String> {
    let complaint = |why: &str| {
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}")
    };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(complaint("invalid syntax"));
    }
    let number: i64 = text.parse().map_err(|_| complaint("value out of range"))?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    // Far above every bound, which is what is said of it then.
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

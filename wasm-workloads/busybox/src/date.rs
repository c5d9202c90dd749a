//! `date`, and the calendar. There are no time zones here: everything is UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::call::{Call, Done, Failure, print, reason};

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub fn date(call: &Call) -> Done {
    // `-I` has a value only when it is attached.
    let arguments = call.arguments().iter().map(|word| match word.as_str() {
        "-I" => "-Idate".to_owned(),
        word => word.to_owned(),
    });
    let options = call.options_of(arguments.collect(), "ud:I:Rr:s:D:")?;
    if options.has('s') {
        return Err(Failure::Message("can't set date: Operation not permitted".to_owned()));
    }
    let (seconds, nanoseconds) = match (options.value('d'), options.value('r')) {
        (Some(text), _) => {
            (parse(text).ok_or_else(|| Failure::Message(format!("invalid date '{text}'")))?, 0)
        }
        (None, Some(name)) => {
            let modified =
                std::fs::metadata(call.path(name)).and_then(|metadata| metadata.modified());
            since_epoch(
                modified.map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))?,
            )
        }
        (None, None) => since_epoch(SystemTime::now()),
    };
    let own = match options.operands.as_slice() {
        [] => None,
        [text] => Some(
            text.strip_prefix('+')
                .ok_or_else(|| Failure::Message(format!("invalid date '{text}'")))?,
        ),
        _ => return Err(Failure::usage()),
    };
    let pattern = match (own, options.value('I')) {
        (Some(pattern), _) => pattern,
        (None, Some("date" | "")) => "%Y-%m-%d",
        (None, Some("hours")) => "%Y-%m-%dT%H%:z",
        (None, Some("minutes")) => "%Y-%m-%dT%H:%M%:z",
        (None, Some("seconds")) => "%Y-%m-%dT%H:%M:%S%:z",
        (None, Some("ns")) => "%Y-%m-%dT%H:%M:%S,%N%:z",
        (None, Some(other)) => {
            return Err(Failure::Message(format!("invalid argument '{other}' to 'I'")));
        }
        (None, None) if options.has('R') => "%a, %d %b %Y %H:%M:%S %z",
        (None, None) => "%a %b %e %H:%M:%S %Z %Y",
    };
    print(format(seconds, nanoseconds, pattern) + "\n")
}

pub fn since_epoch(time: SystemTime) -> (i64, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
        Err(before) => (-(before.duration().as_secs() as i64), 0),
    }
}

/// Seconds since the epoch of `@N`, `YYYY-MM-DD[ hh:mm[:ss]]`, `hh:mm[:ss]`, `now`.
pub fn parse(text: &str) -> Option<i64> {
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().ok();
    }
    let now = since_epoch(SystemTime::now()).0;
    if text == "now" || text.is_empty() {
        return Some(now);
    }
    let text = text.trim_end_matches('Z');
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) => (Some(day), Some(time)),
        None if text.contains('-') => (Some(text), None),
        None => (None, Some(text)),
    };
    let numbers = |text: &str, separator| {
        text.split(separator).map(|part| part.parse::<i64>().ok()).collect::<Option<Vec<_>>>()
    };
    let day = match day.map(|day| numbers(day, '-')) {
        None => now.div_euclid(86400),
        Some(Some(parts)) => match parts.as_slice() {
            [year, month @ 1..=12, day @ 1..=31] => days_from_civil(*year, *month, *day),
            _ => return None,
        },
        Some(None) => return None,
    };
    let second = match time.map(|time| numbers(time, ':')) {
        None => 0,
        Some(Some(parts)) => match parts.as_slice() {
            [hour @ 0..=23, minute @ 0..=59] => hour * 3600 + minute * 60,
            [hour @ 0..=23, minute @ 0..=59, second @ 0..=60] => hour * 3600 + minute * 60 + second,
            _ => return None,
        },
        Some(None) => return None,
    };
    Some(day * 86400 + second)
}

/// Howard Hinnant's algorithm: days since the epoch of a Gregorian date.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The reverse.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// C's strftime, in UTC and English.
pub fn format(seconds: i64, nanoseconds: u32, pattern: &str) -> String {
    let (days, second) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let weekday = (days + 4).rem_euclid(7);
    let day_of_year = days - days_from_civil(year, 1, 1) + 1;
    let hour_of_half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let half = if hour < 12 { "AM" } else { "PM" };
    let (day_name, month_name) = (DAYS[weekday as usize], MONTHS[month as usize - 1]);
    let again = |pattern: &str| format(seconds, nanoseconds, pattern);
    let mut text = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut directive = chars.next();
        let unpadded = directive == Some('-');
        if matches!(directive, Some('-' | '_' | '0' | ':' | 'E' | 'O')) {
            let colon = directive == Some(':');
            directive = chars.next();
            if colon && directive == Some('z') {
                text += "+00:00";
                continue;
            }
        }
        let piece = match directive {
            Some('Y') => year.to_string(),
            Some('C') => format!("{:02}", year.div_euclid(100)),
            Some('y') => format!("{:02}", year.rem_euclid(100)),
            Some('m') => format!("{month:02}"),
            Some('d') => format!("{day:02}"),
            Some('e') => format!("{day:2}"),
            Some('H') => format!("{hour:02}"),
            Some('k') => format!("{hour:2}"),
            Some('I') => format!("{hour_of_half:02}"),
            Some('l') => format!("{hour_of_half:2}"),
            Some('M') => format!("{minute:02}"),
            Some('S') => format!("{second:02}"),
            Some('N') => format!("{nanoseconds:09}"),
            Some('s') => seconds.to_string(),
            Some('j') => format!("{day_of_year:03}"),
            Some('u') => (if weekday == 0 { 7 } else { weekday }).to_string(),
            Some('w') => weekday.to_string(),
            Some('U') => format!("{:02}", (day_of_year + 6 - weekday) / 7),
            Some('W') => format!("{:02}", (day_of_year + 6 - (weekday + 6) % 7) / 7),
            Some('a') => day_name[..3].to_owned(),
            Some('A') => day_name.to_owned(),
            Some('b' | 'h') => month_name[..3].to_owned(),
            Some('B') => month_name.to_owned(),
            Some('p') => half.to_owned(),
            Some('P') => half.to_lowercase(),
            Some('z') => "+0000".to_owned(),
            Some('Z') => "UTC".to_owned(),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('%') => "%".to_owned(),
            Some('F') => again("%Y-%m-%d"),
            Some('T' | 'X') => again("%H:%M:%S"),
            Some('R') => again("%H:%M"),
            Some('D' | 'x') => again("%m/%d/%y"),
            Some('r') => again("%I:%M:%S %p"),
            Some('c') => again("%a %b %e %H:%M:%S %Y"),
            Some(other) => format!("%{other}"),
            None => "%".to_owned(),
        };
        let trimmed = piece.trim_start_matches([' ', '0']);
        text += if unpadded && !trimmed.is_empty() {
            trimmed
        } else if unpadded {
            "0"
        } else {
            &piece
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_formatted_as_c_does() {
        let check =
            |seconds, pattern: &str, expect: &str| assert_eq!(format(seconds, 5, pattern), expect);
        check(0, "%a %b %e %H:%M:%S %Z %Y", "Thu Jan  1 00:00:00 UTC 1970");
        check(1_709_210_096, "%F %T %j %u %y %p %I %-d", "2024-02-29 12:34:56 060 4 24 PM 12 29");
        check(-1, "%c", "Wed Dec 31 23:59:59 1969");
        check(951_782_400, "%D %s %N %% %q", "02/29/00 951782400 000000005 % %q");
    }

    #[test]
    fn what_is_formatted_is_read() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(parse(text), expect, "{text}");
        check("@42", Some(42));
        check("2024-02-29 12:34:56", Some(1_709_210_096));
        check("2024-02-29T12:34:56Z", Some(1_709_210_096));
        check("1970-01-02", Some(86400));
        check("tomorrowish", None);
        check("2024-13-01", None);
    }

    #[test]
    fn days_and_dates_agree() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}

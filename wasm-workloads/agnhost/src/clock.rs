//! Times as Go's programs print them. All are UTC.

use std::time::{SystemTime, UNIX_EPOCH};

struct Date {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    nanosecond: u32,
}

/// Howard Hinnant's `civil_from_days`.
fn date(time: SystemTime) -> Date {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let shifted = seconds / 86_400 + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    Date {
        year: year_of_era + era * 400 + u64::from(month <= 2),
        month,
        day: of_year - (153 * from_march + 2) / 5 + 1,
        hour: seconds / 3600 % 24,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        nanosecond: since.subsec_nanos(),
    }
}

/// `2006-01-02 15:04:05.999999999 +0000 UTC`
pub(crate) fn go_time() -> String {
    let Date { year, month, day, hour, minute, second, nanosecond } = date(SystemTime::now());
    format!(
        "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanosecond:09} +0000 UTC"
    )
}

/// `2006/01/02 15:04:05`, as Go's `log` begins its lines.
pub(crate) fn log_time() -> String {
    let Date { year, month, day, hour, minute, second, .. } = date(SystemTime::now());
    format!("{year}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `0102 15:04:05.999999`, as klog has it.
pub(crate) fn klog_time() -> String {
    let Date { month, day, hour, minute, second, nanosecond, .. } = date(SystemTime::now());
    format!("{month:02}{day:02} {hour:02}:{minute:02}:{second:02}.{:06}", nanosecond / 1000)
}

/// A line on standard error, as Go's `log` writes it.
pub(crate) fn log(text: &str) {
    eprintln!("{} {text}", log_time());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        let of = |seconds| {
            let date = date(UNIX_EPOCH + Duration::from_secs(seconds));
            (date.year, date.month, date.day, date.hour, date.minute, date.second)
        };
        assert_eq!(of(784_111_777), (1994, 11, 6, 8, 49, 37));
        assert_eq!(of(951_782_400), (2000, 2, 29, 0, 0, 0));
    }
}

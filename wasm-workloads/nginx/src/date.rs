//! Times as HTTP and nginx's logs write them. All are UTC: a container has no other zone.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: u64,
    /// 1 to 12.
    month: u64,
    day: u64,
    /// 0 is a Thursday, as 1 January 1970 was.
    weekday: usize,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Date {
    /// Howard Hinnant's `civil_from_days`: eras of 400 years that begin in March.
    fn of(unix_seconds: u64) -> Self {
        let days = unix_seconds / 86_400;
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            weekday: (days % 7) as usize,
            hour: unix_seconds / 3600 % 24,
            minute: unix_seconds / 60 % 60,
            second: unix_seconds % 60,
        }
    }

    fn month_name(&self) -> &'static str {
        MONTHS[self.month as usize - 1]
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub(crate) fn http(unix_seconds: u64) -> String {
    let date = Date::of(unix_seconds);
    let Date { year, day, hour, minute, second, .. } = date;
    let (weekday, month) = (DAYS[date.weekday], date.month_name());
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// The Unix time of what [`http`] writes; nothing for anything else.
pub(crate) fn parse_http(text: &str) -> Option<u64> {
    let rest = text.split_once(", ")?.1.strip_suffix(" GMT")?;
    let mut parts = rest.split([' ', ':']);
    let number = |parts: &mut dyn Iterator<Item = &str>| parts.next()?.parse::<u64>().ok();
    let day = number(&mut parts)?;
    let month = MONTHS.iter().position(|month| Some(*month) == parts.clone().next())? as u64 + 1;
    parts.next();
    let year = number(&mut parts)?;
    let (hour, minute, second) = (number(&mut parts)?, number(&mut parts)?, number(&mut parts)?);
    if !(1970..=9999).contains(&year) || day == 0 || day > 31 || hour > 23 || minute > 59 {
        return None;
    }
    let (shifted_year, shifted_month) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = (era * 146_097 + of_era).checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// `06/Nov/1994:08:49:37 +0000`
pub(crate) fn access_log(unix_seconds: u64) -> String {
    let date = Date::of(unix_seconds);
    let Date { year, day, hour, minute, second, .. } = date;
    let month = date.month_name();
    format!("{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// `1994/11/06 08:49:37`
pub(crate) fn error_log(unix_seconds: u64) -> String {
    let Date { year, month, day, hour, minute, second, .. } = Date::of(unix_seconds);
    format!("{year}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `1994-11-06T08:49:37+00:00`
pub(crate) fn iso8601(unix_seconds: u64) -> String {
    let Date { year, month, day, hour, minute, second, .. } = Date::of(unix_seconds);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
}

/// `06-Nov-1994 08:49`
pub(crate) fn listing(unix_seconds: u64) -> String {
    let date = Date::of(unix_seconds);
    let Date { year, day, hour, minute, .. } = date;
    format!("{day:02}-{}-{year} {hour:02}:{minute:02}", date.month_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read() {
        assert_eq!(http(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(access_log(784_111_777), "06/Nov/1994:08:49:37 +0000");
        assert_eq!(error_log(784_111_777), "1994/11/06 08:49:37");
        assert_eq!(iso8601(784_111_777), "1994-11-06T08:49:37+00:00");
        assert_eq!(listing(784_111_777), "06-Nov-1994 08:49");
        for time in (0..4_000_000_000).step_by(86_400 * 13 + 3601) {
            assert_eq!(parse_http(&http(time)), Some(time));
        }
        for text in ["", "now", "Sun, 06 Nov 1994", "Sun, 40 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_http(text), None, "{text}");
        }
    }
}

//! The next time that fits, with clocks that are put forward and back.
//!
//! A field that does not fit is moved on, and what is finer starts anew; months and days by the calendar,
//! hours and minutes by time that passes. So a time that a day does not have is left out that day, and one
//! that it has twice comes twice.
//!
//! Upstream: `SpecSchedule.Next` in `spec.go` of `github.com/robfig/cron/v3`.

use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

use super::fields::{Fields, STAR, has};

/// Bound: further on nothing is looked for.
const YEARS_MAX: i16 = 5;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn next(fields: &Fields, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let start = Timestamp::from_second(after.as_second() + 1).ok()?;
    let mut search = Search { fields, zone, at: start, moved: false };
    let last_year = search.local().year() + YEARS_MAX;
    while search.local().year() <= last_year {
        if search.month()? && search.day()? && search.hour()? && search.minute()? {
            return Some(search.at);
        }
    }
    None
}

struct Search<'a> {
    fields: &'a Fields,
    zone: &'a TimeZone,
    at: Timestamp,
    /// What is finer than the first field that did not fit has been put to its beginning.
    moved: bool,
}

/// Each step moves to a time that fits its field. False: the field above has changed on the way, and all
/// begin anew. None: the calendar has come to its end.
impl Search<'_> {
    fn local(&self) -> DateTime {
        self.zone.to_datetime(self.at)
    }

    fn month(&mut self) -> Option<bool> {
        while !has(self.fields.month, self.local().month()) {
            let mut local = self.local();
            if !self.moved {
                self.moved = true;
                local = local.date().first_of_month().to_datetime(Time::midnight());
            }
            self.at = self.instant(local.checked_add(Span::new().months(1)).ok()?)?;
            if self.local().month() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn day(&mut self) -> Option<bool> {
        while !self.day_fits() {
            let mut local = self.local();
            if !self.moved {
                self.moved = true;
                local = local.date().to_datetime(Time::midnight());
            }
            self.at = self.instant(local.checked_add(Span::new().days(1)).ok()?)?;
            // Where midnight is skipped, or comes twice, the hour is another one.
            let hour = i64::from(self.local().hour());
            let off = if hour > 12 { 24 - hour } else { -hour };
            self.at = self.at.checked_add(SignedDuration::from_hours(off)).ok()?;
            if self.local().day() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Two restrictions of the day are alternatives; one alone must hold.
    fn day_fits(&self) -> bool {
        let local = self.local();
        let of_month = has(self.fields.day_of_month, local.day());
        let of_week = has(self.fields.day_of_week, local.weekday().to_sunday_zero_offset());
        if (self.fields.day_of_month | self.fields.day_of_week) & STAR != 0 {
            of_month && of_week
        } else {
            of_month || of_week
        }
    }

    fn hour(&mut self) -> Option<bool> {
        while !has(self.fields.hour, self.local().hour()) {
            if !self.moved {
                self.moved = true;
                let local = self.local();
                let hour = local.date().at(local.hour(), 0, 0, 0);
                self.at = self.instant(hour)?;
            }
            self.at = self.at.checked_add(HOUR).ok()?;
            if self.local().hour() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Schedules have no seconds: only the beginning of a minute fits.
    fn minute(&mut self) -> Option<bool> {
        loop {
            let local = self.local();
            if has(self.fields.minute, local.minute()) && local.second() == 0 {
                return Some(true);
            }
            self.moved = true;
            let left = SignedDuration::from_secs(60 - i64::from(local.second()));
            self.at = self.at.checked_add(left).ok()?;
            if self.local().minute() == 0 {
                return Some(false);
            }
        }
    }

    /// When the clock on the wall shows that. Of a time that it shows twice, or never, the offset that holds
    /// at the first guess decides.
    ///
    /// Upstream: Go's `time.Date`.
    fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let guess = Offset::UTC.to_timestamp(local).ok()?;
        let before = |offset: Offset| {
            guess.checked_sub(SignedDuration::from_secs(i64::from(offset.seconds()))).ok()
        };
        before(self.zone.to_offset(before(self.zone.to_offset(guess))?))
    }
}

//! Which time of a schedule is due, and when to look again.
//!
//! Upstream: `mostRecentScheduleTime`, `nextScheduleTimeDuration` in `pkg/controller/cronjob/utils.go`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::cron::Schedule;

/// So long after a time has come it is looked at, in case clocks disagree. Upstream's `nextScheduleDelta`.
const DELTA: Duration = Duration::from_millis(100);

/// More than so many missed times are told of. Upstream's number.
const MISSED_MAX: i64 = 100;

/// What a schedule had for the time since somebody last looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// The latest time that has come.
    At {
        time: Timestamp,
        too_many_missed: bool,
    },
    /// Two times of the schedule are not a second apart, or it has none at all.
    Never,
}

/// The latest time after `earliest` that is not after `now`.
pub(super) fn due(schedule: &Schedule, earliest: Timestamp, now: Timestamp) -> Due {
    // What never comes is the year 1 to Go, and that is always over: then both are the same.
    let Some(first) = schedule.next(earliest) else { return Due::Never };
    if now < first {
        return Due::Nothing;
    }
    let Some(second) = schedule.next(first) else {
        return Due::At { time: first, too_many_missed: false };
    };
    if now < second {
        return Due::At { time: first, too_many_missed: false };
    }
    let period = second.duration_since(first).as_secs();
    if period < 1 {
        return Due::Never;
    }
    let missed = now.duration_since(first).as_secs() / period + 1;
    let too_many_missed = missed > MISSED_MAX;
    // A guess that is exact for regular schedules. From one that is too late (over a weekend off, say) nothing
    // follows before now; upstream misses the time then, here the half way is tried.
    let mut periods = missed - 2;
    loop {
        let guess = first + SignedDuration::from_secs(periods * period);
        let times = std::iter::successors(schedule.next(guess), |time| schedule.next(*time));
        if let Some(time) = times.take_while(|time| *time <= now).last() {
            return Due::At { time, too_many_missed };
        }
        if periods == 0 {
            return Due::At { time: second, too_many_missed };
        }
        periods /= 2;
    }
}

/// How long until the schedule's next time. `last` is when a Job was last made, or the CronJob itself.
pub(super) fn next(schedule: &Schedule, last: Timestamp, now: Timestamp) -> Option<Duration> {
    let from = match due(schedule, last, now) {
        Due::Nothing => last,
        Due::At { time, .. } => time,
        Due::Never => now,
    };
    let left = schedule.next(from)?.duration_since(now);
    Some(Duration::try_from(left).unwrap_or_default() + DELTA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        format!("2026-03-{text}Z").parse().unwrap()
    }

    #[track_caller]
    fn check(schedule: &str, earliest: &str, now: &str, expect: Option<(&str, bool)>) {
        let schedule = Schedule::parse(schedule).unwrap();
        let expect = expect.map_or(Due::Nothing, |(at, too_many_missed)| Due::At {
            time: time(at),
            too_many_missed,
        });
        assert_eq!(due(&schedule, time(earliest), time(now)), expect);
    }

    #[test]
    fn the_latest_time_is_due() {
        check("0 * * * *", "01T10:05:00", "01T10:59:59", None);
        check("0 * * * *", "01T10:05:00", "01T11:00:00", Some(("01T11:00:00", false)));
        check("0 * * * *", "01T10:05:00", "01T15:30:00", Some(("01T15:00:00", false)));
        check("0 * * * *", "01T10:05:00", "09T15:30:00", Some(("09T15:00:00", true)));
        // Not regular: the guess is off, and the answer is not.
        check("30 6-16/4 * * 1-5", "06T10:31:00", "09T09:00:00", Some(("09T06:30:00", false)));
        check("30 6-16/4 * * 1-5", "04T10:31:00", "08T09:00:00", Some(("06T14:30:00", false)));
        check("@every 90m", "01T10:00:00", "01T14:31:00", Some(("01T14:30:00", false)));
    }

    #[test]
    fn the_next_look_is_just_after_the_next_time() {
        let schedule = Schedule::parse("0 * * * *").unwrap();
        let next = |last: &str, now: &str| next(&schedule, time(last), time(now)).unwrap();
        assert_eq!(next("01T10:00:00", "01T10:20:00"), Duration::from_millis(2_400_100));
        assert_eq!(next("01T03:00:00", "01T10:20:00"), Duration::from_millis(2_400_100));
        let never = Schedule::parse("0 0 31 2 *").unwrap();
        assert_eq!(due(&never, time("01T00:00:00"), time("02T00:00:00")), Due::Never);
        assert_eq!(super::next(&never, time("01T00:00:00"), time("02T00:00:00")), None);
    }
}

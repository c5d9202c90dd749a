//! What table cells have in common: ages, names, absent values.
//!
//! Upstream: `pkg/printers/internalversion/printers.go`, `apimachinery/pkg/util/duration`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

use super::Column;
use crate::api::selector::Labels;

/// The first column of most kinds.
pub(super) const NAME: Column = Column {
    name: "Name",
    type_: "string",
    format: "name",
    description: "Name is unique within a namespace, or within the cluster for kinds without one.",
    priority: 0,
};

/// How long ago the object was created.
pub(super) const AGE: Column =
    column("Age", "Time since the server created the object, rounded as it grows.");

/// When the object was created: what kinds show that have no printer of their own upstream.
pub(super) const CREATED_AT: Column =
    Column { type_: "date", ..column("Created At", "When the server created the object, in UTC.") };

/// A column of strings that is always shown.
pub(super) const fn column(name: &'static str, description: &'static str) -> Column {
    Column { name, type_: "string", format: "", description, priority: 0 }
}

/// A column of whole numbers that is always shown.
pub(super) const fn number(name: &'static str, description: &'static str) -> Column {
    Column { name, type_: "integer", format: "", description, priority: 0 }
}

/// A column of strings that only `-o wide` shows.
pub(super) const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { name, type_: "string", format: "", description, priority: 1 }
}

/// The Name cell.
pub(super) fn name(meta: &ObjectMeta) -> Value {
    meta.name.clone().unwrap_or_default().into()
}

/// The Age cell.
pub(super) fn age(meta: &ObjectMeta, now: Timestamp) -> Value {
    since(meta.creation_timestamp.as_ref().map(|time| time.0), now).into()
}

/// The Created At cell.
pub(super) fn created_at(meta: &ObjectMeta) -> Value {
    meta.creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default().into()
}

/// How long ago `then` was; `<unknown>` if it never was.
pub(super) fn since(then: Option<Timestamp>, now: Timestamp) -> String {
    let Some(then) = then else { return "<unknown>".to_owned() };
    human_duration(now.duration_since(then).as_secs())
}

/// `text`, or `placeholder` where there is none.
pub(super) fn or<'a>(text: Option<&'a str>, placeholder: &'a str) -> &'a str {
    text.filter(|text| !text.is_empty()).unwrap_or(placeholder)
}

/// Labels as a selector would be written: `a=1,b=2`; `<none>` if there are none.
///
/// Upstream: `labels.FormatLabels`.
pub(super) fn labels(labels: Option<&BTreeMap<String, String>>) -> String {
    let pairs: Vec<String> =
        labels.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A selector as kubectl writes it; `<none>` if it selects everything, or is not there. It was
/// checked when it came.
///
/// Upstream: `metav1.FormatLabelSelector`.
pub(super) fn selector(selector: Option<&LabelSelector>) -> String {
    let text = selector.and_then(|selector| Labels::from_typed(Some(selector)).ok());
    let text = text.map(|labels| labels.to_string()).unwrap_or_default();
    or(Some(&text), "<none>").to_owned()
}

/// At most this many items of a list are shown.
const LIST_ITEMS_MAX: usize = 3;

/// The first items of a list, and how many more there are; `placeholder` if there are none.
///
/// Upstream: `listWithMoreString`.
pub(super) fn list(items: impl IntoIterator<Item = String>, placeholder: &str) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(LIST_ITEMS_MAX).collect();
    match items.count() {
        0 if shown.is_empty() => placeholder.to_owned(),
        0 => shown.join(","),
        more => format!("{} + {more} more...", shown.join(",")),
    }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// A duration in seconds, in at most two units: the longer, the coarser. One second below zero is
/// taken for clocks that disagree; more is `<invalid>`.
///
/// Upstream: `duration.HumanDuration`.
pub(super) fn human_duration(seconds: i64) -> String {
    match seconds {
        ..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two_units(seconds, MINUTE, 'm', 1, 's'),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two_units(seconds, HOUR, 'h', MINUTE, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two_units(seconds, DAY, 'd', HOUR, 'h'),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two_units(seconds, YEAR, 'y', DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

fn two_units(seconds: i64, big: i64, big_name: char, small: i64, small_name: char) -> String {
    match seconds % big / small {
        0 => format!("{}{big_name}", seconds / big),
        rest => format!("{}{big_name}{rest}{small_name}", seconds / big),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, expect: &str) {
        assert_eq!(human_duration(seconds), expect);
    }

    #[test]
    fn durations_get_coarser_as_they_grow() {
        check(-2, "<invalid>");
        check(-1, "0s");
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(121, "2m1s");
        check(599, "9m59s");
        check(600, "10m");
        check(3 * HOUR - 1, "179m");
        check(3 * HOUR, "3h");
        check(3 * HOUR + MINUTE, "3h1m");
        check(8 * HOUR - 1, "7h59m");
        check(8 * HOUR, "8h");
        check(2 * DAY - 1, "47h");
        check(2 * DAY, "2d");
        check(2 * DAY + HOUR, "2d1h");
        check(8 * DAY, "8d");
        check(2 * YEAR - 1, "729d");
        check(2 * YEAR, "2y");
        check(2 * YEAR + DAY, "2y1d");
        check(8 * YEAR + 3 * DAY, "8y");
    }

    #[test]
    fn what_never_was_has_no_age() {
        assert_eq!(since(None, Timestamp::UNIX_EPOCH), "<unknown>");
        assert_eq!(since(Some(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH), "0s");
    }
}

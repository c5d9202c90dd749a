//! How long a Job waits before it makes Pods in place of failed ones.
//!
//! Upstream: `pkg/controller/job/backoff_utils.go`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::pod;
use crate::client::queue::Backoff;

/// Upstream's `DefaultJobPodFailureBackOff` and `MaxJobPodFailureBackOff`.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(10), max: Duration::from_secs(600) };

/// A Job's failures since a Pod of it last succeeded. Forgotten when sampan stops, as upstream's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    failures: u32,
    last_failure: Option<Timestamp>,
}

impl Record {
    /// With the Pods that have ended since.
    #[must_use]
    pub(super) fn after(self, succeeded: &[Arc<Pod>], failed: &[Arc<Pod>]) -> Self {
        let last_success = succeeded.iter().map(|pod| pod::finished_at(pod)).max();
        let before = if last_success.is_some() { Self::default() } else { self };
        let ends = failed.iter().map(|pod| pod::finished_at(pod));
        let ends: Vec<_> =
            ends.filter(|end| last_success.is_none_or(|success| *end > success)).collect();
        Self {
            failures: before.failures.saturating_add(u32::try_from(ends.len()).unwrap_or(u32::MAX)),
            last_failure: ends.into_iter().max().or(before.last_failure),
        }
    }

    /// What is left of the wait; zero if there is none.
    pub(super) fn remaining(self, now: Timestamp) -> Duration {
        match self.last_failure {
            Some(last) => remaining(self.failures, last, now),
            None => Duration::ZERO,
        }
    }
}

/// The same for one index, by the last Pod of it that has failed.
pub(super) fn remaining_of_index(last: &Pod, now: Timestamp) -> Duration {
    let failures = pod::failures(last).saturating_add(pod::ignored_failures(last)) + 1;
    remaining(u32::try_from(failures).unwrap_or(u32::MAX), pod::finished_at(last), now)
}

fn remaining(failures: u32, last: Timestamp, now: Timestamp) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let passed = now.duration_since(last);
    let left = jiff::SignedDuration::try_from(BACKOFF.delay(failures)).map(|delay| delay - passed);
    left.ok().and_then(|left| Duration::try_from(left).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(second: u32) -> Arc<Pod> {
        let time = format!("2026-01-01T00:00:{second:02}Z");
        Arc::new(serde_json::from_value(json!({"metadata": {"creationTimestamp": time}})).unwrap())
    }

    #[track_caller]
    fn check(record: Record, second: i64, expect: u64) {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = start + jiff::SignedDuration::from_secs(second);
        assert_eq!(record.remaining(now), Duration::from_secs(expect));
    }

    #[test]
    fn each_failure_doubles_the_wait_and_a_success_ends_it() {
        let none = Record::default();
        check(none, 0, 0);
        let first = none.after(&[], &[ended(0)]);
        check(first, 0, 10);
        check(first, 4, 6);
        check(first, 11, 0);
        let second = first.after(&[], &[ended(20)]);
        check(second, 20, 20);
        check(second.after(&[], &[]), 25, 15);
        let many = second.after(&[], &[ended(40), ended(30), ended(35)]);
        check(many, 40, 160);
        check(many.after(&[ended(50)], &[]), 50, 0);
        // Only what failed after the success counts.
        let after = many.after(&[ended(45)], &[ended(44), ended(46)]);
        check(after, 46, 10);
        let far = (0..9).fold(none, |record, _| record.after(&[], &[ended(0)]));
        check(far, 0, 600);
    }
}

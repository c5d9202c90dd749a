//! How long a failed Pod is left before another one is tried on its node: longer each time.
//!
//! Upstream: `failedPodsBackoff` of `pkg/controller/daemon`, a `flowcontrol.Backoff`.

use std::collections::HashMap;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(15 * 60);

/// Bound: one entry per set, generation and node; what has been quiet for twice the longest time is
/// forgotten.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<Key, Failure>);

/// Uid and generation of the set, and the node.
pub(super) type Key = (String, i64, String);

#[derive(Debug)]
struct Failure {
    at: Duration,
    delay: Duration,
}

impl Failures {
    /// What is left of the delay. Times are of a monotonic clock.
    pub(super) fn left(&self, key: &Key, now: Duration) -> Option<Duration> {
        let failure = self.0.get(key)?;
        (failure.at + failure.delay).checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Another one has failed and is replaced.
    pub(super) fn note(&mut self, key: Key, now: Duration) {
        self.0.retain(|_, failure| now < failure.at + 2 * MAX);
        let failure = self.0.entry(key).or_insert(Failure { at: now, delay: FIRST / 2 });
        *failure = Failure { at: now, delay: (failure.delay * 2).min(MAX) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_twice_as_long() {
        let seconds = Duration::from_secs;
        let key = |node: &str| ("u".to_owned(), 1, node.to_owned());
        let mut failures = Failures::default();
        assert_eq!(failures.left(&key("a"), seconds(0)), None);
        failures.note(key("a"), seconds(0));
        assert_eq!(failures.left(&key("a"), seconds(0)), Some(seconds(1)));
        assert_eq!(failures.left(&key("a"), seconds(1)), None);
        failures.note(key("a"), seconds(1));
        assert_eq!(failures.left(&key("a"), seconds(1)), Some(seconds(2)));
        assert_eq!(failures.left(&key("b"), seconds(1)), None);
        for _ in 0..20 {
            failures.note(key("a"), seconds(10));
        }
        assert_eq!(failures.left(&key("a"), seconds(10)), Some(MAX));
        failures.note(key("a"), seconds(3600));
        assert_eq!(failures.left(&key("a"), seconds(3600)), Some(seconds(1)));
    }
}

//! How long to wait before something that failed is tried again.
//!
//! Upstream: `k8s.io/client-go/util/flowcontrol/backoff.go`, with the kubelet's bounds.

use std::time::Duration;

use jiff::Timestamp;

/// Upstream's `containerBackOffPeriod` and `imageBackOffPeriod`.
const FIRST: Duration = Duration::from_secs(10);
/// Upstream's `MaxContainerBackOff`.
const MAX: Duration = Duration::from_secs(300);

/// The wait of one container, or of one image of a container.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff(Option<Wait>);

#[derive(Debug, Clone)]
struct Wait {
    delay: Duration,
    since: Timestamp,
}

impl Backoff {
    /// How long after `failed_at` the next try may be made. None the first time, and none after a
    /// run of more than ten minutes.
    pub(super) fn delay(&self, failed_at: Timestamp) -> Duration {
        self.fresh(failed_at).map_or(Duration::ZERO, |wait| wait.delay)
    }

    /// A try is being made at `now`, after a failure at `failed_at`: the next one waits longer.
    pub(super) fn advance(&mut self, failed_at: Timestamp, now: Timestamp) {
        let delay = self.fresh(failed_at).map_or(FIRST, |wait| (wait.delay * 2).min(MAX));
        self.0 = Some(Wait { delay, since: now });
    }

    fn fresh(&self, failed_at: Timestamp) -> Option<&Wait> {
        self.0.as_ref().filter(|wait| {
            let since: Duration =
                failed_at.duration_since(wait.since).try_into().unwrap_or_default();
            since <= MAX * 2
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_five_minutes_and_reset_after_ten() {
        let mut backoff = Backoff::default();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let delay = backoff.delay(now);
            waits.push(delay.as_secs());
            let failed_at = now;
            now += delay;
            backoff.advance(failed_at, now);
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.delay(now + Duration::from_secs(600)), MAX);
        assert_eq!(backoff.delay(now + Duration::from_secs(601)), Duration::ZERO);
    }
}

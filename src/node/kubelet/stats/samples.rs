//! From CPU time to how much of a core it is: pure.

use std::time::Duration;

/// Samples are taken so far apart. Upstream: metrics-server's `--metric-resolution`.
pub(super) const PERIOD: Duration = Duration::from_secs(15);
/// An average is over so long at least, where there is as much to average over. Upstream:
/// `freshContainerMinMetricsResolution` of metrics-server.
const WINDOW_MIN: Duration = Duration::from_secs(10);
/// What has just started has computed for its start alone: that says nothing of what it will use.
const AGE_MIN: Duration = Duration::from_secs(1);

/// CPU time used and requests answered so far, and when that was read on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) cpu: Duration,
    pub(super) requests: u64,
}

/// The two latest samples of something. One taken now is between [`WINDOW_MIN`] and their sum with
/// [`PERIOD`] away from one of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samples {
    older: Sample,
    newer: Sample,
}

/// How much something computed over some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) window: Duration,
    /// Billionths of a core.
    pub(super) nanocores: u64,
    /// Thousandths of a request each second.
    pub(super) request_millis: u64,
}

impl Samples {
    /// Of something that starts now.
    pub(super) fn starting(at: Duration, cpu: Duration) -> Self {
        let sample = Sample { at, cpu, requests: 0 };
        Self { older: sample, newer: sample }
    }

    pub(super) fn take(&mut self, sample: Sample) {
        self.older = std::mem::replace(&mut self.newer, sample);
    }

    /// `None` for what has just started.
    pub(super) fn rate(&self, now: Sample) -> Option<Rate> {
        let is_far = now.at.saturating_sub(self.newer.at) >= WINDOW_MIN;
        let from = if is_far { self.newer } else { self.older };
        let window = now.at.saturating_sub(from.at);
        if window < AGE_MIN {
            return None;
        }
        let cpu = now.cpu.saturating_sub(from.cpu);
        let each_second = |amount: u128, unit: u128| {
            let amount = amount * unit * 1_000_000_000 / window.as_nanos();
            u64::try_from(amount).unwrap_or(u64::MAX)
        };
        let requests = u128::from(now.requests.saturating_sub(from.requests));
        Some(Rate {
            window,
            nanocores: each_second(cpu.as_nanos(), 1),
            request_millis: each_second(requests, 1000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, cpu_millis: u64) -> Sample {
        let (at, cpu) = (Duration::from_secs(at), Duration::from_millis(cpu_millis));
        Sample { at, cpu, requests: 0 }
    }

    #[track_caller]
    fn check(samples: Samples, now: Sample, expect: Option<(u64, u64)>) {
        let rate = samples.rate(now).map(|rate| (rate.window.as_secs(), rate.nanocores));
        assert_eq!(rate, expect);
    }

    #[test]
    fn the_average_is_over_ten_seconds_or_since_the_start() {
        let mut samples = Samples::starting(Duration::from_secs(100), Duration::ZERO);
        check(samples, sample(100, 0), None);
        check(samples, sample(104, 1000), Some((4, 250_000_000)));
        samples.take(sample(110, 1000));
        // The newer one is too near.
        check(samples, sample(115, 3000), Some((15, 200_000_000)));
        check(samples, sample(120, 6000), Some((10, 500_000_000)));
        samples.take(sample(125, 6000));
        check(samples, sample(126, 6000), Some((16, 312_500_000)));
        check(samples, sample(135, 6000), Some((10, 0)));
    }

    #[test]
    fn requests_are_told_each_second() {
        let samples = Samples::starting(Duration::ZERO, Duration::ZERO);
        let rate = samples.rate(Sample { requests: 25, ..sample(10, 0) });
        assert_eq!(rate.map(|rate| rate.request_millis), Some(2_500));
    }

    #[test]
    fn several_cores_are_more_than_one() {
        let samples = Samples::starting(Duration::ZERO, Duration::ZERO);
        check(samples, sample(10, 15_000), Some((10, 1_500_000_000)));
    }
}

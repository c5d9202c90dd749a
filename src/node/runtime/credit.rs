//! Who computes little and waits much goes first: pure.

use std::time::Duration;

/// What a guest may compute before it counts as busy; no more is saved up. Two ticks: one that
/// answers requests, or a shell that starts a program, needs less.
const CREDIT_MAX: Duration = Duration::from_millis(10);
/// With so much saved up, one that was busy is not any more. Less than all, or one that computes as
/// much as it waits would be neither.
const CREDIT_AGAIN: Duration = Duration::from_millis(5);

/// What all new processes of a container may have of it together, and how fast that comes back: a
/// quarter of a core. Whoever starts programs without end has spent it, and its programs are busy from
/// the start.
const STARTS_MAX: Duration = Duration::from_millis(50);
const STARTS_REFILL: u32 = 4;

/// How much one instance of a guest may compute ahead of those that only compute. Computing spends it;
/// waiting for something (not for its turn, and not because of its limit) saves as much.
#[derive(Debug)]
pub(super) struct Credit {
    left: Duration,
    is_busy: bool,
    /// On the clock's monotonic scale.
    waits_since: Option<Duration>,
}

impl Credit {
    pub(super) fn new() -> Self {
        Self { left: CREDIT_MAX, is_busy: false, waits_since: None }
    }

    /// One that begins with so much only.
    fn with(left: Duration) -> Self {
        Self { left, is_busy: left.is_zero(), waits_since: None }
    }

    /// It has its turn.
    pub(super) fn begin(&mut self, now: Duration) {
        let Some(since) = self.waits_since.take() else { return };
        self.left = (self.left + now.saturating_sub(since)).min(CREDIT_MAX);
        self.is_busy &= self.left < CREDIT_AGAIN;
    }

    pub(super) fn spend(&mut self, used: Duration) {
        self.left = self.left.saturating_sub(used);
        self.is_busy |= self.left.is_zero();
    }

    /// It waits for something from now on.
    pub(super) fn wait(&mut self, now: Duration) {
        self.waits_since = Some(now);
    }

    /// Whether it has to step back behind others.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }
}

/// What a container's new processes begin with: less, the more the container has computed of late.
#[derive(Debug)]
pub(super) struct Starts {
    left: Duration,
    /// When that was so on the clock's monotonic scale, and the container's CPU time then.
    at: Duration,
    total: Duration,
}

impl Starts {
    pub(super) fn new() -> Self {
        Self { left: STARTS_MAX, at: Duration::ZERO, total: Duration::ZERO }
    }

    /// A process starts; `total`: what the container has computed so far.
    pub(super) fn start(&mut self, now: Duration, total: Duration) -> Credit {
        let refilled = self.left + now.saturating_sub(self.at) / STARTS_REFILL;
        let spent = total.saturating_sub(self.total);
        self.left = refilled.saturating_sub(spent).min(STARTS_MAX);
        (self.at, self.total) = (now, total);
        Credit::with(self.left.min(CREDIT_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn one_that_only_computes_is_busy_and_stays_so() {
        let mut credit = Credit::new();
        for tick in 0..100 {
            credit.begin(millis(5 * tick));
            assert_eq!(credit.is_busy(), tick >= 2);
            credit.spend(millis(5));
        }
    }

    #[test]
    fn one_that_waits_as_long_as_it_computes_is_not() {
        let mut credit = Credit::new();
        for turn in 0..100 {
            credit.begin(millis(10 * turn));
            credit.spend(millis(5));
            credit.wait(millis(10 * turn + 5));
            assert!(!credit.is_busy());
        }
    }

    #[test]
    fn a_container_that_starts_processes_without_end_starts_busy_ones() {
        let mut starts = Starts::new();
        // Each process computes for 2 ms, on two cores at once.
        let busy: Vec<bool> =
            (0..100).map(|n| starts.start(millis(n), millis(2 * n)).is_busy()).collect();
        assert!(!busy[20] && busy[40..].iter().all(|busy| *busy), "{busy:?}");
        // An hour later somebody enters it.
        assert!(!starts.start(millis(3_600_000), millis(200)).is_busy());
    }

    #[test]
    fn one_that_was_busy_has_to_wait_first() {
        let mut credit = Credit::new();
        credit.begin(millis(0));
        credit.spend(millis(100));
        credit.wait(millis(100));
        credit.begin(millis(104));
        assert!(credit.is_busy());
        credit.wait(millis(104));
        credit.begin(millis(105));
        assert!(!credit.is_busy());
    }
}

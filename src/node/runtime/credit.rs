//! Who computes little and waits much goes first: pure.

use std::time::Duration;

/// What may be computed before that counts as busy; no more is saved up. Two ticks: one that answers
/// requests, or a shell that starts a program, needs less.
const CREDIT_MAX: Duration = Duration::from_millis(10);
/// So much is saved in the time that was waited: a server that is asked again and again, by few, computes
/// most of the time.
const SAVED_PER_WAITED: u32 = 4;
/// With so much saved up, one that was busy is not any more. Less than all, or one that computes as
/// much as it waits would be neither.
const CREDIT_AGAIN: Duration = Duration::from_millis(5);

/// How much those who share it (the processes of a container; an instance of a server, alone) may
/// compute ahead of those that only compute. Computing spends it. As long as none of them wants to
/// compute, it is saved; not while one waits for its turn, or for another one of them that does:
/// else a crowd would have it for starving.
#[derive(Debug)]
pub(super) struct Credit {
    left: Duration,
    is_busy: bool,
    /// Of them, how many compute or are about to.
    runnable: usize,
    /// Since none does, on the clock's monotonic scale.
    idle_since: Option<Duration>,
}

impl Credit {
    pub(super) fn new() -> Self {
        Self { left: CREDIT_MAX, is_busy: false, runnable: 0, idle_since: None }
    }

    /// One more wants to compute.
    pub(super) fn wake(&mut self, now: Duration) {
        self.save(now);
        self.idle_since = None;
        self.runnable += 1;
    }

    /// One of them waits for something, or has ended.
    pub(super) fn wait(&mut self, now: Duration) {
        self.runnable = self.runnable.saturating_sub(1);
        if self.runnable == 0 {
            self.idle_since = Some(now);
        }
    }

    pub(super) fn spend(&mut self, used: Duration) {
        self.left = self.left.saturating_sub(used);
        self.is_busy |= self.left.is_zero();
    }

    /// They begin anew.
    pub(super) fn fill(&mut self) {
        (self.left, self.is_busy) = (CREDIT_MAX, false);
    }

    /// Whether they have to step back behind others.
    pub(super) fn is_busy(&mut self, now: Duration) -> bool {
        self.save(now);
        self.is_busy
    }

    fn save(&mut self, now: Duration) {
        let Some(since) = &mut self.idle_since else { return };
        let saved = now.saturating_sub(*since) * SAVED_PER_WAITED;
        self.left = (self.left + saved).min(CREDIT_MAX);
        self.is_busy &= self.left < CREDIT_AGAIN;
        *since = now;
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
        credit.wake(millis(0));
        for tick in 0..100 {
            assert_eq!(credit.is_busy(millis(5 * tick)), tick >= 2);
            credit.spend(millis(5));
        }
    }

    #[test]
    fn one_that_waits_a_fifth_of_the_time_is_not() {
        let mut credit = Credit::new();
        for turn in 0..100 {
            credit.wake(millis(10 * turn));
            credit.spend(millis(8));
            credit.wait(millis(10 * turn + 8));
            assert!(!credit.is_busy(millis(10 * turn + 8)));
        }
    }

    #[test]
    fn one_that_was_busy_has_to_wait_first() {
        let mut credit = Credit::new();
        credit.wake(millis(0));
        credit.spend(millis(100));
        credit.wait(millis(100));
        assert!(credit.is_busy(millis(101)));
        credit.wake(millis(101));
        credit.wait(millis(101));
        assert!(!credit.is_busy(millis(102)));
    }

    #[test]
    fn a_new_request_is_answered_with_all_of_it() {
        let mut credit = Credit::new();
        credit.wake(millis(0));
        credit.spend(millis(10));
        credit.wait(millis(10));
        credit.fill();
        assert!(!credit.is_busy(millis(10)));
        credit.spend(millis(9));
        assert!(!credit.is_busy(millis(10)));
    }

    #[test]
    fn a_crowd_saves_nothing_while_one_of_it_wants_to_compute() {
        let mut credit = Credit::new();
        credit.wake(millis(0));
        credit.spend(millis(10));
        // Each starts another one and waits for it; their turns are far apart.
        for turn in 1..100 {
            credit.wake(millis(50 * turn));
            credit.wait(millis(50 * turn));
            assert!(credit.is_busy(millis(50 * turn)));
        }
        credit.wait(millis(5000));
        assert!(!credit.is_busy(millis(5010)));
    }
}

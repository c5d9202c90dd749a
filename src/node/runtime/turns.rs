//! Whether an instance wants to compute: told by its wakers and by its turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::credit::Credit;

const WAITING: u8 = 0;
/// Woken, or paused; its turn will come.
const RUNNABLE: u8 = 1;
const COMPUTING: u8 = 2;
/// The same, and woken meanwhile.
const WOKEN: u8 = 3;

/// One instance among those that share a credit.
#[derive(Debug)]
pub(super) struct Turns {
    state: AtomicU8,
    credit: Arc<Mutex<Credit>>,
}

impl Turns {
    pub(super) fn new(credit: Arc<Mutex<Credit>>) -> Self {
        Self { state: AtomicU8::new(WAITING), credit }
    }

    pub(super) fn wake(&self, now: impl FnOnce() -> Duration) {
        let step = |state| match state {
            WAITING => Some(RUNNABLE),
            COMPUTING => Some(WOKEN),
            _ => None,
        };
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
        if before == Ok(WAITING) {
            self.credit.lock().wake(now());
        }
    }

    pub(super) fn begin(&self, now: Duration) {
        if self.state.swap(COMPUTING, Ordering::AcqRel) == WAITING {
            self.credit.lock().wake(now);
        }
    }

    /// `goes_on`: it waits for nothing but its turn.
    pub(super) fn end(&self, now: Duration, goes_on: bool) {
        let waits = |from| {
            self.state.compare_exchange(from, WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        if !goes_on && waits(COMPUTING) {
            self.credit.lock().wait(now);
        } else {
            self.state.store(RUNNABLE, Ordering::Release);
        }
    }

    /// It has ended, or nobody will give it a turn any more.
    pub(super) fn rest(&self, now: Duration) {
        if self.state.swap(WAITING, Ordering::AcqRel) != WAITING {
            self.credit.lock().wait(now);
        }
    }

    pub(super) fn spend(&self, used: Duration) {
        self.credit.lock().spend(used);
    }

    pub(super) fn fill(&self) {
        self.credit.lock().fill();
    }

    pub(super) fn is_busy(&self, now: Duration) -> bool {
        self.credit.lock().is_busy(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn whoever_is_woken_or_paused_waits_for_nothing() {
        let credit = Arc::new(Mutex::new(Credit::new()));
        let turns = Turns::new(credit);
        let spent = |now| {
            turns.begin(now);
            turns.spend(millis(10));
        };
        spent(millis(0));
        turns.end(millis(10), true);
        assert!(turns.is_busy(millis(1000)), "paused");
        spent(millis(1000));
        turns.wake(|| millis(1005));
        turns.end(millis(1010), false);
        assert!(turns.is_busy(millis(2000)), "woken while it computed");
        spent(millis(2000));
        turns.end(millis(2010), false);
        turns.wake(|| millis(2011));
        turns.wake(|| millis(2012));
        assert!(turns.is_busy(millis(3000)), "woken soon after");
        turns.begin(millis(3000));
        turns.end(millis(3000), false);
        assert!(!turns.is_busy(millis(3010)));
    }

    #[test]
    fn one_that_is_gone_keeps_nobody_from_saving() {
        let credit = Arc::new(Mutex::new(Credit::new()));
        let (one, other) = (Turns::new(credit.clone()), Turns::new(credit));
        other.wake(|| millis(0));
        one.begin(millis(0));
        one.spend(millis(10));
        one.end(millis(10), false);
        assert!(one.is_busy(millis(1000)));
        other.rest(millis(1000));
        other.rest(millis(1000));
        assert!(!one.is_busy(millis(1010)));
    }
}

//! Measures and bounds the time a process computes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::credit::Credit;
use super::limits::CpuBudget;
use super::turns::Turns;
use crate::client::clock::Clock;

/// A turn that takes no longer is short. Asking the kernel for a thread's CPU time costs as much as
/// many a short turn, so short ones are charged by the monotonic clock, which is the same as long as
/// the thread is not interrupted.
const SHORT_TURN_NANOS_MAX: u64 = 200_000;
/// So many short turns in a row make an instance one that computes little at a time. A turn of such a
/// one that turns out to be long is charged by the monotonic clock until its first pause.
const SHORT_TURNS: usize = 8;

/// The meter of one instance of a process; charges its container's budget.
#[derive(Debug)]
pub(super) struct Meter {
    clock: Clock,
    budget: Arc<CpuBudget>,
    /// Up to when is charged, in nanoseconds: of the thread's CPU time if `is_exact`, else monotonic.
    charged: AtomicU64,
    /// When the turn, or what of it is not charged yet, began: monotonic nanoseconds.
    began: AtomicU64,
    is_exact: AtomicBool,
    /// Short turns since the last long one, [`SHORT_TURNS`] at most.
    short_turns: AtomicUsize,
    turns: Turns,
    /// It waits for its turn or because of its limit, for nothing else.
    is_paused: AtomicBool,
    process: Arc<Total>,
}

/// What a process's instances have in common.
#[derive(Debug, Default)]
struct Total {
    /// In nanoseconds.
    nanos: AtomicU64,
    /// Instances that are on a thread right now.
    computing: AtomicUsize,
}

impl Meter {
    pub(super) fn new(clock: Clock, budget: Arc<CpuBudget>) -> Arc<Self> {
        let turns = Turns::new(budget.credit());
        Arc::new(Self::of(clock, budget, Arc::default(), turns))
    }

    /// For one more instance of the same process: each is on one thread at a time.
    pub(super) fn another(&self) -> Arc<Self> {
        let (clock, budget) = (self.clock.clone(), self.budget.clone());
        let turns = Turns::new(Arc::new(Mutex::new(Credit::new())));
        Arc::new(Self::of(clock, budget, self.process.clone(), turns))
    }

    fn of(clock: Clock, budget: Arc<CpuBudget>, process: Arc<Total>, turns: Turns) -> Self {
        Self {
            clock,
            budget,
            charged: AtomicU64::new(0),
            began: AtomicU64::new(0),
            is_exact: AtomicBool::new(false),
            short_turns: AtomicUsize::new(SHORT_TURNS),
            turns,
            is_paused: AtomicBool::new(false),
            process,
        }
    }

    /// The process's CPU time.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.process.nanos.load(Ordering::Relaxed))
    }

    pub(super) fn is_computing(&self) -> bool {
        self.process.computing.load(Ordering::Relaxed) > 0
    }

    /// Whether it computes too much to go before others.
    pub(super) fn is_busy(&self) -> bool {
        self.turns.is_busy(self.clock.monotonic())
    }

    /// It answers another request: who is asked has not computed for its own sake.
    pub(super) fn asked(&self) {
        self.turns.fill();
    }

    /// For those that are busy: so many of a container compute at a time, and the others queue, so that
    /// a container with very many gets no more than one with few.
    pub(super) fn busy_places(&self) -> Arc<Semaphore> {
        self.budget.busy_places()
    }

    /// It has something to compute.
    pub(super) fn wake(&self) {
        self.turns.wake(|| self.clock.monotonic());
    }

    /// It has ended, or nobody asks for it any more.
    pub(super) fn rest(&self) {
        self.turns.rest(self.clock.monotonic());
    }

    /// What a guest awaits that has computed for a tick: the others' turn, or until the container's
    /// limit lets it go on.
    pub(super) fn pause(&self) -> BoxFuture<'static, ()> {
        let resume = self.charge();
        // The rest of the turn: exactly, now that it is long.
        self.start_counting(self.began.load(Ordering::Relaxed));
        self.is_paused.store(true, Ordering::Relaxed);
        match resume {
            None => Box::pin(tokio::task::yield_now()),
            Some(resume) => {
                let (clock, budget) = (self.clock.clone(), self.budget.clone());
                Box::pin(async move {
                    clock.sleep_until(resume).await;
                    // Others of the container may have been faster.
                    budget.available(&clock).await;
                })
            }
        }
    }

    /// Waits until the container may compute.
    pub(super) async fn available(&self) {
        self.budget.available(&self.clock).await;
    }

    /// Its turn begins.
    pub(super) fn begin(&self) {
        let monotonic = self.clock.monotonic();
        self.is_paused.store(false, Ordering::Relaxed);
        self.turns.begin(monotonic);
        self.start_counting(nanos(monotonic));
        self.process.computing.fetch_add(1, Ordering::Relaxed);
    }

    /// Its turn ends; the last one if `is_over`, which others have yet to learn. A pause is served at the next epoch; what is spent in short turns is charged here.
    pub(super) fn end(&self, is_over: bool) {
        let _ = self.charge();
        self.process.computing.fetch_sub(1, Ordering::Relaxed);
        let now = Duration::from_nanos(self.began.load(Ordering::Relaxed));
        self.turns.end(now, is_over || self.is_paused.load(Ordering::Relaxed));
    }

    fn start_counting(&self, now: u64) {
        let is_exact = self.short_turns.load(Ordering::Relaxed) < SHORT_TURNS;
        let from = if is_exact { thread_cpu_nanos(&self.clock) } else { now };
        self.is_exact.store(is_exact, Ordering::Relaxed);
        self.charged.store(from, Ordering::Relaxed);
        self.began.store(now, Ordering::Relaxed);
    }

    /// Charges what has been computed since the last charge; answers until when the budget says to
    /// wait.
    fn charge(&self) -> Option<Duration> {
        let monotonic = self.clock.monotonic();
        let now = nanos(monotonic);
        let is_exact = self.is_exact.load(Ordering::Relaxed);
        let until = if is_exact { thread_cpu_nanos(&self.clock) } else { now };
        let used = until.saturating_sub(self.charged.swap(until, Ordering::Relaxed));
        let is_short =
            now.saturating_sub(self.began.swap(now, Ordering::Relaxed)) <= SHORT_TURN_NANOS_MAX;
        let short_turns = self.short_turns.load(Ordering::Relaxed);
        let short_turns = if is_short { (short_turns + 1).min(SHORT_TURNS) } else { 0 };
        self.short_turns.store(short_turns, Ordering::Relaxed);
        self.process.nanos.fetch_add(used, Ordering::Relaxed);
        self.turns.spend(Duration::from_nanos(used));
        self.budget.charge(monotonic, Duration::from_nanos(used))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(unix)]
fn thread_cpu_nanos(_: &Clock) -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (time.tv_sec as u64, time.tv_nsec as u64);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Elsewhere the time of day stands in: on a busy machine a guest gets less than its share.
#[cfg(not(unix))]
fn thread_cpu_nanos(clock: &Clock) -> u64 {
    nanos(clock.monotonic())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn short_turns_are_charged_by_the_clock_and_long_ones_by_the_threads_time() {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let meter = Meter::new(clock.clone(), Arc::new(CpuBudget::new(None)));
        let turn = |time: Duration| {
            let before = meter.total();
            meter.begin();
            clock.advance(time);
            meter.charge();
            meter.total() - before
        };
        let (short, long) = (Duration::from_micros(100), Duration::from_secs(3600));
        assert_eq!(turn(short), short);
        // Nobody knew before that it would be long.
        assert_eq!(turn(long), long);
        for _ in 0..SHORT_TURNS {
            assert!(turn(short) != short, "the thread's own time is never as round");
        }
        assert_eq!(turn(short), short);
        turn(long);
        assert!(turn(long) < long, "the thread has not computed for an hour");
    }
}

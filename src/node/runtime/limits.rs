//! Memory and CPU budgets, shared by all processes of a container.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use wasmtime::ResourceLimiter;

use super::credit::Credit;
use super::kill::KillSwitch;
use crate::client::clock::Clock;

/// What a table's element costs the host, in bytes.
const TABLE_ELEMENT_BYTES: usize = 8;
/// Bound: elements of one table; the pool is made for it.
pub(super) const TABLE_ELEMENTS_MAX: usize = 100_000;
/// CPU time is handed out by windows of this length, as CFS bandwidth control does.
const WINDOW: Duration = Duration::from_millis(100);

/// Bytes of linear memories and tables: of a container, or of all of them.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    used: AtomicU64,
    max: u64,
}

impl MemoryBudget {
    pub(super) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), max })
    }

    #[must_use]
    fn take(&self, bytes: u64) -> bool {
        let take = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn max(&self) -> u64 {
        self.max
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// One instance's share of the budgets; given back when dropped.
#[derive(Debug)]
pub(super) struct MemoryShare {
    own: u64,
    /// Of the process, which may have several instances, for others to see.
    bytes: Arc<AtomicU64>,
    container: Arc<MemoryBudget>,
    everyone: Arc<MemoryBudget>,
    /// The container's: running over the limit ends all of it, as a cgroup's `oom.group` does.
    kill: KillSwitch,
}

/// The error that stops a guest whose container is out of memory; what counts is the kill switch.
#[derive(Debug, thiserror::Error)]
#[error("the container's memory limit is reached")]
pub(super) struct OutOfMemory;

impl MemoryShare {
    pub(super) fn new(
        bytes: Arc<AtomicU64>,
        container: Arc<MemoryBudget>,
        everyone: Arc<MemoryBudget>,
        kill: KillSwitch,
    ) -> Self {
        Self { own: 0, bytes, container, everyone, kill }
    }

    /// Over the container's limit is the end; over the node's, the growth fails.
    fn grow(&mut self, bytes: usize) -> wasmtime::Result<bool> {
        let bytes = bytes as u64;
        if !self.container.take(bytes) {
            self.kill.out_of_memory();
            return Err(OutOfMemory.into());
        }
        if !self.everyone.take(bytes) {
            self.container.give_back(bytes);
            return Ok(false);
        }
        self.own += bytes;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(true)
    }
}

impl ResourceLimiter for MemoryShare {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) * TABLE_ELEMENT_BYTES)
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.own, Ordering::Relaxed);
        self.container.give_back(self.own);
        self.everyone.give_back(self.own);
    }
}

/// CPU time of a container; with a limit, window by window.
#[derive(Debug)]
pub(super) struct CpuBudget {
    millis_max: Option<u64>,
    window: Mutex<Window>,
    /// Of all its processes.
    credit: Arc<Mutex<Credit>>,
    /// For those of its processes that are busy.
    busy_places: Arc<Semaphore>,
    /// Since the container's start, in nanoseconds.
    total: AtomicU64,
}

/// Windows follow one another without a gap, as the limit is a share of all time.
#[derive(Debug, Default)]
struct Window {
    /// On the clock's monotonic scale.
    ends: Duration,
    /// With what earlier windows owe.
    used: Duration,
}

impl CpuBudget {
    /// `millis_max`: thousandths of a core.
    pub(super) fn new(millis_max: Option<u64>) -> Self {
        Self {
            millis_max,
            window: Mutex::default(),
            credit: Arc::new(Mutex::new(Credit::new())),
            busy_places: Arc::new(Semaphore::new(cores())),
            total: AtomicU64::new(0),
        }
    }

    /// When to go on, if what there is for now is used up.
    pub(super) fn resume(&self, now: Duration) -> Option<Duration> {
        self.millis_max?;
        self.charge(now, Duration::ZERO)
    }

    pub(super) fn busy_places(&self) -> Arc<Semaphore> {
        self.busy_places.clone()
    }

    pub(super) fn credit(&self) -> Arc<Mutex<Credit>> {
        self.credit.clone()
    }

    /// Waits until something may be computed.
    pub(super) async fn available(&self, clock: &Clock) {
        while let Some(resume) = self.resume(clock.monotonic()) {
            clock.sleep_until(resume).await;
        }
    }

    pub(super) fn millis_max(&self) -> Option<u64> {
        self.millis_max
    }

    /// Notes that `used` was spent; if it was too much, answers when to go on. What is spent beyond
    /// a window's share is owed by the next ones: that may be several.
    pub(super) fn charge(&self, now: Duration, used: Duration) -> Option<Duration> {
        self.total.fetch_add(used.as_nanos() as u64, Ordering::Relaxed);
        let per_window = WINDOW / 1000 * u32::try_from(self.millis_max?.max(1)).unwrap_or(u32::MAX);
        let mut window = self.window.lock();
        if now >= window.ends {
            let passed = windows(now - window.ends, WINDOW).saturating_add(1);
            window.used = window.used.saturating_sub(per_window.saturating_mul(passed));
            window.ends += WINDOW.saturating_mul(passed);
        }
        window.used += used;
        let owed = windows(window.used, per_window).checked_sub(1)?;
        Some(window.ends + WINDOW.saturating_mul(owed))
    }

    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.total.load(Ordering::Relaxed))
    }
}

fn cores() -> usize {
    /// Finding out reads half a dozen files of the host's.
    static CORES: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));
    *CORES
}

/// How often `part` is in `whole`.
fn windows(whole: Duration, part: Duration) -> u32 {
    u32::try_from(whole.as_nanos() / part.as_nanos()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(limit: u64, node: u64) -> (MemoryShare, KillSwitch, Arc<MemoryBudget>) {
        let kill = KillSwitch::new();
        let container = MemoryBudget::new(limit);
        let share = MemoryShare::new(
            Arc::default(),
            container.clone(),
            MemoryBudget::new(node),
            kill.clone(),
        );
        (share, kill, container)
    }

    #[test]
    fn over_the_containers_limit_all_of_it_ends() {
        let (mut share, kill, budget) = share(100, 1000);
        assert!(share.memory_growing(0, 60, None).unwrap());
        assert!(share.memory_growing(60, 120, None).is_err());
        assert!(kill.exit().oom_killed);
        assert_eq!(budget.used(), 60);
        drop(share);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn over_the_nodes_limit_growth_fails() {
        let (mut share, kill, budget) = share(1000, 100);
        assert!(!share.memory_growing(0, 120, None).unwrap());
        assert_eq!((kill.token.is_cancelled(), budget.used()), (false, 0));
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn half_a_core_pauses_after_half_a_window() {
        let budget = CpuBudget::new(Some(500));
        assert_eq!(budget.charge(millis(10), millis(40)), None);
        assert_eq!(budget.charge(millis(50), millis(20)), Some(millis(100)));
        assert_eq!(budget.charge(millis(100), millis(0)), None);
        assert_eq!(budget.charge(millis(120), millis(39)), None);
        assert_eq!(budget.charge(millis(130), millis(2)), Some(millis(200)));
        assert_eq!(budget.total(), millis(101));
    }

    #[test]
    fn what_was_too_much_is_paid_by_as_many_windows_as_it_takes() {
        let budget = CpuBudget::new(Some(200));
        assert_eq!(budget.charge(millis(70), millis(70)), Some(millis(300)));
        assert_eq!(budget.resume(millis(299)), Some(millis(300)));
        // 10 ms of its 20 are still owed.
        assert_eq!(budget.charge(millis(300), millis(9)), None);
        assert_eq!(budget.charge(millis(310), millis(1)), Some(millis(400)));
        // What a window did not use is gone.
        assert_eq!(budget.charge(millis(2000), millis(20)), Some(millis(2100)));
    }

    /// Whoever computes whenever it may gets its share of all time, however late it is woken.
    #[test]
    fn over_ten_seconds_the_share_is_exact() {
        for (limit, tick, late) in [(200, 5, 0), (200, 5, 30), (500, 7, 3), (1500, 10, 1)] {
            let budget = CpuBudget::new(Some(limit));
            let (mut now, mut resume) = (millis(13), None);
            while now < millis(10_013) {
                now = match resume {
                    Some(resume) => resume + millis(late),
                    None => now + millis(tick),
                };
                // Two cores.
                let used = if resume.is_none() { 2 * tick } else { 0 };
                resume = budget.charge(now, millis(used));
            }
            let share = budget.total().as_secs_f64() / 10.0 * 1000.0;
            assert!((share / limit as f64 - 1.0).abs() < 0.02, "{limit}m became {share:.0}m");
        }
    }
}

//! Memory and CPU budgets, shared by all processes of a container.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::ResourceLimiter;

use super::kill::KillSwitch;

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
    /// Since the container's start, in nanoseconds.
    total: AtomicU64,
}

#[derive(Debug, Default)]
struct Window {
    /// On the clock's monotonic scale.
    ends: Duration,
    used: Duration,
}

impl CpuBudget {
    /// `millis_max`: thousandths of a core.
    pub(super) fn new(millis_max: Option<u64>) -> Self {
        Self { millis_max, window: Mutex::default(), total: AtomicU64::new(0) }
    }

    /// When to go on, if what there is for now is used up.
    pub(super) fn resume(&self, now: Duration) -> Option<Duration> {
        self.millis_max?;
        self.charge(now, Duration::ZERO)
    }

    pub(super) fn millis_max(&self) -> Option<u64> {
        self.millis_max
    }

    /// Notes that `used` was spent; if it was too much, answers when to go on. What is spent beyond
    /// a window's share is owed by the next ones.
    pub(super) fn charge(&self, now: Duration, used: Duration) -> Option<Duration> {
        self.total.fetch_add(used.as_nanos() as u64, Ordering::Relaxed);
        let per_window = WINDOW / 1000 * u32::try_from(self.millis_max?.max(1)).unwrap_or(u32::MAX);
        let mut window = self.window.lock();
        if now >= window.ends {
            let windows_passed = (now - window.ends).as_nanos() / WINDOW.as_nanos() + 1;
            let paid = per_window.saturating_mul(u32::try_from(windows_passed).unwrap_or(u32::MAX));
            window.used = window.used.saturating_sub(paid);
            window.ends = now + WINDOW;
        }
        window.used += used;
        (window.used >= per_window).then_some(window.ends)
    }

    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.total.load(Ordering::Relaxed))
    }
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

    #[test]
    fn half_a_core_pauses_after_half_a_window() {
        let budget = CpuBudget::new(Some(500));
        let millis = Duration::from_millis;
        assert_eq!(budget.charge(millis(10), millis(40)), None);
        assert_eq!(budget.charge(millis(50), millis(20)), Some(millis(110)));
        assert_eq!(budget.charge(millis(110), millis(0)), None);
        assert_eq!(budget.charge(millis(120), millis(39)), None);
        assert_eq!(budget.charge(millis(130), millis(2)), Some(millis(210)));
    }
}

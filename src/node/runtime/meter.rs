//! Measures and bounds the time a process computes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;

use super::limits::CpuBudget;
use super::ticker::Ticker;
use crate::client::clock::Clock;

/// The meter of one instance of a process; charges its container's budget.
#[derive(Debug)]
pub(super) struct Meter {
    clock: Clock,
    budget: Arc<CpuBudget>,
    /// CPU time of the current thread up to which is charged, in nanoseconds.
    charged: AtomicU64,
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
        Arc::new(Self { clock, budget, charged: AtomicU64::new(0), process: Arc::default() })
    }

    /// For one more instance of the same process: each is on one thread at a time.
    pub(super) fn another(&self) -> Arc<Self> {
        let (clock, budget) = (self.clock.clone(), self.budget.clone());
        Arc::new(Self { clock, budget, charged: AtomicU64::new(0), process: self.process.clone() })
    }

    /// The process's CPU time.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.process.nanos.load(Ordering::Relaxed))
    }

    pub(super) fn is_computing(&self) -> bool {
        self.process.computing.load(Ordering::Relaxed) > 0
    }

    /// What a guest awaits that has computed for a tick: the others' turn, or the end of the window
    /// if the container's share of it is used up.
    pub(super) fn pause(&self) -> BoxFuture<'static, ()> {
        match self.charge() {
            None => Box::pin(tokio::task::yield_now()),
            Some(resume) => {
                let clock = self.clock.clone();
                Box::pin(async move { clock.sleep_until(resume).await })
            }
        }
    }

    fn begin(&self) {
        self.charged.store(thread_cpu_nanos(&self.clock), Ordering::Relaxed);
        self.process.computing.fetch_add(1, Ordering::Relaxed);
    }

    fn charge(&self) -> Option<Duration> {
        let now = thread_cpu_nanos(&self.clock);
        let used = now.saturating_sub(self.charged.swap(now, Ordering::Relaxed));
        self.process.nanos.fetch_add(used, Ordering::Relaxed);
        self.budget.charge(self.clock.monotonic(), Duration::from_nanos(used))
    }
}

/// A guest's future: keeps the epochs ticking while it computes, and its meter running.
pub(super) struct Metered<T> {
    inner: BoxFuture<'static, T>,
    ticker: Arc<Ticker>,
    meter: Arc<Meter>,
}

impl<T> Metered<T> {
    pub(super) fn new(
        inner: impl Future<Output = T> + Send + 'static,
        ticker: Arc<Ticker>,
        meter: Arc<Meter>,
    ) -> Self {
        Self { inner: Box::pin(inner), ticker, meter }
    }
}

impl<T> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let _computing = this.ticker.computing();
        this.meter.begin();
        let polled = this.inner.as_mut().poll(cx);
        // A pause is served at the next epoch; what is spent in short turns is charged here.
        let _ = this.meter.charge();
        this.meter.process.computing.fetch_sub(1, Ordering::Relaxed);
        polled
    }
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
    clock.monotonic().as_nanos() as u64
}

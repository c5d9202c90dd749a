//! Measures and bounds the time a process computes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;

use super::limits::CpuBudget;
use super::ticker::Ticker;
use crate::client::clock::Clock;

/// One process's meter; charges its container's budget.
#[derive(Debug)]
pub(super) struct Meter {
    clock: Clock,
    /// `None`: no limit, nothing is measured.
    budget: Option<Arc<CpuBudget>>,
    /// CPU time of the current thread up to which is charged, in nanoseconds.
    charged: AtomicU64,
}

impl Meter {
    pub(super) fn new(clock: Clock, budget: Option<Arc<CpuBudget>>) -> Arc<Self> {
        Arc::new(Self { clock, budget, charged: AtomicU64::new(0) })
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
        if self.budget.is_some() {
            self.charged.store(thread_cpu_nanos(&self.clock), Ordering::Relaxed);
        }
    }

    fn charge(&self) -> Option<Duration> {
        let budget = self.budget.as_ref()?;
        let now = thread_cpu_nanos(&self.clock);
        let since = self.charged.swap(now, Ordering::Relaxed);
        budget.charge(self.clock.monotonic(), Duration::from_nanos(now.saturating_sub(since)))
    }
}

/// A process's future: keeps the epochs ticking while it computes, and its meter running.
pub(super) struct Metered<F> {
    inner: Pin<Box<F>>,
    ticker: Arc<Ticker>,
    meter: Arc<Meter>,
}

impl<F: Future> Metered<F> {
    pub(super) fn new(inner: F, ticker: Arc<Ticker>, meter: Arc<Meter>) -> Self {
        Self { inner: Box::pin(inner), ticker, meter }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _computing = this.ticker.computing();
        this.meter.begin();
        let polled = this.inner.as_mut().poll(cx);
        // A pause is served at the next epoch; what is spent in short turns is charged here.
        let _ = this.meter.charge();
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

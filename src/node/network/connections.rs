//! A Pod's account of its open connections: a bound, and the news that none is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Error;
use crate::client::clock::Clock;

/// Open connections, listeners and sockets for datagrams of a Pod, both ends of connections to itself
/// counted. More harm nobody else, but each costs memory of the node.
pub const CONNECTIONS_MAX: usize = 16 * 1024;
/// The same of the node itself: each of those who connect to it, or by it, has a bound of its own.
pub(super) const CONNECTIONS_OF_NODE_MAX: usize = 16 * CONNECTIONS_MAX;
/// Connections of a Pod to the node's own servers (the API, names by TCP), which are there for all: they
/// let at most 512 in their handshake, so that eight Pods of ill will are needed to keep others waiting.
pub(super) const CONNECTIONS_TO_NODE_MAX: usize = 64;

/// Instead of a number of connections: nobody is connected, and nobody will be.
const RETIRED: usize = usize::MAX;

#[derive(Debug)]
pub(super) struct Connections {
    clock: Clock,
    max: usize,
    open: AtomicUsize,
    /// Those of `open` that others began; [`RETIRED`] once none is taken any more.
    inbound: AtomicUsize,
    idle: Notify,
    /// When the last of others' connections ended, on the monotonic clock, in microseconds.
    quiet_since: AtomicU64,
}

/// One open connection; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    of: Arc<Connections>,
    is_inbound: bool,
}

impl Connections {
    pub(super) fn new(clock: Clock, max: usize) -> Self {
        let quiet_since = AtomicU64::new(micros(clock.monotonic()));
        let (open, inbound, idle) = Default::default();
        Self { clock, max, open, inbound, idle, quiet_since }
    }

    /// # Errors
    /// [`Error::LimitReached`] at its bound; [`Error::Refused`] from others once retired.
    pub(super) fn open(self: &Arc<Self>, is_inbound: bool) -> Result<Slot, Error> {
        let taken = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < self.max).then_some(open + 1)
        });
        taken.map_err(|_| Error::LimitReached)?;
        let mut slot = Slot { of: self.clone(), is_inbound: false };
        if is_inbound {
            let more = |inbound| (inbound != RETIRED).then_some(inbound + 1);
            let taken = self.inbound.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more);
            taken.map_err(|_| Error::Refused)?;
            slot.is_inbound = true;
        }
        Ok(slot)
    }

    pub(super) fn inbound(&self) -> usize {
        match self.inbound.load(Ordering::Relaxed) {
            RETIRED => 0,
            inbound => inbound,
        }
    }

    /// Takes no more connections of others, if there is none now; answers whether that is so.
    pub(super) fn retire(&self) -> bool {
        let before = self.inbound.compare_exchange(0, RETIRED, Ordering::AcqRel, Ordering::Acquire);
        matches!(before, Ok(0) | Err(RETIRED))
    }

    /// Since when nobody is connected to the Pod, on the monotonic clock; `None` if somebody is.
    pub(super) fn quiet_since(&self) -> Option<Duration> {
        let since = Duration::from_micros(self.quiet_since.load(Ordering::Acquire));
        (self.inbound() == 0).then_some(since)
    }

    /// Waits until nobody is connected to the Pod.
    pub(super) async fn idle(&self) {
        loop {
            let changed = self.idle.notified();
            if self.inbound() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.of.open.fetch_sub(1, Ordering::Relaxed);
        if self.is_inbound {
            // Before the count falls: who sees that nobody is connected sees since when.
            self.of.quiet_since.store(micros(self.of.clock.monotonic()), Ordering::Release);
        }
        if self.is_inbound && self.of.inbound.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.of.idle.notify_waiters();
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

//! What there is only so much of, shared among holders who know nothing of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// So many permits. Who holds some gets another only while more are free than it holds: one greedy
/// holder gets half of them, `n` get one in `n + 1` each, and as many are left for whoever comes.
#[derive(Debug)]
pub(super) struct Pool {
    free: Mutex<usize>,
    /// A permit was given back.
    returned: Notify,
}

/// One holder's part of a pool.
#[derive(Debug)]
pub struct Share {
    pool: Arc<Pool>,
    /// Changes only while the pool is locked.
    held: AtomicUsize,
    /// Whose turn it is to wait for a permit: of each share one waits, and the others behind it.
    turn: tokio::sync::Mutex<()>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<Share>);

impl Pool {
    pub(super) fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(permits), returned: Notify::new() })
    }

    pub(super) fn share(self: &Arc<Self>) -> Arc<Share> {
        let (pool, held, turn) = (self.clone(), AtomicUsize::default(), Default::default());
        Arc::new(Share { pool, held, turn })
    }
}

impl Share {
    /// `None` if it would be unfair to the others, or nothing is left.
    pub fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let mut free = self.pool.free.lock();
        if self.held.load(Ordering::Relaxed) >= *free {
            return None;
        }
        *free -= 1;
        self.held.fetch_add(1, Ordering::Relaxed);
        Some(Permit(self.clone()))
    }

    /// Waits for a permit, behind those of this share who wait already.
    pub async fn take(self: &Arc<Self>) -> Permit {
        let _turn = self.turn.lock().await;
        loop {
            let mut returned = std::pin::pin!(self.pool.returned.notified());
            returned.as_mut().enable();
            if let Some(permit) = self.try_take() {
                return permit;
            }
            returned.await;
        }
    }

    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let pool = &self.0.pool;
        let mut free = pool.free.lock();
        *free += 1;
        self.0.held.fetch_sub(1, Ordering::Relaxed);
        drop(free);
        pool.returned.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(share: &Arc<Share>) -> Vec<Permit> {
        std::iter::from_fn(|| share.try_take()).collect()
    }

    #[test]
    fn greedy_holders_leave_some_for_those_who_come_later() {
        let pool = Pool::new(90);
        let shares = [(); 3].map(|()| pool.share());
        let first = all(&shares[0]);
        let second = all(&shares[1]);
        let third = all(&shares[2]);
        assert_eq!([first.len(), second.len(), third.len()], [45, 23, 11]);
        drop(first);
        assert_eq!(all(&shares[1]).len() + second.len(), 40);
        drop((second, third));
        assert_eq!((*pool.free.lock(), shares[0].held()), (90, 0));
    }

    #[test]
    fn the_last_permit_is_for_who_has_none() {
        let pool = Pool::new(2);
        let (greedy, modest) = (pool.share(), pool.share());
        let held = all(&greedy);
        assert_eq!(held.len(), 1);
        assert!(modest.try_take().is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_given_back() {
        let pool = Pool::new(2);
        let (one, other) = (pool.share(), pool.share());
        let held = one.try_take().unwrap();
        let waiting = one.take();
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        // Not one more for who has one, though one is free.
        drop(other.try_take().unwrap());
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        drop(held);
        waiting.await;
        assert_eq!(one.held(), 0);
    }
}

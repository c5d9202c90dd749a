//! A work queue of keys, for reconcilers: each key waits at most once, is worked on by at most one
//! worker at a time, and is tried again later, and later still, when its work fails.
//!
//! Upstream: client-go's `util/workqueue` (`Type`, `DelayingInterface`, `ItemExponentialFailureRateLimiter`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::client::clock::Clock;

/// How long a failing key waits: `first`, then twice as long each time, at most `max`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
}

impl Backoff {
    /// The wait after this many failures in a row (one or more).
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }
}

/// Who goes first: the smaller; of equals who came first.
type Rank<K> = Box<dyn Fn(&K) -> i64 + Send + Sync>;

/// Cheap to clone; all clones are one queue.
pub struct Queue<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    clock: Clock,
    backoff: Backoff,
    rank: Rank<K>,
    state: Mutex<State<K>>,
    changed: Notify,
}

/// Bound: one entry per key in each of these, so no more than there are objects.
struct State<K> {
    ready: BTreeMap<(i64, u64), K>,
    /// What is in `ready`, or will be when the worker that holds it is done.
    dirty: HashSet<K>,
    working: HashSet<K>,
    delayed: HashMap<K, Duration>,
    /// `delayed` by time, on the clock's monotonic scale.
    due: BTreeMap<(Duration, u64), K>,
    sequence: u64,
    failures: HashMap<K, u32>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K> fmt::Debug for Queue<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("Queue")
            .field("ready", &state.ready.len())
            .field("working", &state.working.len())
            .field("delayed", &state.delayed.len())
            .finish()
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    pub fn new(clock: Clock, backoff: Backoff) -> Self {
        Self::ranked(clock, backoff, |_| 0)
    }

    /// One in which keys of a smaller rank overtake the others. `rank` is asked when a key becomes ready; it
    /// must not use the queue.
    pub fn ranked(
        clock: Clock,
        backoff: Backoff,
        rank: impl Fn(&K) -> i64 + Send + Sync + 'static,
    ) -> Self {
        let rank = Box::new(rank);
        let state = State {
            ready: BTreeMap::new(),
            dirty: HashSet::new(),
            working: HashSet::new(),
            delayed: HashMap::new(),
            due: BTreeMap::new(),
            sequence: 0,
            failures: HashMap::new(),
        };
        let (state, changed) = (Mutex::new(state), Notify::new());
        let shared = Shared { clock, backoff, rank, state, changed };
        Self { shared: Arc::new(shared) }
    }

    /// Has the key worked on as soon as possible; again, if a worker holds it right now.
    pub fn add(&self, key: K) {
        self.shared.state.lock().add(key, &self.shared.rank);
        self.shared.changed.notify_one();
    }

    /// Has the key worked on after `delay`; the earliest of several delays counts.
    pub fn add_after(&self, key: K, delay: Duration) {
        let at = self.shared.clock.monotonic() + delay;
        self.shared.state.lock().delay(key, at);
        self.shared.changed.notify_one();
    }

    /// The next key to work on; waits for one. The key is the caller's until the claim is dropped.
    /// Losing the race of a `select!` loses nothing.
    pub async fn next(&self) -> Claim<K> {
        loop {
            let due = {
                let mut state = self.shared.state.lock();
                state.ripen(self.shared.clock.monotonic(), &self.shared.rank);
                if let Some(key) = state.claim() {
                    if !state.ready.is_empty() {
                        self.shared.changed.notify_one();
                    }
                    return Claim { key, queue: self.clone() };
                }
                state.due.first_key_value().map(|((at, _), _)| *at)
            };
            match due {
                None => self.shared.changed.notified().await,
                Some(at) => {
                    tokio::select! {
                        () = self.shared.changed.notified() => {}
                        () = self.shared.clock.sleep_until(at) => {}
                    }
                }
            }
        }
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn add(&mut self, key: K, rank: &Rank<K>) {
        if self.dirty.insert(key.clone()) && !self.working.contains(&key) {
            self.push(key, rank);
        }
    }

    fn push(&mut self, key: K, rank: &Rank<K>) {
        self.sequence += 1;
        self.ready.insert((rank(&key), self.sequence), key);
    }

    fn delay(&mut self, key: K, at: Duration) {
        if self.delayed.get(&key).is_some_and(|earlier| *earlier <= at) {
            return;
        }
        self.delayed.insert(key.clone(), at);
        self.sequence += 1;
        self.due.insert((at, self.sequence), key);
    }

    /// Moves what is due to `ready`. An entry of `due` that was overtaken by an earlier one of the
    /// same key no longer agrees with `delayed` and is dropped.
    fn ripen(&mut self, now: Duration, rank: &Rank<K>) {
        while let Some(entry) = self.due.first_entry() {
            let at = entry.key().0;
            if at > now {
                break;
            }
            let key = entry.remove();
            if self.delayed.get(&key) == Some(&at) {
                self.delayed.remove(&key);
                self.add(key, rank);
            }
        }
    }

    fn claim(&mut self) -> Option<K> {
        let (_, key) = self.ready.pop_first()?;
        self.dirty.remove(&key);
        self.working.insert(key.clone());
        Some(key)
    }

    fn release(&mut self, key: &K, rank: &Rank<K>) {
        self.working.remove(key);
        if self.dirty.contains(key) {
            self.push(key.clone(), rank);
        }
    }
}

/// One key being worked on; nobody else gets it until this is dropped.
pub struct Claim<K: Clone + Eq + Hash> {
    key: K,
    queue: Queue<K>,
}

impl<K: Clone + Eq + Hash> Claim<K> {
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The work succeeded: the next failure waits the shortest time again.
    pub fn succeeded(self) {
        self.queue.shared.state.lock().failures.remove(&self.key);
    }

    /// The work failed: tries the key again after its back-off, which it answers.
    pub fn failed(self) -> Duration {
        let delay = {
            let mut state = self.queue.shared.state.lock();
            let failures = state.failures.entry(self.key.clone()).or_insert(0);
            *failures = failures.saturating_add(1);
            self.queue.shared.backoff.delay(*failures)
        };
        self.queue.add_after(self.key.clone(), delay);
        delay
    }
}

impl<K: Clone + Eq + Hash> Drop for Claim<K> {
    fn drop(&mut self) {
        self.queue.shared.state.lock().release(&self.key, &self.queue.shared.rank);
        self.queue.shared.changed.notify_one();
    }
}

impl<K: Clone + Eq + Hash + fmt::Debug> fmt::Debug for Claim<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use jiff::Timestamp;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(5) };

    fn queue() -> (Queue<&'static str>, Clock) {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        (Queue::new(clock.clone(), BACKOFF), clock)
    }

    fn next(queue: &Queue<&'static str>) -> Option<Claim<&'static str>> {
        queue.next().now_or_never()
    }

    #[test]
    fn a_key_waits_only_once() {
        let (queue, _) = queue();
        queue.add("a");
        queue.add("b");
        queue.add("a");
        assert_eq!(next(&queue).expect("a").key(), &"a");
        assert_eq!(next(&queue).expect("b").key(), &"b");
        assert!(next(&queue).is_none());
    }

    #[test]
    fn a_smaller_rank_goes_first() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let queue = Queue::ranked(clock, BACKOFF, |key: &&str| if *key == "king" { -1 } else { 0 });
        for key in ["a", "b", "king"] {
            queue.add(key);
        }
        let order = ["king", "a", "b"].map(|_| *next(&queue).expect("three").key());
        assert_eq!(order, ["king", "a", "b"]);
    }

    #[test]
    fn a_key_is_never_worked_on_twice_at_once_and_never_lost() {
        let (queue, _) = queue();
        queue.add("a");
        let claim = next(&queue).expect("a");
        queue.add("a");
        assert!(next(&queue).is_none());
        drop(claim);
        drop(next(&queue).expect("a again"));
        assert!(next(&queue).is_none());
    }

    #[test]
    fn the_earliest_delay_counts() {
        let (queue, clock) = queue();
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("a", Duration::from_secs(3));
        queue.add_after("a", Duration::from_secs(6));
        assert!(next(&queue).is_none());
        clock.advance(Duration::from_secs(3));
        assert!(next(&queue).is_some());
        clock.advance(Duration::from_secs(60));
        assert!(next(&queue).is_none());
    }

    #[test]
    fn failures_wait_longer_each_time_until_success() {
        let (queue, clock) = queue();
        queue.add("a");
        for seconds in [1, 2, 4, 5, 5] {
            let delay = next(&queue).expect("due").failed();
            assert_eq!(delay, Duration::from_secs(seconds));
            clock.advance(delay);
        }
        next(&queue).expect("due").succeeded();
        queue.add("a");
        assert_eq!(next(&queue).expect("added").failed(), BACKOFF.first);
    }

    #[tokio::test]
    async fn a_waiting_worker_is_woken() {
        let (queue, clock) = queue();
        let (claim, ()) = tokio::join!(queue.next(), async { queue.add("a") });
        claim.succeeded();
        queue.add_after("b", Duration::from_secs(1));
        let (claim, ()) =
            tokio::join!(queue.next(), async { clock.advance(Duration::from_secs(1)) });
        assert_eq!(claim.key(), &"b");
    }
}

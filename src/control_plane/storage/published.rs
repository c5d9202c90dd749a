//! The state that readers see and watchers follow. One writer at a time publishes into it; reading
//! waits for no watcher to be woken.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, broadcast};

use super::state::{State, Step};
use super::topics::Topics;
use super::{Change, Error, Follower, Key, ListQuery, Page, Revision, Stored, Watch};
use crate::client::clock::Clock;

/// Bound: changes a watcher that replays history takes under one lock, and holds at a time.
const REPLAY_MAX: usize = 256;
/// Bound: changes it looks at under one lock.
const SCAN_MAX: usize = 8192;

/// Locks are taken in the order of the fields.
pub(super) struct Published {
    /// Held while a step is published, so that nobody subscribes between its two halves: the state,
    /// then those who are told.
    topics: Mutex<Topics>,
    state: RwLock<State>,
    /// Every change up to this revision has been sent to its watchers.
    sent: AtomicU64,
    closed: AtomicBool,
    /// Told when an object has become the next to expire.
    pub(super) expiry_moved: Notify,
    clock: Clock,
}

impl Published {
    pub(super) fn new(state: State, clock: Clock) -> Self {
        Self {
            sent: AtomicU64::new(state.newest().0),
            topics: Mutex::default(),
            state: RwLock::new(state),
            closed: AtomicBool::new(false),
            expiry_moved: Notify::new(),
            clock,
        }
    }

    /// # Errors
    /// [`Error::Closed`] after [`Published::close`].
    pub(super) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Ends every watch; later calls answer [`Error::Closed`].
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.topics.lock().close();
    }

    /// Runs `read` on the state. Writers wait for it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read())
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Arc<Stored>>, Error> {
        self.check_open()?;
        Ok(self.read(|state| state.get(key).cloned()))
    }

    pub(super) fn list(&self, prefix: &str, query: &ListQuery) -> Result<Page, Error> {
        self.check_open()?;
        self.read(|state| state.list(prefix, query))
    }

    pub(super) fn revision(&self) -> Result<Revision, Error> {
        self.check_open()?;
        Ok(self.read(State::newest))
    }

    pub(super) fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.check_open()?;
        self.state.write().compact(revision)
    }

    /// At most `limit` of the objects that have expired.
    pub(super) fn expired(&self, now: Timestamp, limit: usize) -> Vec<(Key, Revision)> {
        self.read(|state| state.expired(now, limit))
    }

    /// Takes the next steps, and tells the watchers. Only the store's one writer calls it.
    pub(super) fn publish(&self, steps: Vec<Step>) {
        let changes: Vec<Change> = steps.iter().map(|step| step.change.clone()).collect();
        let Some(last) = changes.last() else { return };
        let now = self.clock.monotonic();
        let topics = self.topics.lock();
        let expiry_moved = {
            let mut state = self.state.write();
            let before = state.next_expiry();
            steps.into_iter().for_each(|step| state.apply(step, now));
            state.next_expiry() != before
        };
        topics.send(&changes);
        self.sent.store(last.revision.0, Ordering::Release);
        drop(topics);
        if expiry_moved {
            self.expiry_moved.notify_one();
        }
    }

    pub(super) fn follow(&self, prefix: &str, follower: Box<dyn Follower>) -> Result<(), Error> {
        let mut topics = self.topics.lock();
        follower.begin(self.list(prefix, &ListQuery::default())?);
        topics.follow(prefix, follower);
        Ok(())
    }

    pub(super) fn watch(
        self: &Arc<Self>,
        prefix: &str,
        after: Revision,
    ) -> Result<Box<dyn Watch>, Error> {
        self.check_open()?;
        let mut reader = Reader {
            published: self.clone(),
            prefix: prefix.into(),
            position: after,
            replay: VecDeque::new(),
            live_rx: None,
        };
        reader.catch_up()?;
        Ok(Box::new(reader))
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// A watcher: a position in history until it has caught up, then a subscriber of its topic.
struct Reader {
    published: Arc<Published>,
    prefix: Box<str>,
    /// Everything up to here has been yielded or is in `replay`, and does not concern us otherwise.
    position: Revision,
    replay: VecDeque<Change>,
    /// Set once history has been replayed to its end; unset again when we fall behind.
    live_rx: Option<broadcast::Receiver<Change>>,
}

impl Reader {
    /// Takes the next part of history; at its end, subscribes.
    fn catch_up(&mut self) -> Result<(), Error> {
        let mut topics = self.published.topics.lock();
        self.published.check_open()?;
        let state = self.published.state.read();
        let later = state.history().after(self.position)?;
        for change in later.take(SCAN_MAX) {
            if self.replay.len() == REPLAY_MAX {
                break;
            }
            self.position = change.revision;
            if change.object.key.0.starts_with(&*self.prefix) {
                self.replay.push_back(change.clone());
            }
        }
        if self.position == state.newest() {
            self.live_rx = Some(topics.subscribe(&self.prefix));
        }
        Ok(())
    }

    /// More was sent than the topic holds: `lost` changes are to be read from history, and so is what
    /// still waits in the topic.
    fn fall_behind(&mut self, lost: u64) -> Result<(), Error> {
        let Some(live_rx) = self.live_rx.take() else { return Ok(()) };
        let topics = self.published.topics.lock();
        let missed = lost + live_rx.len() as u64;
        let state = self.published.state.read();
        let concerns_us = |change: &Change| change.object.key.0.starts_with(&*self.prefix);
        // The topic may have been silent for long: our own position may be before all of history.
        let before = state.history().before_last(missed, concerns_us).ok_or_else(|| {
            Error::Expired { requested: self.position, oldest: state.history().floor() }
        })?;
        self.position = self.position.max(before);
        drop(state);
        drop(topics);
        drop(live_rx);
        Ok(())
    }
}

#[async_trait]
impl Watch for Reader {
    async fn next(&mut self) -> Result<Change, Error> {
        loop {
            if let Some(change) = self.replay.pop_front() {
                return Ok(change);
            }
            let Some(live_rx) = &mut self.live_rx else {
                self.catch_up()?;
                continue;
            };
            match live_rx.recv().await {
                Ok(change) => {
                    self.position = change.revision;
                    return Ok(change);
                }
                Err(broadcast::error::RecvError::Lagged(lost)) => self.fall_behind(lost)?,
                Err(broadcast::error::RecvError::Closed) => return Err(Error::Closed),
            }
        }
    }

    fn position(&self) -> Revision {
        if let Some(change) = self.replay.front() {
            return Revision(change.revision.0 - 1);
        }
        // Read before looking into the topic: what was sent by then is in there, or was yielded.
        let sent = Revision(self.published.sent.load(Ordering::Acquire));
        match &self.live_rx {
            Some(live_rx) if live_rx.is_empty() => self.position.max(sent),
            _ => self.position,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The topic counts its subscribers: first stop being one.
        self.live_rx = None;
        self.published.topics.lock().leave(&self.prefix);
    }
}

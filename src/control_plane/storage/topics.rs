//! Who is told of what: those who follow a prefix are called, one after another; those who watch one
//! have a bounded broadcast for all of them. So a change costs only those it concerns, and is shared,
//! never copied, between them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use tokio::sync::broadcast;

use super::{Change, Follower};

/// Bound: changes that wait in a topic for its slowest watcher. A watcher that falls further behind
/// reads on from history; so a narrow topic, of which there may be thousands, can be short.
const WAITING_WIDE: usize = 512;
const WAITING_NARROW: usize = 16;

/// `/core/pods/` and everything shorter is wide.
const WIDE_SLASHES: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Topics {
    followers: ByPrefix<Followers>,
    watchers: ByPrefix<broadcast::Sender<Change>>,
}

impl Topics {
    pub(super) fn follow(&mut self, prefix: &str, follower: Box<dyn Follower>) {
        self.followers.get_or_insert_with(prefix, Followers::default).0.push(follower);
    }

    pub(super) fn subscribe(&mut self, prefix: &str) -> broadcast::Receiver<Change> {
        let slashes = prefix.bytes().filter(|byte| *byte == b'/').count();
        let waiting = if slashes <= WIDE_SLASHES { WAITING_WIDE } else { WAITING_NARROW };
        let topic_tx = self.watchers.get_or_insert_with(prefix, || broadcast::Sender::new(waiting));
        topic_tx.subscribe()
    }

    /// Forgets the topic if its last watcher is gone.
    pub(super) fn leave(&mut self, prefix: &str) {
        if self.watchers.get(prefix).is_some_and(|topic_tx| topic_tx.receiver_count() == 0) {
            self.watchers.remove(prefix);
        }
    }

    /// Tells those whose prefix the changes' keys have: followers first, then watchers.
    pub(super) fn send(&self, changes: &[Change]) {
        for change in changes {
            let followers = self.followers.of(&change.object.key.0);
            followers.flat_map(|all| &all.0).for_each(|follower| follower.changed(change));
        }
        for change in changes {
            for topic_tx in self.watchers.of(&change.object.key.0) {
                // Fails only when the last watcher is just leaving.
                let _ = topic_tx.send(change.clone());
            }
        }
    }

    /// Lets go of all followers, and ends every watch once it has yielded what it was sent.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }
}

#[derive(Default)]
struct Followers(Vec<Box<dyn Follower>>);

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.len())
    }
}

/// What belongs to prefixes of keys.
#[derive(Debug)]
struct ByPrefix<T> {
    by_prefix: HashMap<Box<str>, T>,
    /// How many of the prefixes have this length: the only places to look for a key's.
    lengths: BTreeMap<usize, usize>,
}

impl<T> Default for ByPrefix<T> {
    fn default() -> Self {
        Self { by_prefix: HashMap::new(), lengths: BTreeMap::new() }
    }
}

impl<T> ByPrefix<T> {
    fn get(&self, prefix: &str) -> Option<&T> {
        self.by_prefix.get(prefix)
    }

    fn get_or_insert_with(&mut self, prefix: &str, make: impl FnOnce() -> T) -> &mut T {
        self.by_prefix.entry(prefix.into()).or_insert_with(|| {
            *self.lengths.entry(prefix.len()).or_default() += 1;
            make()
        })
    }

    fn remove(&mut self, prefix: &str) {
        if self.by_prefix.remove(prefix).is_some() {
            let count = self.lengths.entry(prefix.len()).or_default();
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// What belongs to the prefixes that the key has, the shortest first.
    fn of(&self, key: &str) -> impl Iterator<Item = &T> {
        let lengths = self.lengths.keys().take_while(|length| **length <= key.len());
        lengths.filter_map(|length| self.by_prefix.get(key.get(..*length)?))
    }
}

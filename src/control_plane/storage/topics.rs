//! Who waits for what: one bounded broadcast per watched prefix, so that a change costs only the
//! watchers it concerns, and is shared, never copied, between them.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::broadcast;

use super::Change;

/// Bound: changes that wait in a topic for its slowest watcher. A watcher that falls further behind
/// reads on from history; so a narrow topic, of which there may be thousands, can be short.
const WAITING_WIDE: usize = 512;
const WAITING_NARROW: usize = 16;

/// `/core/pods/` and everything shorter is wide.
const WIDE_SLASHES: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Topics {
    by_prefix: HashMap<Box<str>, broadcast::Sender<Change>>,
    /// How many topics have a prefix of this length: the only places to look for a key's topics.
    lengths: BTreeMap<usize, usize>,
}

impl Topics {
    pub(super) fn subscribe(&mut self, prefix: &str) -> broadcast::Receiver<Change> {
        if let Some(topic_tx) = self.by_prefix.get(prefix) {
            return topic_tx.subscribe();
        }
        let slashes = prefix.bytes().filter(|byte| *byte == b'/').count();
        let waiting = if slashes <= WIDE_SLASHES { WAITING_WIDE } else { WAITING_NARROW };
        let (topic_tx, topic_rx) = broadcast::channel(waiting);
        self.by_prefix.insert(prefix.into(), topic_tx);
        *self.lengths.entry(prefix.len()).or_default() += 1;
        topic_rx
    }

    /// Forgets the topic if its last watcher is gone.
    pub(super) fn leave(&mut self, prefix: &str) {
        if self.by_prefix.get(prefix).is_some_and(|topic_tx| topic_tx.receiver_count() == 0) {
            self.by_prefix.remove(prefix);
            let count = self.lengths.entry(prefix.len()).or_default();
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// Hands the change to every watcher whose prefix its key has.
    pub(super) fn send(&self, change: &Change) {
        let key = &change.object.key.0;
        let prefixes =
            self.lengths.keys().map_while(|length| (*length <= key.len()).then_some(*length));
        for topic_tx in prefixes.filter_map(|length| self.by_prefix.get(key.get(..length)?)) {
            // Fails only when the last watcher is just leaving.
            let _ = topic_tx.send(change.clone());
        }
    }

    /// Ends every watch, once it has yielded what it was sent.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }
}

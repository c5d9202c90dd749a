//! How many Events may wait to be written, and whose: a burst loses nothing of anybody else's.
//!
//! Upstream drops whatever comes while a thousand wait (`maxQueuedEvents` of
//! `apimachinery/pkg/watch/mux.go`), whoever has caused it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use parking_lot::Mutex;

use super::correlator::BURST;

/// Bound: a namespace gets half of it at most, which is what two thousand Pods record that start at once,
/// and some 8 MiB. Beyond it Events are dropped, never a caller blocked.
pub(super) const MAX: usize = 32_768;
/// Bound: of what one object records at once the correlator lets no more through.
const OF_OBJECT_MAX: usize = BURST as usize;

#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_namespace: HashMap<Namespace, usize>,
    by_object: HashMap<Object, usize>,
}

/// None: of objects without one.
type Namespace = Option<String>;
/// A uid; a name for what has none.
type Object = (Namespace, Option<String>);

/// Held as long as its Event waits.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Arc<Waiting>,
    object: Object,
}

impl Waiting {
    /// `None` if too many about the object wait already, or if its namespace would get more than is left
    /// to the others.
    pub(super) fn place(self: &Arc<Self>, about: &ObjectReference) -> Option<Place> {
        let id = about.uid.clone().or_else(|| about.name.clone());
        let object = (about.namespace.clone(), id);
        let mut counts = self.0.lock();
        let of_namespace = counts.by_namespace.get(&object.0).copied().unwrap_or(0);
        let of_object = counts.by_object.get(&object).copied().unwrap_or(0);
        if of_namespace >= MAX - counts.all || of_object >= OF_OBJECT_MAX {
            return None;
        }
        counts.all += 1;
        *counts.by_namespace.entry(object.0.clone()).or_default() += 1;
        *counts.by_object.entry(object.clone()).or_default() += 1;
        drop(counts);
        Some(Place { waiting: self.clone(), object })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.waiting.0.lock();
        counts.all -= 1;
        take(&mut counts.by_namespace, &self.object.0);
        take(&mut counts.by_object, &self.object);
    }
}

fn take<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, uid: usize) -> ObjectReference {
        ObjectReference {
            namespace: Some(namespace.to_owned()),
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        }
    }

    /// As many places as there are, of six Events about each Pod.
    fn burst(waiting: &Arc<Waiting>, namespace: &str, pods: usize) -> Vec<Place> {
        let all = (0..pods).flat_map(|uid| std::iter::repeat_n(uid, 6));
        all.filter_map(|uid| waiting.place(&pod(namespace, uid))).collect()
    }

    #[test]
    fn a_burst_of_two_thousand_pods_is_told_whole() {
        let waiting = Arc::default();
        assert_eq!(burst(&waiting, "default", 2_000).len(), 12_000);
    }

    #[test]
    fn a_flood_leaves_room_for_the_events_of_others() {
        let waiting = Arc::default();
        let mut flood = burst(&waiting, "default", 10_000);
        assert_eq!(flood.len(), MAX / 2);
        assert_eq!(burst(&waiting, "other", 1_000).len(), 6_000);
        assert!(waiting.place(&ObjectReference::default()).is_some());
        // What has been written makes room.
        assert!(waiting.place(&pod("default", 0)).is_none());
        flood.truncate(MAX / 4);
        assert!(waiting.place(&pod("default", 10_001)).is_some());
    }

    #[test]
    fn one_that_repeats_itself_takes_no_more_than_will_be_told() {
        let waiting: Arc<Waiting> = Arc::default();
        let places: Vec<_> = (0..30).filter_map(|_| waiting.place(&pod("default", 1))).collect();
        assert_eq!(places.len(), 25);
        drop(places);
        let counts = waiting.0.lock();
        assert!(counts.by_object.is_empty() && counts.by_namespace.is_empty() && counts.all == 0);
    }
}

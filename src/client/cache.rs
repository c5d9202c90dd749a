//! Shared, current copies of all objects of a kind: one writer feeds, many readers look and are
//! told of changes.
//!
//! In process `cluster.rs` feeds the writer from storage; a remote node feeds it from a watch. A
//! reader is level-triggered: it is told *that* a key changed and looks up what is there now.
//!
//! Upstream: client-go's `tools/cache` (`Store`, `SharedIndexInformer`).

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::api::object::ObjectKey;

/// What a cache can hold: any kind with `ObjectMeta`.
pub trait Cached: Metadata<Ty = ObjectMeta> + Send + Sync + 'static {}

impl<K: Metadata<Ty = ObjectMeta> + Send + Sync + 'static> Cached for K {}

/// An empty cache and its only writer.
pub fn cache<K: Cached>() -> (Writer<K>, Cache<K>) {
    let shared = Arc::new(Shared {
        objects: RwLock::new(BTreeMap::new()),
        readers: Mutex::new(Some(Vec::new())),
        synced_tx: watch::channel(false).0,
    });
    (Writer { shared: shared.clone() }, Cache { shared })
}

/// The object's namespace and name; empty where it has none.
pub fn key_of<K: Metadata<Ty = ObjectMeta>>(object: &K) -> ObjectKey {
    let meta = object.metadata();
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    ObjectKey::new(part(&meta.namespace), part(&meta.name))
}

struct Shared<K> {
    objects: RwLock<BTreeMap<ObjectKey, Arc<K>>>,
    /// `None` once the writer is gone.
    readers: Mutex<Option<Vec<Weak<Reader>>>>,
    /// Held here, so that it never closes.
    synced_tx: watch::Sender<bool>,
}

/// The one who fills a cache. When it is dropped, the readers' [`Changes`] end.
pub struct Writer<K> {
    shared: Arc<Shared<K>>,
}

impl<K: Cached> Writer<K> {
    /// Makes `objects` the whole content; the cache is synced from now on. Readers are told of every
    /// key that came, went or has another `resourceVersion`.
    pub fn replace(&self, objects: Vec<Arc<K>>) {
        let fresh: BTreeMap<ObjectKey, Arc<K>> =
            objects.into_iter().map(|object| (key_of(&*object), object)).collect();
        let mut current = self.shared.objects.write();
        let stale = std::mem::replace(&mut *current, fresh);
        let gone = stale.keys().filter(|key| !current.contains_key(key));
        let changed = current.iter().filter(|(key, object)| {
            stale.get(key).is_none_or(|old| revision(&**old) != revision(&***object))
        });
        let keys: Vec<ObjectKey> = gone.chain(changed.map(|(key, _)| key)).cloned().collect();
        // Under the lock: a new reader sees either the old content and these keys, or the new content.
        self.tell(&keys);
        drop(current);
        self.shared.synced_tx.send_replace(true);
    }

    /// Adds or replaces one object.
    pub fn apply(&self, object: Arc<K>) {
        let key = key_of(&*object);
        let mut objects = self.shared.objects.write();
        objects.insert(key.clone(), object);
        self.tell(&[key]);
    }

    /// Removes one object; nothing happens if it is not there.
    pub fn delete(&self, key: &ObjectKey) {
        let mut objects = self.shared.objects.write();
        if objects.remove(key).is_some() {
            self.tell(std::slice::from_ref(key));
        }
    }

    fn tell(&self, keys: &[ObjectKey]) {
        for readers in self.shared.readers.lock().iter_mut() {
            readers.retain(|reader| {
                let reader = reader.upgrade();
                if let Some(reader) = &reader {
                    reader.push(keys);
                }
                reader.is_some()
            });
        }
    }
}

impl<K> Drop for Writer<K> {
    fn drop(&mut self) {
        let readers = self.shared.readers.lock().take().unwrap_or_default();
        readers.iter().filter_map(Weak::upgrade).for_each(|reader| reader.close());
    }
}

impl<K> fmt::Debug for Writer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("objects", &self.shared.objects.read().len()).finish()
    }
}

/// A reader's view of all objects of a kind. Cheap to clone.
pub struct Cache<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K> fmt::Debug for Cache<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("objects", &self.shared.objects.read().len()).finish()
    }
}

impl<K: Cached> Cache<K> {
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.shared.objects.read().get(key).cloned()
    }

    /// All objects, in the order of their keys.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.shared.objects.read().values().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.shared.objects.read().len()
    }

    pub fn is_empty(&self) -> bool {
        self.shared.objects.read().is_empty()
    }

    /// Every key that is there now, then every key that is created, changed or deleted from now on.
    /// Never a gap: a key is told again after each change, but a reader that is slow is told once of
    /// several changes. Ends when the writer is gone.
    pub fn changes(&self) -> Changes {
        let reader = Arc::new(Reader::default());
        let objects = self.shared.objects.read();
        let keys: Vec<ObjectKey> = objects.keys().cloned().collect();
        reader.push(&keys);
        match self.shared.readers.lock().as_mut() {
            Some(readers) => readers.push(Arc::downgrade(&reader)),
            None => reader.close(),
        }
        drop(objects);
        Changes { reader }
    }

    /// Waits for the first [`Writer::replace`].
    pub async fn synced(&self) {
        // Fails only when the sender is gone, and we hold the sender.
        let _ = self.shared.synced_tx.subscribe().wait_for(|synced| *synced).await;
    }
}

fn revision<K: Metadata<Ty = ObjectMeta>>(object: &K) -> Option<&str> {
    object.metadata().resource_version.as_deref()
}

/// What one reader has yet to be told.
#[derive(Default)]
struct Reader(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    order: VecDeque<ObjectKey>,
    /// Bound: one entry per key, so a reader that never reads holds no more than the distinct names
    /// that changed.
    keys: HashSet<ObjectKey>,
    waker: Option<Waker>,
    closed: bool,
}

impl Reader {
    fn push(&self, keys: &[ObjectKey]) {
        let mut pending = self.0.lock();
        for key in keys {
            if pending.keys.insert(key.clone()) {
                pending.order.push_back(key.clone());
            }
        }
        wake(pending.waker.take());
    }

    fn close(&self) {
        let mut pending = self.0.lock();
        pending.closed = true;
        wake(pending.waker.take());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The stream of [`Cache::changes`].
pub struct Changes {
    reader: Arc<Reader>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("pending", &self.reader.0.lock().order.len()).finish()
    }
}

impl Stream for Changes {
    type Item = ObjectKey;

    fn poll_next(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<ObjectKey>> {
        let mut pending = self.reader.0.lock();
        if let Some(key) = pending.order.pop_front() {
            pending.keys.remove(&key);
            return Poll::Ready(Some(key));
        }
        if pending.closed {
            return Poll::Ready(None);
        }
        pending.waker = Some(ctx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, revision: u64) -> Arc<ConfigMap> {
        let metadata = ObjectMeta {
            namespace: Some("default".to_owned()),
            name: Some(name.to_owned()),
            resource_version: Some(revision.to_string()),
            ..ObjectMeta::default()
        };
        Arc::new(ConfigMap { metadata, ..ConfigMap::default() })
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("default", name)
    }

    /// Everything the reader can be told without waiting.
    fn told(changes: &mut Changes) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(Some(key)) = changes.next().now_or_never() {
            names.push(key.name);
        }
        names
    }

    #[test]
    fn a_new_reader_is_told_of_everything_then_of_changes() {
        let (writer, cache) = cache();
        writer.apply(object("a", 1));
        let mut changes = cache.changes();
        assert_eq!(told(&mut changes), ["a"]);
        writer.apply(object("b", 2));
        writer.delete(&key("a"));
        writer.delete(&key("never there"));
        assert_eq!(told(&mut changes), ["b", "a"]);
        assert!(cache.get(&key("a")).is_none());
        assert_eq!(cache.list().len(), 1);
    }

    #[test]
    fn a_slow_reader_is_told_once_of_several_changes() {
        let (writer, cache) = cache();
        let mut changes = cache.changes();
        for revision in 0..100_000 {
            writer.apply(object("a", revision));
        }
        assert_eq!(told(&mut changes), ["a"]);
        writer.apply(object("a", 100_000));
        assert_eq!(told(&mut changes), ["a"]);
    }

    #[test]
    fn replace_tells_of_what_came_changed_and_went() {
        let (writer, cache) = cache();
        for name in ["same", "changed", "gone"] {
            writer.apply(object(name, 1));
        }
        let mut changes = cache.changes();
        told(&mut changes);
        writer.replace(vec![object("same", 1), object("changed", 2), object("new", 3)]);
        let mut names = told(&mut changes);
        names.sort();
        assert_eq!(names, ["changed", "gone", "new"]);
    }

    #[tokio::test]
    async fn synced_after_the_first_replace() {
        let (writer, cache) = cache::<ConfigMap>();
        assert!(cache.synced().now_or_never().is_none());
        writer.replace(Vec::new());
        cache.synced().await;
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_and_ends_with_the_writer() {
        let (writer, cache) = cache();
        let mut changes = cache.changes();
        let (next, ()) = tokio::join!(changes.next(), async { writer.apply(object("a", 1)) });
        assert_eq!(next, Some(key("a")));
        drop(writer);
        assert_eq!(changes.next().await, None);
    }
}

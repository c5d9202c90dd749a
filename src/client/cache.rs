//! Shared, current copies of all objects of a kind: one writer feeds, many readers look and are
//! told of changes.
//!
//! In process `apiserver/feed` fills the writer from storage; a remote node fills it from a watch. A
//! reader is level-triggered: it is told *that* a key changed and looks up what is there now.
//!
//! Upstream: client-go's `tools/cache` (`Store`, `SharedIndexInformer`).

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::api::object::ObjectKey;

/// What a cache can hold: any kind with `ObjectMeta`.
pub trait Cached: Metadata<Ty = ObjectMeta> + Send + Sync + 'static {}

impl<K: Metadata<Ty = ObjectMeta> + Send + Sync + 'static> Cached for K {}

/// An empty cache and its only writer.
pub fn cache<K: Cached>() -> (Writer<K>, Cache<K>) {
    let shared = Arc::new(Shared {
        content: RwLock::new(Content::default()),
        readers: Mutex::new(Some(Vec::new())),
        synced_tx: watch::channel(false).0,
        revision_tx: watch::channel(0).0,
    });
    (Writer { shared: shared.clone() }, Cache { shared })
}

/// The object's namespace and name; empty where it has none.
pub fn key_of<K: Metadata<Ty = ObjectMeta>>(object: &K) -> ObjectKey {
    let meta = object.metadata();
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    ObjectKey::new(part(&meta.namespace), part(&meta.name))
}

/// The owner that manages the object; at most one of its owners does.
///
/// Upstream: `metav1.GetControllerOf`.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

struct Shared<K> {
    content: RwLock<Content<K>>,
    /// `None` once the writer is gone.
    readers: Mutex<Option<Vec<Weak<dyn Told<K>>>>>,
    /// Held here, so that it never closes.
    synced_tx: watch::Sender<bool>,
    /// What [`Writer::advance`] said last; held here likewise.
    revision_tx: watch::Sender<u64>,
}

/// The objects, and by whom they are managed. Bound: one entry per object in each of the indexes.
struct Content<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    /// By the uid of their controller.
    controlled: HashMap<String, BTreeSet<ObjectKey>>,
    /// Those without a controller.
    free: BTreeSet<ObjectKey>,
}

impl<K> Default for Content<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), controlled: HashMap::new(), free: BTreeSet::new() }
    }
}

impl<K: Cached> Content<K> {
    fn insert(&mut self, key: &ObjectKey, object: Arc<K>) -> Option<Arc<K>> {
        let owner = controller_of(object.metadata()).map(|owner| &owner.uid);
        if let Some(known) = self.objects.get_mut(key)
            && controller_of(known.metadata()).map(|owner| &owner.uid) == owner
        {
            return Some(std::mem::replace(known, object));
        }
        let old = self.remove(key);
        match controller_of(object.metadata()) {
            Some(owner) => {
                self.controlled.entry(owner.uid.clone()).or_default().insert(key.clone());
            }
            None => {
                self.free.insert(key.clone());
            }
        }
        self.objects.insert(key.clone(), object);
        old
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Arc<K>> {
        let old = self.objects.remove(key)?;
        match controller_of(old.metadata()) {
            Some(owner) => {
                if let Some(keys) = self.controlled.get_mut(&owner.uid) {
                    keys.remove(key);
                    if keys.is_empty() {
                        self.controlled.remove(&owner.uid);
                    }
                }
            }
            None => {
                self.free.remove(key);
            }
        }
        Some(old)
    }

    fn all_of<'a>(&self, keys: impl Iterator<Item = &'a ObjectKey>) -> Vec<Arc<K>> {
        keys.filter_map(|key| self.objects.get(key).cloned()).collect()
    }
}

/// The one who fills a cache. When it is dropped, the readers' [`Changes`] end.
pub struct Writer<K> {
    shared: Arc<Shared<K>>,
}

impl<K: Cached> Writer<K> {
    /// Makes `objects` the whole content; the cache is synced from now on. Readers are told of every
    /// key that came, went or has another `resourceVersion`.
    pub fn replace(&self, objects: Vec<Arc<K>>) {
        let mut fresh = Content::default();
        for object in objects {
            fresh.insert(&key_of(&*object), object);
        }
        let mut content = self.shared.content.write();
        let stale = std::mem::replace(&mut *content, fresh);
        let gone = stale.objects.iter().filter(|(key, _)| !content.objects.contains_key(key));
        let mut steps: Vec<Step<'_, K>> =
            gone.map(|(_, old)| Step { old: Some(&**old), new: None }).collect();
        for (key, object) in &content.objects {
            let old = stale.objects.get(key);
            if old.is_none_or(|old| revision(&**old) != revision(&**object)) {
                steps.push(Step { old: old.map(|old| &**old), new: Some(object) });
            }
        }
        // Under the lock: a new reader sees either the old content and these keys, or the new content.
        self.tell(&steps);
        drop(steps);
        drop(content);
        self.shared.synced_tx.send_replace(true);
    }

    /// Adds or replaces one object.
    pub fn apply(&self, object: Arc<K>) {
        let mut content = self.shared.content.write();
        let old = content.insert(&key_of(&*object), object.clone());
        self.tell(&[Step { old: old.as_deref(), new: Some(&object) }]);
    }

    /// Removes one object; nothing happens if it is not there.
    pub fn delete(&self, key: &ObjectKey) {
        let mut content = self.shared.content.write();
        if let Some(old) = content.remove(key) {
            self.tell(&[Step { old: Some(&old), new: None }]);
        }
    }

    /// Says that everything up to this revision of the store is in: see [`Cache::reached`].
    pub fn advance(&self, revision: u64) {
        self.shared.revision_tx.send_if_modified(|reached| {
            let is_later = revision > *reached;
            *reached = revision.max(*reached);
            is_later
        });
    }

    fn tell(&self, steps: &[Step<'_, K>]) {
        for readers in self.shared.readers.lock().iter_mut() {
            readers.retain(|reader| {
                let reader = reader.upgrade();
                if let Some(reader) = &reader {
                    reader.told(steps);
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
        f.debug_struct("Writer")
            .field("objects", &self.shared.content.read().objects.len())
            .finish()
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
        f.debug_struct("Cache").field("objects", &self.shared.content.read().objects.len()).finish()
    }
}

impl<K: Cached> Cache<K> {
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.shared.content.read().objects.get(key).cloned()
    }

    /// All objects, in the order of their keys.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.shared.content.read().objects.values().cloned().collect()
    }

    /// All objects of a namespace, in the order of their names.
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let content = self.shared.content.read();
        let from = ObjectKey::new(namespace, "");
        let here = content.objects.range(from..).take_while(|(key, _)| key.namespace == namespace);
        here.map(|(_, object)| object.clone()).collect()
    }

    /// The objects whose controller has this uid, in the order of their keys.
    pub fn controlled_by(&self, uid: &str) -> Vec<Arc<K>> {
        let content = self.shared.content.read();
        content.all_of(content.controlled.get(uid).into_iter().flatten())
    }

    /// The objects of a namespace that nobody controls, in the order of their names.
    pub fn uncontrolled_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let content = self.shared.content.read();
        let from = ObjectKey::new(namespace, "");
        content.all_of(content.free.range(from..).take_while(|key| key.namespace == namespace))
    }

    pub fn len(&self) -> usize {
        self.shared.content.read().objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every key that is there now, then every key that is created, changed or deleted from now on.
    /// Never a gap: a key is told again after each change, but a reader that is slow is told once of
    /// several changes. Ends when the writer is gone.
    pub fn changes(&self) -> Changes {
        self.subscribe(Keys(Arc::default()))
    }

    /// [`Cache::changes`], told in the reader's own terms: what `project` makes of an object as it was
    /// before a change, and as it is after. So a change of a Pod can be told as its owner's key, and
    /// the owner that lost it is told too. `project` must not look into a cache: it runs under the
    /// lock of this one.
    pub fn changes_as<T: Clone + Eq + Hash + Send + Sync + 'static>(
        &self,
        project: impl Fn(&K) -> Option<T> + Send + Sync + 'static,
    ) -> Changes<T> {
        self.subscribe(Projection { reader: Arc::default(), project })
    }

    fn subscribe<T, S>(&self, subscription: S) -> Changes<T>
    where
        S: Subscription<T> + Told<K> + 'static,
    {
        let subscription = Arc::new(subscription);
        let content = self.shared.content.read();
        let all = content.objects.values();
        let all: Vec<_> = all.map(|object| Step { old: None, new: Some(&**object) }).collect();
        subscription.told(&all);
        match self.shared.readers.lock().as_mut() {
            Some(readers) => {
                let weak: Weak<dyn Told<K>> = Arc::downgrade(&subscription) as _;
                readers.push(weak);
            }
            None => subscription.close(),
        }
        drop(content);
        Changes { reader: subscription.reader().clone(), _subscription: subscription }
    }

    /// Waits for the first [`Writer::replace`].
    pub async fn synced(&self) {
        // Fails only when the sender is gone, and we hold the sender.
        let _ = self.shared.synced_tx.subscribe().wait_for(|synced| *synced).await;
    }

    /// Waits until the cache shows the store as of this revision, or later: who has written an object
    /// of this kind sees its own write from then on. The revision must be one at which an object of
    /// this kind was written; the cache's feed comes to it by itself.
    pub async fn reached(&self, revision: u64) {
        // Fails only when the sender is gone, and we hold the sender.
        let _ = self.shared.revision_tx.subscribe().wait_for(|reached| *reached >= revision).await;
    }
}

fn revision<K: Metadata<Ty = ObjectMeta>>(object: &K) -> Option<&str> {
    object.metadata().resource_version.as_deref()
}

/// An object's way from one state to the next; one of the two is there.
struct Step<'a, K> {
    old: Option<&'a K>,
    new: Option<&'a K>,
}

/// A reader of any kind of keys, as the writer sees it.
trait Told<K>: Send + Sync {
    fn told(&self, steps: &[Step<'_, K>]);
    fn close(&self);
}

trait Subscription<T>: Send + Sync {
    fn reader(&self) -> &Arc<Reader<T>>;
}

/// Tells of keys.
struct Keys(Arc<Reader<ObjectKey>>);

impl Subscription<ObjectKey> for Keys {
    fn reader(&self) -> &Arc<Reader<ObjectKey>> {
        &self.0
    }
}

impl<K: Cached> Told<K> for Keys {
    fn told(&self, steps: &[Step<'_, K>]) {
        self.0.push(steps.iter().filter_map(|step| step.new.or(step.old)).map(key_of));
    }

    fn close(&self) {
        self.0.close();
    }
}

/// Tells of what is made of an object.
struct Projection<T, P> {
    reader: Arc<Reader<T>>,
    project: P,
}

impl<T: Send + Sync, P: Send + Sync> Subscription<T> for Projection<T, P> {
    fn reader(&self) -> &Arc<Reader<T>> {
        &self.reader
    }
}

impl<K, T, P> Told<K> for Projection<T, P>
where
    T: Clone + Eq + Hash + Send + Sync,
    P: Fn(&K) -> Option<T> + Send + Sync,
{
    fn told(&self, steps: &[Step<'_, K>]) {
        let told = steps.iter().flat_map(|step| {
            let [old, new] = [step.old, step.new].map(|state| state.and_then(&self.project));
            [old.filter(|old| new.as_ref() != Some(old)), new]
        });
        self.reader.push(told.flatten());
    }

    fn close(&self) {
        self.reader.close();
    }
}

/// What one reader has yet to be told.
pub(super) struct Reader<T>(Mutex<Pending<T>>);

impl<T> Default for Reader<T> {
    fn default() -> Self {
        Self(Mutex::new(Pending::default()))
    }
}

struct Pending<T> {
    order: VecDeque<T>,
    /// Bound: one entry per key, so a reader that never reads holds no more than the distinct names
    /// that changed.
    keys: HashSet<T>,
    waker: Option<Waker>,
    closed: bool,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { order: VecDeque::new(), keys: HashSet::new(), waker: None, closed: false }
    }
}

impl<T: Clone + Eq + Hash> Reader<T> {
    pub(super) fn push(&self, keys: impl Iterator<Item = T>) {
        let mut pending = self.0.lock();
        let known = pending.order.len();
        for key in keys {
            if !pending.keys.contains(&key) {
                pending.order.push_back(key.clone());
                pending.keys.insert(key);
            }
        }
        // Most changes concern few of a kind's readers.
        if pending.order.len() > known {
            wake(pending.waker.take());
        }
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

/// The stream of [`Cache::changes`] and [`Cache::changes_as`].
pub struct Changes<T = ObjectKey> {
    reader: Arc<Reader<T>>,
    /// Keeps the writer's weak end alive.
    _subscription: Arc<dyn Any + Send + Sync>,
}

impl<T: Send + Sync + 'static> Changes<T> {
    pub(super) fn of(reader: Arc<Reader<T>>) -> Self {
        Self { _subscription: reader.clone(), reader }
    }
}

impl<T> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("pending", &self.reader.0.lock().order.len()).finish()
    }
}

impl<T: Clone + Eq + Hash> Stream for Changes<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<T>> {
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

    fn owned(name: &str, revision: u64, owner: Option<&str>) -> Arc<ConfigMap> {
        let mut object = (*object(name, revision)).clone();
        let reference = |uid: &str| OwnerReference {
            uid: uid.to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        object.metadata.owner_references = owner.map(|uid| vec![reference(uid)]);
        Arc::new(object)
    }

    #[test]
    fn objects_are_found_by_their_controller() {
        let (writer, cache) = cache();
        let names = |objects: Vec<Arc<ConfigMap>>| {
            let name = |object: &Arc<ConfigMap>| object.metadata.name.clone().unwrap_or_default();
            objects.iter().map(name).collect::<Vec<_>>()
        };
        writer.apply(owned("a", 1, Some("x")));
        writer.apply(owned("b", 2, None));
        assert_eq!(names(cache.controlled_by("x")), ["a"]);
        assert_eq!(names(cache.uncontrolled_in("default")), ["b"]);
        writer.apply(owned("a", 3, None));
        writer.apply(owned("b", 4, Some("y")));
        assert_eq!(names(cache.controlled_by("x")), Vec::<String>::new());
        assert_eq!(names(cache.controlled_by("y")), ["b"]);
        writer.replace(vec![owned("c", 5, Some("y"))]);
        assert_eq!(names(cache.controlled_by("y")), ["c"]);
        assert_eq!(names(cache.uncontrolled_in("default")), Vec::<String>::new());
        assert_eq!(names(cache.list_in("default")), ["c"]);
        assert_eq!(names(cache.list_in("defaul")), Vec::<String>::new());
    }

    #[test]
    fn owners_before_and_after_a_change_are_told() {
        let (writer, cache) = cache();
        let mut owners = cache.changes_as(|object: &ConfigMap| {
            controller_of(&object.metadata).map(|owner| owner.uid.clone())
        });
        let mut told = || {
            let mut uids = Vec::new();
            while let Some(Some(uid)) = owners.next().now_or_never() {
                uids.push(uid);
            }
            uids
        };
        writer.apply(owned("a", 1, Some("x")));
        assert_eq!(told(), ["x"]);
        writer.apply(owned("a", 2, Some("y")));
        assert_eq!(told(), ["x", "y"]);
        writer.apply(owned("a", 3, None));
        writer.delete(&key("a"));
        assert_eq!(told(), ["y"]);
    }

    #[tokio::test]
    async fn a_writer_of_objects_waits_for_its_own_write() {
        let (writer, cache) = cache::<ConfigMap>();
        writer.advance(7);
        writer.advance(6);
        cache.reached(7).await;
        assert!(cache.reached(8).now_or_never().is_none());
        let ((), ()) = tokio::join!(cache.reached(8), async { writer.advance(9) });
    }
}

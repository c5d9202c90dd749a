//! What every [`Storage`] must do: one list of facts, run against each implementation.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{
    Change, ChangeKind, Draft, Durability, Error, Follower, Key, ListQuery, Page, Precondition,
    Revision, Storage, Stored, Watch, Write,
};
use crate::client::clock::Clock;

/// A new, empty store and the manual clock it was given.
pub(super) struct Fresh {
    pub(super) store: Arc<dyn Storage>,
    pub(super) clock: Clock,
}

pub(super) fn key(name: &str) -> Key {
    Key(name.into())
}

/// An object whose JSON says `value`.
pub(super) fn draft(value: &str) -> Draft {
    let before = r#"{"metadata":{"resourceVersion":""#;
    let bytes = format!(r#"{before}"}},"value":"{value}"}}"#).into_bytes();
    Draft { bytes, revision_at: before.len() }
}

pub(super) fn text(revision: Revision, value: &str) -> String {
    format!(r#"{{"metadata":{{"resourceVersion":"{revision}"}},"value":"{value}"}}"#)
}

pub(super) fn write(name: &str, value: &str, precondition: Precondition) -> Write {
    let durability = Durability::Durable;
    Write {
        key: key(name),
        draft: draft(value),
        precondition,
        durability,
        ttl: None,
        decoded: None,
    }
}

async fn create(store: &dyn Storage, name: &str, value: &str) -> Arc<Stored> {
    store.put(write(name, value, Precondition::Absent)).await.unwrap()
}

async fn update(store: &dyn Storage, old: &Stored, value: &str) -> Arc<Stored> {
    let write = write(&old.key.0, value, Precondition::Revision(old.revision));
    store.put(write).await.unwrap()
}

async fn delete(store: &dyn Storage, old: &Stored) -> Arc<Stored> {
    store.delete(&old.key, old.revision, Durability::Durable).await.unwrap()
}

fn check_stored(stored: &Stored, name: &str, value: &str) {
    assert_eq!(&*stored.key.0, name);
    assert_eq!(stored.bytes, text(stored.revision, value));
    assert!(stored.bytes[stored.revision_at..].starts_with(stored.revision.to_string().as_bytes()));
}

fn check_change(change: &Change, kind: ChangeKind, object: &Stored, previous: Option<&Stored>) {
    assert_eq!(change.kind, kind);
    assert_eq!(change.revision, object.revision);
    assert_eq!(change.object.bytes, object.bytes);
    assert_eq!(change.previous.as_ref().map(|p| &p.bytes), previous.map(|p| &p.bytes));
}

async fn check_list(store: &dyn Storage, prefix: &str, at: Option<Revision>, expect: &[&Stored]) {
    let page = store.list(prefix, ListQuery { at, ..ListQuery::default() }).await.unwrap();
    let found: Vec<_> = page.items.iter().map(|stored| &stored.bytes).collect();
    assert_eq!(found, expect.iter().map(|stored| &stored.bytes).collect::<Vec<_>>());
    assert_eq!(page.remaining, 0);
    match at {
        Some(at) => assert_eq!(page.revision, at),
        None => assert_eq!(page.revision, store.revision().await.unwrap()),
    }
}

/// The watcher has nothing to say now.
async fn check_silent(watch: &mut dyn Watch) {
    assert!(futures::poll!(watch.next()).is_pending());
}

pub(super) async fn a_write_is_read_back_with_its_revision(Fresh { store, .. }: Fresh) {
    assert!(store.get(&key("/core/pods/a/x")).await.unwrap().is_none());
    let created = create(&*store, "/core/pods/a/x", "1").await;
    check_stored(&created, "/core/pods/a/x", "1");
    let updated = update(&*store, &created, "2").await;
    check_stored(&updated, "/core/pods/a/x", "2");
    assert_eq!(updated.revision.0, created.revision.0 + 1);
    let got = store.get(&key("/core/pods/a/x")).await.unwrap().unwrap();
    assert_eq!(got.bytes, updated.bytes);
    let deleted = delete(&*store, &updated).await;
    check_stored(&deleted, "/core/pods/a/x", "2");
    assert_eq!(deleted.revision.0, updated.revision.0 + 1);
    assert!(store.get(&key("/core/pods/a/x")).await.unwrap().is_none());
    assert_eq!(store.revision().await.unwrap(), deleted.revision);
}

pub(super) async fn a_lost_precondition_writes_nothing(Fresh { store, .. }: Fresh) {
    let first = create(&*store, "/a/x", "1").await;
    let second = update(&*store, &first, "2").await;
    let gone = key("/a/gone");
    let refused = [
        store.put(write("/a/x", "3", Precondition::Absent)).await,
        store.put(write("/a/x", "3", Precondition::Revision(first.revision))).await,
        store.delete(&first.key, first.revision, Durability::Durable).await,
    ];
    for error in refused.map(Result::unwrap_err) {
        let Error::Conflict { current: Some(current) } = error else { panic!("{error:?}") };
        assert_eq!(current.bytes, second.bytes);
    }
    let refused = [
        store.put(write("/a/gone", "3", Precondition::Revision(first.revision))).await,
        store.delete(&gone, first.revision, Durability::Relaxed).await,
    ];
    for error in refused.map(Result::unwrap_err) {
        assert!(matches!(error, Error::Conflict { current: None }), "{error:?}");
    }
    assert_eq!(store.revision().await.unwrap(), second.revision);
}

pub(super) async fn one_of_many_racing_writers_wins(Fresh { store, .. }: Fresh) {
    let first = create(&*store, "/a/x", "0").await;
    let racers = (0..32).map(|n| {
        let write = write("/a/x", &n.to_string(), Precondition::Revision(first.revision));
        store.put(write)
    });
    let results = futures::future::join_all(racers).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(store.revision().await.unwrap().0, first.revision.0 + 1);
}

pub(super) async fn lists_are_ordered_and_paged(Fresh { store, .. }: Fresh) {
    for name in ["/a/y/3", "/a/x/2", "/a/x/1", "/ab/1", "/a/z/4"] {
        create(&*store, name, "").await;
    }
    let names = |query: ListQuery| {
        let store = &store;
        async move {
            let page = store.list("/a/", query).await.unwrap();
            let names = page.items.iter().map(|stored| stored.key.0.to_string());
            (names.collect::<Vec<_>>(), page.remaining)
        }
    };
    let page = |limit, after: Option<&str>| ListQuery {
        at: None,
        after: after.map(key),
        limit: Some(limit),
    };
    assert_eq!(names(page(2, None)).await, (vec!["/a/x/1".into(), "/a/x/2".into()], 2));
    assert_eq!(names(page(2, Some("/a/x/2"))).await, (vec!["/a/y/3".into(), "/a/z/4".into()], 0));
    assert_eq!(names(page(1, Some("/a/x/9"))).await, (vec!["/a/y/3".into()], 1));
    assert_eq!(names(page(9, Some("/a/z/4"))).await, (vec![], 0));
    assert_eq!(names(page(0, None)).await, (vec![], 4));
}

pub(super) async fn a_list_shows_the_state_at_its_revision(Fresh { store, .. }: Fresh) {
    let store = &*store;
    let start = store.revision().await.unwrap();
    let x1 = create(store, "/a/x", "1").await;
    let y1 = create(store, "/a/y", "1").await;
    let x2 = update(store, &x1, "2").await;
    let other = create(store, "/b/x", "1").await;
    let gone = delete(store, &y1).await;
    let x3 = update(store, &x2, "3").await;
    check_list(store, "/a/", Some(start), &[]).await;
    check_list(store, "/a/", Some(x1.revision), &[&x1]).await;
    check_list(store, "/a/", Some(y1.revision), &[&x1, &y1]).await;
    check_list(store, "/a/", Some(other.revision), &[&x2, &y1]).await;
    check_list(store, "/a/", Some(gone.revision), &[&x2]).await;
    check_list(store, "/", Some(gone.revision), &[&x2, &other]).await;
    check_list(store, "/a/", None, &[&x3]).await;
    let after = ListQuery { at: Some(y1.revision), after: Some(x1.key.clone()), limit: Some(1) };
    let page = store.list("/a/", after).await.unwrap();
    assert_eq!(page.items.iter().map(|s| &s.bytes).collect::<Vec<_>>(), [&y1.bytes]);
}

pub(super) async fn a_watch_replays_and_goes_on(Fresh { store, .. }: Fresh) {
    let store = &*store;
    let start = store.revision().await.unwrap();
    let x1 = create(store, "/a/x", "1").await;
    let x2 = update(store, &x1, "2").await;
    let mut from_start = store.watch("/a/", start).await.unwrap();
    let mut from_x1 = store.watch("/a/x", x1.revision).await.unwrap();
    let mut elsewhere = store.watch("/b/", start).await.unwrap();
    let gone = delete(store, &x2).await;
    check_change(&from_start.next().await.unwrap(), ChangeKind::Created, &x1, None);
    assert_eq!(from_start.position(), x1.revision);
    for watch in [&mut from_start, &mut from_x1] {
        let change = watch.next().await.unwrap();
        check_change(&change, ChangeKind::Modified, &x2, Some(&x1));
        let change = watch.next().await.unwrap();
        check_change(&change, ChangeKind::Deleted, &gone, Some(&x2));
        check_silent(&mut **watch).await;
        assert_eq!(watch.position(), gone.revision);
    }
    check_silent(&mut *elsewhere).await;
    assert_eq!(elsewhere.position(), gone.revision);
    let again = create(store, "/a/x", "3").await;
    check_change(&from_start.next().await.unwrap(), ChangeKind::Created, &again, None);
}

/// Notes what it is told.
struct Notes(Arc<Mutex<Vec<String>>>);

impl Follower for Notes {
    fn begin(&self, page: Page) {
        let keys = page.items.iter().map(|stored| format!("there: {}", stored.key.0));
        self.0.lock().extend(keys);
    }

    fn changed(&self, change: &Change) {
        self.0.lock().push(format!("{:?}: {}", change.kind, change.object.key.0));
    }
}

pub(super) async fn a_follower_is_told_before_the_writer(Fresh { store, .. }: Fresh) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let x = create(&*store, "/a/x", "1").await;
    create(&*store, "/b/x", "1").await;
    for prefix in ["/a/", "/"] {
        store.follow(prefix, Box::new(Notes(told.clone()))).await.unwrap();
    }
    let expect = |expect: &[&str]| assert_eq!(std::mem::take(&mut *told.lock()), expect);
    expect(&["there: /a/x", "there: /a/x", "there: /b/x"]);
    create(&*store, "/b/y", "1").await;
    expect(&["Created: /b/y"]);
    let x = update(&*store, &x, "2").await;
    expect(&["Modified: /a/x"; 2]);
    delete(&*store, &x).await;
    expect(&["Deleted: /a/x"; 2]);
    store.close().await.unwrap();
    assert_eq!(Arc::strong_count(&told), 1, "a closed store lets go of them");
    let refused = store.follow("/", Box::new(Notes(told.clone()))).await;
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
}

pub(super) async fn a_slow_watcher_misses_nothing(Fresh { store, .. }: Fresh) {
    let store = &*store;
    let start = store.revision().await.unwrap();
    let mut wide = store.watch("/a/", start).await.unwrap();
    let mut narrow = store.watch("/a/b/c/x", start).await.unwrap();
    let mut last = create(store, "/a/b/c/x", "0").await;
    let mut expect = vec![last.revision];
    for value in 1..1500 {
        last = update(store, &last, &value.to_string()).await;
        expect.push(last.revision);
    }
    for watch in [&mut wide, &mut narrow] {
        let mut seen = Vec::new();
        for _ in &expect {
            seen.push(watch.next().await.unwrap().revision);
        }
        assert_eq!(seen, expect);
        check_silent(&mut **watch).await;
    }
}

pub(super) async fn compaction_expires_the_past(Fresh { store, .. }: Fresh) {
    let store = &*store;
    let start = store.revision().await.unwrap();
    let x1 = create(store, "/a/x", "1").await;
    let mut live = store.watch("/a/", start).await.unwrap();
    let x2 = update(store, &x1, "2").await;
    let x3 = update(store, &x2, "3").await;
    store.compact(x2.revision).await.unwrap();
    for revision in [start, x1.revision] {
        let at = ListQuery { at: Some(revision), ..ListQuery::default() };
        let refused = [
            store.list("/a/", at).await.err().unwrap(),
            store.watch("/a/", revision).await.err().unwrap(),
        ];
        for error in refused {
            assert!(
                matches!(error, Error::Expired { requested, oldest }
                    if requested == revision && oldest == x2.revision),
                "{error:?}"
            );
        }
    }
    check_list(store, "/a/", Some(x2.revision), &[&x2]).await;
    let mut kept = store.watch("/a/", x2.revision).await.unwrap();
    check_change(&kept.next().await.unwrap(), ChangeKind::Modified, &x3, Some(&x2));
    // What a watcher was sent before the compaction is its own.
    assert_eq!(live.next().await.unwrap().revision, x1.revision);
    assert_eq!(live.next().await.unwrap().revision, x2.revision);
}

pub(super) async fn the_future_is_refused(Fresh { store, .. }: Fresh) {
    let newest = store.revision().await.unwrap();
    let future = Revision(newest.0 + 1);
    let at = ListQuery { at: Some(future), ..ListQuery::default() };
    let refused = [
        store.list("/", at).await.err().unwrap(),
        store.watch("/", future).await.err().unwrap(),
        store.compact(future).await.err().unwrap(),
    ];
    for error in refused {
        assert!(
            matches!(error, Error::Future { requested, newest: n } if requested == future && n == newest),
            "{error:?}"
        );
    }
}

pub(super) async fn objects_expire(Fresh { store, clock }: Fresh) {
    let ttl = |seconds| Some(Duration::from_secs(seconds));
    let start = store.revision().await.unwrap();
    let mut watch = store.watch("/events/", start).await.unwrap();
    let put = async |name: &str, ttl, precondition| {
        let write = Write { ttl, ..write(name, "", precondition) };
        store.put(write).await.unwrap()
    };
    let late = put("/events/late", ttl(7200), Precondition::Absent).await;
    let soon = put("/events/soon", ttl(60), Precondition::Absent).await;
    let kept = put("/events/kept", ttl(60), Precondition::Absent).await;
    let kept = put("/events/kept", None, Precondition::Revision(kept.revision)).await;
    for _ in 0..4 {
        watch.next().await.unwrap();
    }
    clock.advance(Duration::from_secs(59));
    check_silent(&mut *watch).await;
    clock.advance(Duration::from_secs(1));
    let change = watch.next().await.unwrap();
    assert_eq!((change.kind, &change.object.key), (ChangeKind::Deleted, &soon.key));
    assert_eq!(change.previous.unwrap().revision, soon.revision);
    clock.advance(Duration::from_secs(7200));
    let change = watch.next().await.unwrap();
    assert_eq!((change.kind, &change.object.key), (ChangeKind::Deleted, &late.key));
    check_list(&*store, "/events/", None, &[&kept]).await;
}

pub(super) async fn a_closed_store_says_so(Fresh { store, .. }: Fresh) {
    let x1 = create(&*store, "/a/x", "1").await;
    let mut watch = store.watch("/a/", Revision(x1.revision.0 - 1)).await.unwrap();
    let mut waiting = store.watch("/a/", x1.revision).await.unwrap();
    check_silent(&mut *waiting).await;
    store.close().await.unwrap();
    assert_eq!(watch.next().await.unwrap().revision, x1.revision);
    let refused = [
        watch.next().await.err().unwrap(),
        waiting.next().await.err().unwrap(),
        store.get(&x1.key).await.err().unwrap(),
        store.list("/", ListQuery::default()).await.err().unwrap(),
        store.put(write("/a/y", "1", Precondition::Absent)).await.err().unwrap(),
        store.delete(&x1.key, x1.revision, Durability::Durable).await.err().unwrap(),
        store.watch("/", x1.revision).await.err().unwrap(),
        store.revision().await.err().unwrap(),
        store.compact(x1.revision).await.err().unwrap(),
    ];
    for error in refused {
        assert!(matches!(error, Error::Closed), "{error:?}");
    }
    store.close().await.unwrap();
}

/// Makes one test of each fact; `$fresh` is an async fn that answers a [`Fresh`] and what must stay
/// alive with it.
macro_rules! conformance {
    ($fresh:path) => {
        $crate::control_plane::storage::conformance::conformance!($fresh:
            a_write_is_read_back_with_its_revision
            a_lost_precondition_writes_nothing
            one_of_many_racing_writers_wins
            lists_are_ordered_and_paged
            a_list_shows_the_state_at_its_revision
            a_watch_replays_and_goes_on
            a_follower_is_told_before_the_writer
            a_slow_watcher_misses_nothing
            compaction_expires_the_past
            the_future_is_refused
            objects_expire
            a_closed_store_says_so
        );
    };
    ($fresh:path: $($fact:ident)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                let (fresh, _kept) = $fresh();
                $crate::control_plane::storage::conformance::$fact(fresh).await;
            }
        )*
    };
}
pub(super) use conformance;

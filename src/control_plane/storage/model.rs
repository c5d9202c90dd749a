//! The store against a model that keeps every state there ever was: random writes, lists at a
//! revision, watches, compactions and restarts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use proptest::prelude::*;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::conformance::{key, text, write};
use super::embedded::Embedded;
use super::history::Retention;
use super::journal::Limits;
use super::memory::Memory;
use super::{
    ChangeKind, Durability, Error, ListQuery, Precondition, Revision, Storage, Watch, Write,
};
use crate::client::clock::Clock;

const KEYS: &[&str] = &["/g/r/n/a", "/g/r/n/ab", "/g/r/n/b", "/g/r/o/a", "/g/s/a", "/h"];
const PREFIXES: &[&str] = &["", "/g/", "/g/r/", "/g/r/n/", "/g/r/n/a", "/g/s/a", "/none/"];

/// Revisions are counted back from the newest, so that most are kept.
#[derive(Debug, Clone)]
enum Step {
    /// Creates or replaces, whichever the state asks for.
    Put {
        key: usize,
        value: u16,
    },
    Delete {
        key: usize,
    },
    /// A put or delete that expects a revision the object does not have.
    Lose {
        key: usize,
    },
    List {
        prefix: usize,
        back: u64,
        after: Option<usize>,
        limit: Option<usize>,
    },
    Watch {
        prefix: usize,
        back: u64,
    },
    Compact {
        back: u64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len();
    let prefix = || 0..PREFIXES.len();
    let list = (prefix(), 0..40_u64, proptest::option::of(key()), proptest::option::of(0..4_usize));
    prop_oneof![
        12 => (key(), any::<u16>()).prop_map(|(key, value)| Step::Put { key, value }),
        4 => key().prop_map(|key| Step::Delete { key }),
        2 => key().prop_map(|key| Step::Lose { key }),
        4 => list.prop_map(|(prefix, back, after, limit)| Step::List { prefix, back, after, limit }),
        3 => (prefix(), 0..40_u64).prop_map(|(prefix, back)| Step::Watch { prefix, back }),
        1 => (10..40_u64).prop_map(|back| Step::Compact { back }),
        1 => Just(Step::Restart),
    ]
}

/// What is stored: value and revision by key.
type Objects = BTreeMap<&'static str, (String, Revision)>;

struct Model {
    /// The state at every revision from the first on.
    states: BTreeMap<Revision, Objects>,
    changes: Vec<(Revision, ChangeKind, &'static str)>,
    /// History before it has been compacted.
    floor: Revision,
}

impl Model {
    fn new(first: Revision) -> Self {
        let states = BTreeMap::from([(first, Objects::new())]);
        Self { states, changes: Vec::new(), floor: first }
    }

    fn newest(&self) -> Revision {
        *self.states.last_key_value().unwrap().0
    }

    fn now(&self) -> &Objects {
        self.states.last_key_value().unwrap().1
    }

    fn back(&self, by: u64) -> Revision {
        let first = *self.states.first_key_value().unwrap().0;
        Revision(self.newest().0.saturating_sub(by)).max(first)
    }

    fn change(&mut self, key: &'static str, value: Option<String>) {
        let revision = Revision(self.newest().0 + 1);
        let mut objects = self.now().clone();
        let had = objects.contains_key(key);
        let kind = match (&value, had) {
            (None, _) => ChangeKind::Deleted,
            (Some(_), false) => ChangeKind::Created,
            (Some(_), true) => ChangeKind::Modified,
        };
        match value {
            Some(value) => objects.insert(key, (value, revision)),
            None => objects.remove(key),
        };
        self.states.insert(revision, objects);
        self.changes.push((revision, kind, key));
    }
}

struct Watching {
    watch: Box<dyn Watch>,
    prefix: &'static str,
    after: Revision,
}

/// Opens the store again, after the old one was closed; `None` if it forgets.
type Reopen<'a> = &'a dyn Fn() -> Option<Arc<dyn Storage>>;

async fn check(mut store: Arc<dyn Storage>, steps: Vec<Step>, reopen: Reopen<'_>) {
    let first = store.revision().await.unwrap();
    let mut model = Model::new(first);
    let mut watching = Vec::new();
    for step in steps {
        if matches!(step, Step::Restart) {
            check_watches(&model, std::mem::take(&mut watching)).await;
            store.close().await.unwrap();
            let Some(again) = reopen() else { return };
            store = again;
            model.floor = first;
        } else {
            take(&*store, &mut model, &mut watching, step).await;
        }
        assert_eq!(store.revision().await.unwrap(), model.newest());
    }
    check_watches(&model, watching).await;
}

fn take<'a>(
    store: &'a dyn Storage,
    model: &'a mut Model,
    watching: &'a mut Vec<Watching>,
    step: Step,
) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        match step {
            Step::Put { key, value } => put(store, model, KEYS[key], value).await,
            Step::Delete { key: name } => {
                let name = KEYS[name];
                let Some((_, revision)) = model.now().get(name).cloned() else { return };
                let deleted = store.delete(&key(name), revision, Durability::Relaxed).await;
                model.change(name, None);
                assert_eq!(deleted.unwrap().revision, model.newest());
            }
            Step::Lose { key: name } => {
                let never = Precondition::Revision(Revision(model.newest().0 + 1));
                let refused = store.put(write(KEYS[name], "", never)).await;
                assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
            }
            Step::List { prefix, back, after, limit } => {
                let at = model.back(back);
                let after = after.map(|after| KEYS[after]);
                check_list(store, model, PREFIXES[prefix], at, after, limit).await;
            }
            Step::Watch { prefix, back } => {
                let (prefix, after) = (PREFIXES[prefix], model.back(back));
                match store.watch(prefix, after).await {
                    Ok(watch) => watching.push(Watching { watch, prefix, after }),
                    Err(error) => check_expired(model, after, &error),
                }
            }
            Step::Compact { back } => {
                let revision = model.back(back);
                store.compact(revision).await.unwrap();
                model.floor = model.floor.max(revision);
            }
            Step::Restart => unreachable!("`check` restarts"),
        }
    })
}

async fn put(store: &dyn Storage, model: &mut Model, name: &'static str, value: u16) {
    // Some values are long, so that records differ in length.
    let value = "v".repeat(usize::from(value % 300)) + &value.to_string();
    let precondition = match model.now().get(name) {
        Some((_, revision)) => Precondition::Revision(*revision),
        None => Precondition::Absent,
    };
    let write = Write { durability: Durability::Relaxed, ..write(name, &value, precondition) };
    let stored = store.put(write).await.unwrap();
    assert_eq!(stored.bytes, text(stored.revision, &value));
    model.change(name, Some(value));
    assert_eq!(stored.revision, model.newest());
}

fn check_expired(model: &Model, asked: Revision, error: &Error) {
    assert!(asked < model.floor, "{asked} is kept from {} on: {error}", model.floor);
    assert!(
        matches!(error, Error::Expired { requested, oldest }
            if *requested == asked && *oldest == model.floor),
        "{error:?}"
    );
}

async fn check_list(
    store: &dyn Storage,
    model: &Model,
    prefix: &str,
    at: Revision,
    after: Option<&str>,
    limit: Option<usize>,
) {
    let query = ListQuery { at: Some(at), after: after.map(key), limit };
    let page = match store.list(prefix, query).await {
        Ok(page) => page,
        Err(error) => return check_expired(model, at, &error),
    };
    assert!(at >= model.floor, "{at} was compacted");
    let concerned = model.states[&at]
        .iter()
        .filter(|(name, _)| name.starts_with(prefix) && after.is_none_or(|after| **name > after));
    let expect: Vec<String> = concerned.map(|(_, (value, rev))| text(*rev, value)).collect();
    let shown = limit.unwrap_or(usize::MAX).min(expect.len());
    let found: Vec<_> = page.items.iter().map(|stored| stored.bytes.clone()).collect();
    assert_eq!(found, expect[..shown]);
    assert_eq!(page.remaining, expect.len() - shown);
    assert_eq!(page.revision, at);
}

/// Every watch yields what the model says happened after its revision, and nothing else.
async fn check_watches(model: &Model, watching: Vec<Watching>) {
    for Watching { mut watch, prefix, after } in watching {
        let concerned =
            model.changes.iter().filter(|(r, _, k)| *r > after && k.starts_with(prefix));
        for (revision, kind, name) in concerned {
            let next = timeout(Duration::from_secs(10), watch.next()).await.unwrap();
            let change = match next {
                Ok(change) => change,
                // It had not read that far when history was compacted.
                Err(error) => {
                    assert!(matches!(error, Error::Expired { .. }), "{error:?}");
                    assert!(*revision <= model.floor, "{revision} is kept from {} on", model.floor);
                    break;
                }
            };
            assert_eq!((change.revision, change.kind), (*revision, *kind));
            assert_eq!(&*change.object.key.0, *name);
            let before = model.states[&Revision(revision.0 - 1)].get(name);
            let before = before.map(|(value, revision)| text(*revision, value));
            let now = model.states[revision].get(name);
            let last = now.or_else(|| model.states[&Revision(revision.0 - 1)].get(name)).unwrap();
            assert_eq!(change.object.bytes, text(*revision, &last.0));
            assert_eq!(change.previous.map(|p| p.bytes.clone()), before.map(Into::into));
            assert!(watch.position() >= *revision);
        }
        assert!(futures::poll!(watch.next()).is_pending() || model.floor > after);
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn clock() -> Clock {
    Clock::manual("2026-01-01T00:00:00Z".parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_as_the_model(steps in proptest::collection::vec(step(), 1..120)) {
        run(async {
            let store = Memory::with_retention(clock(), &TaskTracker::new(), Retention::default());
            check(store, steps, &|| None).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn embedded_does_as_the_model(steps in proptest::collection::vec(step(), 1..120)) {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let tasks = TaskTracker::new();
            let open =
                || Embedded::open(directory.path(), clock(), &tasks, Limits::default()).unwrap();
            check(open(), steps, &|| Some(open())).await;
        });
    }
}

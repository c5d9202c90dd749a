//! The objects and their recent history as a plain value: no locks, no clock, no disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::history::{History, Retention};
use super::{
    Change, ChangeKind, Durability, Error, Key, ListQuery, Page, Precondition, Revision, Stored,
    Write,
};

/// What a caller wants done.
#[derive(Debug)]
pub(super) enum Request {
    Put(Write),
    Delete { key: Key, revision: Revision, durability: Durability },
}

impl Request {
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Put(write) => &write.key,
            Self::Delete { key, .. } => key,
        }
    }

    pub(super) fn durability(&self) -> Durability {
        match self {
            Self::Put(write) => write.durability,
            Self::Delete { durability, .. } => *durability,
        }
    }

    /// Whether it is for an object that is not there yet.
    pub(super) fn creates(&self) -> bool {
        matches!(self, Self::Put(write) if write.precondition == Precondition::Absent)
    }

    /// How much memory the request holds, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Put(write) => write.draft.bytes.len(),
            Self::Delete { .. } => 0,
        }
    }

    /// Makes the request into history's next step, if what it expects of the `current` object holds.
    pub(super) fn decide(
        self,
        current: Option<&Arc<Stored>>,
        revision: Revision,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let expected = match &self {
            Self::Put(write) => write.precondition,
            Self::Delete { revision, .. } => Precondition::Revision(*revision),
        };
        let holds = match expected {
            Precondition::Absent => current.is_none(),
            Precondition::Revision(revision) => current.is_some_and(|c| c.revision == revision),
        };
        if !holds {
            return Err(Error::Conflict { current: current.cloned() });
        }
        Ok(self.step(current, revision, now))
    }

    fn step(self, current: Option<&Arc<Stored>>, revision: Revision, now: Timestamp) -> Step {
        let kind = match (&self, current) {
            (Self::Delete { .. }, _) => ChangeKind::Deleted,
            (Self::Put(_), None) => ChangeKind::Created,
            (Self::Put(_), Some(_)) => ChangeKind::Modified,
        };
        let (object, expires) = match self {
            Self::Put(write) => {
                let expires = write.ttl.map(|ttl| after(now, ttl));
                let object = Stored::new(write.key, revision, &write.draft);
                (object.with_memo(write.decoded), expires)
            }
            Self::Delete { .. } => {
                let last = current.expect("a deletion expects a revision, so there is an object");
                (last.restamped(revision), None)
            }
        };
        let change =
            Change { revision, kind, object: Arc::new(object), previous: current.cloned() };
        Step { change, expires }
    }
}

/// A change with what only the store needs to know.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) change: Change,
    /// When the store is to delete the object.
    pub(super) expires: Option<Timestamp>,
}

impl Step {
    /// What is stored under the key after this step.
    pub(super) fn standing(&self) -> Option<&Arc<Stored>> {
        (self.change.kind != ChangeKind::Deleted).then_some(&self.change.object)
    }
}

#[derive(Debug)]
pub(super) struct State {
    objects: BTreeMap<Key, Row>,
    history: History,
    newest: Revision,
    expiries: BTreeSet<(Timestamp, Key)>,
}

#[derive(Debug)]
struct Row {
    stored: Arc<Stored>,
    expires: Option<Timestamp>,
}

impl State {
    /// Nothing is stored, and nothing is known of what happened up to `newest`.
    pub(super) fn new(newest: Revision, retention: Retention) -> Self {
        Self {
            objects: BTreeMap::new(),
            history: History::new(newest, retention),
            newest,
            expiries: BTreeSet::new(),
        }
    }

    pub(super) fn newest(&self) -> Revision {
        self.newest
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.objects.get(key).map(|row| &row.stored)
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn compact(&mut self, revision: Revision) -> Result<(), Error> {
        if revision > self.newest {
            return Err(Error::Future { requested: revision, newest: self.newest });
        }
        self.history.compact(revision);
        Ok(())
    }

    /// Puts back an object of the past: it makes no history.
    pub(super) fn restore(&mut self, stored: Arc<Stored>, expires: Option<Timestamp>) {
        let key = stored.key.clone();
        self.expiries.extend(expires.map(|at| (at, key.clone())));
        self.objects.insert(key, Row { stored, expires });
    }

    /// Every object with the time it expires, in key order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Arc<Stored>, Option<Timestamp>)> {
        self.objects.values().map(|row| (&row.stored, row.expires))
    }

    /// Takes the next step; `now` is monotonic, for the age of history.
    pub(super) fn apply(&mut self, step: Step, now: Duration) {
        let Step { change, expires } = step;
        let key = &change.object.key;
        let replaced = if change.kind == ChangeKind::Deleted {
            self.objects.remove(key)
        } else {
            let row = Row { stored: change.object.clone(), expires };
            self.objects.insert(key.clone(), row)
        };
        if let Some(expired) = replaced.and_then(|row| row.expires) {
            self.expiries.remove(&(expired, key.clone()));
        }
        if let Some(expires) = expires {
            self.expiries.insert((expires, key.clone()));
        }
        self.newest = change.revision;
        self.history.push(change, now);
    }

    /// When the next object expires.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// At most `limit` of the objects that have expired.
    pub(super) fn expired(&self, now: Timestamp, limit: usize) -> Vec<(Key, Revision)> {
        let due = self.expiries.iter().take_while(|(at, _)| *at <= now).take(limit);
        due.filter_map(|(_, key)| Some((key.clone(), self.get(key)?.revision))).collect()
    }

    pub(super) fn list(&self, prefix: &str, query: &ListQuery) -> Result<Page, Error> {
        let revision = query.at.unwrap_or(self.newest);
        let undone = self.undo(prefix, revision)?;
        let after = query.after.as_ref().map_or("", |key| &key.0);
        if undone.is_empty() {
            return Ok(page(self.range(prefix, after), revision, query.limit));
        }
        let mut then: BTreeMap<&str, &Arc<Stored>> =
            self.range(prefix, after).map(|stored| (&*stored.key.0, stored)).collect();
        for (key, before) in undone.into_iter().filter(|(key, _)| *key > after) {
            match before {
                Some(stored) => then.insert(key, stored),
                None => then.remove(key),
            };
        }
        Ok(page(then.into_values(), revision, query.limit))
    }

    /// What stood under the keys that changed after `revision`; `None` where nothing did.
    fn undo(
        &self,
        prefix: &str,
        revision: Revision,
    ) -> Result<HashMap<&str, Option<&Arc<Stored>>>, Error> {
        let later = self.history.after(revision)?.rev();
        let under_prefix = later.filter(|change| change.object.key.0.starts_with(prefix));
        Ok(under_prefix.map(|change| (&*change.object.key.0, change.previous.as_ref())).collect())
    }

    /// The current objects under `prefix` with keys greater than `after`, in key order.
    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: &str,
    ) -> impl Iterator<Item = &'a Arc<Stored>> + 'a {
        let start = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let rows = self.objects.range::<str, _>((start, Bound::Unbounded));
        rows.take_while(move |(key, _)| key.0.starts_with(prefix)).map(|(_, row)| &row.stored)
    }
}

fn page<'a>(
    mut items: impl Iterator<Item = &'a Arc<Stored>>,
    revision: Revision,
    limit: Option<usize>,
) -> Page {
    let taken = items.by_ref().take(limit.unwrap_or(usize::MAX)).cloned().collect();
    Page { items: taken, revision, remaining: items.count() }
}

fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
    now.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

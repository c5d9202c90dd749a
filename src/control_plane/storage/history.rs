//! The recent changes, oldest first: what watches replay and what lists at a revision undo.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Change, ChangeKind, Error, Revision};

/// How much of the past is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    /// Changes younger than this stay, within `bytes_max`.
    pub(super) age: Duration,
    /// This many changes stay whatever their age, within `old_bytes_max`.
    pub(super) changes: usize,
    /// Bound: what a burst may hold in memory before its oldest changes go.
    pub(super) bytes_max: usize,
    /// Bound: what the past may hold once it is older than `age`, so that an idle cluster, which
    /// renews a Lease every 10 s, does not grow for days.
    pub(super) old_bytes_max: usize,
}

impl Default for Retention {
    /// 5 min is etcd's default compaction interval under kube-apiserver; 100,000 changes are what
    /// its watch cache keeps of a kind at most.
    fn default() -> Self {
        Self {
            age: Duration::from_secs(300),
            changes: 100_000,
            bytes_max: 128 << 20,
            old_bytes_max: 16 << 20,
        }
    }
}

/// Bound: how many of the last changes keep what was decoded of objects of the past. Watchers compare
/// with it; those that are further behind decode again.
const DECODED_MAX: usize = 100;

/// What an entry holds beside its objects' bytes: two `Stored`, their keys, and the entry itself.
const ENTRY_BYTES: usize = 320;

#[derive(Debug)]
pub(super) struct History {
    /// One entry per revision, without gaps, from `floor + 1` to the newest.
    entries: VecDeque<Entry>,
    /// The newest revision that is no longer kept.
    floor: Revision,
    bytes: usize,
    retention: Retention,
}

#[derive(Debug)]
struct Entry {
    change: Change,
    /// When it happened, on the store's monotonic clock.
    at: Duration,
}

impl Entry {
    fn forget_decoded(&self) {
        self.change.previous.iter().for_each(|previous| previous.close_memo());
        if self.change.kind == ChangeKind::Deleted {
            self.change.object.close_memo();
        }
    }
}

impl History {
    pub(super) fn new(floor: Revision, retention: Retention) -> Self {
        Self { entries: VecDeque::new(), floor, bytes: 0, retention }
    }

    /// Adds the change that follows the newest one, and lets go of what is kept no longer.
    pub(super) fn push(&mut self, change: Change, now: Duration) {
        debug_assert_eq!(change.revision, Revision(self.newest().0 + 1), "revisions have no gaps");
        self.bytes += cost(&change);
        self.entries.push_back(Entry { change, at: now });
        let late = self.entries.len().checked_sub(DECODED_MAX + 1);
        late.and_then(|index| self.entries.get(index)).into_iter().for_each(Entry::forget_decoded);
        while self.has_too_much(now) {
            self.forget_oldest();
        }
    }

    /// Forgets every change up to `revision`.
    pub(super) fn compact(&mut self, revision: Revision) {
        while self.floor < revision && !self.entries.is_empty() {
            self.forget_oldest();
        }
    }

    /// The changes after `revision`, oldest first.
    ///
    /// # Errors
    /// [`Error::Expired`] or [`Error::Future`] if they are not, or not yet, known.
    pub(super) fn after(
        &self,
        revision: Revision,
    ) -> Result<impl DoubleEndedIterator<Item = &Change>, Error> {
        let newest = self.newest();
        if revision < self.floor {
            return Err(Error::Expired { requested: revision, oldest: self.floor });
        }
        if revision > newest {
            return Err(Error::Future { requested: revision, newest });
        }
        let known = usize::try_from(revision.0 - self.floor.0).expect("at most entries.len()");
        Ok(self.entries.range(known..).map(|entry| &entry.change))
    }

    /// Where the last `count` changes that `concern` somebody begin: all of them come after the
    /// revision this answers. `None` if some are kept no longer.
    pub(super) fn before_last(
        &self,
        count: u64,
        concern: impl Fn(&Change) -> bool,
    ) -> Option<Revision> {
        let Some(skipped) = count.checked_sub(1) else { return Some(self.newest()) };
        let newest_first = self.entries.iter().rev().map(|entry| &entry.change);
        let first =
            newest_first.filter(|change| concern(change)).nth(usize::try_from(skipped).ok()?)?;
        Some(Revision(first.revision.0 - 1))
    }

    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    fn newest(&self) -> Revision {
        Revision(self.floor.0 + self.entries.len() as u64)
    }

    fn has_too_much(&self, now: Duration) -> bool {
        let Some(oldest) = self.entries.front() else { return false };
        let Retention { age, changes, bytes_max, old_bytes_max } = self.retention;
        let is_old = now.saturating_sub(oldest.at) > age;
        self.bytes > bytes_max
            || is_old && (self.entries.len() > changes || self.bytes > old_bytes_max)
    }

    fn forget_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.floor = entry.change.revision;
            self.bytes -= cost(&entry.change);
        }
    }
}

/// The memory that only history holds: what a change replaced, and a deletion's own copy.
fn cost(change: &Change) -> usize {
    let previous = change.previous.as_ref().map_or(0, |stored| stored.bytes.len());
    let own = if change.kind == ChangeKind::Deleted { change.object.bytes.len() } else { 0 };
    ENTRY_BYTES + previous + own
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::conformance::{draft, key};
    use super::super::{Key, Stored};
    use super::*;

    /// Pushes one change of `bytes` bytes a second, then answers which revisions are kept after
    /// `idle` seconds and one change more.
    fn check(retention: Retention, changes: u64, bytes: usize, idle: u64, expect: (u64, u64)) {
        let mut history = History::new(Revision(0), retention);
        let stored = |revision: u64| {
            let key: Key = key("/a");
            Arc::new(Stored::new(key, Revision(revision), &draft(&"x".repeat(bytes))))
        };
        for n in 1..=changes + 1 {
            let idle = if n > changes { idle } else { 0 };
            let change = Change {
                revision: Revision(n),
                kind: ChangeKind::Modified,
                object: stored(n),
                previous: Some(stored(n - 1)),
            };
            history.push(change, Duration::from_secs(n + idle));
        }
        assert_eq!((history.floor().0 + 1, history.newest().0), expect);
    }

    #[test]
    fn only_the_last_changes_keep_what_was_decoded() {
        let mut history = History::new(Revision(0), Retention::default());
        let stored =
            |revision| Arc::new(Stored::new(key("/a"), Revision(revision), &draft("object")));
        let mut objects = vec![stored(0)];
        for n in 1..=DECODED_MAX as u64 + 1 {
            let (previous, object) = (objects.last().unwrap().clone(), stored(n));
            objects.push(object.clone());
            let (revision, kind) = (Revision(n), ChangeKind::Modified);
            object.memo(|_| n);
            let change = Change { revision, kind, object, previous: Some(previous) };
            history.push(change, Duration::ZERO);
        }
        let again = |object: &Stored| *object.memo(|_| u64::MAX);
        assert_eq!(again(&objects[0]), u64::MAX);
        assert_eq!(again(&objects[1]), 1);
        let newest = objects.last().unwrap();
        assert_eq!(again(newest), newest.revision.0);
        let two = [0, 1].map(|answer| *objects[0].memo(|_| answer));
        assert_eq!(two, [0, 1], "what is closed keeps nothing");
    }

    const RETENTION: Retention = Retention {
        age: Duration::from_secs(100),
        changes: 20,
        bytes_max: 1_000_000,
        old_bytes_max: 50_000,
    };

    #[test]
    fn the_young_and_the_last_are_kept_within_bounds() {
        // Young: more than 20 stay.
        check(RETENTION, 90, 0, 0, (1, 91));
        // Some are old, and more than 20.
        check(RETENTION, 150, 0, 0, (51, 151));
        // All are old: 20 stay.
        check(RETENTION, 90, 0, 500, (72, 91));
        // All are old, and large: as many as fit beside the new one.
        check(RETENTION, 90, 10_000, 500, (88, 91));
        // Large and young.
        check(RETENTION, 90, 99_000, 0, (82, 91));
    }
}

//! The store for `--ephemeral`: every write is published at once.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::history::Retention;
use super::published::Published;
use super::state::{Request, State};
use super::{
    Durability, Error, Follower, Key, ListQuery, Page, Revision, Storage, Stored, Watch, Write,
    expiry,
};
use crate::client::clock::Clock;

#[derive(Debug)]
pub(super) struct Memory {
    published: Arc<Published>,
    /// Held from the decision on a write until it is published.
    writing: Mutex<()>,
    clock: Clock,
    /// Ends the task that deletes expired objects.
    done: CancellationToken,
}

impl Memory {
    pub(super) fn start(clock: Clock, tasks: &TaskTracker) -> Arc<dyn Storage> {
        Self::with_retention(clock, tasks, Retention::default())
    }

    pub(super) fn with_retention(
        clock: Clock,
        tasks: &TaskTracker,
        retention: Retention,
    ) -> Arc<dyn Storage> {
        let born = u64::try_from(clock.now().as_microsecond()).unwrap_or_default().max(1);
        let state = State::new(Revision(born), retention);
        let published = Arc::new(Published::new(state, clock.clone()));
        let done = CancellationToken::new();
        let memory = Arc::new(Self {
            published: published.clone(),
            writing: Mutex::new(()),
            clock: clock.clone(),
            done: done.clone(),
        });
        let store: Arc<dyn Storage> = memory;
        tasks.spawn(expiry::run(Arc::downgrade(&store), published, clock, done));
        store
    }

    fn write(&self, request: Request) -> Result<Arc<Stored>, Error> {
        let _writing = self.writing.lock();
        self.published.check_open()?;
        let step = self.published.read(|state| {
            let next = Revision(state.newest().0 + 1);
            let current = state.get(request.key());
            request.decide(current, next, self.clock.now())
        })?;
        let stored = step.change.object.clone();
        self.published.publish(vec![step]);
        Ok(stored)
    }
}

#[async_trait]
impl Storage for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Arc<Stored>>, Error> {
        self.published.get(key)
    }

    async fn list(&self, prefix: &str, query: ListQuery) -> Result<Page, Error> {
        self.published.list(prefix, &query)
    }

    async fn put(&self, write: Write) -> Result<Arc<Stored>, Error> {
        self.write(Request::Put(write))
    }

    async fn delete(
        &self,
        key: &Key,
        revision: Revision,
        durability: Durability,
    ) -> Result<Arc<Stored>, Error> {
        self.write(Request::Delete { key: key.clone(), revision, durability })
    }

    async fn follow(&self, prefix: &str, follower: Box<dyn Follower>) -> Result<(), Error> {
        self.published.follow(prefix, follower)
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, Error> {
        self.published.watch(prefix, after)
    }

    async fn revision(&self) -> Result<Revision, Error> {
        self.published.revision()
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.published.compact(revision)
    }

    async fn close(&self) -> Result<(), Error> {
        let _writing = self.writing.lock();
        self.done.cancel();
        self.published.close();
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.done.cancel();
        self.published.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{Fresh, conformance};
    use super::*;

    fn fresh() -> (Fresh, TaskTracker) {
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let tasks = TaskTracker::new();
        let store = Memory::start(clock.clone(), &tasks);
        (Fresh { store, clock }, tasks)
    }

    conformance!(fresh);

    #[tokio::test]
    async fn a_new_life_begins_at_the_time_of_day() {
        let (Fresh { store, .. }, _) = fresh();
        assert_eq!(store.revision().await.unwrap(), Revision(1_767_225_600_000_000));
        let earlier = store.watch("/", Revision(1)).await.err().unwrap();
        assert!(matches!(earlier, Error::Expired { .. }), "{earlier:?}");
    }

    #[tokio::test]
    async fn dropping_the_store_ends_its_watches_and_its_task() {
        let (Fresh { store, clock: _ }, tasks) = fresh();
        let newest = store.revision().await.unwrap();
        let mut watch = store.watch("/", newest).await.unwrap();
        drop(store);
        assert!(matches!(watch.next().await, Err(Error::Closed)));
        tasks.close();
        tasks.wait().await;
    }
}

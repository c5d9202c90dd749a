//! The store on disk. One thread commits: it takes all writes that wait, decides on them, appends
//! them to the journal with one sync for all, then publishes them and answers.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::journal::{Journal, Limits, is_full};
use super::published::Published;
use super::state::{Request, State, Step};
use super::{
    Durability, Error, Follower, Key, ListQuery, OpenError, Page, Revision, Storage, Stored, Watch,
    Write, expiry, recovery,
};
use crate::client::clock::Clock;

/// Bound: what the writes that wait for the committer may hold, in KiB. Further ones wait outside.
const WAITING_KIB_MAX: usize = 64 << 10;
/// Bound: the largest object. The API server lets far smaller ones in (3 MiB, as upstream).
const OBJECT_BYTES_MAX: usize = 16 << 20;
/// Bound: how many writes share a commit, so that the first of them is not kept too long.
const BATCH_MAX: usize = 1024;
/// How long a relaxed write may be unsynced when no durable one takes it along.
const SYNC_WITHIN: Duration = Duration::from_millis(90);

#[derive(Debug)]
pub(super) struct Embedded {
    published: Arc<Published>,
    committer_tx: mpsc::Sender<Message>,
    waiting: Arc<Semaphore>,
    /// Ends the task that deletes expired objects.
    done: CancellationToken,
}

enum Message {
    Write(Job),
    Close(oneshot::Sender<Result<(), Error>>),
}

struct Job {
    request: Request,
    reply_tx: Reply,
    _place: OwnedSemaphorePermit,
}

type Reply = oneshot::Sender<Result<Arc<Stored>, Error>>;

struct Answer {
    reply_tx: Reply,
    decided: Result<Arc<Stored>, Error>,
}

impl Embedded {
    pub(super) fn open(
        directory: &Path,
        clock: Clock,
        tasks: &TaskTracker,
        limits: Limits,
    ) -> Result<Arc<dyn Storage>, OpenError> {
        let (state, journal) = recovery::open(directory, limits, clock.monotonic())?;
        Self::start(directory, clock, tasks, state, journal)
    }

    fn start(
        directory: &Path,
        clock: Clock,
        tasks: &TaskTracker,
        state: State,
        journal: Journal,
    ) -> Result<Arc<dyn Storage>, OpenError> {
        let published = Arc::new(Published::new(state, clock.clone()));
        let (committer_tx, committer_rx) = mpsc::channel();
        let committer = Committer {
            published: published.clone(),
            journal,
            clock: clock.clone(),
            unsynced_since: None,
            has_room: true,
            failed: None,
        };
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || committer.run(&committer_rx))
            .map_err(|source| OpenError::Io { path: directory.to_owned(), source })?;
        let done = CancellationToken::new();
        let waiting = Arc::new(Semaphore::new(WAITING_KIB_MAX));
        let store: Arc<dyn Storage> = Arc::new(Self {
            published: published.clone(),
            committer_tx,
            waiting,
            done: done.clone(),
        });
        tasks.spawn(expiry::run(Arc::downgrade(&store), published, clock, done));
        Ok(store)
    }

    async fn write(&self, request: Request) -> Result<Arc<Stored>, Error> {
        self.published.check_open()?;
        let bytes = request.bytes();
        if bytes > OBJECT_BYTES_MAX {
            return Err(Error::Failed(format!(
                "{bytes} bytes for one object, and {OBJECT_BYTES_MAX} are the most"
            )));
        }
        let kib = u32::try_from(1 + bytes / 1024).expect("an object is at most 16 MiB");
        let place = self.waiting.clone().acquire_many_owned(kib).await;
        let place = place.map_err(|_| Error::Closed)?;
        let (reply_tx, reply_rx) = oneshot::channel();
        let job = Job { request, reply_tx, _place: place };
        self.committer_tx.send(Message::Write(job)).map_err(|_| Error::Closed)?;
        reply_rx.await.map_err(|_| Error::Closed)?
    }
}

#[async_trait]
impl Storage for Embedded {
    async fn get(&self, key: &Key) -> Result<Option<Arc<Stored>>, Error> {
        self.published.get(key)
    }

    async fn list(&self, prefix: &str, query: ListQuery) -> Result<Page, Error> {
        self.published.list(prefix, &query)
    }

    async fn put(&self, write: Write) -> Result<Arc<Stored>, Error> {
        self.write(Request::Put(write)).await
    }

    async fn delete(
        &self,
        key: &Key,
        revision: Revision,
        durability: Durability,
    ) -> Result<Arc<Stored>, Error> {
        self.write(Request::Delete { key: key.clone(), revision, durability }).await
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
        self.done.cancel();
        let (closed_tx, closed_rx) = oneshot::channel();
        if self.committer_tx.send(Message::Close(closed_tx)).is_err() {
            return Ok(());
        }
        // No answer: another call of close came first.
        closed_rx.await.unwrap_or(Ok(()))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.done.cancel();
        self.published.close();
    }
}

/// The one writer. Without writes it sleeps.
struct Committer {
    published: Arc<Published>,
    journal: Journal,
    clock: Clock,
    /// Since when relaxed writes wait to be synced.
    unsynced_since: Option<Instant>,
    /// Otherwise the disk is full, and objects are changed and deleted only.
    has_room: bool,
    /// Why the journal can be written no more.
    failed: Option<String>,
}

impl Committer {
    fn run(mut self, committer_rx: &mpsc::Receiver<Message>) {
        while let Some(message) = self.wait(committer_rx) {
            let mut batch = Vec::new();
            let mut next = Some(message);
            while let Some(Message::Write(job)) = next {
                batch.push(job);
                let room = batch.len() < BATCH_MAX;
                next = if room { committer_rx.try_recv().ok() } else { None };
            }
            self.commit(batch);
            if let Some(Message::Close(closed_tx)) = next {
                self.published.close();
                let _ = closed_tx.send(self.finish());
                return;
            }
        }
        // Dropped without being closed. There is nobody to tell; `sync` has logged what failed.
        let _ = self.finish();
    }

    /// The next message, syncing relaxed writes meanwhile; `None` when the store was dropped.
    fn wait(&mut self, committer_rx: &mpsc::Receiver<Message>) -> Option<Message> {
        if let Some(since) = self.unsynced_since {
            match committer_rx.recv_timeout(SYNC_WITHIN.saturating_sub(since.elapsed())) {
                Ok(message) => return Some(message),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                // A failure is told to the next writer.
                Err(mpsc::RecvTimeoutError::Timeout) => drop(self.sync()),
            }
        }
        committer_rx.recv().ok()
    }

    /// Relaxed writes first: they do not wait for the sync that the durable ones need.
    fn commit(&mut self, batch: Vec<Job>) {
        let is_relaxed = |job: &Job| job.request.durability() == Durability::Relaxed;
        let (relaxed, durable) = batch.into_iter().partition(is_relaxed);
        self.commit_part(relaxed, Self::append);
        self.commit_part(durable, |committer, steps| {
            committer.append(steps)?;
            committer.sync()
        });
        if self.failed.is_none() && self.has_room && self.journal.wants_snapshot() {
            self.snapshot();
        }
    }

    fn commit_part(
        &mut self,
        jobs: Vec<Job>,
        write: impl FnOnce(&mut Self, &[Step]) -> Result<(), Error>,
    ) {
        self.look_for_room();
        let (steps, answers) = self.decide(jobs);
        let written = if steps.is_empty() { self.check() } else { write(self, &steps) };
        if written.is_ok() {
            self.published.publish(steps);
        }
        for Answer { reply_tx, decided } in answers {
            let answer = match &written {
                Ok(()) => decided,
                Err(why) => Err(why.clone()),
            };
            // The caller may have gone away.
            let _ = reply_tx.send(answer);
        }
    }

    /// The steps that the jobs make of the state, each one seeing those before it, and what their
    /// callers are to be told once the steps are written.
    fn decide(&self, jobs: Vec<Job>) -> (Vec<Step>, Vec<Answer>) {
        let now = self.clock.now();
        let mut steps: Vec<Step> = Vec::with_capacity(jobs.len());
        let mut answers = Vec::with_capacity(jobs.len());
        let mut pending: HashMap<Key, usize> = HashMap::new();
        self.published.read(|state| {
            for Job { request, reply_tx, .. } in jobs {
                let current = match pending.get(request.key()) {
                    Some(step) => steps[*step].standing(),
                    None => state.get(request.key()),
                };
                let next = Revision(state.newest().0 + 1 + steps.len() as u64);
                let fits = self.has_room || !request.creates();
                let decided = request.decide(current, next, now);
                let decided = decided.and_then(|step| fits.then_some(step).ok_or(Error::Full));
                let decided = decided.map(|step| {
                    let object = step.change.object.clone();
                    pending.insert(object.key.clone(), steps.len());
                    steps.push(step);
                    object
                });
                answers.push(Answer { reply_tx, decided });
            }
        });
        (steps, answers)
    }

    /// A look costs nothing while the journal has its reserve.
    fn look_for_room(&mut self) {
        let has_room = self.failed.is_some() || self.journal.has_room();
        match (self.has_room, has_room) {
            (true, false) => warn!(
                path = %self.journal.path().display(),
                "The disk is full: nothing can be created until there is room"
            ),
            (false, true) => info!("There is room on the disk again"),
            _ => {}
        }
        self.has_room = has_room;
    }

    fn check(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), |why| Err(Error::Failed(why)))
    }

    fn append(&mut self, steps: &[Step]) -> Result<(), Error> {
        self.check()?;
        let appended = self.journal.append(steps);
        self.unsynced_since.get_or_insert_with(Instant::now);
        appended.map_err(|source| match self.journal.cut() {
            Ok(()) if is_full(&source) => Error::Full,
            _ => self.fail("write", &source),
        })
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.check()?;
        self.unsynced_since = None;
        self.journal.sync().map_err(|source| self.fail("sync", &source))
    }

    fn snapshot(&mut self) {
        let (revision, rows) = self.published.read(|state| {
            let rows = state.rows().map(|(object, expires)| (object.clone(), expires));
            (state.newest(), rows.collect())
        });
        if let Err(source) = self.journal.snapshot(revision, rows) {
            self.fail("begin", &source);
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        let synced = if self.unsynced_since.is_some() { self.sync() } else { self.check() };
        self.journal.finish_snapshot();
        synced
    }

    /// Nobody knows what is on disk now: refuses every further write. The next start reads back what
    /// is there.
    fn fail(&mut self, what: &str, source: &io::Error) -> Error {
        let path = self.journal.path().display();
        let why = format!(
            "cannot {what} {path}: {source}; nothing can be changed until the cause is removed and sampan started again"
        );
        error!(%why, "The store refuses writes");
        self.unsynced_since = None;
        Error::Failed(self.failed.insert(why).clone())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::super::Precondition;
    use super::super::conformance::{Fresh, conformance, key, text, write};
    use super::super::segment::Fault;
    use super::*;

    /// A directory whose store can be opened again and again, on one clock.
    struct Disk {
        directory: tempfile::TempDir,
        clock: Clock,
        tasks: TaskTracker,
        limits: Limits,
    }

    impl Disk {
        fn new() -> Self {
            Self {
                directory: tempfile::tempdir().unwrap(),
                clock: Clock::manual("2026-01-01T00:00:00Z".parse().unwrap()),
                tasks: TaskTracker::new(),
                limits: Limits::default(),
            }
        }

        fn open(&self) -> Result<Arc<dyn Storage>, OpenError> {
            Embedded::open(self.directory.path(), self.clock.clone(), &self.tasks, self.limits)
        }

        fn open_with(&self, fault: Fault) -> Arc<dyn Storage> {
            let path = self.directory.path();
            let (state, mut journal) = recovery::open(path, self.limits, Duration::ZERO).unwrap();
            journal.segment().fault = Some(fault);
            Embedded::start(path, self.clock.clone(), &self.tasks, state, journal).unwrap()
        }

        fn files(&self) -> Vec<PathBuf> {
            let entries = fs::read_dir(self.directory.path()).unwrap();
            let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files
        }
    }

    fn fresh() -> (Fresh, Disk) {
        let disk = Disk::new();
        (Fresh { store: disk.open().unwrap(), clock: disk.clock.clone() }, disk)
    }

    conformance!(fresh);

    async fn create(store: &dyn Storage, name: &str) -> Arc<Stored> {
        store.put(write(name, "1", Precondition::Absent)).await.unwrap()
    }

    async fn names(store: &dyn Storage) -> Vec<String> {
        let page = store.list("/", ListQuery::default()).await.unwrap();
        page.items.iter().map(|stored| stored.key.0.to_string()).collect()
    }

    #[tokio::test]
    async fn a_store_opened_again_is_the_same() {
        let disk = Disk::new();
        let store = disk.open().unwrap();
        assert_eq!(store.revision().await.unwrap(), Revision(1));
        let x = create(&*store, "/a/x").await;
        let y = create(&*store, "/a/y").await;
        let gone = store.delete(&x.key, x.revision, Durability::Relaxed).await.unwrap();
        store.close().await.unwrap();
        let store = disk.open().unwrap();
        assert_eq!(store.revision().await.unwrap(), gone.revision);
        assert!(store.get(&x.key).await.unwrap().is_none());
        assert_eq!(store.get(&y.key).await.unwrap().unwrap().bytes, y.bytes);
        // History too, as far back as the log.
        let mut watch = store.watch("/", Revision(1)).await.unwrap();
        for expect in [&x, &y, &gone] {
            assert_eq!(watch.next().await.unwrap().object.bytes, expect.bytes);
        }
        assert_eq!(create(&*store, "/a/z").await.revision.0, gone.revision.0 + 1);
    }

    #[tokio::test]
    async fn the_time_to_expire_survives() {
        let disk = Disk::new();
        let store = disk.open().unwrap();
        let ttl = Some(Duration::from_secs(60));
        let soon = Write { ttl, ..write("/a/x", "1", Precondition::Absent) };
        let soon = store.put(soon).await.unwrap();
        store.close().await.unwrap();
        disk.clock.advance(Duration::from_secs(61));
        let store = disk.open().unwrap();
        let mut watch = store.watch("/a/x", soon.revision).await.unwrap();
        assert_eq!(watch.next().await.unwrap().previous.unwrap().bytes, soon.bytes);
    }

    #[tokio::test]
    async fn a_snapshot_replaces_the_log() {
        let mut disk = Disk::new();
        disk.limits.log_bytes_min = 2_000;
        let store = disk.open().unwrap();
        let mut last = create(&*store, "/a/x").await;
        let kept = create(&*store, "/a/kept").await;
        for value in 0..200 {
            let next = write("/a/x", &value.to_string(), Precondition::Revision(last.revision));
            last = store.put(next).await.unwrap();
        }
        let mut live = store.watch("/a/x", Revision(1)).await.unwrap();
        assert_eq!(live.next().await.unwrap().revision, Revision(2));
        store.close().await.unwrap();
        let files = disk.files();
        let extensions: Vec<_> = files.iter().map(|p| p.extension().unwrap()).collect();
        assert_eq!(extensions, ["log", "snapshot"]);
        assert!(fs::metadata(&files[0]).unwrap().len() < 4_000);
        let store = disk.open().unwrap();
        assert_eq!(store.get(&last.key).await.unwrap().unwrap().bytes, last.bytes);
        assert_eq!(store.get(&kept.key).await.unwrap().unwrap().bytes, kept.bytes);
        assert_eq!(store.revision().await.unwrap(), last.revision);
        let older = store.watch("/", Revision(2)).await.err().unwrap();
        assert!(matches!(older, Error::Expired { .. }), "{older:?}");
    }

    #[tokio::test]
    async fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
        let disk = Disk::new();
        let store = disk.open().unwrap();
        create(&*store, "/a/x").await;
        store.close().await.unwrap();
        let log = disk.files().remove(0);
        let good = fs::metadata(&log).unwrap().len();
        let store = disk.open().unwrap();
        create(&*store, "/a/y").await;
        store.close().await.unwrap();
        let whole = fs::read(&log).unwrap();
        for len in usize::try_from(good).unwrap()..whole.len() {
            fs::write(&log, &whole[..len]).unwrap();
            let store = disk.open().unwrap();
            assert_eq!(names(&*store).await, ["/a/x"], "{len}");
            store.close().await.unwrap();
            // A block that never reached the disk reads as zeros.
            let mut zeros = whole.clone();
            zeros[len..].fill(0);
            fs::write(&log, &zeros).unwrap();
            let store = disk.open().unwrap();
            assert_eq!(names(&*store).await, ["/a/x"], "{len}");
            assert_eq!(create(&*store, "/a/z").await.bytes, text(Revision(3), "1"));
            store.close().await.unwrap();
        }
    }

    #[tokio::test]
    async fn damage_is_an_error_and_changes_nothing() {
        let mut disk = Disk::new();
        disk.limits.log_bytes_min = 300;
        let store = disk.open().unwrap();
        for name in ["/a/1", "/a/2", "/a/3", "/a/4", "/a/5", "/a/6"] {
            create(&*store, name).await;
        }
        store.close().await.unwrap();
        for file in disk.files() {
            let whole = fs::read(&file).unwrap();
            let mut damaged = whole.clone();
            damaged[40] ^= 1;
            fs::write(&file, &damaged).unwrap();
            let error = disk.open().err().unwrap().to_string();
            assert!(error.contains(" is damaged at byte 16: "), "{error}");
            assert!(error.contains(&file.display().to_string()), "{error}");
            assert_eq!(fs::read(&file).unwrap(), damaged);
            fs::write(&file, &whole).unwrap();
        }
        let log = disk.files().remove(0);
        fs::rename(&log, log.with_extension("lost")).unwrap();
        let error = disk.open().err().unwrap().to_string();
        assert!(error.ends_with(" is damaged at byte 0: it is missing"), "{error}");
    }

    #[tokio::test]
    async fn a_full_disk_takes_what_comes_when_there_is_room_again() {
        let disk = Disk::new();
        let store = disk.open_with(Fault::Full(2));
        for durability in [Durability::Durable, Durability::Relaxed] {
            let write = Write { durability, ..write("/a/x", "1", Precondition::Absent) };
            let refused = store.put(write).await;
            assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
        }
        assert_eq!(names(&*store).await, Vec::<String>::new());
        let x = create(&*store, "/a/x").await;
        assert_eq!(x.revision, Revision(2));
        store.close().await.unwrap();
        let store = disk.open().unwrap();
        assert_eq!(store.get(&x.key).await.unwrap().unwrap().bytes, x.bytes);
    }

    #[tokio::test]
    async fn after_a_failure_nothing_is_written_and_nothing_is_lost() {
        let disk = Disk::new();
        let store = disk.open().unwrap();
        let x = create(&*store, "/a/x").await;
        store.close().await.unwrap();
        let store = disk.open_with(Fault::Sync);
        for _ in 0..2 {
            let put = store.put(write("/a/y", "1", Precondition::Absent)).await;
            let Err(Error::Failed(why)) = put else { panic!("{put:?}") };
            assert!(why.starts_with("cannot sync "), "{why}");
            let deleted = store.delete(&x.key, x.revision, Durability::Relaxed).await;
            assert!(matches!(deleted, Err(Error::Failed(_))), "{deleted:?}");
        }
        assert_eq!(names(&*store).await, ["/a/x"]);
        assert_eq!(store.revision().await.unwrap(), x.revision);
        assert!(matches!(store.close().await, Err(Error::Failed(_))));
        let store = disk.open().unwrap();
        assert_eq!(store.get(&x.key).await.unwrap().unwrap().bytes, x.bytes);
        // It may be there or not: the caller was told that it failed.
        if store.get(&key("/a/y")).await.unwrap().is_none() {
            create(&*store, "/a/y").await;
        }
    }

    #[tokio::test]
    async fn too_large_an_object_is_refused() {
        let (Fresh { store, .. }, _disk) = fresh();
        let large = "x".repeat(OBJECT_BYTES_MAX);
        let refused = store.put(write("/a/x", &large, Precondition::Absent)).await;
        assert!(matches!(refused, Err(Error::Failed(_))), "{refused:?}");
        create(&*store, "/a/x").await;
    }
}

//! The embedded store in a process that is killed again and again under 16 writers: every
//! acknowledged write is found, and nothing half-done.
//!
//! The child is this test binary, running [`writes_until_killed`]. Each writer does a fixed sequence of
//! operations on keys of its own and prints each one's number once it is acknowledged. So what must
//! be on disk is known: the state after as many operations as were printed, or one more.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::conformance::{key, text, write};
use super::embedded::Embedded;
use super::journal::Limits;
use super::{Durability, ListQuery, Precondition, Storage, Write};
use crate::client::clock::Clock;

const KILLS: usize = 50;
const WRITERS: usize = 16;
/// Each writer's keys.
const SLOTS: usize = 5;
const DIRECTORY: &str = "SAMPAN_CRASH_DIRECTORY";
const DONE: &str = "SAMPAN_CRASH_DONE";

/// What a writer does as its `n`th operation, on the slot `n % SLOTS`.
fn operation(writer: usize, n: usize) -> Option<String> {
    let deletes = n / SLOTS % 4 == 3;
    (!deletes).then(|| format!("{writer}-{n}-{}", "x".repeat(n * 37 % 3000)))
}

fn name(writer: usize, slot: usize) -> String {
    format!("/crash/{writer:02}/{slot}")
}

/// The values under a writer's keys after its first `done` operations.
fn state(writer: usize, done: usize) -> BTreeMap<String, String> {
    let slots = (0..SLOTS).filter_map(|slot| {
        let last = (0..done).rev().find(|n| n % SLOTS == slot)?;
        Some((name(writer, slot), operation(writer, last)?))
    });
    slots.collect()
}

/// Snapshots are due every few hundred writes, so that kills hit them too.
fn open(directory: &Path, tasks: &TaskTracker) -> Arc<dyn Storage> {
    let limits = Limits { log_bytes_min: 256 << 10, ..Limits::default() };
    Embedded::open(directory, Clock::system(), tasks, limits).unwrap()
}

/// Not a fact of its own: the child of the test below. Does nothing when it is not one.
#[test]
fn writes_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let done = std::env::var_os(DONE).unwrap().into_string().unwrap();
    let done: Vec<usize> = done.split(',').map(|n| n.parse().unwrap()).collect();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let tasks = TaskTracker::new();
        let store = open(&directory, &tasks);
        for (writer, done) in done.into_iter().enumerate() {
            tasks.spawn(write_on(store.clone(), writer, done));
        }
        std::future::pending().await
    })
}

async fn write_on(store: Arc<dyn Storage>, writer: usize, done: usize) {
    for n in done.. {
        let name = name(writer, n % SLOTS);
        let current = store.get(&key(&name)).await.unwrap().map(|stored| stored.revision);
        let durability = if n % 3 == 0 { Durability::Relaxed } else { Durability::Durable };
        let stored = match operation(writer, n) {
            Some(value) => {
                let expects = current.map_or(Precondition::Absent, Precondition::Revision);
                store.put(Write { durability, ..write(&name, &value, expects) }).await
            }
            None => store.delete(&key(&name), current.unwrap(), durability).await,
        };
        let line = format!("acknowledged {writer} {n} {}\n", stored.unwrap().revision);
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}

/// Kills itself when dropped, so that a failing test leaves nothing running.
struct Writer(Child);

impl Writer {
    fn start(directory: &Path, done: &[usize]) -> Self {
        let done = done.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let this = std::env::current_exe().unwrap();
        let child = Command::new(this)
            .args(["--exact", "control_plane::storage::crash::writes_until_killed", "--nocapture"])
            .env(DIRECTORY, directory)
            .env(DONE, done)
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// Kills it once it has acknowledged `count` writes; answers all it acknowledged: writer, number
    /// of the operation, revision.
    fn kill_after(mut self, count: usize) -> Vec<[u64; 3]> {
        let mut lines = BufReader::new(self.0.stdout.take().unwrap());
        let mut acknowledged = Vec::new();
        let mut line = String::new();
        loop {
            if acknowledged.len() == count {
                self.0.kill().unwrap();
            }
            line.clear();
            let read = lines.read_line(&mut line).unwrap();
            // The kill may have cut the last line.
            if read == 0 || !line.ends_with('\n') {
                break;
            }
            if let Some((_, numbers)) = line.split_once("acknowledged ") {
                let mut numbers = numbers.split_whitespace().map(|n| n.parse().unwrap());
                acknowledged.push([(); 3].map(|()| numbers.next().unwrap()));
            }
        }
        acknowledged
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compares the store with what was done; a writer's operation under way at the kill counts if it
/// is there.
async fn check(directory: &Path, done: &mut [usize], newest: u64) {
    let store = open(directory, &TaskTracker::new());
    assert!(store.revision().await.unwrap().0 >= newest);
    for (writer, done) in done.iter_mut().enumerate() {
        let prefix = format!("/crash/{writer:02}/");
        let page = store.list(&prefix, ListQuery::default()).await.unwrap();
        let found = |done| {
            let expect = state(writer, done).into_iter();
            let expect = expect.zip(&page.items).filter(|((name, value), stored)| {
                *stored.key.0 == **name && stored.bytes == text(stored.revision, value)
            });
            expect.count() == page.items.len() && state(writer, done).len() == page.items.len()
        };
        if found(*done + 1) {
            *done += 1;
        } else {
            assert!(found(*done), "writer {writer} after {done} writes: {:?}", page.items);
        }
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn acknowledged_writes_survive_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut done = vec![0; WRITERS];
    let mut newest = 0;
    for kill in 0..KILLS {
        // Spread over the first moments, the first snapshots and the time between.
        let count = kill * kill * 7919 % 1013;
        let acknowledged = Writer::start(directory.path(), &done).kill_after(count);
        assert!(acknowledged.len() >= count, "the writers ended by themselves");
        for [writer, n, revision] in acknowledged {
            let done = &mut done[usize::try_from(writer).unwrap()];
            assert_eq!(n, *done as u64);
            *done += 1;
            newest = newest.max(revision);
        }
        check(directory.path(), &mut done, newest).await;
    }
    assert!(done.iter().all(|done| *done > KILLS), "{done:?}");
}

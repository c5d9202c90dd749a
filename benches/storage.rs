//! What the store does in a second, in numbers that are printed and never asserted.
//!
//! `cargo bench --bench storage`, or `-- DIRECTORY` to put the store on another disk.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails shall stop")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sampan::client::clock::Clock;
use sampan::control_plane::storage::{
    self, Draft, Durability, Key, ListQuery, Precondition, Revision, Storage, Write,
};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

const RUN: Duration = Duration::from_secs(2);
/// A Pod once it runs, about.
const POD_BYTES: usize = 3_000;
const EVENT_BYTES: usize = 600;

fn main() {
    let parent = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).map(PathBuf::from);
    let directory = tempfile::tempdir_in(parent.unwrap_or_else(std::env::temp_dir)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let tasks = TaskTracker::new();
        // First, while the process holds no memory that was freed.
        objects(directory.path(), &tasks).await;
        for kind in ["memory", "embedded"] {
            for durability in [Durability::Durable, Durability::Relaxed] {
                for writers in [1, 16, 64] {
                    let store = open(kind, directory.path(), &tasks);
                    writes(kind, &store, &tasks, durability, writers).await;
                    store.close().await.unwrap();
                }
            }
            let store = open(kind, directory.path(), &tasks);
            pod_starts(kind, &store, &tasks).await;
            for watchers in [1, 100] {
                delivery(kind, &store, &tasks, watchers).await;
            }
            store.close().await.unwrap();
        }
    });
}

fn open(kind: &str, directory: &Path, tasks: &TaskTracker) -> Arc<dyn Storage> {
    match kind {
        "memory" => storage::memory(Clock::system(), tasks),
        _ => storage::embedded(directory, Clock::system(), tasks).unwrap(),
    }
}

fn write(name: String, bytes: usize, precondition: Precondition, durability: Durability) -> Write {
    let before = r#"{"metadata":{"resourceVersion":""#;
    let draft = Draft {
        bytes: format!(r#"{before}"}},"x":"{}"}}"#, "x".repeat(bytes - 46)).into_bytes(),
        revision_at: before.len(),
    };
    Write { key: Key(name.into()), draft, precondition, durability, ttl: None, decoded: None }
}

/// Each writer creates objects one after the other.
async fn writes(
    kind: &str,
    store: &Arc<dyn Storage>,
    tasks: &TaskTracker,
    durability: Durability,
    writers: usize,
) {
    let start = Instant::now();
    let run = |writer: usize| {
        let store = store.clone();
        async move {
            let mut took = Vec::new();
            while start.elapsed() < RUN {
                let name = format!("/bench/{durability:?}-{writers}/{writer}/{}", took.len());
                let before = Instant::now();
                store.put(write(name, POD_BYTES, Precondition::Absent, durability)).await.unwrap();
                took.push(before.elapsed());
            }
            took
        }
    };
    let writing: Vec<_> = (0..writers).map(|writer| tasks.spawn(run(writer))).collect();
    let mut took = Vec::new();
    for writer in writing {
        took.extend(writer.await.unwrap());
    }
    let per_second = took.len() as f64 / start.elapsed().as_secs_f64();
    println!(
        "{kind:8} {durability:?} writes, {writers:2} writers: {per_second:9.0}/s, {}",
        spread(took)
    );
}

/// What one Pod's start writes: three durable changes of the Pod, four Events.
async fn pod_starts(kind: &str, store: &Arc<dyn Storage>, tasks: &TaskTracker) {
    for writers in [1, 16, 64] {
        let start = Instant::now();
        let run = |writer: usize| {
            let store = store.clone();
            async move {
                let mut took = Vec::new();
                while start.elapsed() < RUN {
                    let before = Instant::now();
                    pod_start(&*store, &format!("{writers}-{writer}-{}", took.len())).await;
                    took.push(before.elapsed());
                }
                took
            }
        };
        let writing: Vec<_> = (0..writers).map(|writer| tasks.spawn(run(writer))).collect();
        let mut took = Vec::new();
        for writer in writing {
            took.extend(writer.await.unwrap());
        }
        let per_second = took.len() as f64 / start.elapsed().as_secs_f64();
        println!("{kind:8} Pod starts, {writers:2} at once: {per_second:9.0}/s, {}", spread(took));
    }
}

async fn pod_start(store: &dyn Storage, name: &str) {
    let mut precondition = Precondition::Absent;
    for event in 0..4 {
        if event < 3 {
            let pod = format!("/core/pods/default/{name}");
            let pod = write(pod, POD_BYTES, precondition, Durability::Durable);
            precondition = Precondition::Revision(store.put(pod).await.unwrap().revision);
        }
        let event = format!("/core/events/default/{name}.{event}");
        let event = write(event, EVENT_BYTES, Precondition::Absent, Durability::Relaxed);
        store.put(event).await.unwrap();
    }
}

/// From the call of a relaxed put until every watcher has its change.
async fn delivery(kind: &str, store: &Arc<dyn Storage>, tasks: &TaskTracker, watchers: usize) {
    const CHANGES: usize = 500;
    let newest = store.revision().await.unwrap();
    let (seen_tx, mut seen_rx) = tokio::sync::mpsc::channel::<Revision>(watchers);
    let mut watching = Vec::new();
    for _ in 0..watchers {
        let mut watch = store.watch("/watched/", newest).await.unwrap();
        let seen_tx = seen_tx.clone();
        watching.push(tasks.spawn(async move {
            for _ in 0..CHANGES {
                seen_tx.send(watch.next().await.unwrap().revision).await.unwrap();
            }
        }));
    }
    let mut took = Vec::new();
    for n in 0..CHANGES {
        let name = format!("/watched/{watchers}-{n}");
        let before = Instant::now();
        store.put(write(name, POD_BYTES, Precondition::Absent, Durability::Relaxed)).await.unwrap();
        for _ in 0..watchers {
            seen_rx.recv().await.unwrap();
        }
        took.push(before.elapsed());
    }
    for watcher in watching {
        watcher.await.unwrap();
    }
    println!("{kind:8} put to {watchers:3} watchers: {}", spread(took));
}

/// 5,000 objects: their memory, a list of them, and opening the store with them and with 1,000.
async fn objects(parent: &Path, tasks: &TaskTracker) {
    for count in [1_000, 5_000] {
        let directory = parent.join(count.to_string());
        let store = storage::embedded(&directory, Clock::system(), tasks).unwrap();
        let before = resident_kib();
        for n in 0..count {
            let name = format!("/core/pods/default/{n}");
            let pod = write(name, POD_BYTES, Precondition::Absent, Durability::Relaxed);
            store.put(pod).await.unwrap();
        }
        if let (Some(before), Some(after)) = (before, resident_kib()) {
            let each = (after.saturating_sub(before)) * 1024 / count;
            println!("embedded {count} objects of {POD_BYTES} bytes: {each} bytes resident each");
        }
        let mut took = Vec::new();
        for _ in 0..50 {
            let start = Instant::now();
            let page = store.list("/core/pods/", ListQuery::default()).await.unwrap();
            assert_eq!(page.items.len() as u64, count);
            took.push(start.elapsed());
        }
        println!("embedded list of {count}: {}", spread(took));
        store.close().await.unwrap();
        drop(store);
        let mut took = Vec::new();
        for _ in 0..10 {
            let start = Instant::now();
            let store = storage::embedded(&directory, Clock::system(), tasks).unwrap();
            took.push(start.elapsed());
            store.close().await.unwrap();
        }
        println!("embedded open with {count}: {}", spread(took));
    }
}

fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn spread(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!("p50 {:.3} ms, p99 {:.3} ms, n {}", at(0.5), at(0.99), took.len())
}

//! Writes down everything that becomes of the objects, over all of a cluster's lives.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt, future, stream};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use parking_lot::Mutex;
use serde_json::Value;

use super::objects::{KINDS, Seen, text};
use crate::support::Home;

/// What became of one object.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// The first life is 0; each `kill -9` ends one.
    pub(super) life: usize,
    pub(super) revision: u64,
    pub(super) uid: String,
    /// None: it is gone.
    pub(super) seen: Option<Arc<Seen>>,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct History {
    /// In the order of each kind's watch; kinds are mixed.
    pub(super) changes: Vec<Change>,
    /// Of each life, up to where changes may have been missed: what was there when it began was listed.
    pub(super) whole_after: Vec<u64>,
    /// What is wrong with the revisions themselves.
    pub(super) faults: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) history: History,
    /// What there is now, by uid; an index of [`KINDS`] with it.
    now: HashMap<String, (usize, Arc<Seen>)>,
    newest: u64,
    /// Watches that go on.
    open: usize,
}

impl Record {
    pub(super) fn now(&self) -> Vec<Arc<Seen>> {
        let mut all: Vec<_> = self.now.values().map(|(_, seen)| seen.clone()).collect();
        // Which one chance picks shall not be up to a hash.
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn put(&mut self, kind: usize, revision: u64, seen: Seen, is_gone: bool) {
        let seen = Arc::new(seen);
        let uid = seen.uid.clone();
        match is_gone {
            true => drop(self.now.remove(&uid)),
            false => drop(self.now.insert(uid.clone(), (kind, seen.clone()))),
        }
        let (life, seen) = (self.history.whole_after.len() - 1, (!is_gone).then_some(seen));
        self.history.changes.push(Change { life, revision, uid, seen });
        self.newest = self.newest.max(revision);
    }

    /// A new life begins with this list; answers its revision.
    fn take_up(&mut self, kind: usize, list: &Value) -> u64 {
        let revision = revision(&list["metadata"]);
        if revision < self.newest {
            self.history.faults.push(format!("revision {revision} was {} before", self.newest));
        }
        let mut gone: HashMap<String, Arc<Seen>> = self
            .now
            .iter()
            .filter(|(_, (of, _))| *of == kind)
            .map(|(uid, (_, seen))| (uid.clone(), seen.clone()))
            .collect();
        for item in list["items"].as_array().into_iter().flatten() {
            let seen = Seen::of(item, KINDS[kind].1);
            if gone.remove(&seen.uid).as_deref() != Some(&seen) {
                self.put(kind, self::revision(&item["metadata"]), seen, false);
            }
        }
        for seen in gone.into_values() {
            self.put(kind, revision, (*seen).clone(), true);
        }
        if let Some(whole_after) = self.history.whole_after.last_mut() {
            *whole_after = revision.max(*whole_after);
        }
        revision
    }
}

fn revision(meta: &Value) -> u64 {
    text(&meta["resourceVersion"]).parse().unwrap()
}

/// Watches one life of a cluster.
pub(super) struct Watcher(JoinHandle<()>);

impl Watcher {
    /// Returns once everything is being watched.
    pub(super) fn start(home: &Home, record: &Arc<Mutex<Record>>) -> Self {
        /// Nine lists take no longer.
        const TIME_MAX: Duration = Duration::from_secs(60);
        let (config, record) = (home.kubeconfig(), record.clone());
        let (ready_tx, ready_rx) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let client = client(&config).await;
                record.lock().history.whole_after.push(0);
                let mut watches = Vec::new();
                for (kind, (path, _)) in KINDS.iter().enumerate() {
                    let request = Request::get(*path).body(Vec::new()).unwrap();
                    let list: Value = client.request(request).await.unwrap();
                    let revision = record.lock().take_up(kind, &list);
                    watches.push(follow(client.clone(), kind, revision, record.clone()));
                }
                record.lock().open = watches.len();
                ready_tx.send(()).unwrap();
                future::join_all(watches).await;
            });
        });
        ready_rx.recv_timeout(TIME_MAX).unwrap();
        Self(thread)
    }

    /// Its cluster has been killed.
    pub(super) fn finish(self) {
        self.0.join().unwrap();
    }
}

/// Panics if a watch has ended before its cluster has.
pub(super) fn assert_whole(record: &Mutex<Record>) {
    assert_eq!(record.lock().open, KINDS.len(), "a watch has ended");
}

pub(super) async fn client(config: &std::path::Path) -> kube::Client {
    let config = Kubeconfig::read_from(config).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

/// Until the connection ends.
async fn follow(client: kube::Client, kind: usize, from: u64, record: Arc<Mutex<Record>>) {
    let path = format!("{}?watch=true&resourceVersion={from}", KINDS[kind].0);
    let request = Request::get(path).body(Vec::new()).unwrap();
    let lines = match client.request_stream(request).await {
        Ok(stream) => stream.lines().left_stream(),
        Err(_) => stream::empty().right_stream(),
    };
    let mut lines = std::pin::pin!(lines);
    let mut last = from;
    while let Some(Ok(line)) = lines.next().await {
        // The last line before a kill may be cut short.
        let Ok(event) = serde_json::from_str::<Value>(&line) else { break };
        let object = &event["object"];
        assert_ne!(event["type"], "ERROR", "{object}");
        let at = revision(&object["metadata"]);
        let mut record = record.lock();
        if at <= last {
            record.history.faults.push(format!("{}: revision {at} after {last}", KINDS[kind].0));
        }
        last = at;
        record.put(kind, at, Seen::of(object, KINDS[kind].1), event["type"] == "DELETED");
    }
    record.lock().open -= 1;
}

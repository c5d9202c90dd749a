//! Writes that were acknowledged, to be found again after a `kill -9`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use super::objects::text;
use super::watcher::client;
use crate::support::{Cluster, Home};

const PATH: &str = "/api/v1/namespaces/default/configmaps";
/// Acknowledged before a kill comes.
const BEFORE_KILL: usize = 20;
/// Bound: how many are kept; older ones are deleted.
const KEPT: usize = 40;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    next: usize,
    /// Names and revisions.
    there: BTreeMap<String, String>,
    gone: BTreeSet<String>,
    /// Nobody said what became of the deletion.
    maybe: BTreeSet<String>,
    pub(super) acknowledged: usize,
}

enum Said {
    Made(String, String),
    Deleting(String),
    Deleted(String),
}

impl Ledger {
    /// Kills the cluster amid writes.
    pub(super) fn write_and_kill(&mut self, home: &Home, cluster: Cluster<'_>) {
        /// No single write takes longer.
        const TIME_MAX: Duration = Duration::from_secs(60);
        let (said_tx, said_rx) = mpsc::channel();
        let (config, first) = (home.kubeconfig(), self.next);
        let old: Vec<String> = self.there.keys().rev().skip(KEPT).cloned().collect();
        let writer = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(write(&config, first, old, &said_tx));
        });
        for _ in 0..BEFORE_KILL {
            self.note(said_rx.recv_timeout(TIME_MAX).unwrap());
        }
        cluster.kill();
        writer.join().unwrap();
        said_rx.try_iter().for_each(|said| self.note(said));
        // The last one may have been made without a word.
        self.next += 1;
    }

    fn note(&mut self, said: Said) {
        match said {
            Said::Made(name, revision) => {
                self.next += 1;
                self.acknowledged += 1;
                self.there.insert(name, revision);
            }
            Said::Deleting(name) => {
                self.there.remove(&name);
                self.maybe.insert(name);
            }
            Said::Deleted(name) => {
                self.acknowledged += 1;
                self.maybe.remove(&name);
                self.gone.insert(name);
            }
        }
    }

    /// Panics if anything is missing or has come back.
    pub(super) fn check(&self, cluster: &Cluster<'_>) {
        let fields = "{range.items[*]}{.metadata.name}={.metadata.resourceVersion},{end}";
        let list = cluster.run_words(&[
            "get",
            "cm",
            "-l",
            "chaos=ledger",
            "-o",
            &format!("jsonpath={fields}"),
        ]);
        assert_eq!(list.code, 0, "{}", list.all());
        let found: BTreeMap<&str, &str> =
            list.stdout.split(',').filter_map(|pair| pair.split_once('=')).collect();
        for (name, revision) in &self.there {
            assert_eq!(found.get(&**name), Some(&&**revision), "{name} was acknowledged");
        }
        let back: Vec<_> = found.keys().filter(|name| self.gone.contains(**name)).collect();
        assert!(back.is_empty(), "deleted, and there again: {back:?}");
    }
}

/// Until the connection ends.
async fn write(
    config: &std::path::Path,
    first: usize,
    old: Vec<String>,
    said_tx: &mpsc::Sender<Said>,
) {
    let client = client(config).await;
    let mut old = old.into_iter();
    for n in first.. {
        let name = format!("ledger-{n:06}");
        let object = json!({"metadata": {"name": name, "labels": {"chaos": "ledger"}}});
        let request = Request::post(PATH).header("Content-Type", "application/json");
        let request = request.body(object.to_string().into_bytes()).unwrap();
        let Ok(made) = client.request::<Value>(request).await else { return };
        let revision = text(&made["metadata"]["resourceVersion"]);
        said_tx.send(Said::Made(name, revision)).unwrap();
        let Some(name) = old.next() else { continue };
        said_tx.send(Said::Deleting(name.clone())).unwrap();
        let request = Request::delete(format!("{PATH}/{name}")).body(Vec::new()).unwrap();
        if client.request::<Value>(request).await.is_err() {
            return;
        }
        said_tx.send(Said::Deleted(name)).unwrap();
    }
}

//! Which Pods are this node's: one task for each, told of changes.
//!
//! Upstream: `pkg/kubelet/pod_workers.go`.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tracing::{Instrument, info_span, warn};

use super::eviction::LocalStorage;
use super::lifecycle::Context;
use super::mirror;
use super::run::Live;
use super::sync_pod;
use crate::api::object::ObjectKey;
use crate::node::network::PodNetwork;

/// What a Pod's task is told.
#[derive(Debug, Clone)]
pub(super) enum Desired {
    Pod(Arc<Pod>),
    /// The object is gone.
    Gone,
}

/// What the node's door sees of a Pod.
#[derive(Debug)]
pub(super) struct LivePod {
    pub(super) uid: String,
    /// `pods/<uid>`
    pub(super) directory: PathBuf,
    /// As the task sees it now; the API server may be a moment behind.
    status: Mutex<Arc<PodStatus>>,
    /// Containers that run, by name.
    running: Mutex<HashMap<String, Live>>,
    /// While the Pod has one.
    network: Mutex<Option<PodNetwork>>,
    /// What it has of the disk.
    pub(super) storage: LocalStorage,
}

impl LivePod {
    pub(super) fn status(&self) -> Arc<PodStatus> {
        self.status.lock().clone()
    }

    pub(super) fn set_status(&self, status: Arc<PodStatus>) {
        *self.status.lock() = status;
    }

    pub(super) fn network(&self) -> Option<PodNetwork> {
        self.network.lock().clone()
    }

    pub(super) fn joined(&self, network: PodNetwork) {
        *self.network.lock() = Some(network);
    }

    pub(super) fn running(&self, container: &str) -> Option<Live> {
        self.running.lock().get(container).cloned()
    }

    pub(super) fn each_running(&self, mut look: impl FnMut(&str, &Live)) {
        self.running.lock().iter().for_each(|(name, live)| look(name, live));
    }

    pub(super) fn started(&self, container: &str, live: Live) {
        self.running.lock().insert(container.to_owned(), live);
    }

    pub(super) fn ended(&self, container: &str) {
        self.running.lock().remove(container);
    }

    /// Lets go of the network, of the disk's account and of all containers, which ends those that nobody
    /// else holds.
    pub(super) fn clear(&self) {
        *self.running.lock() = HashMap::new();
        self.storage.clear();
        *self.network.lock() = None;
    }
}

/// This node's Pods, by name.
#[derive(Debug, Default)]
pub(super) struct LivePods(RwLock<HashMap<ObjectKey, Arc<LivePod>>>);

impl LivePods {
    pub(super) fn get(&self, key: &ObjectKey) -> Option<Arc<LivePod>> {
        self.0.read().get(key).cloned()
    }

    /// The Pod of this name, if it has this uid or none is asked for.
    pub(super) fn of(&self, namespace: &str, name: &str, uid: &str) -> Option<Arc<LivePod>> {
        let pod = self.get(&ObjectKey::new(namespace, name));
        pod.filter(|pod| uid.is_empty() || pod.uid == uid)
    }

    pub(super) fn list(&self) -> Vec<Arc<LivePod>> {
        self.0.read().values().cloned().collect()
    }
}

struct Handle {
    uid: String,
    desired_tx: watch::Sender<Desired>,
}

/// Follows the cache of Pods until the kubelet stops.
pub(super) async fn run(ctx: Arc<Context>) {
    let stop = ctx.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = follow(ctx) => {}
    }
}

async fn follow(ctx: Arc<Context>) {
    ctx.rooms.pods.synced().await;
    remove_orphans(&ctx);
    let mut changes = ctx.rooms.pods.changes();
    let mut handles: HashMap<ObjectKey, Handle> = HashMap::new();
    while let Some(key) = changes.next().await {
        let pod = ctx.rooms.pods.get(&key);
        if mirror::is_about(&ctx.config, &key, pod.as_deref()) {
            ctx.mirror_changed.notify_one();
        }
        let pod = pod.filter(|pod| is_ours(&ctx, pod));
        let uid = pod.as_ref().and_then(|pod| pod.metadata.uid.clone()).unwrap_or_default();
        if let Some(handle) = handles.get(&key)
            && (pod.is_none() || handle.uid != uid)
        {
            // The task winds up by itself; a Pod of the same name gets another.
            handle.desired_tx.send_replace(Desired::Gone);
            handles.remove(&key);
            ctx.live.0.write().remove(&key);
        }
        let Some(pod) = pod else { continue };
        match handles.get(&key) {
            Some(handle) => {
                handle.desired_tx.send_replace(Desired::Pod(pod));
            }
            None => {
                handles.insert(key.clone(), spawn(&ctx, key, uid, pod));
            }
        }
    }
}

fn spawn(ctx: &Arc<Context>, key: ObjectKey, uid: String, pod: Arc<Pod>) -> Handle {
    let (desired_tx, desired_rx) = watch::channel(Desired::Pod(pod.clone()));
    let live = Arc::new(LivePod {
        directory: ctx.config.pods_directory.join(&uid),
        uid: uid.clone(),
        status: Mutex::new(Arc::new(pod.status.clone().unwrap_or_default())),
        running: Mutex::new(HashMap::new()),
        network: Mutex::new(None),
        storage: LocalStorage::of(&pod),
    });
    let span = info_span!("pod", namespace = %key.namespace, name = %key.name, %uid);
    ctx.live.0.write().insert(key, live.clone());
    let task = Box::pin(sync_pod::run(ctx.clone(), live, pod, desired_rx));
    ctx.tasks.spawn(task.instrument(span));
    Handle { uid, desired_tx }
}

fn is_ours(ctx: &Context, pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node == Some(ctx.config.node.as_str()) && !mirror::is_mirror(pod)
}

/// Removes what Pods left behind that went while no kubelet looked.
fn remove_orphans(ctx: &Context) {
    let pods = ctx.rooms.pods.list();
    let known: HashSet<&str> = pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
    let directory = &ctx.config.pods_directory;
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|uid| known.contains(uid)) {
            continue;
        }
        if let Err(error) = std::fs::remove_dir_all(entry.path()) {
            warn!(path = %entry.path().display(), %error, "Failed to remove an old Pod's files");
        }
    }
}

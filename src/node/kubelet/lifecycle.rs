//! The kubelet's life.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    ConfigMap, ObjectReference, PersistentVolume, Pod, Secret, Service,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::eviction;
use super::heartbeat;
use super::mirror;
use super::pod_worker::LastStop;
use super::pod_workers::{self, LivePods};
use super::prober::PROBES_AT_ONCE_MAX;
use super::reclaim;
use super::stats;
use crate::client::ApiClient;
use crate::client::cache::Cache;
use crate::client::clock::{Clock, Ids};
use crate::client::events::{self, Recorder};
use crate::node::images::Images;
use crate::node::network::{AddressBook, Network};
use crate::node::runtime::Runtime;
use crate::node::volumes::Volumes;
use crate::telemetry::{ComponentLogs, Metrics};

/// In the Pods' directory after a stop in order, until the next start: whoever finds none there was
/// killed.
const STOPPED_IN_ORDER: &str = ".stopped-in-order";

#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The Node object's name.
    pub(crate) node: String,
    pub(crate) address: IpAddr,
    /// Amounts by resource name, in place of the host's.
    pub(crate) capacity: BTreeMap<String, Quantity>,
    /// One directory per Pod, by uid.
    pub(crate) pods_directory: PathBuf,
    /// One directory per volume of our own provisioner, by name.
    pub(crate) volumes_directory: PathBuf,
}

/// What the kubelet is handed to work with.
pub(crate) struct Rooms {
    pub(crate) client: ApiClient,
    pub(crate) pods: Cache<Pod>,
    pub(crate) config_maps: Cache<ConfigMap>,
    pub(crate) secrets: Cache<Secret>,
    pub(crate) services: Cache<Service>,
    pub(crate) persistent_volumes: Cache<PersistentVolume>,
    pub(crate) images: Images,
    pub(crate) network: Network,
    pub(crate) runtime: Runtime,
    pub(in crate::node) volumes: Volumes,
    pub(crate) component_logs: ComponentLogs,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
}

/// What all of the kubelet's tasks share.
pub(super) struct Context {
    pub(super) config: Config,
    pub(super) rooms: Rooms,
    pub(super) recorder: Recorder,
    pub(super) addresses: AddressBook,
    pub(super) last_stop: LastStop,
    /// What a container without a limit may use.
    pub(super) allocatable: BTreeMap<String, Quantity>,
    pub(super) live: LivePods,
    /// What the node itself has used.
    pub(super) node_meter: stats::Meter,
    /// Turns of probes.
    pub(super) probes: Arc<Semaphore>,
    /// Told when a mirror Pod has changed.
    pub(super) mirror_changed: Notify,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Context {
    pub(super) fn node_reference(&self) -> ObjectReference {
        ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(self.config.node.clone()),
            // Upstream's kubelet uses the name for the uid, and `kubectl describe node` asks for it.
            uid: Some(self.config.node.clone()),
            ..ObjectReference::default()
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A running kubelet; also the door for logs, exec and attach.
#[derive(Debug)]
pub(crate) struct Kubelet {
    pub(super) ctx: Arc<Context>,
    ready_tx: Arc<watch::Sender<bool>>,
}

impl Kubelet {
    /// Registers the node and takes up its Pods.
    pub(crate) fn start(config: Config, rooms: Rooms) -> Arc<Self> {
        let source =
            events::Source { component: "kubelet".to_owned(), host: Some(config.node.clone()) };
        let (recorder, writer) =
            events::recorder(rooms.client.clone(), rooms.clock.clone(), source);
        let last_stop = last_stop(&config.pods_directory);
        let addresses = AddressBook::new(rooms.network.config().pods);
        let ctx = Arc::new(Context {
            node_meter: stats::Meter::of_node(&rooms.clock),
            allocatable: heartbeat::allocatable(&config),
            config,
            rooms,
            recorder,
            addresses,
            last_stop,
            live: LivePods::default(),
            probes: Arc::new(Semaphore::new(PROBES_AT_ONCE_MAX)),
            mirror_changed: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let ready_tx = Arc::new(watch::channel(false).0);
        ctx.tasks.spawn(writer.run(ctx.stop.clone()));
        ctx.tasks.spawn(heartbeat::run(ctx.clone(), ready_tx.clone()));
        ctx.tasks.spawn(pod_workers::run(ctx.clone()));
        ctx.tasks.spawn(mirror::run(ctx.clone(), ready_tx.subscribe()));
        ctx.tasks.spawn(reclaim::run(ctx.clone()));
        ctx.tasks.spawn(stats::run(ctx.clone()));
        ctx.tasks.spawn(eviction::run(ctx.clone()));
        ctx.tasks.spawn(warm_up(ctx.clone()));
        ctx.tasks.spawn(follow_volumes(ctx.clone()));
        Arc::new(Self { ctx, ready_tx })
    }

    pub(crate) async fn ready(&self) {
        // Fails only when the sender is gone, and we hold the sender.
        let _ = self.ready_tx.subscribe().wait_for(|ready| *ready).await;
    }

    /// Ends all tasks, and with them the guests. No status is written: this is no container's exit.
    pub(crate) async fn shutdown(&self) {
        self.ctx.stop.cancel();
        self.ctx.tasks.close();
        self.ctx.tasks.wait().await;
        let mark = self.ctx.config.pods_directory.join(STOPPED_IN_ORDER);
        if let Err(error) = std::fs::write(&mark, "") {
            warn!(path = %mark.display(), %error, "The next start will take this stop for a crash");
        }
    }
}

/// How the sampan before this one ended; asks once, for the next one to be told anew.
fn last_stop(pods_directory: &Path) -> LastStop {
    match std::fs::remove_file(pods_directory.join(STOPPED_IN_ORDER)) {
        Ok(()) => LastStop::InOrder,
        Err(_) => LastStop::Unknown,
    }
}

/// Has volumes told of changes of what they show.
async fn follow_volumes(ctx: Arc<Context>) {
    let stop = ctx.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = ctx.rooms.volumes.follow() => {}
    }
}

/// Has the runtime's engines ready before the first Pod asks for them.
async fn warm_up(ctx: Arc<Context>) {
    if let Err(error) = ctx.rooms.runtime.warm_up().await {
        // Each container that is started tells the same in an Event.
        warn!(%error, "This node cannot run guests");
    }
}

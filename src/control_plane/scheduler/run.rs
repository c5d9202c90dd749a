//! The scheduler's task: caches in, bindings out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::decide::{Decision, decide};
use super::ledger::Ledger;
use crate::api::object::ObjectKey;
use crate::client::cache::Cache;
use crate::client::clock::Clock;
use crate::client::events::{self, EventType, Recorder};
use crate::client::queue::{Backoff, Claim, Queue};

/// The name Pods ask for in `spec.schedulerName`.
const NAME: &str = "default-scheduler";
/// Upstream's `podInitialBackoffSeconds` and `podMaxBackoffSeconds`.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) };
/// Bindings under way. Bound: enough to fill the store's group commits, few enough that a burst of
/// Pods does not fill the API server's queue.
const BINDING_MAX: usize = 128;

/// What the scheduler is handed to work with.
#[derive(Clone)]
pub(crate) struct Rooms {
    /// Speaks for `system:kube-scheduler`.
    pub(crate) client: kube::Client,
    pub(crate) pods: Cache<Pod>,
    pub(crate) nodes: Cache<Node>,
    pub(crate) clock: Clock,
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("pods", &self.pods).field("nodes", &self.nodes).finish()
    }
}

/// Schedules Pods until `stop` is cancelled.
pub(crate) async fn run(rooms: Rooms, stop: CancellationToken) {
    let source = events::Source { component: NAME.to_owned(), host: None };
    let (recorder, writer) = events::recorder(rooms.client.clone(), rooms.clock.clone(), source);
    let queue = Queue::new(rooms.clock.clone(), BACKOFF);
    let scheduler = Scheduler {
        rooms,
        recorder,
        queue,
        ledger: Ledger::default(),
        waiting: HashMap::new(),
        writes: FuturesUnordered::new(),
    };
    tokio::join!(Box::pin(scheduler.run(stop.clone())), Box::pin(writer.run(stop)));
}

struct Scheduler {
    rooms: Rooms,
    recorder: Recorder,
    queue: Queue<ObjectKey>,
    ledger: Ledger,
    /// Pods that fit nowhere, as they were; tried again when a node changes, a Pod makes room, or they
    /// themselves change.
    waiting: HashMap<ObjectKey, Arc<Pod>>,
    writes: FuturesUnordered<BoxFuture<'static, Written>>,
}

/// The outcome of a binding or of a Pod's condition.
struct Written {
    claim: Claim<ObjectKey>,
    /// The binding failed: the place must be given back and the Pod tried again.
    binding_failed: bool,
}

impl Scheduler {
    async fn run(mut self, stop: CancellationToken) {
        self.rooms.nodes.synced().await;
        self.rooms.pods.synced().await;
        let mut nodes = self.rooms.nodes.changes();
        let mut pods = self.rooms.pods.changes();
        info!(
            nodes = self.rooms.nodes.len(),
            pods = self.rooms.pods.len(),
            "Started: the caches are filled"
        );
        loop {
            let queue = self.queue.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(key) = nodes.next() => self.node_changed(&key),
                Some(key) = pods.next() => self.pod_changed(key),
                Some(written) = self.writes.next() => self.written(written),
                claim = queue.next(), if self.writes.len() < BINDING_MAX => self.attempt(claim),
            }
        }
    }

    fn node_changed(&mut self, key: &ObjectKey) {
        self.ledger.node_changed(&key.name, self.rooms.nodes.get(key));
        self.try_waiting();
    }

    fn pod_changed(&mut self, key: ObjectKey) {
        let pod = self.rooms.pods.get(&key);
        if self.ledger.pod_changed(&key, pod.as_deref()) {
            self.try_waiting();
        }
        let waits = |pod: &Pod| self.waiting.get(&key).is_some_and(|old| asks_the_same(old, pod));
        if pod.is_some_and(|pod| is_pending(&pod) && !waits(&pod)) {
            self.queue.add(key);
        }
    }

    fn try_waiting(&mut self) {
        for (key, _) in self.waiting.drain() {
            self.queue.add(key);
        }
    }

    fn attempt(&mut self, claim: Claim<ObjectKey>) {
        self.waiting.remove(claim.key());
        let Some(pod) = self.rooms.pods.get(claim.key()).filter(|pod| is_pending(pod)) else {
            return claim.succeeded();
        };
        match decide(&pod, &self.ledger) {
            Decision::Bind(node) => self.bind(claim, pod, node),
            Decision::Wait(why) => self.wait(claim, pod, why),
        }
    }

    fn bind(&mut self, claim: Claim<ObjectKey>, pod: Arc<Pod>, node: String) {
        self.ledger.place(claim.key(), &pod, &node);
        if asks_for_company(&pod) {
            let text = "Scheduled without regard to podAffinity, podAntiAffinity and \
                        topologySpreadConstraints, which sampan does not know yet";
            self.recorder.record(&reference(&pod), EventType::Warning, "NotSupported", text);
        }
        let (client, recorder) = (self.rooms.client.clone(), self.recorder.clone());
        self.writes.push(Box::pin(async move {
            let outcome = post_binding(client, claim.key(), &pod, &node).await;
            let binding_failed = outcome.is_err();
            match outcome {
                Ok(()) => {
                    info!(pod = %claim.key(), %node, "Bound");
                    let text = format!("Successfully assigned {} to {node}", claim.key());
                    recorder.record(&reference(&pod), EventType::Normal, "Scheduled", text);
                }
                Err(error) => debug!(pod = %claim.key(), %error, "Failed to bind"),
            }
            Written { claim, binding_failed }
        }));
    }

    /// Says why the Pod waits, in an Event and in its PodScheduled condition.
    fn wait(&mut self, claim: Claim<ObjectKey>, pod: Arc<Pod>, why: String) {
        info!(pod = %claim.key(), %why, "Fits nowhere; waiting");
        self.waiting.insert(claim.key().clone(), pod.clone());
        self.recorder.record(&reference(&pod), EventType::Warning, "FailedScheduling", why.clone());
        if !says_otherwise(&pod, &why) {
            return claim.succeeded();
        }
        let (client, now) = (self.rooms.client.clone(), Time(self.rooms.clock.now()));
        self.writes.push(Box::pin(async move {
            if let Err(error) = patch_condition(client, claim.key(), &pod, &why, now).await {
                warn!(pod = %claim.key(), %error, "Failed to say why the Pod waits");
            }
            Written { claim, binding_failed: false }
        }));
    }

    fn written(&mut self, written: Written) {
        if written.binding_failed {
            self.ledger.forget(written.claim.key());
            written.claim.failed();
        } else {
            written.claim.succeeded();
        }
    }
}

/// Whether the Pod is ours to place, now.
fn is_pending(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let scheduler = spec.scheduler_name.as_deref().unwrap_or(NAME);
    spec.node_name.as_deref().unwrap_or("").is_empty()
        && scheduler == NAME
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
        && pod.metadata.deletion_timestamp.is_none()
        && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether other Pods matter to where this one goes.
fn asks_for_company(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| {
        let affinity = spec.affinity.as_ref();
        spec.topology_spread_constraints.as_ref().is_some_and(|list| !list.is_empty())
            || affinity.is_some_and(|affinity| {
                affinity.pod_affinity.is_some() || affinity.pod_anti_affinity.is_some()
            })
    })
}

/// Whether a decision about `old` still holds for `pod`: its status may have changed, no more.
fn asks_the_same(old: &Pod, pod: &Pod) -> bool {
    old.metadata.uid == pod.metadata.uid && old.spec == pod.spec
}

fn says_otherwise(pod: &Pod, why: &str) -> bool {
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    !conditions.into_iter().any(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.message.as_deref() == Some(why)
    })
}

async fn post_binding(
    client: kube::Client,
    key: &ObjectKey,
    pod: &Pod,
    node: &str,
) -> Result<(), kube::Error> {
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    };
    let api: Api<Pod> = Api::namespaced(client, &key.namespace);
    let answer: Result<serde_json::Value, kube::Error> =
        api.create_subresource("binding", &key.name, &PostParams::default(), &binding).await;
    answer.map(drop)
}

async fn patch_condition(
    client: kube::Client,
    key: &ObjectKey,
    pod: &Pod,
    why: &str,
    now: Time,
) -> Result<(), kube::Error> {
    let patch = json!({
        "metadata": { "uid": pod.metadata.uid },
        "status": { "conditions": [{
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": why,
            "lastProbeTime": null,
            "lastTransitionTime": now,
        }] },
    });
    let api: Api<Pod> = Api::namespaced(client, &key.namespace);
    api.patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(&patch)).await.map(drop)
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        field_path: None,
    }
}

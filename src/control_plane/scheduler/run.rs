//! The scheduler's task: caches in, bindings out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{
    Binding, Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::claims::{PodClaim, PodClaims, Preparation};
use super::decide::{Decision, decide};
use super::ledger::Ledger;
use crate::api::claim;
use crate::api::object::ObjectKey;
use crate::client::cache::{Cache, key_of};
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
    pub(crate) claims: Cache<PersistentVolumeClaim>,
    pub(crate) volumes: Cache<PersistentVolume>,
    pub(crate) storage_classes: Cache<StorageClass>,
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
    /// Pods that fit nowhere, or whose claims are being prepared, as they were; tried again when a node
    /// changes, a Pod makes room, something about their claims changes, or they themselves do.
    waiting: HashMap<ObjectKey, Arc<Pod>>,
    writes: FuturesUnordered<BoxFuture<'static, Written>>,
}

/// The outcome of a binding, of a Pod's condition or of what its claims needed.
struct Written {
    claim: Claim<ObjectKey>,
    /// The place must be given back, if there was one, and the Pod tried again.
    must_retry: bool,
}

impl Scheduler {
    async fn run(mut self, stop: CancellationToken) {
        self.rooms.nodes.synced().await;
        self.rooms.pods.synced().await;
        self.rooms.claims.synced().await;
        self.rooms.volumes.synced().await;
        self.rooms.storage_classes.synced().await;
        let mut storage = futures::stream::select(
            self.rooms.claims.changes(),
            futures::stream::select(
                self.rooms.volumes.changes(),
                self.rooms.storage_classes.changes(),
            ),
        );
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
                Some(_) = storage.next() => self.try_waiting_for_claims(),
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

    fn try_waiting_for_claims(&mut self) {
        let has_claims = |_: &ObjectKey, pod: &mut Arc<Pod>| !claim::claims_of(pod).is_empty();
        for (key, _) in self.waiting.extract_if(has_claims) {
            self.queue.add(key);
        }
    }

    /// The Pod's claims, with all that a decision needs to know of them.
    fn claims_of(&self, pod: &Pod) -> PodClaims {
        let own = key_of(pod);
        let mut claims = PodClaims::default();
        for claim::Use { claim: name, is_ephemeral } in claim::uses_of(pod) {
            let claim =
                self.rooms.claims.get(&ObjectKey::new(own.namespace.as_str(), name.as_str()));
            let of_claim = claim.as_ref().map(|claim| {
                let volume = ObjectKey::new("", claim::volume_name(claim));
                let class = ObjectKey::new("", claim::class_of_claim(claim));
                (self.rooms.volumes.get(&volume), self.rooms.storage_classes.get(&class))
            });
            let (volume, class) = of_claim.unwrap_or_default();
            let modes = claim.as_ref().and_then(|claim| claim.spec.as_ref()?.access_modes.clone());
            if modes.is_some_and(|modes| modes.iter().any(|mode| mode == "ReadWriteOncePod")) {
                claims.is_taken |= self.is_used(&own, &name);
            }
            if claim.as_ref().is_some_and(|claim| !claim::is_bound(claim)) {
                claims.volumes = self.rooms.volumes.list();
            }
            let not_its = claim.as_ref().filter(|_| is_ephemeral);
            let not_its = not_its.and_then(|claim| claim::check_made_for(pod, claim).err());
            claims.claims.push(PodClaim { name, is_ephemeral, not_its, claim, volume, class });
        }
        claims
    }

    /// Whether another Pod that has a place uses the claim.
    fn is_used(&self, own: &ObjectKey, claim: &str) -> bool {
        self.rooms.pods.list_in(&own.namespace).iter().any(|pod| {
            let key = key_of(&**pod);
            key != *own
                && self.ledger.has_place(&key)
                && claim::claims_of(pod).iter().any(|name| name == claim)
        })
    }

    fn attempt(&mut self, claim: Claim<ObjectKey>) {
        self.waiting.remove(claim.key());
        let Some(pod) = self.rooms.pods.get(claim.key()).filter(|pod| is_pending(pod)) else {
            return claim.succeeded();
        };
        match decide(&pod, &self.claims_of(&pod), &self.ledger) {
            Decision::Bind(node) => self.bind(claim, pod, node),
            Decision::Prepare(needed) => self.prepare(claim, pod, needed),
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
            let must_retry = outcome.is_err();
            match outcome {
                Ok(()) => {
                    info!(pod = %claim.key(), %node, "Bound");
                    let text = format!("Successfully assigned {} to {node}", claim.key());
                    recorder.record(&reference(&pod), EventType::Normal, "Scheduled", text);
                }
                Err(error) => debug!(pod = %claim.key(), %error, "Failed to bind"),
            }
            Written { claim, must_retry }
        }));
    }

    /// Sees to it that the Pod's claims get their volumes; it waits until they have them.
    fn prepare(&mut self, claim: Claim<ObjectKey>, pod: Arc<Pod>, needed: Vec<Preparation>) {
        self.waiting.insert(claim.key().clone(), pod);
        let client = self.rooms.client.clone();
        self.writes.push(Box::pin(async move {
            let outcome = write_preparations(client, needed).await;
            let must_retry = outcome.is_err();
            match outcome {
                Ok(()) => info!(pod = %claim.key(), "Waits for its claims to be bound"),
                Err(error) => debug!(pod = %claim.key(), %error, "Failed to prepare its claims"),
            }
            Written { claim, must_retry }
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
            Written { claim, must_retry: false }
        }));
    }

    fn written(&mut self, written: Written) {
        if written.must_retry {
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

/// Each is refused if its object has changed since.
async fn write_preparations(
    client: kube::Client,
    needed: Vec<Preparation>,
) -> Result<(), kube::Error> {
    let post = PostParams::default();
    for preparation in needed {
        match preparation {
            Preparation::Await => {}
            Preparation::SetAside(volume) => {
                let name = volume.metadata.name.as_deref().unwrap_or_default();
                Api::<PersistentVolume>::all(client.clone()).replace(name, &post, &volume).await?;
            }
            Preparation::Select(claim) => {
                let name = claim.metadata.name.as_deref().unwrap_or_default();
                let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
                let api = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace);
                api.replace(name, &post, &claim).await?;
            }
        }
    }
    Ok(())
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

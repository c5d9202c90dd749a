//! The scheduler's task: caches in, bindings out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::claims::{PodClaim, PodClaims, Preparation};
use super::decide::{Decision, decide};
use super::ledger::{Change, Ledger, priority_of};
use super::preempt::Eviction;
use super::writes::{
    condition, patch_status, post_binding, reference, send_away, write_preparations,
};
use crate::api::claim;
use crate::api::object::ObjectKey;
use crate::client::ApiClient;
use crate::client::cache::{Cache, key_of};
use crate::client::clock::Clock;
use crate::client::events::{self, EventType, Recorder};
use crate::client::queue::{Backoff, Claim, Queue};

/// The name Pods ask for in `spec.schedulerName`.
pub(super) const NAME: &str = "default-scheduler";
/// Upstream's `podInitialBackoffSeconds` and `podMaxBackoffSeconds`.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(10) };
/// Bindings under way. Bound: enough to fill the store's group commits, few enough that a burst of
/// Pods does not fill the API server's queue.
const BINDING_MAX: usize = 128;

/// What the scheduler is handed to work with.
#[derive(Clone)]
pub(crate) struct Rooms {
    /// Speaks for `system:kube-scheduler`.
    pub(crate) client: ApiClient,
    pub(crate) pods: Cache<Pod>,
    pub(crate) nodes: Cache<Node>,
    pub(crate) namespaces: Cache<Namespace>,
    pub(crate) claims: Cache<PersistentVolumeClaim>,
    pub(crate) volumes: Cache<PersistentVolume>,
    pub(crate) storage_classes: Cache<StorageClass>,
    pub(crate) budgets: Cache<PodDisruptionBudget>,
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
    let pods = rooms.pods.clone();
    let rank = move |key: &ObjectKey| pods.get(key).map_or(0, |pod| -i64::from(priority_of(&pod)));
    let queue = Queue::ranked(rooms.clock.clone(), BACKOFF, rank);
    let scheduler = Scheduler {
        rooms,
        recorder,
        queue,
        ledger: Ledger::default(),
        waiting: HashMap::new(),
        failures: HashMap::new(),
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
    /// How often each of the Pods that have no place has fitted nowhere, and when it did last.
    failures: HashMap<ObjectKey, (u32, Duration)>,
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
        self.rooms.namespaces.synced().await;
        self.rooms.nodes.synced().await;
        self.rooms.pods.synced().await;
        self.rooms.claims.synced().await;
        self.rooms.volumes.synced().await;
        self.rooms.storage_classes.synced().await;
        self.rooms.budgets.synced().await;
        let mut storage = futures::stream::select(
            self.rooms.claims.changes(),
            futures::stream::select(
                self.rooms.volumes.changes(),
                self.rooms.storage_classes.changes(),
            ),
        );
        let mut namespaces = self.rooms.namespaces.changes();
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
                Some(key) = namespaces.next() => self.namespace_changed(&key),
                Some(key) = nodes.next() => self.node_changed(&key),
                Some(key) = pods.next() => self.pod_changed(key),
                Some(_) = storage.next() => self.try_waiting_for_claims(),
                Some(written) = self.writes.next() => self.written(written),
                claim = queue.next(), if self.writes.len() < BINDING_MAX => self.attempt(claim),
            }
        }
    }

    fn namespace_changed(&mut self, key: &ObjectKey) {
        let namespace = self.rooms.namespaces.get(key);
        let labels = namespace.map(|it| it.metadata.labels.clone().unwrap_or_default());
        self.ledger.namespace_changed(&key.name, labels);
    }

    fn node_changed(&mut self, key: &ObjectKey) {
        if self.ledger.node_changed(&key.name, self.rooms.nodes.get(key)) {
            self.try_waiting(|_| true);
        }
    }

    fn pod_changed(&mut self, key: ObjectKey) {
        let pod = self.rooms.pods.get(&key);
        match self.ledger.pod_changed(&key, pod.as_ref()) {
            Change::None => {}
            Change::Room => self.try_waiting(|_| true),
            Change::Company => self.try_waiting(asks_for_company),
        }
        if pod.as_ref().is_none_or(|pod| !is_pending(pod)) {
            self.failures.remove(&key);
            self.waiting.remove(&key);
        }
        let waits = |pod: &Pod| self.waiting.get(&key).is_some_and(|old| asks_the_same(old, pod));
        if pod.is_some_and(|pod| is_pending(&pod) && !waits(&pod)) {
            self.queue.add(key);
        }
    }

    /// Has those tried again for which something may have changed: at once, but for those that have
    /// failed several times in a row.
    fn try_waiting(&mut self, concerns: impl Fn(&Pod) -> bool) {
        let now = self.rooms.clock.monotonic();
        for (key, _) in self.waiting.extract_if(|_, pod| concerns(pod)) {
            let (failures, at) = self.failures.get(&key).copied().unwrap_or_default();
            let pause = match failures {
                0 | 1 => Duration::ZERO,
                several => BACKOFF.delay(several - 1),
            };
            match (at + pause).checked_sub(now) {
                Some(left) if !left.is_zero() => self.queue.add_after(key, left),
                _ => self.queue.add(key),
            }
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
        let claims = self.claims_of(&pod);
        match decide(&pod, &claims, &mut self.ledger, || self.rooms.budgets.list()) {
            Decision::Bind(node) => self.bind(claim, pod, node),
            Decision::Prepare(needed) => self.prepare(claim, pod, needed),
            Decision::Preempt { eviction, why } => self.preempt(claim, pod, eviction, why),
            Decision::Wait(why) => {
                self.ledger.unnominate(claim.key());
                self.wait(claim, pod, why);
            }
            Decision::Hold(why) => self.wait(claim, pod, why),
        }
    }

    fn bind(&mut self, claim: Claim<ObjectKey>, pod: Arc<Pod>, node: String) {
        self.ledger.place(claim.key(), &pod, &node);
        self.failures.remove(claim.key());
        let (client, recorder) = (self.rooms.client.clone(), self.recorder.clone());
        self.writes.push(Box::pin(async move {
            let outcome = post_binding(&client, claim.key(), &pod, &node).await;
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
            let outcome = write_preparations(&client, needed).await;
            let must_retry = outcome.is_err();
            match outcome {
                Ok(()) => info!(pod = %claim.key(), "Waits for its claims to be bound"),
                Err(error) => debug!(pod = %claim.key(), %error, "Failed to prepare its claims"),
            }
            Written { claim, must_retry }
        }));
    }

    /// Sends others away; the Pod gets their place once they have gone.
    fn preempt(&mut self, claim: Claim<ObjectKey>, pod: Arc<Pod>, eviction: Eviction, why: String) {
        self.fails(claim.key(), &pod, &why);
        let Eviction { node, victims, .. } = eviction;
        info!(pod = %claim.key(), %node, victims = victims.len(), "Sends others away");
        self.ledger.nominate(claim.key(), &pod, &node);
        let (client, now) = (self.rooms.client.clone(), Time(self.rooms.clock.now()));
        let recorder = self.recorder.clone();
        self.writes.push(Box::pin(async move {
            let status = condition(&why, Some(&node), &now);
            if let Err(error) = patch_status(&client, claim.key(), &pod, status).await {
                warn!(pod = %claim.key(), %error, "Failed to say where the Pod will go");
            }
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            let mut must_retry = false;
            for (key, victim) in &victims {
                match send_away(&client, key, victim, &now).await {
                    Ok(()) => {
                        let text = format!("Preempted by pod {uid} on node {node}");
                        recorder.record(&reference(victim), EventType::Normal, "Preempted", text);
                    }
                    Err(error) => {
                        warn!(pod = %key, %error, "Failed to send a Pod away");
                        must_retry = true;
                    }
                }
            }
            Written { claim, must_retry }
        }));
    }

    /// Notes that the Pod waits, and tells why.
    fn fails(&mut self, key: &ObjectKey, pod: &Arc<Pod>, why: &str) {
        info!(pod = %key, %why, "Fits nowhere; waiting");
        self.waiting.insert(key.clone(), pod.clone());
        let now = self.rooms.clock.monotonic();
        let (failures, at) = self.failures.entry(key.clone()).or_default();
        (*failures, *at) = (failures.saturating_add(1), now);
        self.recorder.record(&reference(pod), EventType::Warning, "FailedScheduling", why);
    }

    /// Says why the Pod waits, in an Event and in its PodScheduled condition.
    fn wait(&mut self, claim: Claim<ObjectKey>, pod: Arc<Pod>, why: String) {
        self.fails(claim.key(), &pod, &why);
        if !says_otherwise(&pod, &why) {
            return claim.succeeded();
        }
        let (client, now) = (self.rooms.client.clone(), Time(self.rooms.clock.now()));
        self.writes.push(Box::pin(async move {
            let status = condition(&why, None, &now);
            if let Err(error) = patch_status(&client, claim.key(), &pod, status).await {
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

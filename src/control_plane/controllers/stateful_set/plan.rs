//! What a StatefulSet needs next, as a function of what is there.
//!
//! In order, every Pod waits until all before it run, are ready and have been so for `minReadySeconds`;
//! the set shrinks from its end, one Pod at a time, and an update goes the same way. In parallel, Pods
//! come and go at once, and only updates go one by one.
//!
//! Upstream: `pkg/controller/statefulset/stateful_set_control.go` of v1.33 (without
//! `MaxUnavailableStatefulSet`, which is off there).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{identity, retention};
use crate::control_plane::controllers::pods::{self, Availability};

/// What there is.
pub(super) struct View<'a> {
    pub(super) set: &'a StatefulSet,
    pub(super) spec: &'a StatefulSetSpec,
    /// Its members.
    pub(super) pods: &'a [Arc<Pod>],
    /// The revision that was rolled out last, and its template …
    pub(super) current: (&'a str, &'a PodTemplateSpec),
    /// … and those that are being rolled out.
    pub(super) update: (&'a str, &'a PodTemplateSpec),
    pub(super) collisions: Option<i32>,
    /// The claim of that name in the set's namespace.
    pub(super) claim: &'a dyn Fn(&str) -> Option<Arc<PersistentVolumeClaim>>,
    pub(super) now: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Makes the claims that a Pod lacks, then the Pod itself if it is new.
    Create {
        pod: Box<Pod>,
        is_new: bool,
        claims: Vec<PersistentVolumeClaim>,
    },
    Delete(Arc<Pod>),
    /// An adopted Pod gets the labels of a member.
    Label(Arc<Pod>, BTreeMap<String, String>),
    Own(Arc<PersistentVolumeClaim>, Vec<OwnerReference>),
    /// The Pod of this name cannot be made before its claim has gone.
    Blocked {
        pod: String,
        claim: String,
    },
}

/// What shall be. The steps are for one after the other; the first that fails ends it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) status: StatefulSetStatus,
    /// When to look again even if nothing changes.
    pub(super) again: Option<Duration>,
}

/// Whether the next Pod may be looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    /// In order, nothing else happens before this has settled.
    Wait,
}

pub(super) fn plan(view: &View<'_>) -> Plan {
    let min_ready = view.spec.min_ready_seconds.unwrap_or(0);
    let mut plan = Plan {
        steps: Vec::new(),
        status: status(view),
        again: pods::next_available(view.pods, min_ready, view.now),
    };
    if view.set.metadata.deletion_timestamp.is_none() {
        settle(view, &mut plan.steps);
    }
    plan
}

fn settle(view: &View<'_>, steps: &mut Vec<Step>) {
    let in_order = view.spec.pod_management_policy.as_deref() != Some("Parallel");
    let wanted = identity::ordinals(view.spec);
    let (mut replicas, mut condemned) = (BTreeMap::new(), Vec::new());
    for pod in view.pods {
        match identity::ordinal(pod) {
            ordinal if wanted.contains(&ordinal) => {
                replicas.insert(ordinal, pod);
            }
            _ => condemned.push(pod),
        }
    }
    for ordinal in wanted {
        let go = view.replica(ordinal, replicas.get(&ordinal).copied(), steps);
        if go == Go::Wait && in_order {
            return;
        }
    }
    condemned.sort_by_key(|pod| std::cmp::Reverse(identity::ordinal(pod)));
    for pod in &condemned {
        view.own_claims(pod, steps);
    }
    let first_unhealthy = condemned.iter().rev().find(|pod| !view.is_healthy(pod)).copied();
    for pod in condemned {
        let is_going = pod.metadata.deletion_timestamp.is_some();
        let is_first = first_unhealthy.is_some_and(|first| Arc::ptr_eq(first, pod));
        // Upstream would wait for ever for two that have ended.
        let is_free = is_first || pods::is_over(pod) || view.is_available(pod);
        if !is_going && (!in_order || is_free) {
            steps.push(Step::Delete(pod.clone()));
        }
        if in_order {
            return;
        }
    }
    let strategy = view.spec.update_strategy.as_ref();
    if strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("OnDelete") {
        steps.extend(view.next_update(&replicas));
    }
}

impl View<'_> {
    fn is_available(&self, pod: &Pod) -> bool {
        let min_ready = self.spec.min_ready_seconds.unwrap_or(0);
        pods::phase(pod) == "Running"
            && pods::availability(pod, min_ready, self.now) == Availability::Available
    }

    fn is_healthy(&self, pod: &Pod) -> bool {
        self.is_available(pod) && pod.metadata.deletion_timestamp.is_none()
    }

    fn replica(&self, ordinal: i32, pod: Option<&Arc<Pod>>, steps: &mut Vec<Step>) -> Go {
        let Some(pod) = pod else {
            self.create(ordinal, steps);
            return Go::Wait;
        };
        let is_going = pod.metadata.deletion_timestamp.is_some();
        if pods::is_over(pod) {
            // Whatever its end was like, a new one takes its place once it has gone.
            steps.extend((!is_going).then(|| Step::Delete(pod.clone())));
            return Go::Wait;
        }
        if is_going {
            return Go::Wait;
        }
        if pods::phase(pod) == "Pending" {
            self.complete_claims(ordinal, pod, steps);
        }
        if !self.is_available(pod) {
            self.own_claims(pod, steps);
            return Go::Wait;
        }
        self.own_claims(pod, steps);
        let labels = identity::missing_labels(pod);
        if !labels.is_empty() {
            steps.push(Step::Label(pod.clone(), labels));
        }
        Go::On
    }

    fn create(&self, ordinal: i32, steps: &mut Vec<Step>) {
        let before_update =
            ordinal < identity::start(self.spec).saturating_add(identity::partition(self.spec));
        let revision = if before_update { self.current } else { self.update };
        let pod = identity::new_pod(self.set, self.spec, revision, ordinal);
        let there: Vec<_> = self.claims_of(ordinal).collect();
        if there.iter().any(|claim| retention::is_stale(self.spec, &pod, claim)) {
            return;
        }
        if let Some(claim) = there.iter().find(|one| one.metadata.deletion_timestamp.is_some()) {
            let name = |meta| identity::name(meta).to_owned();
            let (pod, claim) = (name(&pod.metadata), name(&claim.metadata));
            steps.push(Step::Blocked { pod, claim });
            return;
        }
        let claims = self.missing_claims(ordinal);
        steps.push(Step::Create { pod: Box::new(pod), is_new: true, claims });
    }

    fn complete_claims(&self, ordinal: i32, pod: &Pod, steps: &mut Vec<Step>) {
        let claims = self.missing_claims(ordinal);
        if !claims.is_empty() {
            steps.push(Step::Create { pod: Box::new(pod.clone()), is_new: false, claims });
        }
    }

    fn claims_of(&self, ordinal: i32) -> impl Iterator<Item = Arc<PersistentVolumeClaim>> {
        let names = identity::claim_names(self.set, self.spec, ordinal);
        names.filter_map(|(_, name)| (self.claim)(&name))
    }

    fn missing_claims(&self, ordinal: i32) -> Vec<PersistentVolumeClaim> {
        let mut claims = identity::claims(self.set, self.spec, ordinal);
        claims.retain(|claim| (self.claim)(identity::name(&claim.metadata)).is_none());
        for claim in &mut claims {
            claim.metadata.owner_references =
                retention::first_owner(self.set, self.spec).map(|owner| vec![owner]);
        }
        claims
    }

    fn own_claims(&self, pod: &Pod, steps: &mut Vec<Step>) {
        for claim in self.claims_of(identity::ordinal(pod)) {
            let owners = retention::new_owners(self.set, self.spec, pod, &claim);
            steps.extend(owners.map(|owners| Step::Own(claim, owners)));
        }
    }

    /// The last Pod that is not of the new revision, if all after it are healthy.
    fn next_update(&self, replicas: &BTreeMap<i32, &Arc<Pod>>) -> Option<Step> {
        let mut wanted = identity::ordinals(self.spec);
        wanted.start = wanted.start.saturating_add(identity::partition(self.spec));
        for ordinal in wanted.rev() {
            let pod = replicas.get(&ordinal)?;
            let is_old = identity::revision(pod) != self.update.0;
            if is_old && pod.metadata.deletion_timestamp.is_none() {
                return Some(Step::Delete((*pod).clone()));
            }
            if !self.is_healthy(pod) {
                return None;
            }
        }
        None
    }
}

fn status(view: &View<'_>) -> StatefulSetStatus {
    let count = |is_one: &dyn Fn(&Pod) -> bool| {
        let count = view.pods.iter().filter(|pod| is_one(pod)).count();
        i32::try_from(count).unwrap_or(i32::MAX)
    };
    // Zero is left out, as Go leaves it out.
    let counted = |count: i32| Some(count).filter(|count| *count > 0);
    let is_ready = |pod: &Pod| pods::phase(pod) == "Running" && pods::ready_since(pod).is_some();
    let is_of = |pod: &Pod, revision: &str| {
        pod.metadata.deletion_timestamp.is_none() && identity::revision(pod) == revision
    };
    let old = view.set.status.as_ref();
    let replicas = count(&|_| true);
    let ready = count(&is_ready);
    let updated = count(&|pod| is_of(pod, view.update.0));
    let mut current = (view.current.0, count(&|pod| is_of(pod, view.current.0)));
    let strategy = view.spec.update_strategy.as_ref();
    let is_rolling = strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("OnDelete");
    let wanted = view.spec.replicas.unwrap_or(1);
    if is_rolling && updated == wanted && ready == wanted && replicas == wanted {
        // The update is complete.
        current = (view.update.0, updated);
    }
    StatefulSetStatus {
        observed_generation: view.set.metadata.generation,
        replicas,
        ready_replicas: counted(ready),
        available_replicas: Some(count(&|pod| is_ready(pod) && view.is_available(pod))),
        current_replicas: counted(current.1),
        updated_replicas: counted(updated),
        current_revision: Some(current.0.to_owned()),
        update_revision: Some(view.update.0.to_owned()),
        collision_count: Some(view.collisions.unwrap_or(0)),
        conditions: old.and_then(|status| status.conditions.clone()),
    }
}

//! What a DaemonSet needs next, as a function of what is there.
//!
//! First every node gets what it lacks and loses what is too much; when there is nothing of that to do,
//! the rolling update takes its next step: without a surge it deletes old Pods, with one it makes new
//! ones beside them.
//!
//! Upstream: `podsShouldBeOnNode` in `pkg/controller/daemon/daemon_controller.go`, `rollingUpdate` in
//! `pkg/controller/daemon/update.go`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetStatus};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::nodes::{self, Suits};
use crate::control_plane::controllers::history;
use crate::control_plane::controllers::pods::{self, Availability, label, phase};

/// What there is.
pub(super) struct View<'a> {
    pub(super) set: &'a DaemonSet,
    pub(super) spec: &'a DaemonSetSpec,
    pub(super) nodes: &'a [Arc<Node>],
    /// Those that it manages.
    pub(super) pods: &'a [Arc<Pod>],
    /// The current revision's.
    pub(super) hash: &'a str,
    pub(super) collisions: Option<i32>,
    /// How long a failed Pod of this node must still be left, so that failing costs little.
    pub(super) backoff: &'a (dyn Fn(&str) -> Option<Duration> + Sync),
    pub(super) now: Timestamp,
}

/// What shall be.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Names of nodes that get a Pod.
    pub(super) create: Vec<String>,
    pub(super) delete: Vec<Arc<Pod>>,
    /// Of those, the ones that have ended by themselves, with their nodes.
    pub(super) ended: Vec<(Arc<Pod>, String)>,
    /// When to look again even if nothing changes.
    pub(super) again: Option<Duration>,
}

type ByNode<'a> = BTreeMap<&'a str, Vec<&'a Arc<Pod>>>;

pub(super) fn plan(view: &View<'_>) -> Plan {
    let min_ready = view.spec.min_ready_seconds.unwrap_or(0);
    let mut plan =
        Plan { again: pods::next_available(view.pods, min_ready, view.now), ..Plan::default() };
    let on = by_node(view);
    for node in view.nodes {
        view.manage(node, &on, &mut plan);
    }
    let is_known = |name: &&str| view.nodes.iter().any(|node| name_of(node) == *name);
    for (_, pods) in on.iter().filter(|(name, _)| !is_known(name)) {
        // Their node is gone before they got there.
        let unbound = pods.iter().filter(|pod| !is_bound(pod) && !is_going(pod));
        plan.delete.extend(unbound.map(|pod| Arc::clone(pod)));
    }
    let strategy = view.spec.update_strategy.as_ref();
    let is_rolling = strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("OnDelete");
    if plan.create.is_empty() && plan.delete.is_empty() && is_rolling {
        match view.leeway() {
            Leeway::Unavailable(count) => view.replace(on, count, &mut plan),
            Leeway::Surge(count) => view.surge(on, count, &mut plan),
        }
    }
    plan
}

/// The Pods by the node that they are on or for, oldest first, bound ones before others. One that has
/// ended and is going is nobody's business any more.
fn by_node<'a>(view: &View<'a>) -> ByNode<'a> {
    let mut on = ByNode::new();
    for pod in view.pods.iter().filter(|pod| !(pods::is_over(pod) && is_going(pod))) {
        if let Some(node) = nodes::target(pod) {
            on.entry(node).or_default().push(pod);
        }
    }
    for pods in on.values_mut() {
        pods.sort_by_key(|pod| {
            let made = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (!is_bound(pod), made, pod.metadata.name.clone())
        });
    }
    on
}

fn name_of(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

fn is_going(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn is_bound(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_some_and(|node| !node.is_empty())
}

/// How many nodes a rolling update may disturb at a time, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leeway {
    Unavailable(usize),
    Surge(usize),
}

impl<'a> View<'a> {
    fn is_available(&self, pod: &Pod) -> bool {
        let min_ready = self.spec.min_ready_seconds.unwrap_or(0);
        pods::availability(pod, min_ready, self.now) == Availability::Available
    }

    fn is_new(&self, pod: &Pod) -> bool {
        label(pod, history::POD_LABEL) == self.hash
    }

    fn suits(&self, node: &str) -> Suits {
        let node = self.nodes.iter().find(|known| name_of(known) == node);
        node.map_or(Suits::No, |node| nodes::suits(self.set, node))
    }

    fn manage(&self, node: &Arc<Node>, on: &ByNode<'a>, plan: &mut Plan) {
        let name = name_of(node);
        let here = on.get(name).map(Vec::as_slice);
        match (nodes::suits(self.set, node), here) {
            (Suits::Yes, None) => plan.create.push(name.to_owned()),
            (Suits::No, Some(pods)) => {
                let staying = pods.iter().filter(|pod| !is_going(pod));
                plan.delete.extend(staying.map(|pod| Arc::clone(pod)));
            }
            (suits @ (Suits::Yes | Suits::NoMore), Some(pods)) => {
                let running = self.without_ended(name, pods, plan);
                if self.leeway_surges() {
                    if running.is_empty() && suits == Suits::Yes {
                        plan.create.push(name.to_owned());
                    }
                    plan.delete.extend(self.too_many_in_surge(&running));
                } else {
                    plan.delete.extend(running.into_iter().skip(1).cloned());
                }
            }
            (Suits::NoMore | Suits::No, None) => {}
        }
    }

    /// The Pods that neither go nor have ended; those that have ended are deleted.
    fn without_ended<'p>(
        &self,
        node: &str,
        pods: &'p [&'p Arc<Pod>],
        plan: &mut Plan,
    ) -> Vec<&'p Arc<Pod>> {
        let mut running = Vec::new();
        for pod in pods.iter().filter(|pod| !is_going(pod)) {
            if !pods::is_over(pod) {
                running.push(*pod);
            } else if let Some(left) = (self.backoff)(node).filter(|_| phase(pod) == "Failed") {
                plan.again = Some(plan.again.map_or(left, |again| again.min(left)));
            } else {
                plan.delete.push(Arc::clone(pod));
                plan.ended.push((Arc::clone(pod), node.to_owned()));
            }
        }
        running
    }

    /// Two are right while the new one is not available and the old one is ready.
    fn too_many_in_surge(&self, running: &[&Arc<Pod>]) -> Vec<Arc<Pod>> {
        let (mut new, mut old) = (None, None);
        let mut excess = Vec::new();
        for pod in running {
            let slot = if self.is_new(pod) { &mut new } else { &mut old };
            match slot {
                None => *slot = Some(*pod),
                Some(_) => excess.push(Arc::clone(pod)),
            }
        }
        if let (Some(new), Some(old)) = (new, old)
            && (pods::ready_since(old).is_none() || self.is_available(new))
        {
            excess.push(Arc::clone(old));
        }
        excess
    }

    fn leeway_surges(&self) -> bool {
        let strategy = self.spec.update_strategy.as_ref();
        let update = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = update.and_then(|update| update.max_surge.as_ref());
        scaled(surge, 100) > 0
    }

    /// Upstream: `updatedDesiredNodeCounts`.
    fn leeway(&self) -> Leeway {
        let wanted = self.wanted();
        let strategy = self.spec.update_strategy.as_ref();
        let update = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = scaled(update.and_then(|update| update.max_surge.as_ref()), wanted);
        let unavailable = update.and_then(|update| update.max_unavailable.as_ref());
        match (scaled(unavailable, wanted), surge) {
            (unavailable, 0) => Leeway::Unavailable(unavailable.max(1)),
            (_, surge) => Leeway::Surge(surge),
        }
    }

    /// How many nodes shall have a Pod.
    fn wanted(&self) -> usize {
        let suits = |node: &&Arc<Node>| nodes::suits(self.set, node) == Suits::Yes;
        self.nodes.iter().filter(suits).count()
    }

    /// The new and the old Pod of a node; none if there are several of a sort.
    fn pair<'p>(&self, pods: &[&'p Arc<Pod>]) -> Option<[Option<&'p Arc<Pod>>; 2]> {
        let (mut new, mut old) = (None, None);
        for pod in pods.iter().filter(|pod| !is_going(pod)) {
            let slot = if self.is_new(pod) { &mut new } else { &mut old };
            if slot.replace(*pod).is_some() {
                return None;
            }
        }
        Some([new, old])
    }

    /// Takes away old Pods that are not available, and as many others as may be missing.
    fn replace(&self, on: ByNode<'a>, unavailable_max: usize, plan: &mut Plan) {
        let mut unavailable = 0;
        let mut candidates = Vec::new();
        for pods in on.values() {
            match self.pair(pods) {
                Some([None, Some(old)]) if self.is_available(old) => candidates.push(old),
                Some([None, Some(old)]) => {
                    plan.delete.push(Arc::clone(old));
                    unavailable += 1;
                }
                Some([Some(new), None]) if self.is_available(new) => {}
                _ => unavailable += 1,
            }
        }
        let more = unavailable_max.saturating_sub(unavailable);
        plan.delete.extend(candidates.into_iter().take(more).cloned());
    }

    /// Makes new Pods beside old ones, and takes away old ones whose new one is available.
    fn surge(&self, on: ByNode<'a>, surge_max: usize, plan: &mut Plan) {
        let (mut surging, mut available) = (0, 0);
        let mut candidates = Vec::new();
        // Their node does not suit any more; they go when enough others are available.
        let mut leaving = Vec::new();
        for (node, pods) in &on {
            let Some([new, old]) = self.pair(pods) else {
                surging += 1;
                continue;
            };
            available += usize::from(old.or(new).is_some_and(|pod| self.is_available(pod)));
            match (new, old) {
                (_, None) => {}
                (Some(new), Some(old)) if self.is_available(new) => {
                    plan.delete.push(Arc::clone(old));
                }
                (Some(_), Some(_)) => surging += 1,
                (None, Some(old)) => match (self.suits(node), self.is_available(old)) {
                    (Suits::Yes, true) => candidates.push((*node).to_owned()),
                    (Suits::Yes, false) => plan.create.push((*node).to_owned()),
                    (_, true) => leaving.push(old),
                    (_, false) => plan.delete.push(Arc::clone(old)),
                },
            }
        }
        let spare = available.saturating_sub(self.wanted());
        plan.delete.extend(leaving.into_iter().take(spare).cloned());
        let more = surge_max.saturating_sub(surging);
        plan.create.extend(candidates.into_iter().take(more));
    }
}

/// Shares are rounded up.
fn scaled(amount: Option<&IntOrString>, of: usize) -> usize {
    match amount {
        None => 0,
        Some(IntOrString::Int(number)) => usize::try_from(*number).unwrap_or(0),
        Some(IntOrString::String(text)) => {
            let percent: usize = text.trim_end_matches('%').parse().unwrap_or(0);
            percent.saturating_mul(of).div_ceil(100)
        }
    }
}

/// Upstream: `updateDaemonSetStatus`.
pub(super) fn status(view: &View<'_>) -> DaemonSetStatus {
    let on = by_node(view);
    let mut status = DaemonSetStatus::default();
    let (mut available, mut updated) = (0, 0);
    for node in view.nodes {
        let first = on.get(name_of(node)).and_then(|pods| pods.first());
        match (nodes::suits(view.set, node), first) {
            (Suits::Yes, None) => status.desired_number_scheduled += 1,
            (Suits::Yes, Some(pod)) => {
                status.desired_number_scheduled += 1;
                status.current_number_scheduled += 1;
                status.number_ready += i32::from(pods::ready_since(pod).is_some());
                available += i32::from(view.is_available(pod));
                updated += i32::from(view.is_new(pod));
            }
            (_, Some(_)) => status.number_misscheduled += 1,
            (_, None) => {}
        }
    }
    // Zero is left out, as Go leaves it out.
    let counted = |count: i32| Some(count).filter(|count| *count > 0);
    status.updated_number_scheduled = counted(updated);
    status.number_available = counted(available);
    status.number_unavailable = counted(status.desired_number_scheduled - available);
    status.observed_generation = view.set.metadata.generation;
    status.collision_count = view.collisions;
    status.conditions = view.set.status.as_ref().and_then(|status| status.conditions.clone());
    status
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

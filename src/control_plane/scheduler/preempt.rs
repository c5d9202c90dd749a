//! Whom a Pod sends away that fits nowhere: as few and as unimportant ones as will do.
//!
//! Each node is tried on the ledger itself: all lesser Pods leave, and come back one by one while the Pod
//! still fits: first those whose PodDisruptionBudgets have nothing to spare, then the others, the most
//! important first. Who could not come back is a victim. Then all come back. Budgets are not a limit: the
//! node where fewest are overdrawn is taken.
//!
//! Upstream: `pkg/scheduler/framework/preemption`, `plugins/defaultpreemption`.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::claims::PodClaims;
use super::filters::{self, Asks, Refusal};
use super::ledger::{Ledger, priority_of};
use crate::api::disruption;
use crate::api::object::ObjectKey;

/// Who leaves which node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Eviction {
    pub(super) node: String,
    /// The least important first, of those whose budgets have nothing to spare and of the others.
    pub(super) victims: Vec<(ObjectKey, Arc<Pod>)>,
    /// How many of them their PodDisruptionBudgets would keep.
    overdrawn: usize,
}

/// Why nobody leaves, as FailedScheduling says it.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    /// The Pod sends nobody away.
    Never(&'static str),
    /// What each node would have needed.
    Nodes(Vec<String>),
}

const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// The ledger is as before when this returns.
///
/// # Errors
/// [`Refused`]
pub(super) fn preempt(
    pod: &Pod,
    claims: &PodClaims,
    ledger: &mut Ledger,
    budgets: &[Arc<PodDisruptionBudget>],
    refusals: &[(String, Refusal)],
) -> Result<Eviction, Refused> {
    let spec = pod.spec.as_ref();
    if spec.and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return Err(Refused::Never("not eligible due to preemptionPolicy=Never."));
    }
    let priority = priority_of(pod);
    let nominated = pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref());
    if nominated.is_some_and(|node| is_leaving(ledger, node, priority)) {
        let words = "not eligible due to a terminating pod on the nominated node.";
        return Err(Refused::Never(words));
    }
    let mut words = Vec::new();
    let mut evictions = Vec::new();
    for (node, refusal) in refusals {
        if refusal.unresolvable {
            words.push(NOT_HELPFUL.to_owned());
        } else if !ledger.has_lesser_than(priority) {
            words.push(NO_VICTIMS.to_owned());
        } else {
            match evict_from(node, pod, claims, ledger, budgets) {
                Ok(eviction) => evictions.push(eviction),
                Err(reasons) => words.extend(reasons),
            }
        }
    }
    evictions.into_iter().min_by_key(cost).ok_or(Refused::Nodes(words))
}

/// Somebody lesser is on its way out of the node: the room it leaves may be enough.
fn is_leaving(ledger: &Ledger, node: &str, priority: i32) -> bool {
    let mut here = ledger.pods_on(node);
    here.any(|(_, pod)| pod.metadata.deletion_timestamp.is_some() && priority_of(pod) < priority)
}

type Lesser = (ObjectKey, Arc<Pod>);

fn evict_from(
    node: &str,
    pod: &Pod,
    claims: &PodClaims,
    ledger: &mut Ledger,
    budgets: &[Arc<PodDisruptionBudget>],
) -> Result<Eviction, Vec<String>> {
    let priority = priority_of(pod);
    let lesser = ledger.pods_on(node).filter(|(_, other)| priority_of(other) < priority);
    let mut lesser: Vec<Lesser> = lesser.map(|(key, other)| (key.clone(), other.clone())).collect();
    if lesser.is_empty() {
        return Err(vec![NO_VICTIMS.to_owned()]);
    }
    lesser.sort_by_key(|(key, other)| (Reverse(priority_of(other)), started(other), key.clone()));
    for (key, _) in &lesser {
        ledger.forget(key);
    }
    let outcome = fits(node, pod, claims, ledger);
    let (kept, others) = by_budget(lesser, budgets);
    let mut come_back = |lesser: &[Lesser]| {
        let mut victims = Vec::new();
        for (key, other) in lesser {
            ledger.place(key, other, node);
            if outcome.is_ok() && fits(node, pod, claims, ledger).is_err() {
                ledger.forget(key);
                victims.push((key.clone(), other.clone()));
            }
        }
        victims.reverse();
        victims
    };
    let mut victims = come_back(&kept);
    let overdrawn = victims.len();
    victims.extend(come_back(&others));
    for (key, other) in &victims {
        ledger.place(key, other, node);
    }
    outcome.map(|()| Eviction { node: node.to_owned(), victims, overdrawn })
}

/// Those whose budgets have nothing to spare, given that those before them go; and the others. Both stay in
/// their order.
///
/// Upstream: `filterPodsWithPDBViolation`.
fn by_budget(
    lesser: Vec<Lesser>,
    budgets: &[Arc<PodDisruptionBudget>],
) -> (Vec<Lesser>, Vec<Lesser>) {
    let statuses = budgets.iter().map(|budget| budget.status.as_ref());
    let mut left: Vec<i32> =
        statuses.map(|status| status.map_or(0, |status| status.disruptions_allowed)).collect();
    let is_kept = |(key, pod): &Lesser| {
        let mut is_kept = false;
        for (budget, left) in budgets.iter().zip(&mut left) {
            let disrupted =
                budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
            let is_granted = disrupted.is_some_and(|pods| pods.contains_key(&key.name));
            if disruption::covers(budget, pod) && !is_granted {
                *left -= 1;
                is_kept |= *left < 0;
            }
        }
        is_kept
    };
    lesser.into_iter().partition(is_kept)
}

fn fits(node: &str, pod: &Pod, claims: &PodClaims, ledger: &Ledger) -> Result<(), Vec<String>> {
    let asks = Asks::of(pod, ledger);
    let info = ledger.node(node).and_then(|info| Some((info.node.as_ref()?, info)));
    let (Some(asks), Some((node, info))) = (asks, info) else { return Err(Vec::new()) };
    match filters::check(&asks, claims, ledger, node, info) {
        Ok(_) => Ok(()),
        Err(refusal) => Err(refusal.reasons),
    }
}

/// What an eviction costs: the budgets that it overdraws, then the importance of the most important victim,
/// then of all, then their number, then how long the most important ones have run.
fn cost(eviction: &Eviction) -> (usize, i32, i64, usize, Reverse<Option<Timestamp>>, String) {
    let priorities = || eviction.victims.iter().map(|(_, pod)| priority_of(pod));
    let highest = priorities().max().unwrap_or(i32::MIN);
    let sum = priorities().map(|it| i64::from(it) - i64::from(i32::MIN)).sum();
    let highest_pods = eviction.victims.iter().filter(|(_, pod)| priority_of(pod) == highest);
    let earliest = highest_pods.filter_map(|(_, pod)| started(pod)).min();
    let (overdrawn, count) = (eviction.overdrawn, eviction.victims.len());
    (overdrawn, highest, sum, count, Reverse(earliest), eviction.node.clone())
}

fn started(pod: &Pod) -> Option<Timestamp> {
    Some(pod.status.as_ref()?.start_time.as_ref()?.0)
}

//! Whom a Pod sends away that fits nowhere: as few and as unimportant ones as will do.
//!
//! Each node is tried on the ledger itself: all lesser Pods leave, and come back one by one, the most
//! important first, while the Pod still fits. Who could not come back is a victim. Then all come back.
//!
//! Upstream: `pkg/scheduler/framework/preemption`, `plugins/defaultpreemption`.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::claims::PodClaims;
use super::filters::{self, Asks, Refusal};
use super::ledger::{Ledger, priority_of};
use crate::api::object::ObjectKey;

/// Who leaves which node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Eviction {
    pub(super) node: String,
    /// The least important first.
    pub(super) victims: Vec<(ObjectKey, Arc<Pod>)>,
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
            match victims_on(node, pod, claims, ledger) {
                Ok(victims) => evictions.push(Eviction { node: node.clone(), victims }),
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

fn victims_on(
    node: &str,
    pod: &Pod,
    claims: &PodClaims,
    ledger: &mut Ledger,
) -> Result<Vec<(ObjectKey, Arc<Pod>)>, Vec<String>> {
    let priority = priority_of(pod);
    let lesser = ledger.pods_on(node).filter(|(_, other)| priority_of(other) < priority);
    let mut lesser: Vec<_> = lesser.map(|(key, other)| (key.clone(), other.clone())).collect();
    if lesser.is_empty() {
        return Err(vec![NO_VICTIMS.to_owned()]);
    }
    lesser.sort_by_key(|(key, other)| (Reverse(priority_of(other)), started(other), key.clone()));
    for (key, _) in &lesser {
        ledger.forget(key);
    }
    let mut outcome = fits(node, pod, claims, ledger).map(|()| Vec::new());
    for (key, other) in &lesser {
        ledger.place(key, other, node);
        if let Ok(victims) = &mut outcome
            && fits(node, pod, claims, ledger).is_err()
        {
            ledger.forget(key);
            victims.push((key.clone(), other.clone()));
        }
    }
    if let Ok(victims) = &mut outcome {
        for (key, other) in victims.iter() {
            ledger.place(key, other, node);
        }
        victims.reverse();
    }
    outcome
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

/// What an eviction costs: the importance of the most important victim, then of all, then their number,
/// then how long the most important ones have run.
fn cost(eviction: &Eviction) -> (i32, i64, usize, Reverse<Option<Timestamp>>, String) {
    let priorities = || eviction.victims.iter().map(|(_, pod)| priority_of(pod));
    let highest = priorities().max().unwrap_or(i32::MIN);
    let sum = priorities().map(|it| i64::from(it) - i64::from(i32::MIN)).sum();
    let highest_pods = eviction.victims.iter().filter(|(_, pod)| priority_of(pod) == highest);
    let earliest = highest_pods.filter_map(|(_, pod)| started(pod)).min();
    (highest, sum, eviction.victims.len(), Reverse(earliest), eviction.node.clone())
}

fn started(pod: &Pod) -> Option<Timestamp> {
    Some(pod.status.as_ref()?.start_time.as_ref()?.0)
}

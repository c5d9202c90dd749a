//! How many Pods of a budget may be disrupted, as a function of what is there.
//!
//! Upstream: `pkg/controller/disruption/disruption.go`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{
    PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::disruption::{self, DISRUPTION_TARGET};
use crate::client::cache::controller_of;
use crate::control_plane::controllers::pods;

/// An eviction that was granted and of which nothing came is forgotten after this long.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_secs(2 * 60);

/// So long a Pod may say that it is about to be taken away, and stay.
const TARGET_TIMEOUT: SignedDuration = SignedDuration::from_secs(2 * 60);

/// The uid of the one who decides how many Pods there are, and how many they shall be.
pub(super) type Scale = (String, i32);

/// What there is.
pub(super) struct View<'a> {
    pub(super) budget: &'a PodDisruptionBudget,
    pub(super) spec: &'a PodDisruptionBudgetSpec,
    /// Those that it covers.
    pub(super) pods: &'a [Arc<Pod>],
    /// The scale of a Pod's controller, or of the controller's; none if there is no such object (any
    /// more).
    pub(super) scale: &'a dyn Fn(&OwnerReference) -> Result<Option<Scale>, String>,
    pub(super) now: Timestamp,
}

#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) status: PodDisruptionBudgetStatus,
    /// Some Pods have no controller, and the budget is a share of what controllers want.
    pub(super) has_unmanaged: bool,
    /// Evictions of these were granted, and nothing came of it.
    pub(super) not_deleted: Vec<Arc<Pod>>,
    /// When to look again even if nothing changes.
    pub(super) again: Option<Duration>,
}

/// # Errors
/// Why it cannot be told how many Pods there should be.
pub(super) fn judge(view: &View<'_>) -> Result<Verdict, String> {
    let (expected, desired, has_unmanaged) = view.expected()?;
    let mut verdict = Verdict {
        status: view.budget.status.clone().unwrap_or_default(),
        has_unmanaged,
        not_deleted: Vec::new(),
        again: None,
    };
    let disrupted = view.disrupted(&mut verdict);
    let is_healthy = |pod: &&Arc<Pod>| {
        pod.metadata.deletion_timestamp.is_none()
            && !disrupted.contains_key(name(pod))
            && disruption::is_ready(pod)
    };
    let healthy = count(view.pods.iter().filter(is_healthy).count());
    let status = &mut verdict.status;
    status.current_healthy = healthy;
    status.desired_healthy = desired;
    status.expected_pods = expected;
    // A budget without Pods allows nothing: the first ones may come before it is looked at again.
    status.disruptions_allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    status.disrupted_pods = Some(disrupted).filter(|disrupted| !disrupted.is_empty());
    status.observed_generation = view.budget.metadata.generation;
    disruption::note_allowed(status, view.now);
    Ok(verdict)
}

impl View<'_> {
    /// How many Pods there should be, how many of them must be healthy, and whether some have no
    /// controller that says so.
    ///
    /// Upstream: `getExpectedPodCount`.
    fn expected(&self) -> Result<(i32, i32, bool), String> {
        if let Some(unavailable) = &self.spec.max_unavailable {
            let (expected, has_unmanaged) = self.expected_by_controllers()?;
            let desired = (expected - scaled(unavailable, expected)).max(0);
            return Ok((expected, desired, has_unmanaged));
        }
        match &self.spec.min_available {
            Some(IntOrString::Int(desired)) => Ok((count(self.pods.len()), *desired, false)),
            Some(share) => {
                let (expected, has_unmanaged) = self.expected_by_controllers()?;
                Ok((expected, scaled(share, expected), has_unmanaged))
            }
            None => Ok((0, 0, false)),
        }
    }

    fn expected_by_controllers(&self) -> Result<(i32, bool), String> {
        let mut scales = BTreeMap::new();
        let mut has_unmanaged = false;
        for pod in self.pods {
            let Some(owner) = controller_of(&pod.metadata) else {
                has_unmanaged = true;
                continue;
            };
            let found = (self.scale)(owner)?;
            let (uid, scale) =
                found.ok_or_else(|| format!("found no controllers for pod {:?}", name(pod)))?;
            scales.insert(uid, scale);
        }
        Ok((scales.values().sum(), has_unmanaged))
    }

    /// Pods whose eviction was granted and that are still there.
    fn disrupted(&self, verdict: &mut Verdict) -> BTreeMap<String, Time> {
        let none = BTreeMap::new();
        let noted = verdict.status.disrupted_pods.clone().unwrap_or(none);
        let mut disrupted = BTreeMap::new();
        let staying = self.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        for pod in staying {
            let Some(since) = noted.get(name(pod)) else { continue };
            let left = (since.0 + DELETION_TIMEOUT).duration_since(self.now);
            match Duration::try_from(left) {
                Ok(left) if !left.is_zero() => {
                    verdict.again = Some(verdict.again.map_or(left, |again| again.min(left)));
                    disrupted.insert(name(pod).to_owned(), since.clone());
                }
                _ => verdict.not_deleted.push(pod.clone()),
            }
        }
        disrupted
    }
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Shares are rounded up.
fn scaled(amount: &IntOrString, of: i32) -> i32 {
    match amount {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let share = percent.saturating_mul(i64::from(of)).saturating_add(99) / 100;
            i32::try_from(share).unwrap_or(i32::MAX)
        }
    }
}

/// How long the Pod may still say that it is about to be taken away; zero if that was long ago, none if it
/// does not say so or is really going.
///
/// Upstream: `nonTerminatingPodHasStaleDisruptionCondition`.
pub(super) fn target_left(pod: &Pod, now: Timestamp) -> Option<Duration> {
    if pod.metadata.deletion_timestamp.is_some() || pods::is_over(pod) {
        return None;
    }
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == DISRUPTION_TARGET)?;
    let by_kubelet = condition.reason.as_deref() == Some("TerminationByKubelet");
    if condition.status != "True" || by_kubelet {
        return None;
    }
    let since = condition.last_transition_time.as_ref().map_or(now, |time| time.0);
    Some(Duration::try_from((since + TARGET_TIMEOUT).duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, ready: bool, more: Value) -> Arc<Pod> {
        let mut meta = json!({"name": name, "namespace": "n"});
        meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let ready = if ready { "True" } else { "False" };
        Arc::new(
            serde_json::from_value(json!({"metadata": meta,
                "status": {"conditions": [{"type": "Ready", "status": ready}]}}))
            .unwrap(),
        )
    }

    fn owned(name: &str, ready: bool, uid: &str) -> Arc<Pod> {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": uid, "uid": uid,
            "controller": true});
        pod(name, ready, json!({"ownerReferences": [owner]}))
    }

    fn judged(spec: Value, status: Value, pods: &[Arc<Pod>]) -> Result<Verdict, String> {
        let budget: PodDisruptionBudget = serde_json::from_value(json!({
            "metadata": {"name": "b", "generation": 1}, "spec": spec, "status": status}))
        .unwrap();
        let scale = |owner: &OwnerReference| match owner.uid.as_str() {
            "gone" => Ok(None),
            uid => Ok(Some((uid.to_owned(), 5))),
        };
        judge(&View {
            budget: &budget,
            spec: budget.spec.as_ref().unwrap(),
            pods,
            scale: &scale,
            now: "2026-01-01T00:10:00Z".parse().unwrap(),
        })
    }

    /// Expected, desired and healthy Pods, and how many may go.
    #[track_caller]
    fn check(spec: Value, pods: &[Arc<Pod>], expect: [i32; 4]) {
        let none = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0,
            "expectedPods": 0});
        let status = judged(spec, none, pods).unwrap().status;
        let found = [
            status.expected_pods,
            status.desired_healthy,
            status.current_healthy,
            status.disruptions_allowed,
        ];
        assert_eq!(found, expect);
    }

    #[test]
    fn budgets_are_numbers_or_shares_of_what_controllers_want() {
        let pods = [owned("a", true, "x"), owned("b", true, "x"), owned("c", false, "x")];
        check(json!({"minAvailable": 1}), &pods, [3, 1, 2, 1]);
        check(json!({"minAvailable": 3}), &pods, [3, 3, 2, 0]);
        check(json!({"minAvailable": "30%"}), &pods, [5, 2, 2, 0]);
        check(json!({"maxUnavailable": 4}), &pods, [5, 1, 2, 1]);
        check(json!({"maxUnavailable": "50%"}), &pods, [5, 2, 2, 0]);
        check(json!({"maxUnavailable": 9}), &pods, [5, 0, 2, 2]);
        check(json!({"minAvailable": 0}), &[], [0, 0, 0, 0]);
        let two = [owned("a", true, "x"), owned("b", true, "y")];
        check(json!({"maxUnavailable": "80%"}), &two, [10, 2, 2, 0]);
    }

    #[test]
    fn a_pod_without_a_controller_is_told_of() {
        let zero = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0,
            "expectedPods": 0});
        let free = [pod("a", true, json!({}))];
        let verdict = judged(json!({"maxUnavailable": 1}), zero.clone(), &free).unwrap();
        assert!(verdict.has_unmanaged && verdict.status.disruptions_allowed == 0);
        let gone = [owned("a", true, "gone")];
        let error = judged(json!({"maxUnavailable": 1}), zero, &gone).unwrap_err();
        assert_eq!(error, "found no controllers for pod \"a\"");
    }

    #[test]
    fn a_granted_eviction_counts_until_the_pod_goes_or_time_is_up() {
        let status = json!({"currentHealthy": 2, "desiredHealthy": 1, "disruptionsAllowed": 1,
            "expectedPods": 4, "disruptedPods": {"a": "2026-01-01T00:09:00Z",
                "b": "2026-01-01T00:07:00Z", "c": "2026-01-01T00:09:00Z"}});
        let going = json!({"deletionTimestamp": "2026-01-01T00:09:30Z"});
        let pods = [
            pod("a", true, json!({})),
            pod("b", true, json!({})),
            pod("c", true, going),
            pod("d", true, json!({})),
        ];
        let verdict = judged(json!({"minAvailable": 1}), status, &pods).unwrap();
        assert_eq!(verdict.status.current_healthy, 2, "b and d");
        let noted: Vec<String> = verdict.status.disrupted_pods.unwrap().into_keys().collect();
        assert_eq!(noted, ["a"]);
        assert_eq!(verdict.not_deleted, [pods[1].clone()]);
        assert_eq!(verdict.again, Some(Duration::from_secs(60)));
    }

    #[test]
    fn who_says_that_it_goes_and_stays_is_found() {
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        let left = |since: &str, reason: &str| {
            let pod = serde_json::from_value(json!({"status": {"phase": "Running", "conditions": [
                {"type": "DisruptionTarget", "status": "True", "reason": reason,
                    "lastTransitionTime": since}]}}));
            target_left(&pod.unwrap(), now)
        };
        let evicted = "EvictionByEvictionAPI";
        assert_eq!(left("2026-01-01T00:09:00Z", evicted), Some(Duration::from_secs(60)));
        assert_eq!(left("2026-01-01T00:00:00Z", evicted), Some(Duration::ZERO));
        assert_eq!(left("2026-01-01T00:00:00Z", "TerminationByKubelet"), None);
        assert_eq!(target_left(&Pod::default(), now), None);
    }
}

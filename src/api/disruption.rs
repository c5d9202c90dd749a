//! PodDisruptionBudgets and what two rooms do with them: the controller counts, the API server takes off.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Status, StatusCause, Time};

use super::object::GroupResource;
use super::selector::Labels;
use super::status;

pub const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";
pub const SYNC_FAILED: &str = "SyncFailed";
/// The condition of a Pod that is about to be taken away.
pub const DISRUPTION_TARGET: &str = "DisruptionTarget";

/// Whether the budget is for this Pod. A selector that cannot be read, or none, picks nothing.
pub fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let none = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
    budget.metadata.namespace == pod.metadata.namespace && selector(budget).matches(labels)
}

pub fn selector(budget: &PodDisruptionBudget) -> Labels {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    Labels::from_typed(selector).unwrap_or_else(|_| Labels::nothing())
}

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Says in the conditions whether a disruption is allowed.
///
/// Upstream: `UpdateDisruptionAllowedCondition` in
/// `k8s.io/component-helpers/apps/poddisruptionbudget/helpers.go`.
pub fn note_allowed(status: &mut PodDisruptionBudgetStatus, now: Timestamp) {
    let (word, reason) = match status.disruptions_allowed {
        ..=0 => ("False", "InsufficientPods"),
        1.. => ("True", "SufficientPods"),
    };
    note(status, word, reason, String::new(), now);
}

/// Says that nobody knows whether a disruption is allowed, and so none is.
pub fn note_failed(status: &mut PodDisruptionBudgetStatus, why: String, now: Timestamp) {
    status.disruptions_allowed = 0;
    note(status, "False", SYNC_FAILED, why, now);
}

fn note(
    status: &mut PodDisruptionBudgetStatus,
    word: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let observed_generation = status.observed_generation;
    let conditions = status.conditions.get_or_insert_default();
    let old = conditions.iter().find(|old| old.type_ == DISRUPTION_ALLOWED);
    let since = old.filter(|old| old.status == word).map(|old| old.last_transition_time.clone());
    let condition = Condition {
        type_: DISRUPTION_ALLOWED.to_owned(),
        status: word.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation,
        last_transition_time: since.unwrap_or(Time(now)),
    };
    match conditions.iter_mut().find(|old| old.type_ == DISRUPTION_ALLOWED) {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

/// Bound: granted evictions of which nothing has come yet, of one budget; upstream's.
const DISRUPTED_PODS_MAX: usize = 2_000;

const REFUSAL: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

pub fn name_of(budget: &PodDisruptionBudget) -> &str {
    budget.metadata.name.as_deref().unwrap_or_default()
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// It has ended, or is going already.
pub fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed") || pod.metadata.deletion_timestamp.is_some()
}

/// Nobody misses it.
///
/// Upstream: `canIgnorePDB`.
pub fn needs_no_budget(pod: &Pod) -> bool {
    has_ended(pod) || phase(pod) == "Pending"
}

/// Whether the Pod may go without costing the budget anything: it is not healthy, and those that are
/// suffice, or need not.
pub fn is_free(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    if is_ready(pod) {
        return false;
    }
    let policy = budget.spec.as_ref().and_then(|s| s.unhealthy_pod_eviction_policy.as_deref());
    let status = budget.status.clone().unwrap_or_default();
    policy == Some("AlwaysAllow")
        || (status.current_healthy >= status.desired_healthy && status.desired_healthy > 0)
}

/// Takes a Pod off the budget, if it allows that.
///
/// # Errors
/// 429 with what is missing; 403 if the budget makes no sense. Upstream: `checkAndDecrement`.
pub fn grant(
    budget: &mut PodDisruptionBudget,
    pod: &str,
    now: Timestamp,
) -> Result<(), Box<Status>> {
    let name = name_of(budget).to_owned();
    let generation = budget.metadata.generation.unwrap_or(0);
    let status = budget.status.get_or_insert_default();
    if status.observed_generation.unwrap_or(0) < generation {
        return Err(Box::new(being_processed(&name)));
    }
    let resource = GroupResource::new("policy", "poddisruptionbudget");
    if status.disruptions_allowed < 0 {
        let cause = "pdb disruptions allowed is negative";
        return Err(Box::new(status::forbidden(&resource, &name, cause)));
    }
    let disrupted = status.disrupted_pods.get_or_insert_default();
    if disrupted.len() > DISRUPTED_PODS_MAX {
        let cause =
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(Box::new(status::forbidden(&resource, &name, cause)));
    }
    if status.disruptions_allowed == 0 {
        let mut conditions = status.conditions.iter().flatten();
        let told = conditions.find(|condition| condition.type_ == DISRUPTION_ALLOWED);
        let why = match told.filter(|condition| condition.reason == SYNC_FAILED) {
            Some(failed) => format!(
                "The disruption budget {name} does not allow evicting pods currently because it \
                 failed sync: {}",
                failed.message
            ),
            None => format!(
                "The disruption budget {name} needs {} healthy pods and has {} currently",
                status.desired_healthy, status.current_healthy
            ),
        };
        return Err(Box::new(refused(why, 0)));
    }
    status.disruptions_allowed -= 1;
    disrupted.insert(pod.to_owned(), Time(now));
    if status.disruptions_allowed == 0 {
        note_allowed(status, now);
    }
    Ok(())
}

/// 429: the controller has not looked at the budget as it is now.
pub fn being_processed(name: &str) -> Status {
    refused(format!("The disruption budget {name} is still being processed by the server."), 10)
}

fn refused(why: String, retry_seconds: i32) -> Status {
    let mut status = status::too_many_requests(REFUSAL, retry_seconds);
    status.details.get_or_insert_default().causes = Some(vec![StatusCause {
        reason: Some("DisruptionBudget".to_owned()),
        message: Some(why),
        field: None,
    }]);
    status
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn budget(status: Value) -> PodDisruptionBudget {
        let mut status = status;
        for field in ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"] {
            if status.get(field).is_none() {
                status[field] = json!(0);
            }
        }
        serde_json::from_value(json!({"metadata": {"name": "b", "generation": 2}, "spec": {},
            "status": status}))
        .unwrap()
    }

    #[track_caller]
    fn check(status: Value, code: i32, cause: &str) {
        let refused = grant(&mut budget(status), "p", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused.code, Some(code));
        let causes = refused.details.and_then(|details| details.causes).unwrap_or_default();
        let told = causes.first().and_then(|cause| cause.message.clone());
        assert_eq!(told.or(refused.message).as_deref(), Some(cause));
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_reason() {
        check(
            json!({"observedGeneration": 1, "disruptionsAllowed": 1}),
            429,
            "The disruption budget b is still being processed by the server.",
        );
        check(
            json!({"observedGeneration": 2, "desiredHealthy": 2, "currentHealthy": 2}),
            429,
            "The disruption budget b needs 2 healthy pods and has 2 currently",
        );
        check(
            json!({"observedGeneration": 2, "conditions": [{"type": "DisruptionAllowed",
                "status": "False", "reason": "SyncFailed", "message": "why",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]}),
            429,
            "The disruption budget b does not allow evicting pods currently because it failed \
             sync: why",
        );
    }

    #[test]
    fn what_is_granted_is_taken_off_and_noted() {
        let mut budget = budget(json!({"observedGeneration": 2, "disruptionsAllowed": 1}));
        grant(&mut budget, "p", Timestamp::UNIX_EPOCH).unwrap();
        let status = budget.status.as_ref().unwrap();
        assert_eq!(status.disruptions_allowed, 0);
        assert!(status.disrupted_pods.as_ref().unwrap().contains_key("p"));
        assert_eq!(status.conditions.as_ref().unwrap()[0].reason, "InsufficientPods");
        assert!(grant(&mut budget, "q", Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn an_unhealthy_pod_may_go_if_the_others_suffice() {
        let pod = |ready: &str| -> Pod {
            serde_json::from_value(json!({"status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": ready}]}}))
            .unwrap()
        };
        let enough = budget(json!({"currentHealthy": 2, "desiredHealthy": 2}));
        let mut lacking = budget(json!({"currentHealthy": 1, "desiredHealthy": 2}));
        assert!(is_free(&enough, &pod("False")) && !is_free(&enough, &pod("True")));
        assert!(!is_free(&lacking, &pod("False")));
        let spec = lacking.spec.as_mut().unwrap();
        spec.unhealthy_pod_eviction_policy = Some("AlwaysAllow".to_owned());
        assert!(is_free(&lacking, &pod("False")) && !is_free(&lacking, &pod("True")));
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_last_turn() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut status = PodDisruptionBudgetStatus::default();
        let mut told = |allowed: i32, second: i64| {
            status.disruptions_allowed = allowed;
            note_allowed(&mut status, at(second));
            let condition = &status.conditions.as_ref().unwrap()[0];
            (condition.reason.clone(), condition.last_transition_time.0.as_second())
        };
        assert_eq!(told(0, 1), ("InsufficientPods".to_owned(), 1));
        assert_eq!(told(0, 2), ("InsufficientPods".to_owned(), 1));
        assert_eq!(told(2, 3), ("SufficientPods".to_owned(), 3));
        note_failed(&mut status, "why".to_owned(), at(4));
        assert_eq!(status.disruptions_allowed, 0);
        assert_eq!(status.conditions.unwrap()[0].message, "why");
    }
}

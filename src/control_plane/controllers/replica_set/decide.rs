//! What a ReplicaSet needs, and how it is: functions of the set and its Pods.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::selector::Labels;
use crate::client::clock::whole_second;
use crate::control_plane::controllers::pod_writes::Failure;
use crate::control_plane::controllers::pods::{self, Availability};

/// Bound: Pods made or deleted by one reconcile; what is left follows in the next. Upstream's
/// `BurstReplicas`.
pub(super) const BURST_MAX: usize = 500;

const REPLICA_FAILURE: &str = "ReplicaFailure";

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Nothing,
    Create(usize),
    Delete(Vec<Arc<Pod>>),
}

pub(super) fn step(wanted: i32, pods: &[Arc<Pod>]) -> Step {
    let wanted = usize::try_from(wanted).unwrap_or(0);
    if pods.len() < wanted {
        return Step::Create((wanted - pods.len()).min(BURST_MAX));
    }
    if pods.len() == wanted {
        return Step::Nothing;
    }
    let mut pods = pods.to_vec();
    let excess = (pods.len() - wanted).min(BURST_MAX);
    pods::in_order_of_deletion(&mut pods);
    pods.truncate(excess);
    Step::Delete(pods)
}

pub(super) fn status(
    set: &ReplicaSet,
    spec: &ReplicaSetSpec,
    pods: &[Arc<Pod>],
    failure: Option<&Failure>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let labels = spec.template.as_ref().and_then(|template| template.metadata.as_ref());
    let labels = labels.and_then(|meta| meta.labels.clone()).unwrap_or_default();
    let template = Labels::from_labels(&labels);
    let is_full = |pod: &Arc<Pod>| {
        template.matches_by(|key| pod.metadata.labels.as_ref()?.get(key).map(String::as_str))
    };
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let count = |is_one: &dyn Fn(&Arc<Pod>) -> bool| {
        let count = pods.iter().filter(|pod| is_one(pod)).count();
        // Zero is left out, as Go leaves it out.
        (count > 0).then(|| i32::try_from(count).unwrap_or(i32::MAX))
    };
    ReplicaSetStatus {
        replicas: i32::try_from(pods.len()).unwrap_or(i32::MAX),
        fully_labeled_replicas: count(&is_full),
        ready_replicas: count(&|pod| pods::ready_since(pod).is_some()),
        available_replicas: count(&|pod| {
            pods::availability(pod, min_ready, now) == Availability::Available
        }),
        observed_generation: set.metadata.generation,
        conditions: conditions(set, failure, now),
        terminating_replicas: None,
    }
}

/// The first failure is told until it is over; a later one says nothing new.
fn conditions(
    set: &ReplicaSet,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let old = set.status.as_ref().and_then(|status| status.conditions.clone());
    let mut conditions = old.unwrap_or_default();
    let told = conditions.iter().any(|condition| condition.type_ == REPLICA_FAILURE);
    match failure {
        Some(failure) if !told => conditions.push(ReplicaSetCondition {
            type_: REPLICA_FAILURE.to_owned(),
            status: "True".to_owned(),
            reason: Some(failure.reason.to_owned()),
            message: Some(failure.message.clone()),
            last_transition_time: Some(Time(whole_second(now))),
        }),
        Some(_) => {}
        None => conditions.retain(|condition| condition.type_ != REPLICA_FAILURE),
    }
    (!conditions.is_empty()).then_some(conditions)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    fn set(min_ready: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": "s", "generation": 3},
            "spec": {"replicas": 3, "minReadySeconds": min_ready, "selector": {},
                "template": {"metadata": {"labels": {"a": "1", "b": "2"}}}},
        }))
        .unwrap()
    }

    fn pod(name: &str, ready_since: Option<&str>) -> Arc<Pod> {
        let ready = if ready_since.is_some() { "True" } else { "False" };
        let conditions: Value =
            json!([{"type": "Ready", "status": ready, "lastTransitionTime": ready_since}]);
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": name, "labels": {"a": "1", "b": "2"}},
                "spec": {"containers": [], "nodeName": "n"},
                "status": {"phase": "Running", "conditions": conditions},
            }))
            .unwrap(),
        )
    }

    #[test]
    fn what_is_missing_is_made_and_what_is_too_many_goes() {
        let pods = [pod("a", Some("2026-01-01T00:00:00Z")), pod("b", None)];
        assert_eq!(step(2, &pods), Step::Nothing);
        assert_eq!(step(5, &pods), Step::Create(3));
        assert_eq!(step(10_000, &pods), Step::Create(BURST_MAX));
        assert_eq!(step(1, &pods), Step::Delete(vec![pods[1].clone()]));
    }

    #[test]
    fn the_status_counts_pods() {
        let now = "2026-01-01T00:00:15Z".parse().unwrap();
        let set = set(10);
        let spec = set.spec.as_ref().unwrap();
        let old = pod("a", Some("2026-01-01T00:00:00Z"));
        let young = pod("b", Some("2026-01-01T00:00:10Z"));
        let mut unlabeled = (*pod("c", None)).clone();
        unlabeled.metadata.labels = None;
        let pods = [old, young, Arc::new(unlabeled)];
        let status = status(&set, spec, &pods, None, now);
        let expect = json!({"replicas": 3, "fullyLabeledReplicas": 2, "readyReplicas": 2,
            "availableReplicas": 1, "observedGeneration": 3});
        assert_eq!(serde_json::to_value(status).unwrap(), expect);
        let due = pods::next_available(&pods, 10, now);
        assert_eq!(due, Some(Duration::from_millis(5_001)));
    }

    #[test]
    fn a_failure_is_told_until_it_is_over() {
        let now = "2026-01-01T00:00:15Z".parse().unwrap();
        let mut set = set(0);
        let failure = |message: &str| Failure {
            reason: "FailedCreate",
            message: message.into(),
            error: None,
        };
        let spec = set.spec.clone().unwrap();
        set.status = Some(status(&set, &spec, &[], Some(&failure("first")), now));
        set.status = Some(status(&set, &spec, &[], Some(&failure("second")), now));
        let conditions = set.status.clone().and_then(|status| status.conditions).unwrap();
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0].message.as_deref(), Some("first"));
        assert_eq!(status(&set, &spec, &[], None, now).conditions, None);
    }
}

//! What a Job asks of its Pods: do they count, as what, and since when.
//!
//! Upstream: `pkg/controller/job/{job_controller,indexed_job_utils,backoff_utils,tracking_utils}.go`.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::Pod;

use crate::control_plane::controllers::pods::{is_over, phase};

/// Keeps a Pod from going before its Job has counted it.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// Annotation and label: which index the Pod works on.
pub(super) const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Annotations: how often Pods of the same index have failed before.
pub(super) const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
pub(super) const INDEX_IGNORED_FAILURES: &str =
    "batch.kubernetes.io/job-index-ignored-failure-count";

/// The Job has yet to count it.
pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING)
}

pub(super) fn has_succeeded(pod: &Pod) -> bool {
    phase(pod) == "Succeeded"
}

/// On its way out, and not over.
pub(super) fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() && !is_over(pod)
}

/// Whether a Pod is replaced only once it has failed, and not when it begins to end.
pub(super) fn waits_for_end(spec: &JobSpec) -> bool {
    spec.pod_failure_policy.is_some() || spec.pod_replacement_policy.as_deref() == Some("Failed")
}

/// Pods that are deleted count as failures. Where the end is waited for, it has come too when nobody runs
/// the Pod (any more) and only finalizers keep it: of a Pod that never ran nobody says that it has failed.
pub(super) fn has_failed(spec: &JobSpec, pod: &Pod) -> bool {
    if phase(pod) == "Failed" {
        return true;
    }
    let is_let_go = pod.metadata.deletion_grace_period_seconds.unwrap_or(0) == 0;
    is_terminating(pod) && (!waits_for_end(spec) || is_let_go)
}

fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// A number that is not negative; what its users wrote over it counts as none.
fn number(pod: &Pod, key: &str) -> Option<i32> {
    annotation(pod, key)?.parse().ok().filter(|number| *number >= 0)
}

pub(super) fn index(pod: &Pod) -> Option<i32> {
    number(pod, COMPLETION_INDEX)
}

/// How often Pods of its index had failed when it was made.
pub(super) fn failures(pod: &Pod) -> i32 {
    number(pod, INDEX_FAILURES).unwrap_or(0)
}

/// The same for failures that the policy ignores.
pub(super) fn ignored_failures(pod: &Pod) -> i32 {
    number(pod, INDEX_IGNORED_FAILURES).unwrap_or(0)
}

/// When it ended: as its containers say, else its conditions, else whoever deleted it.
///
/// Upstream: `getFinishedTime`.
pub(super) fn finished_at(pod: &Pod) -> Timestamp {
    let created = || pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    by_containers(pod)
        .or_else(|| by_condition(pod))
        .or_else(|| by_deletion(pod))
        .or_else(created)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn by_containers(pod: &Pod) -> Option<Timestamp> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let ends = statuses.iter().map(|status| {
        let end = status.state.as_ref()?.terminated.as_ref()?;
        Some(end.finished_at.as_ref()?.0)
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn by_condition(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    ready.last_transition_time.as_ref().filter(|_| ready.status == "False").map(|time| time.0)
}

fn by_deletion(pod: &Pod) -> Option<Timestamp> {
    let end = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    Some(end - SignedDuration::from_secs(grace))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check_failed(pod: Value, when_it_begins: bool, when_it_ends: bool) {
        let pod = self::pod(pod);
        let spec = |policy: &str| JobSpec {
            pod_replacement_policy: Some(policy.to_owned()),
            ..JobSpec::default()
        };
        assert_eq!(has_failed(&spec("TerminatingOrFailed"), &pod), when_it_begins);
        assert_eq!(has_failed(&spec("Failed"), &pod), when_it_ends);
    }

    #[test]
    fn a_pod_has_failed_when_it_is_deleted_or_when_it_has_ended() {
        let going = |phase: &str, grace: i64| {
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z",
                "deletionGracePeriodSeconds": grace}, "status": {"phase": phase}})
        };
        check_failed(json!({"status": {"phase": "Failed"}}), true, true);
        check_failed(json!({"status": {"phase": "Running"}}), false, false);
        check_failed(going("Running", 30), true, false);
        check_failed(going("Failed", 30), true, true);
        check_failed(going("Succeeded", 30), false, false);
        check_failed(going("Pending", 0), true, true);
    }

    #[test]
    fn the_time_of_the_end_is_found() {
        let end = |time: &str| {
            json!({"name": "c", "image": "", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"terminated": {"exitCode": 0, "finishedAt": time}}})
        };
        let ended = pod(json!({"status": {"containerStatuses":
            [end("2026-01-01T00:00:05Z"), end("2026-01-01T00:00:03Z")]}}));
        assert_eq!(finished_at(&ended).to_string(), "2026-01-01T00:00:05Z");
        let evicted = pod(json!({"status": {"conditions": [{"type": "Ready", "status": "False",
            "lastTransitionTime": "2026-01-01T00:00:07Z"}]}}));
        assert_eq!(finished_at(&evicted).to_string(), "2026-01-01T00:00:07Z");
        let deleted = pod(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:30Z",
            "deletionGracePeriodSeconds": 30}}));
        assert_eq!(finished_at(&deleted).to_string(), "2026-01-01T00:00:00Z");
    }
}

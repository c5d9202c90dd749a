//! What controllers ask of a Pod: does it count, is it ready, who goes first.
//!
//! Upstream: `pkg/controller/controller_utils.go`, `pkg/api/v1/pod/util.go`.

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

/// Whoever asks for it decides who goes first when a set shrinks: the smaller, the sooner.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Neither over nor going.
pub(super) fn is_active(pod: &Pod) -> bool {
    !is_over(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// It has ended for good.
pub(super) fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub(super) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Since when the Pod is ready, if it is; the epoch if it does not say.
pub(super) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    let since = || ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    (ready.status == "True").then(since)
}

/// How far a Pod is from being available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    NotReady,
    /// It will be, unless it stops being ready.
    In(Duration),
    Available,
}

/// Available is who has been ready for `min_ready_seconds`.
pub(super) fn availability(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Availability {
    let Some(since) = ready_since(pod) else { return Availability::NotReady };
    if min_ready_seconds <= 0 {
        return Availability::Available;
    }
    let due = since + SignedDuration::from_secs(i64::from(min_ready_seconds));
    match Duration::try_from(due.duration_since(now)) {
        // Upstream asks for more than the period, not for all of it.
        Ok(left) => Availability::In(left + Duration::from_millis(1)),
        Err(_in_the_past) => Availability::Available,
    }
}

/// When the next of these Pods will have been ready for long enough.
pub(super) fn next_available<'a>(
    pods: impl IntoIterator<Item = &'a std::sync::Arc<Pod>>,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Option<Duration> {
    let due = |pod: &std::sync::Arc<Pod>| match availability(pod, min_ready_seconds, now) {
        Availability::In(left) => Some(left),
        _ => None,
    };
    pods.into_iter().filter_map(due).min()
}

/// The value of one of the Pod's labels; empty if it does not have it.
pub(super) fn label<'a>(pod: &'a Pod, key: &str) -> &'a str {
    let labels = pod.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(key)).map_or("", String::as_str)
}

/// Puts first who is missed least. Pods on a node that holds more of the same set do not go before
/// others, as upstream's would: there is one node.
///
/// Upstream: `ActivePodsWithRanks`.
pub(super) fn in_order_of_deletion(pods: &mut [impl AsRef<Pod>]) {
    pods.sort_by(|a, b| compare(a.as_ref(), b.as_ref()));
}

fn compare(a: &Pod, b: &Pod) -> Ordering {
    let rank = |pod: &Pod| {
        let ready = ready_since(pod);
        (
            is_bound(pod),
            phase_rank(pod),
            ready.is_some(),
            deletion_cost(pod),
            Reverse(ready),
            Reverse(restarts(pod)),
            Reverse(pod.metadata.creation_timestamp.as_ref().map(|time| time.0)),
        )
    };
    // Among those that were made in the same second, the order of names, so that it is one.
    rank(a).cmp(&rank(b)).then_with(|| b.metadata.name.cmp(&a.metadata.name))
}

fn is_bound(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_some_and(|node| !node.is_empty())
}

fn phase_rank(pod: &Pod) -> u8 {
    match phase(pod) {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    let cost = pod.metadata.annotations.as_ref().and_then(|all| all.get(DELETION_COST));
    cost.and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.iter().copied().flatten().map(|status| status.restart_count).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn pod(value: Value) -> Arc<Pod> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn ready(name: &str, since: &str) -> Value {
        json!({"metadata": {"name": name}, "spec": {"containers": [], "nodeName": "n"},
            "status": {"phase": "Running", "conditions":
                [{"type": "Ready", "status": "True", "lastTransitionTime": since}]}})
    }

    #[test]
    fn who_is_missed_least_goes_first() {
        let mut costly = ready("costly", "2026-01-01T00:00:30Z");
        costly["metadata"]["annotations"] = json!({DELETION_COST: "10"});
        let mut restarted = ready("restarted", "2026-01-01T00:00:00Z");
        restarted["status"]["containerStatuses"] = json!([{"name": "c", "image": "", "imageID": "",
            "ready": true, "restartCount": 3}]);
        let waiting = json!({"metadata": {"name": "unbound"}, "status": {"phase": "Pending"}});
        let pending = json!({"metadata": {"name": "pending"}, "status": {"phase": "Pending"},
            "spec": {"containers": [], "nodeName": "n"}});
        let unready = json!({"metadata": {"name": "unready"}, "status": {"phase": "Running"},
            "spec": {"containers": [], "nodeName": "n"}});
        let mut pods = [
            costly,
            ready("old", "2026-01-01T00:00:00Z"),
            restarted,
            ready("young", "2026-01-01T00:00:20Z"),
            unready,
            pending,
            waiting,
        ]
        .map(pod);
        in_order_of_deletion(&mut pods);
        let names: Vec<_> = pods.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
        let expect = ["unbound", "pending", "unready", "young", "restarted", "old", "costly"];
        assert_eq!(names, expect);
    }

    #[test]
    fn a_ready_pod_is_available_after_a_while() {
        let pod = pod(ready("a", "2026-01-01T00:00:00Z"));
        let at = |time: &str| availability(&pod, 10, time.parse().unwrap());
        let left = Duration::from_millis(4_001);
        assert_eq!(at("2026-01-01T00:00:06Z"), Availability::In(left));
        assert_eq!(at("2026-01-01T00:00:10.001Z"), Availability::Available);
        assert_eq!(availability(&pod, 0, Timestamp::UNIX_EPOCH), Availability::Available);
        assert_eq!(availability(&Pod::default(), 0, Timestamp::UNIX_EPOCH), Availability::NotReady);
    }

    #[test]
    fn who_has_ended_or_is_going_does_not_count() {
        assert!(is_active(&pod(json!({"status": {"phase": "Running"}}))));
        assert!(!is_active(&pod(json!({"status": {"phase": "Failed"}}))));
        let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert!(!is_active(&pod(going)));
    }
}

//! Pods: what a group of containers asks for, and what became of it.
//!
//! Upstream: `pkg/registry/core/pod/strategy.go`.

mod defaults;
mod print;
mod qos;
pub(in crate::control_plane::registry) mod template;
mod validation;
mod warnings;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::Value;

use crate::api::fields::FieldError;
use crate::control_plane::registry::{
    Column, Deletion, Names, Resource, STATUS_VERBS, Scope, Subresource,
};

pub(in crate::control_plane::registry) use validation::selectors::{
    validate_labels as validate_selector, validate_nodes as validate_node_selector,
};

pub(super) use validation::resources::{
    is_standard as is_standard_resource, validate_name as validate_container_resource_name,
};

#[derive(Debug)]
pub(crate) struct Pods;

impl Resource for Pods {
    type Object = Pod;

    const NAMES: Names =
        Names { plural: "pods", singular: "pod", short: &["po"], categories: &["all"] };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] = &[
        Subresource {
            name: "attach",
            kind: ("", "", "PodAttachOptions"),
            verbs: &["create", "get"],
        },
        Subresource { name: "binding", kind: ("", "", "Binding"), verbs: &["create"] },
        Subresource { name: "ephemeralcontainers", kind: ("", "", "Pod"), verbs: STATUS_VERBS },
        Subresource { name: "eviction", kind: ("policy", "v1", "Eviction"), verbs: &["create"] },
        Subresource { name: "exec", kind: ("", "", "PodExecOptions"), verbs: &["create", "get"] },
        Subresource { name: "log", kind: ("", "", "Pod"), verbs: &["get"] },
        Subresource {
            name: "portforward",
            kind: ("", "", "PodPortForwardOptions"),
            verbs: &["create", "get"],
        },
        Subresource { name: "status", kind: ("", "", "Pod"), verbs: STATUS_VERBS },
    ];
    const GENERATION: bool = true;
    const ANSWERS_DELETED_OBJECT: bool = true;

    fn default(pod: &mut Pod) {
        defaults::default(pod);
    }

    fn prepare_for_create(pod: &mut Pod) {
        let gated = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.scheduling_gates.as_ref())
            .is_some_and(|gates| !gates.is_empty());
        pod.status = Some(PodStatus {
            phase: Some("Pending".to_owned()),
            qos_class: Some(qos::class(pod).to_owned()),
            conditions: gated.then(|| vec![scheduling_gated()]),
            ..PodStatus::default()
        });
    }

    fn prepare_for_update(pod: &mut Pod, old: &Pod) {
        pod.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(pod: &mut Pod, old: &Pod) {
        pod.spec.clone_from(&old.spec);
        let class = old.status.as_ref().and_then(|status| status.qos_class.clone());
        pod.status.get_or_insert_default().qos_class = class;
    }

    /// Only `ephemeralcontainers` is one: nothing but `spec.ephemeralContainers` changes.
    fn prepare_for_subresource_update(_: &str, pod: &mut Pod, old: &Pod) {
        let containers = pod.spec.take().and_then(|spec| spec.ephemeral_containers);
        pod.spec.clone_from(&old.spec);
        pod.spec.get_or_insert_default().ephemeral_containers = containers;
        pod.status.clone_from(&old.status);
    }

    fn validate(pod: &Pod) -> Vec<FieldError> {
        validation::validate(pod)
    }

    fn validate_update(pod: &Pod, old: &Pod) -> Vec<FieldError> {
        validation::validate_update(pod, old)
    }

    fn validate_status_update(pod: &Pod, old: &Pod) -> Vec<FieldError> {
        validation::validate_status_update(pod, old)
    }

    fn validate_subresource_update(_: &str, pod: &Pod, old: &Pod) -> Vec<FieldError> {
        validation::validate_ephemeral_update(pod, old)
    }

    fn warnings(pod: &Pod) -> Vec<String> {
        warnings::warnings(pod)
    }

    fn fields(pod: &Pod) -> Vec<(&'static str, String)> {
        let spec = pod.spec.as_ref();
        let status = pod.status.as_ref();
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        let host_network = spec.and_then(|spec| spec.host_network).unwrap_or(false);
        vec![
            ("spec.nodeName", text(spec.and_then(|spec| spec.node_name.as_ref()))),
            ("spec.restartPolicy", text(spec.and_then(|spec| spec.restart_policy.as_ref()))),
            ("spec.schedulerName", text(spec.and_then(|spec| spec.scheduler_name.as_ref()))),
            (
                "spec.serviceAccountName",
                text(spec.and_then(|spec| spec.service_account_name.as_ref())),
            ),
            ("spec.hostNetwork", host_network.to_string()),
            ("status.phase", text(status.and_then(|status| status.phase.as_ref()))),
            ("status.podIP", text(status.and_then(|status| status.pod_ip.as_ref()))),
            (
                "status.nominatedNodeName",
                text(status.and_then(|status| status.nominated_node_name.as_ref())),
            ),
        ]
    }

    /// A Pod that no kubelet runs is gone at once; any other waits for its kubelet.
    fn deletion(pod: &Pod, grace: Option<i64>) -> Deletion {
        let spec = pod.spec.as_ref();
        let bound =
            spec.and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty());
        let own = spec.and_then(|spec| spec.termination_grace_period_seconds);
        match grace.or(own).unwrap_or(0) {
            _ if !bound || is_terminal(pod) => Deletion::Now,
            0 => Deletion::Now,
            // Upstream: a negative period means "as short as possible, but ask the kubelet".
            seconds if seconds < 0 => Deletion::Graceful { seconds: 1 },
            seconds => Deletion::Graceful { seconds },
        }
    }

    fn columns() -> &'static [Column] {
        print::COLUMNS
    }

    fn row(pod: &Pod, now: Timestamp) -> Vec<Value> {
        print::row(pod, now)
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

fn scheduling_gated() -> k8s_openapi::api::core::v1::PodCondition {
    k8s_openapi::api::core::v1::PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("SchedulingGated".to_owned()),
        message: Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check_deletion(value: Value, grace: Option<i64>, expect: Deletion) {
        assert_eq!(Pods::deletion(&pod(value), grace), expect);
    }

    #[test]
    fn only_a_pod_that_a_kubelet_runs_is_given_time() {
        let running = json!({"spec": {"containers": [], "nodeName": "n", "terminationGracePeriodSeconds": 30},
            "status": {"phase": "Running"}});
        check_deletion(running.clone(), None, Deletion::Graceful { seconds: 30 });
        check_deletion(running.clone(), Some(5), Deletion::Graceful { seconds: 5 });
        check_deletion(running.clone(), Some(-1), Deletion::Graceful { seconds: 1 });
        check_deletion(running.clone(), Some(0), Deletion::Now);
        let mut ended = running.clone();
        ended["status"]["phase"] = json!("Failed");
        check_deletion(ended, Some(5), Deletion::Now);
        let mut unbound = running;
        unbound["spec"]["nodeName"] = json!("");
        check_deletion(unbound, Some(5), Deletion::Now);
    }

    #[test]
    fn a_new_pod_is_pending_whatever_it_says_of_itself() {
        let mut new =
            pod(json!({"spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Running"}}));
        Pods::prepare_for_create(&mut new);
        let status = json!({"phase": "Pending", "qosClass": "BestEffort"});
        assert_eq!(serde_json::to_value(new.status).unwrap(), status);
        let mut gated =
            pod(json!({"spec": {"containers": [], "schedulingGates": [{"name": "g"}]}}));
        Pods::prepare_for_create(&mut gated);
        assert_eq!(Pods::row(&gated, Timestamp::UNIX_EPOCH)[2], "SchedulingGated");
    }

    #[test]
    fn status_and_the_rest_are_written_apart() {
        let old = pod(json!({"spec": {"containers": [], "nodeName": "n"},
            "status": {"phase": "Running", "qosClass": "Burstable"}}));
        let new = || {
            pod(json!({"spec": {"containers": [], "nodeName": "m"}, "status": {"phase": "Failed"}}))
        };
        let mut updated = new();
        Pods::prepare_for_update(&mut updated, &old);
        assert_eq!((&updated.spec, &updated.status), (&new().spec, &old.status));
        let mut reported = new();
        Pods::prepare_for_status_update(&mut reported, &old);
        assert_eq!(reported.spec, old.spec);
        let status = json!({"phase": "Failed", "qosClass": "Burstable"});
        assert_eq!(serde_json::to_value(reported.status).unwrap(), status);
    }
}

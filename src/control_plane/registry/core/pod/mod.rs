//! Pods: what a group of containers asks for, and what became of it.
//!
//! Upstream: `pkg/registry/core/pod/strategy.go`.

mod defaults;
mod print;
mod qos;
mod validation;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::Value;

use crate::api::fields::FieldError;
use crate::control_plane::registry::{
    Column, Deletion, Names, RequestContext, Resource, STATUS_VERBS, Scope, Subresource,
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
        Subresource { name: "exec", kind: ("", "", "PodExecOptions"), verbs: &["create", "get"] },
        Subresource { name: "log", kind: ("", "", "Pod"), verbs: &["get"] },
        Subresource { name: "status", kind: ("", "", "Pod"), verbs: STATUS_VERBS },
    ];
    const GENERATION: bool = true;
    const ANSWERS_DELETED_OBJECT: bool = true;

    fn default(pod: &mut Pod) {
        defaults::default(pod);
    }

    fn prepare_for_create(pod: &mut Pod, _ctx: &RequestContext) {
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

    fn prepare_for_update(pod: &mut Pod, old: &Pod, _ctx: &RequestContext) {
        pod.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(pod: &mut Pod, old: &Pod) {
        pod.spec.clone_from(&old.spec);
        let class = old.status.as_ref().and_then(|status| status.qos_class.clone());
        pod.status.get_or_insert_default().qos_class = class;
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

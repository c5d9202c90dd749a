//! What a kubelet may not report.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodSpec, PodStatus};

use super::{qualified_name, text};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::rules::validate_ip;

/// Conditions every Pod has; their names need no domain.
const CONDITIONS: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];

pub(in super::super) fn validate_status_update(pod: &Pod, old: &Pod) -> Vec<FieldError> {
    let (no_spec, none) = (PodSpec::default(), PodStatus::default());
    let spec = old.spec.as_ref().unwrap_or(&no_spec);
    let [status, before] = [pod, old].map(|pod| pod.status.as_ref().unwrap_or(&none));
    let path = Path::new("status");
    let mut faults = Vec::new();
    for (index, condition) in status.conditions.iter().flatten().enumerate() {
        if !CONDITIONS.contains(&condition.type_.as_str()) {
            // Upstream says `metadata.conditions`; that is not where they are.
            let path = path.child("conditions").index(index).child("type");
            faults.extend(qualified_name(&path, &condition.type_));
        }
    }
    let node = text(&status.nominated_node_name);
    if node != text(&before.nominated_node_name) && !node.is_empty() {
        let path = path.child("nominatedNodeName");
        faults.extend(invalid_each(&path, node, meta::dns1123_subdomain(node)));
    }
    if status.qos_class != before.qos_class {
        let class = text(&status.qos_class);
        let path = path.child("qosClass");
        faults.push(FieldError::invalid(path, class, "field is immutable"));
    }
    faults.extend(validate_transitions(status, before, spec, &path));
    faults.extend(validate_ips(status, &path));
    faults
}

/// A container that has ended stays so, unless its policy says that it starts again.
fn validate_transitions(
    status: &PodStatus,
    before: &PodStatus,
    spec: &PodSpec,
    path: &Path,
) -> Vec<FieldError> {
    let policy = text(&spec.restart_policy);
    let sidecars: BTreeSet<&str> = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|container| container.restart_policy.as_deref() == Some("Always"))
        .map(|container| container.name.as_str())
        .collect();
    let lists = [
        ("containerStatuses", policy, &status.container_statuses, &before.container_statuses),
        (
            "initContainerStatuses",
            policy,
            &status.init_container_statuses,
            &before.init_container_statuses,
        ),
        (
            "ephemeralContainerStatuses",
            "Never",
            &status.ephemeral_container_statuses,
            &before.ephemeral_container_statuses,
        ),
    ];
    let mut faults = Vec::new();
    for (field, policy, new, old) in lists {
        for (index, old) in old.iter().flatten().enumerate() {
            let restarts = policy == "Always"
                || sidecars.contains(old.name.as_str())
                || (policy == "OnFailure" && exit_code(old) != Some(0));
            let running =
                new.iter().flatten().any(|new| new.name == old.name && exit_code(new).is_none());
            if exit_code(old).is_some() && !restarts && running {
                let path = path.child(field).index(index).child("state");
                let detail = "may not be transitioned to non-terminated state";
                faults.push(FieldError::forbidden(path, detail));
            }
        }
    }
    faults
}

/// How a container ended; `None` while it has not.
fn exit_code(status: &ContainerStatus) -> Option<i32> {
    Some(status.state.as_ref()?.terminated.as_ref()?.exit_code)
}

fn validate_ips(status: &PodStatus, path: &Path) -> Vec<FieldError> {
    let pod: Vec<&str> = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect();
    let host: Vec<&str> = status.host_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect();
    let mut faults = validate_families(&pod, &path.child("podIPs"));
    let path = path.child("hostIPs");
    if let Some(first) = host.first().filter(|first| **first != text(&status.host_ip)) {
        let detail = "must be equal to `hostIP`";
        faults.push(FieldError::invalid(path.index(0).child("ip"), *first, detail));
    }
    faults.extend(validate_families(&host, &path));
    faults
}

/// At most one address of each family.
fn validate_families(ips: &[&str], path: &Path) -> Vec<FieldError> {
    let addresses = ips.iter().enumerate();
    let mut faults: Vec<FieldError> =
        addresses.filter_map(|(index, ip)| validate_ip(ip, &path.index(index))).collect();
    let families: BTreeSet<bool> = ips.iter().map(|ip| ip.contains(':')).collect();
    if families.len() != ips.len() {
        let ips: Vec<String> = ips.iter().map(|ip| (*ip).to_owned()).collect();
        let detail = "may specify no more than one IP for each IP family";
        faults.push(FieldError::invalid(path.clone(), ips, detail));
    }
    faults
}

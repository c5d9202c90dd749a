//! Why a node cannot take a Pod, worded as upstream words it.
//!
//! Upstream: `pkg/scheduler/framework/plugins` (nodeunschedulable, nodename, tainttoleration,
//! nodeaffinity, nodeports, noderesources), in the order of the default profile; the first that refuses ends
//! the search.

use k8s_openapi::api::core::v1::{Node, PodSpec};

use super::ledger::NodeInfo;
use super::ports::HostPort;
use super::requests::Resources;
use crate::api::scheduling::{affinity, taints};

/// A node's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reasons: Vec<String>,
    /// Taking other Pods away would not change it.
    pub(super) unresolvable: bool,
}

/// Whether the node can take a Pod that asks for `requests` and `ports`.
///
/// # Errors
/// The first filter's refusal.
pub(super) fn check(
    spec: &PodSpec,
    requests: &Resources,
    ports: &[HostPort],
    node: &Node,
    info: &NodeInfo,
) -> Result<(), Refusal> {
    unschedulable(spec, node)?;
    node_name(spec, node)?;
    taint(spec, node)?;
    if !affinity::matches(spec, node) {
        return Err(never("node(s) didn't match Pod's node affinity/selector"));
    }
    free_ports(ports, info)?;
    fit(requests, info)
}

fn never(reason: impl Into<String>) -> Refusal {
    Refusal { reasons: vec![reason.into()], unresolvable: true }
}

fn unschedulable(spec: &PodSpec, node: &Node) -> Result<(), Refusal> {
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let taint = k8s_openapi::api::core::v1::Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Default::default()
    };
    if cordoned && !taints::tolerates(spec, &taint) {
        return Err(never("node(s) were unschedulable"));
    }
    Ok(())
}

fn node_name(spec: &PodSpec, node: &Node) -> Result<(), Refusal> {
    let wanted = spec.node_name.as_deref().filter(|name| !name.is_empty());
    if wanted.is_some_and(|wanted| node.metadata.name.as_deref() != Some(wanted)) {
        return Err(never("node(s) didn't match the requested node name"));
    }
    Ok(())
}

fn taint(spec: &PodSpec, node: &Node) -> Result<(), Refusal> {
    taints::untolerated(spec, node).map_or(Ok(()), |taint| {
        let value = taint.value.as_deref().unwrap_or("");
        Err(never(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)))
    })
}

fn free_ports(ports: &[HostPort], info: &NodeInfo) -> Result<(), Refusal> {
    let is_taken = |port: &HostPort| info.ports.iter().any(|taken| taken.conflicts(port));
    if ports.iter().any(is_taken) {
        let reason = "node(s) didn't have free ports for the requested pod ports";
        return Err(Refusal { reasons: vec![reason.to_owned()], unresolvable: false });
    }
    Ok(())
}

fn fit(requests: &Resources, info: &NodeInfo) -> Result<(), Refusal> {
    let mut reasons = Vec::new();
    let mut unresolvable = false;
    if info.pods + 1 > info.allocatable.get("pods") {
        reasons.push("Too many pods".to_owned());
    }
    for (name, amount) in requests.iter().filter(|(_, amount)| *amount > 0) {
        let allocatable = info.allocatable.get(name);
        if amount > allocatable - info.requested.get(name) {
            reasons.push(format!("Insufficient {name}"));
            unresolvable |= amount > allocatable;
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Refusal { reasons, unresolvable }) }
}

//! Why a node cannot take a Pod, worded as upstream words it.
//!
//! Upstream: `pkg/scheduler/framework/plugins` (nodeunschedulable, nodename, tainttoleration,
//! nodeaffinity, nodeports, noderesources, volumebinding, podtopologyspread, interpodaffinity), in the order of
//! the default profile; the first that refuses ends the search.

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};

use super::claims::{PodClaims, Preparation};
use super::ledger::{Ledger, NodeInfo, priority_of};
use super::pod_affinity::Company;
use super::ports::{self, HostPort};
use super::spread::Spread;
use crate::api::object::ObjectKey;
use crate::api::requests::{self, Resources};
use crate::api::scheduling::{affinity, taints};
use crate::client::cache::key_of;

/// A node's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reasons: Vec<String>,
    /// Taking other Pods away would not change it.
    pub(super) unresolvable: bool,
}

/// What a Pod asks for, worked out once for all nodes.
#[derive(Debug)]
pub(super) struct Asks<'a> {
    key: ObjectKey,
    pub(super) spec: &'a PodSpec,
    priority: i32,
    pub(super) requests: Resources,
    ports: Vec<HostPort>,
    pub(super) company: Company,
    pub(super) spread: Spread,
}

impl<'a> Asks<'a> {
    /// `None` for a Pod without a spec.
    pub(super) fn of(pod: &'a Pod, ledger: &Ledger) -> Option<Self> {
        Some(Self {
            key: key_of(pod),
            spec: pod.spec.as_ref()?,
            priority: priority_of(pod),
            requests: requests::of_pod(pod),
            ports: ports::of_pod(pod),
            company: Company::of(pod, ledger),
            spread: Spread::of(pod, ledger),
        })
    }
}

/// What must be written before the node can take the Pod; nothing if all is there.
///
/// # Errors
/// The first filter's refusal.
pub(super) fn check(
    asks: &Asks<'_>,
    claims: &PodClaims,
    ledger: &Ledger,
    node: &Node,
    info: &NodeInfo,
) -> Result<Vec<Preparation>, Refusal> {
    unschedulable(asks.spec, node)?;
    node_name(asks.spec, node)?;
    taint(asks.spec, node)?;
    if !affinity::matches(asks.spec, node) {
        return Err(never("node(s) didn't match Pod's node affinity/selector"));
    }
    free_ports(&asks.ports, info)?;
    // Room that was made for others is theirs.
    let mut promised = (0, Resources::default());
    let name = node.metadata.name.as_deref().unwrap_or_default();
    for pod in ledger.nominated_to(name, asks.priority, &asks.key) {
        promised.0 += 1;
        promised.1.add(&requests::of_pod(pod));
    }
    fit(&asks.requests, info, &promised)?;
    let needed = claims.check(node)?;
    asks.spread.check(node)?;
    asks.company.check(node)?;
    Ok(needed)
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

fn fit(
    requests: &Resources,
    info: &NodeInfo,
    (pods, promised): &(i64, Resources),
) -> Result<(), Refusal> {
    let mut reasons = Vec::new();
    let mut unresolvable = false;
    if info.pods + pods + 1 > info.allocatable.get("pods") {
        reasons.push("Too many pods".to_owned());
    }
    for (name, amount) in requests.iter().filter(|(_, amount)| *amount > 0) {
        let allocatable = info.allocatable.get(name);
        if amount > allocatable - info.requested.get(name) - promised.get(name) {
            reasons.push(format!("Insufficient {name}"));
            unresolvable |= amount > allocatable;
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Refusal { reasons, unresolvable }) }
}

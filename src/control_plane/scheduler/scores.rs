//! Which of the nodes that can take a Pod should.
//!
//! Upstream: the score plugins of the default profile, with its weights, for nodeaffinity,
//! tainttoleration and noderesources' LeastAllocated.

use k8s_openapi::api::core::v1::{Node, PodSpec};

use super::ledger::NodeInfo;
use super::requests::Resources;
use crate::api::scheduling::{affinity, taints};

const SCORE_MAX: i64 = 100;

/// One node's marks before they are made comparable.
struct Marks<'a> {
    name: &'a str,
    preference: i64,
    reluctance: i64,
    free: i64,
}

/// The best node's name; of equals the first by name.
pub(super) fn best<'a>(
    spec: &PodSpec,
    requests: &Resources,
    nodes: &[(&'a Node, &NodeInfo)],
) -> Option<&'a str> {
    let marks: Vec<Marks<'a>> = nodes
        .iter()
        .map(|(node, info)| Marks {
            name: node.metadata.name.as_deref().unwrap_or_default(),
            preference: affinity::preference(spec, node),
            reluctance: i64::try_from(taints::reluctance(spec, node)).unwrap_or(i64::MAX),
            free: least_allocated(requests, info),
        })
        .collect();
    let preference_max = marks.iter().map(|marks| marks.preference).max().unwrap_or(0).max(1);
    let reluctance_max = marks.iter().map(|marks| marks.reluctance).max().unwrap_or(0).max(1);
    let score = |marks: &Marks<'_>| {
        let preferred = marks.preference * SCORE_MAX / preference_max;
        let welcome = SCORE_MAX - marks.reluctance * SCORE_MAX / reluctance_max;
        2 * preferred + 3 * welcome + marks.free
    };
    let winner = marks.iter().max_by(|a, b| score(a).cmp(&score(b)).then(b.name.cmp(a.name)));
    winner.map(|marks| marks.name)
}

/// The free share of CPU and memory with the Pod on the node, 0 to 100.
fn least_allocated(requests: &Resources, info: &NodeInfo) -> i64 {
    let free = |name: &str| {
        let allocatable = info.allocatable.get(name);
        let left = allocatable - info.requested.get(name) - requests.get(name);
        if allocatable <= 0 { 0 } else { left.max(0) * SCORE_MAX / allocatable }
    };
    i64::midpoint(free("cpu"), free("memory"))
}

//! Which of the nodes that can take a Pod should.
//!
//! Upstream: the score plugins of the default profile, with its weights, for nodeaffinity,
//! tainttoleration, podtopologyspread, interpodaffinity, and noderesources' LeastAllocated and
//! BalancedAllocation.

use k8s_openapi::api::core::v1::Node;

use super::filters::Asks;
use super::ledger::NodeInfo;
use crate::api::requests::Resources;
use crate::api::scheduling::{affinity, taints};

const SCORE_MAX: i64 = 100;

/// One node's marks before they are made comparable.
struct Marks<'a> {
    name: &'a str,
    preference: i64,
    reluctance: i64,
    free: i64,
    balance: i64,
    company: i64,
    /// `None`: it is in none of the domains.
    crowd: Option<f64>,
}

/// The best node's name; of equals the first by name.
pub(super) fn best<'a>(asks: &Asks<'_>, nodes: &[(&'a Node, &NodeInfo)]) -> Option<&'a str> {
    if let [(only, _)] = nodes {
        return only.metadata.name.as_deref();
    }
    let (spec, requests) = (asks.spec, &asks.requests);
    let marks: Vec<Marks<'a>> = nodes
        .iter()
        .map(|(node, info)| Marks {
            name: node.metadata.name.as_deref().unwrap_or_default(),
            preference: affinity::preference(spec, node),
            reluctance: i64::try_from(taints::reluctance(spec, node)).unwrap_or(i64::MAX),
            free: least_allocated(requests, info),
            balance: balanced(requests, info),
            company: asks.company.marks(node),
            crowd: asks.spread.crowd(node).filter(|_| asks.spread.prefers()),
        })
        .collect();
    let preference_max = marks.iter().map(|marks| marks.preference).max().unwrap_or(0).max(1);
    let reluctance_max = marks.iter().map(|marks| marks.reluctance).max().unwrap_or(0).max(1);
    let company_of = |marks: &Marks<'_>| marks.company;
    let company_min = marks.iter().map(company_of).min().unwrap_or(0);
    let company_max = marks.iter().map(company_of).max().unwrap_or(0);
    let crowds = || marks.iter().filter_map(|marks| marks.crowd);
    let crowd_min = crowds().fold(f64::INFINITY, f64::min);
    let crowd_max = crowds().fold(0.0, f64::max);
    let score = |marks: &Marks<'_>| {
        let company = match company_max - company_min {
            0 => 0,
            range => (marks.company - company_min) * SCORE_MAX / range,
        };
        let room = |crowd: f64| match crowd_max {
            0.0 => SCORE_MAX,
            most => (SCORE_MAX as f64 * (most + crowd_min - crowd) / most) as i64,
        };
        let spread = marks.crowd.map_or(0, room);
        let preferred = marks.preference * SCORE_MAX / preference_max;
        let welcome = SCORE_MAX - marks.reluctance * SCORE_MAX / reluctance_max;
        2 * preferred + 3 * welcome + 2 * spread + 2 * company + marks.free + marks.balance
    };
    let winner = marks.iter().max_by(|a, b| score(a).cmp(&score(b)).then(b.name.cmp(a.name)));
    winner.map(|marks| marks.name)
}

/// How alike the used shares of CPU and memory are with the Pod on the node, 0 to 100.
fn balanced(requests: &Resources, info: &NodeInfo) -> i64 {
    let used = |name: &str| {
        let allocatable = info.allocatable.get(name);
        let used = info.requested.get(name) + requests.get(name);
        if allocatable <= 0 { 1.0 } else { (used as f64 / allocatable as f64).min(1.0) }
    };
    let deviation = (used("cpu") - used("memory")).abs() / 2.0;
    ((1.0 - deviation) * SCORE_MAX as f64) as i64
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

//! Pods of a sort, spread evenly over zones, nodes or whatever a label tells apart.
//!
//! Not here: upstream's default constraints (for Pods without any), which only matter among several nodes.
//!
//! Upstream: `pkg/scheduler/framework/plugins/podtopologyspread`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, TopologySpreadConstraint};

use super::filters::Refusal;
use super::ledger::Ledger;
use super::pod_affinity;
use crate::api::scheduling::{affinity, taints};
use crate::api::selector::{Labels, Operator};

/// How a Pod's sort is spread now, for each of its constraints.
#[derive(Debug, Default)]
pub(super) struct Spread {
    hard: Vec<Counts>,
    soft: Vec<Counts>,
}

#[derive(Debug)]
struct Counts {
    key: String,
    skew_max: i64,
    domains_min: usize,
    /// Pods of the sort in each domain.
    in_domain: BTreeMap<String, i64>,
    /// The Pod is of the sort itself.
    counts_itself: bool,
}

impl Spread {
    pub(super) fn of(pod: &Pod, ledger: &Ledger) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
        let of_sort = |hard: bool| -> Vec<Counts> {
            let is_hard =
                |it: &&TopologySpreadConstraint| (it.when_unsatisfiable == "DoNotSchedule") == hard;
            let wanted: Vec<_> = constraints.iter().filter(is_hard).collect();
            let keys: BTreeSet<&str> = wanted.iter().map(|it| it.topology_key.as_str()).collect();
            wanted.into_iter().map(|it| count(it, pod, spec, &keys, ledger)).collect()
        };
        Self { hard: of_sort(true), soft: of_sort(false) }
    }

    /// Whether the Pod on the node would leave its sort as even as it asks for.
    ///
    /// # Errors
    /// The node's refusal.
    pub(super) fn check(&self, node: &Node) -> Result<(), Refusal> {
        const REASON: &str = "node(s) didn't match pod topology spread constraints";
        for counts in &self.hard {
            let Some(value) = label(node, &counts.key) else {
                let reasons = vec![format!("{REASON} (missing required label)")];
                return Err(Refusal { reasons, unresolvable: true });
            };
            let here = counts.in_domain.get(value).copied().unwrap_or(0);
            let least = match counts.in_domain.len() < counts.domains_min {
                true => 0,
                false => counts.in_domain.values().min().copied().unwrap_or(0),
            };
            if here + i64::from(counts.counts_itself) - least > counts.skew_max {
                return Err(Refusal { reasons: vec![REASON.to_owned()], unresolvable: false });
            }
        }
        Ok(())
    }

    /// How crowded the node's domains are; `None` if it is in none of them.
    pub(super) fn crowd(&self, node: &Node) -> Option<f64> {
        let mut sum = 0.0;
        for counts in &self.soft {
            let here = counts.in_domain.get(label(node, &counts.key)?).copied().unwrap_or(0);
            // Of the same number of Pods more domains make more.
            let weight = (counts.in_domain.len() as f64 + 2.0).ln();
            sum += here as f64 * weight + (counts.skew_max - 1) as f64;
        }
        Some(sum)
    }

    pub(super) fn prefers(&self) -> bool {
        !self.soft.is_empty()
    }
}

fn count(
    constraint: &TopologySpreadConstraint,
    pod: &Pod,
    spec: &PodSpec,
    keys: &BTreeSet<&str>,
    ledger: &Ledger,
) -> Counts {
    let labels = constraint.label_selector.as_ref();
    let labels = labels.and_then(|it| Labels::from_typed(Some(it)).ok());
    let labels = labels.unwrap_or_else(Labels::nothing);
    let same = constraint.match_label_keys.as_deref();
    let labels = pod_affinity::alike(labels, pod, same, Operator::In);
    let none = BTreeMap::new();
    let is_of_sort = |pod: &Pod| labels.matches(pod.metadata.labels.as_ref().unwrap_or(&none));
    let honors =
        |policy: &Option<String>, default: &str| policy.as_deref().unwrap_or(default) == "Honor";
    let may_use = |node: &Node| {
        keys.iter().all(|key| label(node, key).is_some())
            && (!honors(&constraint.node_affinity_policy, "Honor") || affinity::matches(spec, node))
            && (!honors(&constraint.node_taints_policy, "Ignore")
                || taints::untolerated(spec, node).is_none())
    };
    let mut in_domain = BTreeMap::new();
    let mut usable = BTreeMap::new();
    for (node, _) in ledger.nodes().filter(|(node, _)| may_use(node)) {
        if let Some(value) = label(node, &constraint.topology_key) {
            in_domain.entry(value.to_owned()).or_insert(0);
            usable.insert(node.metadata.name.as_deref().unwrap_or_default(), value);
        }
    }
    for (other, node) in ledger.placed() {
        let counts = other.metadata.namespace == pod.metadata.namespace
            && other.metadata.deletion_timestamp.is_none()
            && is_of_sort(other);
        if let Some(value) = usable.get(node).filter(|_| counts) {
            *in_domain.entry((*value).to_owned()).or_insert(0) += 1;
        }
    }
    Counts {
        key: constraint.topology_key.clone(),
        skew_max: i64::from(constraint.max_skew),
        domains_min: usize::try_from(constraint.min_domains.unwrap_or(1)).unwrap_or(1),
        in_domain,
        counts_itself: is_of_sort(pod),
    }
}

fn label<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

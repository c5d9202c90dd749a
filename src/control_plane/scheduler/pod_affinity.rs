//! Pods that want to be near others, or far from them: `podAffinity` and `podAntiAffinity`.
//!
//! A Pod's own terms are compared with all Pods that have a place; of these only those that care are asked
//! about the Pod. So a Pod without terms in a cluster where nobody has any costs nothing.
//!
//! Upstream: `pkg/scheduler/framework/plugins/interpodaffinity`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::core::v1::{Affinity, Node, Pod, PodAffinityTerm, WeightedPodAffinityTerm};

use super::filters::Refusal;
use super::ledger::Ledger;
use crate::api::selector::{Labels, Operator, Requirement};

/// What a required term of somebody else weighs who wants to be near.
const REQUIRED_WEIGHT: i64 = 1;

/// A domain: the nodes whose label has this value.
type Domain = (String, String);

/// What a Pod's surroundings say, worked out once for all nodes.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// Topology keys of the required terms; and the domains with a Pod that all terms pick.
    near: Vec<String>,
    near_in: BTreeSet<Domain>,
    /// The first of a group that wants to be together may go anywhere.
    is_first: bool,
    /// Domains with somebody from whom the Pod wants to be far.
    far_from: BTreeSet<Domain>,
    /// Domains with somebody who wants to be far from the Pod.
    refused_by: BTreeSet<Domain>,
    /// What being in a domain is worth.
    marks: HashMap<Domain, i64>,
}

/// Whether who is beside it matters to the Pod.
pub(super) fn is_picky(pod: &Pod) -> bool {
    affinity(pod).is_some_and(|affinity| {
        affinity.pod_affinity.is_some() || affinity.pod_anti_affinity.is_some()
    })
}

impl Company {
    pub(super) fn of(pod: &Pod, ledger: &Ledger) -> Self {
        let mut company = Self::default();
        if is_picky(pod) {
            company.look_around(pod, ledger);
        }
        for (other, node) in ledger.picky() {
            company.listen(other, node, pod, ledger);
        }
        company
    }

    /// Whether the Pod can be on the node.
    ///
    /// # Errors
    /// The node's refusal.
    pub(super) fn check(&self, node: &Node) -> Result<(), Refusal> {
        let refuse = |reason: &str, unresolvable| {
            Err(Refusal { reasons: vec![reason.to_owned()], unresolvable })
        };
        let near = |key: &String| match domain(node, key) {
            None => false,
            Some(domain) => self.is_first || self.near_in.contains(&domain),
        };
        if !self.near.iter().all(near) {
            return refuse("node(s) didn't match pod affinity rules", true);
        }
        let is_in = |domains: &BTreeSet<Domain>| domains.iter().any(|it| has(node, it));
        if is_in(&self.far_from) {
            return refuse("node(s) didn't match pod anti-affinity rules", false);
        }
        if is_in(&self.refused_by) {
            return refuse("node(s) didn't satisfy existing pods anti-affinity rules", false);
        }
        Ok(())
    }

    /// What the node is worth; only comparable with others of the same Pod.
    pub(super) fn marks(&self, node: &Node) -> i64 {
        self.marks.iter().filter(|(it, _)| has(node, it)).map(|(_, weight)| weight).sum()
    }

    /// The Pod's own terms, against everybody.
    fn look_around(&mut self, pod: &Pod, ledger: &Ledger) {
        let near = Terms::of(required_near(pod), pod);
        let far = Terms::of(required_far(pod), pod);
        let (wants, avoids) = (preferred_near(pod), preferred_far(pod));
        for (other, node) in ledger.placed() {
            let Some(node) = ledger.node(node).and_then(|info| info.node.as_deref()) else {
                continue;
            };
            if near.all_pick(other, ledger) {
                self.near_in.extend(near.0.iter().filter_map(|term| domain(node, &term.key)));
            }
            let picking = far.0.iter().filter(|term| term.picks(other, ledger));
            self.far_from.extend(picking.filter_map(|term| domain(node, &term.key)));
            self.weigh(&wants, pod, other, node, ledger, 1);
            self.weigh(&avoids, pod, other, node, ledger, -1);
        }
        self.is_first = self.near_in.is_empty() && near.all_pick(pod, ledger);
        self.near = near.0.into_iter().map(|term| term.key).collect();
    }

    /// What somebody who has a place says of the Pod.
    fn listen(&mut self, other: &Pod, node: &str, pod: &Pod, ledger: &Ledger) {
        let Some(node) = ledger.node(node).and_then(|info| info.node.as_deref()) else { return };
        let far = Terms::of(required_far(other), other);
        let picking = far.0.iter().filter(|term| term.picks(pod, ledger));
        self.refused_by.extend(picking.filter_map(|term| domain(node, &term.key)));
        for term in Terms::of(required_near(other), other).0 {
            if term.picks(pod, ledger) {
                self.mark(node, &term.key, REQUIRED_WEIGHT);
            }
        }
        self.weigh(&preferred_near(other), other, pod, node, ledger, 1);
        self.weigh(&preferred_far(other), other, pod, node, ledger, -1);
    }

    /// `terms` of `owner` about `other`; one of the two is on the node.
    fn weigh(
        &mut self,
        terms: &[WeightedPodAffinityTerm],
        owner: &Pod,
        other: &Pod,
        node: &Node,
        ledger: &Ledger,
        sign: i64,
    ) {
        for weighted in terms {
            let term = Term::of(&weighted.pod_affinity_term, owner);
            if term.picks(other, ledger) {
                self.mark(node, &term.key, sign * i64::from(weighted.weight));
            }
        }
    }

    fn mark(&mut self, node: &Node, key: &str, weight: i64) {
        if let Some(domain) = domain(node, key) {
            *self.marks.entry(domain).or_default() += weight;
        }
    }
}

struct Terms(Vec<Term>);

impl Terms {
    fn of(terms: &[PodAffinityTerm], owner: &Pod) -> Self {
        Self(terms.iter().map(|term| Term::of(term, owner)).collect())
    }

    fn all_pick(&self, pod: &Pod, ledger: &Ledger) -> bool {
        !self.0.is_empty() && self.0.iter().all(|term| term.picks(pod, ledger))
    }
}

/// A term as it is meant by the Pod that has it.
struct Term {
    key: String,
    labels: Labels,
    namespaces: BTreeSet<String>,
    /// `None`: none but those named.
    namespace_labels: Option<Labels>,
}

impl Term {
    fn of(term: &PodAffinityTerm, owner: &Pod) -> Self {
        let selected = term.namespace_selector.as_ref();
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if namespaces.is_empty() && selected.is_none() {
            namespaces.insert(owner.metadata.namespace.clone().unwrap_or_default());
        }
        let labels = match &term.label_selector {
            None => Labels::nothing(),
            Some(selector) => {
                Labels::from_typed(Some(selector)).unwrap_or_else(|_| Labels::nothing())
            }
        };
        let labels = alike(labels, owner, term.match_label_keys.as_deref(), Operator::In);
        let labels = alike(labels, owner, term.mismatch_label_keys.as_deref(), Operator::NotIn);
        let namespace_labels =
            selected.map(|it| Labels::from_typed(Some(it)).unwrap_or_else(|_| Labels::nothing()));
        Self { key: term.topology_key.clone(), labels, namespaces, namespace_labels }
    }

    fn picks(&self, pod: &Pod, ledger: &Ledger) -> bool {
        let none = BTreeMap::new();
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let by_labels = |labels: &Labels| {
            labels.matches(ledger.labels_of_namespace(namespace).unwrap_or(&none))
        };
        let is_here = self.namespaces.contains(namespace)
            || self.namespace_labels.as_ref().is_some_and(by_labels);
        is_here && self.labels.matches(pod.metadata.labels.as_ref().unwrap_or(&none))
    }
}

/// The selector, narrowed to Pods that have the owner's values of these labels, or have not.
pub(super) fn alike(
    labels: Labels,
    owner: &Pod,
    keys: Option<&[String]>,
    operator: Operator,
) -> Labels {
    let own = owner.metadata.labels.as_ref();
    let Some(requirements) = labels.requirements() else { return labels };
    let mut all = requirements.to_vec();
    for key in keys.unwrap_or_default() {
        let value = own.and_then(|own| own.get(key));
        let more = value.map(|value| Requirement::new(key, operator, [value.clone()]));
        all.extend(more.into_iter().flatten());
    }
    Labels::of(all)
}

fn domain(node: &Node, key: &str) -> Option<Domain> {
    let value = node.metadata.labels.as_ref()?.get(key)?;
    Some((key.to_owned(), value.clone()))
}

fn has(node: &Node, (key, value): &Domain) -> bool {
    node.metadata.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value)
}

fn affinity(pod: &Pod) -> Option<&Affinity> {
    pod.spec.as_ref()?.affinity.as_ref()
}

fn required_near(pod: &Pod) -> &[PodAffinityTerm] {
    let near = affinity(pod).and_then(|affinity| affinity.pod_affinity.as_ref());
    let terms = near.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    terms.map(Vec::as_slice).unwrap_or_default()
}

fn required_far(pod: &Pod) -> &[PodAffinityTerm] {
    let far = affinity(pod).and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let terms = far.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    terms.map(Vec::as_slice).unwrap_or_default()
}

fn preferred_near(pod: &Pod) -> Vec<WeightedPodAffinityTerm> {
    let near = affinity(pod).and_then(|affinity| affinity.pod_affinity.as_ref());
    let terms = near.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.clone());
    terms.unwrap_or_default()
}

fn preferred_far(pod: &Pod) -> Vec<WeightedPodAffinityTerm> {
    let far = affinity(pod).and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let terms = far.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.clone());
    terms.unwrap_or_default()
}

//! Which Pod is on which node, and how much room each node has left: kept as Pods come and go, so
//! that a decision need not add up all Pods.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::pod_affinity;
use super::ports::{self, HostPort};
use crate::api::object::ObjectKey;
use crate::api::requests::{self, Resources};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    nodes: BTreeMap<String, NodeInfo>,
    placed: HashMap<ObjectKey, Placed>,
    /// Those placed that care who is beside them; nobody else need be looked at for a Pod that does not.
    picky: HashSet<ObjectKey>,
    /// How many placed Pods there are of each priority.
    priorities: BTreeMap<i32, usize>,
    /// Pods that wait for room that was made for them, and where.
    nominated: HashMap<ObjectKey, (String, Arc<Pod>)>,
    /// The labels of namespaces, for terms that choose namespaces by them.
    namespaces: HashMap<String, BTreeMap<String, String>>,
}

/// One node's room.
#[derive(Debug, Default)]
pub(super) struct NodeInfo {
    /// `None`: Pods name a node that is not there (yet, or any more).
    pub(super) node: Option<Arc<Node>>,
    pub(super) allocatable: Resources,
    pub(super) requested: Resources,
    pub(super) pods: i64,
    /// Taken by its Pods.
    pub(super) ports: Vec<HostPort>,
}

#[derive(Debug)]
struct Placed {
    pod: Arc<Pod>,
    node: String,
    requests: Resources,
    ports: Vec<HostPort>,
}

/// What a change of a Pod means for those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// There is more room than before.
    Room,
    /// Somebody else is beside whom one may want to be.
    Company,
}

impl Ledger {
    /// Nodes that exist.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&Arc<Node>, &NodeInfo)> {
        self.nodes.values().filter_map(|info| Some((info.node.as_ref()?, info)))
    }

    /// Whether the Pod has a place, if only an assumed one.
    pub(super) fn has_place(&self, key: &ObjectKey) -> bool {
        self.placed.contains_key(key)
    }

    /// A Pod with a place, and the node.
    pub(super) fn placed(&self) -> impl Iterator<Item = (&Arc<Pod>, &str)> {
        self.placed.values().map(|placed| (&placed.pod, placed.node.as_str()))
    }

    /// The same of those that care who is beside them.
    pub(super) fn picky(&self) -> impl Iterator<Item = (&Arc<Pod>, &str)> {
        let placed = self.picky.iter().filter_map(|key| self.placed.get(key));
        placed.map(|placed| (&placed.pod, placed.node.as_str()))
    }

    pub(super) fn pods_on<'a>(
        &'a self,
        node: &'a str,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Arc<Pod>)> {
        let here = self.placed.iter().filter(move |(_, placed)| placed.node == node);
        here.map(|(key, placed)| (key, &placed.pod))
    }

    pub(super) fn node(&self, name: &str) -> Option<&NodeInfo> {
        self.nodes.get(name)
    }

    /// Whether some Pod could make room for one of this priority.
    pub(super) fn has_lesser_than(&self, priority: i32) -> bool {
        self.priorities.keys().next().is_some_and(|least| *least < priority)
    }

    /// Pods that wait for room on the node and go before, or beside, one of this priority.
    pub(super) fn nominated_to<'a>(
        &'a self,
        node: &'a str,
        priority: i32,
        own: &'a ObjectKey,
    ) -> impl Iterator<Item = &'a Arc<Pod>> {
        let others =
            self.nominated.iter().filter(move |(key, (place, _))| *key != own && place == node);
        others.map(|(_, (_, pod))| pod).filter(move |pod| priority_of(pod) >= priority)
    }

    pub(super) fn nominate(&mut self, key: &ObjectKey, pod: &Arc<Pod>, node: &str) {
        self.nominated.insert(key.clone(), (node.to_owned(), pod.clone()));
    }

    pub(super) fn unnominate(&mut self, key: &ObjectKey) {
        self.nominated.remove(key);
    }

    pub(super) fn namespace_changed(
        &mut self,
        name: &str,
        labels: Option<BTreeMap<String, String>>,
    ) {
        match labels {
            Some(labels) => self.namespaces.insert(name.to_owned(), labels),
            None => self.namespaces.remove(name),
        };
    }

    pub(super) fn labels_of_namespace(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(name)
    }

    /// Notes a node as it is now; `None` if it is gone. Answers whether a Pod could tell the difference.
    pub(super) fn node_changed(&mut self, name: &str, node: Option<Arc<Node>>) -> bool {
        let info = self.nodes.entry(name.to_owned()).or_default();
        let before = info.node.as_deref().map(|node| asked_of(node, &info.allocatable));
        let status = node.as_ref().and_then(|node| node.status.as_ref());
        let allocatable =
            status.and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref()));
        let allocatable = Resources::of(allocatable);
        let after = node.as_deref().map(|node| asked_of(node, &allocatable));
        let differs = before != after;
        info.allocatable = allocatable;
        info.node = node;
        if info.node.is_none() && info.pods == 0 {
            self.nodes.remove(name);
        }
        differs
    }

    /// Notes a Pod as it is now; `None` if it is gone.
    ///
    /// A Pod that is not bound yet keeps the place that was assumed for it.
    pub(super) fn pod_changed(&mut self, key: &ObjectKey, pod: Option<&Arc<Pod>>) -> Change {
        let node = pod.filter(|pod| !has_ended(pod)).and_then(|pod| node_of(pod));
        if pod.is_none_or(|pod| node.is_some() || has_ended(pod)) {
            self.nominated.remove(key);
        }
        let placed = self.placed.get_mut(key);
        match (placed, pod, node) {
            (Some(placed), Some(pod), node)
                if placed.pod.metadata.uid == pod.metadata.uid
                    && !has_ended(pod)
                    && node.is_none_or(|node| placed.node == node) =>
            {
                let told = placed.pod.metadata.labels == pod.metadata.labels;
                let told = told
                    && placed.pod.metadata.deletion_timestamp.is_some()
                        == pod.metadata.deletion_timestamp.is_some();
                placed.pod = pod.clone();
                if told { Change::None } else { Change::Company }
            }
            (placed, pod, node) => {
                let made_room = placed.is_some();
                self.forget(key);
                if let (Some(pod), Some(node)) = (pod, node) {
                    self.place(key, pod, node);
                }
                match (made_room, node) {
                    (true, _) => Change::Room,
                    (false, Some(_)) => Change::Company,
                    (false, None) => Change::None,
                }
            }
        }
    }

    /// Counts the Pod on the node from now on, before its binding has been written.
    pub(super) fn place(&mut self, key: &ObjectKey, pod: &Arc<Pod>, node: &str) {
        let (requests, ports) = (requests::of_pod(pod), ports::of_pod(pod));
        self.nominated.remove(key);
        *self.priorities.entry(priority_of(pod)).or_default() += 1;
        if pod_affinity::is_picky(pod) {
            self.picky.insert(key.clone());
        }
        let info = self.nodes.entry(node.to_owned()).or_default();
        info.requested.add(&requests);
        info.pods += 1;
        info.ports.extend(ports.iter().cloned());
        let placed = Placed { pod: pod.clone(), node: node.to_owned(), requests, ports };
        self.placed.insert(key.clone(), placed);
    }

    /// Takes back what was placed; nothing happens if nothing was.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        let Some(placed) = self.placed.remove(key) else { return };
        self.picky.remove(key);
        let priority = priority_of(&placed.pod);
        if let Some(count) = self.priorities.get_mut(&priority) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&priority);
            }
        }
        let Some(info) = self.nodes.get_mut(&placed.node) else { return };
        info.requested.subtract(&placed.requests);
        info.pods -= 1;
        for port in &placed.ports {
            if let Some(at) = info.ports.iter().position(|taken| taken == port) {
                info.ports.swap_remove(at);
            }
        }
        if info.node.is_none() && info.pods == 0 {
            self.nodes.remove(&placed.node);
        }
    }
}

/// What of a node decides who can go there; its heartbeats do not.
fn asked_of(node: &Node, allocatable: &Resources) -> (impl PartialEq + use<>, Resources) {
    let spec = node.spec.as_ref();
    let taints = spec.and_then(|spec| spec.taints.clone());
    let cordoned = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
    ((node.metadata.labels.clone(), taints, cordoned), allocatable.clone())
}

/// Who is more important than another has the higher one.
pub(super) fn priority_of(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// A Pod that has ended needs no room.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, node: Option<&str>, phase: &str) -> Arc<Pod> {
        let pod = serde_json::from_value(json!({
            "metadata": { "name": "p", "uid": uid },
            "spec": {
                "nodeName": node,
                "containers": [{ "name": "c", "resources": { "requests": { "cpu": "1" } } }],
            },
            "status": { "phase": phase },
        }));
        Arc::new(pod.unwrap())
    }

    fn key() -> ObjectKey {
        ObjectKey::new("default", "p")
    }

    fn used(ledger: &Ledger) -> (i64, i64) {
        ledger.nodes.get("n").map_or((0, 0), |info| (info.pods, info.requested.get("cpu")))
    }

    #[test]
    fn a_pod_takes_room_from_its_binding_to_its_end() {
        let mut ledger = Ledger::default();
        let pending = pod("1", None, "Pending");
        assert_eq!(ledger.pod_changed(&key(), Some(&pending)), Change::None);
        assert_eq!(used(&ledger), (0, 0));
        for change in [Change::Company, Change::None] {
            assert_eq!(ledger.pod_changed(&key(), Some(&pod("1", Some("n"), "Running"))), change);
            assert_eq!(used(&ledger), (1, 1_000));
            assert!(ledger.has_lesser_than(1) && !ledger.has_lesser_than(0));
        }
        let ended = pod("1", Some("n"), "Succeeded");
        assert_eq!(ledger.pod_changed(&key(), Some(&ended)), Change::Room);
        assert_eq!(used(&ledger), (0, 0));
        assert!(!ledger.has_lesser_than(1));
        assert_eq!(ledger.pod_changed(&key(), None), Change::None);
    }

    #[test]
    fn an_assumed_place_is_kept_until_the_binding_shows() {
        let mut ledger = Ledger::default();
        let pending = pod("1", None, "Pending");
        ledger.place(&key(), &pending, "n");
        assert_eq!(ledger.pod_changed(&key(), Some(&pending)), Change::None);
        assert_eq!(used(&ledger), (1, 1_000));
        let bound = pod("1", Some("n"), "Pending");
        assert_eq!(ledger.pod_changed(&key(), Some(&bound)), Change::None);
        assert_eq!(used(&ledger), (1, 1_000));
    }

    #[test]
    fn a_new_pod_of_the_same_name_replaces_the_old_one() {
        let mut ledger = Ledger::default();
        ledger.pod_changed(&key(), Some(&pod("1", Some("n"), "Running")));
        assert_eq!(ledger.pod_changed(&key(), Some(&pod("2", None, "Pending"))), Change::Room);
        assert_eq!(used(&ledger), (0, 0));
    }
}

//! Which Pod is on which node, and how much room each node has left: kept as Pods come and go, so
//! that a decision need not add up all Pods.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::ports::{self, HostPort};
use super::requests::{self, Resources};
use crate::api::object::ObjectKey;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    nodes: BTreeMap<String, NodeInfo>,
    placed: HashMap<ObjectKey, Placed>,
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
    uid: Option<String>,
    node: String,
    requests: Resources,
    ports: Vec<HostPort>,
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

    /// Notes a node as it is now; `None` if it is gone.
    pub(super) fn node_changed(&mut self, name: &str, node: Option<Arc<Node>>) {
        let info = self.nodes.entry(name.to_owned()).or_default();
        let status = node.as_ref().and_then(|node| node.status.as_ref());
        let allocatable =
            status.and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref()));
        info.allocatable = Resources::of(allocatable);
        info.node = node;
        if info.node.is_none() && info.pods == 0 {
            self.nodes.remove(name);
        }
    }

    /// Notes a Pod as it is now; `None` if it is gone. Answers whether room was made.
    ///
    /// A Pod that is not bound yet keeps the place that was assumed for it.
    pub(super) fn pod_changed(&mut self, key: &ObjectKey, pod: Option<&Pod>) -> bool {
        let same_pod = |placed: &Placed| pod.is_some_and(|pod| pod.metadata.uid == placed.uid);
        let node = pod.filter(|pod| !has_ended(pod)).and_then(node_of);
        match (self.placed.get(key), pod, node) {
            (Some(placed), Some(_), Some(node)) if same_pod(placed) && placed.node == node => false,
            (Some(placed), Some(pod), None) if same_pod(placed) && !has_ended(pod) => false,
            (placed, pod, node) => {
                let made_room = placed.is_some();
                self.forget(key);
                if let (Some(pod), Some(node)) = (pod, node) {
                    self.place(key, pod, node);
                }
                made_room
            }
        }
    }

    /// Counts the Pod on the node from now on, before its binding has been written.
    pub(super) fn place(&mut self, key: &ObjectKey, pod: &Pod, node: &str) {
        let (requests, ports) = (requests::of_pod(pod), ports::of_pod(pod));
        let info = self.nodes.entry(node.to_owned()).or_default();
        info.requested.add(&requests);
        info.pods += 1;
        info.ports.extend(ports.iter().cloned());
        let (uid, node) = (pod.metadata.uid.clone(), node.to_owned());
        let placed = Placed { uid, node, requests, ports };
        self.placed.insert(key.clone(), placed);
    }

    /// Takes back what was placed; nothing happens if nothing was.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        let Some(placed) = self.placed.remove(key) else { return };
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

    fn pod(uid: &str, node: Option<&str>, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "p", "uid": uid },
            "spec": {
                "nodeName": node,
                "containers": [{ "name": "c", "resources": { "requests": { "cpu": "1" } } }],
            },
            "status": { "phase": phase },
        }))
        .unwrap()
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
        assert!(!ledger.pod_changed(&key(), Some(&pod("1", None, "Pending"))));
        assert_eq!(used(&ledger), (0, 0));
        for _ in 0..2 {
            assert!(!ledger.pod_changed(&key(), Some(&pod("1", Some("n"), "Running"))));
            assert_eq!(used(&ledger), (1, 1_000));
        }
        assert!(ledger.pod_changed(&key(), Some(&pod("1", Some("n"), "Succeeded"))));
        assert_eq!(used(&ledger), (0, 0));
        assert!(!ledger.pod_changed(&key(), None));
    }

    #[test]
    fn an_assumed_place_is_kept_until_the_binding_shows() {
        let mut ledger = Ledger::default();
        let pending = pod("1", None, "Pending");
        ledger.place(&key(), &pending, "n");
        assert!(!ledger.pod_changed(&key(), Some(&pending)));
        assert_eq!(used(&ledger), (1, 1_000));
        assert!(!ledger.pod_changed(&key(), Some(&pod("1", Some("n"), "Pending"))));
        assert_eq!(used(&ledger), (1, 1_000));
    }

    #[test]
    fn a_new_pod_of_the_same_name_replaces_the_old_one() {
        let mut ledger = Ledger::default();
        ledger.pod_changed(&key(), Some(&pod("1", Some("n"), "Running")));
        assert!(ledger.pod_changed(&key(), Some(&pod("2", None, "Pending"))));
        assert_eq!(used(&ledger), (0, 0));
    }
}

//! The graph of owner references: of every object of every kind what it is called, who owns it, and what
//! it owns. One writer per kind feeds it; the garbage collector reads it.
//!
//! Upstream: `pkg/controller/garbagecollector/graph.go`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use parking_lot::Mutex;

use super::cache::{Changes, Reader};
use crate::api::object::ObjectKey;

/// Keeps an object that is being deleted until its dependents are gone.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Keeps an object that is being deleted until its dependents have been let go.
pub const ORPHAN: &str = "orphan";

/// A kind, as references and paths name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KindName {
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub namespaced: bool,
}

impl KindName {
    /// The path of an object of this kind; `namespace` is ignored for cluster-scoped kinds.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let root = match self.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        let plural = self.plural;
        match self.namespaced {
            true => format!("{root}/namespaces/{namespace}/{plural}/{name}"),
            false => format!("{root}/{plural}/{name}"),
        }
    }

    /// Whether a reference is to this kind, in whichever version.
    fn is_meant(&self, owner: &OwnerReference) -> bool {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        (group, owner.kind.as_str()) == (self.group, self.kind)
    }
}

/// What the graph knows of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub kind: KindName,
    pub key: ObjectKey,
    pub uid: String,
    pub owners: Vec<OwnerReference>,
    /// It has a `deletionTimestamp`.
    pub going: bool,
    finalizers: Vec<String>,
}

impl Node {
    pub fn new(kind: KindName, meta: &ObjectMeta) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            kind,
            key: ObjectKey::new(text(&meta.namespace), text(&meta.name)),
            uid: text(&meta.uid),
            owners: meta.owner_references.clone().unwrap_or_default(),
            going: meta.deletion_timestamp.is_some(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
        }
    }

    pub fn path(&self) -> String {
        self.kind.path(&self.key.namespace, &self.key.name)
    }

    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == name)
    }

    /// It goes when its dependents are gone.
    pub fn waits_for_dependents(&self) -> bool {
        self.going && self.has_finalizer(FOREGROUND)
    }

    /// It goes when its dependents have been let go.
    pub fn orphans(&self) -> bool {
        self.going && self.has_finalizer(ORPHAN)
    }

    /// Whether the reference, as found on an object of `namespace`, is to this one.
    pub fn is_meant(&self, owner: &OwnerReference, namespace: &str) -> bool {
        self.uid == owner.uid
            && self.key.name == owner.name
            && self.kind.is_meant(owner)
            && (!self.kind.namespaced || self.key.namespace == namespace)
    }
}

/// An empty graph of these kinds; [`Writer`] may be cloned, one for each of them.
pub fn graph(kinds: Vec<KindName>) -> (Writer, Owners) {
    let shared = Arc::new(Shared {
        kinds,
        state: Mutex::new(State::default()),
        reader: Arc::new(Reader::default()),
    });
    (Writer { shared: shared.clone() }, Owners { shared })
}

struct Shared {
    kinds: Vec<KindName>,
    state: Mutex<State>,
    /// Uids to look at.
    reader: Arc<Reader<String>>,
}

/// Bound: one entry per object, and one per owner reference.
#[derive(Default)]
struct State {
    nodes: HashMap<String, Arc<Node>>,
    places: HashMap<(KindName, ObjectKey), String>,
    /// By the uid of their owner, which may be missing among the nodes.
    dependents: HashMap<String, BTreeSet<String>>,
}

impl State {
    fn insert(&mut self, node: Node) -> Vec<String> {
        if self.nodes.get(&node.uid).is_some_and(|known| **known == node) {
            // The usual case: a change of something else.
            return Vec::new();
        }
        let place = (node.kind, node.key.clone());
        let mut due = Vec::new();
        if let Some(former) = self.places.get(&place).filter(|uid| **uid != node.uid).cloned() {
            due.extend(self.remove(&former));
        }
        due.extend(self.unlink(&node.uid));
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(node.uid.clone());
        }
        due.extend(self.concerned(&node));
        self.places.insert(place, node.uid.clone());
        self.nodes.insert(node.uid.clone(), Arc::new(node));
        due
    }

    fn remove(&mut self, uid: &str) -> Vec<String> {
        let due = self.unlink(uid);
        let Some(node) = self.nodes.remove(uid) else { return due };
        self.places.remove(&(node.kind, node.key.clone()));
        let dependents = self.dependents.get(uid).into_iter().flatten().cloned();
        due.into_iter().chain(dependents).collect()
    }

    /// Takes the object's references out; answers the owners that may have waited for this.
    fn unlink(&mut self, uid: &str) -> Vec<String> {
        let Some(node) = self.nodes.get(uid).cloned() else { return Vec::new() };
        for owner in &node.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        self.going_owners(&node)
    }

    fn going_owners(&self, node: &Node) -> Vec<String> {
        let owners = node.owners.iter().map(|owner| &owner.uid);
        owners
            .filter(|uid| self.nodes.get(*uid).is_some_and(|owner| owner.going))
            .cloned()
            .collect()
    }

    /// Whom the object's state concerns: itself if there may be something to do, owners that wait, and
    /// dependents if it goes.
    fn concerned(&self, node: &Node) -> Vec<String> {
        let mut due = self.going_owners(node);
        let keeps = |owner: &OwnerReference| {
            let known = self.nodes.get(&owner.uid);
            known.is_some_and(|known| {
                known.is_meant(owner, &node.key.namespace) && !known.waits_for_dependents()
            })
        };
        if !node.owners.iter().all(keeps) || node.waits_for_dependents() || node.orphans() {
            due.push(node.uid.clone());
        }
        if node.waits_for_dependents() {
            due.extend(self.dependents.get(&node.uid).into_iter().flatten().cloned());
        }
        due
    }
}

/// Feeds one kind's objects into the graph.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Adds or replaces an object.
    pub fn apply(&self, node: Node) {
        let mut state = self.shared.state.lock();
        let due = state.insert(node);
        self.shared.reader.push(due.into_iter());
    }

    pub fn delete(&self, uid: &str) {
        let mut state = self.shared.state.lock();
        let due = state.remove(uid);
        self.shared.reader.push(due.into_iter());
    }

    /// Makes `nodes` all there is of the kind.
    pub fn replace(&self, kind: KindName, nodes: Vec<Node>) {
        let mut state = self.shared.state.lock();
        let stale = state.nodes.values().filter(|node| node.kind == kind);
        let stale: Vec<String> = stale.map(|node| node.uid.clone()).collect();
        let fresh: BTreeSet<String> = nodes.iter().map(|node| node.uid.clone()).collect();
        let mut due = Vec::new();
        for uid in stale.iter().filter(|uid| !fresh.contains(*uid)) {
            due.extend(state.remove(uid));
        }
        for node in nodes {
            due.extend(state.insert(node));
        }
        self.shared.reader.push(due.into_iter());
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// A reader's view of the graph. Cheap to clone.
#[derive(Clone)]
pub struct Owners {
    shared: Arc<Shared>,
}

impl Owners {
    pub fn get(&self, uid: &str) -> Option<Arc<Node>> {
        self.shared.state.lock().nodes.get(uid).cloned()
    }

    /// The objects that have a reference to this uid.
    pub fn dependents(&self, uid: &str) -> Vec<Arc<Node>> {
        let state = self.shared.state.lock();
        let uids = state.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| state.nodes.get(uid).cloned()).collect()
    }

    /// The kind that a reference is to; `None` if the server does not have it.
    pub fn kind_of(&self, owner: &OwnerReference) -> Option<KindName> {
        self.shared.kinds.iter().find(|kind| kind.is_meant(owner)).copied()
    }

    /// Uids of objects that there may be something to do for. There is one stream for all callers.
    pub fn changes(&self) -> Changes<String> {
        Changes::of(self.shared.reader.clone())
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owners").field("objects", &self.shared.state.lock().nodes.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use serde_json::{Value, json};

    use super::*;

    const SETS: KindName = KindName {
        group: "apps",
        version: "v1",
        kind: "ReplicaSet",
        plural: "replicasets",
        namespaced: true,
    };
    const PODS: KindName =
        KindName { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true };

    fn node(kind: KindName, uid: &str, owner: Option<&str>, more: Value) -> Node {
        let owners = owner.map(|owner| {
            json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner}])
        });
        let meta = json!({"name": uid, "namespace": "n", "uid": uid, "ownerReferences": owners});
        let meta = crate::api::patch::merge::apply(meta, &more).unwrap();
        Node::new(kind, &serde_json::from_value(meta).unwrap())
    }

    fn told(changes: &mut Changes<String>) -> Vec<String> {
        let mut uids = Vec::new();
        while let Some(Some(uid)) = changes.next().now_or_never() {
            uids.push(uid);
        }
        uids.sort();
        uids
    }

    #[test]
    fn whoever_is_concerned_is_told() {
        let (writer, owners) = graph(vec![SETS, PODS]);
        let mut changes = owners.changes();
        writer.apply(node(SETS, "s", None, json!({})));
        assert_eq!(told(&mut changes), Vec::<String>::new());
        // An owner that is not there yet, or no longer; and one that is.
        writer.apply(node(PODS, "q", Some("t"), json!({})));
        assert_eq!(told(&mut changes), ["q"]);
        writer.apply(node(PODS, "q", Some("t"), json!({})));
        writer.apply(node(PODS, "p", Some("s"), json!({})));
        assert_eq!(told(&mut changes), Vec::<String>::new());
        assert_eq!(owners.dependents("s").len(), 1);
        let going =
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FOREGROUND]});
        writer.apply(node(SETS, "s", None, going));
        assert_eq!(told(&mut changes), ["p", "s"]);
        writer.delete("p");
        assert_eq!(told(&mut changes), ["s"]);
        assert!(owners.dependents("s").is_empty());
    }

    #[test]
    fn an_owner_that_is_gone_leaves_its_dependents_told() {
        let (writer, owners) = graph(vec![SETS, PODS]);
        writer.apply(node(SETS, "s", None, json!({})));
        writer.apply(node(PODS, "p", Some("s"), json!({})));
        let mut changes = owners.changes();
        told(&mut changes);
        writer.delete("s");
        assert_eq!(told(&mut changes), ["p"]);
        writer.replace(SETS, vec![node(SETS, "s", None, json!({}))]);
        writer.replace(SETS, Vec::new());
        assert_eq!(told(&mut changes), ["p"]);
    }

    #[test]
    fn a_reference_means_an_object_by_uid_and_by_place() {
        let set = node(SETS, "s", None, json!({}));
        let owner = node(PODS, "p", Some("s"), json!({})).owners[0].clone();
        assert!(set.is_meant(&owner, "n"));
        assert!(!set.is_meant(&owner, "other"));
        assert!(!set.is_meant(&OwnerReference { name: "x".into(), ..owner.clone() }, "n"));
        let older = OwnerReference { api_version: "apps/v1beta1".into(), ..owner.clone() };
        assert!(set.is_meant(&older, "n"));
        assert!(!set.is_meant(&OwnerReference { api_version: "v1".into(), ..owner }, "n"));
        assert_eq!(set.path(), "/apis/apps/v1/namespaces/n/replicasets/s");
    }
}

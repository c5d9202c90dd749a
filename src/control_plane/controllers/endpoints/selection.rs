//! Who selects whom: which Services a change of a Pod concerns, and which Pods a Service selects,
//! without looking at all of them.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::core::v1::{Pod, Service};

use super::{Labels, address, selector};
use crate::api::object::ObjectKey;

/// A label within a namespace.
type Place = (String, String, String);

/// Bound: an entry per Service and per label of a Pod that there is.
#[derive(Debug, Default)]
pub(super) struct Selection {
    selectors: HashMap<ObjectKey, Labels>,
    /// Services by the first label that they ask for.
    services: HashMap<Place, BTreeSet<String>>,
    seen: HashMap<ObjectKey, Seen>,
    /// Pods by each of their labels.
    pods: HashMap<Place, BTreeSet<String>>,
}

/// A Pod as it was when it was last looked at.
#[derive(Debug)]
struct Seen {
    labels: Labels,
    /// Of everything else that endpoints tell of it.
    fingerprint: u64,
}

fn place(namespace: &str, (key, value): (&String, &String)) -> Place {
    (namespace.to_owned(), key.clone(), value.clone())
}

impl Selection {
    /// Takes note of a Service as it is now, or that it is gone.
    pub(super) fn note_service(&mut self, key: &ObjectKey, service: Option<&Service>) {
        if let Some(old) = self.selectors.remove(key) {
            leave(&mut self.services, key, old.iter().take(1));
        }
        if let Some(selector) = service.and_then(selector) {
            join(&mut self.services, key, selector.iter().take(1));
            self.selectors.insert(key.clone(), selector.clone());
        }
    }

    /// Takes note of a Pod as it is now, or that it is gone; answers the Services whose endpoints may
    /// differ by it.
    pub(super) fn note_pod(&mut self, key: &ObjectKey, pod: Option<&Pod>) -> BTreeSet<ObjectKey> {
        let mut concerned = BTreeSet::new();
        if let (Some(seen), Some(pod)) = (self.seen.get_mut(key), pod)
            && pod.metadata.labels.as_ref().unwrap_or(&Labels::new()) == &seen.labels
        {
            let now = fingerprint(pod);
            if std::mem::replace(&mut seen.fingerprint, now) != now {
                self.selecting(&key.namespace, &self.seen[key].labels, &mut concerned);
            }
            return concerned;
        }
        let new = pod.map(|pod| Seen {
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            fingerprint: fingerprint(pod),
        });
        if let Some(old) = self.seen.remove(key) {
            self.selecting(&key.namespace, &old.labels, &mut concerned);
            leave(&mut self.pods, key, old.labels.iter());
        }
        if let Some(new) = &new {
            self.selecting(&key.namespace, &new.labels, &mut concerned);
            join(&mut self.pods, key, new.labels.iter());
        }
        if let Some(new) = new {
            self.seen.insert(key.clone(), new);
        }
        concerned
    }

    /// Adds the Services that select Pods with these labels.
    fn selecting(&self, namespace: &str, labels: &Labels, found: &mut BTreeSet<ObjectKey>) {
        if self.services.is_empty() {
            return;
        }
        let places = labels.iter().filter_map(|pair| self.services.get(&place(namespace, pair)));
        for name in places.flatten() {
            let key = ObjectKey::new(namespace, name.as_str());
            if self.selectors.get(&key).is_some_and(|selector| is_within(selector, labels)) {
                found.insert(key);
            }
        }
    }

    /// The Pods that a selector finds, in the order of their names.
    pub(super) fn selected(&self, namespace: &str, selector: &Labels) -> Vec<ObjectKey> {
        let empty = BTreeSet::new();
        let rarest = selector
            .iter()
            .map(|pair| self.pods.get(&place(namespace, pair)).unwrap_or(&empty))
            .min_by_key(|names| names.len());
        let keys =
            rarest.into_iter().flatten().map(|name| ObjectKey::new(namespace, name.as_str()));
        keys.filter(|key| self.seen.get(key).is_some_and(|pod| is_within(selector, &pod.labels)))
            .collect()
    }
}

fn is_within(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn join<'a>(
    index: &mut HashMap<Place, BTreeSet<String>>,
    key: &ObjectKey,
    labels: impl Iterator<Item = (&'a String, &'a String)>,
) {
    for pair in labels {
        index.entry(place(&key.namespace, pair)).or_default().insert(key.name.clone());
    }
}

fn leave<'a>(
    index: &mut HashMap<Place, BTreeSet<String>>,
    key: &ObjectKey,
    labels: impl Iterator<Item = (&'a String, &'a String)>,
) {
    for pair in labels {
        let place = place(&key.namespace, pair);
        if let Some(names) = index.get_mut(&place) {
            names.remove(&key.name);
            if names.is_empty() {
                index.remove(&place);
            }
        }
    }
}

/// Of what endpoints tell of a Pod. Container ports never change.
fn fingerprint(pod: &Pod) -> u64 {
    let mut hasher = DefaultHasher::new();
    let spec = pod.spec.as_ref();
    pod.metadata.uid.hash(&mut hasher);
    address::counts(pod).hash(&mut hasher);
    address::ips(pod).hash(&mut hasher);
    address::is_ready(pod).hash(&mut hasher);
    address::is_terminating(pod).hash(&mut hasher);
    address::node_name(pod).hash(&mut hasher);
    spec.map(|spec| (&spec.hostname, &spec.subdomain)).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, selector: Value) -> Service {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "n"},
            "spec": {"type": "ClusterIP", "selector": selector},
        }))
        .unwrap()
    }

    fn pod(labels: Value, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "labels": labels},
            "status": {"podIP": "10.42.0.5", "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("n", name)
    }

    fn names(keys: impl IntoIterator<Item = ObjectKey>) -> Vec<String> {
        keys.into_iter().map(|key| key.name).collect()
    }

    #[test]
    fn a_change_concerns_those_who_select_the_pod_before_or_after() {
        let mut selection = Selection::default();
        for (name, selector) in [
            ("web", json!({"app": "web"})),
            ("blue", json!({"app": "web", "color": "blue"})),
            ("db", json!({"app": "db"})),
            ("none", json!({})),
        ] {
            selection.note_service(&key(name), Some(&service(name, selector)));
        }
        let mut note = |pod: Option<&Pod>| names(selection.note_pod(&key("p"), pod));
        let blue = json!({"app": "web", "color": "blue", "x": "y"});
        assert_eq!(note(Some(&pod(blue.clone(), "False"))), ["blue", "web"]);
        assert_eq!(note(Some(&pod(blue.clone(), "False"))), [""; 0]);
        assert_eq!(note(Some(&pod(blue, "True"))), ["blue", "web"]);
        assert_eq!(note(Some(&pod(json!({"app": "db"}), "True"))), ["blue", "db", "web"]);
        assert_eq!(note(None), ["db"]);
        assert!(selection.pods.is_empty() && selection.seen.is_empty());
    }

    #[test]
    fn a_selector_finds_its_pods_only() {
        let mut selection = Selection::default();
        selection.note_pod(&key("p"), Some(&pod(json!({"app": "web", "color": "blue"}), "True")));
        selection.note_pod(&key("q"), Some(&pod(json!({"app": "web"}), "True")));
        let find = |labels: &[(&str, &str)], namespace: &str| {
            let pairs = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            names(selection.selected(namespace, &pairs.collect()))
        };
        assert_eq!(find(&[("app", "web")], "n"), ["p", "q"]);
        assert_eq!(find(&[("app", "web"), ("color", "blue")], "n"), ["p"]);
        assert_eq!(find(&[("app", "web")], "m"), [""; 0]);
        assert_eq!(find(&[], "n"), [""; 0]);
    }

    #[test]
    fn a_service_that_selects_others_leaves_no_trace() {
        let mut selection = Selection::default();
        selection.note_service(&key("web"), Some(&service("web", json!({"app": "web"}))));
        selection.note_service(&key("web"), Some(&service("web", json!({"app": "new"}))));
        assert_eq!(selection.services.len(), 1);
        selection.note_service(&key("web"), None);
        assert!(selection.services.is_empty() && selection.selectors.is_empty());
    }
}

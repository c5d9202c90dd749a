//! From the slices that are there to those that are wanted, in as few writes as it takes. Pure.
//!
//! Upstream: `reconcileByPortMapping` and `finalize` in `k8s.io/endpointslice/reconciler.go`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::{Labels, TRIGGER_TIME};

/// Endpoints whose ports are the same numbers share slices.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    groups: BTreeMap<String, Group>,
}

#[derive(Debug, Default)]
struct Group {
    ports: Vec<EndpointPort>,
    endpoints: Vec<Endpoint>,
}

impl Wanted {
    pub(super) fn add(&mut self, ports: Vec<EndpointPort>, endpoint: Endpoint) {
        let group = self.groups.entry(ports_key(&ports)).or_default();
        group.ports = ports;
        group.endpoints.push(endpoint);
    }
}

/// What all slices of one owner and family have in common.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub namespace: String,
    /// Of the Service; names begin with it.
    pub service: String,
    pub family: &'static str,
    pub labels: Labels,
    pub annotations: Labels,
    pub owner: OwnerReference,
    /// RFC 3339; only told by slices that are written anyway.
    pub trigger_time: Option<String>,
    /// Bound: endpoints of one slice. Upstream: `--max-endpoints-per-slice`.
    pub endpoints_max: usize,
    /// A Service without endpoints has one empty slice.
    pub placeholder: bool,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub create: Vec<EndpointSlice>,
    pub update: Vec<EndpointSlice>,
    pub delete: Vec<Arc<EndpointSlice>>,
}

/// Ports as a key: the same set of them in any order is the same key.
fn ports_key(ports: &[EndpointPort]) -> String {
    let of = |port: &EndpointPort| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let number = port.port.unwrap_or(0);
        let (name, protocol) = (text(&port.name), text(&port.protocol));
        format!("{name}/{protocol}/{number}/{}", text(&port.app_protocol))
    };
    let mut keys: Vec<String> = ports.iter().map(of).collect();
    keys.sort();
    keys.join(",")
}

/// Who an endpoint is, whatever its state.
fn identity(endpoint: &Endpoint) -> (Vec<String>, Option<String>) {
    let uid = endpoint.target_ref.as_ref().and_then(|reference| reference.uid.clone());
    (endpoint.addresses.clone(), uid)
}

/// `existing` are the owner's slices of that family.
pub(super) fn plan(frame: &Frame, wanted: Wanted, existing: &[Arc<EndpointSlice>]) -> Plan {
    let mut plan = Plan::default();
    let mut by_ports: BTreeMap<String, Vec<&Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        let ports = slice.ports.as_deref().unwrap_or_default();
        by_ports.entry(ports_key(ports)).or_default().push(slice);
    }
    for (key, group) in wanted.groups {
        let slices = by_ports.remove(&key).unwrap_or_default();
        plan_group(frame, group, &slices, &mut plan);
    }
    plan.delete.extend(by_ports.into_values().flatten().cloned());
    if frame.placeholder && plan.create.is_empty() && plan.delete.len() == existing.len() {
        keep_a_placeholder(frame, &mut plan);
    }
    recycle(&mut plan);
    plan
}

fn plan_group(frame: &Frame, group: Group, slices: &[&Arc<EndpointSlice>], plan: &mut Plan) {
    let order: Vec<_> = group.endpoints.iter().map(identity).collect();
    let mut wanted: HashMap<_, Endpoint> =
        group.endpoints.into_iter().map(|endpoint| (identity(&endpoint), endpoint)).collect();
    // Where endpoints are, they stay.
    let mut kept: Vec<(EndpointSlice, bool)> = Vec::new();
    for slice in slices {
        let mut new = (***slice).clone();
        let mut changed = false;
        new.endpoints = slice
            .endpoints
            .iter()
            .filter_map(|old| {
                let endpoint = wanted.remove(&identity(old));
                changed |= endpoint.as_ref().is_none_or(|new| without_hints(old) != *new);
                endpoint
            })
            .collect();
        kept.push((new, changed));
    }
    let mut left: Vec<Endpoint> = order.iter().filter_map(|key| wanted.remove(key)).collect();
    left.reverse();
    // Slices that are written anyway are filled first, then the fullest that has room for the rest.
    for (slice, changed) in &mut kept {
        if *changed && !slice.endpoints.is_empty() {
            fill(frame, slice, &mut left);
        }
    }
    while !left.is_empty() {
        let room =
            |slice: &EndpointSlice| frame.endpoints_max.saturating_sub(slice.endpoints.len());
        let fits = |slice: &EndpointSlice| !slice.endpoints.is_empty() && room(slice) >= left.len();
        let best =
            kept.iter_mut().filter(|(slice, _)| fits(slice)).min_by_key(|(slice, _)| room(slice));
        if let Some((slice, changed)) = best {
            *changed = true;
            fill(frame, slice, &mut left);
        } else {
            let mut slice = new_slice(frame, group.ports.clone());
            fill(frame, &mut slice, &mut left);
            plan.create.push(slice);
        }
    }
    for ((slice, changed), old) in kept.into_iter().zip(slices) {
        if slice.endpoints.is_empty() {
            plan.delete.push(Arc::clone(old));
        } else if changed || !is_dressed(frame, old) {
            plan.update.push(dressed(frame, slice));
        }
    }
}

fn without_hints(endpoint: &Endpoint) -> Endpoint {
    Endpoint { hints: None, ..endpoint.clone() }
}

/// `left` is in reverse order.
fn fill(frame: &Frame, slice: &mut EndpointSlice, left: &mut Vec<Endpoint>) {
    while slice.endpoints.len() < frame.endpoints_max
        && let Some(endpoint) = left.pop()
    {
        slice.endpoints.push(endpoint);
    }
}

fn keep_a_placeholder(frame: &Frame, plan: &mut Plan) {
    let is_placeholder = |slice: &EndpointSlice| {
        slice.endpoints.is_empty() && slice.ports.as_ref().is_none_or(Vec::is_empty)
    };
    let kept = plan.delete.iter().position(|slice| is_placeholder(slice));
    match kept.map(|index| plan.delete.remove(index)) {
        Some(slice) if is_dressed(frame, &slice) => {}
        Some(slice) => plan.update.push(dressed(frame, (*slice).clone())),
        None => plan.create.push(new_slice(frame, Vec::new())),
    }
}

/// A slice to delete and one to create are one to change.
fn recycle(plan: &mut Plan) {
    while !plan.create.is_empty()
        && let Some(old) = plan.delete.pop()
    {
        let new = plan.create.remove(0);
        let metadata = ObjectMeta {
            labels: new.metadata.labels,
            annotations: new.metadata.annotations,
            owner_references: new.metadata.owner_references,
            ..old.metadata.clone()
        };
        plan.update.push(EndpointSlice { metadata, ..new });
    }
}

fn new_slice(frame: &Frame, ports: Vec<EndpointPort>) -> EndpointSlice {
    let metadata = ObjectMeta {
        generate_name: Some(format!("{}-", frame.service)),
        namespace: Some(frame.namespace.clone()),
        ..ObjectMeta::default()
    };
    let ports = Some(ports);
    let address_type = frame.family.to_owned();
    dressed(frame, EndpointSlice { address_type, endpoints: Vec::new(), metadata, ports })
}

/// Whether the slice says of itself what it should.
fn is_dressed(frame: &Frame, slice: &EndpointSlice) -> bool {
    let mut annotations = slice.metadata.annotations.clone().unwrap_or_default();
    annotations.remove(TRIGGER_TIME);
    slice.metadata.labels.as_ref() == Some(&frame.labels)
        && annotations == frame.annotations
        && slice.metadata.owner_references.as_ref() == Some(&vec![frame.owner.clone()])
}

fn dressed(frame: &Frame, mut slice: EndpointSlice) -> EndpointSlice {
    let mut annotations = frame.annotations.clone();
    annotations.extend(frame.trigger_time.clone().map(|time| (TRIGGER_TIME.to_owned(), time)));
    slice.metadata.labels = Some(frame.labels.clone());
    slice.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    slice.metadata.owner_references = Some(vec![frame.owner.clone()]);
    slice
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn frame() -> Frame {
        Frame {
            namespace: "n".to_owned(),
            service: "web".to_owned(),
            family: "IPv4",
            labels: Labels::from([("app".to_owned(), "web".to_owned())]),
            annotations: Labels::new(),
            owner: OwnerReference::default(),
            trigger_time: None,
            endpoints_max: 3,
            placeholder: true,
        }
    }

    fn ports(number: i32) -> Vec<EndpointPort> {
        serde_json::from_value(json!([{"name": "", "port": number, "protocol": "TCP"}])).unwrap()
    }

    fn endpoint(number: usize, ready: bool) -> Endpoint {
        serde_json::from_value(json!({
            "addresses": [format!("10.42.0.{number}")],
            "conditions": {"ready": ready},
            "targetRef": {"uid": format!("u{number}")},
        }))
        .unwrap()
    }

    fn wanted(numbers: impl IntoIterator<Item = usize>) -> Wanted {
        let mut wanted = Wanted::default();
        numbers.into_iter().for_each(|number| wanted.add(ports(80), endpoint(number, true)));
        wanted
    }

    /// The store after the plan; new slices are named `s0`, `s1` …
    fn apply(plan: Plan, store: &mut Vec<Arc<EndpointSlice>>) -> [usize; 3] {
        let counts = [plan.create.len(), plan.update.len(), plan.delete.len()];
        store.retain(|slice| {
            !plan.delete.iter().any(|gone| gone.metadata.name == slice.metadata.name)
        });
        for slice in plan.update {
            let at = store.iter().position(|old| old.metadata.name == slice.metadata.name).unwrap();
            store[at] = Arc::new(slice);
        }
        for mut slice in plan.create {
            slice.metadata.name = Some(format!("s{}", store.len()));
            store.push(Arc::new(slice));
        }
        counts
    }

    fn sizes(store: &[Arc<EndpointSlice>]) -> Vec<usize> {
        store.iter().map(|slice| slice.endpoints.len()).collect()
    }

    #[test]
    fn nothing_is_written_twice() {
        let mut store = Vec::new();
        assert_eq!(apply(plan(&frame(), wanted(2..9), &store), &mut store), [3, 0, 0]);
        assert_eq!(sizes(&store), [3, 3, 1]);
        assert_eq!(apply(plan(&frame(), wanted(2..9), &store), &mut store), [0, 0, 0]);
    }

    #[test]
    fn one_endpoint_changes_one_slice() {
        let mut store = Vec::new();
        apply(plan(&frame(), wanted(2..9), &store), &mut store);
        let mut unready = Wanted::default();
        (2..9).for_each(|number| unready.add(ports(80), endpoint(number, number != 6)));
        assert_eq!(apply(plan(&frame(), unready, &store), &mut store), [0, 1, 0]);
        // The one that comes goes where one has left.
        let swapped = wanted((2..9).filter(|number| *number != 3).chain([9]));
        assert_eq!(apply(plan(&frame(), swapped, &store), &mut store), [0, 2, 0]);
        assert_eq!(sizes(&store), [3, 3, 1]);
    }

    #[test]
    fn the_rest_goes_into_the_fullest_slice_with_room() {
        let mut store = Vec::new();
        apply(plan(&frame(), wanted(2..7), &store), &mut store);
        assert_eq!(sizes(&store), [3, 2]);
        assert_eq!(apply(plan(&frame(), wanted(2..8), &store), &mut store), [0, 1, 0]);
        assert_eq!(sizes(&store), [3, 3]);
        assert_eq!(apply(plan(&frame(), wanted([2]), &store), &mut store), [0, 1, 1]);
    }

    #[test]
    fn a_service_without_endpoints_has_an_empty_slice() {
        let mut store = Vec::new();
        assert_eq!(apply(plan(&frame(), wanted([]), &store), &mut store), [1, 0, 0]);
        assert_eq!(sizes(&store), [0]);
        assert_eq!(apply(plan(&frame(), wanted([]), &store), &mut store), [0, 0, 0]);
        // It becomes the first one with endpoints.
        assert_eq!(apply(plan(&frame(), wanted([2]), &store), &mut store), [0, 1, 0]);
        assert_eq!(store[0].ports, Some(ports(80)));
        assert_eq!(apply(plan(&frame(), wanted([]), &store), &mut store), [0, 1, 0]);
        assert_eq!((sizes(&store), store.len()), (vec![0], 1));
        let none = Frame { placeholder: false, ..frame() };
        assert_eq!(apply(plan(&none, wanted([]), &store), &mut store), [0, 0, 1]);
    }

    #[test]
    fn other_ports_are_another_slice() {
        let mut store = Vec::new();
        let mut both = wanted([2]);
        both.add(ports(81), endpoint(3, true));
        assert_eq!(apply(plan(&frame(), both, &store), &mut store), [2, 0, 0]);
        let mut moved = Wanted::default();
        moved.add(ports(82), endpoint(2, true));
        moved.add(ports(82), endpoint(3, true));
        assert_eq!(apply(plan(&frame(), moved, &store), &mut store), [0, 1, 1]);
        assert_eq!((sizes(&store), &store[0].ports), (vec![2], &Some(ports(82))));
    }

    #[test]
    fn labels_follow_the_service() {
        let mut store = Vec::new();
        apply(plan(&frame(), wanted([2]), &store), &mut store);
        let mut other = frame();
        other.labels.insert("tier".to_owned(), "front".to_owned());
        other.trigger_time = Some("2026-11-22T17:00:00Z".to_owned());
        assert_eq!(apply(plan(&other, wanted([2]), &store), &mut store), [0, 1, 0]);
        assert_eq!(apply(plan(&other, wanted([2]), &store), &mut store), [0, 0, 0]);
        assert_eq!(
            store[0].metadata.annotations.as_ref().unwrap()[TRIGGER_TIME],
            "2026-11-22T17:00:00Z"
        );
    }
}

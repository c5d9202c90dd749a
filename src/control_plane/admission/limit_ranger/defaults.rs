//! What containers get that leave it out.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, LimitRangeItem, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Where a Pod says what was filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Upstream: `mergePodResourceRequirements`.
pub(super) fn fill_in(pod: &mut Pod, items: &[LimitRangeItem]) {
    let Some(spec) = &mut pod.spec else { return };
    let containers = spec.containers.iter_mut().map(|container| ("container", container));
    let init = spec.init_containers.iter_mut().flatten();
    let init = init.map(|container| ("init container", container));
    let mut filled = Vec::new();
    for (kind, container) in containers.chain(init) {
        filled.extend(fill_in_container(kind, container, items));
    }
    if !filled.is_empty() {
        let text = format!("LimitRanger plugin set: {}", filled.join("; "));
        let annotations = pod.metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION.to_owned(), text);
    }
}

fn fill_in_container(
    kind: &str,
    container: &mut Container,
    items: &[LimitRangeItem],
) -> Vec<String> {
    let resources = container.resources.get_or_insert_default();
    let mut filled = Vec::new();
    let items = || items.iter().filter(|item| item.type_ == "Container");
    let requests = items().filter_map(|item| item.default_request.as_ref());
    let limits = items().filter_map(|item| item.default.as_ref());
    let lists = [
        ("request", &mut resources.requests, requests.collect::<Vec<_>>()),
        ("limit", &mut resources.limits, limits.collect()),
    ];
    for (what, list, defaults) in lists {
        let names = fill(list, &defaults);
        if !names.is_empty() {
            let names = names.join(", ");
            filled.push(format!("{names} {what} for {kind} {}", container.name));
        }
    }
    filled
}

/// Answers what was missing.
fn fill(
    list: &mut Option<BTreeMap<String, Quantity>>,
    defaults: &[&BTreeMap<String, Quantity>],
) -> Vec<String> {
    let mut names = Vec::new();
    for (name, amount) in defaults.iter().copied().flatten() {
        let list = list.get_or_insert_default();
        if !list.contains_key(name) {
            list.insert(name.clone(), amount.clone());
            names.push(name.clone());
        }
    }
    names
}

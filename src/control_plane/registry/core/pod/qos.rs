//! A Pod's quality-of-service class.
//!
//! Upstream: `ComputePodQOS` in `pkg/apis/core/helper/qos/qos.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What decides the class; other resources do not.
const COMPUTE: [&str; 2] = ["cpu", "memory"];

/// `Guaranteed` if every container's cpu and memory limits equal its requests, `BestEffort` if
/// none asks for anything, `Burstable` otherwise.
pub(super) fn class(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else { return "BestEffort" };
    let containers: Vec<&Container> =
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).collect();
    if !containers.iter().any(|container| asks_for_anything(container)) {
        "BestEffort"
    } else if containers.iter().all(|container| is_guaranteed(container)) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

fn asks_for_anything(container: &Container) -> bool {
    let Some(resources) = &container.resources else { return false };
    [&resources.requests, &resources.limits]
        .into_iter()
        .flatten()
        .any(|list| COMPUTE.iter().any(|name| amount(Some(list), name).is_some()))
}

fn is_guaranteed(container: &Container) -> bool {
    let Some(resources) = &container.resources else { return false };
    COMPUTE.iter().all(|name| {
        let limit = amount(resources.limits.as_ref(), name);
        // Requests that were left out are defaulted to the limits.
        limit.is_some() && limit == amount(resources.requests.as_ref(), name)
    })
}

/// What is asked for; zero is as good as nothing.
fn amount<'a>(list: Option<&'a BTreeMap<String, Quantity>>, name: &str) -> Option<&'a Quantity> {
    list?.get(name).filter(|quantity| quantity.0 != "0")
}

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(resources: &[Value], expect: &str) {
        let containers: Vec<Value> =
            resources.iter().map(|one| json!({"name": "c", "resources": one})).collect();
        let pod = serde_json::from_value(json!({"spec": {"containers": containers}})).unwrap();
        assert_eq!(class(&pod), expect);
    }

    #[test]
    fn the_class_follows_from_requests_and_limits() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let full = json!({"requests": both, "limits": both});
        check(&[json!({})], "BestEffort");
        check(&[json!({"requests": {"cpu": "0"}})], "BestEffort");
        check(&[json!({"limits": {"example.com/gpu": "1"}})], "BestEffort");
        check(&[json!({"requests": {"cpu": "1"}})], "Burstable");
        check(std::slice::from_ref(&full), "Guaranteed");
        check(&[full, json!({})], "Burstable");
        check(&[json!({"requests": {"cpu": "1", "memory": "1Mi"}, "limits": both})], "Burstable");
    }
}

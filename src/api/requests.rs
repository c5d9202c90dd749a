//! What a Pod asks of a node, and what it is limited to.
//!
//! Upstream: `k8s.io/component-helpers/resource/helpers.go` (`PodRequests`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::quantity;

/// Amounts by resource name: `cpu` in thousandths of a core, all others in whole units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources(BTreeMap<String, i64>);

impl Resources {
    pub fn of(list: Option<&BTreeMap<String, Quantity>>) -> Self {
        let amounts = list.into_iter().flatten().map(|(name, quantity)| {
            // Validation let only well-formed quantities in.
            (name.clone(), amount(name, quantity).unwrap_or(0))
        });
        Self(amounts.collect())
    }

    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_insert(0);
            *sum = sum.saturating_add(*amount);
        }
    }

    pub fn subtract(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_insert(0);
            *sum = sum.saturating_sub(*amount);
        }
    }

    fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let most = self.0.entry(name.clone()).or_insert(0);
            *most = (*most).max(*amount);
        }
    }
}

fn amount(name: &str, quantity: &Quantity) -> Option<i64> {
    let quantity = quantity::Quantity::parse(&quantity.0).ok()?;
    Some(if name == "cpu" { quantity.millis() } else { quantity.value() })
}

/// The most the Pod asks for at any one time: its containers together, or an init container beside the
/// sidecars started before it; and its overhead.
pub fn of_pod(pod: &Pod) -> Resources {
    most_of(pod, requests_of)
}

/// The same of its limits; of a resource without any limit there is none.
pub fn limits_of_pod(pod: &Pod) -> Resources {
    most_of(pod, limits_of)
}

fn most_of(pod: &Pod, of_container: fn(&Container) -> Resources) -> Resources {
    let Some(spec) = &pod.spec else { return Resources::default() };
    let mut sidecars = Resources::default();
    let mut starting = Resources::default();
    for container in spec.init_containers.iter().flatten() {
        let mut needed = of_container(container);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&needed);
            starting.raise_to(&sidecars);
        } else {
            needed.add(&sidecars);
            starting.raise_to(&needed);
        }
    }
    let mut most = sidecars;
    for container in &spec.containers {
        most.add(&of_container(container));
    }
    most.raise_to(&starting);
    most.add(&Resources::of(spec.overhead.as_ref()));
    most
}

/// Requests; where one is missing, the limit (as defaulting does).
fn requests_of(container: &Container) -> Resources {
    let mut amounts = limits_of(container);
    let requests = container.resources.as_ref().and_then(|it| it.requests.as_ref());
    amounts.0.extend(Resources::of(requests).0);
    amounts
}

fn limits_of(container: &Container) -> Resources {
    Resources::of(container.resources.as_ref().and_then(|it| it.limits.as_ref()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(spec: serde_json::Value, cpu: i64, memory: i64) {
        let pod: Pod = serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
        let requests = of_pod(&pod);
        assert_eq!((requests.get("cpu"), requests.get("memory")), (cpu, memory));
    }

    fn needs(cpu: &str, memory: &str) -> serde_json::Value {
        json!({ "name": "c", "resources": { "requests": { "cpu": cpu, "memory": memory } } })
    }

    #[test]
    fn containers_add_up_and_init_containers_do_not() {
        check(json!({ "containers": [{ "name": "c" }] }), 0, 0);
        check(
            json!({ "containers": [needs("250m", "1Gi"), needs("1", "1M")] }),
            1_250,
            1_074_741_824,
        );
        check(
            json!({ "containers": [needs("1", "1")], "initContainers": [needs("3", "0"), needs("2", "5")] }),
            3_000,
            5,
        );
    }

    #[test]
    fn sidecars_run_beside_everything_after_them() {
        let mut sidecar = needs("500m", "10");
        sidecar["restartPolicy"] = json!("Always");
        check(
            json!({ "containers": [needs("1", "1")], "initContainers": [sidecar, needs("2", "0")] }),
            2_500,
            11,
        );
    }

    #[test]
    fn overhead_is_added_and_limits_stand_in_for_requests() {
        check(
            json!({
                "containers": [{ "name": "c", "resources": { "limits": { "cpu": "2" } } }],
                "overhead": { "memory": "7" },
            }),
            2_000,
            7,
        );
    }
}

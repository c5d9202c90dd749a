//! What a Pod asks of a node.
//!
//! Upstream: `k8s.io/component-helpers/resource/helpers.go` (`PodRequests`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::quantity;

/// Amounts by resource name: `cpu` in thousandths of a core, all others in whole units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Resources(BTreeMap<String, i64>);

impl Resources {
    pub(super) fn of(list: Option<&BTreeMap<String, Quantity>>) -> Self {
        let amounts = list.into_iter().flatten().map(|(name, quantity)| {
            // Validation let only well-formed quantities in.
            (name.clone(), amount(name, quantity).unwrap_or(0))
        });
        Self(amounts.collect())
    }

    pub(super) fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_insert(0);
            *sum = sum.saturating_add(*amount);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
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

/// The most the Pod needs at any one time: its containers together, or an init container beside the
/// sidecars started before it; and its overhead.
pub(super) fn of_pod(pod: &Pod) -> Resources {
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
    let mut requests = sidecars;
    for container in &spec.containers {
        requests.add(&of_container(container));
    }
    requests.raise_to(&starting);
    requests.add(&Resources::of(spec.overhead.as_ref()));
    requests
}

/// Requests; where one is missing, the limit (as defaulting does).
fn of_container(container: &Container) -> Resources {
    let Some(resources) = &container.resources else { return Resources::default() };
    let mut amounts = Resources::of(resources.limits.as_ref());
    amounts.0.extend(Resources::of(resources.requests.as_ref()).0);
    amounts
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

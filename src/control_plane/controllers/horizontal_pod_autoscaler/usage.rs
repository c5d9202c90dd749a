//! What Pods use, as `metrics.k8s.io` tells it, and of it one number for each Pod. Amounts are thousandths
//! of a resource's unit.
//!
//! Upstream: `pkg/controller/podautoscaler/metrics/client.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Deserialize;

use crate::api::quantity::Quantity;

/// The answer to a list of Pods' metrics.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PodMetricsList {
    pub(super) items: Vec<PodMetrics>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PodMetrics {
    metadata: ObjectMeta,
    timestamp: Time,
    /// As Go prints a duration.
    window: String,
    containers: Vec<ContainerMetrics>,
}

#[derive(Debug, Clone, Deserialize)]
struct ContainerMetrics {
    name: String,
    usage: BTreeMap<String, ApiQuantity>,
}

/// One number of one Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) value: i64,
    pub(super) at: Timestamp,
    /// Over how long before it the value is averaged.
    pub(super) window: Duration,
}

/// By the Pods' names.
pub(super) type Samples = BTreeMap<String, Sample>;

/// How much of a resource each Pod uses, or its container of that name.
///
/// # Errors
/// If there are no Pods, or a Pod has no such container.
pub(super) fn of_resource(
    pods: &[PodMetrics],
    resource: &str,
    container: Option<&str>,
) -> Result<Samples, String> {
    if pods.is_empty() {
        return Err("no metrics returned from resource metrics API".to_owned());
    }
    let mut samples = Samples::new();
    for pod in pods {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let of_containers = |container: &ContainerMetrics| amount(container, resource);
        let value = match container {
            None => pod.containers.iter().map(of_containers).sum(),
            Some(wanted) => match pod.containers.iter().find(|it| it.name == wanted) {
                Some(container) => of_containers(container),
                None => {
                    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
                    return Err(format!(
                        "failed to get container metrics: container {wanted} not present in \
                         metrics for pod {namespace}/{name}"
                    ));
                }
            },
        };
        // A Pod with a container of which nothing is known yet is one of which nothing is known.
        if let Some(value) = value {
            samples.insert(name, pod.sample(value));
        }
    }
    Ok(samples)
}

/// A metric of ours: of the Pods' containers, those that have it.
pub(super) fn of_metric(pods: &[PodMetrics], metric: &str) -> Samples {
    let of_pod = |pod: &PodMetrics| {
        let known = pod.containers.iter().filter_map(|container| amount(container, metric));
        let value = known.reduce(|sum, value| sum + value)?;
        Some((pod.metadata.name.clone()?, pod.sample(value)))
    };
    pods.iter().filter_map(of_pod).collect()
}

fn amount(container: &ContainerMetrics, resource: &str) -> Option<i64> {
    container.usage.get(resource).and_then(|amount| Quantity::of(amount).ok()).map(Quantity::millis)
}

impl PodMetrics {
    fn sample(&self, value: i64) -> Sample {
        Sample { value, at: self.timestamp.0, window: go_duration(&self.window) }
    }
}

/// `15.5s`, `1m2s`: what the metrics API says of a window; zero for what cannot be read.
fn go_duration(text: &str) -> Duration {
    let mut rest = text;
    let mut seconds = 0.0;
    for (unit, each) in [("h", 3600.0), ("m", 60.0), ("s", 1.0)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        let Ok(number) = number.parse::<f64>() else { continue };
        seconds += number * each;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, containers: Value) -> PodMetrics {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "n"},
            "timestamp": "2026-01-01T00:00:00Z", "window": "1m2.5s", "containers": containers}))
        .unwrap()
    }

    fn values(samples: &Samples) -> Vec<(&str, i64)> {
        samples.iter().map(|(name, sample)| (name.as_str(), sample.value)).collect()
    }

    #[test]
    fn a_pod_uses_what_its_containers_use() {
        let pods = [
            pod(
                "a",
                json!([{"name": "c", "usage": {"cpu": "100m", "memory": "1Ki"}},
                {"name": "d", "usage": {"cpu": "1", "memory": "0", "requests_per_second": "2500m"}}]),
            ),
            pod("b", json!([{"name": "c", "usage": {"cpu": "1n"}}, {"name": "d", "usage": {}}])),
        ];
        assert_eq!(values(&of_resource(&pods, "cpu", None).unwrap()), [("a", 1_100)]);
        assert_eq!(values(&of_resource(&pods, "memory", Some("c")).unwrap()), [("a", 1_024_000)]);
        assert_eq!(
            of_resource(&pods, "cpu", Some("x")).unwrap_err(),
            "failed to get container metrics: container x not present in metrics for pod n/a"
        );
        let none = "no metrics returned from resource metrics API";
        assert_eq!(of_resource(&[], "cpu", None).unwrap_err(), none);
        let requests = of_metric(&pods, "requests_per_second");
        assert_eq!(values(&requests), [("a", 2_500)]);
        assert_eq!(requests["a"].window, Duration::from_millis(62_500));
    }
}

//! An autoscaler's row of `kubectl get`.
//!
//! Upstream: `printHorizontalPodAutoscaler`, `formatHPAMetrics`.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use crate::api::quantity;
use crate::control_plane::registry::print;

/// At most so many metrics are shown.
const METRICS_MAX: usize = 2;

pub(super) fn row(scaler: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<Value> {
    let spec = scaler.spec.clone().unwrap_or_default();
    let status = scaler.status.as_ref();
    let measured = status.and_then(|status| status.current_metrics.as_deref());
    let target = &spec.scale_target_ref;
    let min = spec.min_replicas.map_or_else(|| "<unset>".to_owned(), |min| min.to_string());
    let current = status.and_then(|status| status.current_replicas).unwrap_or(0);
    vec![
        print::name(&scaler.metadata),
        format!("{}/{}", target.kind, target.name).into(),
        targets(spec.metrics.as_deref().unwrap_or_default(), measured.unwrap_or_default()).into(),
        min.into(),
        spec.max_replicas.to_string().into(),
        current.into(),
        print::age(&scaler.metadata, now),
    ]
}

fn targets(metrics: &[MetricSpec], measured: &[MetricStatus]) -> String {
    if metrics.is_empty() {
        return "<none>".to_owned();
    }
    let cells = metrics.iter().enumerate();
    let cells = cells.map(|(index, metric)| target(metric, measured.get(index)));
    let shown = cells.take(METRICS_MAX).collect::<Vec<_>>().join(", ");
    match metrics.len().saturating_sub(METRICS_MAX) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn target(metric: &MetricSpec, measured: Option<&MetricStatus>) -> String {
    let current = measured.and_then(current_of);
    if let Some(resource) = &metric.resource {
        return of_resource(&resource.name, &resource.target, current);
    }
    if let Some(resource) = &metric.container_resource {
        return of_resource(&resource.name, &resource.target, current);
    }
    let average = current.and_then(|current| current.average_value.as_ref());
    if let Some(pods) = &metric.pods {
        return format!("{}/{}", amount(average), amount(pods.target.average_value.as_ref()));
    }
    let target = metric.object.as_ref().map(|object| &object.target);
    let target = target.or_else(|| metric.external.as_ref().map(|external| &external.target));
    let Some(target) = target else { return "<unknown type>".to_owned() };
    if target.average_value.is_some() {
        return format!("{}/{} (avg)", amount(average), amount(target.average_value.as_ref()));
    }
    let value = current.and_then(|current| current.value.as_ref());
    format!("{}/{}", amount(value), amount(target.value.as_ref()))
}

fn of_resource(name: &str, target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    if target.average_value.is_some() {
        let average = current.and_then(|current| current.average_value.as_ref());
        return format!("{name}: {}/{}", amount(average), amount(target.average_value.as_ref()));
    }
    let percent = |percent: Option<i32>, none: &str| match percent {
        Some(percent) => format!("{percent}%"),
        None => none.to_owned(),
    };
    let used = percent(current.and_then(|current| current.average_utilization), "<unknown>");
    format!("{name}: {used}/{}", percent(target.average_utilization, "<auto>"))
}

fn current_of(status: &MetricStatus) -> Option<&MetricValueStatus> {
    let resource = status.resource.as_ref().map(|it| &it.current);
    let resource = resource.or_else(|| status.container_resource.as_ref().map(|it| &it.current));
    let pods = status.pods.as_ref().map(|it| &it.current);
    let object = status.object.as_ref().map(|it| &it.current);
    resource.or(pods).or(object).or_else(|| status.external.as_ref().map(|it| &it.current))
}

fn amount(amount: Option<&Quantity>) -> String {
    let canonical = |amount: &Quantity| quantity::canonical(&amount.0).ok();
    amount.and_then(canonical).unwrap_or_else(|| "<unknown>".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(metrics: Value, measured: Value, expect: &str) {
        let metrics: Vec<MetricSpec> = serde_json::from_value(metrics).unwrap();
        let measured: Vec<MetricStatus> = serde_json::from_value(measured).unwrap();
        assert_eq!(targets(&metrics, &measured), expect);
    }

    #[test]
    fn targets_are_shown_as_upstream_shows_them() {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 50}}});
        let used = json!({"type": "Resource", "resource": {"name": "cpu",
            "current": {"averageUtilization": 12, "averageValue": "12m"}}});
        check(json!([]), json!([]), "<none>");
        check(json!([cpu]), json!([]), "cpu: <unknown>/50%");
        check(json!([cpu]), json!([used]), "cpu: 12%/50%");
        let memory = json!({"type": "ContainerResource", "containerResource": {"name": "memory",
            "container": "c", "target": {"type": "AverageValue", "averageValue": "1Gi"}}});
        let used_memory = json!({"type": "ContainerResource", "containerResource":
            {"name": "memory", "container": "c", "current": {"averageValue": "536870912"}}});
        let requests = json!({"type": "Object", "object": {"metric": {"name": "r"},
            "describedObject": {"kind": "Service", "name": "web"},
            "target": {"type": "AverageValue", "averageValue": "10"}}});
        check(
            json!([cpu, memory, requests]),
            json!([used, used_memory]),
            "cpu: 12%/50%, memory: 536870912/1Gi + 1 more...",
        );
        let seen = json!({"type": "Object", "object": {"metric": {"name": "r"},
            "describedObject": {"kind": "Service", "name": "web"},
            "current": {"averageValue": "2500m"}}});
        check(json!([requests]), json!([seen]), "2500m/10 (avg)");
    }
}

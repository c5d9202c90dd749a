//! What an autoscaler may not say.
//!
//! Upstream: `pkg/apis/autoscaling/validation/validation.go`, with its gate HPAScaleToZero on.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerSpec,
    HorizontalPodAutoscalerStatus, MetricIdentifier, MetricSpec, MetricTarget,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{invalid_each, path_segment_name};
use crate::api::object::{GroupVersion, unexpected_group_version};
use crate::api::quantity::Quantity;

/// Bounds of a scaling rule, in seconds.
const PERIOD_SECONDS_MAX: i32 = 1800;
const STABILIZATION_WINDOW_SECONDS_MAX: i32 = 3600;

const METRIC_TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];

pub(super) fn validate(spec: &HorizontalPodAutoscalerSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(min) = spec.min_replicas.filter(|min| *min < 0) {
        let detail = "must be greater than or equal to 0";
        faults.push(FieldError::invalid(path.child("minReplicas"), min, detail));
    }
    let max = spec.max_replicas;
    let mut bad_max = |detail: &str| {
        faults.push(FieldError::invalid(path.child("maxReplicas"), max, detail));
    };
    if max < 1 {
        bad_max("must be greater than 0");
    }
    if spec.min_replicas.is_some_and(|min| max < min) {
        bad_max("must be greater than or equal to `minReplicas`");
    }
    faults.extend(validate_reference(&spec.scale_target_ref, &path.child("scaleTargetRef")));
    let metrics = spec.metrics.as_deref().unwrap_or_default();
    let metrics_path = path.child("metrics");
    for (index, metric) in metrics.iter().enumerate() {
        faults.extend(validate_metric(metric, &metrics_path.index(index)));
    }
    let knows_without_pods =
        |metric: &MetricSpec| metric.object.is_some() || metric.external.is_some();
    if spec.min_replicas == Some(0) && !metrics.iter().any(knows_without_pods) {
        let detail = "must specify at least one Object or External metric to support scaling to \
                      zero replicas";
        faults.push(FieldError::forbidden(metrics_path, detail));
    }
    if let Some(behavior) = &spec.behavior {
        let path = path.child("behavior");
        faults.extend(validate_rules(behavior.scale_up.as_ref(), &path.child("scaleUp")));
        faults.extend(validate_rules(behavior.scale_down.as_ref(), &path.child("scaleDown")));
    }
    faults
}

pub(super) fn validate_status(status: &HorizontalPodAutoscalerStatus) -> Vec<FieldError> {
    let path = Path::new("status");
    let counts = [
        ("currentReplicas", status.current_replicas.unwrap_or(0)),
        ("desiredReplicas", status.desired_replicas),
    ];
    let negative = counts.into_iter().filter(|(_, count)| *count < 0);
    let detail = "must be greater than or equal to 0";
    negative.map(|(name, count)| FieldError::invalid(path.child(name), count, detail)).collect()
}

fn validate_reference(reference: &CrossVersionObjectReference, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (field, text) in [("kind", &reference.kind), ("name", &reference.name)] {
        let path = path.child(field);
        if text.is_empty() {
            faults.push(FieldError::required(path, ""));
        } else {
            faults.extend(invalid_each(&path, text.as_str(), path_segment_name(text)));
        }
    }
    let version = reference.api_version.as_deref().unwrap_or_default();
    if !version.is_empty() && GroupVersion::parse(version).is_none() {
        let detail = unexpected_group_version(version);
        faults.push(FieldError::invalid(path.child("apiVersion"), version, detail));
    }
    faults
}

fn validate_metric(metric: &MetricSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let type_ = metric.type_.as_str();
    if type_.is_empty() {
        let detail = "must specify a metric source type";
        faults.push(FieldError::required(path.child("type"), detail));
    }
    if !METRIC_TYPES.contains(&type_) {
        faults.push(FieldError::not_supported(path.child("type"), type_, METRIC_TYPES));
    }
    let present = [
        ("object", metric.object.is_some()),
        ("external", metric.external.is_some()),
        ("pods", metric.pods.is_some()),
        ("resource", metric.resource.is_some()),
        ("containerResource", metric.container_resource.is_some()),
    ];
    let present: Vec<&'static str> =
        present.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    // Of several sources only the first is looked at closely.
    if let Some(first) = present.first() {
        faults.extend(validate_source(first, metric, &path.child(*first)));
    }
    let mut letters = type_.chars();
    let expected: String =
        letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
    if !present.contains(&expected.as_str()) {
        let detail = "must populate information for the given metric source";
        faults.push(FieldError::required(path.child(expected.clone()), detail));
    }
    if present.len() != 1 {
        let detail = "must populate the given metric source only";
        let others = present.iter().filter(|name| **name != expected);
        faults.extend(others.map(|name| FieldError::forbidden(path.child(*name), detail)));
    }
    faults
}

fn validate_source(field: &str, metric: &MetricSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let ("object", Some(source)) = (field, &metric.object) {
        faults.extend(validate_reference(&source.described_object, &path.child("describedObject")));
        faults.extend(validate_identifier(&source.metric, &path.child("metric")));
        faults.extend(validate_target(&source.target, &path.child("target")));
        let detail = "must set either a target value or averageValue";
        faults.extend(no_value(&source.target, path, detail));
    }
    if let ("external", Some(source)) = (field, &metric.external) {
        faults.extend(validate_identifier(&source.metric, &path.child("metric")));
        faults.extend(validate_target(&source.target, &path.child("target")));
        let detail = "must set either a target value for metric or a per-pod target";
        faults.extend(no_value(&source.target, path, detail));
        if source.target.value.is_some() && source.target.average_value.is_some() {
            let detail = "may not set both a target value for metric and a per-pod target";
            faults.push(FieldError::forbidden(path.child("target").child("value"), detail));
        }
    }
    if let ("pods", Some(source)) = (field, &metric.pods) {
        faults.extend(validate_identifier(&source.metric, &path.child("metric")));
        faults.extend(validate_target(&source.target, &path.child("target")));
        if !source.target.average_value.as_ref().is_some_and(is_positive) {
            let path = path.child("target").child("averageValue");
            let detail = "must specify a positive target averageValue";
            faults.push(FieldError::required(path, detail));
        }
    }
    if let ("resource", Some(source)) = (field, &metric.resource) {
        faults.extend(validate_resource(&source.name, &source.target, path));
    }
    if let ("containerResource", Some(source)) = (field, &metric.container_resource) {
        faults.extend(validate_resource(&source.name, &source.target, path));
        if source.container.is_empty() {
            faults.push(FieldError::required(path.child("container"), "must specify a container"));
        }
    }
    faults
}

fn no_value(target: &MetricTarget, path: &Path, detail: &str) -> Option<FieldError> {
    let path = path.child("target").child("averageValue");
    let is_none = target.value.is_none() && target.average_value.is_none();
    is_none.then(|| FieldError::required(path, detail))
}

fn validate_resource(name: &str, target: &MetricTarget, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if name.is_empty() {
        faults.push(FieldError::required(path.child("name"), "must specify a resource name"));
    }
    let path = path.child("target");
    faults.extend(validate_target(target, &path));
    match (target.average_utilization, &target.average_value) {
        (None, None) => {
            let detail = "must set either a target raw value or a target utilization";
            faults.push(FieldError::required(path.child("averageUtilization"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target raw value and a target utilization";
            faults.push(FieldError::forbidden(path.child("averageValue"), detail));
        }
        _ => {}
    }
    faults
}

fn validate_target(target: &MetricTarget, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let type_ = target.type_.as_str();
    if type_.is_empty() {
        let detail = "must specify a metric target type";
        faults.push(FieldError::required(path.child("type"), detail));
    }
    if !["Utilization", "Value", "AverageValue"].contains(&type_) {
        let detail = "must be either Utilization, Value, or AverageValue";
        faults.push(FieldError::invalid(path.child("type"), type_, detail));
    }
    for (field, amount) in [("value", &target.value), ("averageValue", &target.average_value)] {
        if let Some(amount) = amount.as_ref().filter(|amount| !is_positive(amount)) {
            let path = path.child(field);
            faults.push(FieldError::invalid(path, amount.0.as_str(), "must be positive"));
        }
    }
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        let path = path.child("averageUtilization");
        faults.push(FieldError::invalid(path, percent, "must be greater than 0"));
    }
    faults
}

fn is_positive(amount: &ApiQuantity) -> bool {
    Quantity::of(amount).is_ok_and(|amount| !amount.is_zero() && !amount.is_negative())
}

fn validate_identifier(metric: &MetricIdentifier, path: &Path) -> Vec<FieldError> {
    let path = path.child("name");
    if metric.name.is_empty() {
        return vec![FieldError::required(path, "must specify a metric name")];
    }
    invalid_each(&path, metric.name.as_str(), path_segment_name(&metric.name))
}

fn validate_rules(rules: Option<&HPAScalingRules>, path: &Path) -> Vec<FieldError> {
    let Some(rules) = rules else { return Vec::new() };
    let mut faults = Vec::new();
    if let Some(seconds) = rules.stabilization_window_seconds {
        let path = path.child("stabilizationWindowSeconds");
        if seconds < 0 {
            let detail = "must be greater than or equal to zero";
            faults.push(FieldError::invalid(path, seconds, detail));
        } else if seconds > STABILIZATION_WINDOW_SECONDS_MAX {
            let detail =
                format!("must be less than or equal to {STABILIZATION_WINDOW_SECONDS_MAX}");
            faults.push(FieldError::invalid(path, seconds, detail));
        }
    }
    let supported = ["Disabled", "Max", "Min"];
    if let Some(policy) = rules.select_policy.as_deref().filter(|it| !supported.contains(it)) {
        faults.push(FieldError::not_supported(path.child("selectPolicy"), policy, &supported));
    }
    let path = path.child("policies");
    let policies = rules.policies.as_deref().unwrap_or_default();
    if policies.is_empty() {
        faults.push(FieldError::required(path.clone(), "must specify at least one Policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        faults.extend(validate_policy(policy, &path.index(index)));
    }
    faults
}

fn validate_policy(policy: &HPAScalingPolicy, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let supported = ["Percent", "Pods"];
    if !supported.contains(&policy.type_.as_str()) {
        let type_ = policy.type_.as_str();
        faults.push(FieldError::not_supported(path.child("type"), type_, &supported));
    }
    let zero = "must be greater than zero";
    if policy.value <= 0 {
        faults.push(FieldError::invalid(path.child("value"), policy.value, zero));
    }
    let (seconds, path) = (policy.period_seconds, path.child("periodSeconds"));
    if seconds <= 0 {
        faults.push(FieldError::invalid(path, seconds, zero));
    } else if seconds > PERIOD_SECONDS_MAX {
        let detail = format!("must be less than or equal to {PERIOD_SECONDS_MAX}");
        faults.push(FieldError::invalid(path, seconds, detail));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scaler;
    use super::*;

    #[track_caller]
    fn check(more: Value, expect: &[&str]) {
        let target = json!({"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"});
        let mut spec = json!({"maxReplicas": 5, "scaleTargetRef": target});
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let faults = validate(scaler(spec).spec.as_ref().unwrap(), &Path::new("spec"));
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expect);
    }

    #[test]
    fn sizes_must_make_sense() {
        check(json!({}), &[]);
        check(
            json!({"minReplicas": -1, "maxReplicas": 0}),
            &[
                "spec.minReplicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.maxReplicas: Invalid value: 0: must be greater than 0",
            ],
        );
        check(
            json!({"minReplicas": 6}),
            &["spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"],
        );
        check(
            json!({"minReplicas": 0}),
            &["spec.metrics: Forbidden: must specify at least one Object or External metric to \
               support scaling to zero replicas"],
        );
        let object = json!({"type": "Object", "object": {"metric": {"name": "requests_per_second"},
            "describedObject": {"kind": "Service", "name": "web"},
            "target": {"type": "Value", "value": "10"}}});
        check(json!({"minReplicas": 0, "metrics": [object]}), &[]);
        check(
            json!({"scaleTargetRef": {"kind": "", "name": "a/b", "apiVersion": "a/b/c"}}),
            &[
                "spec.scaleTargetRef.kind: Required value",
                "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'",
                "spec.scaleTargetRef.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion \
                 string: a/b/c",
            ],
        );
    }

    #[test]
    fn metrics_have_one_source_and_one_target() {
        let at = "spec.metrics[0]";
        check(
            json!({"metrics": [{"type": "Pods", "resource": {"name": "",
                "target": {"type": "Average", "averageUtilization": 0}}}]}),
            &[
                &format!("{at}.resource.name: Required value: must specify a resource name"),
                &format!(
                    "{at}.resource.target.type: Invalid value: \"Average\": must be either \
                          Utilization, Value, or AverageValue"
                ),
                &format!(
                    "{at}.resource.target.averageUtilization: Invalid value: 0: must be \
                          greater than 0"
                ),
                &format!(
                    "{at}.pods: Required value: must populate information for the given metric \
                          source"
                ),
            ],
        );
        check(
            json!({"metrics": [{"type": "Bytes"}]}),
            &[
                &format!(
                    "{at}.type: Unsupported value: \"Bytes\": supported values: \
                          \"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\""
                ),
                &format!(
                    "{at}.bytes: Required value: must populate information for the given \
                          metric source"
                ),
            ],
        );
        let target = json!({"type": "AverageValue", "averageValue": "-1"});
        check(
            json!({"metrics": [{"type": "Pods", "pods": {"metric": {"name": "x"},
                "target": target}}]}),
            &[
                &format!("{at}.pods.target.averageValue: Invalid value: \"-1\": must be positive"),
                &format!(
                    "{at}.pods.target.averageValue: Required value: must specify a positive \
                          target averageValue"
                ),
            ],
        );
    }

    #[test]
    fn rules_have_bounds() {
        let at = "spec.behavior.scaleUp";
        check(
            json!({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601,
                "selectPolicy": "x", "policies": [{"type": "y", "value": 0,
                "periodSeconds": 1801}]}}}),
            &[
                &format!(
                    "{at}.stabilizationWindowSeconds: Invalid value: 3601: must be less than \
                          or equal to 3600"
                ),
                &format!(
                    "{at}.selectPolicy: Unsupported value: \"x\": supported values: \
                          \"Disabled\", \"Max\", \"Min\""
                ),
                &format!(
                    "{at}.policies[0].type: Unsupported value: \"y\": supported values: \
                          \"Percent\", \"Pods\""
                ),
                &format!("{at}.policies[0].value: Invalid value: 0: must be greater than zero"),
                &format!(
                    "{at}.policies[0].periodSeconds: Invalid value: 1801: must be less than or \
                          equal to 1800"
                ),
            ],
        );
    }
}

//! HorizontalPodAutoscalers: how many Pods another object shall have, by what they use.
//!
//! Upstream: `pkg/apis/autoscaling/v2/defaults.go`, `pkg/registry/autoscaling/horizontalpodautoscaler`.

mod print;
mod validation;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus,
    MetricSpec, MetricTarget, ResourceMetricSource,
};
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{AGE, NAME, column};
use crate::control_plane::registry::rules::set_default;
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

/// What an autoscaler aims at that names no metric: percent of the CPU that Pods ask for.
const CPU_UTILIZATION: i32 = 80;

#[derive(Debug)]
pub(crate) struct HorizontalPodAutoscalers;

impl Resource for HorizontalPodAutoscalers {
    type Object = HorizontalPodAutoscaler;

    const NAMES: Names = Names {
        plural: "horizontalpodautoscalers",
        singular: "horizontalpodautoscaler",
        short: &["hpa"],
        categories: &["all"],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource {
        name: "status",
        kind: ("", "", "HorizontalPodAutoscaler"),
        verbs: STATUS_VERBS,
    }];

    fn default(scaler: &mut HorizontalPodAutoscaler) {
        let spec = scaler.spec.get_or_insert_default();
        spec.min_replicas.get_or_insert(1);
        let metrics = spec.metrics.get_or_insert_default();
        if metrics.is_empty() {
            metrics.push(cpu_utilization());
        }
        if let Some(behavior) = &mut spec.behavior {
            default_rules(behavior.scale_up.get_or_insert_default(), &[("Pods", 4), PERCENT]);
            let up = behavior.scale_up.get_or_insert_default();
            up.stabilization_window_seconds.get_or_insert(0);
            default_rules(behavior.scale_down.get_or_insert_default(), &[PERCENT]);
        }
        scaler.status.get_or_insert_default();
    }

    fn prepare_for_create(scaler: &mut HorizontalPodAutoscaler) {
        scaler.status = Some(HorizontalPodAutoscalerStatus::default());
        drop_tolerances(scaler);
    }

    fn prepare_for_update(scaler: &mut HorizontalPodAutoscaler, old: &HorizontalPodAutoscaler) {
        scaler.status.clone_from(&old.status);
        drop_tolerances(scaler);
    }

    fn prepare_for_status_update(
        scaler: &mut HorizontalPodAutoscaler,
        old: &HorizontalPodAutoscaler,
    ) {
        scaler.spec.clone_from(&old.spec);
    }

    fn validate(scaler: &HorizontalPodAutoscaler) -> Vec<FieldError> {
        let spec = scaler.spec.as_ref();
        spec.map(|spec| validation::validate(spec, &Path::new("spec"))).unwrap_or_default()
    }

    fn validate_status_update(
        scaler: &HorizontalPodAutoscaler,
        _: &HorizontalPodAutoscaler,
    ) -> Vec<FieldError> {
        scaler.status.as_ref().map(validation::validate_status).unwrap_or_default()
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Reference", "What it scales."),
            column("Targets", "How much is used, of how much is aimed at, for each metric."),
            column("MinPods", "It scales to no fewer Pods."),
            column("MaxPods", "It scales to no more Pods."),
            column("Replicas", "How many Pods there were when it last looked."),
            AGE,
        ];
        COLUMNS
    }

    fn row(scaler: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<Value> {
        print::row(scaler, now)
    }
}

fn cpu_utilization() -> MetricSpec {
    let target = MetricTarget {
        type_: "Utilization".to_owned(),
        average_utilization: Some(CPU_UTILIZATION),
        ..MetricTarget::default()
    };
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource { name: "cpu".to_owned(), target }),
        ..MetricSpec::default()
    }
}

const PERCENT: (&str, i32) = ("Percent", 100);

/// What rules leave out; who gives any of them gets the rest.
fn default_rules(rules: &mut HPAScalingRules, policies: &[(&str, i32)]) {
    set_default(&mut rules.select_policy, "Max");
    let policy = |(type_, value): &(&str, i32)| HPAScalingPolicy {
        type_: (*type_).to_owned(),
        value: *value,
        period_seconds: 15,
    };
    rules.policies.get_or_insert_with(|| policies.iter().map(policy).collect());
}

/// Upstream drops them too while its gate HPAConfigurableTolerance is off, as it is by default.
fn drop_tolerances(scaler: &mut HorizontalPodAutoscaler) {
    let behavior = scaler.spec.as_mut().and_then(|spec| spec.behavior.as_mut());
    let rules = behavior.map(|behavior| [&mut behavior.scale_up, &mut behavior.scale_down]);
    for rules in rules.into_iter().flatten().flatten() {
        rules.tolerance = None;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn scaler(spec: Value) -> HorizontalPodAutoscaler {
        let scaler = json!({"metadata": {"name": "s"}, "spec": spec});
        let mut scaler = serde_json::from_value(scaler).unwrap();
        HorizontalPodAutoscalers::default(&mut scaler);
        scaler
    }

    #[test]
    fn left_out_fields_are_filled_in() {
        let target = json!({"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"});
        let plain = scaler(json!({"maxReplicas": 5, "scaleTargetRef": target}));
        let spec = serde_json::to_value(plain.spec).unwrap();
        assert_eq!((&spec["minReplicas"], spec.get("behavior")), (&json!(1), None));
        let cpu = json!([{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 80}}}]);
        assert_eq!(spec["metrics"], cpu);

        let behavior = json!({"scaleDown": {"selectPolicy": "Disabled"}});
        let spec =
            scaler(json!({"maxReplicas": 5, "scaleTargetRef": target, "behavior": behavior}))
                .spec
                .unwrap();
        let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        let expect = json!({
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
                "policies": [pods, percent]},
            "scaleDown": {"selectPolicy": "Disabled", "policies": [percent]},
        });
        assert_eq!(serde_json::to_value(spec.behavior).unwrap(), expect);
    }
}

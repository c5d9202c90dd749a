//! Deployments: a template whose changes roll out over ReplicaSets.
//!
//! Upstream: `pkg/registry/apps/deployment/strategy.go`, `pkg/apis/apps/v1/defaults.go`.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStatus, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::workload::{self, Counts, not_negative};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::amounts;
use crate::control_plane::registry::autoscaling::SCALE;
use crate::control_plane::registry::core::pod::template::{self, CONTAINERS, IMAGES};
use crate::control_plane::registry::core::set_default;
use crate::control_plane::registry::print::{self, AGE, NAME, column, wide};
use crate::control_plane::registry::{
    Column, Names, Resource, STATUS_VERBS, Scope, Size, Subresource,
};

const ROLLING_UPDATE: &str = "RollingUpdate";
const RECREATE: &str = "Recreate";

#[derive(Debug)]
pub(crate) struct Deployments;

impl Resource for Deployments {
    type Object = Deployment;

    const NAMES: Names = Names {
        plural: "deployments",
        singular: "deployment",
        short: &["deploy"],
        categories: &["all"],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] =
        &[SCALE, Subresource { name: "status", kind: ("", "", "Deployment"), verbs: STATUS_VERBS }];
    const GENERATION: bool = true;
    const STATUS_TAKES_ANNOTATIONS: bool = true;

    fn default(deployment: &mut Deployment) {
        let spec = deployment.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        spec.revision_history_limit.get_or_insert(10);
        spec.progress_deadline_seconds.get_or_insert(600);
        default_strategy(spec.strategy.get_or_insert_default());
        template::default(&mut spec.template);
        deployment.status.get_or_insert_default();
    }

    fn prepare_for_create(deployment: &mut Deployment) {
        deployment.status = Some(DeploymentStatus::default());
    }

    /// Annotations count as a change of what is wanted: the controller copies them to ReplicaSets.
    fn prepare_for_update(deployment: &mut Deployment, old: &Deployment) {
        deployment.status.clone_from(&old.status);
        if deployment.metadata.annotations != old.metadata.annotations {
            deployment.metadata.generation = Some(old.metadata.generation.unwrap_or(0) + 1);
        }
    }

    fn prepare_for_status_update(deployment: &mut Deployment, old: &Deployment) {
        deployment.spec.clone_from(&old.spec);
    }

    fn validate(deployment: &Deployment) -> Vec<FieldError> {
        deployment.spec.as_ref().map(validate_spec).unwrap_or_default()
    }

    fn validate_update(deployment: &Deployment, old: &Deployment) -> Vec<FieldError> {
        let mut faults = Self::validate(deployment);
        faults.extend(workload::validate_same_selector(selector(deployment), selector(old)));
        faults
    }

    fn validate_status_update(deployment: &Deployment, old: &Deployment) -> Vec<FieldError> {
        let none = DeploymentStatus::default();
        let status = deployment.status.as_ref().unwrap_or(&none);
        let old = old.status.as_ref().unwrap_or(&none);
        validate_status(status, old)
    }

    fn warnings(deployment: &Deployment) -> Vec<String> {
        let spec = deployment.spec.as_ref();
        workload::warnings(&deployment.metadata, spec.map(|spec| &spec.template))
    }

    fn size(deployment: &Deployment) -> Option<Size> {
        let status = deployment.status.as_ref();
        Some(Size {
            wanted: deployment.spec.as_ref()?.replicas.unwrap_or(0),
            observed: status.and_then(|status| status.replicas).unwrap_or(0),
            selector: selector(deployment).map(workload::selector_text),
        })
    }

    fn resize(deployment: &mut Deployment, replicas: i32) {
        deployment.spec.get_or_insert_default().replicas = Some(replicas);
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Ready", "How many Pods are ready, of how many asked for."),
            column("Up-to-date", "How many Pods are of the current template."),
            column("Available", "How many Pods have been ready for minReadySeconds."),
            AGE,
            CONTAINERS,
            IMAGES,
            wide("Selector", "The labels by which it finds its Pods."),
        ];
        COLUMNS
    }

    fn row(deployment: &Deployment, now: Timestamp) -> Vec<Value> {
        let spec = deployment.spec.as_ref();
        let status = deployment.status.as_ref();
        let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(0);
        let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
        let [names, images] = template::cells(spec.map(|spec| &spec.template));
        vec![
            print::name(&deployment.metadata),
            format!("{ready}/{wanted}").into(),
            workload::count(status.and_then(|status| status.updated_replicas)),
            workload::count(status.and_then(|status| status.available_replicas)),
            print::age(&deployment.metadata, now),
            names,
            images,
            selector(deployment).map(workload::selector_text).unwrap_or_default().into(),
        ]
    }
}

fn selector(deployment: &Deployment) -> Option<&LabelSelector> {
    deployment.spec.as_ref().map(|spec| &spec.selector)
}

fn default_strategy(strategy: &mut DeploymentStrategy) {
    set_default(&mut strategy.type_, ROLLING_UPDATE);
    if strategy.type_.as_deref() == Some(ROLLING_UPDATE) {
        let update = strategy.rolling_update.get_or_insert_default();
        let quarter = || IntOrString::String("25%".to_owned());
        update.max_unavailable.get_or_insert_with(quarter);
        update.max_surge.get_or_insert_with(quarter);
    }
}

fn validate_spec(spec: &DeploymentSpec) -> Vec<FieldError> {
    let path = Path::new("spec");
    let mut faults = Vec::new();
    faults.extend(not_negative(path.child("replicas"), spec.replicas));
    faults.extend(workload::validate_selection(&spec.selector, &spec.template, &path));
    faults.extend(workload::validate_endless(&spec.template, &path, "ReplicaSet"));
    if let Some(strategy) = &spec.strategy {
        faults.extend(validate_strategy(strategy, &path.child("strategy")));
    }
    faults.extend(not_negative(path.child("minReadySeconds"), spec.min_ready_seconds));
    faults.extend(not_negative(path.child("revisionHistoryLimit"), spec.revision_history_limit));
    if let Some(seconds) = spec.progress_deadline_seconds {
        let path = path.child("progressDeadlineSeconds");
        faults.extend(not_negative(path.clone(), Some(seconds)));
        if seconds <= spec.min_ready_seconds.unwrap_or(0) {
            let detail = "must be greater than minReadySeconds";
            faults.push(FieldError::invalid(path, seconds, detail));
        }
    }
    faults
}

fn validate_strategy(strategy: &DeploymentStrategy, path: &Path) -> Vec<FieldError> {
    match (strategy.type_.as_deref(), &strategy.rolling_update) {
        (Some(RECREATE), None) => Vec::new(),
        (Some(RECREATE), Some(_)) => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            vec![FieldError::forbidden(path.child("rollingUpdate"), detail)]
        }
        (Some(ROLLING_UPDATE), Some(update)) => {
            validate_rolling_update(update, &path.child("rollingUpdate"))
        }
        (Some(ROLLING_UPDATE), None) => {
            let detail = "this should be defaulted and never be nil";
            vec![FieldError::required(path.child("rollingUpdate"), detail)]
        }
        _ => {
            let supported = [RECREATE, ROLLING_UPDATE];
            vec![FieldError::not_supported(path.clone(), json!(strategy), &supported)]
        }
    }
}

fn validate_rolling_update(update: &RollingUpdateDeployment, path: &Path) -> Vec<FieldError> {
    let zero = IntOrString::Int(0);
    let unavailable = update.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = update.max_surge.as_ref().unwrap_or(&zero);
    let (unavailable_path, surge_path) = (path.child("maxUnavailable"), path.child("maxSurge"));
    let mut faults = Vec::new();
    faults.extend(amounts::validate(unavailable, &unavailable_path));
    faults.extend(amounts::validate(surge, &surge_path));
    if amounts::number_of(unavailable) == 0 && amounts::number_of(surge) == 0 {
        let detail = "may not be 0 when `maxSurge` is 0";
        faults.push(FieldError::invalid(unavailable_path.clone(), json!(unavailable), detail));
    }
    faults.extend(amounts::validate_share(unavailable, &unavailable_path));
    faults
}

fn validate_status(status: &DeploymentStatus, old: &DeploymentStatus) -> Vec<FieldError> {
    let path = Path::new("status");
    let mut faults: Vec<FieldError> =
        not_negative(path.child("observedGeneration"), status.observed_generation)
            .into_iter()
            .collect();
    let counts = Counts {
        replicas: status.replicas.unwrap_or(0),
        parts: vec![("updatedReplicas", status.updated_replicas)],
        ready: status.ready_replicas,
        available: status.available_replicas,
    };
    faults.extend(counts.validate(&path));
    faults.extend(not_negative(path.child("unavailableReplicas"), status.unavailable_replicas));
    faults.extend(workload::validate_collisions(
        status.collision_count,
        old.collision_count,
        &path,
    ));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(spec: Value) -> Deployment {
        let mut whole = json!({"metadata": {"name": "d"}, "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}},
        }});
        crate::api::patch::merge::apply(whole.take(), &json!({"spec": spec}))
            .map(|whole| serde_json::from_value(whole).unwrap())
            .map(|mut deployment| {
                Deployments::default(&mut deployment);
                deployment
            })
            .unwrap()
    }

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let faults = Deployments::validate(&deployment(spec));
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expect);
    }

    #[test]
    fn left_out_fields_are_filled_in() {
        let spec = serde_json::to_value(deployment(json!({})).spec).unwrap();
        assert_eq!(spec["replicas"], 1);
        assert_eq!(spec["revisionHistoryLimit"], 10);
        assert_eq!(spec["progressDeadlineSeconds"], 600);
        let strategy = json!({"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        assert_eq!(spec["strategy"], strategy);
        assert_eq!(spec["template"]["spec"]["restartPolicy"], "Always");
    }

    #[test]
    fn a_selector_must_pick_the_template() {
        check(json!({}), &[]);
        check(
            json!({"selector": {"matchLabels": {"app": "b"}}}),
            &[
                "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`",
            ],
        );
        check(
            json!({"selector": null}),
            &[
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`",
            ],
        );
    }

    #[test]
    fn faults_of_the_template_are_named_with_their_place() {
        check(
            json!({"replicas": -1, "template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c"}]}}}),
            &[
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.template.spec.containers[0].image: Required value",
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ],
        );
    }

    #[test]
    fn strategies_must_make_progress() {
        check(
            json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}),
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
            ],
        );
        check(
            json!({"strategy": {"rollingUpdate": {"maxSurge": "x", "maxUnavailable": "101%"}}}),
            &[
                "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%', or '93%', regex used for validation is '[0-9]+%')",
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ],
        );
        check(
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}),
            &[
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ],
        );
        check(
            json!({"progressDeadlineSeconds": 5, "minReadySeconds": 5}),
            &[
                "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
            ],
        );
    }

    #[test]
    fn a_selector_never_changes() {
        let old = deployment(json!({}));
        let labels = json!({"app": "a", "b": "c"});
        let new = deployment(json!({"selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}}}));
        let faults = Deployments::validate_update(&new, &old);
        assert_eq!(
            faults[0].to_string(),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"a\",\"b\":\"c\"}}: field is immutable"
        );
    }

    #[test]
    fn annotations_count_as_a_change() {
        let mut old = deployment(json!({}));
        old.metadata.generation = Some(3);
        let mut new = old.clone();
        new.metadata.annotations.get_or_insert_default().insert("a".into(), "b".into());
        Deployments::prepare_for_update(&mut new, &old);
        assert_eq!(new.metadata.generation, Some(4));
    }
}

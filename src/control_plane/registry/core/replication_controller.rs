//! ReplicationControllers: what ReplicaSets were before they had expressions in their selectors.
//!
//! Upstream: `pkg/registry/core/replicationcontroller/strategy.go`, `ValidateReplicationController` in
//! `pkg/apis/core/validation/validation.go`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ReplicationController, ReplicationControllerSpec, ReplicationControllerStatus,
};
use serde_json::{Value, json};

use super::pod::template;
use crate::api::fields::{FieldError, Path};
use crate::api::selector::Labels;
use crate::control_plane::registry::apps::copies::{self, Observed};
use crate::control_plane::registry::apps::workload::{self, not_negative};
use crate::control_plane::registry::autoscaling::SCALE;
use crate::control_plane::registry::print;
use crate::control_plane::registry::{
    Column, Names, Resource, STATUS_VERBS, Scope, Size, Subresource,
};

#[derive(Debug)]
pub(crate) struct ReplicationControllers;

impl Resource for ReplicationControllers {
    type Object = ReplicationController;

    const NAMES: Names = Names {
        plural: "replicationcontrollers",
        singular: "replicationcontroller",
        short: &["rc"],
        categories: &["all"],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] = &[
        SCALE,
        Subresource {
            name: "status",
            kind: ("", "", "ReplicationController"),
            verbs: STATUS_VERBS,
        },
    ];
    const GENERATION: bool = true;
    const ORPHANS_DEPENDENTS: bool = true;

    /// Labels and selector that were left out are the template's labels.
    fn default(controller: &mut ReplicationController) {
        let spec = controller.spec.get_or_insert_default();
        if let Some(of) = &mut spec.template {
            template::default(of);
            let labels = of.metadata.as_ref().and_then(|meta| meta.labels.clone());
            if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
                if spec.selector.as_ref().is_none_or(BTreeMap::is_empty) {
                    spec.selector = Some(labels.clone());
                }
                if controller.metadata.labels.as_ref().is_none_or(BTreeMap::is_empty) {
                    controller.metadata.labels = Some(labels);
                }
            }
        }
        spec.replicas.get_or_insert(1);
        controller.status.get_or_insert_default();
    }

    fn prepare_for_create(controller: &mut ReplicationController) {
        controller.status = Some(ReplicationControllerStatus::default());
    }

    fn prepare_for_update(controller: &mut ReplicationController, old: &ReplicationController) {
        controller.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(
        controller: &mut ReplicationController,
        old: &ReplicationController,
    ) {
        controller.spec.clone_from(&old.spec);
    }

    fn validate(controller: &ReplicationController) -> Vec<FieldError> {
        controller.spec.as_ref().map(validate_spec).unwrap_or_default()
    }

    fn validate_status_update(
        controller: &ReplicationController,
        _old: &ReplicationController,
    ) -> Vec<FieldError> {
        observed(controller).validate()
    }

    fn warnings(controller: &ReplicationController) -> Vec<String> {
        let spec = controller.spec.as_ref();
        workload::warnings(&controller.metadata, spec.and_then(|spec| spec.template.as_ref()))
    }

    fn fields(controller: &ReplicationController) -> Vec<(&'static str, String)> {
        let replicas = controller.status.as_ref().map_or(0, |status| status.replicas);
        vec![("status.replicas", replicas.to_string())]
    }

    fn size(controller: &ReplicationController) -> Option<Size> {
        let spec = controller.spec.as_ref()?;
        Some(Size {
            wanted: spec.replicas.unwrap_or(0),
            observed: controller.status.as_ref().map_or(0, |status| status.replicas),
            selector: spec.selector.as_ref().map(|labels| Labels::from_labels(labels).to_string()),
        })
    }

    fn resize(controller: &mut ReplicationController, replicas: i32) {
        controller.spec.get_or_insert_default().replicas = Some(replicas);
    }

    fn columns() -> &'static [Column] {
        copies::columns()
    }

    fn row(controller: &ReplicationController, now: Timestamp) -> Vec<Value> {
        let spec = controller.spec.as_ref();
        copies::row(
            &controller.metadata,
            spec.and_then(|spec| spec.replicas),
            observed(controller),
            spec.and_then(|spec| spec.template.as_ref()),
            print::labels(spec.and_then(|spec| spec.selector.as_ref())),
            now,
        )
    }
}

fn observed(controller: &ReplicationController) -> Observed {
    let Some(status) = &controller.status else { return Observed::default() };
    Observed {
        replicas: status.replicas,
        fully_labeled: status.fully_labeled_replicas,
        ready: status.ready_replicas,
        available: status.available_replicas,
        generation: status.observed_generation,
    }
}

fn validate_spec(spec: &ReplicationControllerSpec) -> Vec<FieldError> {
    let path = Path::new("spec");
    let none = BTreeMap::new();
    let selector = spec.selector.as_ref().unwrap_or(&none);
    let mut faults = Vec::new();
    faults.extend(not_negative(path.child("minReadySeconds"), spec.min_ready_seconds));
    if selector.is_empty() {
        faults.push(FieldError::required(path.child("selector"), ""));
    }
    faults.extend(not_negative(path.child("replicas"), spec.replicas));
    let Some(of) = &spec.template else {
        faults.push(FieldError::required(path.child("template"), ""));
        return faults;
    };
    let own = of.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
    if !Labels::from_labels(selector).matches(own.unwrap_or(&none)) {
        let path = path.child("template").child("metadata").child("labels");
        let detail = "`selector` does not match template `labels`";
        faults.push(FieldError::invalid(path, json!(own), detail));
    }
    faults.extend(template::validate(of, &path.child("template")));
    faults.extend(workload::validate_endless(of, &path, "ReplicationController"));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(spec: Value) -> ReplicationController {
        let whole = json!({"metadata": {"name": "r"}, "spec": {
            "template": {"metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}},
        }});
        let whole = crate::api::patch::merge::apply(whole, &json!({"spec": spec})).unwrap();
        let mut controller = serde_json::from_value(whole).unwrap();
        ReplicationControllers::default(&mut controller);
        controller
    }

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let faults = ReplicationControllers::validate(&controller(spec));
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn the_template_says_what_it_picks() {
        let controller = controller(json!({}));
        let labels = Some(BTreeMap::from([("app".to_owned(), "a".to_owned())]));
        assert_eq!(controller.metadata.labels, labels);
        let spec = controller.spec.unwrap();
        assert_eq!((spec.selector, spec.replicas), (labels, Some(1)));
    }

    #[test]
    fn a_selector_must_pick_the_template() {
        check(json!({}), &[]);
        check(
            json!({"selector": {"app": "b"}, "replicas": -1}),
            &[
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`",
            ],
        );
        check(
            json!({"template": null}),
            &["spec.selector: Required value", "spec.template: Required value"],
        );
    }
}

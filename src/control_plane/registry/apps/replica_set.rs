//! ReplicaSets: so many Pods of one template.
//!
//! Upstream: `pkg/registry/apps/replicaset/strategy.go`, `pkg/apis/apps/v1/defaults.go`.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::copies::{self, Observed};
use super::workload::{self, not_negative};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::autoscaling::SCALE;
use crate::control_plane::registry::core::pod::template;
use crate::control_plane::registry::{
    Column, Names, Resource, STATUS_VERBS, Scope, Size, Subresource,
};

#[derive(Debug)]
pub(crate) struct ReplicaSets;

impl Resource for ReplicaSets {
    type Object = ReplicaSet;

    const NAMES: Names = Names {
        plural: "replicasets",
        singular: "replicaset",
        short: &["rs"],
        categories: &["all"],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] =
        &[SCALE, Subresource { name: "status", kind: ("", "", "ReplicaSet"), verbs: STATUS_VERBS }];
    const GENERATION: bool = true;

    fn default(set: &mut ReplicaSet) {
        let spec = set.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        template::default(spec.template.get_or_insert_default());
        set.status.get_or_insert_default();
    }

    fn prepare_for_create(set: &mut ReplicaSet) {
        set.status = Some(ReplicaSetStatus::default());
    }

    fn prepare_for_update(set: &mut ReplicaSet, old: &ReplicaSet) {
        set.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(set: &mut ReplicaSet, old: &ReplicaSet) {
        set.spec.clone_from(&old.spec);
    }

    fn validate(set: &ReplicaSet) -> Vec<FieldError> {
        set.spec.as_ref().map(validate_spec).unwrap_or_default()
    }

    fn validate_update(set: &ReplicaSet, old: &ReplicaSet) -> Vec<FieldError> {
        let mut faults = Self::validate(set);
        faults.extend(workload::validate_same_selector(selector(set), selector(old)));
        faults
    }

    fn validate_status_update(set: &ReplicaSet, _old: &ReplicaSet) -> Vec<FieldError> {
        observed(set).validate()
    }

    fn warnings(set: &ReplicaSet) -> Vec<String> {
        let spec = set.spec.as_ref();
        workload::warnings(&set.metadata, spec.and_then(|spec| spec.template.as_ref()))
    }

    fn fields(set: &ReplicaSet) -> Vec<(&'static str, String)> {
        let replicas = set.status.as_ref().map_or(0, |status| status.replicas);
        vec![("status.replicas", replicas.to_string())]
    }

    fn size(set: &ReplicaSet) -> Option<Size> {
        Some(Size {
            wanted: set.spec.as_ref()?.replicas.unwrap_or(0),
            observed: set.status.as_ref().map_or(0, |status| status.replicas),
            selector: selector(set).map(workload::selector_text),
        })
    }

    fn resize(set: &mut ReplicaSet, replicas: i32) {
        set.spec.get_or_insert_default().replicas = Some(replicas);
    }

    fn columns() -> &'static [Column] {
        copies::columns()
    }

    fn row(set: &ReplicaSet, now: Timestamp) -> Vec<Value> {
        let spec = set.spec.as_ref();
        copies::row(
            &set.metadata,
            spec.and_then(|spec| spec.replicas),
            observed(set),
            spec.and_then(|spec| spec.template.as_ref()),
            selector(set).map(workload::selector_text).unwrap_or_default(),
            now,
        )
    }
}

fn observed(set: &ReplicaSet) -> Observed {
    let Some(status) = &set.status else { return Observed::default() };
    Observed {
        replicas: status.replicas,
        fully_labeled: status.fully_labeled_replicas,
        ready: status.ready_replicas,
        available: status.available_replicas,
        generation: status.observed_generation,
    }
}

fn selector(set: &ReplicaSet) -> Option<&LabelSelector> {
    set.spec.as_ref().map(|spec| &spec.selector)
}

fn validate_spec(spec: &ReplicaSetSpec) -> Vec<FieldError> {
    let path = Path::new("spec");
    let mut faults = Vec::new();
    faults.extend(not_negative(path.child("replicas"), spec.replicas));
    faults.extend(not_negative(path.child("minReadySeconds"), spec.min_ready_seconds));
    let Some(of) = &spec.template else {
        faults.push(FieldError::required(path.child("template"), ""));
        return faults;
    };
    faults.extend(workload::validate_selection(&spec.selector, of, &path));
    faults.extend(workload::validate_endless(of, &path, "ReplicaSet"));
    faults
}

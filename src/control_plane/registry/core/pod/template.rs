//! Pod templates within other kinds: defaults, rules, warnings and cells, the same for all of them.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use super::{defaults, validation, warnings as slips};
use crate::api::fields::{FieldError, Path};
use crate::api::meta;
use crate::control_plane::registry::Column;
use crate::control_plane::registry::print::wide;

pub(in crate::control_plane::registry) use validation::selectors::validate_labels as validate_selector;

/// Upstream: `SetDefaults_PodSpec`, which runs for templates too.
pub(in crate::control_plane::registry) fn default(template: &mut PodTemplateSpec) {
    defaults::default_spec(template.spec.get_or_insert_default());
}

/// Every fault of a template; `path` is the template's own.
///
/// Upstream: `ValidatePodTemplateSpec` in `pkg/apis/core/validation/validation.go`.
pub(in crate::control_plane::registry) fn validate(
    template: &PodTemplateSpec,
    path: &Path,
) -> Vec<FieldError> {
    let meta = template.metadata.as_ref();
    let mut faults = Vec::new();
    if let Some(labels) = meta.and_then(|meta| meta.labels.as_ref()) {
        faults.extend(meta::validate_labels(labels, &path.child("labels")));
    }
    if let Some(annotations) = meta.and_then(|meta| meta.annotations.as_ref()) {
        faults.extend(meta::validate_annotations(annotations, &path.child("annotations")));
    }
    let path = path.child("spec");
    let Some(spec) = &template.spec else {
        faults.push(FieldError::required(path.child("containers"), ""));
        return faults;
    };
    faults.extend(validation::validate_spec(spec, &path));
    if spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()) {
        let detail = "ephemeral containers not allowed in pod template";
        faults.push(FieldError::forbidden(path.child("ephemeralContainers"), detail));
    }
    faults
}

/// What is allowed in a template and yet hardly meant.
pub(in crate::control_plane::registry) fn warnings(
    template: &PodTemplateSpec,
    path: &Path,
) -> Vec<String> {
    let spec = template.spec.iter();
    spec.flat_map(|spec| slips::of_spec(spec, &path.child("spec"))).collect()
}

/// The columns that `-o wide` adds to a kind with a template and a selector.
pub(in crate::control_plane::registry) const CONTAINERS: Column =
    wide("Containers", "Names of the containers in the template.");
pub(in crate::control_plane::registry) const IMAGES: Column =
    wide("Images", "Images of the containers in the template.");

/// Their cells.
pub(in crate::control_plane::registry) fn cells(template: Option<&PodTemplateSpec>) -> [Value; 2] {
    let spec = template.and_then(|template| template.spec.as_ref());
    let containers = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
    let images: Vec<&str> =
        containers.iter().map(|container| container.image.as_deref().unwrap_or_default()).collect();
    [names.join(",").into(), images.join(",").into()]
}

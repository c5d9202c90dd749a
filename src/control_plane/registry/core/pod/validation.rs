//! Every fault of a Pod.

use k8s_openapi::api::core::v1::Pod;

use crate::api::fields::{FieldError, Path};

pub(super) fn validate(pod: &Pod) -> Vec<FieldError> {
    let path = Path::new("spec").child("containers");
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    if containers.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    let mut faults = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        if container.name.is_empty() {
            faults.push(FieldError::required(path.index(index).child("name"), ""));
        }
        if container.image.as_deref().unwrap_or_default().is_empty() {
            faults.push(FieldError::required(path.index(index).child("image"), ""));
        }
    }
    faults
}

pub(super) fn validate_update(pod: &Pod, _old: &Pod) -> Vec<FieldError> {
    validate(pod)
}

pub(super) fn validate_status_update(_pod: &Pod, _old: &Pod) -> Vec<FieldError> {
    Vec::new()
}

//! What Events about Pods refer to.

use k8s_openapi::api::core::v1::{ObjectReference, Pod};

pub(super) fn pod(pod: &Pod) -> ObjectReference {
    let meta = &pod.metadata;
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// One container of the Pod: `spec.containers{count}`, as upstream's `fieldPath`.
pub(super) fn container(of: &Pod, name: &str) -> ObjectReference {
    let spec = of.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_ref());
    let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_ref());
    let list = if init.into_iter().flatten().any(|container| container.name == name) {
        "spec.initContainers"
    } else if ephemeral.into_iter().flatten().any(|container| container.name == name) {
        "spec.ephemeralContainers"
    } else {
        "spec.containers"
    };
    ObjectReference { field_path: Some(format!("{list}{{{name}}}")), ..pod(of) }
}

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
    let is_init = init.is_some_and(|list| list.iter().any(|container| container.name == name));
    let list = if is_init { "spec.initContainers" } else { "spec.containers" };
    ObjectReference { field_path: Some(format!("{list}{{{name}}}")), ..pod(of) }
}

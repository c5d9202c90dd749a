//! What Events are about.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub(super) fn service(service: &Service) -> ObjectReference {
    reference("v1", "Service", &service.metadata)
}

pub(super) fn pod(pod: &Pod) -> ObjectReference {
    reference("v1", "Pod", &pod.metadata)
}

pub(super) fn deployment(deployment: &Deployment) -> ObjectReference {
    reference("apps/v1", "Deployment", &deployment.metadata)
}

fn reference(api_version: &str, kind: &str, meta: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(api_version.to_owned()),
        kind: Some(kind.to_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectReference::default()
    }
}

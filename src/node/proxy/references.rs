//! What Events are about.

use k8s_openapi::api::core::v1::{ObjectReference, Service};

pub(super) fn service(service: &Service) -> ObjectReference {
    let meta = &service.metadata;
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectReference::default()
    }
}

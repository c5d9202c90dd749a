//! Where Services lead: EndpointSlices, and the older Endpoints.
//!
//! `slices` and `objects` follow the Pods that a Service selects, `mirroring` the Endpoints that a
//! user writes for a Service without selector. What a Pod is to a Service is `address`; who selects
//! whom is `selection`, kept so that a change of one Pod costs what the Services that select it cost,
//! however many others there are.
//!
//! Upstream: `pkg/controller/{endpoint,endpointslice,endpointslicemirroring}`,
//! `k8s.io/endpointslice`.

mod address;
mod mirroring;
mod objects;
mod plan;
mod selection;
mod slices;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::{Metadata, Resource};

pub(super) use mirroring::run as mirror;
pub(super) use objects::run as write_endpoints;
pub(super) use slices::run as write_slices;

/// Of a slice: which Service it belongs to. All that the proxy looks at.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const HEADLESS: &str = "service.kubernetes.io/headless";
/// When what a write answers to happened; those who measure delays read it.
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

type Labels = BTreeMap<String, String>;

fn selector(service: &Service) -> Option<&Labels> {
    let spec = service.spec.as_ref()?;
    let is_name = spec.type_.as_deref() == Some("ExternalName");
    spec.selector.as_ref().filter(|selector| !is_name && !selector.is_empty())
}

fn is_headless(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.and_then(|spec| spec.cluster_ip.as_deref()).is_none_or(|ip| ip.is_empty() || ip == "None")
}

/// Says that `owner` manages the object, which goes when the owner goes.
fn owned_by<K: Resource + Metadata<Ty = ObjectMeta>>(owner: &K) -> OwnerReference {
    let meta = owner.metadata();
    OwnerReference {
        api_version: K::API_VERSION.to_owned(),
        kind: K::KIND.to_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The labels of whom the endpoints belong to, without what only we say.
fn copied_labels(meta: &ObjectMeta) -> Labels {
    let labels = meta.labels.iter().flatten();
    let copied =
        labels.filter(|(key, _)| ![SERVICE_NAME, MANAGED_BY, HEADLESS].contains(&key.as_str()));
    copied.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn revision_of<K: Metadata<Ty = ObjectMeta>>(object: &K) -> u64 {
    let revision = object.metadata().resource_version.as_deref();
    revision.and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

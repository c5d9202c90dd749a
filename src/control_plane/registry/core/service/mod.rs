//! Services: a lasting address and name for Pods that come and go.
//!
//! Upstream: `pkg/registry/core/service/strategy.go` and `pkg/registry/core/service/storage`.

mod allocation;
mod defaults;
mod print;
mod update;
mod validation;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use serde_json::Value;

use crate::api::fields::FieldError;
use crate::control_plane::registry::rules::text;
use crate::control_plane::registry::{
    AllocationError, Column, Names, Resource, STATUS_VERBS, Scope, ServiceRanges, Subresource, Verb,
};

/// The address of a Service that has none: names lead to the Pods themselves.
const HEADLESS: &str = "None";

#[derive(Debug)]
pub(crate) struct Services;

impl Resource for Services {
    type Object = Service;

    const NAMES: Names =
        Names { plural: "services", singular: "service", short: &["svc"], categories: &["all"] };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource {
        name: "status",
        kind: ("", "", "Service"),
        verbs: STATUS_VERBS as &[Verb],
    }];
    const ANSWERS_DELETED_OBJECT: bool = true;
    const CREATES_ON_UPDATE: bool = true;
    const ALLOCATES: bool = true;

    fn default(service: &mut Service) {
        defaults::default(service);
    }

    fn allocate(
        service: &mut Service,
        old: Option<&Service>,
        others: &[Arc<Service>],
        ranges: &ServiceRanges,
    ) -> Result<(), AllocationError> {
        allocation::allocate(service, old, others, ranges)
    }

    fn prepare_for_create(service: &mut Service) {
        service.status = None;
        defaults::default_status(service);
    }

    fn prepare_for_update(service: &mut Service, old: &Service) {
        service.status.clone_from(&old.status);
        update::drop_what_the_type_has_no_use_for(service, old);
        defaults::default_status(service);
    }

    fn prepare_for_status_update(service: &mut Service, old: &Service) {
        service.spec.clone_from(&old.spec);
    }

    fn validate(service: &Service) -> Vec<FieldError> {
        validation::validate(service)
    }

    fn validate_update(service: &Service, old: &Service) -> Vec<FieldError> {
        validation::validate_update(service, old)
    }

    fn validate_status_update(service: &Service, _old: &Service) -> Vec<FieldError> {
        validation::validate_status(service)
    }

    fn validate_name(name: &str) -> Vec<String> {
        crate::api::meta::dns1035_label(name)
    }

    fn fields(service: &Service) -> Vec<(&'static str, String)> {
        let spec = service.spec.as_ref();
        let field = |field: fn(&ServiceSpec) -> &Option<String>| {
            spec.and_then(|spec| field(spec).clone()).unwrap_or_default()
        };
        vec![
            ("spec.clusterIP", field(|spec| &spec.cluster_ip)),
            ("spec.type", field(|spec| &spec.type_)),
        ]
    }

    fn columns() -> &'static [Column] {
        print::COLUMNS
    }

    fn row(service: &Service, now: Timestamp) -> Vec<Value> {
        print::row(service, now)
    }
}

fn is_type(spec: &ServiceSpec, types: &[&str]) -> bool {
    types.contains(&text(&spec.type_))
}

/// Traffic may come from outside of the cluster. Upstream: `apiservice.ExternallyAccessible`.
fn is_externally_accessible(spec: &ServiceSpec) -> bool {
    needs_node_ports(spec)
        || (is_type(spec, &["ClusterIP"])
            && spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty()))
}

fn needs_node_ports(spec: &ServiceSpec) -> bool {
    is_type(spec, &["NodePort", "LoadBalancer"])
}

fn needs_cluster_ip(spec: &ServiceSpec) -> bool {
    !is_type(spec, &["ExternalName"])
}

/// Balancers must learn which nodes have endpoints. Upstream: `apiservice.NeedsHealthCheck`.
fn needs_health_check(spec: &ServiceSpec) -> bool {
    is_type(spec, &["LoadBalancer"]) && text(&spec.external_traffic_policy) == "Local"
}

fn cluster_ips(spec: &ServiceSpec) -> &[String] {
    spec.cluster_ips.as_deref().unwrap_or_default()
}

fn ip_families(spec: &ServiceSpec) -> &[String] {
    spec.ip_families.as_deref().unwrap_or_default()
}

fn is_headless(spec: &ServiceSpec) -> bool {
    matches!(cluster_ips(spec), [only] if only == HEADLESS)
}

#[cfg(test)]
mod tests;

//! What a changed Service keeps of its old self, and what it lets go.
//!
//! Upstream: `pkg/registry/core/service/strategy.go` and `patchAllocatedValues`,
//! `normalizeClusterIPs` in `pkg/registry/core/service/storage`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{LoadBalancerStatus, Service, ServiceSpec};

use super::{
    cluster_ips, ip_families, is_externally_accessible, is_type, needs_cluster_ip,
    needs_health_check, needs_node_ports,
};
use crate::control_plane::registry::rules::text;

/// A change of type leaves fields behind that the server filled in: they go, unless the client
/// changed them too, which validation will then refuse.
pub(super) fn drop_what_the_type_has_no_use_for(service: &mut Service, old: &Service) {
    let old = old.spec.clone().unwrap_or_default();
    let spec = service.spec.get_or_insert_default();
    if needs_cluster_ip(&old) && !needs_cluster_ip(spec) {
        if same_cluster_ips(spec, &old) {
            spec.cluster_ip = None;
            spec.cluster_ips = None;
        }
        if ip_families(spec) == ip_families(&old) {
            spec.ip_families = None;
        }
        if spec.ip_family_policy == old.ip_family_policy {
            spec.ip_family_policy = None;
        }
    }
    if needs_node_ports(&old)
        && !needs_node_ports(spec)
        && node_ports(&old).is_superset(&node_ports(spec))
    {
        for port in spec.ports.iter_mut().flatten() {
            port.node_port = None;
        }
    }
    if needs_health_check(&old)
        && !needs_health_check(spec)
        && spec.health_check_node_port == old.health_check_node_port
    {
        spec.health_check_node_port = None;
    }
    if is_type(&old, &["LoadBalancer"]) && !is_type(spec, &["LoadBalancer"]) {
        if spec.allocate_load_balancer_node_ports == old.allocate_load_balancer_node_ports {
            spec.allocate_load_balancer_node_ports = None;
        }
        if spec.load_balancer_class == old.load_balancer_class {
            spec.load_balancer_class = None;
        }
    }
    if is_externally_accessible(&old)
        && !is_externally_accessible(spec)
        && spec.external_traffic_policy == old.external_traffic_policy
    {
        spec.external_traffic_policy = None;
    }
    if !is_type(spec, &["LoadBalancer"]) {
        let status = service.status.get_or_insert_default();
        status.load_balancer = Some(LoadBalancerStatus::default());
    }
}

/// A client that sends the manifest it once created from means to keep what the server chose.
pub(super) fn keep_allocated(spec: &mut ServiceSpec, old: &ServiceSpec) {
    if needs_cluster_ip(old) && needs_cluster_ip(spec) {
        if text(&spec.cluster_ip).is_empty() {
            spec.cluster_ip.clone_from(&old.cluster_ip);
        }
        if cluster_ips(spec).is_empty() {
            spec.cluster_ips.clone_from(&old.cluster_ips);
        }
    }
    if needs_node_ports(old) && needs_node_ports(spec) {
        keep_node_ports(spec, old);
    }
    if needs_health_check(old)
        && needs_health_check(spec)
        && spec.health_check_node_port.unwrap_or(0) == 0
    {
        spec.health_check_node_port = old.health_check_node_port;
    }
}

/// Ports are known by their names; whatever else of a port changed, its node port stays.
fn keep_node_ports(spec: &mut ServiceSpec, old: &ServiceSpec) {
    let named_again: BTreeSet<i32> =
        node_ports(old).intersection(&node_ports(spec)).copied().collect();
    let old_ports: BTreeMap<String, i32> = old
        .ports
        .iter()
        .flatten()
        .map(|port| (text(&port.name).to_owned(), port.node_port.unwrap_or(0)))
        .collect();
    for port in spec.ports.iter_mut().flatten() {
        let old = old_ports.get(text(&port.name)).copied().filter(|port| *port != 0);
        if port.node_port.unwrap_or(0) == 0
            && let Some(old) = old.filter(|old| !named_again.contains(old))
        {
            port.node_port = Some(old);
        }
    }
}

/// `clusterIP` is the first of `clusterIPs`; a client may know and change only one of the two.
pub(super) fn normalize_cluster_ips(spec: &mut ServiceSpec, old: Option<&ServiceSpec>) {
    let said = text(&spec.cluster_ip).to_owned();
    let Some(old) = old else {
        if !said.is_empty() && cluster_ips(spec).is_empty() {
            spec.cluster_ips = Some(vec![said]);
        }
        return;
    };
    if said == text(&old.cluster_ip) || cluster_ips(spec) != cluster_ips(old) {
        return;
    }
    spec.cluster_ips = (!said.is_empty()).then(|| vec![said]);
}

fn same_cluster_ips(spec: &ServiceSpec, old: &ServiceSpec) -> bool {
    text(&spec.cluster_ip) == text(&old.cluster_ip) && cluster_ips(spec) == cluster_ips(old)
}

pub(super) fn node_ports(spec: &ServiceSpec) -> BTreeSet<i32> {
    spec.ports
        .iter()
        .flatten()
        .filter_map(|port| port.node_port)
        .filter(|port| *port != 0)
        .collect()
}

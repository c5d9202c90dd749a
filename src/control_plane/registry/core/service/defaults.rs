//! What a Service's author may leave out.
//!
//! Upstream: `SetDefaults_Service` in `pkg/apis/core/v1/defaults.go`. Addresses and node ports are
//! not here: they come from pools.

use k8s_openapi::api::core::v1::{ClientIPConfig, Service, ServiceSpec, SessionAffinityConfig};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{is_externally_accessible, is_type};
use crate::control_plane::registry::rules::{set_default, text};

/// How long a client stays with its Pod: three hours.
const AFFINITY_SECONDS: i32 = 10_800;

pub(super) fn default(service: &mut Service) {
    let spec = service.spec.get_or_insert_default();
    default_affinity(spec);
    set_default(&mut spec.type_, "ClusterIP");
    for port in spec.ports.iter_mut().flatten() {
        set_default(&mut port.protocol, "TCP");
        let absent = match &port.target_port {
            None | Some(IntOrString::Int(0)) => true,
            Some(IntOrString::String(name)) => name.is_empty(),
            Some(IntOrString::Int(_)) => false,
        };
        if absent {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    if is_externally_accessible(spec) {
        set_default(&mut spec.external_traffic_policy, "Cluster");
    }
    if is_type(spec, &["ClusterIP", "NodePort", "LoadBalancer"]) {
        set_default(&mut spec.internal_traffic_policy, "Cluster");
    }
    if is_type(spec, &["LoadBalancer"]) {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
    default_status(service);
}

fn default_affinity(spec: &mut ServiceSpec) {
    set_default(&mut spec.session_affinity, "None");
    match text(&spec.session_affinity) {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let config = spec.session_affinity_config.as_ref();
            let seconds = config
                .and_then(|config| config.client_ip.as_ref())
                .and_then(|config| config.timeout_seconds);
            if seconds.is_none() {
                let client_ip = Some(ClientIPConfig { timeout_seconds: Some(AFFINITY_SECONDS) });
                spec.session_affinity_config = Some(SessionAffinityConfig { client_ip });
            }
        }
        _ => {}
    }
}

/// `status.loadBalancer` is always there; an address of it takes packets as they were sent.
pub(super) fn default_status(service: &mut Service) {
    let balancer = service.status.get_or_insert_default().load_balancer.get_or_insert_default();
    for ingress in balancer.ingress.iter_mut().flatten() {
        if !text(&ingress.ip).is_empty() {
            set_default(&mut ingress.ip_mode, "VIP");
        }
    }
}

//! Every fault of a Service, worded and placed as upstream's.
//!
//! Upstream: `ValidateService` and `ValidateServiceUpdate` in
//! `pkg/apis/core/validation/validation.go` of v1.33.

mod addresses;
mod ports;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::{cluster_ips, is_externally_accessible, is_headless, is_type, needs_health_check};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::rules::{
    invalid_number, one_of, text, validate_cidr, validate_ip, validate_non_special_ip,
};

pub(super) use addresses::validate_cluster_ips;

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const POLICIES: &[&str] = &["Cluster", "Local"];
const ONLY_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
/// How long a client may stay with its Pod: a day. Upstream: `MaxClientIPServiceAffinitySeconds`.
const AFFINITY_SECONDS_MAX: i32 = 86_400;
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

pub(super) fn validate(service: &Service) -> Vec<FieldError> {
    let spec = service.spec.clone().unwrap_or_default();
    let path = Path::new("spec");
    let mut faults = validate_type(&spec, &path);
    faults.extend(ports::validate(&spec, &path.child("ports")));
    if let Some(selector) = &spec.selector {
        faults.extend(meta::validate_labels(selector, &path.child("selector")));
    }
    faults.extend(validate_affinity(&spec, &path));
    faults.extend(validate_cluster_ips(&spec));
    for (index, ip) in spec.external_ips.iter().flatten().enumerate() {
        let path = path.child("externalIPs").index(index);
        match validate_ip(ip, &path) {
            Some(fault) => faults.push(fault),
            None => faults.extend(validate_non_special_ip(ip, &path)),
        }
    }
    faults.extend(one_of(&path.child("type"), text(&spec.type_), TYPES));
    faults.extend(ports::validate_node_ports(&spec, &path.child("ports")));
    faults.extend(ports::validate_distinct(&spec, &path.child("ports")));
    faults.extend(validate_balancer(service, &spec, &path));
    faults.extend(validate_external_traffic(&spec, &path));
    faults.extend(validate_internal_traffic(&spec, &path));
    faults
}

pub(super) fn validate_update(service: &Service, old: &Service) -> Vec<FieldError> {
    let spec = service.spec.clone().unwrap_or_default();
    let old = old.spec.clone().unwrap_or_default();
    let path = Path::new("spec");
    let mut faults = addresses::validate_update(&spec, &old);
    if is_type(&spec, &["LoadBalancer"])
        && is_type(&old, &["LoadBalancer"])
        && spec.load_balancer_class != old.load_balancer_class
    {
        let path = path.child("loadBalancerClass");
        let class = spec.load_balancer_class.clone();
        faults.push(FieldError::invalid(path, class, "may not change once set"));
    }
    if needs_health_check(&old)
        && needs_health_check(&spec)
        && spec.health_check_node_port != old.health_check_node_port
    {
        faults.push(FieldError::forbidden(path.child("healthCheckNodePort"), "field is immutable"));
    }
    faults.extend(validate(service));
    faults
}

/// Upstream: `ValidateLoadBalancerStatus`.
pub(super) fn validate_status(service: &Service) -> Vec<FieldError> {
    let spec = service.spec.clone().unwrap_or_default();
    let status = service.status.as_ref().and_then(|status| status.load_balancer.clone());
    let ingress = status.and_then(|balancer| balancer.ingress).unwrap_or_default();
    let path = Path::new("status").child("loadBalancer").child("ingress");
    let mut faults = Vec::new();
    if !is_type(&spec, &["LoadBalancer"]) && !ingress.is_empty() {
        let detail = "may only be used when `spec.type` is \"LoadBalancer\"";
        faults.push(FieldError::forbidden(path, detail));
        return faults;
    }
    for (index, ingress) in ingress.iter().enumerate() {
        let path = path.index(index);
        let (ip, mode) = (text(&ingress.ip), text(&ingress.ip_mode));
        if !ip.is_empty() {
            faults.extend(validate_ip(ip, &path.child("ip")));
        }
        let mode_path = path.child("ipMode");
        match (ip, mode) {
            ("", "") => {}
            ("", _) => {
                let detail = "may not be specified when `ip` is not set";
                faults.push(FieldError::forbidden(mode_path, detail));
            }
            (_, "") => {
                faults.push(FieldError::required(mode_path, "must be specified when `ip` is set"))
            }
            _ => faults.extend(one_of(&mode_path, mode, &["Proxy", "VIP"])),
        }
        let hostname = text(&ingress.hostname);
        if !hostname.is_empty() {
            let path = path.child("hostname");
            faults.extend(invalid_each(&path, hostname, meta::dns1123_subdomain(hostname)));
            if hostname.parse::<std::net::IpAddr>().is_ok() {
                let detail = "must be a DNS name, not an IP address";
                faults.push(FieldError::invalid(path, hostname, detail));
            }
        }
    }
    faults
}

fn validate_type(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let has_ports = spec.ports.as_ref().is_some_and(|ports| !ports.is_empty());
    if !has_ports && !is_headless(spec) && !is_type(spec, &["ExternalName"]) {
        faults.push(FieldError::required(path.child("ports"), ""));
    }
    match text(&spec.type_) {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec) => {
            let path = path.child("clusterIPs").index(0);
            let detail = format!("may not be set to 'None' for {kind} services");
            faults.push(FieldError::invalid(path, cluster_ips(spec)[0].as_str(), detail));
        }
        "ExternalName" => faults.extend(validate_external_name(spec, path)),
        _ => {}
    }
    faults
}

fn validate_external_name(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let set = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let fields = [
        ("clusterIPs", set(&spec.cluster_ips)),
        ("ipFamilies", set(&spec.ip_families)),
        ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
    ];
    let forbidden = fields.into_iter().filter(|(_, set)| *set).map(|(field, _)| {
        FieldError::forbidden(path.child(field), "may not be set for ExternalName services")
    });
    let mut faults: Vec<FieldError> = forbidden.collect();
    let path = path.child("externalName");
    let name = text(&spec.external_name);
    match name.strip_suffix('.').unwrap_or(name) {
        "" => faults.push(FieldError::required(path, "")),
        name => faults.extend(invalid_each(&path, name, meta::dns1123_subdomain(name))),
    }
    faults
}

fn validate_affinity(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let kind = path.child("sessionAffinity");
    let mut faults =
        Vec::from_iter(one_of(&kind, text(&spec.session_affinity), &["ClientIP", "None"]));
    let path = path.child("sessionAffinityConfig");
    let config = spec.session_affinity_config.as_ref();
    match text(&spec.session_affinity) {
        "ClientIP" => {
            let client_ip = config.and_then(|config| config.client_ip.as_ref());
            match client_ip.map(|config| config.timeout_seconds) {
                None => {
                    let detail = "when session affinity type is ClientIP";
                    faults.push(FieldError::required(path, detail));
                }
                Some(seconds) => {
                    let seconds = seconds.unwrap_or(0);
                    if !(1..=AFFINITY_SECONDS_MAX).contains(&seconds) {
                        let path = path.child("clientIP").child("timeoutSeconds");
                        let detail =
                            format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
                        faults.push(FieldError::invalid(path, seconds, detail));
                    }
                }
            }
        }
        "None" if config.is_some() => {
            faults
                .push(FieldError::forbidden(path, "must not be set when session affinity is None"));
        }
        _ => {}
    }
    faults
}

fn validate_balancer(service: &Service, spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let is_balancer = is_type(spec, &["LoadBalancer"]);
    let ranges = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    let annotations = service.metadata.annotations.as_ref();
    if !ranges.is_empty() {
        // The capital is upstream's slip.
        let path = path.child("LoadBalancerSourceRanges");
        if !is_balancer {
            faults.push(FieldError::forbidden(path.clone(), ONLY_BALANCER));
        }
        for (index, range) in ranges.iter().enumerate() {
            faults.extend(validate_cidr(range.trim(), &path.index(index)));
        }
    } else if let Some(ranges) = annotations.and_then(|all| all.get(SOURCE_RANGES)) {
        let path = Path::new("metadata").child("annotations").key(SOURCE_RANGES);
        if !is_balancer {
            faults.push(FieldError::forbidden(path.clone(), ONLY_BALANCER));
        }
        let ranges = ranges.trim().split(',').filter(|range| !range.is_empty());
        faults.extend(ranges.filter_map(|range| validate_cidr(range.trim(), &path)));
    }
    match (is_balancer, spec.allocate_load_balancer_node_ports) {
        (false, Some(_)) => {
            let path = path.child("allocateLoadBalancerNodePorts");
            faults.push(FieldError::forbidden(path, ONLY_BALANCER));
        }
        (true, None) => {
            faults.push(FieldError::required(Path::new("allocateLoadBalancerNodePorts"), ""));
        }
        _ => {}
    }
    if let Some(class) = &spec.load_balancer_class {
        let path = path.child("loadBalancerClass");
        if is_balancer {
            faults.extend(invalid_each(&path, class, meta::qualified_name(class)));
        } else {
            faults.push(FieldError::forbidden(path, ONLY_BALANCER));
        }
    }
    faults
}

fn validate_external_traffic(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let policy = text(&spec.external_traffic_policy);
    let policy_path = path.child("externalTrafficPolicy");
    if is_externally_accessible(spec) {
        faults.extend(one_of(&policy_path, policy, POLICIES));
    } else if !policy.is_empty() {
        let detail = "may only be set for externally-accessible services";
        faults.push(FieldError::invalid(policy_path, policy, detail));
    }
    let path = path.child("healthCheckNodePort");
    match (needs_health_check(spec), spec.health_check_node_port.unwrap_or(0)) {
        (false, 0) => {}
        (false, port) => {
            let detail = "may only be set when `type` is 'LoadBalancer' and \
                          `externalTrafficPolicy` is 'Local'";
            faults.push(FieldError::invalid(path, port, detail));
        }
        (true, 0) => faults.push(FieldError::required(path, "")),
        (true, port) => {
            faults.extend(invalid_number(&path, port, meta::port_number(i64::from(port))));
        }
    }
    faults
}

fn validate_internal_traffic(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let policy = path.child("internalTrafficPolicy");
    let mut faults = Vec::new();
    match &spec.internal_traffic_policy {
        None if is_type(spec, &["ClusterIP", "NodePort", "LoadBalancer"]) => {
            faults.push(FieldError::required(policy, ""));
        }
        None => {}
        Some(word) if POLICIES.contains(&word.as_str()) => {}
        Some(word) => faults.push(FieldError::not_supported(policy, word.as_str(), POLICIES)),
    }
    if let Some(word) = &spec.traffic_distribution
        && word != "PreferClose"
    {
        let path = path.child("trafficDistribution");
        faults.push(FieldError::not_supported(path, word.as_str(), &["PreferClose"]));
    }
    faults
}

//! A Service's row in `kubectl get`.
//!
//! Upstream: `printService` in `pkg/printers/internalversion/printers.go`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use serde_json::Value;

use super::cluster_ips;
use crate::control_plane::registry::Column;
use crate::control_plane::registry::print::{self, AGE, NAME, column, labels, wide};
use crate::control_plane::registry::rules::text;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "Who can reach it: ClusterIP, NodePort, LoadBalancer, or ExternalName."),
    column("Cluster-IP", "Its address inside the cluster."),
    column("External-IP", "Where it can be reached from outside."),
    column("Port(s)", "Its ports, with those of the nodes that lead to them."),
    AGE,
    wide("Selector", "The labels of the Pods that serve it."),
];

pub(super) fn row(service: &Service, now: Timestamp) -> Vec<Value> {
    let spec = service.spec.clone().unwrap_or_default();
    let cluster_ip = cluster_ips(&spec).first().map_or("<none>", String::as_str);
    vec![
        print::name(&service.metadata),
        text(&spec.type_).into(),
        cluster_ip.into(),
        external_ip(service).into(),
        ports(spec.ports.as_deref().unwrap_or_default()).into(),
        print::age(&service.metadata, now),
        labels(spec.selector.as_ref()).into(),
    ]
}

fn external_ip(service: &Service) -> String {
    let spec = service.spec.clone().unwrap_or_default();
    let external_ips = spec.external_ips.unwrap_or_default();
    let or = |addresses: Vec<String>, placeholder: &str| match addresses.is_empty() {
        true => placeholder.to_owned(),
        false => addresses.join(","),
    };
    match text(&spec.type_) {
        "ClusterIP" | "NodePort" => or(external_ips, "<none>"),
        "LoadBalancer" => {
            let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref());
            let addresses: BTreeSet<String> = ingress
                .into_iter()
                .flatten()
                .filter_map(|ingress| {
                    let address = ingress.ip.clone().filter(|ip| !ip.is_empty());
                    address.or_else(|| ingress.hostname.clone().filter(|name| !name.is_empty()))
                })
                .collect();
            or(addresses.into_iter().chain(external_ips).collect(), "<pending>")
        }
        "ExternalName" => text(&spec.external_name).to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(ports: &[ServicePort]) -> String {
    let piece = |port: &ServicePort| {
        let protocol = text(&port.protocol);
        match port.node_port {
            Some(node_port) if node_port > 0 => format!("{}:{node_port}/{protocol}", port.port),
            _ => format!("{}/{protocol}", port.port),
        }
    };
    if ports.is_empty() {
        return "<none>".to_owned();
    }
    ports.iter().map(piece).collect::<Vec<_>>().join(",")
}

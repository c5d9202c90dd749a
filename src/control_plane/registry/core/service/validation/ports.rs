//! A Service's ports.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;

use super::is_type;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::rules::{PROTOCOLS, invalid_number, one_of, text};

pub(super) fn validate(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let ports = spec.ports.as_deref().unwrap_or_default();
    let mut names = HashSet::new();
    let mut faults = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        match text(&port.name) {
            "" if ports.len() > 1 => faults.push(FieldError::required(path.child("name"), "")),
            "" => {}
            name => {
                let path = path.child("name");
                faults.extend(invalid_each(&path, name, meta::dns1123_label(name)));
                if !names.insert(name) {
                    faults.push(FieldError::duplicate(path, name));
                }
            }
        }
        faults.extend(validate_port(port, &path));
    }
    faults
}

fn validate_port(port: &ServicePort, path: &Path) -> Vec<FieldError> {
    let number = |field, number: i32| {
        invalid_number(&path.child(field), number, meta::port_number(i64::from(number)))
    };
    let mut faults = number("port", port.port);
    faults.extend(one_of(&path.child("protocol"), text(&port.protocol), PROTOCOLS));
    match &port.target_port {
        Some(IntOrString::Int(target)) => faults.extend(number("targetPort", *target)),
        Some(IntOrString::String(name)) => {
            let path = path.child("targetPort");
            faults.extend(invalid_each(&path, name, meta::port_name(name)));
        }
        None => {}
    }
    if let Some(protocol) = &port.app_protocol {
        let path = path.child("appProtocol");
        faults.extend(invalid_each(&path, protocol, meta::qualified_name(protocol)));
    }
    faults
}

pub(super) fn validate_node_ports(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let node_ports = spec.ports.iter().flatten().enumerate();
    let node_ports = node_ports
        .filter_map(|(index, port)| Some((index, port, port.node_port.filter(|port| *port != 0)?)));
    let mut taken = HashSet::new();
    let mut faults = Vec::new();
    for (index, port, node_port) in node_ports {
        let path = path.index(index).child("nodePort");
        if is_type(spec, &["ClusterIP"]) {
            let detail = "may not be used when `type` is 'ClusterIP'";
            faults.push(FieldError::forbidden(path.clone(), detail));
        }
        if !taken.insert((text(&port.protocol), node_port)) {
            faults.push(FieldError::duplicate(path, node_port));
        }
    }
    faults
}

pub(super) fn validate_distinct(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let mut taken = HashSet::new();
    let mut faults = Vec::new();
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        let protocol = text(&port.protocol);
        if !taken.insert((protocol, port.port)) {
            let value = json!({"protocol": protocol, "port": port.port});
            faults.push(FieldError::duplicate(path.index(index), value));
        }
    }
    faults
}

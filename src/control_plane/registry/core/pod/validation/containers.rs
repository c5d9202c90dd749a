//! Containers of the three sorts, and what their sort may not have.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ContainerPort, ContainerResizePolicy, PodSpec};

use super::{env, ephemeral, handlers, invalid_number, one_of, resources, security, text, volumes};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};

pub(super) fn validate(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = validate_regular(spec, &path.child("containers"));
    faults.extend(validate_init(spec, &path.child("initContainers")));
    faults.extend(ephemeral::validate(spec, &path.child("ephemeralContainers")));
    faults
}

fn validate_regular(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    if spec.containers.is_empty() {
        return vec![FieldError::required(path.clone(), "")];
    }
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (index, container) in spec.containers.iter().enumerate() {
        let path = path.index(index);
        faults.extend(validate_common(container, spec, &path));
        if !names.insert(&container.name) {
            faults.push(FieldError::duplicate(path.child("name"), container.name.as_str()));
        }
        faults.extend(handlers::validate(container, spec, &path));
        if container.restart_policy.is_some() {
            let detail = "may not be set for non-init containers";
            faults.push(FieldError::forbidden(path.child("restartPolicy"), detail));
        }
    }
    faults.extend(validate_host_ports(&spec.containers, path));
    faults
}

fn validate_init(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut names: BTreeSet<&str> = spec.containers.iter().map(|one| one.name.as_str()).collect();
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        let idx_path = path.index(index);
        faults.extend(validate_common(container, spec, &idx_path));
        if let Some(policy) = container.restart_policy.as_deref().filter(|one| *one != "Always") {
            let path = idx_path.child("restartPolicy");
            faults.push(FieldError::not_supported(path, policy, &["Always"]));
        }
        if !container.name.is_empty() && !names.insert(&container.name) {
            faults.push(FieldError::duplicate(idx_path.child("name"), container.name.as_str()));
        }
        // One at a time, since init containers run one after the other.
        faults.extend(validate_host_ports(std::slice::from_ref(container), path));
        if container.restart_policy.as_deref() == Some("Always") {
            faults.extend(handlers::validate(container, spec, &idx_path));
        } else {
            faults.extend(forbid_handlers(container, &idx_path));
        }
    }
    faults
}

fn forbid_handlers(container: &Container, path: &Path) -> Vec<FieldError> {
    let fields = [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ];
    const DETAIL: &str = "may not be set for init containers without restartPolicy=Always";
    let given = fields.into_iter().filter(|(_, given)| *given);
    given.map(|(field, _)| FieldError::forbidden(path.child(field), DETAIL)).collect()
}

/// What holds for containers of every sort.
pub(super) fn validate_common(
    container: &Container,
    spec: &PodSpec,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let name = &container.name;
    if name.is_empty() {
        faults.push(FieldError::required(path.child("name"), ""));
    } else {
        faults.extend(invalid_each(&path.child("name"), name, meta::dns1123_label(name)));
    }
    if text(&container.image).is_empty() {
        faults.push(FieldError::required(path.child("image"), ""));
    }
    faults.extend(one_of(
        &path.child("terminationMessagePolicy"),
        text(&container.termination_message_policy),
        &["File", "FallbackToLogsOnError"],
    ));
    let ports = container.ports.as_deref().unwrap_or_default();
    faults.extend(validate_ports(ports, &path.child("ports")));
    faults.extend(env::validate(container, path));
    faults.extend(volumes::validate_mounts(container, spec, path));
    faults.extend(one_of(
        &path.child("imagePullPolicy"),
        text(&container.image_pull_policy),
        &["Always", "IfNotPresent", "Never"],
    ));
    if let Some(requirements) = &container.resources {
        faults.extend(resources::validate(requirements, spec, &path.child("resources")));
    }
    let resize = container.resize_policy.as_deref().unwrap_or_default();
    faults.extend(validate_resize_policy(resize, spec, &path.child("resizePolicy")));
    if let Some(context) = &container.security_context {
        faults.extend(security::validate_container(context, spec, &path.child("securityContext")));
    }
    faults
}

/// Only for Pods: in templates a blank image is a known trick of some tools.
pub(super) fn validate_images(containers: &[Container], path: &Path) -> Vec<FieldError> {
    let images = containers.iter().enumerate();
    images.filter_map(|(index, container)| validate_image(container, &path.index(index))).collect()
}

pub(super) fn validate_image(container: &Container, path: &Path) -> Option<FieldError> {
    let image = text(&container.image);
    let padded = image.trim().len() != image.len();
    let detail = "must not have leading or trailing whitespace";
    padded.then(|| FieldError::invalid(path.child("image"), image, detail))
}

fn validate_ports(ports: &[ContainerPort], path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        if !name.is_empty() {
            let complaints = meta::port_name(name);
            if complaints.is_empty() && !names.insert(name) {
                faults.push(FieldError::duplicate(path.child("name"), name));
            }
            faults.extend(invalid_each(&path.child("name"), name, complaints));
        }
        let number = |field: &'static str, port: i32| {
            invalid_number(&path.child(field), port, meta::port_number(i64::from(port)))
        };
        match port.container_port {
            0 => faults.push(FieldError::required(path.child("containerPort"), "")),
            port => faults.extend(number("containerPort", port)),
        }
        if let Some(port) = port.host_port.filter(|port| *port != 0) {
            faults.extend(number("hostPort", port));
        }
        let protocol = text(&port.protocol);
        faults.extend(one_of(&path.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]));
    }
    faults
}

/// No two of these containers ask for the same port of the host.
fn validate_host_ports(containers: &[Container], path: &Path) -> Vec<FieldError> {
    let mut taken = BTreeSet::new();
    let mut faults = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        for (port_index, port) in container.ports.iter().flatten().enumerate() {
            let Some(number) = port.host_port.filter(|port| *port != 0) else { continue };
            let key = format!("{}/{}/{number}", text(&port.protocol), text(&port.host_ip));
            if !taken.insert(key.clone()) {
                let path = path.index(index).child("ports").index(port_index).child("hostPort");
                faults.push(FieldError::duplicate(path, key));
            }
        }
    }
    faults
}

fn validate_resize_policy(
    policies: &[ContainerResizePolicy],
    spec: &PodSpec,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, policy) in policies.iter().enumerate() {
        let (resource, restart) = (policy.resource_name.as_str(), policy.restart_policy.as_str());
        if !seen.insert(resource) {
            faults.push(FieldError::duplicate(path.index(index), resource));
        }
        faults.extend(one_of(path, resource, &["cpu", "memory"]));
        faults.extend(one_of(path, restart, &["NotRequired", "RestartContainer"]));
        if text(&spec.restart_policy) == "Never" && restart != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            faults.push(FieldError::invalid(path.clone(), restart, detail));
        }
    }
    faults
}

//! Containers that a Pod gets while it runs, for whoever debugs it: what they may have, and that they
//! only come, never change or go.
//!
//! Upstream: `validateEphemeralContainers`, `ValidatePodEphemeralContainersUpdate`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{EphemeralContainer, Pod, PodSpec};

use super::containers::{validate_common, validate_image};
use super::{text, validate_pod_spec};
use crate::api::fields::{FieldError, Path};
use crate::api::pod::as_container;
use crate::control_plane::registry::changes::changes;

const REFUSAL: &str = "cannot be set for an Ephemeral Container";
/// On the object that a kubelet keeps of a Pod which it did not get from the API server.
const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) fn validate(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let lasting = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let lasting: BTreeSet<&str> = lasting.map(|container| container.name.as_str()).collect();
    let mut names = lasting.clone();
    let mut faults = Vec::new();
    for (index, ephemeral) in spec.ephemeral_containers.iter().flatten().enumerate() {
        let path = path.index(index);
        let container = as_container(ephemeral);
        faults.extend(validate_common(&container, spec, &path));
        faults.extend(validate_image(&container, &path));
        if !names.insert(&ephemeral.name) {
            faults.push(FieldError::duplicate(path.child("name"), ephemeral.name.as_str()));
        }
        let target = text(&ephemeral.target_container_name);
        if !target.is_empty() && !lasting.contains(target) {
            faults.push(FieldError::not_found(path.child("targetContainerName"), target));
        }
        let forbidden = forbidden(ephemeral, &path).into_iter();
        faults.extend(forbidden.map(|path| FieldError::forbidden(path, REFUSAL)));
    }
    faults
}

/// The fields it has and may not have: nobody is to rely on it, and it leaves nothing behind.
fn forbidden(container: &EphemeralContainer, path: &Path) -> Vec<Path> {
    fn is_given<T>(list: Option<&Vec<T>>) -> bool {
        list.is_some_and(|list| !list.is_empty())
    }
    let resources = container.resources.as_ref();
    let fields = [
        ("ports", is_given(container.ports.as_ref())),
        ("resources", resources.is_some_and(|resources| *resources != Default::default())),
        ("resizePolicy", is_given(container.resize_policy.as_ref())),
        ("restartPolicy", container.restart_policy.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
        ("lifecycle", container.lifecycle.is_some()),
    ];
    let given = fields.into_iter().filter(|(_, given)| *given);
    let mut paths: Vec<Path> = given.map(|(field, _)| path.child(field)).collect();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = path.child("volumeMounts").index(index);
        let fields = [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)];
        let given = fields.into_iter().filter(|(_, given)| !text(given).is_empty());
        paths.extend(given.map(|(field, _)| path.child(field)));
    }
    paths
}

/// `pod` differs from `old` in its ephemeral containers only: they may be added.
pub(in super::super) fn validate_ephemeral_update(pod: &Pod, old: &Pod) -> Vec<FieldError> {
    let (Some(spec), Some(old_spec)) = (&pod.spec, &old.spec) else {
        return vec![FieldError::required(Path::new("spec").child("containers"), "")];
    };
    let is_mirror = old.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR));
    if is_mirror {
        // Upstream's path is one empty name, which is shown so.
        let detail = "static pods do not support ephemeral containers";
        return vec![FieldError::forbidden(Path::new("[]"), detail)];
    }
    let path = Path::new("spec").child("ephemeralContainers");
    let mut faults = validate_pod_spec(spec);
    for old in old_spec.ephemeral_containers.iter().flatten() {
        let name = &old.name;
        // A patch need not keep their order.
        let new = spec.ephemeral_containers.iter().flatten().find(|new| new.name == *name);
        let Some(new) = new else {
            let detail = format!("existing ephemeral containers {name:?} may not be removed\n");
            faults.push(FieldError::forbidden(path.clone(), detail));
            continue;
        };
        let changes = changes(&path.key(name), new, old);
        if !changes.is_empty() {
            let changes = changes.join("\n");
            let detail =
                format!("existing ephemeral containers {name:?} may not be changed\n{changes}");
            faults.push(FieldError::forbidden(path.clone(), detail));
        }
    }
    faults
}

//! Environment variables and where their values come from.

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, EnvVarSource};

use super::{downward, text};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};

const FIELD_PATHS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

pub(super) fn validate(container: &Container, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (index, variable) in container.env.iter().flatten().enumerate() {
        faults.extend(validate_variable(variable, &path.child("env").index(index)));
    }
    for (index, source) in container.env_from.iter().flatten().enumerate() {
        faults.extend(validate_env_from(source, &path.child("envFrom"), index));
    }
    faults
}

fn validate_variable(variable: &EnvVar, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if variable.name.is_empty() {
        faults.push(FieldError::required(path.child("name"), ""));
    } else {
        let complaints = meta::env_var_name(&variable.name);
        faults.extend(invalid_each(&path.child("name"), &variable.name, complaints));
    }
    if let Some(source) = &variable.value_from {
        faults.extend(validate_value_from(source, variable, &path.child("valueFrom")));
    }
    faults
}

fn validate_value_from(source: &EnvVarSource, variable: &EnvVar, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        faults.extend(downward::validate_field(field, FIELD_PATHS, &path.child("fieldRef")));
    }
    if let Some(resource) = &source.resource_field_ref {
        sources += 1;
        let path = path.child("resourceFieldRef");
        faults.extend(downward::validate_resource(resource, false, &path));
    }
    if let Some(reference) = &source.config_map_key_ref {
        sources += 1;
        let path = path.child("configMapKeyRef");
        faults.extend(validate_key(&reference.name, &reference.key, &path));
    }
    if let Some(reference) = &source.secret_key_ref {
        sources += 1;
        let path = path.child("secretKeyRef");
        faults.extend(validate_key(&reference.name, &reference.key, &path));
    }
    let detail = match sources {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        }
        _ if !text(&variable.value).is_empty() => "may not be specified when `value` is not empty",
        1 => return faults,
        _ => "may not have more than one field specified at a time",
    };
    faults.push(FieldError::invalid(path.clone(), "", detail));
    faults
}

fn validate_key(name: &str, key: &str, path: &Path) -> Vec<FieldError> {
    let mut faults = invalid_each(&path.child("name"), name, meta::dns1123_subdomain(name));
    if key.is_empty() {
        faults.push(FieldError::required(path.child("key"), ""));
    } else {
        faults.extend(invalid_each(&path.child("key"), key, meta::config_map_key(key)));
    }
    faults
}

/// Upstream reports a wrong number of sources at the list, not at its entry.
fn validate_env_from(source: &EnvFromSource, list: &Path, index: usize) -> Vec<FieldError> {
    let path = list.index(index);
    let mut faults = Vec::new();
    let prefix = text(&source.prefix);
    if !prefix.is_empty() {
        faults.extend(invalid_each(&path.child("prefix"), prefix, meta::env_var_name(prefix)));
    }
    let references = [
        ("configMapRef", source.config_map_ref.as_ref().map(|one| &one.name)),
        ("secretRef", source.secret_ref.as_ref().map(|one| &one.name)),
    ];
    let given = references.iter().filter_map(|(field, name)| Some((field, name.as_ref()?)));
    for (field, name) in given.clone() {
        let path = path.child(*field).child("name");
        if name.is_empty() {
            faults.push(FieldError::required(path, ""));
        } else {
            // A prefix of a generated name will do, as upstream has it.
            let whole = name.strip_suffix('-').unwrap_or(name);
            faults.extend(invalid_each(&path, name, meta::dns1123_subdomain(whole)));
        }
    }
    let detail = match given.count() {
        0 => "must specify one of: `configMapRef` or `secretRef`",
        1 => return faults,
        _ => "may not have more than one field specified at a time",
    };
    faults.push(FieldError::invalid(list.clone(), "", detail));
    faults
}

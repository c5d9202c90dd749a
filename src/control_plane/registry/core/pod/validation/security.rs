//! Security contexts of Pods and containers.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext,
};
use serde_json::Value;

use super::{invalid_number, text, volumes};
use crate::api::fields::{FieldError, Path};
use crate::api::meta;

const PROFILE_TYPES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

/// PATH_MAX - 1.
const APP_ARMOR_PROFILE_BYTES_MAX: usize = 4095;

/// The Pod's own context, and the host namespaces it asks for.
pub(super) fn validate_pod(spec: &PodSpec, spec_path: &Path) -> Vec<FieldError> {
    let path = spec_path.child("securityContext");
    let mut faults = validate_host_users(spec, spec_path);
    let Some(context) = &spec.security_context else { return faults };
    let groups = context.supplemental_groups.as_deref().unwrap_or_default();
    faults.extend(validate_id(context.fs_group, &path.child("fsGroup")));
    faults.extend(validate_id(context.run_as_user, &path.child("runAsUser")));
    faults.extend(validate_id(context.run_as_group, &path.child("runAsGroup")));
    for (index, group) in groups.iter().enumerate() {
        let path = path.child("supplementalGroups").index(index);
        faults.extend(validate_id(Some(*group), &path));
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let path = path.child("shareProcessNamespace");
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        faults.push(FieldError::invalid(path, true, detail));
    }
    faults.extend(validate_sysctls(context, &path.child("sysctls")));
    faults.extend(validate_seccomp(context.seccomp_profile.as_ref(), &path));
    faults.extend(validate_app_armor(context.app_armor_profile.as_ref(), &path));
    let words = [
        ("fsGroupChangePolicy", &context.fs_group_change_policy, ["Always", "OnRootMismatch"]),
        ("supplementalGroupsPolicy", &context.supplemental_groups_policy, ["Merge", "Strict"]),
        ("seLinuxChangePolicy", &context.se_linux_change_policy, ["MountOption", "Recursive"]),
    ];
    for (field, word, supported) in words {
        if let Some(word) = word.as_deref().filter(|word| !supported.contains(word)) {
            faults.push(FieldError::not_supported(path.child(field), word, &supported));
        }
    }
    faults
}

fn validate_host_users(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    if spec.host_users != Some(false) {
        return Vec::new();
    }
    let fields = [
        ("hostNetwork", spec.host_network),
        ("HostPID", spec.host_pid),
        ("HostIPC", spec.host_ipc),
    ];
    let given = fields.into_iter().filter(|(_, given)| *given == Some(true));
    given
        .map(|(field, _)| {
            FieldError::forbidden(path.child(field), "when `pod.Spec.HostUsers` is false")
        })
        .collect()
}

pub(super) fn validate_container(
    context: &SecurityContext,
    spec: &PodSpec,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = validate_id(context.run_as_user, &path.child("runAsUser"));
    faults.extend(validate_id(context.run_as_group, &path.child("runAsGroup")));
    if let Some(mount) = context.proc_mount.as_deref() {
        let path = path.child("procMount");
        match mount {
            "Default" => {}
            "Unmasked" if spec.host_users == Some(false) => {}
            "Unmasked" => {
                let detail = "`hostUsers` must be false to use `Unmasked`";
                faults.push(FieldError::invalid(path, mount, detail));
            }
            _ => faults.push(FieldError::not_supported(path, mount, &["Default", "Unmasked"])),
        }
    }
    faults.extend(validate_seccomp(context.seccomp_profile.as_ref(), path));
    faults.extend(validate_escalation(context, path));
    faults.extend(validate_app_armor(context.app_armor_profile.as_ref(), path));
    faults
}

/// A container that may not gain privileges cannot begin with them.
fn validate_escalation(context: &SecurityContext, path: &Path) -> Vec<FieldError> {
    if context.allow_privilege_escalation != Some(false) {
        return Vec::new();
    }
    let value = || serde_json::to_value(context).unwrap_or(Value::Null);
    let mut faults = Vec::new();
    if context.privileged == Some(true) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        faults.push(FieldError::invalid(path.clone(), value(), detail));
    }
    let added = context.capabilities.iter().filter_map(|one| one.add.as_ref()).flatten();
    if added.into_iter().any(|capability| capability == "CAP_SYS_ADMIN") {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` \
                      CAP_SYS_ADMIN";
        faults.push(FieldError::invalid(path.clone(), value(), detail));
    }
    faults
}

/// A user or group.
fn validate_id(id: Option<i64>, path: &Path) -> Vec<FieldError> {
    let Some(id) = id else { return Vec::new() };
    invalid_number(path, id, meta::in_range(id, 0, i64::from(i32::MAX)))
}

fn validate_seccomp(profile: Option<&SeccompProfile>, path: &Path) -> Vec<FieldError> {
    let Some(profile) = profile else { return Vec::new() };
    let path = path.child("seccompProfile");
    let mut faults = Vec::new();
    match profile.type_.as_str() {
        "" => {
            let detail = "type is required when seccompProfile is set";
            faults.push(FieldError::required(path.child("type"), detail));
        }
        kind if PROFILE_TYPES.contains(&kind) => {}
        kind => faults.push(FieldError::not_supported(path.child("type"), kind, PROFILE_TYPES)),
    }
    let local = path.child("localhostProfile");
    match (profile.type_ == "Localhost", &profile.localhost_profile) {
        (true, None) => {
            let detail = "must be set when seccomp type is Localhost";
            faults.push(FieldError::required(local, detail));
        }
        (true, Some(profile)) => faults.extend(volumes::descending_path(profile, &local)),
        (false, Some(profile)) => {
            let detail = "can only be set when seccomp type is Localhost";
            faults.push(FieldError::invalid(local, profile.as_str(), detail));
        }
        (false, None) => {}
    }
    faults
}

fn validate_app_armor(profile: Option<&AppArmorProfile>, path: &Path) -> Vec<FieldError> {
    let Some(profile) = profile else { return Vec::new() };
    let path = path.child("appArmorProfile");
    let local = path.child("localhostProfile");
    let name = text(&profile.localhost_profile);
    let mut faults = Vec::new();
    match profile.type_.as_str() {
        "Localhost" if name.trim() != name => {
            let detail = "must not be padded with whitespace";
            faults.push(FieldError::invalid(local, name, detail));
        }
        "Localhost" if name.is_empty() => {
            let detail = "must be set when AppArmor type is Localhost";
            faults.push(FieldError::required(local, detail));
        }
        "Localhost" if name.len() > APP_ARMOR_PROFILE_BYTES_MAX => {
            faults.push(FieldError::too_long(local, APP_ARMOR_PROFILE_BYTES_MAX));
        }
        "Localhost" => {}
        "" => {
            let detail = "type is required when appArmorProfile is set";
            faults.push(FieldError::required(path.child("type"), detail));
        }
        kind if !PROFILE_TYPES.contains(&kind) => {
            faults.push(FieldError::not_supported(path.child("type"), kind, PROFILE_TYPES));
        }
        _ if profile.localhost_profile.is_some() => {
            let detail = "can only be set when AppArmor type is Localhost";
            faults.push(FieldError::invalid(local, name, detail));
        }
        _ => {}
    }
    faults
}

fn validate_sysctls(context: &PodSecurityContext, path: &Path) -> Vec<FieldError> {
    const PATTERN: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (index, sysctl) in context.sysctls.iter().flatten().enumerate() {
        let path = path.index(index).child("name");
        let name = sysctl.name.as_str();
        if name.is_empty() {
            faults.push(FieldError::required(path, ""));
        } else if !is_sysctl(name) {
            let detail = format!("must have at most 253 characters and match regex {PATTERN}");
            faults.push(FieldError::invalid(path, name, detail));
        } else if !names.insert(name) {
            faults.push(FieldError::duplicate(path, name));
        }
    }
    faults
}

fn is_sysctl(name: &str) -> bool {
    let inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| !b"-_".contains(byte));
    let segment = |part: &str| {
        let bytes = part.as_bytes();
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|byte| inner(*byte))
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}

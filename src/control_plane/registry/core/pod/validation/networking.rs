//! Names and addresses: DNS, host aliases, the host's network.

use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};

use super::text;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::rules::validate_ip;

/// Bounds of libc's resolver.
const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_LIST_CHARS_MAX: usize = 2048;

pub(super) fn validate(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = validate_dns(spec, &path.child("dnsConfig"));
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let path = path.child("hostAliases").index(index);
        faults.extend(validate_ip(&alias.ip, &path.child("ip")));
        for (index, name) in alias.hostnames.iter().flatten().enumerate() {
            let path = path.child("hostnames").index(index);
            faults.extend(invalid_each(&path, name, meta::dns1123_subdomain(name)));
        }
    }
    faults
}

/// On the host's network a container's port is the host's.
pub(super) fn validate_host_network(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if spec.host_network != Some(true) {
        return faults;
    }
    for (index, container) in spec.containers.iter().enumerate() {
        for (port_index, port) in container.ports.iter().flatten().enumerate() {
            let host_port = port.host_port.unwrap_or(0);
            if host_port != port.container_port {
                let path = path.child("containers").index(index).child("ports").index(port_index);
                let detail = "must match `containerPort` when `hostNetwork` is true";
                faults.push(FieldError::invalid(path.child("hostPort"), host_port, detail));
            }
        }
    }
    faults
}

fn validate_dns(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let config = spec.dns_config.as_ref();
    if text(&spec.dns_policy) == "None" {
        let nameservers = config.and_then(|config| config.nameservers.as_ref());
        if config.is_none() {
            let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
            return vec![FieldError::required(path.clone(), detail)];
        }
        if nameservers.is_none_or(Vec::is_empty) {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return vec![FieldError::required(path.child("nameservers"), detail)];
        }
    }
    config.map(|config| validate_dns_config(config, path)).unwrap_or_default()
}

fn validate_dns_config(config: &PodDNSConfig, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let nameservers = config.nameservers.as_deref().unwrap_or_default();
    let list = path.child("nameservers");
    if nameservers.len() > NAMESERVERS_MAX {
        let detail = format!("must not have more than {NAMESERVERS_MAX} nameservers");
        faults.push(FieldError::invalid(list.clone(), nameservers.to_vec(), detail));
    }
    for (index, address) in nameservers.iter().enumerate() {
        faults.extend(validate_ip(address, &list.index(index)));
    }
    let searches = config.searches.as_deref().unwrap_or_default();
    let list = path.child("searches");
    if searches.len() > SEARCHES_MAX {
        let detail = format!("must not have more than {SEARCHES_MAX} search paths");
        faults.push(FieldError::invalid(list.clone(), searches.to_vec(), detail));
    }
    if searches.join(" ").len() > SEARCH_LIST_CHARS_MAX {
        let detail = format!(
            "must not have more than {SEARCH_LIST_CHARS_MAX} characters (including spaces) in the \
             search list"
        );
        faults.push(FieldError::invalid(list.clone(), searches.to_vec(), detail));
    }
    for (index, search) in searches.iter().enumerate() {
        let search = search.strip_suffix('.').unwrap_or(search);
        faults.extend(invalid_each(&list.index(index), search, meta::dns1123_subdomain(search)));
    }
    for (index, option) in config.options.iter().flatten().enumerate() {
        if text(&option.name).is_empty() {
            let path = path.child("options").index(index);
            faults.push(FieldError::required(path, "must not be empty"));
        }
    }
    faults
}

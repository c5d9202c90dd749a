//! A Service's addresses and their families.

use std::collections::HashSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::ServiceSpec;

use super::super::{HEADLESS, cluster_ips, ip_families, is_headless, is_type};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::rules::{one_of, text, validate_ip};

const FAMILIES: &[&str] = &["IPv4", "IPv6"];
const FAMILY_POLICIES: &[&str] = &["PreferDualStack", "RequireDualStack", "SingleStack"];
const LASTING: &str = "may not change once set";

/// Upstream: `ValidateServiceClusterIPsRelatedFields`.
pub(in super::super) fn validate_cluster_ips(spec: &ServiceSpec) -> Vec<FieldError> {
    if is_type(spec, &["ExternalName"]) {
        return Vec::new();
    }
    let path = Path::new("spec");
    let ips = cluster_ips(spec);
    let list = path.child("clusterIPs");
    let whole = |detail: &str| FieldError::invalid(list.clone(), ips.to_vec(), detail);
    let mut faults = Vec::new();
    match (text(&spec.cluster_ip), ips.first()) {
        ("", None) => {}
        ("", Some(_)) => faults.push(whole("must be empty when `clusterIP` is not specified")),
        (_, None) => faults.push(FieldError::required(list.clone(), "")),
        (said, Some(first)) if said != first => {
            faults.push(whole("first value must match `clusterIP`"));
        }
        _ => {}
    }
    faults.extend(validate_families(spec, &path));
    let mut malformed = false;
    for (index, ip) in ips.iter().enumerate() {
        let fault = match index {
            0 if ip == HEADLESS && ips.len() == 1 => None,
            0 if ip == HEADLESS => Some(whole("'None' must be the first and only value")),
            _ => validate_ip(ip, &list.index(index)),
        };
        malformed |= fault.is_some();
        faults.extend(fault);
    }
    if ips.len() > 2 {
        faults.push(whole("may only hold up to 2 values"));
    }
    if malformed {
        return faults;
    }
    let versions: HashSet<bool> = ips.iter().map(|ip| is_v6(ip)).collect();
    if ips.len() > 1 && (versions.len() != 2 || ips.len() != 2) {
        faults.push(whole("may specify no more than one IP for each IP family"));
    }
    if !is_headless(spec) {
        for (index, (ip, family)) in ips.iter().zip(ip_families(spec)).enumerate() {
            if (family == "IPv6") != is_v6(ip) {
                let detail =
                    format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
                faults.push(FieldError::invalid(list.index(index), ip.as_str(), detail));
            }
        }
    }
    faults
}

fn validate_families(spec: &ServiceSpec, path: &Path) -> Vec<FieldError> {
    let mut seen = HashSet::new();
    let mut faults = Vec::new();
    for (index, family) in ip_families(spec).iter().enumerate() {
        let path = path.child("ipFamilies").index(index);
        if !FAMILIES.contains(&family.as_str()) {
            faults.push(FieldError::not_supported(path.clone(), family.as_str(), FAMILIES));
        }
        if !seen.insert(family) {
            faults.push(FieldError::duplicate(path, family.as_str()));
        }
    }
    if let Some(policy) = &spec.ip_family_policy {
        faults.extend(one_of(&path.child("ipFamilyPolicy"), policy, FAMILY_POLICIES));
    }
    faults
}

fn is_v6(ip: &str) -> bool {
    ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6())
}

/// What was given stays, unless the Service becomes an ExternalName or ceases to be one.
///
/// Upstream: `validateUpgradeDowngradeClusterIPs`, `validateUpgradeDowngradeIPFamilies`.
pub(super) fn validate_update(spec: &ServiceSpec, old: &ServiceSpec) -> Vec<FieldError> {
    if is_type(spec, &["ExternalName"]) || is_type(old, &["ExternalName"]) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if !(is_headless(spec) && is_headless(old)) {
        let words = ("clusterIPs", "primary clusterIP can not be unset", "clusterIP");
        faults.extend(validate_lasting(spec, words, cluster_ips(spec), cluster_ips(old)));
    }
    if !is_headless(spec) && !is_headless(old) {
        let words = ("ipFamilies", "primary ipFamily can not be unset", "ipFamily");
        faults.extend(validate_lasting(spec, words, ip_families(spec), ip_families(old)));
    }
    faults
}

fn validate_lasting(
    spec: &ServiceSpec,
    (field, unset, each): (&'static str, &str, &str),
    new: &[String],
    old: &[String],
) -> Vec<FieldError> {
    let path = Path::new("spec");
    let fault = |index: usize, detail: &str| {
        FieldError::invalid(path.child(field).index(index), new.to_vec(), detail)
    };
    let mut faults = Vec::new();
    if old.len() == new.len() {
        let changed = old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new);
        return changed.map(|(index, _)| fault(index, LASTING)).collect();
    }
    match (old.first(), new.first()) {
        (Some(_), None) => faults.push(fault(0, unset)),
        (Some(old), Some(new)) if old != new => faults.push(fault(0, LASTING)),
        _ => {}
    }
    if old.len() > new.len() && new.len() == 1 && text(&spec.ip_family_policy) != "SingleStack" {
        let detail = format!("must be set to 'SingleStack' when releasing the secondary {each}");
        let policy = spec.ip_family_policy.clone();
        faults.push(FieldError::invalid(path.child("ipFamilyPolicy"), policy, detail));
    }
    faults
}

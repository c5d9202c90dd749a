//! Rules that kinds share: words, numbers, addresses.
//!
//! Upstream: `k8s.io/apimachinery/pkg/util/validation`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::api::meta;

/// What a port may be a port of. Upstream: `supportedPortProtocols`.
pub(super) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// An absent string and the empty one are the same to Go.
pub(super) fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

/// Fills in a string that was left out; Go clients spell "left out" as the empty string too.
pub(super) fn set_default(slot: &mut Option<String>, value: &str) {
    if text(slot).is_empty() {
        *slot = Some(value.to_owned());
    }
}

/// A word that must be there and be one of a few.
pub(super) fn one_of(path: &Path, word: &str, supported: &[&str]) -> Option<FieldError> {
    match word {
        "" => Some(FieldError::required(path.clone(), "")),
        word if supported.contains(&word) => None,
        word => Some(FieldError::not_supported(path.clone(), word, supported)),
    }
}

/// The complaints about a number, each as a fault at `path`.
pub(super) fn invalid_number(
    path: &Path,
    number: impl Into<Value>,
    complaints: Vec<String>,
) -> Vec<FieldError> {
    let number = number.into();
    let fault = |complaint| FieldError::invalid(path.clone(), number.clone(), complaint);
    complaints.into_iter().map(fault).collect()
}

/// The name of a program that looks after an object: `acme.io/foo`.
///
/// Upstream: `IsDomainPrefixedPath` in `validation.go`.
pub(super) fn validate_domain_prefixed_path(name: &str, path: &Path) -> Vec<FieldError> {
    if name.is_empty() {
        return vec![FieldError::required(path.clone(), "")];
    }
    let Some((domain, rest)) =
        name.split_once('/').filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty())
    else {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        return vec![FieldError::invalid(path.clone(), name, detail)];
    };
    let mut faults = meta::invalid_each(path, domain, meta::dns1123_subdomain(domain));
    let fits =
        |letter: u8| letter.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&letter);
    if !rest.bytes().all(fits) {
        let detail = "must be a valid path (regex used for validation is \
                      '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        faults.push(FieldError::invalid(path.clone(), rest, detail));
    }
    faults
}

/// Upstream: `validation.IsValidIP`.
pub(super) fn validate_ip(address: &str, path: &Path) -> Option<FieldError> {
    let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    let valid = address.parse::<IpAddr>().is_ok();
    (!valid).then(|| FieldError::invalid(path.clone(), address, detail))
}

/// Upstream: `validation.IsValidCIDR`. Bits behind the prefix may be set.
pub(super) fn validate_cidr(cidr: &str, path: &Path) -> Option<FieldError> {
    let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let valid = cidr.parse::<IpNet>().is_ok();
    (!valid).then(|| FieldError::invalid(path.clone(), cidr, detail))
}

/// Addresses that traffic may be sent to on somebody's behalf: not the host's own, not those of
/// its link, where clouds keep their metadata services.
///
/// Upstream: `ValidateEndpointIP`, once `ValidateNonSpecialIP`.
pub(super) fn validate_non_special_ip(address: &str, path: &Path) -> Vec<FieldError> {
    let fault = |detail: &str| FieldError::invalid(path.clone(), address, detail);
    let Ok(ip) = address.parse::<IpAddr>() else {
        return vec![fault("must be a valid IP address")];
    };
    let (link_local, link_local_multicast) = match ip.to_canonical() {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    let kinds = [
        (ip.is_unspecified(), "may not be unspecified (0.0.0.0 or ::)"),
        (
            ip.to_canonical().is_loopback(),
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            link_local_multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ];
    kinds.into_iter().filter(|(is, _)| *is).map(|(_, detail)| fault(detail)).collect()
}

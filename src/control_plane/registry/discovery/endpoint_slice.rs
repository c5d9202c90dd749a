//! EndpointSlices: where a Service's traffic goes, a hundred endpoints at a time.
//!
//! Upstream: `pkg/registry/discovery/endpointslice/strategy.go`,
//! `pkg/apis/discovery/validation/validation.go`.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::rules::{
    PROTOCOLS, one_of, set_default, text, validate_non_special_ip,
};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

const ADDRESS_TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];
/// Bounds of one slice, upstream's.
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
const ENDPOINTS_MAX: usize = 1000;
const HINTS_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct EndpointSlices;

impl Resource for EndpointSlices {
    type Object = EndpointSlice;

    const NAMES: Names =
        Names { plural: "endpointslices", singular: "endpointslice", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const GENERATION: bool = true;
    const CREATES_ON_UPDATE: bool = true;

    fn default(slice: &mut EndpointSlice) {
        for port in slice.ports.iter_mut().flatten() {
            port.name.get_or_insert_default();
            set_default(&mut port.protocol, "TCP");
        }
    }

    fn validate(slice: &EndpointSlice) -> Vec<FieldError> {
        let mut faults =
            Vec::from_iter(one_of(&Path::new("addressType"), &slice.address_type, ADDRESS_TYPES));
        faults.extend(validate_endpoints(slice));
        faults.extend(validate_ports(slice));
        faults
    }

    fn validate_update(slice: &EndpointSlice, old: &EndpointSlice) -> Vec<FieldError> {
        let mut faults = Self::validate(slice);
        if slice.address_type != old.address_type {
            let path = Path::new("addressType");
            let value = slice.address_type.as_str();
            faults.push(FieldError::invalid(path, value, "field is immutable"));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("AddressType", "What its addresses are: IPv4, IPv6 or FQDN."),
            column("Ports", "The ports of every endpoint."),
            column("Endpoints", "The addresses, ready or not."),
            AGE,
        ];
        COLUMNS
    }

    fn row(slice: &EndpointSlice, now: Timestamp) -> Vec<Value> {
        let port = |port: &k8s_openapi::api::discovery::v1::EndpointPort| {
            let name = || port.name.clone().unwrap_or_else(|| "*".to_owned());
            port.port.map_or_else(name, |number| number.to_string())
        };
        let ports = slice.ports.iter().flatten().map(port);
        let addresses = slice.endpoints.iter().flat_map(|endpoint| endpoint.addresses.clone());
        vec![
            print::name(&slice.metadata),
            slice.address_type.as_str().into(),
            print::list(ports, "<unset>").into(),
            print::list(addresses, "<unset>").into(),
            print::age(&slice.metadata, now),
        ]
    }
}

fn validate_endpoints(slice: &EndpointSlice) -> Vec<FieldError> {
    let path = Path::new("endpoints");
    if slice.endpoints.len() > ENDPOINTS_MAX {
        return vec![FieldError::too_many(path, slice.endpoints.len(), ENDPOINTS_MAX)];
    }
    let endpoints = slice.endpoints.iter().enumerate();
    endpoints
        .flat_map(|(index, endpoint)| {
            validate_endpoint(endpoint, &slice.address_type, &path.index(index))
        })
        .collect()
}

fn validate_endpoint(endpoint: &Endpoint, address_type: &str, path: &Path) -> Vec<FieldError> {
    let list = path.child("addresses");
    let mut faults = Vec::new();
    match endpoint.addresses.len() {
        0 => faults.push(FieldError::required(list.clone(), "must contain at least 1 address")),
        count if count > ADDRESSES_MAX => {
            faults.push(FieldError::too_many(list.clone(), count, ADDRESSES_MAX));
        }
        _ => {}
    }
    for (index, address) in endpoint.addresses.iter().enumerate() {
        faults.extend(validate_address(address, address_type, &list.index(index)));
    }
    if let Some(node) = endpoint.node_name.as_deref() {
        faults.extend(invalid_each(&path.child("nodeName"), node, meta::dns1123_subdomain(node)));
    }
    if let Some(hostname) = endpoint.hostname.as_deref() {
        let path = path.child("hostname");
        faults.extend(invalid_each(&path, hostname, meta::dns1123_label(hostname)));
    }
    if let Some(zones) = endpoint.hints.as_ref().and_then(|hints| hints.for_zones.as_ref()) {
        let path = path.child("hints").child("forZones");
        if zones.len() > HINTS_MAX {
            faults.push(FieldError::too_many(path, zones.len(), HINTS_MAX));
        }
    }
    faults
}

fn validate_address(address: &str, address_type: &str, path: &Path) -> Vec<FieldError> {
    let wrong = |detail: &str| vec![FieldError::invalid(path.clone(), address, detail)];
    let mut faults = match address_type {
        "IPv4" if address.parse::<Ipv4Addr>().is_err() => wrong("must be a valid IPv4 address"),
        "IPv6" if address.parse::<Ipv6Addr>().is_err() => wrong("must be a valid IPv6 address"),
        "FQDN" => {
            let name = address.strip_suffix('.').unwrap_or(address);
            let mut faults = invalid_each(path, address, meta::dns1123_subdomain(name));
            if !name.contains('.') {
                let detail = "should be a domain with at least two segments separated by dots";
                faults.push(FieldError::invalid(path.clone(), address, detail));
            }
            faults
        }
        _ => Vec::new(),
    };
    if ["IPv4", "IPv6"].contains(&address_type) {
        faults.extend(validate_non_special_ip(address, path));
    }
    faults
}

fn validate_ports(slice: &EndpointSlice) -> Vec<FieldError> {
    let path = Path::new("ports");
    let ports = slice.ports.as_deref().unwrap_or_default();
    if ports.len() > PORTS_MAX {
        return vec![FieldError::too_many(path, ports.len(), PORTS_MAX)];
    }
    let mut names = HashSet::new();
    let mut faults = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        if !name.is_empty() {
            let path = path.child("name");
            faults.extend(invalid_each(&path, name, meta::dns1123_label(name)));
        }
        if !names.insert(name) {
            faults.push(FieldError::duplicate(path.child("name"), name));
        }
        faults.extend(one_of(&path.child("protocol"), text(&port.protocol), PROTOCOLS));
        if let Some(protocol) = &port.app_protocol {
            let path = path.child("appProtocol");
            faults.extend(invalid_each(&path, protocol, meta::qualified_name(protocol)));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(value: Value) -> EndpointSlice {
        let mut slice: EndpointSlice = serde_json::from_value(value).unwrap();
        EndpointSlices::default(&mut slice);
        slice
    }

    fn faults(value: Value) -> Vec<String> {
        EndpointSlices::validate(&slice(value)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unset_list_says_so() {
        let row = |value| EndpointSlices::row(&slice(value), Timestamp::UNIX_EPOCH);
        let empty = row(json!({"addressType": "IPv4", "endpoints": []}));
        assert_eq!((&empty[2], &empty[3]), (&json!("<unset>"), &json!("<unset>")));
        let full = row(json!({
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.42.0.2"]}, {"addresses": ["10.42.0.3"]}],
            "ports": [{"port": 80}, {"name": "any"}],
        }));
        assert_eq!((&full[2], &full[3]), (&json!("80,any"), &json!("10.42.0.2,10.42.0.3")));
    }

    #[test]
    fn addresses_are_of_the_slices_type() {
        assert_eq!(
            faults(json!({"addressType": "IPv4", "endpoints": [
                {"addresses": ["fd00::1"]}, {"addresses": []},
                {"addresses": ["169.254.169.254"]}]})),
            [
                "endpoints[0].addresses[0]: Invalid value: \"fd00::1\": must be a valid IPv4 address",
                "endpoints[1].addresses: Required value: must contain at least 1 address",
                "endpoints[2].addresses[0]: Invalid value: \"169.254.169.254\": may not be in the link-local range (169.254.0.0/16, fe80::/10)",
            ]
        );
        assert_eq!(
            faults(json!({"addressType": "FQDN", "endpoints": [{"addresses": ["a.b."]}]})),
            [""; 0]
        );
        assert_eq!(
            faults(json!({"addressType": "Mail", "endpoints": []})),
            [
                "addressType: Unsupported value: \"Mail\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""
            ]
        );
    }

    #[test]
    fn ports_have_names_of_their_own() {
        assert_eq!(
            faults(
                json!({"addressType": "IPv4", "endpoints": [], "ports": [{"port": 1}, {"port": 2}]})
            ),
            ["ports[1].name: Duplicate value: \"\""]
        );
    }
}

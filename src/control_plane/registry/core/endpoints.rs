//! Endpoints: where a Service's traffic goes, as one list. EndpointSlices have replaced them; they
//! are kept for those who still read them, and for Services whose endpoints a user writes.
//!
//! Upstream: `pkg/registry/core/endpoint/strategy.go`.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::rules::{
    PROTOCOLS, invalid_number, one_of, set_default, text, validate_ip, validate_non_special_ip,
};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

#[derive(Debug)]
pub(crate) struct EndpointsObjects;

impl Resource for EndpointsObjects {
    type Object = Endpoints;

    const NAMES: Names =
        Names { plural: "endpoints", singular: "endpoints", short: &["ep"], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const CREATES_ON_UPDATE: bool = true;

    fn default(endpoints: &mut Endpoints) {
        for subset in endpoints.subsets.iter_mut().flatten() {
            for port in subset.ports.iter_mut().flatten() {
                set_default(&mut port.protocol, "TCP");
            }
        }
    }

    fn validate(endpoints: &Endpoints) -> Vec<FieldError> {
        validate_subsets(endpoints, &HashMap::new())
    }

    fn validate_update(endpoints: &Endpoints, old: &Endpoints) -> Vec<FieldError> {
        let addresses = old.subsets.iter().flatten().flat_map(addresses);
        let nodes = addresses
            .filter_map(|address| Some((address.ip.as_str(), address.node_name.as_deref()?)));
        validate_subsets(endpoints, &nodes.collect())
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] =
            &[NAME, column("Endpoints", "The addresses and ports that take traffic."), AGE];
        COLUMNS
    }

    fn row(endpoints: &Endpoints, now: Timestamp) -> Vec<Value> {
        let meta = &endpoints.metadata;
        vec![print::name(meta), cell(endpoints).into(), print::age(meta, now)]
    }
}

/// Upstream: `formatEndpoints`.
fn cell(endpoints: &Endpoints) -> String {
    let subsets = endpoints.subsets.as_deref().unwrap_or_default();
    let placeholder = if subsets.is_empty() { "<none>" } else { "" };
    let items = subsets.iter().flat_map(|subset| {
        let ips = subset.addresses.iter().flatten().map(|address| address.ip.as_str());
        let ports = subset.ports.as_deref().unwrap_or_default();
        if ports.is_empty() {
            return ips.map(str::to_owned).collect::<Vec<_>>();
        }
        ports.iter().flat_map(|port| ips.clone().map(|ip| with_port(ip, port.port))).collect()
    });
    print::list(items, placeholder)
}

fn with_port(ip: &str, port: i32) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

fn addresses(subset: &EndpointSubset) -> impl Iterator<Item = &EndpointAddress> {
    subset.addresses.iter().flatten().chain(subset.not_ready_addresses.iter().flatten())
}

/// `nodes`: on which node an address was; it does not move to another.
fn validate_subsets(endpoints: &Endpoints, nodes: &HashMap<&str, &str>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (index, subset) in endpoints.subsets.iter().flatten().enumerate() {
        let path = Path::new("subsets").index(index);
        if addresses(subset).next().is_none() {
            let detail = "must specify `addresses` or `notReadyAddresses`";
            faults.push(FieldError::required(path.clone(), detail));
        }
        let lists =
            [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)];
        for (field, list) in lists {
            for (index, address) in list.iter().flatten().enumerate() {
                let path = path.child(field).index(index);
                faults.extend(validate_address(address, nodes, &path));
            }
        }
        let ports = subset.ports.as_deref().unwrap_or_default();
        for (index, port) in ports.iter().enumerate() {
            let path = path.child("ports").index(index);
            faults.extend(validate_port(port, ports.len() > 1, &path));
        }
    }
    faults
}

fn validate_address(
    address: &EndpointAddress,
    nodes: &HashMap<&str, &str>,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::from_iter(validate_ip(&address.ip, &path.child("ip")));
    let hostname = text(&address.hostname);
    if !hostname.is_empty() {
        let path = path.child("hostname");
        faults.extend(invalid_each(&path, hostname, meta::dns1123_label(hostname)));
    }
    if let Some(node) = address.node_name.as_deref() {
        let path = path.child("nodeName");
        faults.extend(invalid_each(&path, node, meta::dns1123_subdomain(node)));
        if nodes.get(address.ip.as_str()).is_some_and(|before| *before != node) {
            let detail = format!("Cannot change NodeName for {} to {node}", address.ip);
            faults.push(FieldError::forbidden(path, detail));
        }
    }
    if faults.is_empty() {
        faults.extend(validate_non_special_ip(&address.ip, &path.child("ip")));
    }
    faults
}

fn validate_port(port: &EndpointPort, must_be_named: bool, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    match text(&port.name) {
        "" if must_be_named => faults.push(FieldError::required(path.child("name"), "")),
        "" => {}
        name => {
            let path = path.child("name");
            faults.extend(invalid_each(&path, name, meta::dns1123_label(name)));
        }
    }
    let complaints = meta::port_number(i64::from(port.port));
    faults.extend(invalid_number(&path.child("port"), port.port, complaints));
    faults.extend(one_of(&path.child("protocol"), text(&port.protocol), PROTOCOLS));
    if let Some(protocol) = &port.app_protocol {
        let path = path.child("appProtocol");
        faults.extend(invalid_each(&path, protocol, meta::qualified_name(protocol)));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoints(subsets: Value) -> Endpoints {
        let mut endpoints: Endpoints =
            serde_json::from_value(json!({"metadata": {"name": "e"}, "subsets": subsets})).unwrap();
        EndpointsObjects::default(&mut endpoints);
        endpoints
    }

    #[track_caller]
    fn check(subsets: Value, cell: &str, faults: &[&str]) {
        let endpoints = endpoints(subsets);
        let texts: Vec<String> =
            EndpointsObjects::validate(&endpoints).iter().map(ToString::to_string).collect();
        assert_eq!(texts, faults);
        assert_eq!(super::cell(&endpoints), cell);
    }

    #[test]
    fn three_endpoints_are_shown_and_the_rest_counted() {
        check(json!([]), "<none>", &[]);
        let ports = json!([{"port": 80}]);
        let ip = |last: usize| json!({"ip": format!("10.42.0.{last}")});
        check(
            json!([{"addresses": [ip(2), ip(3), ip(4), ip(5)], "ports": ports}]),
            "10.42.0.2:80,10.42.0.3:80,10.42.0.4:80 + 1 more...",
            &[],
        );
        check(json!([{"notReadyAddresses": [ip(2)], "ports": ports}]), "", &[]);
        check(json!([{"addresses": [{"ip": "fd00::1"}], "ports": ports}]), "[fd00::1]:80", &[]);
        check(json!([{"addresses": [ip(2)]}]), "10.42.0.2", &[]);
    }

    #[test]
    fn the_hosts_own_addresses_are_no_endpoints() {
        check(
            json!([{"addresses": [{"ip": "127.0.0.1"}]}, {}, {"addresses": [{"ip": "x"}]}]),
            "127.0.0.1,x",
            &[
                "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                "subsets[1]: Required value: must specify `addresses` or `notReadyAddresses`",
                "subsets[2].addresses[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        );
    }

    #[test]
    fn an_address_stays_on_its_node() {
        let on =
            |node: &str| endpoints(json!([{"addresses": [{"ip": "10.1.1.1", "nodeName": node}]}]));
        assert_eq!(EndpointsObjects::validate_update(&on("a"), &on("a")), []);
        assert_eq!(
            EndpointsObjects::validate_update(&on("b"), &on("a"))[0].to_string(),
            "subsets[0].addresses[0].nodeName: Forbidden: Cannot change NodeName for 10.1.1.1 to b"
        );
    }
}

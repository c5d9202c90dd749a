//! Which of a Service's endpoints take its traffic.
//!
//! Upstream: `CategorizeEndpoints` in `pkg/proxy/topology.go`, KEP-1669 (endpoints that are ending
//! serve when there is no other).

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::ServicePort;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

/// Where a Service's port leads. `only_node`: those of this node alone (a traffic policy `Local`).
pub(super) fn of_port(
    slices: &[Arc<EndpointSlice>],
    port: &ServicePort,
    only_node: Option<&str>,
) -> Vec<SocketAddr> {
    let (mut ready, mut ending) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices.iter().filter(|slice| slice.address_type == "IPv4") {
        for number in slice.ports.iter().flatten().filter_map(|one| number(one, port)) {
            for endpoint in slice.endpoints.iter().filter(|one| is_on(one, only_node)) {
                let Some(ip) = address(endpoint) else { continue };
                let address = SocketAddr::from((ip, number));
                if is_ready(endpoint) {
                    ready.insert(address);
                } else if is_ending_but_serves(endpoint) {
                    ending.insert(address);
                }
            }
        }
    }
    if ready.is_empty() { ending } else { ready }.into_iter().collect()
}

/// How many of a Service's endpoints are ready on this node, each counted once whatever its ports.
///
/// Upstream: `LocalReadyEndpoints` (`pkg/proxy/endpointschangetracker.go`).
pub(super) fn ready_on<'a>(
    slices: impl Iterator<Item = &'a Arc<EndpointSlice>>,
    node: &str,
) -> usize {
    let endpoints = slices.flat_map(|slice| &slice.endpoints);
    let ready = endpoints.filter(|one| is_on(one, Some(node)) && is_ready(one));
    ready.filter_map(address).collect::<BTreeSet<_>>().len()
}

/// The endpoint's only address: more than one has no meaning.
pub(super) fn address(endpoint: &Endpoint) -> Option<Ipv4Addr> {
    endpoint.addresses.first()?.parse().ok()
}

/// What is not known counts as ready.
pub(super) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

fn is_ending_but_serves(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.is_some_and(|one| one.serving == Some(true) && one.terminating == Some(true))
}

fn is_on(endpoint: &Endpoint, only_node: Option<&str>) -> bool {
    only_node.is_none_or(|node| endpoint.node_name.as_deref() == Some(node))
}

/// The number behind the Service's port, if this is the one: they share name and protocol.
pub(super) fn number(slice_port: &EndpointPort, port: &ServicePort) -> Option<u16> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let protocol = |text: &Option<String>| text.clone().unwrap_or_else(|| "TCP".to_owned());
    let is_it = text(&slice_port.name) == text(&port.name)
        && protocol(&slice_port.protocol) == protocol(&port.protocol);
    slice_port.port.filter(|_| is_it).and_then(|number| number.try_into().ok())
}
